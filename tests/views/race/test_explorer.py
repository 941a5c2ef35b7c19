"""The race explorer as a widget: it runs what is asked, on any thread, and says what it shows."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from matplotlib.text import Text
from traitlets import TraitError

import deadlock_lab as lab
from deadlock_lab.views import race
from deadlock_lab.views.race import RaceExplorer
from deadlock_lab.views.race.alarms import Latencies
from deadlock_lab.views.race.picture import false_alarms
from deadlock_lab.views.race.programs import Setting
from deadlock_lab.views.race.story import Race, run_race

SCRIPT = Path(race.__file__).with_name("race.js")


def test_it_opens_with_the_race_that_was_asked_for() -> None:
    explorer = lab.race_explorer(1.5, 0.6, way="with_timeout", when_cancelled="carries on")
    assert str(explorer).splitlines() == [
        "An operation of 1.5 s against a limit of 0.6 s: with_timeout, grace 0.5 s; "
        "when cancelled, the operation carries on.",
        "The limit wins: at 0.6 s the operation is asked to stop. It carries on. At 1.1 s the "
        "caller is let go with an error; the operation runs on, unwatched, until 1.5 s.",
        "A limit of 0.6 s gives up 2,063 of these 10,000 healthy calls (spread): "
        "20.6 % false alarms.",
        "An operation that is frozen for good: the caller is free at 1.1 s, and the operation "
        "stays frozen behind its back.",
    ]


def test_what_is_changed_is_run_anew() -> None:
    explorer = lab.race_explorer(1, 0.6)
    explorer.limit = 1.2
    assert explorer.scene["story"].startswith("The operation wins")
    explorer.operation, explorer.way = 1.4, "timeout"
    assert explorer.scene["story"].endswith("It stops at once, and the caller gets an error.")
    explorer.latencies = "steady"
    assert "no false alarm" in explorer.scene["alarms"]


def test_what_changes_at_once_is_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = lab.race_explorer()
    ran: list[Any] = []
    monkeypatch.setattr(race, "run_race", lambda setting: ran.append(setting) or explorer._race)
    explorer.set_state({"operation": 0.5, "limit": 0.7, "way": "timeout"})
    assert [(s.operation, s.limit, s.way) for s in ran] == [(0.5, 0.7, "timeout")]


def test_a_handle_stays_on_the_axis() -> None:
    explorer = lab.race_explorer()
    explorer.limit, explorer.operation = 99, -1
    assert (explorer.limit, explorer.operation) == (2.0, 0.02)


@pytest.mark.parametrize(("operation", "limit"), [(1e-6, 86_400), (86_400, 0.001)])
def test_what_is_asked_for_is_what_is_run(operation: float, limit: float) -> None:
    explorer = lab.race_explorer(operation, limit)
    assert (explorer.scene["operation"], explorer.scene["limit"]) == (operation, limit)
    wins = "operation" if operation < limit else "limit"
    assert explorer.scene["story"].startswith(f"The {wins} wins")


def test_it_runs_on_the_thread_that_serves_widgets() -> None:
    """Four threads at once, beside a run on this one; the last word is of what is set."""
    explorer = lab.race_explorer()
    faults: list[BaseException] = []

    def drag(name: str) -> None:
        try:
            for step in range(1, 12):
                explorer.set_state({name: step / 10})
        except BaseException as error:  # noqa: BLE001 — it is asserted on below
            faults.append(error)

    threads = [threading.Thread(target=drag, args=(n,)) for n in ("operation", "limit") * 2]
    for thread in threads:
        thread.start()
    assert lab.race_explorer(1, 0.6).scene["story"].startswith("The limit wins")
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert (explorer.scene["operation"], explorer.scene["limit"]) == (1.1, 1.1)
    assert explorer.scene["story"].startswith("A tie")


def test_a_slow_run_does_not_overwrite_a_newer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = lab.race_explorer()
    began = threading.Event()

    def slow(setting: Setting) -> Race:
        if setting.limit == 0.7:
            began.set()
            time.sleep(0.2)
        return run_race(setting)

    monkeypatch.setattr(race, "run_race", slow)
    thread = threading.Thread(target=setattr, args=(explorer, "limit", 0.7))
    thread.start()
    began.wait(60)
    explorer.limit = 0.8
    thread.join(60)
    assert explorer.scene["limit"] == explorer.limit == 0.8


def test_ones_own_latencies_can_be_left_and_come_back_to() -> None:
    explorer = lab.race_explorer(limit=0.5, latencies=[0.1, 0.2, 0.9])
    assert "1 of these 3 healthy calls" in explorer.scene["alarms"]
    explorer.latencies = "spread"
    assert "10,000" in explorer.scene["alarms"]
    explorer.latencies = "your own"
    assert "1 of these 3 healthy calls" in explorer.scene["alarms"]
    assert "your own" not in lab.race_explorer().choices["latencies"]


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"operation": 0}, ValueError, "operation must be above 0"),
        ({"limit": float("nan")}, ValueError, "limit must be above 0"),
        ({"limit": 86_401}, ValueError, "a day at most"),
        ({"limit": "1"}, TypeError, "limit must be a number of seconds"),
        ({"limit": True}, TypeError, "limit must be a number of seconds"),
        ({"way": "luck"}, TraitError, "luck"),
        ({"when_cancelled": "sulks"}, TraitError, "sulks"),
        ({"latencies": "fast"}, ValueError, "latencies must be one of"),
        ({"latencies": []}, ValueError, "latencies are empty"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    wrong: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        lab.race_explorer(**wrong)


def test_a_service_that_is_not_known_is_refused_later_too() -> None:
    explorer = lab.race_explorer()
    with pytest.raises(ValueError, match="latencies must be one of"):
        explorer.latencies = "your own"
    assert explorer.latencies == "spread"


def test_it_shows_itself_as_widget_picture_and_text() -> None:
    explorer = lab.race_explorer()
    bundle, metadata = explorer._repr_mimebundle_()
    assert bundle["text/plain"] == metadata["image/png"]["alt"] == str(explorer)
    assert bundle["image/png"] == lab.race_explorer()._repr_mimebundle_()[0]["image/png"]
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_the_figure_shows_lanes_and_curve_and_leaves_pyplot_alone() -> None:
    sys.modules.pop("matplotlib.pyplot", None)
    figure = lab.race_explorer(1, 0.6).figure()
    said = {t.get_text() for t in figure.findobj(Text) if isinstance(t, Text)}
    assert {"caller\nerror at 0.6 s", "operation\ndone at 1 s", "timer\nrings at 0.6 s"} <= said
    assert "runs on, unwatched" in said
    dashed = [line for axes in figure.axes for line in axes.lines if line.get_linestyle() == "--"]
    assert [list(line.get_xdata()) for line in dashed] == [[0.6, 0.6], [0.6, 0.6]]
    assert Latencies.of("spread").tell(0.6) in said
    assert "matplotlib.pyplot" not in sys.modules


def test_the_curve_can_be_drawn_alone() -> None:
    calls = Latencies.of([0.1, 0.2, 0.9])
    (axes,) = false_alarms(calls, 0.5, longest=1.0).axes
    assert axes.get_title(loc="left") == calls.tell(0.5)
    assert [100 * rate for _, rate in calls.corners(1.0)] == list(axes.lines[0].get_ydata())


def test_importing_the_package_loads_no_explorer() -> None:
    code = "import sys, deadlock_lab; print(*[m for m in sys.modules if 'views.race' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_script_holds_under_node(node: str, tmp_path: Path) -> None:
    for folder in ("player", "race"):
        shutil.copytree(SCRIPT.parents[1] / folder, tmp_path / folder)
    shutil.copy(Path(__file__).with_name("race.test.mjs"), tmp_path / "race")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "case.json").write_text(json.dumps(RaceExplorer().scene))
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", str(tmp_path / "race" / "race.test.mjs")],
        env={**os.environ, "CASE": str(tmp_path / "case.json")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert re.search(r"^# pass [1-9]", done.stdout, re.MULTILINE), "no check was run"


def test_nothing_is_read_as_html_and_views_share_no_ids() -> None:
    script = SCRIPT.read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|insertAdjacentHTML|getElementById|\bid:|\.id\b", script)
