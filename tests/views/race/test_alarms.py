"""False alarms, counted over latencies."""

import itertools
import math

import pytest

from deadlock_lab.views.race.alarms import LATENCIES, OWN, Latencies


@pytest.mark.parametrize("name", LATENCIES)
def test_a_named_service_is_the_same_every_time(name: str) -> None:
    calls = Latencies.of(name)
    assert len(calls.seconds) == 10_000
    assert list(calls.seconds) == sorted(calls.seconds)
    assert calls.seconds[0] > 0
    assert calls is Latencies.of(name)


def test_the_services_are_alike_in_the_middle_and_differ_in_the_tail() -> None:
    services = [Latencies.of(name) for name in LATENCIES]
    assert all(0.35 < calls.below(0.5) < 0.5 for calls in services)
    tails = [calls.below(0.999) for calls in services]
    assert tails[0] < 1 < tails[1] < 5 < tails[2]


def test_the_draws_do_not_move() -> None:
    assert [round(Latencies.of(name).below(0.5), 6) for name in LATENCIES] == [
        0.450952, 0.401474, 0.399533,
    ]  # fmt: skip


def test_the_rate_is_the_share_of_calls_that_take_longer() -> None:
    calls = Latencies.of([0.3, 0.1, 0.2, 0.2])
    assert [calls.false_alarms(t) for t in (0, 0.1, 0.15, 0.2, 0.3, 9)] == [
        1,
        0.75,
        0.75,
        0.25,
        0,
        0,
    ]


def test_the_rate_never_rises_with_the_limit() -> None:
    calls = Latencies.of("heavy tail")
    rates = [calls.false_alarms(n / 50) for n in range(200)]
    assert rates == sorted(rates, reverse=True)


def test_every_corner_of_the_curve_is_counted_and_none_is_far_from_the_next() -> None:
    for name in LATENCIES:
        calls = Latencies.of(name)
        corners = calls.corners(2.0)
        assert all(rate == calls.false_alarms(limit) for limit, rate in corners)
        assert len(corners) <= 202
        falls = [a - b for (_, a), (_, b) in itertools.pairwise(corners)]
        assert max(falls) <= 0.005 + 1e-9


def test_few_calls_give_every_corner() -> None:
    given = [n * 0.61803398875 % 1 for n in range(1, 151)]
    assert [limit for limit, _ in Latencies.of(given).corners(2)] == [0, *sorted(given), 2]


def test_ones_own_figures_are_called_so() -> None:
    calls = Latencies.of(iter([0.2, 1]))
    assert (calls.name, calls.seconds) == (OWN, (0.2, 1.0))
    assert calls.tell(0.5) == (
        "A limit of 0.5 s gives up 1 of these 2 healthy calls: 50 % false alarms."
    )
    assert calls.tell(1) == "A limit of 1 s gives up 0 of these 2 healthy calls: no false alarm."


@pytest.mark.parametrize("bad", [[], [-1], [math.nan], [math.inf], [86_401], "fast"])
def test_what_is_no_latency_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match="latencies"):
        Latencies.of(bad)  # type: ignore[arg-type]
