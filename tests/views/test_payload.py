import json
from collections.abc import Callable
from pathlib import Path

from deadlock_lab.engine.recording import Recording
from deadlock_lab.engine.trace import Kind
from deadlock_lab.views.payload import opening, to_payload

Record = Callable[[str], Recording]


def test_it_is_json_and_comes_back_the_same(any_recording: Recording) -> None:
    payload = to_payload(any_recording)
    assert json.loads(json.dumps(payload)) == payload


def test_all_columns_are_as_long_as_the_trace(any_recording: Recording) -> None:
    columns = to_payload(any_recording)["events"]
    assert {len(column) for column in columns.values()} == {len(any_recording.trace.events)}


def test_kinds_and_times_can_be_read_back(any_recording: Recording) -> None:
    payload, time = to_payload(any_recording), 0
    columns = payload["events"]
    for event, say, dt in zip(
        any_recording.trace.events, columns["say"], columns["dt"], strict=True
    ):
        time += dt
        assert (payload["sentences"][say][0], time) == (Kind(event.kind).name, event.time)


def test_an_event_takes_about_fifteen_bytes(record: Record) -> None:
    recording = record("crowd")
    text = json.dumps(to_payload(recording)["events"], separators=(",", ":"))
    assert len(text) / len(recording.trace.events) <= 16


def test_only_files_that_places_refer_to_are_shipped(any_recording: Recording) -> None:
    payload = to_payload(any_recording)
    assert {label for label, _ in payload["files"]} == {
        place.label for place in any_recording.trace.places
    }


def test_no_path_of_this_machine_is_shipped(record: Record) -> None:
    payload = to_payload(record("circle"))
    payload["files"] = [label for label, _ in payload["files"]]
    assert str(Path.home()) not in json.dumps(payload)
    assert not any(Path(label).is_absolute() for label in payload["files"])


def test_the_cycle_is_there_with_the_moment_it_closed(record: Record) -> None:
    payload = to_payload(record("circle"))
    end = len(payload["events"]["say"])
    closed = end - 2
    assert payload["cycles"] == [{"nodes": [1, 2, 3, 1], "guessed": False, "when": [[closed, end]]}]
    assert payload["closed"] == closed


def test_a_run_without_a_cycle_says_so(record: Record) -> None:
    payload = to_payload(record("mixed"))
    assert (payload["closed"], payload["cycles"]) == (-1, [])


def test_it_opens_where_the_first_task_runs(any_recording: Recording) -> None:
    at = opening(any_recording)
    assert any_recording.trace.events[at - 1].kind == Kind.RESUMED


def test_the_same_run_gives_the_same_payload(record: Record) -> None:
    assert to_payload(record("crowd")) == to_payload(record("crowd"))
