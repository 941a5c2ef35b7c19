"""``watch``: a deadlock is told of as it forms, once; nothing else ever is."""

import asyncio
import gc
import logging
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import deadlock_lab as lab
from deadlock_lab.engine.teardown import free

from .programs import (
    BY_HAND,
    DEADLOCKS,
    HARMLESS,
    PROBABLE,
    awaits,
    lock_order,
    locks_by_hand,
    spawn,
    ticks,
)

QUICK = 0.02


def methods():
    semaphore = asyncio.Semaphore
    return [asyncio.Lock.acquire, semaphore.acquire, semaphore.release, semaphore.__init__]


UNTOUCHED = methods()


async def until(true):
    while not true():
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("deadlock", DEADLOCKS + BY_HAND)
def test_a_deadlock_is_told_of_once_and_broken(on_a_loop, deadlock, caplog):
    async def main():
        async with lab.watch(interval=QUICK, on_deadlock="break") as watch:
            tasks, cycle = deadlock()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            return watch.found, ends, cycle

    found, ends, cycle = on_a_loop(main)
    assert cycle is None or found[0].cycles() == [cycle]
    assert any(isinstance(end, lab.DeadlockError | ExceptionGroup) for end in ends)
    assert [r.getMessage() for r in caplog.records if r.name == "deadlock_lab"] == [
        seen.explain(others=False) for seen in found
    ]
    assert len(found) == 1


@pytest.mark.parametrize("harmless", HARMLESS)
def test_nothing_harmless_is_told_of(on_a_loop, harmless):
    async def main():
        async with lab.watch(interval=QUICK) as watch:
            async with harmless():
                await asyncio.sleep(10 * QUICK)
            return watch.found

    assert on_a_loop(main) == []


@pytest.mark.parametrize("probable", PROBABLE)
def test_what_is_probably_a_deadlock_is_warned_of_once_after_a_while(on_a_loop, probable, caplog):
    async def main():
        async with lab.watch(interval=QUICK, on_deadlock="break", patience=0.2) as watch:
            tasks, doubt = probable()
            began = time.monotonic()
            await until(lambda: watch.suspected)
            waited = time.monotonic() - began
            await asyncio.sleep(20 * QUICK)
        for task in tasks:
            free(task)
        await asyncio.gather(*tasks, return_exceptions=True)
        return watch, doubt, waited

    watch, doubt, waited = on_a_loop(main)
    (record,) = [r for r in caplog.records if r.name == "deadlock_lab"]
    told = record.getMessage()
    assert (record.levelno, watch.found, waited > 0.2) == (logging.WARNING, [], True)
    assert "No deadlock that is sure." in told
    assert "\nProbably a deadlock: " in told
    assert re.search(r"\nThe kind: .* \(probably\)\n", told)
    assert f"\nThis is not sure:\n  {doubt}" in told
    assert watch.suspected[0].stuck == ()


def test_who_cannot_open_a_ring_by_cancelling_is_no_help(on_a_loop):
    async def main():
        async with lab.watch(interval=QUICK, on_deadlock="break") as watch:
            tasks, cycle = awaits()
            try:
                while not watch.found:
                    await asyncio.sleep(QUICK)
            finally:
                for task in tasks:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return watch.found[0].cycles() == [cycle]

    assert on_a_loop(main)


def test_a_heartbeat_that_does_cancel_is_not_told_of(on_a_loop):
    async def main():
        async with lab.watch(interval=QUICK) as watch:
            tasks, _ = lock_order()
            for _ in range(10):
                await asyncio.sleep(QUICK)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return watch.found + watch.suspected

    assert on_a_loop(main) == []


def test_a_lock_that_was_taken_before_the_watch_is_a_guess(on_a_loop):
    async def main():
        tasks, _ = locks_by_hand()
        await ticks(10)
        async with lab.watch(interval=QUICK) as watch:
            await asyncio.sleep(10 * QUICK)
            seen = lab.diagnose()
        for task in tasks:
            free(task)
        await asyncio.gather(*tasks, return_exceptions=True)
        return watch.found, seen

    found, seen = on_a_loop(main)
    assert (found, seen.stuck, seen.doubt) == ([], (), None)
    assert "held at least by bob (a guess)" in seen.explain()


def test_locks_are_as_before_after_the_last_watch(on_a_loop):
    async def main():
        first = lab.watch()
        async with lab.watch():
            first.close()
            first.close()
            return methods()

    assert not set(on_a_loop(main)) & set(UNTOUCHED)
    assert methods() == UNTOUCHED


def test_a_watch_that_nobody_closes_ends_with_its_loop(on_a_loop):
    async def main():
        lab.watch()

    on_a_loop(main)
    gc.collect()
    assert methods() == UNTOUCHED


def test_loops_in_several_threads_are_watched_each_for_itself(on_a_loop):
    async def main():
        async with lab.watch(interval=QUICK, on_deadlock="break") as watch:
            tasks, _ = locks_by_hand()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [seen.cycles() for seen in watch.found]

    with ThreadPoolExecutor() as pool:
        ends = list(pool.map(on_a_loop, [main] * 4))
    assert ends == [[[("alice", "bob", "alice")]]] * 4
    assert methods() == UNTOUCHED


def test_a_deadlock_is_logged_once_however_long_it_lasts(on_a_loop, caplog):
    async def main():
        watch = lab.watch(interval=QUICK)
        tasks, _ = lock_order()
        await until(lambda: watch.found)
        behind = spawn(asyncio.wait(tasks), names=("behind",))
        await asyncio.sleep(10 * QUICK)
        watch.close()
        for task in behind + tasks:
            free(task)
        await asyncio.gather(*tasks, *behind, return_exceptions=True)

    on_a_loop(main)
    (record,) = [r for r in caplog.records if r.name == "deadlock_lab"]
    assert record.levelno == logging.ERROR
    assert "The cycle: alice → bob → alice" in record.getMessage()


def test_it_raises_in_the_task_that_asked_for_it(on_a_loop):
    async def watched():
        async with lab.watch(interval=QUICK, on_deadlock="raise"):
            await asyncio.Event().wait()

    async def main():
        tasks, _ = awaits()
        with pytest.raises(lab.DeadlockError, match="The cycle: a → b → c → a"):
            await watched()
        # A ring that cancel() cannot end has been opened: the loop can be closed.
        await asyncio.gather(*tasks, return_exceptions=True)
        return [task.cancelled() for task in tasks]

    assert on_a_loop(main) == [True, True, True]


def test_a_function_is_called_with_where_everyone_stands(on_a_loop):
    async def main():
        told = asyncio.get_running_loop().create_future()
        async with lab.watch(interval=QUICK, on_deadlock=told.set_result):
            tasks, cycle = lock_order()
            seen = await told
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert seen.cycles() == [cycle]

    on_a_loop(main)


def test_a_loop_in_another_thread_can_be_watched(on_a_loop):
    async def main():
        told, loop = threading.Event(), asyncio.get_running_loop()
        tasks, _ = lock_order()
        watch = await asyncio.to_thread(
            lab.watch, loop, interval=QUICK, on_deadlock=lambda _: told.set()
        )
        assert await asyncio.to_thread(told.wait, 20)
        watch.close()
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    on_a_loop(main)


def test_after_close_it_looks_no_more(on_a_loop):
    async def main():
        watch = lab.watch(interval=QUICK)
        watch.close()
        tasks, _ = lock_order()
        await asyncio.sleep(10 * QUICK)
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return watch.found

    assert on_a_loop(main) == []


def test_a_busy_program_takes_locks_in_order_and_is_never_suspected(on_a_loop):
    async def main():
        locks = [asyncio.Lock() for _ in range(4)]

        async def work(number):
            for turn in range(200):
                low, high = sorted({number % 4, (number + turn) % 4} | {0})[-2:]
                async with locks[low]:
                    await asyncio.sleep(0)
                    async with locks[high]:
                        await asyncio.sleep(0)

        async with lab.watch(interval=0.001) as watch:
            await asyncio.gather(*(work(n) for n in range(1, 10) if n % 4))
            await ticks()
        return watch.found

    assert on_a_loop(main) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"interval": 0}, "interval must be above 0 seconds, but is 0"),
        ({"patience": -1}, "patience must be above 0 seconds, but is -1"),
        ({"on_deadlock": "panic"}, 'must be "log", "raise", "break" or a function'),
    ],
)
def test_a_wrong_option_is_refused(options, says):
    async def main():
        with pytest.raises(ValueError, match=says):
            lab.watch(**options)

    asyncio.run(main())


def test_without_a_task_there_is_none_to_raise_in():
    loop = asyncio.new_event_loop()
    with pytest.raises(ValueError, match="needs a task to raise in"):
        lab.watch(loop, on_deadlock="raise")
    loop.close()


def test_without_a_loop_it_says_what_to_do():
    with pytest.raises(RuntimeError, match="hand in the loop"):
        lab.watch()
