"""The scheduler game on a page, with the real widget behind it: by mouse, by keyboard, by ear."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import deadlock_lab as lab
from deadlock_lab.game.widget import SchedulerGame
from tests.schedules.programs import transfers

pytestmark = pytest.mark.browser

Violations = Callable[[Any], list[tuple[str, list[str]]]]

EVIL = "<img src=x onerror=\"document.title='pwned'\">"
TRAITS = ("name", "picks", "scene", "searching", "found")

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>the game</title>
<meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>%(css)s body { margin: 0; padding: 12px; background: Canvas; }</style></head>
<body><main><h1 class="deadlock-lab" style="font-size: 16px">The game</h1></main>
<script type="module">
%(js)s
const state = %(state)s;
const heard = {};
const model = {
  get: (name) => state[name],
  set(name, value) { state[name] = value; this.changed = name; },
  async save_changes() {
    const answer = await window.kernel(this.changed, state[this.changed]);
    if (!answer) return;
    const text = (all, name) => JSON.stringify(all[name]);
    const news = Object.keys(answer).filter((name) => text(state, name) !== text(answer, name));
    Object.assign(state, answer);
    for (const name of news) (heard[`change:${name}`] ?? []).forEach((call) => call());
  },
  on(name, call) { (heard[name] ??= []).push(call); },
  off(name, call) { heard[name] = heard[name].filter((other) => other !== call); },
};
window.listeners = () => Object.values(heard).flat().length;
window.close = render({ model, el: document.querySelector("main") });
</script></body></html>
"""


async def in_order() -> None:
    """Take the locks in one order: nothing freezes it."""
    checking, savings = asyncio.Lock(), asyncio.Lock()

    async def transfer(delay: float) -> None:
        await asyncio.sleep(delay)
        async with checking:
            await asyncio.sleep(0.01)
            async with savings:
                pass

    async with asyncio.TaskGroup() as group:
        group.create_task(transfer(0.01), name="alice")
        group.create_task(transfer(0.5), name=EVIL)


async def hurried() -> None:
    """Freeze only if two waits complete at one moment."""
    a, b = asyncio.Lock(), asyncio.Lock()

    async def take(seconds: float, first: asyncio.Lock, second: asyncio.Lock) -> None:
        await asyncio.sleep(seconds)
        async with first:
            await asyncio.sleep(0)
            async with second:
                pass

    async def limit() -> None:
        async with asyncio.timeout(5):
            await asyncio.sleep(9)

    await asyncio.gather(take(1, a, b), take(2, b, a), limit())


class Board:
    """The game on a page, as a person meets it, and the widget in the kernel."""

    def __init__(self, page: Any, widget: SchedulerGame) -> None:
        self.page = page
        self.widget = widget
        self.answers = True
        self.root = page.locator(".dl-game")

    def kernel(self, name: str, value: Any) -> dict[str, Any] | None:
        if not self.answers:
            return None
        setattr(self.widget, name, value)
        return {name: getattr(self.widget, name) for name in TRAITS}

    def wait_for(self, text: str) -> None:
        self.root.locator(".dl-say", has_text=text).wait_for()

    def wait_for_picks(self, count: int) -> None:
        if count:
            self.root.locator(".dl-game-steps li").nth(count - 1).wait_for()
        self.root.locator(".dl-game-steps li").nth(count).wait_for(state="hidden")

    def press(self, *keys: str) -> None:
        """Press keys, each when the one before has been answered."""
        for key in keys:
            self.page.keyboard.press(key)
            self.page.locator(".dl-game:not([aria-busy])").wait_for()


@pytest.fixture
def play(open_page: Callable[..., Any], tmp_path: Path) -> Callable[..., Board]:
    """Open a game of a program; takes the options of a browser context, too."""

    def open_(main: Any, **context: Any) -> Board:
        widget = lab.scheduler_game(main)
        state = {name: getattr(widget, name) for name in TRAITS}
        path = tmp_path / "game.html"
        data = json.dumps(state).replace("<", "\\u003c")
        path.write_text(PAGE % {"css": widget._css, "js": widget._esm, "state": data}, "utf-8")
        page = open_page("about:blank", **context)
        board = Board(page, widget)
        page.expose_function("kernel", board.kernel)
        page.goto(path.as_uri())
        board.root.wait_for()
        return board

    return open_


def test_a_program_is_frozen_by_mouse(play: Callable[..., Board]) -> None:
    """Bob's long wait first, and then as it comes; the schedule is there to be kept."""
    board = play(transfers)
    board.root.get_by_role("button", name="bob's sleep of 0.5 s").click()
    board.wait_for("At 0.5 s nothing is ready.")
    for count in (2, 3, 4):
        board.root.locator(".dl-game-pick").first.click()
        board.wait_for_picks(count)
    board.wait_for("Frozen: alice → bob → alice, for ever.")
    token = board.root.get_by_role("textbox", name="To see it again").inner_text()
    assert token == f'lab.run(transfers, schedule="{board.widget.token}")'
    assert lab.run(transfers, schedule=board.widget.token).outcome == "deadlock"
    assert board.root.locator(".dl-token.dl-in-cycle").count() == 4


def test_a_program_is_frozen_by_keyboard_alone(play: Callable[..., Board]) -> None:
    """With a wrong pick undone on the way."""
    board = play(transfers)
    board.page.keyboard.press("Tab")
    board.press("1", "u", "2", "Backspace", "ArrowDown", "ArrowDown", "Enter")
    board.wait_for_picks(1)
    assert board.widget.picks == [[1]]
    board.press("1", "1", "1")
    board.wait_for("Frozen:")
    board.press("r")
    board.wait_for_picks(0)
    assert board.widget.picks == []


def test_after_a_pick_the_focus_is_where_the_next_is_made(play: Callable[..., Board]) -> None:
    """The button that was pressed is gone."""
    board = play(transfers)
    board.root.locator(".dl-game-pick").first.focus()
    board.press("Enter")
    board.wait_for_picks(1)
    focused = "document.activeElement.className"
    assert board.page.evaluate(focused) == "dl-game-pick"


@pytest.mark.parametrize("name", ["Undo", "Restart", "Search"])
def test_a_button_that_is_switched_off_keeps_the_keys_in_the_game(
    name: str, play: Callable[..., Board]
) -> None:
    """Else the next key would be the notebook's."""
    board = play(transfers)
    board.root.focus()
    board.press("1")
    board.wait_for_picks(1)
    button = board.root.get_by_role("button", name=name)
    button.click()
    board.page.wait_for_function("name => document.activeElement.matches('.dl-game')")
    assert button.is_disabled()


def test_what_came_of_a_pick_is_read_out(play: Callable[..., Board]) -> None:
    """In the order in which it happened, and then what is to be done."""
    board = play(transfers)
    aloud = board.root.locator("[aria-live=polite]")
    assert aloud.inner_text() == ""
    board.root.focus()
    board.press("1")
    board.wait_for_picks(1)
    assert aloud.inner_text() == (
        "alice now holds checking (Lock). alice sleeps. "
        "At 0.01 s nothing is ready. What completes next?"
    )


def test_the_search_proves_that_the_fixed_program_cannot_be_frozen(
    play: Callable[..., Board],
) -> None:
    """And it says so."""
    board = play(in_order)
    board.root.focus()
    board.press("s")
    board.root.get_by_text("The search has proved that it cannot be done").first.wait_for()
    assert board.root.get_by_role("button", name="Hint").is_hidden()
    assert board.root.get_by_role("button", name="Search").is_disabled()


def test_hints_lead_to_the_freeze(play: Callable[..., Board]) -> None:
    """From anywhere: by what to undo, and by what to pick."""
    board = play(transfers)
    board.root.focus()
    board.press("1", "s")
    board.root.locator(".dl-game-verdict", has_text="It can be done").wait_for()
    board.press("h")
    note = board.root.locator(".dl-game-note")
    assert note.inner_text() == "Hint: from here there is a shorter way. Undo one pick first."
    board.press("u", "h")
    assert note.inner_text() == "Hint: pick 2, bob's sleep of 0.5 s."
    assert "bob" in board.root.locator(".dl-game-hinted").inner_text()
    board.press("2", "1", "1", "1")
    board.wait_for("Frozen:")
    board.root.get_by_text("The search has found no freeze that is smaller.").first.wait_for()


def test_two_waits_are_marked_to_complete_at_one_moment(play: Callable[..., Board]) -> None:
    """It is the only way to freeze this one."""
    board = play(hurried)
    board.root.focus()
    board.press("Shift+1")
    assert board.root.locator(".dl-game-marked").count() == 1
    board.press("2")
    board.wait_for("Frozen:")
    assert board.widget.picks == [[0, 1]]


def test_what_cannot_be_picked_says_why(play: Callable[..., Board]) -> None:
    """A wait beyond the next time limit."""
    board = play(hurried)
    beyond = board.root.locator(".dl-game-pick", has_text="9 s")
    assert beyond.is_disabled()
    assert "A time limit is due before, at 5 s" in beyond.inner_text()
    board.root.focus()
    board.press("4")
    assert board.widget.picks == []


def test_its_keys_stay_in_it(play: Callable[..., Board]) -> None:
    """JupyterLab must not hear them."""
    board = play(transfers)
    board.page.evaluate(
        "() => { window.heard = [];"
        " document.addEventListener('keydown', e => window.heard.push(e.key)); }"
    )
    board.root.focus()
    board.press("x", "d", "d", "1", "u", "ArrowDown", "Enter", "?")
    assert board.page.evaluate("window.heard") == []
    assert board.root.get_attribute("data-lm-suppress-shortcuts") == "true"
    assert board.root.locator(".dl-game-keys").get_attribute("open") is not None


def test_without_a_kernel_it_says_that_none_answers(play: Callable[..., Board]) -> None:
    """And stays as it was; a late answer takes that back."""
    board = play(transfers)
    board.answers = False
    board.root.locator(".dl-game-pick").first.click()
    board.root.get_by_text("No answer from a kernel").first.wait_for()
    assert board.root.locator(".dl-game-pick").count() == 2


def test_nothing_of_a_learner_is_read_as_html(play: Callable[..., Board]) -> None:
    """A task's name is text, whatever it says."""
    board = play(in_order)
    board.root.focus()
    board.press("2", "1", "1")
    board.wait_for_picks(3)
    assert board.page.title() == "the game"
    assert EVIL in board.root.locator(".dl-game-steps").inner_text()


def test_a_closed_view_leaves_nothing_behind(play: Callable[..., Board]) -> None:
    """No listener, no element."""
    board = play(transfers)
    assert board.page.evaluate("window.listeners()") == 3
    board.page.evaluate("window.close()")
    assert board.page.evaluate("window.listeners()") == 0
    assert board.root.count() == 0


@pytest.mark.parametrize("width", [340, 590, 1180])
def test_nothing_sticks_out_at_any_width(play: Callable[..., Board], width: int) -> None:
    """A phone, and a window at 200 %."""
    board = play(in_order, viewport={"width": width, "height": 900})
    board.root.focus()
    board.press("?", "1", "s")
    assert board.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("keys", [[], ["Shift+1", "?"], ["2", "1", "s", "h"], ["2", "1", "1", "1"]])
def test_axe_finds_no_violation(
    scheme: str, keys: list[str], play: Callable[..., Board], violations: Violations
) -> None:
    """At the start, with a mark, with a hint, and frozen."""
    board = play(transfers, color_scheme=scheme, reduced_motion="reduce")
    board.root.focus()
    board.press(*keys)
    assert violations(board.page) == []
