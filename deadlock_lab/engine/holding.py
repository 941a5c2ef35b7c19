"""Who holds a lock or a permit on a loop that is not recorded, noted as it is taken.

asyncio does not record it. While ``HOLDING`` is on, ``acquire`` notes it in the lock
itself, so there is no table to share between threads, to search or to clean. Nothing is
noted when a lock is given back, for ``locked()`` tells that; so it costs little, less than
to see every change as a run does.
"""

import asyncio
import functools
import sys
from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import ReferenceType, ref

from .patching import Patches

__all__ = ["HOLDING", "Taken", "taken"]

Task = asyncio.Task[Any]
Noted = tuple[object, list[Any] | None, int | None]


class Taken(NamedTuple):
    """Who holds a lock or permits, as it was noted.

    Attributes:
        tasks: the holders, one with several permits as often; None for one that is gone, and
            for code outside of tasks.
        permits: how many there are to hold; None where that is not known.
    """

    tasks: tuple[Task | None, ...]
    permits: int | None


def taken(thing: Any) -> Taken | None:
    """Give what was noted of who holds a lock or a semaphore.

    Args:
        thing: the lock, or the semaphore.

    Returns:
        Its holders. None where it was taken while ``HOLDING`` was off, or where somebody
        gave a permit back that others had taken.
    """
    epoch, noted, permits = thing.__dict__.get("_taken") or _NOTHING
    if epoch is not _epoch or not HOLDING.users:
        return None
    if isinstance(thing, asyncio.Lock):
        return Taken((_task(noted),), 1) if thing.locked() else None
    return None if noted is None else Taken(tuple(map(_task, noted)), permits)


_NOTHING = (None, None, None)
_epoch = object()  # what was noted in an earlier one may have changed unseen


def _task(reference: ReferenceType[Task] | None) -> Task | None:
    return reference() if reference else None


def _notes_lock(original: Callable[..., Any]) -> Callable[..., Any]:
    global _epoch
    _epoch = epoch = object()

    @functools.wraps(original)
    async def noting_acquire(self: Any) -> Any:
        got = await original(self)
        try:  # as _here(), but this is where a watch costs most
            self._taken = epoch, ref(_task_of(_running())), 1
        except (RuntimeError, TypeError):
            self._taken = epoch, None, 1
        return got

    return noting_acquire


def _notes_permit(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def noting_acquire(self: Any) -> Any:
        got = await original(self)
        _, holders, _ = _noted(self)
        if holders is not None:
            holders.append(_here())
        return got

    return noting_acquire


def _notes_number(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def init(self: Any, value: int = 1) -> None:
        original(self, value)
        self._taken = _epoch, [], value

    return init


def _notes_return(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def release(self: Any) -> None:
        epoch, holders, permits = _noted(self)
        out = None if permits is None else permits - self._value
        original(self)
        if self._value == permits:
            self._taken = epoch, [], permits
        elif holders is not None:
            left = _given_back(holders, _here(), out)
            self._taken = epoch, left, permits

    return release


def _noted(semaphore: Any) -> Noted:
    """Give what is noted of a semaphore, begun afresh in a new epoch."""
    noted: Noted = semaphore.__dict__.get("_taken") or _NOTHING
    if noted[0] is not _epoch:
        bound: int | None = getattr(semaphore, "_bound_value", None)
        noted = semaphore._taken = (_epoch, [], bound)
    return noted


def _given_back(holders: list[Any], whose: object, out: int | None) -> list[Any] | None:
    """Say who still holds one of the permits that were out; None if that cannot be known."""
    if whose in holders:
        holders.remove(whose)
        return holders
    unseen = out is not None and out > len(holders)
    return holders if unseen else None  # it was another's


def _here() -> ReferenceType[Task] | None:
    try:
        return ref(_task_of(_running()))
    except (RuntimeError, TypeError):  # no loop runs here, or no task
        return None


_running = asyncio._get_running_loop
_task_of: Callable[[Any], Any] = (
    asyncio.current_task
    if sys.version_info >= (3, 12)
    else vars(asyncio.tasks)["_current_tasks"].get  # what current_task() asks, but slowly
)


class _Entered:
    """Has conditions find ``acquire`` at their lock: they keep the one of when they were made."""

    def __get__(self, condition: Any, owner: type) -> Any:
        return self if condition is None else condition._lock.acquire

    def __set__(self, condition: Any, acquire: object) -> None:
        condition.__dict__["acquire"] = acquire


HOLDING = Patches(
    (asyncio.Lock, "acquire", _notes_lock),
    (asyncio.Condition, "acquire", lambda _: _Entered()),
    (asyncio.Semaphore, "acquire", _notes_permit),
    (asyncio.Semaphore, "__init__", _notes_number),
    (asyncio.Semaphore, "release", _notes_return),
)
"""While this is on, locks and semaphores note who holds them."""
