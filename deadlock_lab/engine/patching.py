"""Changing the standard library for as long as somebody needs it, and no longer."""

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Patches"]

_ABSENT = object()
Change = tuple[Any, str, Callable[[Any], Any]]
"""A class or module, the name of what is replaced there, and what makes the new out of the old."""


class Patches:
    """Changes that the first of several users puts on, and the last takes off.

    Args:
        changes: what is changed.
    """

    # Reentrant: a user may be collected, and so leave, at any moment.
    _lock = threading.RLock()

    def __init__(self, *changes: Change) -> None:
        self._changes = changes
        self._originals: list[Any] = []
        self.users = 0

    def __enter__(self) -> None:
        self.join()

    def __exit__(self, *_: object) -> None:
        self.leave()

    def join(self) -> None:
        """Have the changes on from now on. May be called from any thread."""
        with self._lock:
            self.users += 1
            if self.users == 1:
                self._put_on()

    def leave(self) -> None:
        """Have no more need of the changes. May be called from any thread."""
        with self._lock:
            self.users -= 1
            if self.users == 0:
                self._take_off()

    def _put_on(self) -> None:
        for owner, name, make in self._changes:
            original = owner.__dict__.get(name, _ABSENT)
            self._originals.append(original)
            inherited = getattr(owner, name, None) if original is _ABSENT else original
            setattr(owner, name, make(inherited))

    def _take_off(self) -> None:
        for owner, name, _ in reversed(self._changes):
            original = self._originals.pop()
            if original is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
