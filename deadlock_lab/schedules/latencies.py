"""Random latencies: each wait takes as long as written, or some times as long."""

import random
from collections.abc import Callable
from typing import NamedTuple

from ..engine.schedule import purpose

__all__ = ["Latencies", "Spread"]

_NEVER = 2**61  # nanoseconds: what is set for longer is not meant to go off


class Spread(NamedTuple):
    """The bounds of how many times as long as written a wait may take."""

    least: float
    most: float


class Latencies:
    """An oracle that draws how late each wait is; an equal seed draws alike.

    Half of the waits take as long as written. The others are stretched by a factor whose
    logarithm is uniform: so a wait of 10 ms may outlast another of 500 ms, and yet most
    differ little, as they do in production.

    Args:
        spread: the bounds of the factor.
        seed: what to draw from.

    Attributes:
        lateness: what was drawn, in nanoseconds by the timer's number.
    """

    def __init__(self, spread: Spread, seed: int) -> None:
        self.lateness: dict[int, int] = {}
        self._made_of = spread, seed
        self._least, self._ratio = spread.least, spread.most / spread.least
        self._draw = random.Random(seed).random  # noqa: S311 (a search, no secret)

    def late(self, number: int, length: int, callback: Callable[..., object]) -> int:
        """Draw by how much a timer is late; see ``Oracle``. Time limits are kept to."""
        if self._draw() < 0.5 or not 0 < length < _NEVER or purpose(callback) == "timeout":
            return 0
        factor: float = self._least * self._ratio ** self._draw()
        self.lateness[number] = late = round(length * (factor - 1))
        return late

    def __reduce__(self) -> tuple[type["Latencies"], tuple[Spread, int]]:
        """Be sent as what it is made of: the state of its generator is a hundred times as heavy."""
        return Latencies, self._made_of
