"""Time limits that were up and could end nothing, as what they cancel is a ring of tasks.

``asyncio.timeout`` cancels its task, that cancels the task it awaits, and so on round the
ring until it comes back to where it began (python/cpython#80637): nobody is stopped, and the
limit has been used up.
"""

import itertools
from typing import NamedTuple

from .graph import WaitGraph
from .trace import Kind, Trace

__all__ = ["Futile", "futile_limits"]


class Futile(NamedTuple):
    """A time limit that was up to no avail.

    Attributes:
        limit_of: the name of the task that it should have stopped, and that is still stuck.
        seconds: when it was up, in virtual seconds.
        event: the index of that moment in the trace's events.
    """

    limit_of: str
    seconds: float
    event: int


def futile_limits(trace: Trace, graph: WaitGraph) -> tuple[Futile, ...]:
    """Find the time limits that were up while their tasks stood in the wait they never left.

    Args:
        trace: what happened.
        graph: who waited for whom at the end, with its verdict.
    """
    stuck = set(graph.stuck_ids)
    return tuple(
        Futile(graph.name(event.task), event.time / 1e9, index)
        for index, event in enumerate(trace.events)
        if event.kind is Kind.TIMER_FIRED
        and event.task in stuck
        and trace.timers[event.detail].purpose == "timeout"
        and _came_round(trace, index)
    )


def _came_round(trace: Trace, fired: int) -> bool:
    """Whether cancelling recursed, which is told before any task runs again."""
    until = itertools.takewhile(lambda e: e.kind is not Kind.RESUMED, trace.events[fired:])
    told = (trace.complaints[e.detail].error for e in until if e.kind is Kind.COMPLAINT)
    return any(error.startswith("RecursionError") for error in told)
