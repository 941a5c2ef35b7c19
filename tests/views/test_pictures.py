import struct
import warnings
from collections.abc import Callable

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from deadlock_lab.engine.recording import Recording
from deadlock_lab.engine.trace import Kind
from deadlock_lab.views.pictures import still, timeline, wait_graph
from deadlock_lab.views.spans import spans

Record = Callable[[str], Recording]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)]


def pixels(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_every_run_gives_a_picture_of_sensible_size(any_recording: Recording) -> None:
    width, height = pixels(still(any_recording))
    assert width == 1000
    assert 150 < height < 4000


def test_the_same_run_gives_the_same_bytes(record: Record) -> None:
    assert still(record("locks")) == still(record("locks"))


def test_pyplot_is_left_alone(record: Record) -> None:
    import sys

    sys.modules.pop("matplotlib.pyplot", None)
    still(record("circle"))
    assert "matplotlib.pyplot" not in sys.modules


def test_the_picture_says_how_it_ended_and_names_the_cycle(record: Record) -> None:
    said = texts(wait_graph(record("locks")))
    assert "cycle of 2" in said
    assert {"alice", "bob", "lock_a", "lock_b"} <= set(said)
    assert said.count("held by") == 2
    assert "the cycle closes " in texts(timeline(record("locks")))


def test_a_cycle_that_is_a_guess_is_called_one(record: Record) -> None:
    assert any(text.startswith("perhaps") for text in texts(wait_graph(record("crowd"))))


def test_names_are_no_mathematics_and_no_font_lacks_a_letter(record: Record) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        still(record("masked"))
    shown = [t for t in texts(timeline(record("masked"))) if "x^2" in t]
    assert shown == ["a_$x^2$_`tick`_□□"]


def test_times_of_the_clock_are_on_the_axis(record: Record) -> None:
    said = [text.strip() for text in texts(timeline(record("locks")))]
    assert {"0 s", "0.5 s"} <= set(said)


def test_a_run_where_nobody_waits_says_so(record: Record) -> None:
    assert "Nobody waits." in texts(wait_graph(record("trivial")))


def test_a_long_run_is_painted_as_one_image(record: Record) -> None:
    axes = timeline(record("busy")).axes[0]
    assert len(axes.images) == 1
    assert not axes.collections


@pytest.mark.parametrize("dark", [True, False])
def test_it_reads_on_dark_pages_too(dark: bool, record: Record) -> None:
    import matplotlib.style

    with matplotlib.style.context("dark_background" if dark else "default"):
        assert timeline(record("circle")).get_facecolor() == (1, 1, 1, 1)


def test_of_a_throng_a_part_is_drawn_and_the_rest_counted(record: Record) -> None:
    assert "and 251 more tasks" in texts(timeline(record("thronged")))
    said = texts(wait_graph(record("thronged")))
    assert "event" in said
    assert len([text for text in said if text.startswith("waiter-")]) < 50


def test_spans_follow_one_another_without_a_gap(any_recording: Recording) -> None:
    events = any_recording.trace.events
    for task in range(len(any_recording.trace.tasks)):
        mine = [span for span in spans(any_recording) if span.task == task]
        created = [i for i, e in enumerate(events) if e.kind is Kind.CREATED and e.task == task]
        assert [span.start for span in mine] == created + [span.end for span in mine[:-1]]
        assert mine[-1].end == len(events)
        assert all(span.start < span.end for span in mine)


def test_those_in_the_cycle_end_in_it(record: Record) -> None:
    last = {span.task: span.state for span in spans(record("circle"))}
    assert last == {0: "waiting", 1: "cycle", 2: "cycle", 3: "cycle"}
