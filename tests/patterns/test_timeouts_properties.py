"""Random graphs of waiting tasks: a limit always frees its caller, and every task ends."""

import asyncio
import contextlib
import gc
import tracemalloc
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deadlock_lab.patterns.timeouts import OperationTimeoutError, with_timeout, with_timeout_or

LIMIT, GRACE = 0.01, 0.05

# For each task, how it waits and for whom. A task that waits for nobody waits for ever.
TASKS = range(5)
HOW = ["await", "gather", "collect", "shield", "wait", "group", "limit"]
graphs = st.lists(
    st.tuples(st.sampled_from(HOW), st.lists(st.sampled_from(TASKS), max_size=3, unique=True)),
    min_size=len(TASKS),
    max_size=len(TASKS),
)


async def wait(how: str, awaited: list[asyncio.Task[Any]]) -> None:
    match how:
        case "gather":
            await asyncio.gather(*awaited)
        case "collect":
            await asyncio.gather(*awaited, return_exceptions=True)
        case "wait":
            await asyncio.wait(awaited)
        case "group":
            async with asyncio.TaskGroup() as group:
                for task in awaited:
                    group.create_task(wait("await", [task]))
        case _:
            for task in awaited:
                if how == "limit":
                    await with_timeout_or(task, 60, None)
                else:
                    await (asyncio.shield(task) if how == "shield" else task)


async def program(graph: Any) -> None:
    tasks: list[asyncio.Task[Any]] = []

    async def work(index: int) -> None:
        await asyncio.sleep(0)
        how, numbers = graph[index]
        awaited = [tasks[number] for number in numbers if number != index]
        if awaited:
            await wait(how, awaited)
        else:
            await asyncio.get_running_loop().create_future()

    tasks += [asyncio.create_task(work(index), name=str(index)) for index in TASKS]
    me = asyncio.current_task()
    assert me is not None
    for task in tasks:
        # One limit after the other, each for what the ones before have left.
        with contextlib.suppress(OperationTimeoutError, asyncio.CancelledError, ExceptionGroup):
            await with_timeout(task, LIMIT, grace=GRACE)
    for _ in range(20):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() - {me} == set()
    assert me.cancelling() == 0


@settings(max_examples=60, deadline=None)
@given(graph=graphs)
def test_every_caller_is_freed_and_every_task_of_every_graph_ends(on_loop, graph):
    on_loop(lambda: program(graph))


@settings(max_examples=60, deadline=None)
@given(
    limits=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    needs=st.integers(0, 40),
    in_tasks=st.booleans(),
)
def test_of_nested_limits_the_first_to_run_out_is_reported(on_loop, limits, needs, in_tasks):
    exact = on_loop.__name__ == "the_lab"
    unit = 1.0 if exact else 0.001

    async def nest(level: int) -> str:
        if level == len(limits):
            await asyncio.sleep(needs * unit)
            return "done"
        inner = nest(level + 1)
        return await with_timeout(
            asyncio.create_task(inner) if in_tasks else inner,
            limits[level] * unit,
            name=str(level),
        )

    async def main() -> str:
        try:
            return await nest(0)
        except OperationTimeoutError as error:
            return error.name
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    outcome = on_loop(main)
    if exact:  # on a real clock, a millisecond decides nothing
        first = min(limits)
        assert outcome == ("done" if needs <= first else str(limits.index(first)))


async def mixed(number: int) -> None:
    """End at once, after a while, with an error, or too late."""
    match number % 10:
        case 0:
            await asyncio.sleep(0)
        case 1:
            raise ValueError
        case 2 if number % 500 == 2:
            await asyncio.sleep(60)


def test_a_hundred_thousand_limits_of_mixed_ends_leave_nothing_behind():
    async def many() -> int:
        for number in range(50_000):
            with contextlib.suppress(ValueError, OperationTimeoutError):
                await with_timeout(with_timeout(mixed(number), 60.0), 0.0001)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    async def main() -> int:
        tracemalloc.start()
        try:
            return -await many() + await many()
        finally:
            tracemalloc.stop()

    assert asyncio.run(main()) < 50_000
