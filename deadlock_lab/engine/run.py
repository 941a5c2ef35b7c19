"""Running a program once, recorded, without ever hanging."""

import asyncio
import inspect
import io
import math
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from contextvars import copy_context
from typing import Any, Literal

from .clues import gather_clues
from .errors import BlockedStepError, DeadlockError, RunawayError
from .futile import futile_limits
from .guards import beside_any_loop, watched
from .kinds import diagnose
from .lines import line_by_line
from .lockorder import lock_order_risks
from .loop import MAX_STEPS, MAX_TIME
from .masked import Sentry
from .patches import patched
from .recorder import RecordingLoop
from .recording import Outcome, Recording
from .schedule import Schedule, seeded
from .snapshot import wait_graph
from .teardown import clear_up
from .victims import Judge

__all__ = ["MAX_STEP_SECONDS", "Program", "check_limits", "execute"]

MAX_STEP_SECONDS = 2.0
"""How long one step (what runs between two awaits) may take, in real seconds."""

Program = Callable[[], Coroutine[Any, Any, Any]] | Coroutine[Any, Any, Any]


def execute(
    main: Program,
    *,
    max_steps: int = MAX_STEPS,
    max_time: float = MAX_TIME,
    max_step_seconds: float = MAX_STEP_SECONDS,
    on_deadlock: Literal["stop", "break"] = "stop",
    schedule: Schedule | None = None,
    lines: bool = False,
) -> Recording:
    """Run a program to its end, its deadlock or its limit; see ``deadlock_lab.run``."""
    if on_deadlock not in ("stop", "break"):
        raise ValueError(f'on_deadlock must be "stop" or "break", but is {on_deadlock!r}')
    check_limits(max_steps=max_steps, max_time=max_time, max_step_seconds=max_step_seconds)
    with beside_any_loop(), patched(), seeded(schedule.seed) if schedule else nullcontext():
        loop = RecordingLoop(max_steps=max_steps, max_time=max_time)
        loop.oracle = schedule
        with watched(loop, max_step_seconds):
            judge = Judge(loop) if on_deadlock == "break" else None
            return copy_context().run(_record, loop, main, judge, lines)


def _record(loop: RecordingLoop, main: Program, judge: Judge | None, lines: bool) -> Recording:
    beyond_cancel: set[asyncio.Task[Any]] = set()
    ended = True
    try:
        sentry = Sentry(loop)
        task = loop.create_task(_coroutine(main))
        with line_by_line(loop) if lines else nullcontext():
            limit, stopped = _drive(loop, task)
        waits = wait_graph(loop, main_over=task.done())
        clues = gather_clues(loop, waits)
        loop.note_unseen_failures(main=task)
        outcome, error = (Outcome.FAILED, stopped) if stopped else _judge(task, limit)
        ended = outcome in (Outcome.FINISHED, Outcome.FAILED)
        never = set(waits.stuck_ids)
        left = asyncio.all_tasks(loop)
        beyond_cancel = {t for t in left if not ended or loop.books.ordinal(t) in never}
        trace = loop.books.close()
        return Recording(
            outcome=outcome,
            trace=trace,
            waits=waits,
            steps=loop.steps,
            time=loop.now,
            limit=limit,
            value=task.result() if outcome is Outcome.FINISHED else None,
            error=error,
            diagnoses=diagnose(trace, waits, clues),
            masked=sentry.report(trace, waits.stuck_ids),
            futile=futile_limits(trace, waits),
            broken=judge.report(trace) if judge else (),
            risks=lock_order_risks(trace),
        )
    finally:
        with _quiet(when=not ended):
            clear_up(loop, beyond_cancel)


@contextmanager
def _quiet(*, when: bool) -> Iterator[None]:
    """Hide what tasks print while they are cleared up after a deadlock or a runaway.

    On a real loop they would never have come so far: it would tell a wrong story.
    """
    with redirect_stdout(io.StringIO()) if when else nullcontext():
        yield


def _drive(loop: RecordingLoop, task: asyncio.Task[Any]) -> tuple[str, BaseException | None]:
    """Run until main is done or nothing can move.

    Returns:
        The limit that was met, if any, and an error where the loop was stopped by hand.
    """
    task.add_done_callback(lambda _: loop.stop())
    try:
        loop.run_forever()
    except DeadlockError:
        return loop.halted, None  # what was thrown may have cost it the callbacks that were left
    except (RunawayError, BlockedStepError) as stopped:
        return loop.halted or str(stopped), None
    except SystemExit as left:  # asyncio lets it through
        return "", left
    if task.done() or loop.halted:
        return loop.halted, None
    return "", RuntimeError("the program stopped its event loop before main was done")


def _judge(task: asyncio.Task[Any], limit: str) -> tuple[Outcome, BaseException | None]:
    if limit:
        return Outcome.RUNAWAY, None
    if not task.done():
        return Outcome.DEADLOCK, None
    if task.cancelled():
        return Outcome.FAILED, asyncio.CancelledError("main was cancelled")
    error = task.exception()
    return (Outcome.FAILED, error) if error else (Outcome.FINISHED, None)


def _coroutine(main: Any) -> Coroutine[Any, Any, Any]:
    """Get a fresh coroutine out of what the learner handed in, or say what to hand in."""
    coro = _call(main) if callable(main) else main
    if not inspect.iscoroutine(coro):
        got = f"{main!r} returned {coro!r}" if callable(main) else repr(main)
        raise TypeError(
            f"lab.run needs an async function or a coroutine, but {got}; "
            "write `async def main(): ...` and call lab.run(main)"
        )
    if inspect.getcoroutinestate(coro) != inspect.CORO_CREATED:
        raise ValueError(
            f"the coroutine {coro.__qualname__}() has been run already, and can be run only "
            "once; hand in the function, or call it again"
        )
    return coro


def _call(main: Callable[[], Any]) -> object:
    try:
        inspect.signature(main).bind()
    except TypeError as error:
        raise TypeError(
            f"lab.run calls {getattr(main, '__name__', main)}() without arguments ({error}); "
            "hand in a coroutine, as in lab.run(main(1, 2))"
        ) from None
    return main()


def check_limits(**limits: float) -> None:
    """See that limits of a run are finite numbers above 0, or say which one is not."""
    for name, value in limits.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number, but is {value!r}")
        if not value > 0 or math.isinf(value):
            raise ValueError(f"{name} must be a finite number above 0, but is {value!r}")
