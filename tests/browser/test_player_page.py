"""The saved page in a real Chromium: every control, by mouse and by keyboard."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deadlock_lab.engine.recording import Recording
from deadlock_lab.engine.run import execute
from deadlock_lab.engine.trace import Kind
from deadlock_lab.views.cycles import first_closing
from deadlock_lab.views.html import output, save_html
from deadlock_lab.views.html import page as page_of
from deadlock_lab.views.narration import transcript, when
from deadlock_lab.views.payload import opening

pytestmark = pytest.mark.browser

Violations = Callable[[Any], list[tuple[str, list[str]]]]

EVIL = "<img src=x onerror=\"document.title='pwned'\">"
KEYS = {"back": "ArrowLeft", "forward": "ArrowRight", "start": "Home", "end": "End"}
TITLES = {
    "start": "To the start (Home)",
    "back": "One step back (←)",
    "forward": "One step forward (→)",
    "end": "To the end (End)",
    "cycle": "To the moment the cycle closes (C)",
    "play": "Play (Space)",
    "pause": "Pause (Space)",
    "slower": "Slower (−)",
    "faster": "Faster (+)",
    "help": "Help (?)",
}


async def circle() -> None:
    tasks: dict[str, asyncio.Task[Any]] = {}

    async def worker(other: str) -> None:
        await asyncio.sleep(0.5)
        await tasks[other]

    for name, other in (("A", "B"), ("B", EVIL), (EVIL, "A")):
        tasks[name] = asyncio.create_task(worker(other), name=name)
    await asyncio.gather(*tasks.values())


@pytest.fixture(scope="session")
def recording() -> Recording:
    return execute(circle)


@pytest.fixture(scope="session")
def url(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "run.html"
    save_html(recording, path)
    return path.as_uri()


class Player:
    """The player on a page, as a person meets it."""

    def __init__(self, page: Any, root: Any = None) -> None:
        self.page = page
        self.root = root or page.locator(".deadlock-lab")

    @property
    def position(self) -> int:
        return int(self.root.locator(".dl-where").inner_text().split(" / ")[0])

    @property
    def said(self) -> str:
        return str(self.root.locator(".dl-say").inner_text())

    def click(self, name: str) -> None:
        self.root.get_by_role("button", name=TITLES[name], exact=True).click()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


@pytest.fixture
def player(open_page: Callable[..., Any], url: str) -> Player:
    found = Player(open_page(url))
    found.root.focus()
    return found


def plain(sentence: str) -> str:
    return sentence.replace("`", "")


def test_it_opens_where_the_story_begins(player: Player, recording: Recording) -> None:
    at = opening(recording)
    assert player.position == at
    assert player.said == plain(transcript(recording)[at - 1])


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_steps_and_jumps(by: str, player: Player, recording: Recording) -> None:
    total, at = len(recording.trace.events), opening(recording)
    for control, expected in [
        ("forward", at + 1),
        ("forward", at + 2),
        ("back", at + 1),
        ("end", total),
        ("start", 0),
    ]:
        if by == "mouse":
            player.click(control)
        else:
            player.press(KEYS[control])
        assert player.position == expected


def test_with_shift_the_arrows_lead_to_where_another_task_runs(
    player: Player, recording: Recording
) -> None:
    runs = [i + 1 for i, e in enumerate(recording.trace.events) if e.kind is Kind.RESUMED]
    player.press("Home", "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight")
    assert player.position == runs[2]
    player.press("Shift+ArrowLeft")
    assert player.position == runs[1]


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_the_moment_the_cycle_closes(by: str, player: Player, recording: Recording) -> None:
    if by == "mouse":
        player.click("cycle")
    else:
        player.press("c")
    closed = first_closing(recording)
    assert player.position == closed + 1
    assert player.said == plain(transcript(recording)[closed])
    assert player.root.locator(".dl-task.dl-in-cycle").count() == 3
    assert player.root.locator(".dl-arrow.dl-in-cycle").count() == 3
    assert player.root.locator(".dl-ring.dl-on").text_content() == "cycle of 3"
    player.press("ArrowLeft")
    assert player.root.locator(".dl-in-cycle").count() == 0


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_play_and_pause(by: str, player: Player) -> None:
    start = player.position
    player.press("+", "+", "+")
    if by == "mouse":
        player.click("play")
    else:
        player.press("Space")
    player.page.wait_for_function(
        f"parseInt(document.querySelector('.dl-where').textContent) > {start + 2}"
    )
    if by == "mouse":
        player.click("pause")
    else:
        player.press("Space")
    paused = player.position
    player.page.wait_for_timeout(400)
    assert player.position == paused


def test_playing_ends_at_the_end_and_begins_anew(player: Player, recording: Recording) -> None:
    total = len(recording.trace.events)
    player.press("+", "+", "+", "End", "ArrowLeft", "Space")
    player.page.wait_for_function(
        f"document.querySelector('.dl-where').textContent === '{total} / {total}'"
    )
    player.root.get_by_role("button", name=TITLES["play"], exact=True).wait_for()
    player.press("Space")
    assert player.position < total


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_speed_has_ends(by: str, player: Player) -> None:
    pace = player.root.locator(".dl-pace")
    seen = [pace.inner_text()]
    for _ in range(3):
        player.press("+") if by == "keyboard" else player.click("faster")
        seen.append(pace.inner_text())
    assert seen == ["1×", "2×", "4×", "8×"]
    for _ in range(5):
        player.press("-") if by == "keyboard" else player.click("slower")
    assert pace.inner_text() == "0.25×"
    player.press("-")
    assert pace.inner_text() == "0.25×"


def test_scrubbing_with_the_mouse(player: Player, recording: Recording) -> None:
    track = player.root.locator(".dl-track").bounding_box()
    middle = track["y"] + track["height"] / 2
    player.page.mouse.move(track["x"] + 1, middle)
    player.page.mouse.down()
    player.page.mouse.move(track["x"] + track["width"] / 2, middle, steps=5)
    assert abs(player.position - len(recording.trace.events) / 2) <= 1
    player.page.mouse.move(track["x"] + track["width"], middle, steps=5)
    player.page.mouse.up()
    assert player.position == len(recording.trace.events)


def test_a_jump_makes_the_browser_lay_out_once(player: Player, recording: Recording) -> None:
    """What is slow is to measure between changes: each time everything is laid out anew."""
    session = player.page.context.new_cdp_session(player.page)
    session.send("Performance.enable")

    def layouts() -> int:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return int({m["name"]: m["value"] for m in metrics}["LayoutCount"])

    jumps = len(recording.trace.events)
    before = layouts()
    player.root.locator(".dl-range").evaluate(
        """range => {
            for (let to = 0; to < Number(range.max); to += 1) {
                range.value = String((to * 7) % range.max);
                range.dispatchEvent(new Event("input"));
            }
        }"""
    )
    assert 0 < layouts() - before < 1.5 * jumps  # and a few frames


def test_the_scrubber_says_where_it_is(player: Player, recording: Recording) -> None:
    slider = player.root.get_by_role("slider", name="Moment")
    slider.focus()
    before = player.position
    player.press("ArrowRight")
    assert player.position == before + 1
    said = slider.get_attribute("aria-valuetext")
    assert said == (
        f"step {before + 1} of {len(recording.trace.events)}: "
        + plain(transcript(recording)[before])
    )


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_help_opens_and_closes(by: str, player: Player) -> None:
    card = player.root.get_by_role("dialog", name="Help")
    assert not card.is_visible()
    if by == "mouse":
        player.click("help")
        assert card.is_visible()
        card.get_by_role("button", name="Close (Esc)").click()
    else:
        player.press("?")
        assert card.is_visible()
        player.press("Escape")
    assert not card.is_visible()
    assert player.root.evaluate("root => root === document.activeElement")


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_one_task_can_be_followed(by: str, player: Player) -> None:
    player.press("c")
    player.page.wait_for_timeout(600)  # it has come to rest
    if by == "mouse":
        player.root.get_by_role("button", name="A: waiting", exact=True).click()
    else:
        player.press("]", "]")
    assert player.root.locator(".dl-picked").inner_text() == "A"
    story = player.root.locator(".dl-steps tbody tr").all_inner_texts()
    assert story
    assert all(re.search(r"\bA\b", line) for line in story)
    player.press("Escape")
    assert player.root.locator(".dl-picked").count() == 0


def test_every_step_is_a_row_of_a_table(player: Player, recording: Recording) -> None:
    player.root.locator("summary").click()
    table = player.root.get_by_role("table")
    assert table.get_by_role("columnheader").all_inner_texts() == ["Step", "Time", "What happens"]
    events = recording.trace.events
    rows = [row.split("\t") for row in table.locator("tbody tr").all_inner_texts()]
    assert [row[0] for row in rows] == [str(n + 1) for n in range(len(events))]
    assert [row[1] for row in rows] == [when(event.time) for event in events]
    assert [row[2] for row in rows] == [plain(sentence) for sentence in transcript(recording)]


def test_a_sentence_of_the_table_leads_to_its_moment(player: Player) -> None:
    player.root.locator("summary").click()
    player.root.locator(".dl-steps tbody tr").nth(6).get_by_role("button").click()
    assert player.position == 7


def test_the_line_that_is_told_of_is_marked(player: Player, recording: Recording) -> None:
    player.press("c")
    place = recording.trace.places[recording.trace.events[first_closing(recording)].place]
    now = player.root.locator(".dl-now")
    assert now.locator(".dl-number-of-line").inner_text() == str(place.line)
    assert "await tasks[other]" in now.inner_text()
    box, pane = now.bounding_box(), player.root.locator(".dl-code").bounding_box()
    player.page.wait_for_timeout(700)
    box = now.bounding_box()
    assert pane["y"] <= box["y"] <= pane["y"] + pane["height"]


async def late() -> None:
    async with asyncio.timeout(1):
        await asyncio.create_task(asyncio.sleep(60), name="slow")


@pytest.mark.parametrize(
    ("main", "kind", "mark"),
    [(circle, Kind.FREED, "victim"), (late, Kind.CANCELLING, "stopping")],
)
def test_a_victim_and_a_cancelled_task_are_marked_as_such(
    main: Any, kind: Kind, mark: str, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    """By a label and a border of their own, and in words for those who hear them."""
    recording = execute(main, on_deadlock="break")
    events = recording.trace.events
    at = [event.kind for event in events].index(kind)
    save_html(recording, tmp_path / "run.html")
    page = open_page(f"{(tmp_path / 'run.html').as_uri()}#step={at}")
    page.locator(".dl-task").first.wait_for()
    marked = page.locator(f"[data-mark={mark}]", has_text=recording.trace.name(events[at].task))
    assert marked.count() == 0
    page.evaluate(f"location.hash = '#step={at + 1}'")
    marked.wait_for()
    assert marked.get_attribute("aria-label").endswith(f", {mark}")
    label = marked.evaluate("task => getComputedStyle(task, '::after').content")
    assert label in (f'"{mark}"', "attr(data-mark)")


def test_a_timer_that_fires_is_seen_to(open_page: Callable[..., Any], tmp_path: Path) -> None:
    recording = execute(late)
    fires = [event.kind for event in recording.trace.events].index(Kind.TIMER_FIRED)
    save_html(recording, tmp_path / "run.html")
    page = open_page(f"{(tmp_path / 'run.html').as_uri()}#step={fires}")
    page.locator(".dl-chip").first.wait_for()
    assert page.locator(".dl-chip").all_inner_texts() == ["1 s\nmain: timeout", "60 s\nslow: sleep"]
    page.evaluate(f"location.hash = '#step={fires + 1}'")
    page.locator(".dl-fired", has_text="now").wait_for()
    assert page.locator(".dl-chip").count() == 2
    page.evaluate(f"location.hash = '#step={fires + 2}'")
    page.wait_for_function("!document.querySelector('.dl-fired')")


def test_names_are_text_and_never_markup(player: Player) -> None:
    player.press("End")
    player.root.locator("summary").click()
    assert player.page.title() != "pwned"
    assert player.page.locator("img").count() == 0
    assert EVIL in player.said


def test_all_keys_stay_in_the_player(player: Player) -> None:
    player.page.evaluate(
        "() => { window.heard = [];"
        " document.addEventListener('keydown', e => window.heard.push(e.key)); }"
    )
    player.press("x", "d", "d", "ArrowDown", "ArrowRight", "Space", "Space", "c", "?", "Escape")
    assert player.page.evaluate("window.heard") == []
    assert player.root.get_attribute("data-lm-suppress-shortcuts") == "true"


def test_a_link_leads_to_a_moment(open_page: Callable[..., Any], url: str) -> None:
    player = Player(open_page(f"{url}#step=5"))
    assert player.position == 5
    player.page.evaluate("location.hash = '#step=9'")
    player.page.wait_for_function("document.querySelector('.dl-where').textContent[0] === '9'")


def test_two_players_do_not_disturb_each_other(open_page: Callable[..., Any], url: str) -> None:
    page = open_page(url)
    page.evaluate(
        """async () => {
            const module = document.querySelector("script[type=module]").textContent;
            const payload = JSON.parse(
                document.querySelector("script[type='application/json']").textContent);
            const first = module.slice(0, module.indexOf("const payload = JSON.parse"));
            const blob = new Blob([first], { type: "text/javascript" });
            const { default: widget } = await import(URL.createObjectURL(blob));
            const model = {
                values: { payload, position: 3 }, saved: 0, heard: {},
                get(name) { return this.values[name]; },
                set(name, value) { this.values[name] = value; },
                save_changes() { this.saved += 1; },
                on(name, act) { (this.heard[name] ??= []).push(act); },
                off(name, act) { this.heard[name] = this.heard[name].filter(a => a !== act); },
            };
            const el = document.createElement("section");
            document.body.append(el);
            window.model = model;
            window.cleanup = widget.render({ model, el });
        }"""
    )
    one = Player(page, page.locator("main .deadlock-lab"))
    other = Player(page, page.locator("section > .deadlock-lab"))
    before = one.position
    assert other.position == 3
    other.root.focus()
    other.press("ArrowRight", "ArrowRight")
    assert (one.position, other.position) == (before, 5)
    page.wait_for_function("window.model.saved === 1")  # told once, not with every step
    assert page.evaluate("window.model.values.position") == 5
    page.evaluate("() => { model.values.position = 8; model.heard['change:position'][0](); }")
    assert other.position == 8
    page.evaluate("window.cleanup()")
    assert page.locator(".deadlock-lab").count() == 1
    assert page.evaluate("Object.values(window.model.heard).flat().length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_reader(
    scheme: str, open_page: Callable[..., Any], url: str
) -> None:
    page = open_page(f"{url}#step=12", color_scheme=scheme)
    ground, ink = page.locator(".dl-frame").evaluate(
        "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]"
    )
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ground, ink)]
    assert (brightness[0] > brightness[1]) == (scheme == "light")


@pytest.mark.parametrize("width", [360, 590, 1180])
def test_nothing_sticks_out_at_any_width(
    width: int, open_page: Callable[..., Any], url: str
) -> None:
    page = open_page(url, viewport={"width": width, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    stage = page.locator(".dl-stage").bounding_box()
    for token in page.locator(".dl-token:not(.dl-gone)").all():
        box = token.bounding_box()
        assert box["x"] >= stage["x"] - 1
        assert box["x"] + box["width"] <= stage["x"] + stage["width"] + 1


def test_with_reduced_motion_tasks_are_there_at_once(
    open_page: Callable[..., Any], url: str
) -> None:
    page = open_page(f"{url}#step=2", reduced_motion="reduce")
    page.locator(".deadlock-lab").focus()
    where = "() => document.querySelector('.dl-running').style.transform"
    page.keyboard.press("End")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    first = page.evaluate(where)
    page.wait_for_timeout(300)
    assert page.evaluate(where) == first


def test_it_works_in_a_sandboxed_frame(
    open_page: Callable[..., Any], recording: Recording, tmp_path: Path
) -> None:
    outer = tmp_path / "outer.html"
    outer.write_text("<!doctype html><title>outer</title>", encoding="utf-8")
    page = open_page(outer.as_uri())
    page.evaluate(
        """html => {
            const frame = document.createElement("iframe");
            frame.setAttribute("sandbox", "allow-scripts");
            frame.style.cssText = "width: 1000px; height: 700px";
            frame.srcdoc = html;
            document.body.append(frame);
        }""",
        page_of(recording),
    )
    where = page.frame_locator("iframe").locator(".dl-where")
    assert where.inner_text() == f"{opening(recording)} / {len(recording.trace.events)}"


def test_without_scripts_there_is_a_transcript(
    open_page: Callable[..., Any], url: str, recording: Recording
) -> None:
    page = open_page(url, java_script_enabled=False)
    assert page.locator("noscript li").all_inner_texts() == transcript(recording)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("keys", [[], ["c"], ["End", "]"], ["?"]], ids="".join)
def test_axe_finds_no_violation(
    scheme: str, keys: list[str], open_page: Callable[..., Any], url: str, violations: Violations
) -> None:
    """At the opening, as the cycle closes, with a task followed, and with the help open."""
    page = open_page(url, color_scheme=scheme, reduced_motion="reduce")
    page.locator(".deadlock-lab").focus()
    Player(page).press(*keys)
    assert violations(page) == []


def test_axe_finds_no_violation_in_two_outputs_of_one_notebook(
    open_page: Callable[..., Any], recording: Recording, tmp_path: Path, violations: Violations
) -> None:
    piece = output(recording, b"", "The picture in words")
    path = tmp_path / "notebook.html"
    path.write_text(
        f"<!doctype html><html lang=en><title>A notebook</title><main><h1>A notebook</h1>"
        f"<section>{piece}</section><section>{piece}</section></main>",
        encoding="utf-8",
    )
    page = open_page(path.as_uri(), reduced_motion="reduce")
    page.locator(".deadlock-lab").nth(1).wait_for()
    assert violations(page) == []


def test_axe_would_find_a_violation(
    open_page: Callable[..., Any], url: str, violations: Violations
) -> None:
    page = open_page(url)
    page.locator(".dl-play").evaluate("button => button.removeAttribute('aria-label')")
    page.locator(".dl-play").evaluate("button => button.removeAttribute('title')")
    assert [name for name, _ in violations(page)] == ["button-name"]


async def gate(lock: asyncio.Lock) -> None:
    async with lock:
        await asyncio.Event().wait()


async def visit(depth: int) -> None:
    if depth:
        await visit(depth - 1)
    else:
        await gate(asyncio.Lock())


@pytest.fixture
def visitor(open_page: Callable[..., Any], tmp_path: Path) -> Callable[[int], Player]:
    """Open the player of a wait that is as deep in awaits as asked for, at its end."""

    def open_(depth: int) -> Player:
        async def main() -> None:
            await visit(depth)

        save_html(execute(main), tmp_path / "deep.html")
        found = Player(open_page((tmp_path / "deep.html").as_uri()))
        found.root.focus()
        found.press("End")
        return found

    return open_


def test_the_await_chain_stands_above_the_source(visitor: Callable[[int], Player]) -> None:
    chain = visitor(1).root.get_by_role("group", name="Await chain")
    first, second = visit.__code__.co_firstlineno, gate.__code__.co_firstlineno
    names = [re.sub(r".*\.", "", text) for text in chain.get_by_role("button").all_inner_texts()]
    assert names[1:] == [f"visit:{first + 2}", f"visit:{first + 4}", f"gate:{second + 2}"]
    assert chain.locator("[aria-current]").inner_text() == names[-1]


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_call_of_the_chain_leads_to_its_line(by: str, visitor: Callable[[int], Player]) -> None:
    player = visitor(1)
    link = player.root.get_by_role("button", name="visit").first
    if by == "mouse":
        link.click()
    else:
        link.focus()
        player.press("Enter")
    looked_at = player.root.locator(".dl-outer")
    assert "await visit(depth - 1)" in looked_at.inner_text()
    assert player.root.locator(".dl-now").count() == 0
    assert player.page.evaluate("document.activeElement.getAttribute('aria-current')") == "true"
    player.press("ArrowLeft", "ArrowRight")
    assert "await asyncio.Event().wait()" in player.root.locator(".dl-now").inner_text()
    assert looked_at.count() == 0


def test_a_long_chain_is_left_out_in_the_middle(visitor: Callable[[int], Player]) -> None:
    chain = visitor(30).root.get_by_role("group", name="Await chain")
    assert chain.get_by_role("button").count() == 5
    assert "28 more" in chain.inner_text()


async def add(total: int, much: str) -> int:
    total += len(much)
    del much
    return total


async def counting() -> int:
    total, evil = 0, EVIL
    await asyncio.sleep(1)
    total = await add(total, evil)
    await asyncio.sleep(1)
    return total


@pytest.fixture(scope="session")
def counted() -> Recording:
    return execute(counting, lines=True)


@pytest.fixture
def open_lines(
    open_page: Callable[..., Any], counted: Recording, tmp_path: Path
) -> Callable[..., Player]:
    """Open the player of a run that was recorded line by line."""

    def open_(**options: Any) -> Player:
        save_html(counted, tmp_path / "lines.html")
        found = Player(open_page((tmp_path / "lines.html").as_uri(), **options))
        found.root.focus()
        return found

    return open_


def line_of(player: Player) -> int:
    return int(player.root.locator(".dl-now .dl-number-of-line").inner_text())


def variables(player: Player) -> list[list[str]]:
    rows = player.root.get_by_role("group", name="Local variables").get_by_role("row").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def to_line(player: Player, counted: Recording, number: int) -> None:
    """Go to the moment of the first event of a line, by the arrow key."""
    places = counted.trace.places
    wanted = next(
        index + 1
        for index, event in enumerate(counted.trace.events)
        if event.kind is Kind.LINE and places[event.place].line == number
    )
    player.press("Home", *["ArrowRight"] * wanted)


def test_the_arrows_go_line_by_line(open_lines: Callable[..., Player], counted: Recording) -> None:
    player, first = open_lines(), counting.__code__.co_firstlineno
    to_line(player, counted, first + 1)
    assert line_of(player) == first + 1
    player.press("ArrowRight")
    assert line_of(player) == first + 2
    assert f"`main` comes to test_player_page.py line {first + 2}".replace("`", "") in (
        player.said.replace("tests/browser/", "")
    )
    player.press("ArrowLeft")
    assert line_of(player) == first + 1


def test_a_switch_jumps_over_lines(open_lines: Callable[..., Player], counted: Recording) -> None:
    player = open_lines()
    runs = [i + 1 for i, e in enumerate(counted.trace.events) if e.kind is Kind.RESUMED]
    player.press("Home", "Shift+ArrowRight", "Shift+ArrowRight")
    assert player.position == runs[1]


def test_local_variables_are_shown_with_what_changed(
    open_lines: Callable[..., Player], counted: Recording
) -> None:
    player, first = open_lines(), add.__code__.co_firstlineno
    evil = repr(EVIL[:40]) + f"… ({len(EVIL)} long)"
    to_line(player, counted, first + 1)
    assert variables(player) == [["total", "0", "new"], ["much", evil, "new"]]
    player.press("ArrowRight")
    assert variables(player) == [["total", str(len(EVIL)), "changed"], ["much", evil, ""]]
    player.press("ArrowRight")
    assert variables(player) == [["total", str(len(EVIL)), ""], ["much", "", "gone"]]
    assert player.page.locator("img").count() == 0


def test_a_call_of_the_chain_shows_its_own_variables(
    open_lines: Callable[..., Player], counted: Recording
) -> None:
    player = open_lines()
    to_line(player, counted, add.__code__.co_firstlineno + 3)
    player.root.get_by_role("button", name="counting").click()
    assert [name for name, *_ in variables(player)] == ["total", "evil"]
    assert "counting" in player.root.locator(".dl-locals caption").inner_text()


def test_without_lines_there_is_no_table_of_variables(player: Player) -> None:
    assert not player.root.get_by_label("Local variables").is_visible()


@pytest.mark.parametrize("width", [360, 1180])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_in_lines(
    scheme: str,
    width: int,
    open_lines: Callable[..., Player],
    counted: Recording,
    violations: Violations,
) -> None:
    player = open_lines(
        color_scheme=scheme, reduced_motion="reduce", viewport={"width": width, "height": 900}
    )
    to_line(player, counted, add.__code__.co_firstlineno + 2)
    assert player.page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(player.page) == []
