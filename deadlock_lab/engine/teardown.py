"""Clearing up after a run: every task ended, nothing left to warn of.

``Task.cancel()`` cannot end a cycle of tasks: it cancels what a task waits for,
which comes round to the task itself (python/cpython#80637). A task of a cycle is
freed from the other side: its wake-up is taken off the future it waits on and
called with a cancelled one.
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from .errors import BlockedStepError, DeadlockError, RunawayError
from .loop import LabLoop
from .waits import blocked_on

__all__ = ["clear_up", "free"]

_ROUNDS = 5
_STEPS = 10_000
_stubborn: list[object] = []  # coroutines that refuse to end: kept, or they complain when dropped


def free(task: asyncio.Task[Any]) -> None:
    """Wake a suspended task with ``CancelledError``, without touching what it waits for."""
    loop = task.get_loop()
    future: Any = blocked_on(task)
    for callback, context in getattr(future, "_callbacks", None) or ():
        if getattr(callback, "__self__", None) is task:
            future.remove_done_callback(callback)
            cancelled = loop.create_future()
            cancelled.cancel()
            loop.call_soon(callback, cancelled, context=context)
            return
    task.cancel()


def clear_up(loop: LabLoop, stuck: Collection[asyncio.Task[Any]]) -> None:
    """End all tasks as ``asyncio.run`` does, also those that it could not; close the loop."""
    loop.max_steps = loop.steps + _STEPS
    for round_ in range(_ROUNDS):
        tasks = sorted(asyncio.all_tasks(loop), key=hash)
        for task in tasks:
            _ask_to_end(task, gently=round_ == 0 and task not in stuck)
        _drain(loop)
    for task in sorted(asyncio.all_tasks(loop), key=hash):
        _abandon(task)
    closing = loop.create_task(loop.shutdown_asyncgens())
    closing.add_done_callback(lambda _: loop.stop())
    _drain(loop)
    loop.close()


def _ask_to_end(task: asyncio.Task[Any], *, gently: bool) -> None:
    if gently:
        with suppress(RecursionError):
            task.cancel()
            return
    free(task)


def _drain(loop: LabLoop) -> None:
    """Run until nothing is left to do, or the steps are used up."""
    with suppress(DeadlockError, RunawayError, BlockedStepError):
        loop.run_forever()


def _abandon(task: Any) -> None:
    task._log_destroy_pending = False
    coro = task.get_coro()
    try:
        coro.close()
    except BaseException:  # noqa: BLE001 (a coroutine that will not die may raise anything)
        _stubborn.append(coro)
