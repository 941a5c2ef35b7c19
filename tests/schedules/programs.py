"""Programs whose freezes are known."""

import asyncio
from collections.abc import Sequence
from typing import Any


async def transfer(delay: float, first: asyncio.Lock, second: asyncio.Lock) -> None:
    """Take two locks, one inside the other, after a while."""
    await asyncio.sleep(delay)
    async with first:
        await asyncio.sleep(0.01)
        async with second:
            pass


async def transfers() -> None:
    """Freeze only if a wait of 10 ms outlasts another of 500 ms."""
    checking, savings = asyncio.Lock(), asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        group.create_task(transfer(0.01, checking, savings), name="alice")
        group.create_task(transfer(0.5, savings, checking), name="bob")


async def ordered() -> None:
    """Take two locks in one order everywhere: nothing freezes it."""
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()

    async def transfer(delay: float) -> None:
        await asyncio.sleep(delay)
        async with lock_a:
            await asyncio.sleep(delay)
            async with lock_b:
                pass

    await asyncio.gather(transfer(0.1), transfer(0.2), transfer(0.3))


async def two_late() -> None:
    """Freeze only if two waits are late: each of the first two beyond the long one."""
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()
    late = 0

    async def quick(name: str) -> None:
        nonlocal late
        await asyncio.sleep(0.1)
        late += over

    async def long() -> None:
        nonlocal over
        await asyncio.sleep(1)
        over = 1

    over = 0
    await asyncio.gather(quick("first"), quick("second"), long())
    if late == 2:
        async with lock_a, lock_b, lock_a:
            pass


async def beside_a_heartbeat() -> None:
    """Take two locks in one order, beside a task that never ends: there is no end of orders."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(0.05)

    heart = asyncio.create_task(beat())
    await ordered()
    heart.cancel()


async def with_a_limit() -> str:
    """Wait for a lock with a time limit."""
    lock = asyncio.Lock()

    async def hold() -> None:
        async with lock:
            await asyncio.sleep(1)

    holder = asyncio.create_task(hold())
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(2), lock:
            return "got it"
    except TimeoutError:
        return "too late"
    finally:
        holder.cancel()


async def handed_over() -> None:
    """Rely on tasks being run in the order in which they became ready."""
    ready: list[int] = []

    async def follower() -> None:
        await asyncio.sleep(0)
        assert ready

    async def leader() -> None:
        await asyncio.sleep(0)
        ready.append(1)

    await asyncio.gather(leader(), follower())


async def joined_queue() -> None:
    """Have two workers empty a small queue, and leave them parked at the end."""
    queue: asyncio.Queue[float] = asyncio.Queue(2)

    async def worker() -> None:
        while True:
            await asyncio.sleep(await queue.get())
            queue.task_done()

    workers = [asyncio.create_task(worker()) for _ in range(2)]
    for n in range(5):
        await queue.put(n / 10)
    await queue.join()
    assert not any(worker.done() for worker in workers)


async def frozen_beside_a_heartbeat() -> None:
    """Freeze as ``transfers`` does, beside a task that never ends."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(0.2)

    heart = asyncio.create_task(beat())
    await transfers()
    heart.cancel()


async def background_pair() -> str:
    """Leave two tasks behind that wait for one another, if a wait is late; main finishes."""
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()
    pair = [
        asyncio.create_task(transfer(0.01, lock_a, lock_b), name="alice"),
        asyncio.create_task(transfer(0.5, lock_b, lock_a), name="bob"),
    ]
    await asyncio.sleep(100)
    return f"{sum(task.done() for task in pair)} of 2"


async def reads_the_clock() -> None:
    """Do something else when it is late."""
    await asyncio.sleep(1)
    if asyncio.get_running_loop().time() > 5:
        await asyncio.Event().wait()


Op = tuple[str, int]


def built(tasks: Sequence[Sequence[Op]], extra: Sequence[int] = ()) -> Any:
    """Make a program of tasks that sleep for some ticks, and take and give back locks.

    Args:
        tasks: for each task its operations: ("sleep", ticks), ("take", lock), ("give", lock).
        extra: by how many ticks each sleep is longer, in the order of the operations.
    """

    async def main() -> None:
        locks = [asyncio.Lock() for _ in range(3)]
        longer = list(extra)
        plans = [
            [(what, n + (longer.pop(0) if longer and what == "sleep" else 0)) for what, n in ops]
            for ops in tasks
        ]

        async def work(ops: Sequence[Op]) -> None:
            for what, n in ops:
                if what == "sleep":
                    await asyncio.sleep(n)
                elif what == "take":
                    await locks[n].acquire()
                elif locks[n].locked():
                    locks[n].release()

        await asyncio.gather(*map(work, plans))

    return main
