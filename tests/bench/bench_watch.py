"""What a watch costs: a busy loop with it and without, in turns, as a ratio."""

import asyncio
import statistics
import time

import deadlock_lab as lab

ROUNDS = 3


async def busy(workers, turns):
    """Hops, queues and locks: nothing but the loop's own work."""
    queue, lock = asyncio.Queue(10), asyncio.Lock()

    async def produce():
        for turn in range(turns):
            await queue.put(turn)
            async with lock:
                await asyncio.sleep(0)

    async def consume():
        for _ in range(turns):
            await queue.get()

    await asyncio.gather(*(do() for _ in range(workers) for do in (produce, consume)))


async def timed(workers, turns, parked, *, watched):
    event = asyncio.Event()
    tasks = [asyncio.create_task(event.wait()) for _ in range(parked)]
    await asyncio.sleep(0)
    watch = lab.watch() if watched else None
    began = time.process_time()
    await busy(workers, turns)
    took = time.process_time() - began
    if watch:
        watch.close()
    event.set()
    await asyncio.gather(*tasks)
    return took


def ratio(workers, turns, parked, factory):
    pairs = []
    for _ in range(ROUNDS):
        with asyncio.Runner(loop_factory=factory) as runner:
            bare, watched = (
                runner.run(timed(workers, turns, parked, watched=w)) for w in (False, True)
            )
        pairs.append(watched / bare)
    return statistics.median(pairs)


def main():
    loops = {"asyncio": asyncio.new_event_loop}
    try:
        import uvloop
    except ImportError:
        pass
    else:
        loops["uvloop"] = uvloop.new_event_loop
    for name, factory in loops.items():
        for workers, turns, parked in ((50, 3000, 0), (50, 3000, 2_000), (50, 3000, 10_000)):
            cost = ratio(workers, turns, parked, factory)
            print(f"{name}: {2 * workers} busy tasks, {parked:6,} parked: watched ×{cost:.3f}")


if __name__ == "__main__":
    main()
