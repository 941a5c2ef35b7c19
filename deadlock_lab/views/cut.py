"""The beginning of a runaway: it shows what repeats, and the rest is more of the same.

A program that is stopped after 100,000 steps may have made 30,000 tasks. Nobody looks
at them all, no browser draws them, and a notebook should not store them.
"""

import dataclasses

from ..engine.graph import WaitGraph
from ..engine.recording import Outcome, Recording
from ..engine.trace import NOBODY, Event, Kind, Trace, Wait

__all__ = ["MOST_EVENTS", "shown"]

MOST_EVENTS = 3_000
"""How many events of a runaway are shown."""

_TABLES = {
    "waits": {Kind.WAITS},
    "timers": {Kind.TIMER_SET},
    "errors": {Kind.FAILED, Kind.FREED},
    "complaints": {Kind.COMPLAINT},
    "locals": {Kind.LINE},
}


def shown(recording: Recording) -> Recording:
    """Cut a long runaway short; every other recording is shown whole.

    Args:
        recording: the run.

    Returns:
        The same recording, or one of the first events and the last, whose ``limit`` says so.
    """
    events = recording.trace.events
    if recording.outcome is not Outcome.RUNAWAY or len(events) <= MOST_EVENTS:
        return recording
    kept = (*events[: MOST_EVENTS - 1], events[-1])
    trace = _cut_tables(recording.trace, kept)
    left_out = f"the {len(events) - len(kept):,} events before that are not shown"
    return dataclasses.replace(
        recording,
        trace=trace,
        waits=_cut_graph(recording.waits, trace),
        limit=f"{recording.limit.rstrip('.')}; {left_out}",
    )


def _cut_tables(trace: Trace, kept: tuple[Event, ...]) -> Trace:
    # What a table holds is numbered in the order of its first use, so its start is what is used.
    used = {
        name: 1 + max((e.detail for e in kept if e.kind in kinds), default=-1)
        for name, kinds in _TABLES.items()
    }
    tables = {name: getattr(trace, name)[:count] for name, count in used.items()}
    tasks = trace.tasks[: sum(e.kind is Kind.CREATED for e in kept)]
    seen = max([event.place for event in kept] + [task.place for task in tasks])
    places = trace.places[: seen + 1]  # an outer one comes before its inner ones
    return dataclasses.replace(trace, events=kept, tasks=tasks, places=places, **tables)


def _cut_graph(graph: WaitGraph, trace: Trace) -> WaitGraph:
    tasks, places = len(trace.tasks), len(trace.places)

    def known(wait: Wait) -> bool:
        return all(target < tasks for target in wait.targets)

    waiters = {
        task: waiter if waiter.place < places else waiter._replace(place=NOBODY)
        for task, waiter in graph.waiters.items()
        if task < tasks and known(waiter.wait)
    }
    return dataclasses.replace(
        graph,
        infos=trace.tasks,
        waiters=waiters,
        holders={r: kept for r, ts in graph.holders.items() if (kept := _below(ts, tasks))},
        setters={r: kept for r, ts in graph.setters.items() if (kept := _below(ts, tasks))},
        stuck_ids=tuple(t for t in graph.stuck_ids if t in waiters),
    )


def _below(tasks: tuple[int, ...], end: int) -> tuple[int, ...]:
    return tuple(task for task in tasks if task < end)
