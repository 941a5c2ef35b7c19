"""Running a program once under a schedule, unrecorded: only how it ended is kept.

As a recorded run, an attempt is deterministic and always comes back. What it leaves out
is the writing down, which takes most of a recorded run's time.
"""

import asyncio
import itertools
import random
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import closing, redirect_stdout
from contextvars import Context, copy_context
from dataclasses import dataclass
from io import StringIO
from typing import Any, NamedTuple, TypeVarTuple, Unpack

from ..engine.books import say
from ..engine.errors import BlockedStepError, DeadlockError, RunawayError
from ..engine.graph import OWNED
from ..engine.guards import beside_any_loop, watched
from ..engine.loop import LabLoop, nanoseconds
from ..engine.patches import confined
from ..engine.recording import Outcome
from ..engine.run import execute
from ..engine.schedule import Oracle, Schedule, purpose, seeded
from ..engine.tasks import LabFuture, LabTask, is_task
from ..engine.teardown import clear_up
from ..engine.waits import await_chain, blocked_on, read_wait

__all__ = ["Attempt", "Firing", "Limits", "attempts"]

_alone = threading.RLock()
_BEGINNING = 10_000  # steps of a runaway in which stuck tasks are looked for

Program = Callable[[], Coroutine[Any, Any, Any]]
_Ts = TypeVarTuple("_Ts")


class Limits(NamedTuple):
    """The limits of each attempt; see ``lab.run``. Seconds are virtual, of a step real."""

    max_steps: int
    max_time: float
    max_step_seconds: float


class Firing(NamedTuple):
    """A timer that went off, and how late it would have to be to let another one go first.

    ``late`` is in nanoseconds over what is written; -1 where there is no other, or where
    the timer is a time limit. ``together`` says whether others went off at the same moment.
    """

    number: int
    late: int
    together: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a program ended under a schedule.

    Attributes:
        schedule: which waits were late.
        outcome: how it ended.
        freezes: whether a task can never go on: all of them, or some beside a main that ended.
        timed: whether it depends on more than the order of its waits: it has time limits, or
            reads the clock.
        error: what main raised, if it did.
        blocked: where one step kept the loop busy for too long, what was said of that.
        fired: its timers in the order in which they went off; empty where nobody asked.
    """

    schedule: Schedule
    outcome: Outcome
    freezes: bool
    timed: bool = False
    error: str = ""
    blocked: str = ""
    fired: tuple[Firing, ...] = ()


class _AttemptLoop(LabLoop):
    """A ``LabLoop`` that is deterministic as the recording one is, and keeps no books."""

    def __init__(self, limits: Limits, *, listen: bool) -> None:
        super().__init__(max_steps=limits.max_steps, max_time=limits.max_time)
        self.numbers: Iterator[int] = itertools.count()  # for LabFuture
        self._ordinals = itertools.count()
        self._listen = listen
        self.timed = False
        self.error: BaseException | None = None  # main's
        self.fired: list[Firing] = []
        self._batch = (-1, -1)

    def create_future(self) -> LabFuture:
        return LabFuture(loop=self)

    def create_task(self, coro: Any, **options: Any) -> Any:
        if self.get_task_factory() is not None:
            return super().create_task(coro, **options)
        return LabTask(coro, next(self._ordinals), loop=self, **options)

    def renamed(self, task: LabTask) -> None:
        """Hear that a task has a new name, which is nothing to us."""

    def cancelling(self, task: LabTask) -> None:
        """Hear that a task is asked to stop, which is nothing to us."""

    def default_exception_handler(self, context: Any) -> None:
        """Keep quiet of what nobody caught: the recorded run will tell."""

    def time(self) -> float:
        """Return the virtual time; whoever asks for it depends on more than an order."""
        self.timed = True
        return self._clock

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Set a timer, as asyncio does, without counting that as a look at the clock."""
        if delay is None:
            raise TypeError("delay must not be None")
        return self.call_at(self._clock + delay, callback, *args, context=context)

    def _timer_fired(self, timer: asyncio.TimerHandle, number: int) -> None:
        if not self._listen:
            return
        limit = purpose(timer._callback) == "timeout"  # type: ignore[attr-defined]
        self.timed = self.timed or limit
        following = self._scheduled[0][0] if self.has_timers() else -1
        batch = (self.steps, self.now)
        together = batch == self._batch or following == self.now
        self._batch = batch
        until = self.now + 1 if together else following
        late = -1 if limit or until < 0 else until - nanoseconds(timer.when())
        self.fired.append(Firing(number, late, together))


def attempts(
    main: Program, cases: Iterable[tuple[Oracle, int]], limits: Limits, *, listen: bool
) -> list[Attempt]:
    """Run a program once for each case; stop early where one step never ends.

    Args:
        main: an async function without parameters.
        cases: whom to ask by how much each wait is late, and what to seed ``random`` with.
        limits: the limits of each attempt.
        listen: whether to say which timers went off, in which order.
    """
    done: list[Attempt] = []
    # One at a time in a process, for what is changed here is everybody's.
    with _alone, beside_any_loop(), confined(), redirect_stdout(StringIO()), seeded(0):
        none_yet = closing(_AttemptLoop(limits, listen=listen))
        with none_yet as idle, watched(idle, limits.max_step_seconds) as watch:
            for oracle, seed in cases:
                loop = _AttemptLoop(limits, listen=listen)
                watch.attend(loop)
                loop.oracle = oracle
                random.seed(seed)
                ending = copy_context().run(_run, loop, main)
                done.append(_attempt(main, loop, Schedule(oracle.lateness, seed), limits, *ending))
                if done[-1].blocked:
                    break
    return done


def _attempt(
    main: Program,
    loop: _AttemptLoop,
    schedule: Schedule,
    limits: Limits,
    outcome: Outcome,
    suspect: bool,
    halted: str,
) -> Attempt:
    return Attempt(
        schedule=schedule,
        outcome=outcome,
        freezes=outcome is Outcome.DEADLOCK
        or (suspect and _is_stuck(main, schedule, _to_look_at(outcome, limits))),
        timed=loop.timed,
        error=say(loop.error),
        blocked=halted if outcome is Outcome.RUNAWAY else "",
        fired=tuple(loop.fired),
    )


def _run(loop: _AttemptLoop, main: Program) -> tuple[Outcome, bool, str]:
    """Run to the end.

    Returns:
        How that was, whether some of the tasks that are left may be stuck, and why the loop
        was halted, if it was: after clearing up it no longer knows.
    """
    ended, left = False, None
    try:
        outcome = _drive(loop, loop.create_task(main()))
        ended = outcome in (Outcome.FINISHED, Outcome.FAILED)
        left = asyncio.all_tasks(loop)
        return outcome, not loop.halted and any(map(_may_be_stuck, left)), loop.halted
    finally:
        _clear_up(loop, asyncio.all_tasks(loop) if left is None else left, ended)


def _clear_up(loop: _AttemptLoop, left: set[asyncio.Task[Any]], ended: bool) -> None:
    if left or len(loop._asyncgens):
        # Where it ended, nothing is known of rings, which could not be cancelled.
        clear_up(loop, () if ended else left)
    loop.close()


def _drive(loop: _AttemptLoop, task: asyncio.Task[Any]) -> Outcome:
    task.add_done_callback(lambda _: loop.stop())
    try:
        loop.run_forever()
    except DeadlockError:
        return Outcome.RUNAWAY if loop.halted else Outcome.DEADLOCK
    except (RunawayError, BlockedStepError):
        return Outcome.RUNAWAY
    except SystemExit as left:  # asyncio lets it through; here it ends one run
        loop.error = left
        return Outcome.FAILED
    if not task.done():
        return Outcome.RUNAWAY if loop.halted else Outcome.FAILED
    loop.error = asyncio.CancelledError() if task.cancelled() else task.exception()
    return Outcome.FAILED if loop.error else Outcome.FINISHED


def _may_be_stuck(task: asyncio.Task[Any]) -> bool:
    """Whether a task that is left waits for a task, a lock or a permit.

    Beside a main that has ended, who waits for anything else is parked; see ``wait_graph``.
    """
    future = blocked_on(task)
    if future is None:
        return False
    things = read_wait(future, await_chain(task.get_coro())).objects
    return any(is_task(thing) or type(thing).__name__ in OWNED for thing in things)


def _to_look_at(outcome: Outcome, limits: Limits) -> Limits:
    """Give the limits of a recorded run that tells: of a runaway, its beginning will do."""
    if outcome is Outcome.RUNAWAY:
        return limits._replace(max_steps=min(limits.max_steps, _BEGINNING))
    return limits


def _is_stuck(main: Program, schedule: Schedule, limits: Limits) -> bool:
    """Whether some of the tasks can never go on; a recorded run can tell."""
    recording = execute(main, **limits._asdict(), schedule=schedule)
    return bool(recording.waits.stuck_ids)
