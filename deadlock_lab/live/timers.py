"""What the timers and ready callbacks of a loop are going to move.

A loop does not tell what it has scheduled, but it refers to it: asyncio's in two lists,
uvloop's (whose attributes are in C) in containers that the garbage collector knows.
"""

import asyncio
import functools
import gc
from collections import deque
from collections.abc import Iterator
from contextvars import Context
from types import BuiltinMethodType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

__all__ = ["handles", "reached"]

_HANDLES = frozenset({"Handle", "TimerHandle"})
_PARTS = (list, tuple, set, frozenset, dict, deque, functools.partial)
_CLOSED = (type, ModuleType, CodeType, Context, asyncio.AbstractEventLoop, str, int, float)
_ACTS = frozenset({"cancel", "put_nowait", "release", "set", "set_exception", "set_result"})
_DEEP = 6
_MANY = 1_000


def handles(loop: Any) -> list[Any]:
    """List the callbacks that a loop is going to call: those that are ready, and timers."""
    if isinstance(loop, asyncio.BaseEventLoop):
        every: list[Any] = [*loop._ready, *loop._scheduled]  # type: ignore[attr-defined]
    else:
        kept = [thing for thing in gc.get_referents(loop) if isinstance(thing, set | deque)]
        every = [h for some in kept for h in some if type(h).__name__ in _HANDLES]
    return [handle for handle in every if not handle.cancelled()]


def reached(handle: object) -> Iterator[object]:
    """Yield the tasks, futures and locks that a callback may move.

    What it is given directly counts in any case; what its object, closure or module
    keeps, only if its code names a method that would move it, such as ``cancel``.
    """
    todo = deque((part, 0) for part in gc.get_referents(handle))
    seen: set[int] = set()
    while todo and len(seen) < _MANY:
        thing, depth = todo.popleft()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if _movable(thing):
            yield thing
        elif depth < _DEEP:
            todo.extend((part, depth + 1) for part in _parts(thing, inside=depth > 0))


def _movable(thing: object) -> bool:
    return asyncio.isfuture(thing) or isinstance(thing, asyncio.Lock | asyncio.Semaphore)


def _parts(thing: Any, *, inside: bool) -> list[Any]:
    """Say where to look further, on the way from a callback to what it acts on."""
    if isinstance(thing, BuiltinMethodType):
        return [thing.__self__]
    if isinstance(thing, MethodType):
        return [thing.__func__, thing.__self__] if _acts(thing.__func__) else []
    if isinstance(thing, FunctionType):
        return _names(thing) if _acts(thing) else []
    if isinstance(thing, _PARTS) or (inside and not isinstance(thing, _CLOSED)):
        return gc.get_referents(thing)
    return []


def _acts(function: Any) -> bool:
    code = getattr(function, "__code__", None)
    return code is None or not _ACTS.isdisjoint(code.co_names)


def _names(function: FunctionType) -> list[Any]:
    """List what the code of a function names: in its closure, and among its globals."""
    closed = [part for cell in function.__closure__ or () for part in gc.get_referents(cell)]
    names = function.__globals__
    return closed + [names[n] for n in function.__code__.co_names if n in names]
