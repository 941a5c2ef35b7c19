"""Races that are run for real, and what is told of them."""

import itertools
import math
from dataclasses import replace

import pytest

from deadlock_lab.engine.run import execute
from deadlock_lab.engine.trace import Kind
from deadlock_lab.views.race.alarms import Latencies
from deadlock_lab.views.race.programs import GRACE, TIDYING, WAYS, WHEN_CANCELLED, Setting, program
from deadlock_lab.views.race.story import Race, lanes, run_race, tell, tell_frozen

ALL = [*itertools.product(WAYS, WHEN_CANCELLED)]
TIMES = [*itertools.product((0.5, 0.6, 1.0, 1.5), (0.5, 0.6, 1.2))]


def stretches(race: Race) -> dict[str, list[tuple[float, float, str]]]:
    return {
        lane.name: [(s.start / 1e9, s.end / 1e9, s.state) for s in lane.stretches]
        for lane in lanes(race)
    }


@pytest.mark.parametrize("when_cancelled", WHEN_CANCELLED)
def test_the_articles_race_frees_the_caller_and_stops_nobody(when_cancelled: str) -> None:
    race = run_race(Setting(1, 0.6, "race", when_cancelled))
    assert stretches(race) == {
        "caller": [(0, 0.6, "waits")],
        "operation": [(0, 0.6, "works"), (0.6, 1, "unwatched")],
        "timer": [(0, 0.6, "runs")],
    }
    assert race.asked is None
    assert tell(race) == (
        "The limit wins: the caller gets an error at 0.6 s. Nobody asks the operation to stop. "
        "It runs on, unwatched, until 1 s, and its result is lost."
    )


def test_the_timer_of_the_articles_race_outlives_the_answer() -> None:
    race = run_race(Setting(0.5, 1.5, "race"))
    assert stretches(race)["timer"] == [(0, 0.5, "runs"), (0.5, 1.5, "unwatched")]
    assert tell(race) == (
        "The operation wins: the caller gets the result at 0.5 s. "
        "Nobody stops the timer. It runs on, unwatched, until 1.5 s."
    )


@pytest.mark.parametrize("way", ["timeout", "with_timeout"])
def test_a_limit_that_cancels_leaves_nobody_behind(way: str) -> None:
    race = run_race(Setting(1, 0.6, way))
    assert (race.answered, race.asked, race.over, race.ending) == (
        600_000_000, 600_000_000, 600_000_000, Kind.CANCELLED,
    )  # fmt: skip
    assert tell(race) == (
        "The limit wins: at 0.6 s the operation is asked to stop. "
        "It stops at once, and the caller gets an error."
    )
    won = run_race(Setting(0.5, 1.5, way))
    assert stretches(won)["timer"] == [(0, 0.5, "runs")]
    assert tell(won).endswith("The timer is switched off.")


@pytest.mark.parametrize("way", ["timeout", "with_timeout"])
def test_the_caller_waits_for_the_loser_to_clean_up(way: str) -> None:
    race = run_race(Setting(1, 0.6, way, "cleans up"))
    assert race.answered == race.over == round((0.6 + TIDYING) * 1e9)
    assert stretches(race)["operation"] == [(0, 0.6, "works"), (0.6, 0.9, "asked")]
    assert "It cleans up until 0.9 s; only then does the caller get an error." in tell(race)


def test_asyncios_limit_waits_for_a_loser_that_carries_on_and_returns_its_result() -> None:
    race = run_race(Setting(1.5, 0.6, "timeout", "carries on"))
    assert (race.answered, race.answer) == (1_500_000_000, Kind.DONE)
    assert tell(race).endswith("the caller waits on: the result comes at 1.5 s, late.")
    assert tell_frozen(race).endswith("the caller is never freed.")


def test_ours_lets_the_caller_go_after_its_grace() -> None:
    race = run_race(Setting(1.5, 0.6, "with_timeout", "carries on"))
    assert race.answered == round((0.6 + GRACE) * 1e9)
    assert stretches(race)["operation"][-1] == (1.1, 1.5, "unwatched")
    assert "At 1.1 s the caller is let go with an error" in tell(race)
    assert "the operation stays frozen behind its back" in tell_frozen(race)


@pytest.mark.parametrize(("way", "winner"), [
    ("race", Kind.DONE), ("timeout", Kind.FAILED), ("with_timeout", Kind.DONE),
])  # fmt: skip
def test_a_tie_is_called_one_and_shows_who_came_first(way: str, winner: Kind) -> None:
    race = run_race(Setting(0.6, 0.6, way))
    assert race.answer is winner
    wins = "operation" if winner is Kind.DONE else "limit"
    assert tell(race).startswith(
        f"A tie: both are due at 0.6 s, and only their order decides. The {wins} wins: "
    )


def test_a_late_result_in_a_tie_is_not_called_late() -> None:
    assert "late" not in tell(run_race(Setting(0.6, 0.6, "timeout", "carries on")))


@pytest.mark.parametrize(("way", "when_cancelled"), ALL)
def test_lanes_have_no_gaps_and_end_where_the_words_say(way: str, when_cancelled: str) -> None:
    for operation, limit in TIMES:
        race = run_race(Setting(operation, limit, way, when_cancelled))
        ends = [race.answered, race.over, race.timer_over]
        for lane, end in zip(lanes(race), ends, strict=True):
            starts = [0, *(s.end for s in lane.stretches)]
            assert [*(s.start for s in lane.stretches), end] == starts
            assert all(s.start < s.end for s in lane.stretches)
        for time in {race.answered, *([race.asked] if race.asked is not None else [])}:
            assert f"{time / 1e9:g} s" in tell(race)


@pytest.mark.parametrize(("way", "when_cancelled"), ALL)
def test_a_frozen_operation_is_really_run(way: str, when_cancelled: str) -> None:
    setting = Setting(1, 0.6, way, when_cancelled)
    frozen = execute(program(replace(setting, operation=math.inf)))
    assert run_race(setting).stays == ("operation" in frozen.waits.stuck)
    assert (run_race(setting).freed is None) == ("caller" in frozen.waits.stuck)


def test_the_rate_of_false_alarms_is_that_of_calls_that_are_really_run() -> None:
    calls = Latencies("a few", Latencies.of("spread").seconds[::50])
    races = [run_race(Setting(seconds, 0.6, "with_timeout")) for seconds in calls.seconds]
    cut = [race for race in races if race.answer is Kind.FAILED]
    assert len(cut) / len(races) == calls.false_alarms(0.6)
    assert 0 < len(cut) < len(races)


def test_the_same_race_is_told_the_same_way_every_time() -> None:
    setting = Setting(1.5, 0.6, "with_timeout", "carries on")
    assert run_race(setting) == run_race(setting)
