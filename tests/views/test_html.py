import json
import re
from collections.abc import Callable
from pathlib import Path

from deadlock_lab.engine.recording import Recording
from deadlock_lab.views.html import page, save_html
from deadlock_lab.views.narration import ending
from deadlock_lab.views.payload import to_payload

Record = Callable[[str], Recording]


def embedded(html: str) -> str:
    found = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found
    return found[1]


def test_the_page_holds_the_payload(any_recording: Recording) -> None:
    assert json.loads(embedded(page(any_recording))) == to_payload(any_recording)


def test_nothing_of_a_learner_can_close_the_script(record: Record) -> None:
    html = page(record("masked"), title="</title><script>alert(1)</script>")
    assert "<" not in embedded(html)
    assert "<img" not in html
    assert "<script>alert" not in html


def test_the_page_asks_for_nothing_from_elsewhere(record: Record) -> None:
    html = page(record("circle"))
    assert not re.search(r'(src|href)="|@import|url\(', html)
    assert set(re.findall(r"https?://[^\"' ]+", html)) <= {"http://www.w3.org/2000/svg"}


def test_its_title_says_how_the_run_ended(record: Record) -> None:
    recording = record("circle")
    assert f"<title>deadlock: {ending(recording).replace('`', '')}</title>" in page(recording)


def test_a_long_run_lists_its_first_steps_and_its_last(record: Record) -> None:
    items = re.findall(r"<li>(.*?)</li>", page(record("busy")))
    assert len(items) == 202
    assert items[-1] == ending(record("busy"))


def test_an_existing_file_is_replaced(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "run.html"
    path.write_text("old")
    save_html(record("circle"), path)
    assert path.read_text("utf-8") == page(record("circle"))
