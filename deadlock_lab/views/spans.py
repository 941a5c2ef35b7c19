"""What each task did, as stretches of one state: the data of a timeline."""

from collections.abc import Iterator
from typing import NamedTuple

from ..engine.recording import Recording
from ..engine.trace import Event, Kind
from .cycles import cycles

__all__ = ["Span", "spans"]

_AFTER = {
    Kind.CREATED: "ready",
    Kind.RESUMED: "running",
    Kind.WAITS: "waiting",
    Kind.YIELDS: "ready",
    Kind.WOKEN: "ready",
    Kind.DONE: "done",
    Kind.FAILED: "failed",
    Kind.CANCELLED: "cancelled",
}
_OVER = frozenset({"done", "failed", "cancelled"})


class Span(NamedTuple):
    """A stretch of one task's life: from one event's index up to another's.

    ``state`` is running, ready, waiting, cycle (waiting in a closed cycle), done,
    failed or cancelled.
    """

    task: int
    start: int
    end: int
    state: str


def spans(recording: Recording) -> Iterator[Span]:
    """Cut a run into spans: for each task they follow one another without a gap.

    Args:
        recording: the run.

    Yields:
        Spans by order of their end.
    """
    closed: dict[int, list[tuple[int, int]]] = {}
    for cycle in cycles(recording):
        for task in {node for node in cycle.nodes if node >= 0}:
            closed.setdefault(task, []).append((cycle.closed, cycle.opened))
    begun: dict[int, tuple[int, str]] = {}
    events = recording.trace.events
    for index, event in enumerate(events):
        start, before = begun.get(event.task, (-1, ""))
        if state := _state_after(event, before):
            if before:
                yield from _cut(Span(event.task, start, index, before), closed)
            begun[event.task] = (index, state)
    for task, (start, state) in begun.items():
        yield from _cut(Span(task, start, len(events), state), closed)


def _state_after(event: Event, before: str) -> str:
    after = _AFTER.get(Kind(event.kind), "")
    woken_for_nothing = event.kind is Kind.WOKEN and before != "waiting"
    return "" if woken_for_nothing or before in _OVER else after


def _cut(span: Span, closed: dict[int, list[tuple[int, int]]]) -> Iterator[Span]:
    """Yield a span, in pieces where a cycle closes or opens in it."""
    at = span.start
    for begin, end in closed.get(span.task, ()) if span.state == "waiting" else ():
        begin, end = max(begin, at), min(end, span.end)
        if begin < end:
            if begin > at:
                yield span._replace(start=at, end=begin)
            yield span._replace(start=begin, end=end, state="cycle")
            at = end
    if at < span.end:
        yield span._replace(start=at)
