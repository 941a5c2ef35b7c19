from collections.abc import Callable

from deadlock_lab.engine.recording import Recording
from deadlock_lab.engine.trace import Kind
from deadlock_lab.views.cut import MOST_EVENTS, shown
from deadlock_lab.views.narration import ending, transcript

Record = Callable[[str], Recording]


def test_of_a_long_runaway_the_beginning_and_the_end_are_shown(record: Record) -> None:
    recording = record("breeding")
    cut = shown(recording)
    assert len(recording.trace.events) > MOST_EVENTS == len(cut.trace.events)
    assert cut.trace.events[:-1] == recording.trace.events[: MOST_EVENTS - 1]
    assert cut.trace.events[-1].kind is Kind.ENDED


def test_it_says_that_something_is_left_out(record: Record) -> None:
    cut = shown(record("breeding"))
    left_out = len(record("breeding").trace.events) - MOST_EVENTS
    assert f"the {left_out:,} events before that are not shown" in ending(cut)


def test_what_is_left_can_be_told(record: Record) -> None:
    cut = shown(record("breeding"))
    assert len(transcript(cut)) == MOST_EVENTS
    assert len(cut.trace.tasks) == sum(e.kind is Kind.CREATED for e in cut.trace.events)


def test_no_table_keeps_what_nobody_points_at(record: Record) -> None:
    trace = shown(record("breeding")).trace
    assert {e.detail for e in trace.events if e.kind is Kind.WAITS} == set(range(len(trace.waits)))


def test_other_runs_are_shown_whole(record: Record) -> None:
    for name in ("busy", "endless", "circle"):
        assert shown(record(name)) is record(name)
