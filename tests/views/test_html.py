import asyncio
import base64
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path

from deadlock_lab.engine.recording import Recording
from deadlock_lab.engine.run import execute
from deadlock_lab.views.html import page, save_html
from deadlock_lab.views.narration import ending
from deadlock_lab.views.payload import to_payload

Record = Callable[[str], Recording]


def unpacked(html: str) -> str:
    """Give the page as the browser has it once it has inflated the player."""
    found = re.search(r'<script type="text/plain">(.*?)</script>', html)
    assert found
    return html.replace(found[1], zlib.decompress(base64.b64decode(found[1])).decode())


def embedded(html: str) -> str:
    found = re.search(r'<script type="application/json">(.*?)</script>', unpacked(html), re.DOTALL)
    assert found
    return found[1]


def test_the_page_holds_the_payload(any_recording: Recording) -> None:
    assert json.loads(embedded(page(any_recording))) == to_payload(any_recording)


def test_nothing_of_a_learner_can_close_the_script(record: Record) -> None:
    html = unpacked(page(record("masked"), title="</title><script>alert(1)</script>"))
    assert "<" not in embedded(page(record("masked")))
    assert "<img" not in html
    assert "<script>alert" not in html


def test_the_page_asks_for_nothing_from_elsewhere(record: Record) -> None:
    html = unpacked(page(record("circle")))
    assert not re.search(r'(src|href)="|@import|url\(', html)
    assert set(re.findall(r"https?://[^\"' ]+", html)) <= {"http://www.w3.org/2000/svg"}


async def lively() -> None:
    locks = [asyncio.Lock() for _ in range(4)]

    async def job(n: int) -> None:
        for k in range(6):
            async with locks[(n + k) % 4]:
                await asyncio.sleep((n * 7 + k) % 11 / 100)

    await asyncio.gather(*(asyncio.create_task(job(n), name=f"job-{n}") for n in range(20)))


def test_a_thousand_events_fit_in_sixty_kilobytes() -> None:
    recording = execute(lively)
    assert len(recording.trace.events) >= 1_000
    assert len(page(recording).encode()) <= 60_000


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
