"""Programs that between them show everything the views can draw."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from deadlock_lab.engine.recording import Recording
from deadlock_lab.engine.run import execute
from deadlock_lab.views.cut import shown

EVIL = "<img src=x onerror=\"document.title='pwned'\">"


async def circle() -> None:
    tasks: dict[str, asyncio.Task[Any]] = {}

    async def worker(other: str) -> None:
        await asyncio.sleep(0)
        await tasks[other]

    for name, other in ("AB", "BC", "CA"):
        tasks[name] = asyncio.create_task(worker(other), name=name)
    await asyncio.gather(*tasks.values())


async def locks() -> None:
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()

    async def transfer(first: asyncio.Lock, second: asyncio.Lock) -> None:
        async with first:
            await asyncio.sleep(0.5)
            async with second:
                pass

    async with asyncio.TaskGroup() as group:
        group.create_task(transfer(lock_a, lock_b), name="alice")
        group.create_task(transfer(lock_b, lock_a), name="bob")


async def reentry() -> None:
    lock = asyncio.Lock()
    async with lock, lock:
        pass


async def mixed() -> list[Any]:
    async def job(n: int) -> int:
        await asyncio.sleep(n / 10)
        if n == 2:
            raise ValueError("two is {bad}")
        return n

    async with asyncio.timeout(5):
        jobs = [asyncio.create_task(job(n), name=f"job-{n}") for n in range(4)]
        jobs[3].cancel()
        return await asyncio.gather(*jobs, return_exceptions=True)


async def timed_out() -> None:
    async with asyncio.timeout(0.25):
        await asyncio.Event().wait()


async def crowd() -> None:
    lock, queue = asyncio.Lock(), asyncio.Queue[int](2)

    async def producer(n: int) -> None:
        async with lock:
            await asyncio.sleep(0.1)
            await queue.put(n)

    async def consumer() -> None:
        while True:
            await queue.get()
            async with lock:
                await asyncio.sleep(0.05)

    producers = [asyncio.create_task(producer(n), name=f"producer-{n}") for n in range(8)]
    consumers = [asyncio.create_task(consumer(), name=f"consumer-{n}") for n in range(3)]
    await asyncio.gather(*producers, *consumers)


async def masked() -> None:
    async def wait_for(other: str) -> None:
        await asyncio.sleep(0)
        await tasks[other]

    tasks = {
        name: asyncio.create_task(wait_for(other), name=name)
        for name, other in ((EVIL, "a_$x^2$_`tick`_名前"), ("a_$x^2$_`tick`_名前", EVIL))
    }
    await asyncio.sleep(1)


async def long_ring() -> None:
    tasks: list[asyncio.Task[Any]] = []

    async def node(n: int) -> None:
        await asyncio.sleep(0)
        await tasks[(n + 1) % 30]

    tasks += [asyncio.create_task(node(n), name=f"node-{n}") for n in range(30)]
    await asyncio.wait(tasks)


async def nobody_sets() -> None:
    event = asyncio.Event()
    await event.wait()


async def busy() -> None:
    async def job(n: int) -> None:
        for k in range(40):
            await asyncio.sleep((n * 7 + k) % 11 / 100)

    await asyncio.gather(*(asyncio.create_task(job(n)) for n in range(50)))


async def callbacks() -> None:
    loop = asyncio.get_running_loop()
    permit, lock = asyncio.Semaphore(1), asyncio.Lock()
    await permit.acquire()
    await lock.acquire()
    late: list[asyncio.Task[None]] = []
    loop.call_later(1, permit.release)
    loop.call_later(2, lambda: late.append(loop.create_task(trivial(), name="late")))
    loop.call_later(9, print).cancel()
    await permit.acquire()
    asyncio.create_task(give(lock), name="giver")
    await lock.acquire()
    await asyncio.sleep(2)


async def give(lock: asyncio.Lock) -> None:
    lock.release()


async def failing() -> None:
    raise LookupError("no such thing")


async def trivial() -> None:
    pass


async def endless() -> None:
    while True:
        await asyncio.sleep(1)


async def breeding(n: int = 0) -> None:
    await asyncio.sleep(0)
    await asyncio.create_task(breeding(n + 1), name=f"child-{n}")


async def thronged() -> None:
    event = asyncio.Event()
    tasks = [asyncio.create_task(event.wait(), name=f"waiter-{n}") for n in range(300)]
    await asyncio.gather(*tasks)


async def freed() -> None:
    with suppress(BaseExceptionGroup):
        await locks()
    await asyncio.sleep(1)


async def rescued() -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(3):
            await locks()


async def line_by_line() -> None:
    """Show loops and local variables; its lines are recorded."""

    async def job(n: int, constructor: str) -> int:
        __proto__ = {"n": n, "text": f"`{constructor}` {EVIL}"}
        for k in range(n):
            await asyncio.sleep(k)
            first = second = third = fourth = fifth = k
        del __proto__
        return first + second + third + fourth + fifth

    async with asyncio.TaskGroup() as group:
        group.create_task(job(3, "one"), name="three")
        group.create_task(job(2, "other"), name="two")
    while True:
        await asyncio.sleep(await job(1, "same"))


PROGRAMS = {
    program.__name__: program
    for program in (
        circle, locks, reentry, mixed, timed_out, crowd, masked, long_ring, nobody_sets, busy,
        callbacks, failing, trivial, endless, breeding, thronged, freed, rescued, line_by_line,
    )
}  # fmt: skip


@pytest.fixture(scope="session")
def record() -> Callable[[str], Recording]:
    """Record one of the programs, once for all tests."""
    done: dict[str, Recording] = {}

    def recording_of(name: str) -> Recording:
        if name not in done:
            action: Any = "break" if name == "freed" else "stop"
            limits: Any = {"max_time": 100, "max_steps": 100 if name == "line_by_line" else 5_000}
            lines = name == "line_by_line"
            done[name] = execute(PROGRAMS[name], on_deadlock=action, lines=lines, **limits)
        return done[name]

    return recording_of


@pytest.fixture(params=PROGRAMS)
def any_recording(request: pytest.FixtureRequest, record: Callable[[str], Recording]) -> Recording:
    """Give each of the programs' recordings in turn, as much of it as is shown."""
    return shown(record(request.param))
