"""Clearing up after a run: every task ended, nothing left to warn of.

``Task.cancel()`` cannot end a cycle of tasks: it cancels what a task waits for,
which comes round to the task itself (python/cpython#80637). A task of a cycle is
freed from the other side: its wake-up is taken off the future it waits on and
called with a cancelled one.
"""

import asyncio
import ctypes
from asyncio import events
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from .errors import BlockedStepError, DeadlockError, RunawayError
from .loop import LabLoop
from .waits import blocked_on

__all__ = ["abandon", "clear_up", "free"]

_ROUNDS = 5
_STEPS = 10_000


def free(task: asyncio.Task[Any], error: BaseException | None = None) -> bool:
    """Wake a suspended task with an error, without touching what it waits for.

    Args:
        task: the task, which may be one of a cycle.
        error: what is raised where it waits; by default ``CancelledError``.

    Returns:
        Whether it will be raised. A task that is ready can be cancelled, and nothing else.
    """
    loop = task.get_loop()
    future: Any = blocked_on(task)
    if future is None or future.done():
        # There is nothing on the way that could be cancelled.
        return error is None and task.cancel()
    for callback, context in future._callbacks or ():
        if getattr(callback, "__self__", None) is task:
            future.remove_done_callback(callback)
            over = loop.create_future()
            over.set_exception(error) if error else over.cancel()
            loop.call_soon(callback, over, context=context)
    return True


def clear_up(loop: LabLoop, beyond_cancel: Collection[asyncio.Task[Any]]) -> None:
    """End all tasks as ``asyncio.run`` does, also those that it could not; close the loop.

    Args:
        loop: the loop, stopped.
        beyond_cancel: tasks that ``Task.cancel()`` cannot end, or would recurse through
            for long, in rings and chains; they are freed from the other side.
    """
    loop._invoke = asyncio.Handle._run  # the recording is over
    try:
        _end_tasks(loop, beyond_cancel)
        _end_generators(loop)
    finally:
        loop.close()


def _end_tasks(loop: LabLoop, beyond_cancel: Collection[asyncio.Task[Any]]) -> None:
    for round_ in range(_ROUNDS):
        tasks = _tasks_of(loop)
        for task in tasks:
            _ask_to_end(task, gently=round_ == 0 and task not in beyond_cancel)
        _drain(loop, tasks)
    _leave(loop)


def _tasks_of(loop: LabLoop) -> list[asyncio.Task[Any]]:
    return sorted(asyncio.all_tasks(loop), key=hash)


def _ask_to_end(task: asyncio.Task[Any], *, gently: bool) -> None:
    if gently:
        with suppress(RecursionError):
            task.cancel()
            return
    free(task)


def _drain(loop: LabLoop, tasks: Collection[asyncio.Task[Any]]) -> None:
    """Run until these tasks have ended, nothing can move them, or the steps are used up."""
    left = set(tasks)

    def ended(task: asyncio.Task[Any]) -> None:
        left.discard(task)
        if not left:
            loop.stop()

    if not left:
        return
    for task in tasks:
        task.add_done_callback(ended)
    loop.halted = ""
    loop.max_steps = loop.steps + _STEPS + 10 * len(left)
    with suppress(DeadlockError, RunawayError, BlockedStepError):
        loop.run_forever()
    for task in tasks:
        task.remove_done_callback(ended)


def _end_generators(loop: LabLoop) -> None:
    generators: list[Any] = list(loop._asyncgens)
    closing = loop.create_task(loop.shutdown_asyncgens())
    _drain(loop, [closing])
    _leave(loop)
    for generator in generators:
        if generator.ag_frame is not None:
            _keep_for_ever(generator)


def _leave(loop: LabLoop) -> None:
    """Close the coroutines of tasks that did not end; after one that blocks, keep the rest."""
    blocked = False
    left: set[Any] = set()
    events._set_running_loop(loop)  # what they do in `finally` may ask for it
    try:
        # They may make new tasks there, which have not begun and so make none in turn.
        while tasks := [task for task in _tasks_of(loop) if task not in left]:
            for task in tasks:
                left.add(task)
                blocked = _close(task, only_keep=blocked) or blocked
    finally:
        events._set_running_loop(None)


def _close(task: Any, *, only_keep: bool) -> bool:
    """Close a task's coroutine; return whether that blocked."""
    task._log_destroy_pending = False
    error = None if only_keep else abandon(task.get_coro())
    if only_keep or error is not None:
        _keep_for_ever(task.get_coro())
    return isinstance(error, BlockedStepError)


def abandon(coro: Any) -> BaseException | None:
    """Close a coroutine; return what it raised in place of ending."""
    try:
        coro.close()
    except BaseException as error:  # noqa: BLE001 (a coroutine that will not die may raise anything)
        return error
    return None


def _keep_for_ever(stubborn: object) -> None:
    # When the last reference goes, Python closes it once more: it would complain, or
    # block, and at the latest when the interpreter ends. So one reference never goes.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(stubborn))
