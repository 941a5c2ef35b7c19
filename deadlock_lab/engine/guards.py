"""What keeps a run from harming its surroundings: the outer loop, and a clock of real time."""

import _weakrefset
import asyncio
import ctypes
import signal
import sys
import threading
import time
import weakref
from asyncio import events, tasks
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from .errors import BlockedStepError
from .loop import LabLoop
from .places import learner_frame, place_of
from .teardown import abandon

__all__ = ["beside_any_loop", "watched"]

_LOOKS = 8  # how often a step's limit is looked at within it
_MANY_THROWS = 10
_WEAK = frozenset({weakref.__file__, _weakrefset.__file__})
_PROGRAM = frozenset({asyncio.Handle._run.__code__, abandon.__code__})  # what calls the program


@contextmanager
def beside_any_loop() -> Iterator[None]:
    """Leave the running loop and task, as a notebook cell is in, and enter them again after."""
    loop = events._get_running_loop()
    if loop is None:
        yield
        return
    task = asyncio.current_task(loop)
    if task is not None:
        tasks._leave_task(loop, task)  # while its loop is the running one: 3.14 checks
    events._set_running_loop(None)
    try:
        yield
    finally:
        events._set_running_loop(loop)
        if task is not None:
            tasks._enter_task(loop, task)


class _Watch:
    """Sees that a loop has been in one step for too long, and throws into that step.

    Only into the program's code: an exception thrown into the loop's own would leave it
    in pieces. Once a step has been condemned the program is over, and what is left to
    clear up gets less time.
    """

    def __init__(self, loop: LabLoop, limit: float, border: FrameType) -> None:
        self._loop = loop
        self._limit = self._patience = limit
        self._border = border.f_code
        self._throws = 0
        self.touch()

    def attend(self, loop: LabLoop) -> None:
        """Watch another loop from now on."""
        self._loop = loop
        self._patience = self._limit
        self.touch()

    def touch(self) -> None:
        """Count from now."""
        self._throws = 0
        self._step = self._loop.steps
        self._since = self._program_time()

    def overdue(self, frame: FrameType | None) -> bool:
        """Whether the step that ran at the last look still runs, past its limit."""
        if self._loop.steps != self._step or not self.in_program(frame):
            self.touch()
        return self._program_time() - self._since > self._patience

    def _program_time(self) -> float:
        return time.monotonic() - self._loop.aside

    def in_program(self, frame: FrameType | None) -> bool:
        """Whether the program runs, not the loop around it: it is the one further in."""
        while frame is not None and frame.f_code is not self._border:
            if frame.f_code in _PROGRAM:
                return True
            if frame.f_code.co_filename in _WEAK:
                return False  # a callback that cannot fail: Python would print it
            frame = frame.f_back
        return False

    def swallows(self) -> bool:
        """Whether throwing has been of no avail."""
        self._throws += 1
        return self._throws > _MANY_THROWS

    def condemn(self, frame: FrameType | None) -> str:
        """Let the loop run nothing more, and say where it was kept busy."""
        if not self._loop.halted:
            self._loop.halt(self._reason(frame))
            self._patience = self._limit / _LOOKS
        return self._loop.halted

    def _reason(self, frame: FrameType | None) -> str:
        seen = learner_frame(frame)
        where = f" at {place_of(seen.f_code, seen.f_lineno)}" if seen else ""
        return (
            f"one step kept the loop busy for more than {self._limit:g} real seconds{where} "
            f"(max_step_seconds={self._limit:g}): a blocking call or an endless loop without "
            "an await; while it lasts, no other task can run"
        )


def _pauses() -> Iterator[float]:
    """Yield times to wait before throwing again into a step that swallows what is thrown.

    ``while True`` round a ``try`` is left only from the few instructions outside of the
    ``try``, which run microseconds after a throw: so the next one must come as soon, and
    unevenly, or it misses them every time. The golden ratio spreads them.
    """
    spread = 0.0
    while True:
        spread = (spread + 0.618_033_988_75) % 1
        yield 1e-6 + spread * 40e-6


class _EveryLine:
    """Has every further line of the program raise, where throwing now and then is not enough.

    That ends what swallows all throws, for the ``except`` block raises too. Before 3.12
    there is no ``sys.monitoring``, and throwing has to do.
    """

    def __init__(self, watch: _Watch) -> None:
        self._watch = watch
        self._thread = threading.get_ident()
        self._tool: int | None = None

    def start(self) -> None:
        """Begin; it stops by itself when the step has ended."""
        if self._tool is None and (free := self._free_tool()) is not None:
            self._tool = free
            _monitoring.use_tool_id(free, "deadlock_lab")
            for event in _EVENTS:
                _monitoring.register_callback(free, event, self._look)
        if self._tool is not None:
            _monitoring.set_events(self._tool, sum(_EVENTS))

    def _free_tool(self) -> int | None:
        return next((n for n in range(6) if _EVENTS and _monitoring.get_tool(n) is None), None)

    def _look(self, *_: object) -> None:
        if threading.get_ident() == self._thread:
            if self._watch.overdue(sys._getframe(1)):
                raise BlockedStepError(self._watch.condemn(None))
            _monitoring.set_events(self._tool, 0)

    def close(self) -> None:
        """Give the tool's number back."""
        if self._tool is not None:
            _monitoring.set_events(self._tool, 0)
            for event in _EVENTS:
                _monitoring.register_callback(self._tool, event, None)
            _monitoring.free_tool_id(self._tool)


_monitoring: Any = getattr(sys, "monitoring", None)
_EVENTS: tuple[int, ...] = ()
if _monitoring:
    _EVENTS = (
        _monitoring.events.LINE,
        _monitoring.events.JUMP,
        _monitoring.events.PY_START,
    )


_watches: dict[int, list[_Watch]] = {}  # by thread; the last one of a thread is at work


@contextmanager
def watched(loop: LabLoop, limit: float) -> Iterator["_Watch"]:
    """Stop a step that takes more than ``limit`` real seconds.

    What is yielded can be told to ``attend`` another loop, one after the other.

    On the main thread by a signal, which also ends a blocking call; elsewhere (and
    on Windows) from a second thread, which can only end a loop of Python code.
    """
    watch = _Watch(loop, limit, border=sys._getframe(2))
    mine = _watches.setdefault(threading.get_ident(), [])
    mine.append(watch)
    main = threading.current_thread() is threading.main_thread()
    by = _by_signal if main and hasattr(signal, "setitimer") else _by_thread
    try:
        with by(watch, limit / _LOOKS):
            yield watch
    finally:
        mine.pop()
        if mine:
            mine[-1].touch()  # the time of a nested run is not the outer step's fault
        else:
            del _watches[threading.get_ident()]


@contextmanager
def _by_signal(watch: _Watch, pause: float) -> Iterator[None]:
    pauses = _pauses()
    lines = _EveryLine(watch)

    looking = False  # the next signal may come while this one is handled

    def look(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        nonlocal looking
        if looking or not watch.overdue(frame):
            return
        looking = True
        try:
            reason = watch.condemn(frame)
            if watch.swallows():
                lines.start()
            signal.setitimer(signal.ITIMER_REAL, next(pauses), pause)
        finally:
            looking = False
        raise BlockedStepError(reason)

    handler = signal.signal(signal.SIGALRM, look)
    before = signal.setitimer(signal.ITIMER_REAL, pause, pause)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)
        signal.signal(signal.SIGALRM, handler)
        lines.close()


@contextmanager
def _by_thread(watch: _Watch, pause: float) -> Iterator[None]:
    over = threading.Event()
    target = threading.get_ident()
    lines = _EveryLine(watch)

    def look() -> None:
        pauses = _pauses()
        wait = pause
        while not over.wait(wait):
            frame = sys._current_frames().get(target)
            wait = pause
            if watch.overdue(frame):
                watch.condemn(frame)
                _throw(target, BlockedStepError)
                wait = next(pauses)
                if watch.swallows():
                    lines.start()

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
        _catch_up(target)
        lines.close()


def _throw(thread: int, error: type[BaseException]) -> None:
    argument = ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), argument)


def _catch_up(thread: int) -> None:
    """Take what was thrown at this thread and may not have come yet.

    To throw nothing would take it back, but leave Python in the belief that something is
    on its way: each turn of its loop is slower then, and on 3.11 ``sys.settrace`` hangs.
    """
    with suppress(BlockedStepError):
        _throw(thread, BlockedStepError)  # in place of what is on its way
        for _ in range(1_000):
            pass  # it comes in between
