"""The resolver computes each value once, in order, and turns every circle into an error."""

import asyncio
import contextvars
import gc
import math
import tracemalloc
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from deadlock_lab.patterns.errors import CircularDependencyError
from deadlock_lab.patterns.resolver import AsyncResolver, Dependency, MissingDependencyError

DEEP = 10_000


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    async def in_time() -> Any:
        async with asyncio.timeout(30):
            return await main()

    return asyncio.run(in_time())


def assert_idle(resolver: AsyncResolver) -> None:
    assert resolver.pending_resolutions == {}
    flights = resolver._flights
    if flights is not None:
        assert flights.aloft == {}
        assert flights.free == resolver._limit
        assert not any([flights._ending, flights._resuming, flights._starting])


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def forever() -> None:
    await asyncio.Event().wait()


# -- order, sharing, caching ---------------------------------------------------------------------


def test_dependencies_run_at_once_and_arrive_in_the_order_declared() -> None:
    record = []
    resolver = AsyncResolver()

    def part(name: str, seconds: float) -> Dependency:
        async def compute() -> str:
            record.append(f"{name} starts")
            await asyncio.sleep(seconds)
            record.append(f"{name} ends")
            return name

        return Dependency(name, compute)

    async def main() -> str:
        parts = [part("slow", 0.02), part("quick", 0)]
        return await resolver.resolve("all", lambda *names: " ".join(names), parts)

    assert run(main) == "slow quick"
    assert record == ["slow starts", "quick starts", "quick ends", "slow ends"]
    assert_idle(resolver)


def test_the_articles_diamond_computes_its_base_once() -> None:
    calls = []

    def base() -> str:
        calls.append("D")
        return "D"

    def name(letter: str) -> Callable[[str], str]:
        return lambda d: f"{letter}({d})"

    d = ("D", base)
    resolver = AsyncResolver()
    sides = [("B", name("X"), [d]), ("C", name("Y"), [d])]
    assert run(lambda: resolver.resolve("A", lambda *sides: "".join(sides), sides)) == "X(D)Y(D)"
    assert calls == ["D"]


@pytest.mark.parametrize(
    "shape",
    [
        Dependency("n", lambda: 21),
        ("n", lambda: 21),
        ("n", lambda: 21, ()),
        ("n", lambda m: 3 * m, [("m", lambda: 7)]),
        {"key": "n", "resolver": lambda: 21},
        SimpleNamespace(key="n", resolver=lambda: 21, dependencies=[]),
    ],
)
def test_a_dependency_may_come_in_any_of_the_articles_shapes(shape: Any) -> None:
    assert run(lambda: AsyncResolver().resolve("twice", lambda n: 2 * n, [shape])) == 42


def test_a_tuple_may_be_a_key_itself() -> None:
    resolver = AsyncResolver()
    resolver.provides(("user", 7))(lambda: "Ada")
    resolver.provides("greeting", depends_on=[("user", 7)])(lambda name: f"Hello {name}")
    assert run(lambda: resolver.resolve("greeting")) == "Hello Ada"


def test_a_dependency_named_twice_is_computed_once_and_passed_twice() -> None:
    resolver = AsyncResolver()
    resolver.provides("n")(lambda: 21)
    assert run(lambda: resolver.resolve("sum", lambda a, b: a + b, ["n", "n"])) == 42


def test_concurrent_callers_share_one_computation_and_the_first_function_counts() -> None:
    calls = []

    def function(name: str) -> Callable[[], Awaitable[str]]:
        async def compute() -> str:
            calls.append(name)
            await asyncio.sleep(0)
            return name

        return compute

    async def main() -> list[str]:
        resolver = AsyncResolver()
        return await asyncio.gather(
            resolver.resolve("key", function("first")),
            resolver.resolve("key", function("second")),
            resolver.resolve("key"),
        )

    assert run(main) == ["first", "first", "first"]
    assert calls == ["first"]


def test_none_is_a_value_like_any_other() -> None:
    calls = []
    resolver = AsyncResolver()

    async def main() -> None:
        for _ in range(2):
            assert await resolver.resolve("none", lambda: calls.append(1)) is None

    run(main)
    assert calls == [1]


def test_failures_reach_everyone_and_are_not_cached() -> None:
    resolver = AsyncResolver()
    attempts = []

    async def flaky() -> str:
        attempts.append(1)
        await asyncio.sleep(0)
        if len(attempts) == 1:
            raise ConnectionError("down")
        return "up"

    async def main() -> None:
        two = await asyncio.gather(
            resolver.resolve("db", flaky), resolver.resolve("db"), return_exceptions=True
        )
        assert [str(error) for error in two] == ["down", "down"]
        assert_idle(resolver)
        assert await resolver.resolve("db", flaky) == "up"

    run(main)


def test_a_failure_cancels_what_only_it_wanted_and_waits_for_that_to_end() -> None:
    record = []
    resolver = AsyncResolver()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    async def slow() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(0)
            record.append("slow is gone")

    async def main() -> None:
        needs = [("fails", fails), ("slow", slow), ("shared", lambda: asyncio.sleep(0.01, "kept"))]
        shared = asyncio.create_task(
            resolver.resolve("shared", lambda: asyncio.sleep(0.01, "kept"))
        )
        await asyncio.sleep(0)
        with pytest.raises(ZeroDivisionError):
            await resolver.resolve("top", print, needs)
        assert record == ["slow is gone"]
        assert await shared == "kept"

    run(main)
    assert_idle(resolver)


def test_perform_resolution_neither_reads_nor_fills_the_cache() -> None:
    resolver = AsyncResolver()

    async def main() -> None:
        assert await resolver.resolve("n", lambda: 1) == 1
        assert await resolver.perform_resolution("n", lambda m: m, [("m", lambda: 2)]) == 2
        assert resolver.resolution_cache == {"n": 1, "m": 2}

    run(main)


def test_a_computation_sees_the_context_of_the_caller_who_started_it() -> None:
    request = contextvars.ContextVar("request", default="none")

    async def main() -> str:
        resolver = AsyncResolver()

        async def compute(_: None) -> str:
            return request.get()

        request.set("seven")
        first = asyncio.create_task(resolver.resolve("key", compute, [("pause", forever_ish)]))
        await asyncio.sleep(0)
        request.set("eight")
        assert await resolver.resolve("key") == "seven"
        return await first

    async def forever_ish() -> None:
        await asyncio.sleep(0.001)

    assert run(main) == "seven"


# -- circles -------------------------------------------------------------------------------------


def asking(resolver: AsyncResolver, *needs: str) -> Callable[[], Awaitable[Any]]:
    async def compute() -> Any:
        await asyncio.sleep(0)
        return [await resolver.resolve(need) for need in needs]

    return compute


@pytest.mark.parametrize("length", [1, 2, 3, 7])
@pytest.mark.parametrize("inside", [True, False])
def test_a_circle_is_an_error_for_each_of_its_concurrent_callers(length: int, inside: bool) -> None:
    resolver = AsyncResolver()
    for key in range(length):
        need = (key + 1) % length
        if inside:
            resolver.provides(key)(asking(resolver, need))  # type: ignore[arg-type]
        else:
            resolver.provides(key, depends_on=[need])(lambda value: value)

    async def main() -> list[Any]:
        return await asyncio.gather(*map(resolver.resolve, range(length)), return_exceptions=True)

    for error in run(main):
        assert isinstance(error, CircularDependencyError)
        start = error.cycle[0]
        assert error.cycle == tuple((start + step) % length for step in range(length + 1))
    assert_idle(resolver)
    assert resolver.resolution_cache == {}


def test_a_circle_half_declared_and_half_asked_for_is_found() -> None:
    resolver = AsyncResolver()
    resolver.provides("A", depends_on=["B"])(lambda b: b)
    resolver.provides("B")(asking(resolver, "C"))
    resolver.provides("C", depends_on=["A"])(lambda a: a)
    with pytest.raises(CircularDependencyError) as caught:
        run(lambda: resolver.resolve("A"))
    assert caught.value.cycle == ("B", "C", "A", "B")
    assert_idle(resolver)


def test_a_circle_is_found_through_the_tasks_of_a_computation() -> None:
    resolver = AsyncResolver()

    async def gathers() -> Any:
        return await asyncio.gather(forever(), resolver.resolve("B"))

    resolver.provides("A")(gathers)
    resolver.provides("B")(asking(resolver, "A"))
    with pytest.raises(CircularDependencyError):
        run(lambda: resolver.resolve("A"))


def test_an_outsider_who_waits_for_a_circle_gets_its_error() -> None:
    resolver = AsyncResolver()
    resolver.provides("A")(asking(resolver, "B"))
    resolver.provides("B")(asking(resolver, "A"))
    resolver.provides("X", depends_on=["A"])(lambda a: a)
    with pytest.raises(CircularDependencyError, match="B → A → B"):
        run(lambda: resolver.resolve("X"))
    assert_idle(resolver)


@pytest.mark.parametrize("order", ["AB", "BA"])
def test_who_can_do_without_decides_for_itself_whoever_closes_the_circle(order: str) -> None:
    resolver = AsyncResolver()

    @resolver.provides("A")
    async def a() -> str:
        await asyncio.sleep(0)
        try:
            return str(await resolver.resolve("B"))
        except CircularDependencyError:
            return "without B"

    resolver.provides("B")(asking(resolver, "A"))

    async def main() -> dict[str, Any]:
        answers = await asyncio.gather(*map(resolver.resolve, order), return_exceptions=True)
        return dict(zip(order, answers, strict=True))

    answers = run(main)
    assert answers["A"] == "without B"
    assert isinstance(answers["B"], CircularDependencyError)


def test_what_a_failed_computation_left_behind_does_not_ask_for_ever() -> None:
    # gather() lets the others run on when one fails; these two would restart each other.
    resolver = AsyncResolver()

    async def one() -> Any:
        return await asyncio.gather(resolver.resolve("bad"), resolver.resolve("two"))

    async def two() -> Any:
        return await asyncio.gather(resolver.resolve("bad"), resolver.resolve("one"))

    resolver.provides("one")(one)
    resolver.provides("two")(two)
    resolver.provides("bad")(asking(resolver, "bad"))

    async def main() -> None:
        with pytest.raises(CircularDependencyError):
            await resolver.resolve("one")
        for _ in range(20):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main)
    assert_idle(resolver)


# -- cancellation --------------------------------------------------------------------------------


def test_the_first_callers_cancellation_leaves_the_work_to_the_others() -> None:
    resolver = AsyncResolver()

    async def main() -> str:
        work = lambda: asyncio.sleep(0.005, "done")  # noqa: E731
        first = asyncio.create_task(resolver.resolve("key", work))
        second = asyncio.create_task(resolver.resolve("key", work))
        await asyncio.sleep(0)
        await cancelled(first)
        return await second

    assert run(main) == "done"


def test_the_last_callers_cancellation_ends_the_work_and_waits_until_it_is_gone() -> None:
    record = []
    resolver = AsyncResolver()

    async def work() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(0.005)
            record.append("gone")

    async def main() -> None:
        tasks = [
            asyncio.create_task(resolver.resolve("top", print, [("work", work)])) for _ in range(3)
        ]
        await asyncio.sleep(0)
        for task in tasks:
            assert record == []
            await cancelled(task)
        assert record == ["gone"]
        assert_idle(resolver)

    run(main)


def test_who_asks_while_the_old_work_is_dying_gets_new_work() -> None:
    resolver = AsyncResolver()

    async def stubborn() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(0.005)

    async def main() -> str:
        first = asyncio.create_task(resolver.resolve("key", stubborn))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0.001)
        assert not first.done()
        assert await resolver.resolve("key", lambda: "new") == "new"
        await asyncio.wait([first])
        return str(resolver.resolution_cache["key"])

    assert run(main) == "new"
    assert_idle(resolver)


def test_a_second_cancellation_does_not_let_the_caller_go_before_the_work() -> None:
    record = []
    resolver = AsyncResolver()

    async def stubborn() -> None:
        try:
            await forever()
        finally:
            await asyncio.sleep(0.005)
            record.append("gone")

    async def main() -> None:
        caller = asyncio.create_task(resolver.resolve("key", stubborn))
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.sleep(0.001)
        await cancelled(caller)
        assert record == ["gone"]

    run(main)
    assert_idle(resolver)


def test_a_loop_that_shuts_down_cancels_a_deep_chain_in_one_pass() -> None:
    reached = asyncio.Event()

    async def last() -> None:
        reached.set()
        await forever()

    resolver = asking_chain(lambda: last())  # type: ignore[arg-type, return-value]

    async def main() -> None:
        task = asyncio.create_task(resolver.resolve(0))
        await reached.wait()
        del task  # asyncio.run() cancels every task there is

    run(main)
    assert_idle(resolver)


def test_a_timeout_inside_a_computation_gives_up_one_dependency_only() -> None:
    resolver = AsyncResolver()

    async def impatient() -> str:
        try:
            async with asyncio.timeout(0.001):
                await resolver.resolve("slow", forever)
        except TimeoutError:
            return "without"
        return "with"

    assert run(lambda: resolver.resolve("key", impatient)) == "without"
    assert_idle(resolver)


def test_work_cancelled_by_a_stranger_is_cancelled_for_its_callers_and_not_cached() -> None:
    resolver = AsyncResolver()

    async def suicidal() -> None:
        raise asyncio.CancelledError

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(resolver.resolve("key", suicidal))
        assert resolver.resolution_cache == {}

    run(main)
    assert_idle(resolver)


def test_work_that_asks_for_its_asker_while_being_stopped_gets_the_circle_and_ends() -> None:
    record = []
    resolver = AsyncResolver()

    async def inner() -> None:
        try:
            await forever()
        finally:
            with pytest.raises(CircularDependencyError, match="inner → outer → inner"):
                await resolver.resolve("outer")
            record.append("inner is gone")

    async def outer() -> None:
        await resolver.resolve("inner", inner)

    async def main() -> None:
        work = asyncio.create_task(resolver.resolve("outer", outer))
        await asyncio.sleep(0.001)
        (task,) = [each for each in asyncio.all_tasks() if "'outer'" in each.get_name()]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert record == ["inner is gone"]

    run(main)
    assert_idle(resolver)


def test_who_is_cancelled_while_in_line_for_a_place_leaves_at_once() -> None:
    resolver = AsyncResolver(max_concurrent=1)

    async def main() -> None:
        running = asyncio.create_task(resolver.resolve("running", forever))
        waiting = asyncio.create_task(resolver.resolve("waiting", forever))
        await asyncio.sleep(0.001)
        await cancelled(waiting)
        assert not running.done()
        await cancelled(running)

    run(main)
    assert_idle(resolver)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_function_that_ends_the_program_ends_it(stop: type[BaseException]) -> None:
    resolver = AsyncResolver()

    def stops() -> None:
        raise stop

    with pytest.raises(stop):
        run(lambda: resolver.resolve("key", stops))
    assert_idle(resolver)


# -- depth ---------------------------------------------------------------------------------------


def declared_chain(last: Callable[[], Any]) -> AsyncResolver:
    resolver = AsyncResolver()
    for key in range(DEEP):
        resolver.provides(key, depends_on=[key + 1])(lambda value: value + 1)
    resolver.provides(DEEP)(last)
    return resolver


def asking_chain(last: Callable[[], Awaitable[int]], limit: int | None = None) -> AsyncResolver:
    resolver = AsyncResolver(max_concurrent=limit)

    def link(key: int) -> Callable[[], Awaitable[int]]:
        async def compute() -> int:
            return 1 + int(await resolver.resolve(key + 1))

        return compute

    for key in range(DEEP):
        resolver.provides(key)(link(key))
    resolver.provides(DEEP)(last)
    return resolver


@pytest.mark.parametrize("chain", [declared_chain, asking_chain])
def test_a_chain_of_ten_thousand_is_computed_and_forgotten(
    chain: Callable[..., AsyncResolver],
) -> None:
    resolver = chain(lambda: asyncio.sleep(0, 0))
    assert run(lambda: resolver.resolve(0)) == DEEP
    assert_idle(resolver)
    assert len(resolver.invalidate(DEEP)) == DEEP + 1
    assert resolver.resolution_cache == {}


@pytest.mark.parametrize("chain", [declared_chain, asking_chain])
def test_a_chain_of_ten_thousand_fails(chain: Callable[..., AsyncResolver]) -> None:
    async def fails() -> int:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    resolver = chain(fails)
    with pytest.raises(ZeroDivisionError):
        run(lambda: resolver.resolve(0))
    assert_idle(resolver)


@pytest.mark.parametrize("chain", [declared_chain, asking_chain])
def test_a_chain_of_ten_thousand_is_cancelled(chain: Callable[..., AsyncResolver]) -> None:
    reached = asyncio.Event()

    async def last() -> None:
        reached.set()
        await forever()

    resolver = chain(last)

    async def main() -> None:
        task = asyncio.create_task(resolver.resolve(0))
        await reached.wait()
        await cancelled(task)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main)
    assert_idle(resolver)


def test_a_circle_of_ten_thousand_is_named_whole() -> None:
    resolver = AsyncResolver()

    async def closes() -> int:
        return int(await resolver.resolve(0))

    resolver = asking_chain(lambda: closes())
    with pytest.raises(CircularDependencyError) as caught:
        run(lambda: resolver.resolve(0))
    assert len(caught.value.cycle) == DEEP + 2
    assert_idle(resolver)


# -- limits --------------------------------------------------------------------------------------


def test_no_more_functions_run_at_once_than_allowed() -> None:
    resolver = AsyncResolver(max_concurrent=3)
    running = most = 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    async def main() -> None:
        await asyncio.gather(*(resolver.resolve(key, work) for key in range(20)))

    run(main)
    assert most == 3
    assert_idle(resolver)


def test_a_limit_of_one_does_not_block_a_function_that_asks_for_more() -> None:
    resolver = asking_chain(lambda: asyncio.sleep(0, 0), limit=1)
    assert run(lambda: resolver.resolve(DEEP - 50)) == 50
    assert_idle(resolver)


def test_a_limit_of_one_survives_waits_that_overlap_inside_one_function() -> None:
    resolver = AsyncResolver(max_concurrent=1)

    async def overlapping() -> list[Any]:
        async def twice(name: str) -> Any:
            first = await resolver.resolve(f"{name}1", lambda: asyncio.sleep(0, 1))
            return first + await resolver.resolve(f"{name}2", lambda: asyncio.sleep(0.001, 2))

        return await asyncio.gather(*map(twice, "abc"))

    assert run(lambda: resolver.resolve("key", overlapping)) == [3, 3, 3]
    assert_idle(resolver)


# -- freshness -----------------------------------------------------------------------------------


def counter() -> Callable[..., int]:
    calls: list[int] = []

    def count(*_: Any) -> int:
        calls.append(1)
        return len(calls)

    return count


def test_a_value_expires_and_takes_with_it_what_was_made_from_it() -> None:
    resolver = AsyncResolver(ttl=0.02)
    resolver.provides("part")(counter())
    resolver.provides("whole", depends_on=["part"])(counter())

    async def main() -> None:
        assert await resolver.resolve("part") == 1
        await asyncio.sleep(0.01)
        assert await resolver.resolve("whole") == 1
        await asyncio.sleep(0.013)
        assert resolver.resolution_cache == {}
        assert await resolver.resolve("whole") == 2
        assert resolver.resolution_cache == {"part": 2, "whole": 2}

    run(main)


def test_expired_values_do_not_pile_up() -> None:
    resolver = AsyncResolver(ttl=0)

    async def main() -> None:
        for key in range(100):
            assert await resolver.resolve(key, lambda key=key: key) == key  # type: ignore[misc]
        assert len(resolver._cache) == 0

    run(main)


def test_invalidating_takes_what_was_made_from_the_value_however_it_was_asked_for() -> None:
    resolver = AsyncResolver()
    resolver.provides("n")(counter())
    resolver.provides("declared", depends_on=["n"])(counter())
    resolver.provides("asked")(asking(resolver, "n"))
    resolver.provides("far", depends_on=["asked"])(counter())
    resolver.provides("other")(counter())

    async def main() -> None:
        for _ in range(2):
            await asyncio.gather(*map(resolver.resolve, ["declared", "far", "other"]))
            assert set(resolver.invalidate("n")) == {"n", "declared", "asked", "far"}
            assert resolver.resolution_cache == {"other": 1}
        assert resolver.invalidate("n") == ()

    run(main)


def test_invalidating_may_spare_what_was_made_from_the_value() -> None:
    resolver = AsyncResolver()

    async def main() -> None:
        await resolver.resolve("whole", lambda n: n, [("n", lambda: 1)])
        assert resolver.invalidate("n", dependents=False) == ("n",)
        assert resolver.resolution_cache == {"whole": 1}
        resolver.clear()
        assert resolver.resolution_cache == {}

    run(main)


def test_work_under_way_that_is_invalidated_answers_the_old_callers_and_is_not_kept() -> None:
    resolver = AsyncResolver()
    values = iter(["old", "new"])

    async def main() -> None:
        async def read() -> str:
            value = next(values)
            await asyncio.sleep(0.002)
            return value

        resolver.provides("part")(read)
        resolver.provides("whole", depends_on=["part"])(lambda part: f"made from {part}")
        old = asyncio.create_task(resolver.resolve("whole"))
        await asyncio.sleep(0)
        assert set(resolver.invalidate("part")) == {"part", "whole"}
        assert await resolver.resolve("whole") == "made from new"
        assert await old == "made from old"
        assert resolver.resolution_cache == {"part": "new", "whole": "made from new"}

    run(main)
    assert_idle(resolver)


# -- loops ---------------------------------------------------------------------------------------


def test_another_loop_may_take_over_an_idle_resolver() -> None:
    resolver, expiring = AsyncResolver(), AsyncResolver(ttl=60)
    for each in (resolver, expiring):
        each.provides("n")(counter())
    assert [asyncio.run(resolver.resolve("n")) for _ in range(2)] == [1, 1]
    # Two loops' clocks cannot be compared.
    assert [asyncio.run(expiring.resolve("n")) for _ in range(2)] == [1, 2]


def test_a_second_loop_at_the_same_time_is_refused() -> None:
    resolver = AsyncResolver()

    async def main() -> None:
        task = asyncio.create_task(resolver.resolve("slow", forever))
        await asyncio.sleep(0)

        def elsewhere() -> None:
            with pytest.raises(RuntimeError, match=r"computing \['slow'\] on another event loop"):
                asyncio.run(resolver.resolve("n", lambda: 1))

        await asyncio.to_thread(elsewhere)
        await cancelled(task)

    run(main)


def test_what_a_closed_loop_left_unfinished_does_not_hinder_the_next() -> None:
    resolver = AsyncResolver(max_concurrent=1)
    loop = asyncio.new_event_loop()
    task = loop.create_task(resolver.resolve("n", forever))
    loop.run_until_complete(asyncio.sleep(0.001))
    for each in asyncio.all_tasks(loop):
        each._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    assert asyncio.run(resolver.resolve("n", lambda: 1)) == 1
    del task, each
    gc.collect()
    assert_idle(resolver)


@pytest.mark.skipif(not hasattr(asyncio, "eager_task_factory"), reason="Python 3.12")
@pytest.mark.parametrize("chain", [declared_chain, asking_chain])
def test_eager_tasks_go_as_deep_as_others(chain: Callable[..., AsyncResolver]) -> None:
    resolver = chain(lambda: asyncio.sleep(0, 0))
    endless = chain(forever)

    async def main() -> Any:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await endless.resolve(0)
        assert_idle(endless)
        return await resolver.resolve(0)

    assert run(main) == DEEP
    assert_idle(resolver)


# -- bad input -----------------------------------------------------------------------------------


async def nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"ttl": -1}, ValueError, "0 seconds or more, not -1"),
        ({"ttl": math.nan}, ValueError, "not nan"),
        ({"ttl": "5"}, TypeError, "number of seconds or None, not '5'"),
        ({"ttl": True}, TypeError, "not True"),
        ({"max_concurrent": 0}, ValueError, "1 or more, not 0"),
        ({"max_concurrent": 2.0}, TypeError, "whole number or None, not 2.0"),
    ],
)
def test_a_bad_setting_is_named(
    parameters: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        AsyncResolver(**parameters)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], nothing), r"a key must be hashable, and \[\] is not"),
        (("key", 7), "'key' must be computed by a function, not 7"),
        (("key", nothing, "ab"), r"a list of them, not the single 'ab'; put it into brackets"),
        (("key", nothing, Dependency("a", nothing)), "put it into brackets"),
        (("key", nothing, {"key": "a"}), "put it into brackets"),
        (("key", nothing, None), "must be a list, not None; leave it out"),
        (("key", nothing, [[1]]), r"a key must be hashable, and \[1\] is not"),
        (("key", nothing, [{"kee": 1}]), "a dependency has key, resolver and dependencies"),
        (("key", nothing, [Dependency("a", 7)]), "'a' must be computed by a function, not 7"),  # type: ignore[arg-type]
    ],
)
@pytest.mark.parametrize("method", ["resolve", "perform_resolution"])
def test_bad_input_is_named(method: str, arguments: tuple[Any, ...], message: str) -> None:
    resolver = AsyncResolver()
    with pytest.raises(TypeError, match=message):
        run(lambda: getattr(resolver, method)(*arguments))
    assert_idle(resolver)


@pytest.mark.parametrize("known", [True, False])
def test_a_coroutine_instead_of_a_function_is_refused_and_closed(known: bool) -> None:
    resolver = AsyncResolver()

    async def main() -> None:
        if known:
            await resolver.resolve("key", nothing)
        with pytest.raises(TypeError, match=r"coroutine nothing\(\) instead of a function"):
            await resolver.resolve("key", nothing())  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"write lambda: nothing\(\.\.\.\)"):
            await resolver.resolve("other", nothing, [("dependency", nothing())])

    run(main)
    gc.collect()


def test_a_coroutine_that_a_function_returns_by_mistake_is_named_and_closed() -> None:
    async def forgot() -> Any:
        return nothing()

    resolver = AsyncResolver()
    with pytest.raises(TypeError, match=r"write return await nothing\(\.\.\.\)"):
        run(lambda: resolver.resolve("key", forgot))
    gc.collect()
    assert_idle(resolver)


def test_a_plain_function_may_return_anything_that_can_be_awaited() -> None:
    async def main() -> None:
        resolver = AsyncResolver()
        future = asyncio.get_running_loop().create_future()
        future.set_result("future")
        assert await resolver.resolve("future", lambda: future) == "future"
        assert await resolver.resolve("coroutine", lambda: asyncio.sleep(0, "slept")) == "slept"

    run(main)


def test_the_same_coroutine_handed_in_twice_fails_the_second_time() -> None:
    async def main() -> None:
        resolver = AsyncResolver()
        coroutine = nothing()
        await resolver.resolve("first", lambda: coroutine)
        with pytest.raises(RuntimeError, match="already awaited"):
            await resolver.resolve("second", lambda: coroutine)
        assert_idle(resolver)

    run(main)


def test_stop_iteration_becomes_an_error_that_can_be_passed_on() -> None:
    resolver = AsyncResolver()
    with pytest.raises(RuntimeError, match="'key' raised StopIteration"):
        run(lambda: resolver.resolve("key", lambda: next(iter(()))))


def test_a_missing_dependency_is_named_before_anything_runs() -> None:
    calls = []
    resolver = AsyncResolver()
    resolver.provides("cache")(lambda: calls.append("cache"))
    resolver.provides("users", depends_on=["cache", "db"])(print)
    with pytest.raises(MissingDependencyError, match=r"'db' is needed by 'users' \(for 'app'\)"):
        run(lambda: resolver.resolve("app", print, ["users"]))
    with pytest.raises(MissingDependencyError, match="nothing provides 'app'") as caught:
        run(lambda: resolver.resolve("app"))
    assert (caught.value.key, caught.value.needed_by) == ("app", ())
    assert calls == []
    assert_idle(resolver)


def test_two_functions_for_one_declared_key_are_refused() -> None:
    resolver = AsyncResolver()
    resolver.provides("key")(nothing)
    with pytest.raises(ValueError, match=r"'key' is provided by .*nothing.* already"):
        resolver.provides("key")(forever)
    with pytest.raises(ValueError, match="resolve it without a function"):
        run(lambda: resolver.resolve("key", forever))
    with pytest.raises(ValueError, match="declared with its dependencies"):
        run(lambda: resolver.resolve("key", dependencies=["other"]))
    assert run(lambda: resolver.resolve("key", nothing)) is None


# -- leaks ---------------------------------------------------------------------------------------


async def one(resolver: AsyncResolver, number: int) -> None:
    async def fate() -> None:
        await asyncio.sleep(0)
        if number % 5 == 0:
            raise ZeroDivisionError
        if number % 7 == 0:
            await resolver.resolve(("top", number))
        if number % 11 == 0:
            await resolver.resolve(("inner", number), nothing)

    needs = [("shared", nothing), (("fate", number), fate)]
    await resolver.resolve(("top", number), lambda *_: None, needs)


async def batch(resolver: AsyncResolver, numbers: range) -> None:
    tasks = [asyncio.create_task(one(resolver, number)) for number in numbers]
    await asyncio.sleep(0)
    for task in tasks[::10]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    resolver.clear()


async def used() -> int:
    await asyncio.sleep(0)  # this step's own handle still holds the last batch
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_a_hundred_thousand_computations_of_every_fate_leave_nothing() -> None:
    async def main() -> None:
        resolver = AsyncResolver(max_concurrent=500)
        for start in range(0, 34_000, 2_000):  # each one is two computations
            await batch(resolver, range(start, start + 2_000))
        tracemalloc.start()  # it makes everything slower, so it looks at the last third
        try:
            await batch(resolver, range(2_000))
            before = await used()
            for start in range(36_000, 50_000, 2_000):
                await batch(resolver, range(start, start + 2_000))
            assert await used() - before < 20_000
        finally:
            tracemalloc.stop()
        assert_idle(resolver)
        assert resolver._cache == {}

    run(main)
