"""The race frees the caller on time, and that is all it does."""

import asyncio

import pytest

import deadlock_lab as lab
from deadlock_lab.article.timeout_race import safe_process_user_data, with_timeout


def now():
    return asyncio.get_running_loop().time()


def test_the_caller_is_free_on_time_and_the_loser_runs_on():
    written = []

    async def write():
        await asyncio.sleep(3)
        written.append(now())

    async def main():
        begin = now()
        with pytest.raises(Exception, match="timed out after 1s"):
            await with_timeout(write(), 1)
        free = now() - begin
        await asyncio.sleep(9)
        return free, written[0] - begin

    assert lab.run(main).result() == (1, 3)


def test_a_loser_keeps_the_lock_that_the_next_try_needs():
    async def main():
        lock = asyncio.Lock()

        async def work():
            async with lock:
                await asyncio.sleep(3)

        with pytest.raises(Exception, match="timed out"):
            await with_timeout(work(), 1)
        return lock.locked()

    assert lab.run(main).result() is True


def test_the_timer_runs_on_for_all_of_its_time():
    async def main():
        begin = now()
        await with_timeout(asyncio.sleep(0.001), 1.5)
        (timer,) = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait({timer})
        return now() - begin

    assert lab.run(main).result() == 1.5


def test_only_its_text_tells_a_timeout_from_another_error():
    async def main():
        try:
            await with_timeout(asyncio.sleep(9), 1)
        except Exception as error:  # noqa: BLE001 — it is nothing more special than that
            return type(error), str(error)

    assert lab.run(main).result() == (Exception, "Operation timed out after 1s")


def test_the_safe_form_takes_another_error_for_its_own():
    async def refused(user_id):
        raise ConnectionError("proxy: connection timed out, wrong password")

    run = lab.run(lambda: safe_process_user_data(42, refused))

    assert run.result() == {"error": "Processing timeout", "user_id": 42}
    assert run.seconds == 0


def test_the_safe_form_answers_with_a_substitute_and_raises_other_errors():
    async def slow(user_id):
        await asyncio.sleep(60)

    async def broken(user_id):
        raise KeyError(user_id)

    log = []
    answer = lab.run(lambda: safe_process_user_data(42, slow, log=log)).result()

    assert (answer["error"], log) == ("Processing timeout", ["user processing timeout: 42"])
    with pytest.raises(KeyError):
        lab.run(lambda: safe_process_user_data(42, broken)).result()


def test_unlike_asyncio_timeout_the_race_does_free_the_caller_of_a_circle():
    """But the circle stays where it is."""

    async def main():
        tasks = []

        async def waits_for(index):
            await asyncio.sleep(0)
            await tasks[index]

        tasks += [asyncio.create_task(waits_for(index)) for index in (1, 0)]
        with pytest.raises(Exception, match="timed out"):
            await with_timeout(tasks[0], 1)
        return [task.done() for task in tasks]

    run = lab.run(main)

    assert run.result() == [False, False]
    assert len(run.stuck) == 2
