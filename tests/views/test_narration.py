import asyncio
import re
from collections.abc import Callable

import pytest

from deadlock_lab.engine import lines
from deadlock_lab.engine.recording import Recording
from deadlock_lab.engine.run import execute
from deadlock_lab.engine.trace import Kind, Wait
from deadlock_lab.views.cycles import first_closing
from deadlock_lab.views.narration import TEMPLATES, describe, ending, transcript

Record = Callable[[str], Recording]


def test_every_event_gets_one_whole_sentence(any_recording: Recording) -> None:
    told = transcript(any_recording)
    assert len(told) == len(any_recording.trace.events)
    for sentence in told:
        assert sentence.endswith(".")
        assert "something" not in sentence
        assert not re.search(r"\{(task|by|wait|place|resource|purpose|due|time|error)\}", sentence)


def test_the_circle_is_told_to_its_end(record: Record) -> None:
    told = transcript(record("circle"))
    assert told[0] == "The program starts: task `main` is created."
    assert told[-2] == "`C` waits for task `A`. That closes the cycle: `A` → `B` → `C` → `A`."
    assert told[-1] == (
        "Nothing is ready and no timer is set: `A` → `B` → `C` → `A` wait for one another for ever."
    )


def test_the_clock_is_said_to_jump_only_when_it_does(record: Record) -> None:
    told = [s for s in transcript(record("locks")) if s.startswith("The clock ")]
    assert told[:2] == [
        "The clock jumps to 0.5 s: `alice`'s sleep is over.",
        "The clock stands at 0.5 s: `bob`'s sleep is over.",
    ]


def test_locks_are_told_by_name(record: Record) -> None:
    told = transcript(record("locks"))
    assert "`alice` now holds `lock_a (Lock)`." in told
    assert "`alice` waits to take `lock_b (Lock)`." in told


def test_what_callbacks_do_is_not_put_down_to_a_task(record: Record) -> None:
    told = transcript(record("callbacks"))
    for sentence in [
        "The clock jumps to 1 s: a timer goes off (release).",
        "A timer's callback gives `permit (Semaphore)` back.",
        "`giver` gives back `lock (Lock)`, which `main` had taken.",
        "A timer's callback creates task `late`, which joins the ready queue.",
        "A timer is no longer needed (print).",
    ]:
        assert sentence in told


def test_a_line_is_told_with_what_changed(record: Record) -> None:
    told = [s for s in transcript(record("line_by_line")) if s.startswith("`two` comes to ")]
    says = [s.partition("line_by_line.<locals>.job")[2] or s.partition("in job")[2] for s in told]
    assert says[0] == ", with `n = 2` and `constructor = 'other'`."
    assert says[3] == "."
    assert says[4] == ", with `first = 0`, `second = 0`, `third = 0` and 2 more."
    assert says[-1] == ", without `__proto__`."


def test_the_last_line_that_is_recorded_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        for n in range(9):
            await asyncio.sleep(n)

    monkeypatch.setattr(lines, "MAX_LINES", 3)
    told = transcript(execute(main, lines=True))
    last = "`main` goes on; from here, lines are no longer recorded: there are too many."
    assert sum("comes to" in sentence for sentence in told[: told.index(last)]) == 3
    assert not any("comes to" in sentence for sentence in told[told.index(last) :])


def test_a_time_limit_is_told_as_one(record: Record) -> None:
    told = transcript(record("timed_out"))
    assert "The clock jumps to 0.25 s: the time limit of `main` is up." in told


def test_an_error_is_told_even_with_braces_in_it(record: Record) -> None:
    assert "`job-2` fails: ValueError: two is {bad}." in transcript(record("mixed"))


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("trivial", "The program is over, at 0 s."),
        ("failing", "The program is over: it failed with LookupError: no such thing."),
        (
            "nobody_sets",
            "Nothing is ready and no timer is set: `main` can never move again.",
        ),
    ],
)
def test_the_last_sentence_says_how_it_ended(program: str, expected: str, record: Record) -> None:
    assert transcript(record(program))[-1] == expected


def test_a_runaway_ends_with_its_limit(record: Record) -> None:
    recording = record("endless")
    assert recording.limit
    assert recording.limit.rstrip(".") in transcript(recording)[-1]


def test_a_deadlock_behind_a_finished_main_is_told(record: Record) -> None:
    assert "waited for one another for ever" in transcript(record("masked"))[-1]


def test_a_cycle_that_rests_on_a_guess_is_not_told_as_sure(record: Record) -> None:
    told = transcript(record("crowd"))
    assert "seems to close a cycle" in told[-2]
    assert "seem to wait" in told[-1]


def test_ending_is_the_last_sentence(any_recording: Recording) -> None:
    assert ending(any_recording) == transcript(any_recording)[-1]


def test_the_cycle_closes_with_the_last_wait_in_it(record: Record) -> None:
    recording = record("circle")
    event = recording.trace.events[first_closing(recording)]
    assert (event.kind, recording.trace.name(event.task)) == (Kind.WAITS, "C")


def test_without_a_cycle_none_closes(record: Record) -> None:
    assert first_closing(record("mixed")) == -1


@pytest.mark.parametrize("program", ["freed", "rescued"])
def test_a_cycle_that_is_broken_later_is_told_where_it_closes(program: str, record: Record) -> None:
    recording = record(program)
    told = transcript(recording)[first_closing(recording)]
    assert told.endswith("That closes the cycle: `alice` → `bob` → `alice`.")


def test_a_victim_is_told_to_give_up(record: Record) -> None:
    assert (
        "To break the deadlock, `bob` is made to give up: "
        "DeadlockError: the cycle alice → bob → alice could never go on."
    ) in transcript(record("freed"))


def test_templates_name_only_fields_that_are_known() -> None:
    used = {field for text in TEMPLATES.values() for field in re.findall(r"\{(\w+)\}", text)}
    of_the_event = {
        "changes",
        "task",
        "by",
        "wait",
        "place",
        "resource",
        "purpose",
        "due",
        "late",
        "time",
        "message",
    }
    assert used <= of_the_event | {"cycle", "stuck", "limit", "error"}


def test_every_kind_of_event_has_a_template() -> None:
    assert {kind.name for kind in Kind} == {key.partition("/")[0] for key in TEMPLATES} - {"START"}


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (Wait("await", "all", (1,)), "waits for task B"),
        (Wait("await", "all", (~0,)), "waits for reply (Future)"),
        (Wait("gather", "all", (0, 1, 2)), "waits for all of tasks A, B and C"),
        (Wait("wait", "any", (0, 1)), "waits for the first of tasks A and B"),
        (Wait("wait_for", "all", (0,)), "waits for task A, with a time limit"),
        (Wait("Queue.get", "all", (~1,)), "waits for an item in jobs (Queue)"),
        (Wait("gather", "all", tuple(range(6))), "waits for all of tasks A, B, C and 3 more"),
        (Wait("mystery", "all", ()), "waits (mystery)"),
    ],
)
def test_a_wait_is_described_in_plain_words(wait: Wait, expected: str) -> None:
    names = dict(enumerate("ABCDEF")) | {~0: "reply (Future)", ~1: "jobs (Queue)"}
    assert describe(wait, names.__getitem__) == expected
