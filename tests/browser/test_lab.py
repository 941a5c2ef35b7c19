"""Lessons in a real JupyterLab: run from the top, their widgets used by mouse and by keyboard."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "tests" / "artefacts"
IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
LESSON = "01-the-freeze.ipynb"
PATIENCE = 60_000  # milliseconds; only what is broken takes that long


@pytest.fixture(scope="module")
def lab_url(tmp_path_factory: pytest.TempPathFactory, serve: Callable[[Path], str]) -> str:
    """Serve a copy of the notebooks."""
    copy = tmp_path_factory.mktemp("course") / "notebooks"
    return serve(shutil.copytree(ROOT / "notebooks", copy))


@pytest.fixture
def open_lesson(lab_url: str, open_page: Callable[..., Any]) -> Callable[[str], Any]:
    """Open a notebook and choose *Run All Cells*; takes its name, returns the page."""

    def open_(name: str) -> Any:
        page = open_page(
            f"{lab_url}lab/tree/{name}?reset", viewport={"width": 1400, "height": 1000}
        )
        page.set_default_timeout(PATIENCE)
        page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        # Without a kernel it is "idle" too, and Run would ask which one to take.
        page.locator(".jp-KernelName", has_text="Python 3").wait_for()
        page.locator(IDLE).wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        return page

    return open_


@pytest.fixture
def lesson(open_lesson: Callable[[str], Any]) -> Any:
    return open_lesson(LESSON)


def cell(page: Any, source: str, direction: int) -> Any:
    """Scroll down (1) or up (-1) to the code cell with this source; others are not in the DOM."""
    found = page.locator(".jp-CodeCell", has_text=source)
    page.locator(".jp-Notebook").first.hover()
    for _ in range(200):
        if found.count():
            found.scroll_into_view_if_needed()
            return found
        page.mouse.wheel(0, direction * 400)
        page.wait_for_timeout(100)
    raise AssertionError(f"no cell with {source!r} came into view")


def wait_until_all_has_run(page: Any) -> None:
    last = cell(page, "lab.run(main).result()", 1)
    last.locator(".jp-InputPrompt", has_text=re.compile(r"\d+")).wait_for()
    page.locator(IDLE).wait_for()
    assert last.locator(".jp-OutputArea-output").inner_text() == "'ABC'"


def the_freeze(page: Any) -> Any:
    """Find the player of the true deadlock."""
    return cell(page, "freeze = lab.run(main)", -1).locator("[data-lm-suppress-shortcuts]")


def position(player: Any) -> int:
    return int(player.locator(".dl-where").inner_text().partition(" / ")[0])


def wait_for_position(player: Any, expected: int) -> None:
    player.locator(".dl-where", has_text=re.compile(rf"^{expected} /")).wait_for()


def test_the_lesson_runs_and_the_freeze_is_played_by_mouse_and_keyboard(lesson: Any) -> None:
    wait_until_all_has_run(lesson)
    player = the_freeze(lesson)

    player.get_by_role("button", name="To the start").click()
    wait_for_position(player, 0)
    for step in (1, 2, 3):
        player.get_by_role("button", name="One step forward").click()
        wait_for_position(player, step)
    player.get_by_role("button", name="One step back").click()
    wait_for_position(player, 2)

    scrubber = player.get_by_role("slider").first
    width = scrubber.bounding_box()["width"]
    scrubber.hover(position={"x": width * 0.2, "y": 5})
    lesson.mouse.down()
    scrubber.hover(position={"x": width * 0.7, "y": 5})
    lesson.mouse.up()
    player.locator(".dl-where", has_text=re.compile(r"^[12]\d /")).wait_for()
    scrubbed = position(player)

    lesson.keyboard.press("ArrowRight")
    wait_for_position(player, scrubbed + 1)
    lesson.keyboard.press("x")  # would cut the cell if it got as far as JupyterLab
    lesson.keyboard.press("End")
    lesson.keyboard.press("c")
    player.get_by_text("That closes the cycle").first.wait_for()
    assert the_freeze(lesson).is_visible()

    ARTEFACTS.mkdir(exist_ok=True)
    lesson.screenshot(path=ARTEFACTS / "the-freeze.png")


def test_the_race_explorer_is_dragged_and_the_kernel_runs_each_race(
    open_lesson: Callable[[str], Any],
) -> None:
    page = open_lesson("03-timeout-races.ipynb")
    shown = cell(page, 'when_cancelled="carries on"', 1)
    explorer = shown.locator(".dl-race")
    story = explorer.locator(".dl-say")
    story.filter(has_text="until 1.5 s, and its result is lost").wait_for()

    explorer.get_by_role("radio", name="with_timeout").check()
    story.filter(has_text="At 1.1 s the caller is let go with an error").wait_for()

    limit = explorer.get_by_role("slider", name="The limit")
    limit.scroll_into_view_if_needed()
    box = limit.bounding_box()
    track = explorer.locator(".dl-race-drag").last.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(track["x"] + track["width"] * 0.9, middle, steps=20)
    page.mouse.up()
    story.filter(has_text="The operation wins: the caller gets the result at 1.5 s.").wait_for()
    assert limit.get_attribute("aria-valuetext") == "1.8 s"

    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowLeft")
    explorer.get_by_text("A limit of 1.58 s").first.wait_for()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    story.filter(has_text="A tie: both are due at 1.5 s").wait_for()
    page.keyboard.press("x")  # would cut the cell if it got as far as JupyterLab
    assert explorer.is_visible()

    ARTEFACTS.mkdir(exist_ok=True)
    shown.screenshot(path=ARTEFACTS / "race-explorer.png")
