"""How often a limit would cut off a healthy call: counted over latencies, nothing assumed.

A limit that is too short ends calls that would have come back: a false alarm. One that is
too long leaves the caller with a frozen call for as long. Latencies here are samples, and the
rate is the share of them that takes longer than the limit (the empirical distribution).
"""

import functools
import math
import random
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .programs import A_DAY

__all__ = ["LATENCIES", "OWN", "Latencies"]

OWN = "your own"
"""What a learner's own figures are called."""
_DRAWN = 10_000
_CORNERS = 200
_SHORTEST = 0.001

LATENCIES: Mapping[str, Callable[[random.Random], float]] = {
    "steady": lambda rng: rng.gauss(0.45, 0.06),
    "spread": lambda rng: rng.lognormvariate(math.log(0.4), 0.5),
    "heavy tail": lambda rng: 0.25 * rng.paretovariate(1.5),
}
"""Services by how long their healthy calls take, in seconds: normal, log-normal, Pareto."""


@dataclass(frozen=True)
class Latencies:
    """How long the calls of a healthy service took.

    Attributes:
        name: what they are called.
        seconds: a latency for each call, sorted.
    """

    name: str
    seconds: tuple[float, ...]

    @classmethod
    def of(cls, given: str | Iterable[float]) -> "Latencies":
        """Draw latencies of a named service, the same ones every time, or take measured ones.

        Args:
            given: a name in ``LATENCIES``, or how long calls took, in seconds.

        Returns:
            10,000 of them for a name.

        Raises:
            ValueError: the name is not known, or there are no figures, or one is no latency.

        >>> Latencies.of([0.3, 0.1]).seconds
        (0.1, 0.3)
        """
        if isinstance(given, str):
            return _drawn(given)
        seconds = sorted(map(float, given))
        if not seconds:
            raise ValueError("latencies are empty: give how long some calls took, in seconds")
        if bad := [value for value in seconds if not 0 <= value <= A_DAY]:
            raise ValueError(f"latencies must be from 0 seconds to a day; got {bad[0]!r}")
        return cls(OWN, tuple(seconds))

    def false_alarms(self, limit: float) -> float:
        """Give the share of the calls that take longer than a limit (in seconds).

        >>> Latencies("three", (0.1, 0.2, 0.3)).false_alarms(0.2)
        0.3333333333333333
        """
        return self._cut_off(limit) / len(self.seconds)

    def _cut_off(self, limit: float) -> int:
        return len(self.seconds) - bisect_right(self.seconds, limit)

    def corners(self, longest: float) -> list[tuple[float, float]]:
        """Give the curve of the false alarms up to a limit: a staircase, by its corners.

        Args:
            longest: where the curve ends, in seconds.

        Returns:
            Limits with their rates, at most about 200: of more calls, evenly many are passed over.

        >>> Latencies("two", (0.5, 1.5)).corners(2.0)
        [(0.0, 1.0), (0.5, 0.5), (1.5, 0.0), (2.0, 0.0)]
        """
        every = math.ceil(len(self.seconds) / _CORNERS)
        inside = [t for t in self.seconds[every - 1 :: every] if t <= longest]
        return [(t, self.false_alarms(t)) for t in dict.fromkeys((0.0, *inside, longest))]

    def below(self, share: float) -> float:
        """Give the latency, in seconds, that this share of the calls does not exceed."""
        return self.seconds[max(0, math.ceil(share * len(self.seconds)) - 1)]

    def tell(self, limit: float) -> str:
        """Say what a limit (in seconds) does to the healthy calls.

        >>> print(Latencies.of("spread").tell(0.6))
        A limit of 0.6 s gives up 2,063 of these 10,000 healthy calls: 20.6 % false alarms.
        """
        cut, total = self._cut_off(limit), len(self.seconds)
        share = f"{100 * cut / total:.3g} % false alarms" if cut else "no false alarm"
        return f"A limit of {limit:g} s gives up {cut:,} of these {total:,} healthy calls: {share}."


@functools.cache
def _drawn(name: str) -> Latencies:
    if name not in LATENCIES:
        raise ValueError(f"latencies must be one of {[*LATENCIES]} or figures; got {name!r}")
    rng = random.Random(name)  # noqa: S311 — a service to look at, no secret
    draw = LATENCIES[name]
    return Latencies(name, tuple(sorted(max(_SHORTEST, draw(rng)) for _ in range(_DRAWN))))
