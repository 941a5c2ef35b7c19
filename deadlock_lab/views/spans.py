"""What each task did, as stretches of one state: the data of a timeline."""

from collections.abc import Iterator
from typing import NamedTuple

from ..engine.recording import Recording
from ..engine.trace import Event, Kind
from .narration import closing_event

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
    closes = {
        task: closing_event(recording, loop)
        for loop in recording.waits.loops
        for task in loop
        if task >= 0
    }
    begun: dict[int, tuple[int, str]] = {}
    events = recording.trace.events
    for index, event in enumerate(events):
        state = _state_after(event, begun.get(event.task, (0, ""))[1])
        if state:
            if event.task in begun:
                yield from _cut(event.task, *begun[event.task], index, closes)
            begun[event.task] = (index, state)
    for task, (start, state) in begun.items():
        yield from _cut(task, start, state, len(events), closes)


def _state_after(event: Event, before: str) -> str:
    after = _AFTER.get(Kind(event.kind), "")
    woken_for_nothing = event.kind is Kind.WOKEN and before != "waiting"
    return "" if woken_for_nothing or before in _OVER else after


def _cut(task: int, start: int, state: str, end: int, closes: dict[int, int]) -> Iterator[Span]:
    """Yield a span, in two where the cycle closes in it."""
    closed = closes.get(task, end)
    if state != "waiting" or closed >= end:
        yield Span(task, start, end, state)
        return
    if closed > start:
        yield Span(task, start, closed, "waiting")
    yield Span(task, max(start, closed), end, "cycle")
