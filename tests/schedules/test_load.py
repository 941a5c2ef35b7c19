"""``lab.load_curve``: how often a program freezes under load, and how sure that is."""

import asyncio
import json
import math
import sys
import time
from functools import partial
from typing import Any

import matplotlib.style
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

import deadlock_lab as lab
from deadlock_lab.schedules.load import wilson
from deadlock_lab.views.pictures import png


async def inversion(requests: int) -> None:
    """Serve requests a tenth of a second apart, which take two locks in either order."""
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()

    async def transfer(delay: float, first: asyncio.Lock, second: asyncio.Lock) -> None:
        await asyncio.sleep(delay)
        async with first:
            await asyncio.sleep(0.01)
            async with second:
                pass

    pairs = [(lock_a, lock_b), (lock_b, lock_a)] * requests
    await asyncio.gather(*(transfer(n / 10, *pairs[n]) for n in range(requests)))


async def ordered(requests: int) -> None:
    """Serve the same requests, all of which take the locks in one order."""
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()

    async def transfer(delay: float) -> None:
        await asyncio.sleep(delay)
        async with lock_a:
            await asyncio.sleep(0.01)
            async with lock_b:
                pass

    await asyncio.gather(*(transfer(n / 10) for n in range(requests)))


async def races(requests: int) -> None:
    """Freeze if in any of the requests a wait of 1 s outlasts another of 2 s."""

    async def race() -> None:
        done: list[int] = []

        async def wait(length: int) -> None:
            await asyncio.sleep(length)
            done.append(length)

        await asyncio.gather(wait(1), wait(2))
        if done == [2, 1]:
            await asyncio.Event().wait()

    await asyncio.gather(*(race() for _ in range(requests)))


def chance(requests: int, spread: float) -> float:
    """Compute how likely ``races`` freezes.

    Half of the waits take as long as written, the others that times ``spread ** U``, with U
    uniform in [0, 1]. So in a race, the first wait outlasts the second if U exceeds U', or 0,
    by the logarithm of 2.
    """
    rest = 1 - math.log(2, spread)
    race = rest / 4 + rest**2 / 8
    return float(1 - (1 - race) ** requests)


def frozen(curve: lab.LoadCurve) -> list[int]:
    return [point.freezes for point in curve.points]


@pytest.mark.parametrize(("requests", "spread"), [(1, 3), (1, 100), (4, 10)])
def test_a_probability_that_is_known_lies_in_the_band_19_times_of_20(
    requests: int, spread: float
) -> None:
    """Of 40 curves, each of 60 runs; and all of them together are as near as they should be."""
    truth = chance(requests, spread)
    points = [
        lab.load_curve(races, [requests], spreads=[spread], runs=60, seed=seed).points[0]
        for seed in range(40)
    ]
    held = sum(low <= truth <= high for low, high in (point.band for point in points))
    assert 34 <= held <= 40
    rate = sum(point.freezes for point in points) / 2_400
    assert abs(rate - truth) < 3 * math.sqrt(truth * (1 - truth) / 2_400)


def test_a_lock_inversion_freezes_the_more_often_the_more_requests_and_the_slower() -> None:
    """Along each line, and from line to line."""
    curve = lab.load_curve(inversion, (1, 2, 5, 20), spreads=(1, 3, 10, 100), runs=100)
    rates = {(p.requests, p.spread): p.rate for p in curve.points}
    for spread in (1, 3, 10, 100):
        line = [rates[n, spread] for n in (1, 2, 5, 20)]
        assert line == sorted(line)
    for n in (1, 2, 5, 20):
        line = [rates[n, spread] for spread in (1, 3, 10, 100)]
        assert line == sorted(line)
    assert (rates[1, 100], rates[20, 1]) == (0, 0)
    assert rates[20, 100] > 0.8


def test_a_correct_program_never_freezes_and_the_band_is_honest_about_that() -> None:
    """A hundred runs without a freeze leave room for one in thirty."""
    curve = lab.load_curve(ordered, (1, 10), spreads=(1, 100), runs=100)
    assert frozen(curve) == [0, 0, 0, 0]
    assert all(point.band[0] == 0 and 0.03 < point.band[1] < 0.04 for point in curve.points)
    assert "It never froze. That is no proof: up to 3.7 % of runs may." in curve.explain()


def test_a_point_counts_what_a_random_exploration_counts() -> None:
    """The same latencies, by the same seed: a freeze can be looked into there."""
    [point] = lab.load_curve(inversion, [5], spreads=[30], runs=150, seed=7).points
    found = lab.explore(partial(inversion, 5), strategy="random", latency=(1, 30), runs=150, seed=7)
    assert point.freezes == found.freezes > 0


def test_equal_calls_give_equal_curves_and_another_seed_another() -> None:
    """Numbers of requests and spreads are sorted, and each is measured once."""
    first, second, other = (
        lab.load_curve(inversion, requests, spreads=spreads, runs=50, seed=seed)
        for requests, spreads, seed in [
            ((2, 5), (10, 100), 0),
            ([5, 2, 5], [100, 10], 0),
            ((2, 5), (10, 100), 1),
        ]
    )
    assert first == second
    assert str(first) == str(second)
    assert frozen(first) != frozen(other)


def test_numbers_may_come_from_an_array() -> None:
    """As ``numpy.geomspace`` gives them; what comes back is plain."""
    curve = lab.load_curve(ordered, np.array([1, 4]), spreads=np.geomspace(1, 100, 3), runs=2)
    loads = [(1, 1.0), (4, 1.0), (1, 10.0), (4, 10.0), (1, 100.0), (4, 100.0)]
    assert [(p.requests, p.spread) for p in curve.points] == loads
    assert json.dumps(curve.to_dict())


def test_tasks_left_frozen_behind_a_main_that_ends_count_as_a_freeze() -> None:
    """As they do when a program is explored."""

    async def main(requests: int) -> None:
        left = [asyncio.create_task(inversion(requests))]
        await asyncio.sleep(1_000)
        assert left

    [point] = lab.load_curve(main, [5], spreads=[100], runs=50).points
    assert (point.freezes > 0, point.failures) == (True, 0)


def test_runs_that_fail_are_counted_apart_and_told() -> None:
    """They would pass for runs that do not freeze."""

    async def main(requests: int) -> None:
        await asyncio.sleep(1)
        if requests > 1:
            raise LookupError("no such user")

    curve = lab.load_curve(main, (1, 2), spreads=[1], runs=10)
    assert [(p.freezes, p.failures) for p in curve.points] == [(0, 0), (0, 10)]
    assert "10 of all 20 runs failed or met a limit, and count as not frozen" in curve.explain()


def test_ctrl_c_returns_what_was_measured_so_far() -> None:
    """Points that were not come to are left out, and the table says so."""
    runs = 0

    async def main(requests: int) -> None:
        nonlocal runs
        runs += 1
        if runs == 110:
            raise KeyboardInterrupt
        await asyncio.sleep(requests)

    curve = lab.load_curve(main, (1, 2), spreads=(1, 2), runs=32, progress=False)
    assert curve.interrupted
    assert [(p.requests, p.spread, p.runs) for p in curve.points] == [
        (1, 1, 32),
        (2, 1, 32),
        (1, 2, 32),
    ]
    assert "was interrupted" in curve.explain()
    assert "not run" in curve.explain()
    assert curve.figure().axes


def test_a_step_that_never_ends_ends_the_measurement_and_is_named() -> None:
    """Otherwise each of thousands of runs would take its two seconds."""

    async def main(requests: int) -> None:
        await asyncio.sleep(0)
        while requests > 1:
            pass

    began = time.monotonic()
    curve = lab.load_curve(main, (1, 2), runs=10, max_step_seconds=0.2)
    assert time.monotonic() - began < 10
    assert [point.requests for point in curve.points if point.spread == 3] == [1]
    assert "The measurement ended early: one step kept the loop busy" in curve.explain()


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_bounds_are_where_the_score_test_begins_to_reject(sample: tuple[int, int]) -> None:
    """At each, the rate seen is 1.96 standard deviations away: that is what defines them."""
    hits, of = sample
    low, high = wilson(hits, of)
    assert 0 <= low <= hits / of <= high <= 1
    for bound in (low, high):
        if 0 < bound < 1:
            deviation = math.sqrt(bound * (1 - bound) / of)
            assert abs(hits / of - bound) / deviation == pytest.approx(1.959964, rel=1e-4)


def test_the_curve_is_data() -> None:
    """Rows, as a table of any library takes them."""
    data = lab.load_curve(inversion, [5], spreads=[100], runs=40).to_dict()
    assert json.loads(json.dumps(data)) == data
    [row] = data["rows"]
    low, high = wilson(row["freezes"], 40)
    assert row == {
        "requests": 5,
        "spread": 100,
        "runs": 40,
        "freezes": row["freezes"],
        "failures": 0,
        "rate": row["freezes"] / 40,
        "low": low,
        "high": high,
    }


# -- shown -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def curve() -> lab.LoadCurve:
    return lab.load_curve(inversion, (1, 2, 5, 20), spreads=(1, 10, 100), runs=60)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)]


def test_the_figure_says_what_its_lines_are_and_tells_them_apart_without_colour(
    curve: lab.LoadCurve,
) -> None:
    """By markers and by words; each has its band."""
    figure = curve.figure()
    [axes] = figure.axes
    said = texts(figure)
    assert {"as written", "up to 10×", "up to 100×", "95 % band", "requests at once"} <= set(said)
    assert any(text.startswith("At worst ") for text in said)
    assert len({line.get_marker() for line in axes.lines}) == 3
    assert len({line.get_color() for line in axes.lines}) == 3
    for line, spread in zip(axes.lines, (100, 10, 1), strict=True):
        points = [(p.requests, p.rate) for p in curve.points if p.spread == spread]
        assert [tuple(xy) for xy in line.get_xydata()] == points


def test_the_axis_of_requests_is_logarithmic_where_they_are_far_apart(
    curve: lab.LoadCurve,
) -> None:
    """And it names the numbers that were measured."""
    assert curve.figure().axes[0].get_xscale() == "log"
    near = lab.load_curve(ordered, (1, 2, 3), runs=5, spreads=[1])
    axes = near.figure().axes[0]
    assert axes.get_xscale() == "linear"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3"]


def test_a_curve_without_a_point_is_shown_as_that() -> None:
    """Where it was interrupted at once."""
    empty = lab.LoadCurve((), interrupted=True)
    assert str(empty).startswith("Nothing was measured.")
    assert "Nothing was measured" in texts(empty.figure())


def test_bands_that_coincide_are_shaded_once() -> None:
    """One over the other they would look like more."""
    never = lab.load_curve(ordered, (1, 5), runs=20)
    assert len(never.figure().axes[0].findobj(lambda a: "FillBetween" in type(a).__name__)) == 1


def test_it_looks_the_same_whatever_the_style(curve: lab.LoadCurve) -> None:
    """Dark words on white, on dark pages too."""
    plain = png(curve.figure())
    with matplotlib.style.context("dark_background"):
        assert png(curve.figure()) == plain


def test_a_curve_shows_itself_as_picture_and_text(curve: lab.LoadCurve) -> None:
    """The text is also what stands for the picture where it cannot be seen."""
    bundle, metadata = curve._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG\r\n")
    assert bundle["text/plain"] == metadata["image/png"]["alt"] == str(curve)


def test_without_matplotlib_a_curve_still_shows_its_text(
    curve: lab.LoadCurve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a run does."""
    monkeypatch.setitem(sys.modules, "deadlock_lab.schedules.load_picture", None)
    assert curve._repr_mimebundle_() == {"text/plain": str(curve)}


def test_pyplot_is_left_alone(curve: lab.LoadCurve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its global state is not ours to touch."""
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    png(curve.figure())
    assert "matplotlib.pyplot" not in sys.modules


# -- refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"requests": ()}, "requests must be at least one number"),
        ({"requests": 5}, r"requests must be several numbers, as in \(1, 10\), not 5"),
        ({"requests": (0, 1)}, "each number of requests must be 1 or more, but is 0"),
        ({"requests": (1.5,)}, "each number of requests must be a whole number, but is 1.5"),
        ({"spreads": []}, "spreads must be at least one number"),
        ({"spreads": (0.5,)}, "each spread must be 1 or more, and finite, but one is 0.5"),
        ({"spreads": (math.inf,)}, "each spread must be 1 or more, and finite, but one is inf"),
        ({"spreads": ("3",)}, "each spread must be a number, but one is '3'"),
        ({"runs": 0}, "runs must be 1 or more, but is 0"),
        ({"seed": -1}, "seed must be 0 or more, but is -1"),
        ({"max_time": -1}, "max_time must be a finite number above 0, but is -1"),
    ],
)
def test_a_number_out_of_range_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    """Before anything runs."""
    with pytest.raises((ValueError, TypeError), match=message):
        lab.load_curve(ordered, **options)


async def alone() -> None:
    """Serve nobody."""


@pytest.mark.parametrize(
    ("main", "message"),
    [
        (3, r"needs the async function itself, but is given 3"),
        (alone, r"one parameter, the number of requests, but alone\(1\) cannot be called"),
        (lambda requests: requests, r"but <lambda>\(1\) returned 1"),
        (lambda requests: alone, r"but <lambda>\(1\) returned <function alone"),
    ],
)
def test_what_is_no_async_function_of_one_parameter_is_refused(main: Any, message: str) -> None:
    """The message says what to write."""
    with pytest.raises(TypeError, match=message):
        lab.load_curve(main)
