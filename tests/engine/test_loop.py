"""The clock and the timers of the loop."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import deadlock_lab as lab
from deadlock_lab.engine.loop import LabLoop


def on_the_loop(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    with asyncio.Runner(loop_factory=LabLoop) as runner:
        return runner.run(main())


def test_timers_for_one_moment_fire_in_the_order_in_which_they_were_set() -> None:
    async def main() -> list[int]:
        fired: list[int] = []
        loop = asyncio.get_running_loop()
        for number in range(100):
            loop.call_at(1, fired.append, number)
        await asyncio.sleep(2)
        return fired

    assert on_the_loop(main) == list(range(100))


def test_times_that_differ_by_a_floats_noise_are_one_moment() -> None:
    async def main() -> list[str]:
        fired: list[str] = []
        loop = asyncio.get_running_loop()
        loop.call_at(0.1 + 0.2, fired.append, "set first")
        loop.call_at(0.3, fired.append, "set second")
        await asyncio.sleep(1)
        return fired

    assert on_the_loop(main) == ["set first", "set second"]


@pytest.mark.parametrize("start", [0, 1e8, 1e9])
def test_who_sleeps_until_a_deadline_finds_that_it_has_come(start: float) -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(start)
        deadline, turns = loop.time() + 0.1 + 0.2, 0
        while loop.time() < deadline:
            await asyncio.sleep(deadline - loop.time())
            turns += 1
        return turns

    assert lab.run(main, max_time=1e10).result() <= 2


def test_many_cancelled_timers_leave_the_others_in_order() -> None:
    async def main() -> list[int]:
        fired: list[int] = []
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(1 + n % 7, fired.append, n) for n in range(1_000)]
        for number, timer in enumerate(timers):
            if number % 10:
                timer.cancel()
        await asyncio.sleep(10)
        return fired

    kept = range(0, 1_000, 10)
    assert on_the_loop(main) == sorted(kept, key=lambda n: n % 7)


def test_a_timer_for_no_number_is_refused() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_at(float("nan"), print)

    with pytest.raises(ValueError, match="nan seconds"):
        on_the_loop(main)


def test_the_loop_alone_says_when_nothing_can_happen_any_more() -> None:
    async def main() -> None:
        await asyncio.sleep(1)
        raise AssertionError("reached")

    loop = LabLoop(max_time=0.5)
    try:
        with pytest.raises(lab.RunawayError, match=r"due at 1 s, beyond max_time=0.5"):
            loop.run_until_complete(main())
        loop.max_time = 5
        for task in asyncio.all_tasks(loop):
            task.cancel()
        with pytest.raises(lab.DeadlockError, match="no timer is set"):
            loop.run_forever()
    finally:
        loop.close()
