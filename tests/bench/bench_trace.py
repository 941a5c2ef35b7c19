"""What the loop costs: untraced, and traced by ``lab.run``, beside stock asyncio."""

import asyncio
import gc
import statistics
import time

import deadlock_lab as lab
from deadlock_lab.engine.loop import LabLoop

ROUNDS = 5
LIMITS = {"max_steps": 10**7}


async def hops():
    async def hop():
        for _ in range(400):
            await asyncio.sleep(0)

    await asyncio.gather(*(hop() for _ in range(50)))


async def sleeps():
    async def nap():
        for _ in range(100):
            await asyncio.sleep(1e-6)

    await asyncio.gather(*(nap() for _ in range(50)))


async def locks():
    lock = asyncio.Lock()

    async def take():
        for _ in range(100):
            async with lock:
                await asyncio.sleep(0)

    await asyncio.gather(*(take() for _ in range(50)))


async def queues():
    queue = asyncio.Queue(10)

    async def produce():
        for number in range(5_000):
            await queue.put(number)

    async def consume():
        for _ in range(5_000):
            await queue.get()

    await asyncio.gather(produce(), consume())


def stock(program):
    asyncio.run(program())


def untraced(program):
    with asyncio.Runner(loop_factory=lambda: LabLoop(**LIMITS)) as runner:
        runner.run(program())


def traced(program):
    assert lab.run(program, max_step_seconds=600, **LIMITS).outcome == "finished"


def seconds(way, program):
    gc.collect()
    began = time.process_time()
    way(program)
    return time.process_time() - began


def main():
    for program in (hops, sleeps, locks, queues):
        rounds = [
            [seconds(way, program) for way in (stock, untraced, traced)] for _ in range(ROUNDS)
        ]
        bare, full = (
            statistics.median(row[column] / row[0] for row in rounds) for column in (1, 2)
        )
        print(f"{program.__name__:7} untraced ×{bare:.2f} of asyncio, traced ×{full:.2f}")


if __name__ == "__main__":
    main()
