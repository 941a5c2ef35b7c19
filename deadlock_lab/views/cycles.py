"""The cycles of a run and when each was closed: those that stand at its end, and those before.

A timeout may have broken a cycle up, and so may freeing one of its members. The same
cycle may have closed more than once.
"""

from typing import NamedTuple

from ..engine.masked import Masked
from ..engine.recording import Recording
from ..engine.trace import Kind
from ..engine.victims import Broken

__all__ = ["Cycle", "cycles", "first_closing"]


class Cycle(NamedTuple):
    """A cycle, and from which event on until which it was closed.

    ``nodes`` are the trace's targets, the first one repeated at the end; ``closed`` and
    ``opened`` are indices of events.
    """

    nodes: tuple[int, ...]
    guessed: bool
    closed: int
    opened: int


def cycles(recording: Recording) -> tuple[Cycle, ...]:
    """Give a run's cycles in the order in which they closed.

    Args:
        recording: the run.
    """
    graph, end = recording.waits, len(recording.trace.events)
    last = {e.task: i for i, e in enumerate(recording.trace.events) if e.kind is Kind.WAITS}
    found = [
        Cycle(
            nodes,
            graph.guessed(nodes),
            max((last.get(t, -1) for t in nodes if t >= 0), default=-1),
            end,
        )
        for nodes in graph.loops
    ]
    over: list[Masked | Broken] = [*recording.masked, *recording.broken]
    for past in over:
        guessed = past.waits.guessed(past.nodes)
        found.append(Cycle(past.nodes, guessed, past.diagnosis.formed, past.event))
    return tuple(sorted((c for c in found if 0 <= c.closed < end), key=lambda c: c.closed))


def first_closing(recording: Recording) -> int:
    """Find the moment at which the first cycle closed, as the index of an event, or -1."""
    return next((cycle.closed for cycle in cycles(recording)), -1)
