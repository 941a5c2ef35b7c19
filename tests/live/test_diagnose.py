"""``diagnose``: what is sure is found, and nothing else is called a deadlock."""

import asyncio
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import deadlock_lab as lab
from deadlock_lab.engine.teardown import free

from .programs import DEADLOCKS, HARMLESS, lock_order, permits, ticks


async def clear_up(tasks):
    for task in tasks:
        free(task)
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("deadlock", DEADLOCKS)
def test_a_sure_deadlock_is_found_with_its_cycle(on_a_loop, deadlock):
    async def main():
        tasks, cycle = deadlock()
        await ticks(20)
        seen = lab.diagnose()
        await clear_up(tasks)
        return seen, {task.get_name() for task in tasks}, cycle

    seen, names, cycle = on_a_loop(main)
    assert names <= set(seen.stuck)
    assert seen.cycles() == [cycle] if cycle else seen.cycles()
    assert seen.explain().startswith("Deadlock: ")


@pytest.mark.parametrize("harmless", HARMLESS)
def test_what_something_may_still_move_is_no_deadlock(on_a_loop, harmless):
    async def main():
        async with harmless():
            return lab.diagnose()

    seen = on_a_loop(main)
    assert seen.stuck == ()
    assert "No deadlock that is sure" in seen.explain()


@pytest.mark.parametrize("deadlock", DEADLOCKS)
def test_the_kind_is_told_as_a_recorded_run_tells_it(on_a_loop, deadlock):
    async def live():
        tasks, _ = deadlock()
        await ticks(20)
        seen = lab.diagnose()
        await clear_up(tasks)
        return seen

    async def recorded():
        await asyncio.wait(deadlock()[0])

    seen, (expected,) = on_a_loop(live), lab.run(recorded).diagnoses
    (found,) = seen.diagnoses
    assert (found.kind, found.cure, found.sure) == (expected.kind, expected.cure, True)
    assert f"\n\nThe kind: {found.kind}\n  Why: {found.why}\n  To break it: " in seen.explain()


def test_where_there_is_no_deadlock_no_kind_is_told(on_a_loop):
    async def main():
        return lab.diagnose()

    assert on_a_loop(main).diagnoses == ()


def test_the_explanation_names_holders_lines_and_who_waits_behind(on_a_loop):
    async def main():
        tasks, _ = lock_order()
        behind = asyncio.create_task(asyncio.wait(tasks), name="behind")
        await ticks(20)
        seen = str(lab.diagnose())
        behind.cancel()
        await clear_up(tasks)
        return seen

    told = on_a_loop(main)
    assert told.startswith("Deadlock: 3 tasks wait for ever.\n\nThe cycle: alice → bob → alice\n")
    assert re.search(
        r"alice waits to take [\w-]+ \(Lock\), held by bob; it holds [\w-]+ \(Lock\)", told
    )
    assert re.search(r"programs.py line \d+, in enter: async with second:", told)
    assert "Waiting behind it:\n\n  behind waits for both tasks alice and bob" in told


def test_permits_are_told_with_all_their_holders(on_a_loop):
    async def main():
        tasks, _ = permits()
        await ticks(20)
        seen = str(lab.diagnose())
        await clear_up(tasks)
        return seen

    assert "held by one and two" in on_a_loop(main)


def test_a_loop_in_another_thread_answers(on_a_loop):
    async def main():
        tasks, cycle = lock_order()
        await ticks(20)
        loop = asyncio.get_running_loop()
        seen = await asyncio.to_thread(lab.diagnose, loop, timeout=20)
        await clear_up(tasks)
        assert seen.cycles() == [cycle]

    on_a_loop(main)


def test_of_a_loop_that_does_not_answer_it_is_said_where_it_is_kept_busy(on_a_loop):
    over, blocked = threading.Event(), []

    async def main():
        loop = asyncio.get_running_loop()

        def ask():
            blocked.append(lab.diagnose(loop, timeout=0.2))
            over.set()

        threading.Thread(target=ask).start()
        over.wait(20)  # blocks the loop

    on_a_loop(main)
    told = blocked[0].explain()
    assert "Blocked: the loop did not answer within 0.2 s" in told
    assert "in main: over.wait(20)  # blocks the loop" in told
    assert blocked[0].stuck == ()


def blocked_in(on_a_loop, wait):
    """Say how a loop stands whose main runs ``wait`` in a step."""
    seen = []

    async def main():
        loop, ended = asyncio.get_running_loop(), threading.Event()

        async def never():
            await asyncio.sleep(60)

        futures = [asyncio.run_coroutine_threadsafe(never(), loop)]

        def ask():
            seen.append(lab.diagnose(loop, timeout=0.2))
            ended.set()
            futures[0].set_result(None)

        thread = threading.Thread(target=ask)
        await wait(futures, thread, ended)
        thread.join()

    on_a_loop(main)
    return seen[0]


@pytest.mark.parametrize("begun", [False, True])
def test_a_result_that_this_loop_would_have_to_make_is_sync_over_async(on_a_loop, begun):
    async def wait(futures, thread, ended):
        if begun:
            await ticks()
        thread.start()
        futures[0].result()

    seen = blocked_in(on_a_loop, wait)
    (found,) = seen.diagnoses
    assert (found.kind, found.sure) == ("sync-over-async", True)
    assert "futures[0].result()" in seen.explain()
    assert "\n\nThe kind: sync-over-async\n  Why: Task-" in seen.explain()


def test_a_result_with_a_time_limit_will_end(on_a_loop):
    async def wait(futures, thread, ended):
        thread.start()
        futures[0].result(timeout=20)

    (found,) = blocked_in(on_a_loop, wait).diagnoses
    assert (found.kind, found.sure) == ("sync-over-async", False)


def test_the_result_of_a_thread_blocks_the_loop_but_will_come(on_a_loop):
    async def wait(futures, thread, ended):
        thread.start()
        with ThreadPoolExecutor() as pool:
            pool.submit(ended.wait).result()

    seen = blocked_in(on_a_loop, wait)
    assert "pool.submit(ended.wait).result()" in seen.explain()
    assert seen.diagnoses == ()


def test_a_crowd_is_counted_not_listed(on_a_loop):
    async def main():
        event = asyncio.Event()
        crowd = [asyncio.create_task(event.wait()) for _ in range(50)]
        await ticks()
        told = lab.diagnose().explain()
        event.set()
        await asyncio.gather(*crowd)
        return told

    assert " more" in on_a_loop(main)


def test_without_a_loop_it_says_what_to_do():
    with pytest.raises(RuntimeError, match="hand in the loop"):
        lab.diagnose()


def test_ten_thousand_tasks_are_looked_at_in_linear_time():
    async def main(number):
        first = asyncio.get_running_loop().create_future()
        tasks = [asyncio.ensure_future(first)]
        for _ in range(number):
            tasks.append(asyncio.create_task(follow(tasks[-1])))
        await ticks()
        began = time.process_time()
        assert lab.diagnose().stuck == ()
        took = time.process_time() - began
        first.set_result(None)
        await asyncio.gather(*tasks)
        return took

    async def follow(before):
        await before

    small, large = asyncio.run(main(1_000)), asyncio.run(main(10_000))
    assert large < 40 * small  # quadratic would be 100 times
