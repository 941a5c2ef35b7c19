"""Deadlocks that a timeout hides: the cycle is there, and a time limit breaks it up.

The program goes on, later and with an error at most, and nobody learns what was wrong.
So whenever a time limit is up, and before it acts, the question is put: would these
tasks have gone on without it? Only a cycle that is sure counts. A time limit on an
answer that never comes is what time limits are for.
"""

import asyncio
import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from .graph import Waiter, WaitGraph, find_stuck
from .kinds import Clues, Diagnosis, diagnose
from .recorder import RecordingLoop
from .snapshot import freed_by
from .tasks import task_of
from .trace import Trace
from .waits import await_chain, learner_frames

__all__ = ["Masked", "Sentry"]

_BUDGET = 20_000  # how many tasks are looked at in a run: each look takes some microseconds


class Masked(NamedTuple):
    """A deadlock that a timeout broke up.

    Attributes:
        cycle: the names of its members, the first one repeated at the end.
        nodes: the cycle as the trace's targets, resources included.
        diagnosis: what kind it was.
        limit_of: the task whose time limit was up first; empty outside of any task.
        seconds: when that was, in virtual seconds.
        event: the index of that moment in the trace's events.
        times: how often it happened in the run.
        waits: who waited for whom just before.
    """

    cycle: tuple[str, ...]
    nodes: tuple[int, ...]
    diagnosis: Diagnosis
    limit_of: str
    seconds: float
    event: int
    times: int
    waits: WaitGraph


class _Sight(NamedTuple):
    """What was seen when a time limit was up: the event's index, and who could not go on."""

    event: int
    graph: WaitGraph


class Sentry:
    """Looks at a run's tasks whenever a time limit is up, and changes nothing.

    Args:
        loop: the loop to look at.
    """

    def __init__(self, loop: RecordingLoop) -> None:
        self._loop = loop
        self._budget = _BUDGET
        self._step = -1
        self._sights: list[_Sight] = []
        loop.time_is_up = self.look

    def look(self) -> None:
        """Look for a cycle that only a time limit can break up."""
        loop = self._loop
        if self._step == loop.steps or self._budget <= 0:
            return  # nothing has run since the last look
        self._step = loop.steps
        roots = _roots(loop)
        if roots is None:
            return
        tasks = {loop.books.ordinal(task): task for task in asyncio.all_tasks(loop)}
        self._budget -= len(tasks)
        graph = _graph(loop, tasks, roots)
        if graph.loops and not _may_be_helped(loop, tasks, graph):
            self._sights.append(_Sight(len(loop.books.events) - 1, graph))

    def report(self, trace: Trace, stuck: Iterable[int]) -> tuple[Masked, ...]:
        """Tell what was seen and is over, each cycle once.

        Args:
            trace: the whole run.
            stuck: the tasks that are stuck at the end: no time limit has helped them.
        """
        left = set(stuck)
        found: dict[tuple[int, ...], Masked] = {}
        for sight in self._sights:
            graph = dataclasses.replace(sight.graph, infos=trace.tasks, things=trace.resources)
            before = dataclasses.replace(trace, events=trace.events[: sight.event])
            for loop, diagnosis in zip(graph.loops, diagnose(before, graph, Clues()), strict=False):
                if left.issuperset(t for t in loop if t >= 0):
                    continue
                known = found.get(loop)
                found[loop] = (
                    known._replace(times=known.times + 1)
                    if known
                    else _masked(trace, sight.event, graph, loop, diagnosis)
                )
        return tuple(found.values())


def _masked(
    trace: Trace, event: int, graph: WaitGraph, loop: tuple[int, ...], diagnosis: Diagnosis
) -> Masked:
    fired = trace.events[event]
    return Masked(
        cycle=tuple(graph.name(t) for t in loop if t >= 0),
        nodes=loop,
        diagnosis=diagnosis,
        limit_of=graph.name(fired.task) if fired.task >= 0 else "",
        seconds=fired.time / 1e9,
        event=event,
        times=1,
        waits=graph,
    )


def _roots(loop: RecordingLoop) -> list[int] | None:
    """Give the tasks that will move by themselves, time limits left out.

    None where a callback is due of which it cannot be told what it would move.
    """
    found: list[int] = []
    for handle in _handles(loop):
        timer = loop.books.timers[handle.index] if hasattr(handle, "index") else None
        if timer and timer.purpose == "timeout":
            continue
        if timer and timer.purpose == "sleep":
            found.append(timer.task)
        elif (task := task_of(handle._callback)) is not None:
            found.append(loop.books.ordinal(task))
        else:
            return None
    return found


def _handles(loop: RecordingLoop) -> Iterator[Any]:
    pending = (timer for _, _, timer in loop._scheduled)
    return (handle for handle in itertools.chain(loop._ready, pending) if not handle._cancelled)


def _graph(loop: RecordingLoop, tasks: Iterable[int], roots: list[int]) -> WaitGraph:
    """Make the graph from what is written down: a look must not add to the books."""
    books = loop.books
    waiters = {
        task: waiter
        for task in sorted(set(tasks) - set(roots))
        if (waiter := _waiter(loop, task, set(tasks))) is not None
    }
    holders = {r: tuple(owners) for r, owners in books.holders.items() if owners}
    things = tuple(books.resources)
    stuck = find_stuck(waiters, things, holders, roots, outside=True)
    return WaitGraph(tuple(books.tasks), things, waiters, holders, stuck_ids=stuck)


def _waiter(loop: RecordingLoop, task: int, alive: set[int]) -> Waiter | None:
    wait = loop.last_wait.get(task)
    if wait is None:
        return None
    targets = tuple(t for t in wait.targets if t < 0 or t in alive)
    return Waiter(wait._replace(targets=targets), loop.books.last_place[task])


def _may_be_helped(loop: RecordingLoop, tasks: dict[int, Any], graph: WaitGraph) -> bool:
    """Whether a task that goes on could cancel a member of a cycle, or release its lock."""
    things, resources = loop.books.things(), graph.things
    wanted = {
        node: (tasks[node], "Task") if node >= 0 else (things[~node], resources[~node].kind)
        for cycle in graph.loops
        for node in cycle
    }
    going_on = (tasks[ordinal].get_coro() for ordinal in set(tasks) - set(graph.stuck_ids))
    return any(freed_by(learner_frames(await_chain(coro)), wanted) for coro in going_on)
