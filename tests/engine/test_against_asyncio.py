"""Any program behaves on our loop as it does on asyncio's own, to the order of its steps.

The reference is CPython's ``SelectorEventLoop``, its ``_run_once`` and its C tasks, with
nothing replaced but the two things that take real time: its clock, and the selector's
wait, which here moves that clock. A wait without an end is the hang that we look for.
"""

import asyncio
import selectors
from contextlib import closing, suppress

from hypothesis import example, given, settings
from hypothesis import strategies as st

import deadlock_lab as lab

from .generated import (
    FORESEEABLE,
    INVERSION,
    MAX_TIMERS,
    PROGRAMS,
    World,
    clear_up,
    often,
    play,
    start,
)


class HangError(Exception):
    """The reference loop would wait for ever."""


class InstantSelector(selectors.SelectSelector):
    """Moves a clock in place of waiting."""

    now = 0.0

    def select(self, timeout=None):
        if timeout is None:
            raise HangError
        self.now += max(0, timeout)
        return []


class Reference(asyncio.SelectorEventLoop):
    """CPython's own loop on a clock that jumps."""

    def __init__(self):
        self.instant = InstantSelector()
        super().__init__(self.instant)
        self.set_exception_handler(lambda *_: None)

    def time(self):
        return self.instant.now


def on_the_reference(program):
    """Run a program on CPython's loop: its log, its result or None, its unfinished tasks."""
    with closing(Reference()) as loop:
        world = World()
        main = loop.create_task(play(program, world))
        with suppress(HangError):
            loop.run_until_complete(main)
        log = list(world.log)
        waiting = [f"t{n}" for n, task in enumerate(world.tasks) if not task.done()]
        clear_up(loop)
        return log, None if waiting else main.result(), waiting


def on_ours(program):
    world = World()
    return lab.run(lambda: play(program, world), max_time=10 * 2**MAX_TIMERS), world


@often
@example(INVERSION)
@example([[("timeout", 0, ("lock", 0, ("sleep", 0), ("lock", 1)))], INVERSION[1]])
@example([[("first", 0, ("wait", 0), ("sleep", 0))], [("sleep", 0), ("set", 0)]])
@given(PROGRAMS)
def test_a_program_takes_the_same_steps_as_on_asyncio_and_hangs_where_it_hangs(program):
    log, result, waiting = on_the_reference(program)
    run, world = on_ours(program)
    assert world.log[: len(log)] == log  # clearing up adds to it
    if result is None:
        assert run.outcome == "deadlock"
        assert [name for name in run.waits.tasks if name in waiting] == waiting
        assert set(waiting) <= set(run.stuck)
        assert "main" in run.stuck
    else:
        assert run.outcome == "finished"
        assert run.result() == result


@often
@example(INVERSION, 5)
@example([[("wait", 0)], [("sleep", 0), ("set", 0)]], 0)
@given(FORESEEABLE, st.integers(0, 2**MAX_TIMERS))
def test_a_task_said_to_be_stuck_before_the_end_never_goes_on(program, seconds):
    _, _, waiting = on_the_reference(program)

    async def main():
        start(program, World())
        await asyncio.sleep(seconds + 0.5)  # no other timer is due at a half

    run = lab.run(main, max_time=10 * 2**MAX_TIMERS)
    assert run.outcome == "finished"
    if run.waits.unless:
        return  # they are stuck unless some other fails, which it may have
    assert [name for name in run.stuck if name.startswith("t")] == [
        name for name in waiting if name in run.stuck
    ]


@often
@given(PROGRAMS)
def test_all_that_never_go_on_are_said_to_be_stuck_when_all_else_is_over(program):
    _, _, waiting = on_the_reference(program)

    async def main():
        start(program, World())
        await asyncio.Event().wait()

    run = lab.run(main, max_time=10 * 2**MAX_TIMERS)
    assert run.outcome == "deadlock"
    assert [name for name in run.stuck if name.startswith("t")] == waiting


def test_the_programs_are_not_all_of_one_kind():
    ends = []

    @settings(max_examples=150, derandomize=True, database=None, deadline=None)
    @given(PROGRAMS)
    def sample(program):
        ends.append(on_the_reference(program)[1] is None)

    sample()
    assert 0.1 < sum(ends) / len(ends) < 0.9
