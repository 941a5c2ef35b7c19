"""Schedules: tokens, and what a schedule does to a run."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deadlock_lab as lab
from deadlock_lab.engine.schedule import Schedule
from deadlock_lab.engine.trace import Kind

lateness = st.dictionaries(st.integers(0, 10**4), st.integers(-(10**9), 10**15))


@settings(deadline=None)
@given(lateness, st.integers(0, 10**9))
def test_a_token_reads_back_as_the_schedule_that_it_was_made_from(
    late: dict[int, int], seed: int
) -> None:
    """Nothing is lost on the way."""
    schedule = Schedule(late, seed)
    assert Schedule.parse(schedule.token) == schedule


@pytest.mark.parametrize("token", ["", "3", "3+", "a+1", "3+1,,4+1", "x/3+1", "3+1 4+1", "-1+3"])
def test_a_token_that_cannot_be_read_is_refused_and_quoted(token: str) -> None:
    """The message says what one looks like."""
    with pytest.raises(ValueError, match=r"cannot read the schedule .*copy it from"):
        lab.run(sleeper, schedule=token)


def test_a_schedule_that_is_no_string_is_refused() -> None:
    """A number is no token."""
    with pytest.raises(TypeError, match="a string; this is 3"):
        lab.run(sleeper, schedule=3)  # type: ignore[arg-type]


async def sleeper() -> float:
    """Sleep twice, for one second and for two."""
    await asyncio.sleep(1)
    await asyncio.sleep(2)
    return asyncio.get_running_loop().time()


def test_a_late_wait_takes_longer_by_what_the_schedule_says() -> None:
    """Timers are numbered in the order in which they are set."""
    assert lab.run(sleeper, schedule="1+500000000").result() == 3.5


def test_the_natural_schedule_changes_nothing() -> None:
    """Its trace is that of a run without one."""
    assert lab.run(sleeper, schedule="natural").trace == lab.run(sleeper).trace


def test_the_trace_says_which_timer_is_late_and_by_how_much() -> None:
    """A timer's due time is the late one."""
    run = lab.run(sleeper, schedule="0+500000000")
    assert [(timer.due, timer.late) for timer in run.trace.timers] == [
        (1_500_000_000, 500_000_000),
        (3_500_000_000, 0),
    ]
    fired = [event.time for event in run.trace.events if event.kind is Kind.TIMER_FIRED]
    assert fired == [1_500_000_000, 3_500_000_000]


def test_waits_that_the_program_does_not_have_are_passed_over() -> None:
    """A token may be older than the program."""
    assert lab.run(sleeper, schedule="99+5").result() == 3.0


def test_a_run_under_a_schedule_seeds_random_and_puts_it_back() -> None:
    """Programs that draw their latencies can be repeated, and nobody else is disturbed."""

    async def draw() -> float:
        return random.random()

    random.seed(42)
    expected = random.random()
    random.seed(42)
    first, again = (lab.run(draw, schedule="7/natural").result() for _ in range(2))
    other = lab.run(draw, schedule="8/natural").result()
    assert first == again != other
    assert random.random() == expected
