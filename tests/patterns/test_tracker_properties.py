"""Random trees of operations: refused if and only if a circle would close, and nothing is left."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deadlock_lab.patterns._acyclic import Node, connect, disconnect
from deadlock_lab.patterns.errors import CircularDependencyError
from deadlock_lab.patterns.tracker import AsyncDependencyTracker

Main = Callable[[], Awaitable[Any]]


class Plan:
    """One operation of a random program, and what it starts."""

    def __init__(self, rng: random.Random, depth: int) -> None:
        self.name = rng.choice("ABCDEF")
        self.needs = rng.sample("ABCDEF", rng.choice([0, 0, 1, 2]))
        self.steps = rng.randint(0, 4)
        self.lingers = rng.choice([0, 0, 3, 9])
        self.fails = rng.random() < 0.1
        self.detached = rng.random() < 0.15
        self.awaited = rng.random() < 0.8
        self.at_once = rng.random() < 0.5
        self.inner = [Plan(rng, depth - 1) for _ in range(rng.randint(0, 3) if depth else 0)]


class Running:
    """What the test itself knows of an operation that runs."""

    def __init__(self, plan: Plan, outer: "Running | None") -> None:
        self.plan, self.outer = plan, outer
        self.running = self.began = False


class Model:
    """The tracker's promise, the slow and obvious way."""

    def __init__(self) -> None:
        self.known: list[Running] = []

    def edges(self) -> set[tuple[str, str]]:
        edges = set()
        for each in self.known:
            if each.running:
                edges |= {(each.plan.name, need) for need in each.plan.needs}
                outer = None if each.plan.detached else self.outer_of(each)
                edges |= {(outer.plan.name, each.plan.name)} if outer else set()
        return edges

    def outer_of(self, each: Running) -> Running | None:
        outer = each.outer
        while outer and not outer.running:
            outer = None if outer.plan.detached else outer.outer
        return outer

    def refuses(self, new: Running) -> bool:
        new.running = True
        self.known.append(new)
        refused = has_cycle(self.edges())
        if refused:
            new.running = False
            self.known.remove(new)
        return refused


def has_cycle(edges: set[tuple[str, str]]) -> bool:
    left = set(edges)
    while True:
        sources = {a for a, _ in left}
        kept = {(a, b) for a, b in left if b in sources}
        if kept == left:
            return bool(left)
        left = kept


class Game:
    """A random program played on a tracker, with the model looking on."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.tracker, self.model = AsyncDependencyTracker(), Model()
        self.strays: list[asyncio.Task[None]] = []

    async def play(self) -> None:
        plans = [Plan(self.rng, 3) for _ in range(self.rng.randint(1, 4))]
        top = [asyncio.create_task(self.start(plan, None)) for plan in plans]
        if self.rng.random() < 0.3:
            await pause(self.rng.randint(0, 9))
            self.rng.choice(top).cancel()
        await asyncio.gather(*top, return_exceptions=True)
        while not all(task.done() for task in self.strays):
            await asyncio.gather(*self.strays, return_exceptions=True)
        for task in [*top, *self.strays]:
            if not task.cancelled() and not isinstance(task.exception(), ZeroDivisionError):
                task.result()
        assert self.tracker.active_operations == {}
        assert self.tracker._ids == {}

    async def start(self, plan: Plan, outer: Running | None) -> None:
        await pause(plan.steps)
        me = Running(plan, outer)
        expected = self.model.refuses(me)
        if not plan.detached:
            assert bool(self.tracker.would_create_cycle(plan.name, plan.needs)) is expected
        try:
            await self.tracker.track_operation(
                plan.name, lambda: self.body(me), plan.needs, detached=plan.detached
            )
        except CircularDependencyError as error:
            self.check_cycle(plan, error.cycle)
        finally:
            me.running = False
        assert me.began is not expected

    async def body(self, me: Running) -> None:
        me.began = True
        plan = me.plan
        await pause(plan.steps)
        if plan.at_once or not plan.awaited:
            tasks = [asyncio.create_task(self.start(each, me)) for each in plan.inner]
            self.strays += tasks
            await asyncio.gather(*tasks if plan.awaited else ())
        else:
            for each in plan.inner:
                await self.start(each, me)
        await pause(plan.lingers)
        if plan.fails:
            raise ZeroDivisionError

    def check_cycle(self, plan: Plan, cycle: tuple[Any, ...]) -> None:
        assert cycle[0] == cycle[-1] == plan.name
        assert len(set(cycle)) == len(cycle) - 1
        new = {(plan.name, need) for need in plan.needs}
        new |= {(each.plan.name, plan.name) for each in self.model.known if each.running}
        assert set(pairwise(cycle)) <= self.model.edges() | new


async def pause(steps: int) -> None:
    for _ in range(steps):
        await asyncio.sleep(0)


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_an_operation_is_refused_if_and_only_if_it_would_close_a_circle(
    on_loop: Callable[[Main], Any], seed: int
) -> None:
    on_loop(Game(random.Random(seed)).play)


@settings(max_examples=150, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans()), min_size=1, max_size=60
    )
)
def test_the_ranks_climb_along_every_edge_whatever_comes_and_goes(
    changes: list[tuple[int, int, bool]],
) -> None:
    nodes = [Node() for _ in range(7)]
    edges: list[tuple[int, int]] = []
    for waiter, waited, take_back in changes:
        if take_back and edges:
            gone = edges.pop(waiter % len(edges))
            disconnect(nodes[gone[0]], nodes[gone[1]])
            continue
        names = {(str(a), str(b)) for a, b in [*edges, (waiter, waited)]}
        cycle = connect(nodes[waiter], nodes[waited])
        assert bool(cycle) is has_cycle(names)
        if cycle:
            assert cycle[:2] == [nodes[waiter], nodes[waited]]
            assert all(b in a.waits_for for a, b in pairwise(cycle[1:]))
        else:
            edges.append((waiter, waited))
        assert all(a.rank < b.rank for a in nodes for b in a.waits_for)
    assert [node.waiters for node in nodes] == [
        len({a for a, b in edges if b == index}) for index in range(7)
    ]
