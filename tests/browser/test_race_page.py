"""The race explorer on a page, with the real widget behind it: by mouse, by keyboard, by ear."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deadlock_lab.views.race import RaceExplorer
from deadlock_lab.views.race.alarms import Latencies

pytestmark = pytest.mark.browser

SETTINGS = ("operation", "limit", "way", "when_cancelled", "latencies")

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>races</title>
<meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>%(css)s body { margin: 0; padding: 12px; background: Canvas; }</style></head>
<body><main><h1 class="deadlock-lab" style="font-size: 16px">Races</h1></main>
<script type="module">
%(js)s
const state = %(state)s;
const heard = {};
const fire = (name) => (heard[`change:${name}`] ?? []).forEach((call) => call());
const model = {
  get: (name) => state[name],
  set(name, value) { state[name] = value; },
  async save_changes() {
    const { operation, limit, way, when_cancelled, latencies } = state;
    const answer = await window.kernel({ operation, limit, way, when_cancelled, latencies });
    if (!answer) return;
    state.scene = answer.scene;
    fire("scene");
  },
  on(name, call) { (heard[name] ??= []).push(call); },
  off(name, call) { heard[name] = heard[name].filter((other) => other !== call); },
};
window.listeners = () => Object.values(heard).flat().length;
window.close = render({ model, el: document.querySelector("main") });
</script></body></html>
"""


class Explorer:
    """The explorer on a page, as a person meets it, and the widget in the kernel."""

    def __init__(self, page: Any, widget: RaceExplorer) -> None:
        self.page = page
        self.widget = widget
        self.answers = True
        self.root = page.locator(".dl-race")

    def kernel(self, wanted: dict[str, Any]) -> dict[str, Any] | None:
        if not self.answers:
            return None
        for name, value in wanted.items():
            setattr(self.widget, name, value)
        return {"scene": self.widget.scene}

    def handle(self, name: str) -> Any:
        return self.root.get_by_role("slider", name=name)

    def wait_for_story(self, text: str) -> None:
        self.root.locator(".dl-say", has_text=text).wait_for()


@pytest.fixture
def explore(open_page: Callable[..., Any], tmp_path: Path) -> Callable[..., Explorer]:
    """Open an explorer; takes its arguments, and ``context`` for the browser's."""

    def open_(*args: Any, context: dict[str, Any] | None = None, **options: Any) -> Explorer:
        widget = RaceExplorer(*args, **options)
        state = {name: getattr(widget, name) for name in (*SETTINGS, "choices", "scene")}
        path = tmp_path / "race.html"
        path.write_text(
            PAGE % {"css": widget._css, "js": widget._esm, "state": json.dumps(state)}, "utf-8"
        )
        page = open_page("about:blank", **(context or {}))
        explorer = Explorer(page, widget)
        page.expose_function("kernel", explorer.kernel)
        page.goto(path.as_uri())
        explorer.root.wait_for()
        return explorer

    return open_


def drag(explorer: Explorer, name: str, share: float) -> None:
    """Take a handle with the mouse and bring it to this share of the axis."""
    box = explorer.handle(name).bounding_box()
    track = explorer.root.locator(".dl-race-drag").first.bounding_box()
    y = box["y"] + box["height"] / 2
    explorer.page.mouse.move(box["x"] + box["width"] / 2, y)
    explorer.page.mouse.down()
    explorer.page.mouse.move(track["x"] + track["width"] * share, y, steps=8)
    explorer.page.mouse.up()


def test_it_opens_with_what_the_kernel_found_out(explore: Callable[..., Explorer]) -> None:
    explorer = explore()
    for text in (explorer.widget.scene[name] for name in ("story", "alarms", "frozen")):
        assert explorer.root.get_by_text(text).first.is_visible()
    assert explorer.handle("The operation takes").get_attribute("aria-valuetext") == "1 s"
    assert explorer.handle("The limit").get_attribute("aria-valuetext") == "0.6 s"


def test_a_handle_is_dragged_and_the_race_is_run_anew(explore: Callable[..., Explorer]) -> None:
    explorer = explore()
    drag(explorer, "The limit", 0.75)
    explorer.wait_for_story("The operation wins: the caller gets the result at 1 s.")
    assert (explorer.widget.operation, explorer.widget.limit) == (1.0, 1.5)
    drag(explorer, "The operation takes", 0.9)
    explorer.wait_for_story("It runs on, unwatched, until 1.8 s")


def test_the_keys_of_a_slider_move_a_handle(explore: Callable[..., Explorer]) -> None:
    explorer = explore()
    explorer.handle("The limit").focus()
    seen = []
    for key in ("ArrowRight", "ArrowUp", "ArrowLeft", "PageUp", "Shift+ArrowLeft", "Home", "End"):
        explorer.page.keyboard.press(key)
        seen.append(explorer.handle("The limit").get_attribute("aria-valuenow"))
    assert seen == ["0.62", "0.64", "0.62", "0.82", "0.62", "0.02", "2"]
    explorer.wait_for_story("The operation wins")


def test_it_is_worked_by_the_keyboard_alone(explore: Callable[..., Explorer]) -> None:
    explorer = explore()
    explorer.page.keyboard.press("Tab")
    explorer.page.keyboard.press("ArrowRight")
    explorer.wait_for_story("It stops at once, and the caller gets an error.")
    explorer.page.keyboard.press("Tab")
    explorer.page.keyboard.press("ArrowRight")
    explorer.wait_for_story("It cleans up until 0.9 s")
    explorer.page.keyboard.press("Tab")
    explorer.page.keyboard.press("End")
    explorer.page.keyboard.press("Tab")
    explorer.page.keyboard.press("ArrowRight")
    explorer.wait_for_story("It cleans up until 0.92 s")
    explorer.page.keyboard.press("Tab")
    explorer.page.keyboard.press("ArrowLeft")
    explorer.root.get_by_text(Latencies.of("steady").tell(0.62)).first.wait_for()


def test_bars_and_lines_stand_where_their_times_are(explore: Callable[..., Explorer]) -> None:
    explorer = explore(1, 0.6)
    track = explorer.root.locator(".dl-race-drag").first.bounding_box()

    def share(x: float) -> float:
        return float((x - track["x"]) / track["width"])

    unwatched = explorer.root.locator(".dl-race-bars .dl-race-unwatched").bounding_box()
    assert share(unwatched["x"]) == pytest.approx(0.3, abs=0.005)
    assert share(unwatched["x"] + unwatched["width"]) == pytest.approx(0.5, abs=0.005)
    for line in explorer.root.locator(".dl-race-limit").all():
        box = line.bounding_box()
        assert share(box["x"] + box["width"] / 2) == pytest.approx(0.3, abs=0.005)


def test_what_happened_is_read_out_when_the_hand_rests(explore: Callable[..., Explorer]) -> None:
    explorer = explore()
    aloud = explorer.root.locator("[aria-live=polite]")
    explorer.handle("The limit").focus()
    explorer.page.keyboard.press("End")
    explorer.page.wait_for_function(
        "document.querySelector('[aria-live=polite]').textContent.startsWith('The operation wins')"
    )
    assert (
        aloud.inner_text() == f"{explorer.widget.scene['story']} {explorer.widget.scene['alarms']}"
    )


def test_without_a_kernel_it_says_that_the_picture_is_old(explore: Callable[..., Explorer]) -> None:
    explorer = explore()
    story = explorer.widget.scene["story"]
    explorer.answers = False
    explorer.handle("The limit").focus()
    explorer.page.keyboard.press("ArrowRight")
    explorer.root.get_by_text("the picture still shows the race before").wait_for()
    explorer.wait_for_story(story)
    explorer.answers = True
    explorer.page.keyboard.press("End")
    explorer.wait_for_story("The operation wins")
    assert explorer.root.get_by_role("status").inner_text() == ""


def test_its_keys_stay_in_it(explore: Callable[..., Explorer]) -> None:
    explorer = explore()
    explorer.page.evaluate(
        "() => { window.heard = [];"
        " document.addEventListener('keydown', e => window.heard.push(e.key)); }"
    )
    explorer.handle("The limit").focus()
    for key in ("x", "d", "ArrowLeft", "ArrowDown", "Home"):
        explorer.page.keyboard.press(key)
    assert explorer.page.evaluate("window.heard") == []
    assert explorer.root.get_attribute("data-lm-suppress-shortcuts") == "true"


def test_a_closed_view_leaves_nothing_behind(explore: Callable[..., Explorer]) -> None:
    explorer = explore()
    assert explorer.page.evaluate("window.listeners()") == len(SETTINGS) + 1
    explorer.page.evaluate("window.close()")
    assert explorer.page.evaluate("window.listeners()") == 0
    assert explorer.root.count() == 0


@pytest.mark.parametrize("width", [340, 700, 1180])
def test_nothing_sticks_out_at_any_width(explore: Callable[..., Explorer], width: int) -> None:
    explorer = explore(2.0, 2.0, context={"viewport": {"width": width, "height": 900}})
    assert explorer.page.evaluate("document.documentElement.scrollWidth") <= width
