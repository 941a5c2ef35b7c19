"""The scheduler game as a widget: it plays what is picked, on any thread, and says where it is."""

import asyncio
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from traitlets import TraitError

import deadlock_lab as lab
from deadlock_lab import game
from deadlock_lab.views import player
from tests.schedules import programs
from tests.schedules.programs import transfers

SCRIPT = Path(game.__file__).with_name("game.js")
FREEZE = [[1], [0], [2], [3]]


async def twins() -> None:
    async with asyncio.TaskGroup() as group:
        for name in ("alice", "bob"):
            group.create_task(asyncio.sleep(1), name=name)


HERE = "tests/schedules/programs.py line "
SLEEP = programs.transfer.__code__.co_firstlineno + 2


def test_it_opens_with_the_goal_and_the_waits_that_can_be_picked() -> None:
    """In words, as printed and as kept in a notebook."""
    assert str(lab.scheduler_game(transfers)).splitlines() == [
        "The scheduler game: pick which wait of transfers completes next, and freeze it.",
        "Pick which wait completes next, until some task can never go on.",
        f"  1. alice's sleep of 0.01 s ({HERE}{SLEEP}, in transfer), due at 0.01 s: next by itself",
        f"  2. bob's sleep of 0.5 s ({HERE}{SLEEP}, in transfer), due at 0.5 s",
    ]


def test_the_picks_are_told_and_what_is_held_back_for_them() -> None:
    """One sentence each."""
    widget = lab.scheduler_game(transfers)
    widget.picks = FREEZE[:2]
    assert widget.scene["story"] == [
        "`bob`'s sleep of 0.5 s ends before `alice`'s sleep of 0.01 s.",
        "`alice`'s sleep of 0.01 s ends.",
    ]
    assert widget.scene["news"] == ["`alice` now holds `checking (Lock)`.", "`alice` sleeps."]
    assert widget.scene["headline"] == ("At just over 0.5 s nothing is ready. What completes next?")


def test_a_freeze_is_told_with_its_cycle_its_kind_and_its_schedule() -> None:
    """What was won can be kept."""
    widget = lab.scheduler_game(transfers)
    assert not widget.frozen
    widget.picks = FREEZE
    assert widget.frozen
    assert widget.scene["headline"] == "Frozen: `alice` → `bob` → `alice`, for ever."
    assert widget.scene["held"] == "You froze it by 4 picks, with 1 wait held back."
    assert "The kind: lock ordering" in widget.scene["explanation"]
    assert f"lab.run(transfers, schedule={widget.token!r})" in str(widget)
    assert lab.run(transfers, schedule=widget.token).outcome == "deadlock"


def test_undoing_and_starting_again_are_fewer_picks() -> None:
    """The scene is that of the picks that are left."""
    widget = lab.scheduler_game(transfers)
    first = widget.scene
    widget.picks = FREEZE[:1]
    one = widget.scene
    widget.picks = FREEZE
    widget.picks = FREEZE[:1]
    assert widget.scene == one
    widget.picks = []
    assert widget.scene == first


def test_picks_that_cannot_be_made_are_refused_and_change_nothing() -> None:
    """With the reason."""
    widget = lab.scheduler_game(transfers)
    for wrong in ([[9]], [[]], [[1], [1]], [1]):
        with pytest.raises(TraitError, match="these picks cannot be made"):
            widget.picks = wrong
    assert (widget.picks, widget.token) == ([], "natural")


def test_what_is_due_at_one_moment_is_offered_together_and_apart() -> None:
    """Together comes first, as it is what comes by itself."""
    moves = lab.scheduler_game(twins).scene["moves"]
    assert [(move["text"], move["due"], move["natural"]) for move in moves] == [
        ("`alice`'s sleep of 1 s and `bob`'s sleep of 1 s", "together at 1 s", True),
        ("`alice`'s sleep of 1 s", "at 1 s", False),
        ("`bob`'s sleep of 1 s", "at 1 s", False),
    ]
    widget = lab.scheduler_game(twins)
    widget.picks = [[0, 1]]
    assert widget.scene["story"] == [
        "`alice`'s sleep of 1 s and `bob`'s sleep of 1 s end at one moment."
    ]


def test_the_search_says_that_it_can_be_done_and_how_small() -> None:
    """And compares a freeze with the smallest."""
    widget = lab.scheduler_game(transfers)
    widget.searching = True
    assert not widget.searching
    assert re.fullmatch(
        r"It can be done: \d+ of 1,000 schedules that the search tried freeze\. "
        r"The smallest holds 1 wait back\.",
        widget.found["text"],
    )
    widget.picks = widget.found["way"]
    assert widget.frozen
    assert widget.scene["held"].endswith("The search has found no freeze that is smaller.")


def test_a_freeze_with_more_waits_held_back_than_needed_is_told_so() -> None:
    """There is more to be found."""
    widget = lab.scheduler_game(transfers)
    widget.searching = True
    widget.picks = [[1], [0], [3], [2]]
    assert widget.scene["held"] == (
        "You froze it by 4 picks, with 2 waits held back. The search knows one with 1."
    )


def test_the_search_proves_that_the_fixed_program_cannot_be_frozen() -> None:
    """In so many schedules, which are all there are."""
    widget = lab.scheduler_game(programs.ordered)
    widget.searching = True
    total = sum(lab.explore(programs.ordered).runs.values())
    assert widget.found == {
        "text": "The search has proved that it cannot be done: in every order in which its "
        f"waits can complete, this program gets through ({total} schedules).",
        "way": [],
    }


@pytest.mark.parametrize("program", [programs.beside_a_heartbeat, programs.with_a_limit])
def test_what_is_not_proved_is_not_called_proved(program: Any) -> None:
    """Too many orders, or time limits."""
    widget = lab.scheduler_game(program, runs=50)
    widget.searching = True
    assert widget.found["text"].startswith("The search could not freeze it either.")
    assert "That is no proof" in widget.found["text"]


def test_runs_that_were_cut_off_prove_nothing() -> None:
    """They may have gone on to freeze."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(1)

    widget = lab.scheduler_game(beat, runs=5)
    widget.searching = True
    assert "proved" not in widget.found["text"]


def test_it_is_played_on_the_thread_that_serves_widgets() -> None:
    """Beside a run on this one."""
    widget = lab.scheduler_game(transfers)

    def serve() -> None:
        for count in (1, 2, 3, 4, 0, 4):
            widget.set_state({"picks": FREEZE[:count]})
        widget.set_state({"searching": True})

    thread = threading.Thread(target=serve)
    thread.start()
    assert lab.run(transfers).outcome == "finished"
    thread.join(60)
    assert widget.frozen
    assert widget.found["way"]


@pytest.mark.parametrize(
    ("main", "runs", "error", "says"),
    [
        (None, 10, TypeError, "needs the async function itself"),
        (lambda x: x, 10, TypeError, "without arguments"),
        (transfers, "many", TypeError, "runs must be a whole number"),
        (transfers, 0, ValueError, "runs must be 1 or more"),
    ],
)
def test_what_makes_no_sense_is_refused(main: Any, runs: Any, error: Any, says: str) -> None:
    """With what to do instead."""
    with pytest.raises(error, match=says):
        lab.scheduler_game(main, runs=runs)


def test_a_coroutine_is_refused_as_it_can_be_run_only_once() -> None:
    """The function is wanted."""
    coroutine = transfers()
    with pytest.raises(TypeError, match=r"write lab\.scheduler_game\(main\)"):
        lab.scheduler_game(coroutine)
    coroutine.close()


def test_a_program_without_a_wait_is_over_at_once() -> None:
    """There is nothing to pick."""

    async def main() -> None:
        pass

    widget = lab.scheduler_game(main)
    assert (widget.scene["status"], widget.scene["moves"]) == ("finished", [])


def test_a_notebook_keeps_a_picture_and_the_words() -> None:
    """For where there is no kernel."""
    widget = lab.scheduler_game(transfers)
    widget.picks = FREEZE
    bundle, metadata = widget._repr_mimebundle_()
    assert bundle["text/plain"] == str(widget) == metadata["image/png"]["alt"]
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_the_same_picks_make_the_same_scene() -> None:
    """To the letter."""
    scenes = []
    for _ in range(2):
        widget = lab.scheduler_game(transfers)
        widget.picks = FREEZE
        scenes.append(json.dumps(widget.scene))
    assert scenes[0] == scenes[1]


def test_its_script_is_one_module_with_one_export(node: str, tmp_path: Path) -> None:
    """Stage and source are the player's."""
    script = tmp_path / "joined.mjs"
    joined = lab.scheduler_game(transfers)._esm
    script.write_text(str(joined), encoding="utf-8")
    subprocess.run([node, "--check", str(script)], check=True, timeout=60)
    assert re.findall(r"^export .*", str(joined), re.MULTILINE) == ["export default { render };"]
    assert "innerHTML" not in str(joined)


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the game's script, the player's beside it, and the checks."""
    folder = tmp_path_factory.mktemp("scripts")
    shutil.copytree(Path(player.__file__).parent, folder / "views" / "player")
    (folder / "game").mkdir()
    for script in (SCRIPT, Path(__file__).with_name("game.test.mjs")):
        shutil.copy(script, folder / "game")
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def test_hints_and_marks_hold_under_node(node: str, scripts: Path) -> None:
    """They are functions of the picks alone."""
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", str(scripts / "game" / "game.test.mjs")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert re.search(r"^# pass [1-9]", done.stdout, re.MULTILINE), "no check was run"


def test_the_strict_type_checker_finds_nothing(scripts: Path, tsc: Callable[[Path], str]) -> None:
    """In the game's script, and in what it imports."""
    assert tsc(scripts / "game") == ""
