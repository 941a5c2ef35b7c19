"""The same program gives the same trace: in every process, under every hash seed.

What could differ between processes is the order of sets, of tasks hashed by address
and of strings hashed by seed; the program below goes through all of them.
"""

import asyncio
import gc
import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import deadlock_lab as lab

RUNS = 50
AT_ONCE = 2


async def abort_a_group(log):
    async def member(number):
        try:
            await asyncio.sleep(10)
        finally:
            log.append(f"member {number} cancelled")

    async def fails():
        await asyncio.sleep(1)
        raise ValueError("group")

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(member(number))
            group.create_task(fails())
    except* ValueError as errors:
        log.append(str(errors))


async def wait_for_sets(log):
    async def member(number):
        await asyncio.sleep(number % 3)
        return number

    tasks = {asyncio.create_task(member(n), name=f"m{n}") for n in range(20)}
    while tasks:
        done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        log += [task.get_name() for task in done]
    for finished in asyncio.as_completed([member(n) for n in range(20)]):
        log.append(f"completed {await finished}")


async def wait_for_futures(log):
    loop = asyncio.get_running_loop()
    futures = {loop.create_future() for _ in range(20)}
    for number, future in enumerate(futures):
        loop.call_later(1, future.set_result, number)
    done, _ = await asyncio.wait(futures)
    log += [f"future {future.result()}" for future in done]


async def drop_tasks_that_wait_for_each_other(log):
    async def ring(tasks, number):
        await asyncio.sleep(0)
        await asyncio.gather(asyncio.shield(tasks[(number + 1) % 3]))

    async def make():
        tasks = []
        tasks += [asyncio.create_task(ring(tasks, n), name=f"ring {n}") for n in range(3)]

    await asyncio.create_task(make())
    await asyncio.sleep(1)
    gc.collect()  # as it may happen at any time
    log.append(f"{len(asyncio.all_tasks())} tasks")


OPEN = []


async def leave_async_generators_open(log):
    async def numbers(name):
        try:
            yield 1
        finally:
            log.append(f"generator {name} closed")
            print(name, "closed")  # noqa: T201 (also after the end)

    for number in range(5):
        async for _ in numbers(number):
            break
    for number in range(5):
        OPEN.append(numbers(f"open {number}"))
        await anext(OPEN[-1])


async def look_at_all_tasks(log):
    others = [asyncio.create_task(asyncio.sleep(1), name=f"sleeper {n}") for n in range(20)]
    log += [task.get_name() for task in asyncio.all_tasks()]
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        if task in others:
            task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def stand_still(log):
    locks = {name: asyncio.Lock() for name in "abc"}

    async def take(first, second):
        async with locks[first]:
            await asyncio.sleep(0)
            async with locks[second]:
                log.append("never")

    async with asyncio.TaskGroup() as group:
        for pair in ("ab", "bc", "ca"):
            group.create_task(take(*pair), name=f"take {pair}")


PARTS = (
    abort_a_group,
    wait_for_sets,
    wait_for_futures,
    leave_async_generators_open,
    look_at_all_tasks,
    drop_tasks_that_wait_for_each_other,
)


async def everything():
    log = []
    OPEN.clear()
    for part in PARTS:
        await part(log)
    log += {f"string {n}" for n in range(3)} & {"string 1"}
    print(*log, sep="\n")  # noqa: T201 (part of what must be the same)
    await stand_still(log)


def fingerprint():
    run = lab.run(everything)
    text = "\n".join((repr(run.trace), repr(run.waits), run.explain()))
    return f"{run.outcome} {run.steps} {hashlib.sha256(text.encode()).hexdigest()}"


def in_a_process(seed):
    here = Path(__file__)
    done = subprocess.run(
        [sys.executable, "-X", "utf8", here, "x" * seed],  # argv moves addresses too
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={
            **os.environ,
            "PYTHONHASHSEED": str(seed),
            "PYTHONPATH": os.pathsep.join(map(str, (here.parents[2], *sys.path))),
        },
    )
    assert not done.stderr
    return done.stdout


def test_a_program_has_the_same_trace_in_every_process_whatever_its_hash_seed():
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outputs = set(pool.map(in_a_process, range(RUNS)))
    assert len(outputs) == 1
    assert "deadlock " in outputs.pop()


def test_a_program_has_the_same_trace_when_run_again_in_one_process(capsys):
    rubbish = []
    prints = set()
    for round_ in range(10):
        print(fingerprint())  # noqa: T201
        prints.add(capsys.readouterr().out)
        rubbish.append([object() for _ in range(round_ * 7)])  # addresses move on
    assert len(prints) == 1


def test_a_task_that_everybody_dropped_is_not_lost_to_the_garbage_collector():
    async def main():
        log = []
        await drop_tasks_that_wait_for_each_other(log)
        return log

    run = lab.run(main)
    assert run.result() == ["4 tasks"]
    assert run.stuck == ("ring 0", "ring 1", "ring 2")
    assert not run.trace.complaints


if __name__ == "__main__":
    print(fingerprint())  # noqa: T201 (read by the test)
