"""A time limit round a ring of tasks is named for what it is: it cannot end it."""

import asyncio
from typing import Any

import deadlock_lab as lab
from deadlock_lab.patterns import with_timeout


async def ring() -> asyncio.Task[Any]:
    """Start three tasks that await one another, and give the first."""
    tasks: dict[str, asyncio.Task[Any]] = {}

    async def follow(other: str) -> None:
        await asyncio.sleep(0)
        await tasks[other]

    for name, other in ("AB", "BC", "CA"):
        tasks[name] = asyncio.create_task(follow(other), name=name)
    return tasks["A"]


async def limited() -> None:
    """Put a time limit round a ring."""
    async with asyncio.timeout(2):
        await (await ring())


def test_a_limit_that_could_not_end_a_ring_is_told_with_whose_it_was_and_when() -> None:
    """The run is a deadlock all the same."""
    run = lab.run(limited)
    [futile] = run.futile
    assert (run.outcome, futile.limit_of, futile.seconds) == ("deadlock", "main", 2.0)
    assert run.trace.events[futile.event].time == 2_000_000_000


def test_the_explanation_names_it_says_why_and_what_to_use() -> None:
    """In three lines."""
    told = lab.run(limited).explain()
    assert "A timeout to no avail: the time limit of main was up at 2 s." in told
    assert "with_timeout of deadlock_lab.patterns" in told
    assert lab.run(limited).to_dict()["futile"][0]["limit_of"] == "main"


def test_a_limit_that_ends_a_deadlock_is_not_futile() -> None:
    """It hid one: that is told as masked."""

    async def main() -> str:
        lock = asyncio.Lock()
        async with lock:
            try:
                async with asyncio.timeout(1):
                    await lock.acquire()
            except TimeoutError:
                return "gave up"
        return "?"

    run = lab.run(main)
    assert (run.futile, len(run.masked)) == ((), 1)


def test_a_limit_of_ours_is_not_futile_round_a_ring() -> None:
    """It frees its caller from the other side."""

    async def main() -> str:
        try:
            await with_timeout(ring_itself(), 1)
        except TimeoutError:
            return "freed"
        return "?"

    async def ring_itself() -> None:
        await (await ring())

    run = lab.run(main)
    assert (run.result(), run.futile) == ("freed", ())


def test_a_limit_whose_task_would_not_stop_is_not_said_to_have_come_round_a_ring() -> None:
    """It was cancelled, and waits again: that is another story."""

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    async def main() -> None:
        async with asyncio.timeout(1):
            await asyncio.create_task(stubborn())

    run = lab.run(main)
    assert (run.outcome, run.futile) == ("deadlock", ())
