"""What the verdict costs on many tasks, beside networkx on the same graph and by their number.

Linear is what costs the same for each task, however many there are.
"""

import asyncio
import dataclasses
import gc
import time

import networkx

import deadlock_lab as lab
from deadlock_lab.engine.graph import find_stuck

MANY = 10_000
SIZES = (1_000, 10_000, 50_000)
ROUNDS = 3


def following(number, after):
    """Give a program of tasks that each await another: ``after`` tells which, or None."""

    async def main():
        tasks, never = [], asyncio.Event()

        async def follow(me):
            other = after(me)
            await (never.wait() if other is None else tasks[other])

        tasks += [asyncio.create_task(follow(me)) for me in range(number)]
        await asyncio.wait(tasks)

    return main


def one_big_ring(number):
    return following(number, lambda me: (me + 1) % number)


def a_long_chain(number):
    return following(number, lambda me: me + 1 if me + 1 < number else None)


def many_pairs(number):
    return following(number, lambda me: me ^ 1)


def one_lock(number):
    async def main():
        lock = asyncio.Lock()

        async def take():
            async with lock:
                pass

        async with lock:
            await asyncio.wait([asyncio.create_task(take()) for _ in range(number)])

    return main


def an_event_each(number):
    async def main():
        async def wait():
            await asyncio.Event().wait()

        await asyncio.wait([asyncio.create_task(wait()) for _ in range(number)])

    return main


SHAPES = (one_big_ring, a_long_chain, many_pairs, one_lock, an_event_each)


def seconds(do):
    """Take the fastest of some rounds, in processor time, with the collector at rest."""
    took = []
    for _ in range(ROUNDS):
        gc.collect()
        gc.disable()
        began = time.process_time()
        do()
        took.append(time.process_time() - began)
        gc.enable()
    return min(took)


def stand(shape, number):
    began = time.process_time()
    run = lab.run(shape(number), max_steps=10 * number, max_step_seconds=600)
    took = time.process_time() - began
    assert run.outcome == "deadlock"
    assert len(run.stuck) == number + 1
    return run.waits, took


def verdict(waits):
    """Find who is stuck, and the cycles."""
    stuck = find_stuck(waits.waiters, waits.things, waits.holders, (), outside=False)
    return dataclasses.replace(waits, stuck_ids=stuck).loops


def by_networkx(waits):
    graph = networkx.DiGraph((a, b) for a, b, _ in waits.node_edges())
    return list(networkx.strongly_connected_components(graph))


def each(took):
    return " → ".join(f"{took[number] / number * 1e6:.1f}" for number in SIZES)


def main():
    for shape in SHAPES:
        took, whole = {}, {}
        for number in SIZES:
            waits, whole[number] = stand(shape, number)
            took[number] = seconds(lambda waits=waits: verdict(waits))
            if number == MANY:
                peer = seconds(lambda waits=waits: by_networkx(waits))
        told = shape.__name__.replace("_", " ")
        ratio = f"×{took[MANY] / peer:.2f} of networkx"
        print(f"{told:13} {MANY:,} tasks: {ratio}; {each(took)} µs a task")
        print(f"{'':13} with the run and all else: {each(whole)} µs a task")


if __name__ == "__main__":
    main()
