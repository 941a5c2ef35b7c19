"""Who waits for whom, and who can never move again.

The verdict is a reachability question on an AND/OR graph: a task that waits for
*all* of its targets moves when every one of them can, a task that waits for *any*
moves when one can. What no root (a ready task, a timer) can reach is stuck.
This is deadlock detection in the AND/OR request model of Chandy, Misra and Haas
("Distributed Deadlock Detection", ACM TOCS 1983), on one machine, in time linear
in the size of the graph. Nothing here recurses: chains may be long.
"""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from .diagrams import graphviz, mermaid
from .trace import Resource, TaskInfo, Wait

__all__ = ["Edge", "WaitGraph", "Waiter", "find_stuck"]

_END_BY_ERROR = frozenset({"gather", "TaskGroup", "wait (FIRST_EXCEPTION)"})
OWNED = frozenset({"Lock", "Semaphore", "BoundedSemaphore"})
"""Resources that are given back by those who hold them; the others anyone may set."""


class Waiter(NamedTuple):
    """A suspended task: what it waits for, and the index of the place where it does."""

    wait: Wait
    place: int


class Edge(NamedTuple):
    """``waiter`` cannot go on before ``target``; ``sure`` is False where this is a guess."""

    waiter: str
    target: str
    sure: bool = True


@dataclass(frozen=True)
class WaitGraph:
    """The tasks that were suspended when a run ended, and what each waited for.

    Attributes:
        infos: all tasks of the run, by ordinal.
        things: all resources of the run, by index.
        waiters: the suspended tasks by ordinal.
        holders: who holds a lock or a permit, by resource index.
        setters: pending tasks that can reach a future or event, and so may be the
            ones to set it: a guess, told apart from what is sure.
        stuck_ids: ordinals of the tasks that nothing can ever move again.
    """

    infos: tuple[TaskInfo, ...]
    things: tuple[Resource, ...]
    waiters: Mapping[int, Waiter]
    holders: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    setters: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    stuck_ids: tuple[int, ...] = ()

    def name(self, node: int) -> str:
        """Name a node: a task's name, or a resource's name and class."""
        return self.infos[node].name if node >= 0 else str(self.things[~node])

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the suspended tasks, in order of creation."""
        return tuple(self.infos[t].name for t in self.waiters)

    @property
    def resources(self) -> tuple[str, ...]:
        """Names of the locks, queues, events and futures that someone waits for or holds."""
        used = {~n for w in self.waiters.values() for n in w.wait.targets if n < 0}
        return tuple(str(self.things[r]) for r in sorted(used | set(self.holders)))

    @property
    def stuck(self) -> tuple[str, ...]:
        """Names of the tasks that nothing can ever move again, in order of creation."""
        return tuple(self.infos[t].name for t in self.stuck_ids)

    @property
    def unless(self) -> tuple[str, ...]:
        """Names of the tasks that go on, and whose error would reach one of the stuck.

        A gather, a task group and ``wait(..., FIRST_EXCEPTION)`` end when one of theirs
        fails. So where such a one goes on, the others are stuck unless it fails.
        """
        stuck = set(self.stuck_ids)
        waits = (self.waiters[task].wait for task in self.stuck_ids)
        targets = {t for wait in waits if wait.how in _END_BY_ERROR for t in wait.targets}
        return tuple(self.infos[t].name for t in sorted(targets - stuck) if t >= 0)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All edges by name: task → what it waits for, resource → who holds or may set it."""
        return tuple(Edge(self.name(a), self.name(b), sure) for a, b, sure in self.node_edges())

    def cycles(self) -> list[tuple[str, ...]]:
        """Find the cycles of tasks that are stuck, each with its first name repeated at the end.

        One (a shortest) cycle for each knot of tasks that wait for one another: a knot
        of many holds more, but one names the disease. Tasks only; what a task waits for
        on the way is told by ``edges``.

        Returns:
            The cycles, by order of creation of their first task. Empty where tasks are
            stuck without a cycle, such as on an event that nobody is left to set.
        """
        return [tuple(self.infos[t].name for t in loop if t >= 0) for loop in self.loops]

    @cached_property
    def loops(self) -> tuple[tuple[int, ...], ...]:
        """The cycles as nodes, resources included; guesses count only where nothing is sure."""
        return self._loops(guesses=False) or self._loops(guesses=True)

    def guessed(self, loop: tuple[int, ...]) -> bool:
        """Whether a cycle of ``loops`` rests on a guess."""
        return not self._sure.issuperset(itertools.pairwise(loop))

    @cached_property
    def _sure(self) -> frozenset[tuple[int, int]]:
        return frozenset((a, b) for a, b, certain in self.node_edges() if certain)

    def node_edges(self) -> Iterator[tuple[int, int, bool]]:
        """Yield the edges as nodes, each with whether it is sure."""
        for task, waiter in self.waiters.items():
            for target in waiter.wait.targets:
                yield task, target, True
        for who, sure in ((self.holders, True), (self.setters, False)):
            for resource, tasks in who.items():
                for task in tasks:
                    if task >= 0:  # not code outside of any task
                        yield ~resource, task, sure

    def to_mermaid(self) -> str:
        """Write the graph as a Mermaid flowchart: tasks as boxes, what is stuck in red.

        Returns:
            Text for a ``mermaid`` block of a README, an issue or a Markdown cell. Edges
            that rest on a guess are dashed.

        >>> tasks = tuple(TaskInfo(name, -1, 0) for name in "AB")
        >>> each_other = {n: Waiter(Wait("await", "all", (1 - n,)), 0) for n in (0, 1)}
        >>> print(WaitGraph(tasks, (), each_other).to_mermaid())
        flowchart LR
            t0["A"]
            t1["B"]
            t0 --> t1
            t1 --> t0
        <BLANKLINE>
        """
        return mermaid(self)

    def to_graphviz(self) -> str:
        """Write the graph in Graphviz's DOT language: tasks as boxes, what is stuck in red.

        Returns:
            Text for ``dot -Tsvg``. Edges that rest on a guess are dashed.

        >>> print(WaitGraph((TaskInfo("A", -1, 0),), (), {}).to_graphviz())
        digraph waits {
            rankdir=LR;
        }
        <BLANKLINE>
        """
        return graphviz(self)

    def _loops(self, *, guesses: bool) -> tuple[tuple[int, ...], ...]:
        stuck = set(self.stuck_ids)
        graph: dict[int, list[int]] = {}
        for a, b, sure in self.node_edges():
            if (sure or guesses) and all(n < 0 or n in stuck for n in (a, b)):
                graph.setdefault(a, []).append(b)
        found = (_cycle_through(min(t for t in knot if t >= 0), graph) for knot in _knots(graph))
        return tuple(sorted(found))


def _cycle_through(start: int, graph: Mapping[int, list[int]]) -> tuple[int, ...]:
    """Find a shortest cycle through a node that is known to lie on one."""
    came_from: dict[int, int] = {}
    queue = deque([start])
    while start not in came_from:
        node = queue.popleft()
        for after in graph.get(node, ()):
            if after not in came_from:
                came_from[after] = node
                queue.append(after)
    path = [start]
    while (node := came_from[path[-1]]) != start:
        path.append(node)
    return (start, *reversed(path))


def _knots(graph: Mapping[int, list[int]]) -> Iterator[list[int]]:
    """Yield the strongly connected components that hold a cycle.

    Kosaraju's algorithm as Sharir published it (1981): a node's component is what
    reaches it, taken in reverse order of finishing.
    """
    backwards: dict[int, list[int]] = {}
    for node, targets in graph.items():
        for target in targets:
            backwards.setdefault(target, []).append(node)
    taken: set[int] = set()
    for node in reversed(list(_by_finish(graph))):
        if node not in taken:
            knot = _reach(node, backwards, taken)
            if len(knot) > 1 or node in graph.get(node, ()):
                yield knot


def _by_finish(graph: Mapping[int, list[int]]) -> Iterator[int]:
    seen: set[int] = set()
    for root in graph:
        stack = [(root, iter(graph[root]))] if root not in seen else []
        seen.add(root)
        while stack:
            node, rest = stack[-1]
            after = next((n for n in rest if n not in seen), None)
            if after is None:
                stack.pop()
                yield node
            else:
                seen.add(after)
                stack.append((after, iter(graph.get(after, ()))))


def _reach(start: int, graph: Mapping[int, list[int]], taken: set[int]) -> list[int]:
    found, todo = [], [start]
    taken.add(start)
    while todo:
        found.append(node := todo.pop())
        for after in graph.get(node, ()):
            if after not in taken:
                taken.add(after)
                todo.append(after)
    return found


def find_stuck(
    waiters: Mapping[int, Waiter],
    things: tuple[Resource, ...],
    holders: Mapping[int, tuple[int, ...]],
    roots: Iterable[int],
    *,
    outside: bool,
) -> tuple[int, ...]:
    """Find the tasks that no root can ever reach.

    Args:
        waiters: the suspended tasks by ordinal. A wait with no target left is over.
        things: the resources of the run.
        holders: who holds a lock or a permit, by resource index.
        roots: nodes that can move by themselves: ready tasks, what a timer wakes.
        outside: whether something else is still going on that may set any event,
            future or queue (a live task, a callback): then none of them counts as dead.

    Returns:
        The ordinals of the stuck tasks, in order of creation.
    """
    missing = {task: _needed(waiter.wait) for task, waiter in waiters.items()}
    waiting_for = _reversed(waiters, holders)
    todo = [*roots, *(task for task, n in missing.items() if n == 0)]
    if outside:
        todo += [~r for r, thing in enumerate(things) if thing.kind not in OWNED]
    live: set[int] = set()
    while todo:
        if (node := todo.pop()) in live:
            continue
        live.add(node)
        for waiter in waiting_for.get(node, ()):
            # A resource is free when any of its holders is: it needs one.
            missing[waiter] = missing.get(waiter, 1) - 1
            if missing[waiter] <= 0:
                todo.append(waiter)
    return tuple(sorted(task for task in waiters if task not in live))


def _needed(wait: Wait) -> int:
    return len(wait.targets) if wait.mode == "all" else min(1, len(wait.targets))


def _reversed(
    waiters: Mapping[int, Waiter], holders: Mapping[int, tuple[int, ...]]
) -> dict[int, list[int]]:
    """Turn the edges round: for each node, who waits for it."""
    waiting_for: dict[int, list[int]] = {}
    for task, waiter in waiters.items():
        for target in waiter.wait.targets:
            waiting_for.setdefault(target, []).append(task)
    for resource, tasks in holders.items():
        for task in filter(lambda t: t >= 0, tasks):  # code outside of any task gives nothing back
            waiting_for.setdefault(task, []).append(~resource)
    return waiting_for
