"""The scheduler game in a real JupyterLab: the kernel plays each pick, by mouse and keyboard."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytestmark = pytest.mark.browser

PATIENCE = 60_000  # milliseconds; only what is broken takes that long
IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
ARTEFACTS = Path(__file__).parents[1] / "artefacts"
SETUP = """
import asyncio
import deadlock_lab as lab

async def transfers():
    checking, savings = asyncio.Lock(), asyncio.Lock()

    async def transfer(delay, first, second):
        await asyncio.sleep(delay)
        async with first:
            print("noise")
            await asyncio.sleep(0.01)
            async with second:
                pass

    async with asyncio.TaskGroup() as group:
        group.create_task(transfer(0.01, checking, savings), name="alice")
        group.create_task(transfer(0.5, savings, checking), name="bob")

async def fixed():
    checking = asyncio.Lock()

    async def transfer(delay):
        await asyncio.sleep(delay)
        async with checking:
            await asyncio.sleep(0.01)

    await asyncio.gather(transfer(0.01), transfer(0.5))
"""
CELLS = (SETUP, "game = lab.scheduler_game(transfers)\ngame", "lab.scheduler_game(fixed)")


@pytest.fixture
def page(tmp_path: Path, serve: Callable[[Path], str], open_page: Callable[..., Any]) -> Any:
    """Open a notebook with two games, and run it."""
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(book, tmp_path / "game.ipynb")
    page = open_page(
        f"{serve(tmp_path)}lab/tree/game.ipynb?reset", viewport={"width": 1400, "height": 1000}
    )
    page.set_default_timeout(PATIENCE)
    page.locator(".jp-KernelName", has_text="Python 3").wait_for()
    page.locator(IDLE).wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.locator(".dl-game").nth(1).wait_for()
    page.locator(IDLE).wait_for()
    return page


def test_the_game_is_won_in_a_notebook_and_the_fixed_program_is_proved(page: Any) -> None:
    """By mouse, undone, won by keys that JupyterLab does not hear; then the search is asked."""
    game, fixed = page.locator(".dl-game").all()
    steps = game.locator(".dl-game-steps li")

    game.get_by_role("button", name="alice's sleep of 0.01 s").click()
    steps.nth(0).wait_for()
    game.get_by_role("button", name="Undo").click()
    steps.nth(0).wait_for(state="hidden")

    game.focus()
    page.keyboard.press("x")  # would cut the cell if it got as far as JupyterLab
    for count, key in enumerate(("2", "1", "1", "1")):
        page.keyboard.press(key)
        steps.nth(count).wait_for()
    game.locator(".dl-say", has_text="Frozen: alice → bob → alice, for ever.").wait_for()
    assert game.get_by_role("textbox").inner_text() == (
        'lab.run(transfers, schedule="0+490000001")'
    )
    page.keyboard.press("s")
    game.get_by_text("The search has found no freeze that is smaller.").first.wait_for()
    ARTEFACTS.mkdir(exist_ok=True)
    game.scroll_into_view_if_needed()
    page.screenshot(path=ARTEFACTS / "scheduler-game.png")

    fixed.scroll_into_view_if_needed()
    fixed.get_by_role("button", name="Search").click()
    fixed.get_by_text("The search has proved that it cannot be done").first.wait_for()
    assert page.get_by_text("noise", exact=True).count() == 0
