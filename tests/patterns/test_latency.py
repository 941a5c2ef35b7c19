"""A limit from figures: how short, how sure, and when there is too little to go by."""

import asyncio
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deadlock_lab as lab
from deadlock_lab.patterns.latency import LatencyRecorder
from deadlock_lab.patterns.timeouts import with_timeout


def recorded(latencies, *, generous=30.0, **options):
    recorder = LatencyRecorder(generous=generous, **options)
    for latency in latencies:
        recorder.record(latency)
    return recorder


@pytest.mark.parametrize(
    ("rate", "needed"),
    [(0.5, 5), (0.1, 29), (0.05, 59), (0.01, 299), (0.001, 2995)],
    ids=str,
)
def test_the_number_of_calls_it_takes_is_wilks_number(rate, needed):
    one_short = recorded([1.0] * (needed - 1)).propose(rate)
    enough = recorded([1.0] * needed).propose(rate)

    assert (one_short.tuned, one_short.seconds, one_short.samples_needed) == (False, 30, needed)
    assert (enough.tuned, enough.seconds) == (True, 1)
    assert 0.95 <= enough.confidence < 0.98


def test_until_there_is_enough_the_generous_limit_stands_and_says_why():
    proposal = LatencyRecorder(generous=30).propose(0.001)

    assert (proposal.seconds, proposal.tuned, proposal.confidence) == (30, False, 0)
    assert "0 calls of the 2,995 it takes" in str(proposal)


def test_a_call_longer_than_the_generous_limit_raises_it():
    assert recorded([45.0]).propose(0.001).seconds == 45


def test_proposals_keep_their_promise_as_often_as_they_say():
    """Draw from a known distribution; count the limits whose true rate is above the wanted."""
    rng = random.Random(1)
    rate, rounds = 0.05, 400
    true_quantile = -math.log(rate)  # of the exponential distribution

    proposals = [
        recorded(rng.expovariate(1) for _ in range(200)).propose(rate) for _ in range(rounds)
    ]

    broken = sum(proposal.seconds < true_quantile for proposal in proposals)
    assert all(proposal.tuned for proposal in proposals)
    assert 0 < broken / rounds < 0.07
    assert sum(proposal.seconds for proposal in proposals) / rounds < 1.5 * true_quantile


def test_more_calls_bring_the_limit_down_to_the_quantile():
    rng = random.Random(2)
    latencies = [rng.expovariate(1) for _ in range(10_000)]

    few, many = recorded(latencies[:300]).propose(0.01), recorded(latencies).propose(0.01)

    assert few.seconds > many.seconds > -math.log(0.01) * 0.98


def test_calls_that_were_cut_off_count_as_longer_than_any():
    """Without them the limit would follow its own cuts down."""
    recorder = recorded([1.0] * 95)
    for _ in range(5):
        recorder.record_cut_off()

    tight, loose = recorder.propose(0.04), recorder.propose(0.2)

    assert (tight.tuned, tight.seconds) == (False, 30)
    assert "cut off" in str(tight)
    assert (loose.tuned, loose.seconds) == (True, 1)


def test_measuring_records_what_ended_and_what_was_cut_off_and_nothing_else():
    recorder = LatencyRecorder(generous=30)

    async def measured(operation):
        with recorder.measure():
            await operation

    async def fail():
        raise ConnectionError

    async def main():
        await measured(asyncio.sleep(2))
        for error, operation in [
            (TimeoutError, with_timeout(asyncio.sleep(9), 1)),
            (ConnectionError, fail()),
        ]:
            with pytest.raises(error):
                await measured(operation)
        task = asyncio.create_task(measured(asyncio.sleep(9)))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task})

    lab.run(main).result()

    assert len(recorder) == 2
    assert recorder.propose(0.8, confidence=0.5).seconds == 2


def test_only_the_last_calls_are_kept():
    recorder = recorded([*[9.0] * 1000, *[1.0] * 100], keep=100)

    assert len(recorder) == 100
    assert recorder.propose(0.1).seconds == 1


@settings(deadline=None)
@given(
    latencies=st.lists(st.floats(0, 100), max_size=300),
    rate=st.floats(1e-6, 0.999),
    confidence=st.floats(0.01, 0.999),
)
def test_a_proposal_is_always_a_finite_limit_and_never_claims_more_than_it_can(
    latencies, rate, confidence
):
    proposal = recorded(latencies).propose(rate, confidence=confidence)

    assert 0 <= proposal.seconds < math.inf
    assert proposal.tuned or len(latencies) <= proposal.samples_needed  # give or take rounding
    assert not proposal.tuned or len(latencies) >= proposal.samples_needed - 1
    assert proposal.tuned <= (proposal.confidence >= confidence)
    assert str(proposal)


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf])
def test_a_latency_that_makes_no_sense_is_refused(seconds):
    with pytest.raises(ValueError, match="0 or more seconds"):
        LatencyRecorder(generous=30).record(seconds)
    with pytest.raises(ValueError, match="generous must be 0 or more"):
        LatencyRecorder(generous=seconds)


@pytest.mark.parametrize("seconds", [None, "1", True])
def test_what_is_no_latency_is_refused(seconds):
    with pytest.raises(TypeError, match="must be a number of seconds"):
        LatencyRecorder(generous=30).record(seconds)


@pytest.mark.parametrize("share", [0, 1, -0.1, 5, math.nan])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(ValueError, match="false_alarm_rate must be between 0 and 1"):
        LatencyRecorder(generous=30).propose(share)
    with pytest.raises(ValueError, match="confidence must be between 0 and 1"):
        LatencyRecorder(generous=30).propose(0.1, confidence=share)


def test_a_bad_keep_is_refused():
    with pytest.raises(ValueError, match="keep must be 1 or more"):
        LatencyRecorder(generous=30, keep=0)
    with pytest.raises(TypeError, match="keep must be a number of calls"):
        LatencyRecorder(generous=30, keep=1.5)
