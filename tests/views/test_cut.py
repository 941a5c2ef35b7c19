import asyncio
from collections.abc import Callable

import pytest

from deadlock_lab.engine.recording import Recording
from deadlock_lab.engine.run import execute
from deadlock_lab.engine.trace import Kind
from deadlock_lab.views import cut
from deadlock_lab.views.cut import MOST_EVENTS, shown
from deadlock_lab.views.narration import ending, transcript

Record = Callable[[str], Recording]


def test_of_a_long_runaway_the_beginning_and_the_end_are_shown(record: Record) -> None:
    recording = record("breeding")
    short = shown(recording)
    assert len(recording.trace.events) > MOST_EVENTS == len(short.trace.events)
    assert short.trace.events[:-1] == recording.trace.events[: MOST_EVENTS - 1]
    assert short.trace.events[-1].kind is Kind.ENDED


def test_it_says_that_something_is_left_out(record: Record) -> None:
    short = shown(record("breeding"))
    left_out = len(record("breeding").trace.events) - MOST_EVENTS
    assert f"the {left_out:,} events before that are not shown" in ending(short)


def test_what_is_left_can_be_told(record: Record) -> None:
    short = shown(record("breeding"))
    assert len(transcript(short)) == MOST_EVENTS
    assert len(short.trace.tasks) == sum(e.kind is Kind.CREATED for e in short.trace.events)


def test_no_table_keeps_what_nobody_points_at(record: Record) -> None:
    trace = shown(record("breeding")).trace
    assert {e.detail for e in trace.events if e.kind is Kind.WAITS} == set(range(len(trace.waits)))


def test_other_runs_are_shown_whole(record: Record) -> None:
    for name in ("busy", "endless", "circle"):
        assert shown(record(name)) is record(name)


def test_no_place_is_kept_that_nobody_comes_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async def deeper(depth: int) -> None:
        await asyncio.sleep(0)
        await deeper(depth + 1)

    async def main() -> None:
        await deeper(0)

    recording = execute(main, max_steps=400)
    monkeypatch.setattr(cut, "MOST_EVENTS", 100)
    trace = shown(recording).trace
    assert len(trace.places) == 1 + max(event.place for event in trace.events)
    assert len(trace.places) < len(recording.trace.places)
    assert all(place.outer < index for index, place in enumerate(trace.places))
