"""A waits for B, B for C, C for A: an error, a runaway or a deadlock, by what is awaited."""

import asyncio

import pytest

import deadlock_lab as lab
from deadlock_lab.article import cycle, reentry


def test_plain_awaits_are_a_recursion_and_nothing_ever_waits():
    run = lab.run(cycle.function_a)

    assert run.outcome == "failed"
    with pytest.raises(RecursionError):
        run.result()


def test_with_input_in_each_plain_calls_end_at_the_recursion_limit():
    """Each resumption walks through every frame so far: unlike JavaScript, it does end."""
    functions = cycle.WithIO(seconds=1)

    run = lab.run(functions.function_a)

    assert run.outcome == "failed"
    assert 100 < len(functions.log) < 2_000
    assert run.seconds == len(functions.log) - 1
    with pytest.raises(RecursionError):
        run.result()


def test_with_input_in_each_and_a_task_a_call_it_runs_away():
    functions = cycle.WithIO(seconds=1, start=asyncio.create_task)

    run = lab.run(functions.function_a, max_steps=3_000)

    assert run.outcome == "runaway"
    assert len(functions.log) > 900
    assert not run.stuck


def test_over_shared_work_in_flight_it_is_a_true_deadlock():
    functions = cycle.SharedInFlight()

    run = lab.run(functions.function_a)

    assert run.outcome == "deadlock"
    assert functions.log == ["A waits for B", "B waits for C", "C waits for A"]
    assert {"A", "B", "C"} < set(run.stuck)
    assert "A → B → C → A" in run.explain()


def test_the_reentrant_audit_runs_away_and_never_freezes():
    log = []

    run = lab.run(lambda: reentry.process_user_data(42, log), max_steps=5_000)

    assert run.outcome == "runaway"
    assert len(log) > 200
    assert set(log) == {42}
    assert not run.stuck
