"""Random graphs of guarded calls: a circle is told if and only if there is one."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deadlock_lab.patterns.errors import CircularDependencyError
from deadlock_lab.patterns.guard import Path, guard

# A call is a function's number and a key; a graph says whom each call asks, and how it waits.
CALLS = [(function, key) for function in range(2) for key in range(3)]
HOW = ["await", "task", "gather", "group"]
graphs = st.fixed_dictionaries(
    {
        call: st.tuples(st.lists(st.sampled_from(CALLS), max_size=2), st.sampled_from(HOW))
        for call in CALLS
    }
)


async def wait_for_all(how: str, coroutines: list[Any]) -> list[Any]:
    if how == "await":
        return [await coroutine for coroutine in coroutines]
    if how == "task":
        return [await asyncio.create_task(coroutine) for coroutine in coroutines]
    if how == "gather":
        return await asyncio.gather(*coroutines)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coroutine) for coroutine in coroutines]
    return [task.result() for task in tasks]


def expected(graph: Any, call: Any, path: tuple[Any, ...] = ()) -> Any:
    """Walk the calls as the definition says: a call on its own path is a circle."""
    if call in path:
        return ("circle", *path[path.index(call) :], call)
    return [call, *(expected(graph, asked, (*path, call)) for asked in graph[call][0])]


def guarded_program(graph: Any, fallback: dict[str, Any]) -> Callable[[Any], Awaitable[Any]]:
    async def body(number: int, key: int) -> Any:
        await asyncio.sleep(0)
        asked, how = graph[number, key]
        coroutines = [functions[number](key) for number, key in asked]
        return [(number, key), *await wait_for_all(how, coroutines)]

    @guard(key=lambda key: key, **fallback)
    async def zero(key: int) -> Any:
        return await body(0, key)

    @guard(key=lambda key: key, **fallback)
    async def one(key: int) -> Any:
        return await body(1, key)

    functions = [zero, one]
    return lambda call: functions[call[0]](call[1])


def circle_of(error: CircularDependencyError) -> tuple[Any, ...]:
    numbers = {"zero": 0, "one": 1}
    return ("circle", *((numbers[node.function], *node.arguments) for node in error.cycle))


@settings(max_examples=60, deadline=None)
@given(graph=graphs)
def test_every_circle_is_told_where_it_closes_and_nothing_else_is(on_loop, graph):
    program = guarded_program(graph, {"fallback": circle_of})

    async def main():
        result = await program((0, 0))
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    assert on_loop(main) == expected(graph, (0, 0))


@settings(max_examples=60, deadline=None)
@given(graph=graphs)
def test_without_a_fallback_a_circle_raises_and_its_absence_does_not(on_loop, graph):
    program = guarded_program(
        {call: (asked, "group") for call, (asked, _) in graph.items()}, fallback={}
    )

    async def main():
        try:
            return await program((0, 0))
        except ExceptionGroup as group:
            unexpected = group.split(CircularDependencyError)[1]
            assert unexpected is None
            return "circle"
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}

    tree = expected(graph, (0, 0))
    assert on_loop(main) == ("circle" if "'circle'" in repr(tree) else tree)


@settings(max_examples=200, deadline=None)
@given(keys=st.lists(st.integers(0, 30), max_size=40))
def test_a_path_agrees_with_a_plain_tuple_of_keys(keys):
    path: Path = Path()
    plain: tuple[int, ...] = ()
    for key in keys:
        assert (key in path) == (key in plain)
        if key in plain:
            with pytest.raises(CircularDependencyError) as caught:
                path.enter(key)
            assert caught.value.cycle == (*plain[plain.index(key) :], key)
        else:
            path, plain = path.enter(key), (*plain, key)
        assert tuple(path) == plain
        assert all(one != other for one, other in pairwise(path))
