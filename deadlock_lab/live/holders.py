"""Who holds a lock on a loop that keeps no books, and whether nobody else gives it back.

A coroutine that is suspended inside ``async with lock`` keeps the bound method
``lock.__aexit__`` on its stack, to call it on the way out. That is as good as a
record: whoever has it will give the lock back, and nobody else. Where a watch saw who
took a lock by ``acquire()``, its holder is known, but it may be given back by anybody,
unless the holder's own code calls ``release()`` further down.
"""

import asyncio
import dis
import functools
import gc
import itertools
import sys
from collections.abc import Iterable, Iterator
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any

from ..engine.holding import taken

__all__ = ["all_known", "held", "will_release"]

Link = tuple[object, FrameType]
_OWN = frozenset({asyncio.Lock, asyncio.Semaphore, asyncio.BoundedSemaphore})
_AEXIT: Any = asyncio.Lock.__aexit__


def held(chain: Iterable[Link]) -> list[Any]:
    """List the locks and permits that a suspended task gives back when it goes on.

    Args:
        chain: the coroutines that the task is made of, with their frames.

    Returns:
        Each lock or semaphore, as often as it is held. One whose holder also calls
        ``release()`` itself is left out if it was not seen: it may be free by now.
    """
    found: list[Any] = []
    for link, frame in chain:
        known = "release" not in frame.f_code.co_names
        found += (lock for lock in _to_exit(link) if known or taken(lock))
        _take_back(frame, found)
    return found


def _to_exit(link: object) -> Iterator[Any]:
    """Yield what a coroutine is inside of, or about to enter, by ``async with``."""
    before: object = None
    for thing in gc.get_referents(link):
        owner: Any = None
        if isinstance(thing, MethodType) and thing.__func__ is _AEXIT:
            owner = thing.__self__
        elif isinstance(before, FunctionType) and before is _AEXIT:
            owner = thing  # since 3.14 the method and its object lie side by side
        before = thing
        if type(lock := getattr(owner, "_lock", owner)) in _OWN:  # a Condition has one
            yield lock


def _take_back(frame: FrameType, found: list[Any]) -> None:
    """Take off what is not held after all: still being entered, or lent by a condition."""
    name = frame.f_code.co_qualname
    if name not in _NOT_HELD or "self" not in frame.f_locals:
        return
    thing = frame.f_locals["self"]
    lock = getattr(thing, "_lock", thing)
    while lock in found:
        found.remove(lock)
        if name != "Condition.wait":
            break


_NOT_HELD = frozenset({"_ContextManagerMixin.__aenter__", "Condition.wait"})


def all_known(lock: Any, holders: int, permits: int | None) -> bool:
    """Whether these are all who hold a lock, or all the permits of a semaphore."""
    if isinstance(lock, asyncio.Lock):
        return bool(lock.locked()) and holders == 1
    return lock._value == 0 and holders == (permits or getattr(lock, "_bound_value", None))


def will_release(frame: FrameType, lock: object) -> bool:
    """Whether the code of a suspended frame calls ``lock.release()`` further down.

    To hand ``lock.release`` on to somebody, and to have called it, is not that.
    """
    return any(
        offset > frame.f_lasti and _named(frame, name) is lock
        for offset, name in _releases(frame.f_code)
    )


@functools.lru_cache(maxsize=1024)
def _releases(code: CodeType) -> tuple[tuple[int, str], ...]:
    """List where code calls ``release()``, each with the last name of what it is called of."""
    return tuple(
        (step.offset, owner.argval[-1] if isinstance(owner.argval, tuple) else owner.argval)
        for owner, step in itertools.pairwise(dis.get_instructions(code))
        if step.argval == "release" and _is_of_a_call(step)
    )


def _is_of_a_call(step: dis.Instruction) -> bool:
    return step.opname == "LOAD_METHOD" or (
        sys.version_info >= (3, 12) and step.opname == "LOAD_ATTR" and bool((step.arg or 0) & 1)
    )


def _named(frame: FrameType, name: object) -> object:
    """Give what code calls by a name: a variable, or an attribute of one."""
    for names in (frame.f_locals, frame.f_globals):
        if name in names:
            return names[name]
    owners = (getattr(value, "__dict__", {}) for value in frame.f_locals.values())
    return next((own[name] for own in owners if name in own), None)
