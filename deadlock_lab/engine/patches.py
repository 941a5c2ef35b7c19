"""What is changed in the standard library while a run lasts, and only then.

asyncio does not record who holds a lock, and threads start without asking the loop.
Both are seen by small patches that act on our own loop alone: a program on another
loop, in this thread or another, is served as if they were not there.
"""

import asyncio
import functools
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from .errors import NotModelledError
from .loop import LabLoop
from .patching import Patches
from .recorder import RecordingLoop
from .tasks import wakes

__all__ = ["confined", "patched"]


@contextmanager
def patched() -> Iterator[None]:
    """Have everything changed that a recorded run needs while the body runs it."""
    with confined(), _RECORDED:
        yield


@contextmanager
def confined() -> Iterator[None]:
    """Have a run keep to its virtual clock, and to the order in which it is told things."""
    with _CONFINED:
        yield


def _refuse(what: str, instead: str) -> Callable[[Any], Any]:
    def make(original: Any) -> Any:
        def checked(*args: Any, **kwargs: Any) -> Any:
            if isinstance(asyncio._get_running_loop(), LabLoop):
                raise NotModelledError(
                    f"the program {what}, which a virtual clock cannot model; {instead}, or "
                    "run it on a real loop with asyncio.run()"
                )
            return original(*args, **kwargs)

        return checked

    return make


class _Watched:
    """Stands in for an attribute of asyncio's locks, and tells the recorder of each change.

    The value stays where it always was, in the instance's ``__dict__``: locks made
    before the run are watched too, and are untouched after it.
    """

    def __init__(self, name: str, seen: Callable[[RecordingLoop, Any, Any, Any], None]) -> None:
        self._name = name
        self._seen = seen

    def __get__(self, thing: Any, owner: type) -> Any:
        return self if thing is None else thing.__dict__[self._name]

    def __set__(self, thing: Any, value: Any) -> None:
        before = thing.__dict__.get(self._name)
        thing.__dict__[self._name] = value
        loop = asyncio._get_running_loop()
        if before is not None and isinstance(loop, RecordingLoop):
            self._seen(loop, thing, before, value)


def _lock_changed(loop: RecordingLoop, lock: Any, before: bool, locked: bool) -> None:
    if locked and not before:
        loop.acquired(lock, asyncio.current_task(loop))
    elif before and not locked:
        loop.released(lock, asyncio.current_task(loop))


def _permits_changed(loop: RecordingLoop, semaphore: Any, before: int, value: int) -> None:
    task = asyncio.current_task(loop)
    if value > before:
        loop.released(semaphore, task)
    elif value < before:
        # release() takes the permit again at once on behalf of the first who waits.
        frame = sys._getframe(2)
        handed_on = frame.f_code.co_name == "_wake_up_next"
        loop.acquired(semaphore, _waiter_of(frame) if handed_on else task)


def _waiter_of(frame: FrameType) -> asyncio.Task[Any] | None:
    future = frame.f_locals.get("fut")
    callbacks = getattr(future, "_callbacks", None) or ()
    return next((task for callback, _ in callbacks if (task := wakes(callback))), None)


def _notify(original: Any) -> Any:
    @functools.wraps(original)
    def notify(self: Any, n: int = 1) -> None:
        heard = any(not future.done() for future in self._waiters)
        original(self, n)
        _tell(self, heard=heard)

    return notify


def _clear(original: Any) -> Any:
    @functools.wraps(original)
    def clear(self: Any) -> None:
        was_set = self.is_set()
        original(self)
        if was_set:
            _tell(self, heard=False)  # by those who come later

    return clear


def _tell(thing: Any, *, heard: bool) -> None:
    loop = asyncio._get_running_loop()
    if isinstance(loop, RecordingLoop):
        loop.signalled(thing, heard=heard)


def _in_order(_: Any) -> Callable[..., Any]:
    """Have ``as_completed`` start coroutines in the order in which they were given.

    It puts them into a set first, and coroutines are hashed by their address.
    """

    def unique(*given: Iterable[Any]) -> Any:
        if given and isinstance(asyncio._get_running_loop(), LabLoop):
            return dict.fromkeys(*given).keys()
        return set(*given)

    return unique


_RECORDED = Patches(
    (asyncio.Lock, "_locked", lambda _: _Watched("_locked", _lock_changed)),
    (asyncio.Semaphore, "_value", lambda _: _Watched("_value", _permits_changed)),
    (asyncio.Condition, "notify", _notify),
    (asyncio.Event, "clear", _clear),
)

_CONFINED = Patches(
    (asyncio.tasks, "set", _in_order),
    (
        threading.Thread,
        "start",
        _refuse("starts a thread", "put `await asyncio.sleep(seconds)` in place of its work"),
    ),
    (
        subprocess.Popen,
        "__init__",
        _refuse("starts a process", "put `await asyncio.sleep(seconds)` in place of its work"),
    ),
    (
        socket.socket,
        "connect",
        _refuse("connects a socket", "put `await asyncio.sleep(seconds)` in place of the call"),
    ),
)
