"""Time limits that hold: over circles, over swallowers, inside each other, to the last tick."""

import asyncio
import contextlib
import math
import pickle

import pytest

import deadlock_lab as lab
from deadlock_lab.patterns.timeouts import (
    OperationTimeoutError,
    time_left,
    with_timeout,
    with_timeout_or,
)


def now():
    return asyncio.get_running_loop().time()


def others():
    return asyncio.all_tasks() - {asyncio.current_task()}


async def say(what, *, after=0.0):
    await asyncio.sleep(after)
    return what


async def forever():
    await asyncio.get_running_loop().create_future()


async def stubborn(seconds):
    """Go on for so long whatever happens, short of being thrown out."""
    end = now() + seconds
    while now() < end:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(end - now())
    return "late"


# --- in time ---------------------------------------------------------------------------------


def test_what_ends_in_time_is_returned_and_leaves_nothing_behind():
    async def main():
        result = await with_timeout(say("done", after=1), 5)
        return result, others()

    run = lab.run(main)

    assert run.result() == ("done", set())
    assert run.seconds == 1


@pytest.mark.parametrize("make", [asyncio.create_task, asyncio.ensure_future, asyncio.shield])
def test_tasks_and_futures_may_be_handed_in(make):
    async def main():
        return await with_timeout(make(say("done", after=1)), 5)

    assert lab.run(main).result() == "done"


def test_an_error_of_the_operation_passes_through_as_it_is():
    async def fail():
        raise TimeoutError("the server's own")

    with pytest.raises(TimeoutError, match="the server's own") as caught:
        asyncio.run(with_timeout(fail(), 5))

    assert type(caught.value) is TimeoutError
    assert not hasattr(caught.value, "__notes__")


def test_zero_seconds_are_enough_for_what_need_not_wait():
    async def main():
        future = asyncio.get_running_loop().create_future()
        future.set_result("there")
        with pytest.raises(OperationTimeoutError):
            await with_timeout(forever(), 0)
        return await with_timeout(future, 0)

    assert lab.run(main).result() == "there"


def test_a_result_in_the_tick_of_the_limit_is_not_lost(on_loop):
    async def main():
        loop = asyncio.get_running_loop()
        first, second = loop.create_future(), loop.create_future()

        async def through(future):
            return await asyncio.create_task(asyncio.wait_for(future, None))

        def both_at_once():
            first.set_result("direct")
            second.set_result("through two tasks")

        waiting = [
            asyncio.create_task(with_timeout(first, 0.05)),
            asyncio.create_task(with_timeout(through(second), 0.05)),
        ]
        await asyncio.sleep(0)
        loop.call_later(0.05, both_at_once)
        return await asyncio.gather(*waiting, return_exceptions=True)

    if on_loop.__name__ == "the_lab":  # there, "at once" is exact
        assert on_loop(main) == ["direct", "through two tasks"]
    else:
        assert len(on_loop(main)) == 2


def test_sleeping_for_as_long_as_the_limit_is_in_time():
    assert lab.run(lambda: with_timeout(say("done", after=1), 1)).result() == "done"


# --- out of time -----------------------------------------------------------------------------


def test_the_loser_has_cleaned_up_when_the_error_is_raised(on_loop):
    log = []

    async def work():
        try:
            await forever()
        finally:
            await asyncio.sleep(0.01)
            log.append("cleaned up")

    async def main():
        with pytest.raises(OperationTimeoutError):
            await with_timeout(work(), 0.01)
        with pytest.raises(OperationTimeoutError):
            await with_timeout(asyncio.create_task(work()), 0.01)
        assert asyncio.current_task().cancelling() == 0
        return len(log), others()

    assert on_loop(main) == (2, set())


def test_the_error_tells_name_limit_and_time_used():
    async def fetch_user():
        try:
            await forever()
        finally:
            await asyncio.sleep(0.25)

    run = lab.run(lambda: with_timeout(fetch_user(), 1.5))

    with pytest.raises(TimeoutError) as caught:
        run.result()
    error = caught.value
    assert (error.name, error.limit, error.elapsed) == ("fetch_user", 1.5, 1.75)
    assert "fetch_user ran into its limit of 1.5 s (1.75 s used)" in str(error)


def test_a_task_gives_its_name_and_a_name_given_goes_first():
    async def main():
        task = asyncio.create_task(forever(), name="user 7")
        with pytest.raises(OperationTimeoutError, match="user 7 ran"):
            await with_timeout(task, 1)
        with pytest.raises(OperationTimeoutError, match="login ran"):
            await with_timeout(forever(), 1, name="login")

    lab.run(main).result()


def test_the_error_survives_pickling():
    error = OperationTimeoutError("fetch", 1.0, 1.5, ("Task-3",))

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301

    assert str(copy) == str(error)
    assert (copy.name, copy.limit, copy.elapsed, copy.still_running) == (
        "fetch",
        1.0,
        1.5,
        ("Task-3",),
    )


def test_an_error_while_cleaning_up_is_raised_with_a_note():
    async def work():
        try:
            await forever()
        finally:
            raise OSError("rollback failed")

    with pytest.raises(OSError, match="rollback failed") as caught:
        lab.run(lambda: with_timeout(work(), 1)).result()

    assert caught.value.__notes__ == ["raised while work was stopped: its time was up"]


# --- circles ---------------------------------------------------------------------------------


async def start_circle(length, how, log=None):
    """Start tasks each of which awaits the next, and the last the first."""
    tasks = []

    async def waits_for(index):
        await asyncio.sleep(0)
        try:
            await how(tasks[index % length])
        finally:
            if log is not None:
                log.append(index - 1)

    tasks += [asyncio.create_task(waits_for(index + 1)) for index in range(length)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def awaits(task):
    return await task


async def gathers(task):
    return await asyncio.gather(task, say("innocent", after=60))


async def collects(task):
    return await asyncio.gather(task, return_exceptions=True)


async def groups(task):
    async with asyncio.TaskGroup() as group:
        return await group.create_task(awaits(task))


async def waits(task):
    return await asyncio.wait_for(task, 60)


@pytest.mark.parametrize("how", [awaits, gathers, collects, groups, waits])
@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_a_circle_of_tasks_is_stopped_on_time_and_unwinds_whole(on_loop, how, length):
    if how in (awaits, waits) and length == 1:
        pytest.skip("asyncio refuses a task that awaits itself")

    async def main():
        tasks = await start_circle(length, how)
        with pytest.raises(OperationTimeoutError):
            await with_timeout(tasks[0], 0.05, grace=0.2)
        await asyncio.sleep(0.05)
        return [task.done() for task in tasks], others()

    assert on_loop(main) == ([True] * length, set())


def test_the_error_names_the_circle_that_the_limit_has_cut(on_loop):
    async def main():
        tasks = {}

        async def follow(other):
            await asyncio.sleep(0)
            await tasks[other]

        for name, other in {"A": "B", "B": "C", "C": "A"}.items():
            tasks[name] = asyncio.create_task(follow(other), name=name)
        with pytest.raises(OperationTimeoutError, match="A → B → C → A") as caught:
            await with_timeout(tasks["A"], 0.01)
        return caught.value.cycle, pickle.loads(pickle.dumps(caught.value)).cycle  # noqa: S301

    assert on_loop(main) == (("A", "B", "C", "A"), ("A", "B", "C", "A"))


def test_a_circle_through_the_caller_itself_is_stopped_too(on_loop):
    async def main():
        me = asyncio.current_task()
        child = asyncio.create_task(awaits(me))
        with pytest.raises(OperationTimeoutError):
            await with_timeout(asyncio.gather(child, forever()), 0.02)
        with pytest.raises(OperationTimeoutError):
            await with_timeout(groups(me), 0.02, grace=0.05)
        await asyncio.sleep(0.05)
        assert me.cancelling() == 0
        return others()

    assert on_loop(main) == set()


def test_a_chain_of_two_thousand_tasks_is_stopped(on_loop):
    async def chain(depth):
        await (asyncio.create_task(chain(depth - 1)) if depth else forever())

    async def main():
        with pytest.raises(OperationTimeoutError):
            await with_timeout(chain(2_000), 0.5)
        return others()

    assert on_loop(main) == set()


def test_the_task_that_closes_the_circle_ends_first_and_then_those_who_wait_for_it():
    log = []

    async def main():
        tasks = await start_circle(3, awaits, log)
        with pytest.raises(OperationTimeoutError):
            await with_timeout(tasks[0], 1)

    lab.run(main).result()

    assert log == [2, 1, 0]


# --- losers that do not stop -----------------------------------------------------------------


def test_a_late_result_within_the_grace_is_returned():
    run = lab.run(lambda: with_timeout(stubborn(3), 1))

    assert run.result() == "late"
    assert run.seconds == 3


def test_a_task_that_swallows_its_cancellation_is_left_and_named():
    async def main():
        task = asyncio.create_task(stubborn(60), name="the stubborn one")
        begin = now()
        with pytest.raises(OperationTimeoutError) as caught:
            await with_timeout(task, 1, name="work", grace=2)
        free = now() - begin
        assert not task.done()
        assert await task == "late"
        return free, caught.value.still_running, str(caught.value)

    free, still_running, text = lab.run(main).result()

    assert (free, still_running) == (3, ("the stubborn one",))
    assert "still running" in text


def test_code_in_the_callers_own_task_is_thrown_out_after_the_grace():
    async def main():
        with pytest.raises(OperationTimeoutError) as caught:
            await with_timeout(stubborn(60), 1, grace=2)
        return now(), caught.value.elapsed, caught.value.still_running

    begin_plus, elapsed, still_running = lab.run(main).result()

    assert (elapsed, still_running) == (3, ())
    assert begin_plus >= 3


def test_a_task_group_with_a_stubborn_child_is_left_after_the_grace():
    async def work():
        async with asyncio.TaskGroup() as group:
            group.create_task(stubborn(60))

    async def main():
        begin = now()
        with pytest.raises(OperationTimeoutError):
            await with_timeout(work(), 1, grace=2)
        free = now() - begin
        await asyncio.wait(others())
        return free

    assert lab.run(main).result() == 3


def test_an_endless_grace_waits_as_long_as_it_takes():
    run = lab.run(lambda: with_timeout(stubborn(1_000), 1, grace=math.inf))

    assert run.result() == "late"
    assert run.seconds == 1_000


def test_a_loop_that_never_waits_is_stopped():
    async def spin():
        while True:
            await asyncio.sleep(0)

    with pytest.raises(OperationTimeoutError):
        asyncio.run(with_timeout(spin(), 0.02))


# --- cancelled from outside ------------------------------------------------------------------


def test_cancelling_the_caller_cancels_the_operation_and_waits_for_it():
    log = []

    async def work():
        try:
            await forever()
        finally:
            await asyncio.sleep(1)
            log.append("cleaned up")

    async def main():
        for operation in (work(), asyncio.create_task(work())):
            caller = asyncio.create_task(with_timeout(operation, 60))
            await asyncio.sleep(1)
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
        return list(log), others()

    assert lab.run(main).result() == (["cleaned up"] * 2, set())


@pytest.mark.parametrize("when", [1.0, 1.5])
def test_a_cancellation_from_outside_goes_before_our_own_error(when):
    async def work():
        try:
            await forever()
        finally:
            await asyncio.sleep(2)

    async def main():
        caller = asyncio.create_task(with_timeout(work(), 1))
        asyncio.get_running_loop().call_later(when, caller.cancel)
        await asyncio.wait({caller})
        return caller.cancelled(), others()

    assert lab.run(main).result() == (True, set())


def test_it_works_inside_asyncio_timeout_and_round_it():
    async def inner():
        async with asyncio.timeout(60):
            await forever()

    async def main():
        with pytest.raises(OperationTimeoutError):
            await with_timeout(inner(), 1)
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(1):
                await with_timeout(forever(), 60)
        assert type(caught.value) is TimeoutError
        return asyncio.current_task().cancelling()

    assert lab.run(main).result() == 0


# --- limits inside limits --------------------------------------------------------------------


def test_an_outer_limit_that_runs_out_first_is_the_one_reported():
    run = lab.run(
        lambda: with_timeout(
            with_timeout(forever(), 60, name="inner"),
            1,
            name="outer",
        )
    )

    with pytest.raises(OperationTimeoutError) as caught:
        run.result()
    assert (caught.value.name, caught.value.limit) == ("outer", 1)
    assert run.seconds == 1


def test_an_inner_limit_that_runs_out_first_is_the_one_reported():
    async def outer():
        with pytest.raises(OperationTimeoutError, match="inner ran"):
            await with_timeout(forever(), 1, name="inner")
        return await say("went on", after=1)

    assert lab.run(lambda: with_timeout(outer(), 5)).result() == "went on"


def test_a_task_inherits_the_limit_and_reports_its_owner():
    async def main():
        caught = []

        async def background():
            with pytest.raises(OperationTimeoutError) as info:
                await with_timeout(forever(), 60, name="inner")
            caught.append((info.value.name, info.value.limit))

        async def request():
            task = asyncio.create_task(background())
            await asyncio.wait({task})  # which does not pass a cancellation on
            await say(None, after=60)

        with pytest.raises(OperationTimeoutError, match="request ran"):
            await with_timeout(request(), 1)
        await asyncio.sleep(1)
        return caught

    assert lab.run(main).result() == [("request", 1)]


def test_a_limit_that_is_over_binds_nobody_it_left_behind():
    async def main():
        async def background():
            begin = now()
            with pytest.raises(OperationTimeoutError, match="inner ran"):
                await with_timeout(forever(), 60, name="inner")
            return now() - begin, time_left()

        async def request():
            task = asyncio.create_task(background())
            await asyncio.sleep(0.5)
            return task

        return await (await with_timeout(request(), 1))

    assert lab.run(main).result() == (60, math.inf)


def test_cleaning_up_has_the_grace_for_its_own_limits():
    async def work():
        try:
            await forever()
        finally:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(with_timeout(say("rolled back", after=1), 2))
            log.append(task.result())

    log = []
    with pytest.raises(OperationTimeoutError):
        lab.run(lambda: with_timeout(work(), 1)).result()

    assert log == ["rolled back"]


def test_time_left_tells_the_nearest_limit():
    async def ask():
        await asyncio.sleep(1)
        return time_left()

    async def main():
        return (
            time_left(),
            await with_timeout(with_timeout(ask(), 60), 5),
            await with_timeout(with_timeout(ask(), 5), 60),
        )

    assert lab.run(main).result() == (math.inf, 4, 4)


# --- the fallback ----------------------------------------------------------------------------


def test_a_fallback_is_a_value_or_made_from_the_error():
    async def main():
        return (
            await with_timeout_or(say("new", after=1), 5, "old"),
            await with_timeout_or(forever(), 1, None),
            await with_timeout_or(forever(), 1, lambda error: f"{error.name}: no answer"),
        )

    assert lab.run(main).result() == ("new", None, "forever: no answer")


def test_another_ones_timeout_does_not_lead_to_the_fallback():
    async def refused():
        raise TimeoutError("the server's own")

    async def main():
        with pytest.raises(TimeoutError, match="the server's own"):
            await with_timeout_or(refused(), 5, "old")
        with pytest.raises(OperationTimeoutError, match="inner ran"):
            await with_timeout_or(with_timeout(forever(), 1, name="inner"), 5, "old")
        with pytest.raises(OperationTimeoutError, match="outer ran"):
            await with_timeout(with_timeout_or(forever(), 5, "old"), 1, name="outer")

    lab.run(main).result()


def test_an_async_fallback_is_refused():
    async def main():
        with pytest.raises(TypeError, match="forever is async"):
            await with_timeout_or(say(1), 5, forever)
        with pytest.raises(TypeError, match="forever is async"):
            await with_timeout_or(say(1), 5, forever())

    asyncio.run(main())


# --- bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [-1, -0.001, math.nan, math.inf, -math.inf, 10**400])
def test_seconds_that_make_no_sense_are_refused_and_the_coroutine_is_closed(seconds):
    with pytest.raises(ValueError, match="seconds must be"):
        asyncio.run(with_timeout(say("never"), seconds))


@pytest.mark.parametrize("seconds", [None, "5", True, 1j, [1], say])
def test_what_is_no_number_of_seconds_is_refused_and_the_coroutine_is_closed(seconds):
    with pytest.raises(TypeError, match="seconds must be a number of seconds; got"):
        asyncio.run(with_timeout(say("never"), seconds))


def test_a_bad_grace_and_a_bad_name_are_refused():
    async def main():
        with pytest.raises(ValueError, match="grace must be 0 or more"):
            await with_timeout(say(1), 1, grace=-1)
        with pytest.raises(TypeError, match="grace must be a number"):
            await with_timeout(say(1), 1, grace=None)
        with pytest.raises(TypeError, match="name must be a string; got 7"):
            await with_timeout(say(1), 1, name=7)

    asyncio.run(main())


@pytest.mark.parametrize("awaitable", [None, 5, "fetch", [], lambda: None])
def test_what_is_no_awaitable_is_refused(awaitable):
    with pytest.raises(TypeError, match="needs an awaitable"):
        asyncio.run(with_timeout(awaitable, 5))


def test_swapped_arguments_are_refused_and_the_coroutine_is_closed():
    with pytest.raises(TypeError, match="got 5"):
        asyncio.run(with_timeout(5, say("never")))


def test_a_function_that_was_not_called_is_refused():
    with pytest.raises(TypeError, match="say is a function; call it"):
        asyncio.run(with_timeout(say, 5))


def test_a_coroutine_handed_in_twice_or_after_its_end_is_refused():
    async def main():
        coroutine = say("once", after=0.01)
        first = asyncio.create_task(with_timeout(coroutine, 5))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="say was awaited before"):
            await with_timeout(coroutine, 5)
        assert await first == "once"
        with pytest.raises(RuntimeError, match="say was awaited before"):
            await with_timeout(coroutine, 5)

    asyncio.run(main())


def test_outside_a_task_it_says_so():
    with pytest.raises(RuntimeError, match="needs a task to run in"):
        with_timeout(say("never"), 5).send(None)
