"""A place tells the whole chain of awaits that led to it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from deadlock_lab.engine.places import Place
from deadlock_lab.engine.recording import Recording
from deadlock_lab.engine.run import execute
from deadlock_lab.engine.trace import Event, Kind, Trace


def chain_of(trace: Trace, index: int) -> list[Place]:
    chain = []
    while index >= 0:
        chain.append(trace.places[index])
        index = chain[-1].outer
    return chain[::-1]


def functions(trace: Trace, event: Event) -> str:
    return " › ".join(place.function for place in chain_of(trace, event.place))


def chains(recording: Recording, *kinds: Kind) -> list[str]:
    events = [event for event in recording.trace.events if event.kind in kinds]
    return [functions(recording.trace, event) for event in events]


async def fetch(lock: asyncio.Lock) -> None:
    async with lock:
        await asyncio.sleep(1)


async def handler(lock: asyncio.Lock) -> None:
    await fetch(lock)


async def program() -> None:
    await handler(asyncio.Lock())
    await asyncio.sleep(0)


def test_a_wait_deep_in_awaits_is_told_with_all_of_them() -> None:
    assert chains(execute(program), Kind.WAITS) == ["program › handler › fetch"]


def test_each_link_has_the_line_of_its_own_await() -> None:
    trace = execute(program).trace
    wait = next(event for event in trace.events if event.kind is Kind.WAITS)
    lines = [place.line for place in chain_of(trace, wait.place)]
    firsts = [f.__code__.co_firstlineno for f in (program, handler, fetch)]
    assert [line - first for line, first in zip(lines, firsts, strict=True)] == [1, 1, 2]


def test_a_task_goes_on_where_it_waited() -> None:
    assert chains(execute(program), Kind.RESUMED) == [
        "program",
        "program › handler › fetch",
        "program",
    ]


def test_what_a_task_takes_and_makes_on_its_way_has_a_chain_too() -> None:
    assert chains(execute(program), Kind.ACQUIRED, Kind.RELEASED) == [
        "program › handler › fetch",
        "program › handler › fetch",
    ]


def test_a_task_begins_a_chain_of_its_own() -> None:
    async def main() -> None:
        await asyncio.gather(asyncio.create_task(fetch(asyncio.Lock())))

    waits = chains(execute(main), Kind.WAITS)
    assert [chain.rpartition(".")[2] for chain in waits] == ["main", "fetch"]


def test_a_task_that_starts_eagerly_does_not_hang_on_its_maker() -> None:
    factory: Any = getattr(asyncio, "eager_task_factory", None)

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        await asyncio.create_task(handler(asyncio.Lock()))

    if factory is not None:
        assert chains(execute(main), Kind.ACQUIRED) == ["handler › fetch"]


def test_a_callback_of_no_task_has_no_chain() -> None:
    async def main() -> None:
        permit = asyncio.Semaphore(1)
        await permit.acquire()
        asyncio.get_running_loop().call_later(1, permit.release)
        await permit.acquire()

    assert chains(execute(main), Kind.RELEASED) == [""]


def test_the_library_is_no_part_of_a_chain() -> None:
    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        await asyncio.sleep(1)
        yield

    async def use() -> None:
        async with opened():
            pass

    async def main() -> None:
        await asyncio.wait_for(use(), 5)

    waits = chains(execute(main), Kind.WAITS)
    assert waits[-1].split(" › ")[-2:] == ["use", "opened"]


def test_a_comprehension_is_no_call() -> None:
    """It was one until Python 3.12; the chain is the same before and after."""

    async def main() -> None:
        [await asyncio.sleep(n) for n in (1, 2)]

    assert chains(execute(main), Kind.WAITS) == ["main", "main"]


def test_the_same_line_by_the_same_way_is_one_place() -> None:
    async def main() -> None:
        lock = asyncio.Lock()
        for _ in range(50):
            await handler(lock)

    assert len(execute(main).trace.places) < 8
