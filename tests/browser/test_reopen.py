"""A notebook that was saved: opened again, not trusted, its kernel restarted, its cells copied."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytestmark = pytest.mark.browser

PATIENCE = 60_000  # milliseconds; only what is broken takes that long
IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
SETUP = """
import asyncio
import deadlock_lab as lab

async def main():
    tasks = {}
    async def wait_for(other):
        await asyncio.sleep(0)
        await tasks[other]
    for name, other in (("A", "B"), ("B", "A")):
        tasks[name] = asyncio.create_task(wait_for(other), name=name)
    await asyncio.wait(tasks.values())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    cells = map(nbformat.v4.new_code_cell, (SETUP, "lab.run(main)", "first = lab.run(main)\nfirst"))
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    book = nbformat.v4.new_notebook(cells=list(cells), metadata={"kernelspec": kernel})
    nbformat.write(book, folder / "saved.ipynb")
    return folder


@pytest.fixture(scope="module")
def open_book(
    folder: Path, serve: Callable[[Path], str], browser: Any
) -> Callable[[Callable[..., Any], str], Any]:
    """Run the notebook from the top and save it; gives a function that opens it again."""
    url = serve(folder)

    def open_book_(open_page: Callable[..., Any], name: str = "saved.ipynb") -> Any:
        page = open_page(f"{url}lab/tree/{name}?reset", viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PATIENCE)
        page.locator(".jp-KernelName", has_text="Python 3").wait_for()
        page.locator(IDLE).wait_for()
        return page

    def first_page(address: str, **options: Any) -> Any:
        page = browser.new_context(**options).new_page()
        page.goto(address)
        return page

    page = open_book_(first_page)
    choose(page, "Run", "Run All Cells")
    page.locator(".dl-where").nth(1).wait_for()
    page.locator(IDLE).wait_for()
    page.keyboard.press("Control+s")
    page.wait_for_function("!document.querySelector('.jp-mod-dirty')")
    page.context.close()
    return open_book_


def choose(page: Any, menu: str, entry: str) -> None:
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_text(entry, exact=True).click()


def players(page: Any) -> Any:
    return page.locator(".jp-OutputArea-output .deadlock-lab")


def where(player: Any) -> str:
    # Not inner_text, which is empty where JupyterLab leaves an output out of sight unrendered.
    return str(player.locator(".dl-where").text_content())


def play_the_second(page: Any) -> None:
    """Lead the second player to its end; the first must stay where it opened."""
    players(page).nth(1).wait_for()
    first, second = players(page).all()
    opened = where(first)
    second.focus()
    page.keyboard.press("End")
    total = opened.partition(" / ")[2]
    second.locator(".dl-where", has_text=re.compile(f"^{total} / {total}$")).wait_for()
    assert where(first) == opened


def test_opened_again_it_still_plays(open_page: Any, open_book: Any) -> None:
    """No kernel has heard of these runs, and two players do not disturb each other."""
    play_the_second(open_book(open_page))


def test_the_players_go_on_after_a_restart_of_the_kernel(open_page: Any, open_book: Any) -> None:
    page = open_book(open_page)
    choose(page, "Kernel", "Restart Kernel…")
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    page.locator(IDLE).wait_for()
    play_the_second(page)


def test_a_copied_cell_has_a_player_of_its_own(open_page: Any, open_book: Any) -> None:
    page = open_book(open_page)
    players(page).nth(1).wait_for()
    page.locator(".jp-CodeCell .jp-InputPrompt").nth(2).click()
    page.keyboard.press("c")
    page.keyboard.press("v")
    players(page).nth(2).wait_for()
    copy = players(page).nth(2)
    opened = where(copy)
    copy.focus()
    page.keyboard.press("End")
    assert where(copy) != opened
    assert [where(player) for player in players(page).all()[:2]] == [opened, opened]


def test_where_it_is_not_trusted_there_is_a_picture_with_words(
    open_page: Any, open_book: Any, folder: Path
) -> None:
    book = nbformat.read(folder / "saved.ipynb", as_version=4)
    book.cells[1].source += "  # by somebody else"
    nbformat.write(book, folder / "foreign.ipynb")
    page = open_book(open_page, "foreign.ipynb")
    picture = page.locator(".jp-OutputArea-output img").first
    picture.wait_for()
    assert "A → B → A" in picture.get_attribute("alt")
    assert picture.evaluate("image => image.naturalWidth") > 500
    assert players(page).count() == 0
