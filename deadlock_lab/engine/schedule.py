"""Schedules: how much longer than written each wait of a run takes.

asyncio runs what is ready first in, first out, and programs may rely on that. What does
differ from run to run in production is how long a wait takes: an answer that comes in
10 ms comes in a second on a bad day. So a schedule names waits, by the order in which
their timers are set, and says by how much each is late. With the program it decides the
whole run, and can be replayed.

Time limits are kept to: a limit that goes off late would excuse what it is there to stop.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Oracle", "Schedule", "purpose", "seeded"]

NATURAL = "natural"
_LIMITS = frozenset({"_on_timeout", "_release_waiter", "time_is_up"})  # the last: our with_timeout


def purpose(callback: Any) -> str:
    """Say what a timer is for, from what it will call.

    >>> purpose(print)
    'print'
    """
    name = getattr(callback, "__name__", type(callback).__name__)
    if name in _LIMITS:
        return "timeout"
    return "sleep" if name == "_set_result_unless_cancelled" else str(name)


class Oracle(Protocol):
    """Whom a loop asks, as it sets a timer, by how much that is to be late."""

    @property
    def lateness(self) -> Mapping[int, int]:
        """What is answered, or has been, in virtual nanoseconds by the timer's number."""

    def late(self, number: int, length: int, callback: Callable[..., object]) -> int:
        """Say by how much a timer is late.

        Args:
            number: the timer's, in the order in which a run sets them.
            length: how long it is set for, in virtual nanoseconds.
            callback: what it will call.

        Returns:
            Virtual nanoseconds to add.
        """


@dataclass(frozen=True)
class Schedule:
    """Which waits of a run are late, and by how much.

    Attributes:
        lateness: virtual nanoseconds by the timer's number; below 0 for a wait that is early.
        seed: what ``random`` is seeded with for the run.

    >>> Schedule({3: 490_000_000, 7: 1}).token
    '3+490000000,7+1'
    >>> Schedule.parse("5/2+10")
    Schedule(lateness={2: 10}, seed=5)
    """

    lateness: Mapping[int, int] = field(default_factory=dict)
    seed: int = 0

    def late(self, number: int, length: int, callback: Callable[..., object]) -> int:  # noqa: ARG002
        """Look up by how much a timer is late; see ``Oracle``."""
        return self.lateness.get(number, 0)

    @property
    def token(self) -> str:
        """The schedule as one word, to be handed to ``lab.run(main, schedule=token)``."""
        waits = ",".join(f"{n}{late:+}" for n, late in sorted(self.lateness.items())) or NATURAL
        return f"{self.seed}/{waits}" if self.seed else waits

    @classmethod
    def parse(cls, token: str) -> "Schedule":
        """Read a token.

        Args:
            token: what ``Schedule.token`` gave.

        Raises:
            TypeError: it is not a string.
            ValueError: it cannot be read.
        """
        if not isinstance(token, str):
            raise TypeError(f"a schedule is a token, a string; this is {token!r}")
        seed, _, waits = token.strip().rpartition("/")
        try:
            pairs = [] if waits == NATURAL else [_pair(wait) for wait in waits.split(",")]
            return cls(dict(pairs), int(seed or 0))
        except ValueError:
            raise ValueError(
                f"cannot read the schedule {token!r}: it is {NATURAL!r}, or waits and by how many "
                "nanoseconds each is late, as in '3+490000000,7+1'; copy it from "
                "lab.explore(...).token"
            ) from None


def _pair(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"\s*(\d+)([+-]\d+)\s*", text)
    if found is None:
        raise ValueError(text)
    return int(found[1]), int(found[2])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed ``random`` for a run, and put it back as it was afterwards."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
