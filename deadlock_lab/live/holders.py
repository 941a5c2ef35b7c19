"""Who holds a lock on a loop that keeps no books: read off the pending ``async with``.

A coroutine that is suspended inside ``async with lock`` keeps the bound method
``lock.__aexit__`` on its stack, to call it on the way out. That is as good as a
record: whoever has it will give the lock back, and nobody else.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterable, Iterator
from types import FrameType, FunctionType, MethodType
from typing import Any

__all__ = ["all_known", "held"]

Link = tuple[object, FrameType]
_OWN = frozenset({asyncio.Lock, asyncio.Semaphore, asyncio.BoundedSemaphore})
_AEXIT: Any = asyncio.Lock.__aexit__


def held(chain: Iterable[Link]) -> list[Any]:
    """List the locks and permits that a suspended task gives back when it goes on.

    Args:
        chain: the coroutines that the task is made of, with their frames.

    Returns:
        Each lock or semaphore, as often as it is held. One whose holder also calls
        ``release()`` itself is left out: it may be free by now.
    """
    taken: list[Any] = []
    for link, frame in chain:
        if "release" not in frame.f_code.co_names:
            taken += _to_exit(link)
        _take_back(frame, taken)
    return taken


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


def _take_back(frame: FrameType, taken: list[Any]) -> None:
    """Take off what is not held after all: still being entered, or lent by a condition."""
    name = frame.f_code.co_qualname
    if name not in _NOT_HELD or "self" not in frame.f_locals:
        return
    thing = frame.f_locals["self"]
    lock = getattr(thing, "_lock", thing)
    while lock in taken:
        taken.remove(lock)
        if name != "Condition.wait":
            break


_NOT_HELD = frozenset({"_ContextManagerMixin.__aenter__", "Condition.wait"})


def all_known(lock: Any, owners: Counter[int]) -> bool:
    """Whether these are all who hold a lock, or all the permits of a semaphore."""
    if not lock.locked():
        return False
    if isinstance(lock, asyncio.Lock):
        return owners.total() == 1
    permits: int | None = getattr(lock, "_bound_value", None)
    return lock._value == 0 and owners.total() == permits
