"""The player's modules under node, on payloads of real runs."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deadlock_lab.engine.recording import Recording
from deadlock_lab.views import player
from deadlock_lab.views.narration import transcript
from deadlock_lab.views.payload import opening, to_payload
from deadlock_lab.views.player import Player, module_text, style_text

Record = Callable[[str], Recording]
MODULES = Path(player.__file__).parent


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the modules to where node takes them for modules, and the checks beside them."""
    folder = tmp_path_factory.mktemp("player")
    for script in [*MODULES.glob("*.js"), Path(__file__).with_name("player.test.mjs")]:
        shutil.copy(script, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def test_state_layout_and_sentences_hold_under_node(
    any_recording: Recording, node: str, modules: Path, tmp_path: Path
) -> None:
    case = {
        "payload": to_payload(any_recording),
        "transcript": transcript(any_recording),
        "edges": list(any_recording.waits.node_edges()),
        "waiting": sorted(any_recording.waits.waiters),
    }
    (tmp_path / "case.json").write_text(json.dumps(case))
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", str(modules / "player.test.mjs")],
        env={**os.environ, "CASE": str(tmp_path / "case.json")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert re.search(r"^# pass [1-9]", done.stdout, re.MULTILINE), "no check was run"


def test_the_joined_module_is_one_module_with_one_export(node: str, tmp_path: Path) -> None:
    joined = module_text()
    script = tmp_path / "joined.mjs"
    script.write_text(joined, encoding="utf-8")
    subprocess.run([node, "--check", str(script)], check=True, timeout=60)
    assert "import " not in re.sub(r'"[^"\n]*"', "", joined)
    assert re.findall(r"^export .*", joined, re.MULTILINE) == ["export default { render };"]


def test_every_module_is_joined() -> None:
    names = {path.stem for path in MODULES.glob("*.js")}
    assert names == set(player._MODULES)


def test_nothing_of_a_learner_is_read_as_html() -> None:
    assert "innerHTML" not in module_text()
    assert "insertAdjacentHTML" not in module_text()


def test_players_share_no_ids() -> None:
    assert not re.search(r"\bid=|\.id\b|getElementById", module_text())
    assert not re.search(r"^\s*#", style_text(), re.MULTILINE)


def test_the_widget_opens_where_the_story_begins(record: Record) -> None:
    recording = record("circle")
    widget = Player(recording)
    assert widget.position == opening(recording)
    assert widget.payload == to_payload(recording)


def test_the_widget_opens_where_it_is_asked_to(record: Record) -> None:
    assert Player(record("circle"), position=7).position == 7


def test_a_position_outside_of_the_run_is_its_start_or_end(record: Record) -> None:
    recording = record("circle")
    widget = Player(recording, position=10_000)
    assert widget.position == len(recording.trace.events)
    widget.position = -3
    assert widget.position == 0


def test_the_strict_type_checker_finds_nothing(modules: Path, tsc: Callable[[Path], str]) -> None:
    assert tsc(modules) == ""


def test_the_type_checker_would_find_a_wrong_type(
    modules: Path, tsc: Callable[[Path], str], tmp_path: Path
) -> None:
    folder = shutil.copytree(modules, tmp_path / "modules")
    wrong = 'import { when } from "./sentence.js";\nwhen("soon");\n'
    (folder / "wrong.js").write_text(wrong)
    assert "wrong.js(2,6): error TS2345" in tsc(folder)
