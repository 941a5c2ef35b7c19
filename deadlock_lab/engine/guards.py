"""What keeps a run from harming its surroundings: the outer loop, and a clock of real time."""

import asyncio
import ctypes
import signal
import threading
import time
from asyncio import events, tasks
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from .errors import BlockedStepError
from .loop import LabLoop
from .places import learner_frame, place_of

__all__ = ["beside_any_loop", "watched"]

_LOOKS = 8  # how often a step's limit is looked at within it
_AGAIN = 0.0005  # seconds between throws once a step has swallowed the first


@contextmanager
def beside_any_loop() -> Iterator[None]:
    """Leave the running loop and task, as a notebook cell is in, and enter them again after."""
    loop = events._get_running_loop()
    if loop is None:
        yield
        return
    task = asyncio.current_task(loop)
    events._set_running_loop(None)
    if task is not None:
        tasks._leave_task(loop, task)
    try:
        yield
    finally:
        if task is not None:
            tasks._enter_task(loop, task)
        events._set_running_loop(loop)


class _Watch:
    """Sees that a loop has been in one step for too long, and throws into that step."""

    def __init__(self, loop: LabLoop, limit: float) -> None:
        self._loop = loop
        self._limit = limit
        self.touch()

    def touch(self) -> None:
        """Count from now."""
        self._step = self._loop.steps
        self._since = time.monotonic()

    def overdue(self) -> bool:
        """Whether the step that ran at the last look still runs, past its limit."""
        if self._loop.steps != self._step:
            self.touch()
        return time.monotonic() - self._since > self._limit

    def condemn(self, frame: FrameType | None) -> str:
        """Let the loop run nothing more, and say where it was kept busy."""
        seen = learner_frame(frame)
        where = f" at {place_of(seen.f_code, seen.f_lineno)}" if seen else ""
        self._loop.halt(
            f"one step kept the loop busy for more than {self._limit:g} real seconds{where} "
            f"(max_step_seconds={self._limit:g}): a blocking call or an endless loop without "
            "an await; while it lasts, no other task can run"
        )
        return self._loop.halted


_watches: dict[int, list[_Watch]] = {}  # by thread; the last one of a thread is at work


@contextmanager
def watched(loop: LabLoop, limit: float) -> Iterator[None]:
    """Stop a step that takes more than ``limit`` real seconds.

    On the main thread by a signal, which also ends a blocking call; elsewhere (and
    on Windows) from a second thread, which can only end a loop of Python code.
    """
    watch = _Watch(loop, limit)
    mine = _watches.setdefault(threading.get_ident(), [])
    mine.append(watch)
    main = threading.current_thread() is threading.main_thread()
    by = _by_signal if main and hasattr(signal, "setitimer") else _by_thread
    try:
        with by(watch, limit / _LOOKS):
            yield
    finally:
        mine.pop()
        if mine:
            mine[-1].touch()  # the time of a nested run is not the outer step's fault


@contextmanager
def _by_signal(watch: _Watch, pause: float) -> Iterator[None]:
    def look(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if watch.overdue():
            reason = watch.condemn(frame)
            signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
            raise BlockedStepError(reason)

    handler = signal.signal(signal.SIGALRM, look)
    before = signal.setitimer(signal.ITIMER_REAL, pause, pause)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
        signal.signal(signal.SIGALRM, handler)


@contextmanager
def _by_thread(watch: _Watch, pause: float) -> Iterator[None]:
    over = threading.Event()
    target = threading.get_ident()

    def look() -> None:
        while not over.wait(pause):
            if watch.overdue():
                watch.condemn(None)
                _throw(target, BlockedStepError)

    looker = threading.Thread(target=look, name="deadlock_lab watch", daemon=True)
    try:
        looker.start()
    except RuntimeError:  # no threads here (Pyodide): nothing to look with
        yield
        return
    try:
        yield
    finally:
        over.set()
        looker.join()
        _throw(target, None)


def _throw(thread: int, error: type[BaseException] | None) -> None:
    argument: Any = ctypes.py_object(error) if error else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), argument)
