"""Breaking a deadlock as a database does: one member of the cycle is made to give up.

Whoever is freed gets a ``DeadlockError`` where it waits, gives back what it holds as it
unwinds, and the others go on. It is the last to have begun to wait, who closed the
cycle and has usually done the least. Where the same tasks meet again, another one has
its turn, or a task that tries again at once would be the victim for ever.
"""

import asyncio
import dataclasses
from collections import Counter
from typing import Any, NamedTuple

from .books import say
from .clues import gather_clues
from .errors import DeadlockError
from .graph import WaitGraph
from .kinds import Clues, Diagnosis, diagnose
from .recorder import RecordingLoop
from .snapshot import wait_graph
from .teardown import free
from .trace import Kind, Trace

__all__ = ["Broken", "Judge"]

MOST_VICTIMS = 1_000
"""How many tasks are freed in a run, before its next deadlock stands."""


class Broken(NamedTuple):
    """A deadlock that was broken by freeing one member of its cycle.

    Attributes:
        cycle: the names of its members, the first one repeated at the end.
        nodes: the cycle as the trace's targets, resources included.
        diagnosis: what kind it was.
        victim: the name of the task that was freed.
        seconds: when that was, in virtual seconds.
        event: the index of that moment in the trace's events.
        waits: who waited for whom just before.
    """

    cycle: tuple[str, ...]
    nodes: tuple[int, ...]
    diagnosis: Diagnosis
    victim: str
    seconds: float
    event: int
    waits: WaitGraph


class _Case(NamedTuple):
    """A cycle that was broken: at which event, and what the live objects told by then."""

    event: int
    ring: tuple[int, ...]
    graph: WaitGraph
    clues: Clues


class Judge:
    """Frees one member of each cycle of tasks that can never move, as the cycle is found.

    It looks whenever the clock would jump, so a heartbeat does not keep it from seeing two
    tasks that are stuck beside it; and, as a look costs by the number of tasks, only after
    as many steps as there are tasks.

    Args:
        loop: the loop to judge.
    """

    def __init__(self, loop: RecordingLoop) -> None:
        self._loop = loop
        self._cases: list[_Case] = []
        self._freed: Counter[int] = Counter()
        self._next_look = 0
        loop.before_jump = self._look

    def _look(self) -> None:
        loop = self._loop
        if loop.steps < self._next_look and loop.has_timers():
            return
        tasks = {loop.books.ordinal(task): task for task in asyncio.all_tasks(loop)}
        self._next_look = loop.steps + len(tasks)
        graph = wait_graph(loop, main_over=False)
        rings = graph.loops[: MOST_VICTIMS - len(self._cases)]
        clues = gather_clues(loop, graph) if rings else Clues()
        for ring in rings:
            victim = self._choose(ring)
            self._cases.append(_Case(len(loop.books.events), ring, graph, clues))
            self._free(tasks[victim], victim, _names(graph, ring))

    def _choose(self, ring: tuple[int, ...]) -> int:
        members = {node for node in ring if node >= 0}
        fewest = min(self._freed[task] for task in members)
        able = {task for task in members if self._freed[task] == fewest}
        waits = (e.task for e in reversed(self._loop.books.events) if e.kind is Kind.WAITS)
        return next(task for task in waits if task in able)

    def _free(self, task: asyncio.Task[Any], victim: int, cycle: tuple[str, ...]) -> None:
        self._freed[victim] += 1
        error = DeadlockError(f"the cycle {' → '.join(cycle)} could never go on")
        books = self._loop.books
        books.add(Kind.FREED, victim, detail=books.errors[say(error)])
        self._loop.act_as(victim, lambda: free(task, error))

    def report(self, trace: Trace) -> tuple[Broken, ...]:
        """Tell which deadlocks were broken, in order.

        Args:
            trace: the whole run.
        """
        return tuple(_tell(case, trace) for case in self._cases)


def _tell(case: _Case, trace: Trace) -> Broken:
    graph = dataclasses.replace(case.graph, infos=trace.tasks, things=trace.resources)
    before = dataclasses.replace(trace, events=trace.events[: case.event])
    diagnoses = diagnose(before, graph, case.clues)
    freed = trace.events[case.event]
    return Broken(
        cycle=_names(graph, case.ring),
        nodes=case.ring,
        diagnosis=diagnoses[graph.loops.index(case.ring)],
        victim=graph.name(freed.task),
        seconds=freed.time / 1e9,
        event=case.event,
        waits=graph,
    )


def _names(graph: WaitGraph, ring: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(graph.name(node) for node in ring if node >= 0)
