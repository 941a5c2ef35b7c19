"""From a generous time limit down to one that real figures support.

A limit of L seconds gives a false alarm whenever a healthy call takes longer than L. So a limit for
"one false alarm in a thousand" is the 99.9 % quantile of the latencies, which nobody knows; there
is a sample of it. The sample's own quantile is too low about half the time. What can be said
without guessing at a distribution: if n calls are independent and alike, the number of them above
the true quantile is binomial, so the j-th largest of them is above it with a probability that can
be computed. `LatencyRecorder` takes the smallest that is above with the confidence wanted (S. S.
Wilks, "Determination of sample sizes for setting tolerance limits", Annals of Mathematical
Statistics 12(1), 1941; W. J. Conover, *Practical Nonparametric Statistics*, section 3.2).

Two traps. With few calls not even the largest will do: 95 % confidence of one in a thousand takes
2,995 calls, and until then the generous limit stands. And calls that were *cut off* by a limit must
count, with a latency of "longer than that": leave them out, and each tuning makes the next one
tighter, until the limit has tuned itself into an outage.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

__all__ = ["LatencyRecorder", "Proposal"]

_CUT_OFF: Final = math.inf  # it took longer than we waited; how long, nobody knows


@dataclass(frozen=True)
class Proposal:
    """A limit, and what it rests on. ``print`` says it in a sentence.

    Attributes
    ----------
    seconds
        The limit.
    false_alarm_rate
        The share of healthy calls, at most, that may take longer.
    confidence
        How sure it is that they do not exceed that share: 0.97 is wrong 3 times in 100. Zero where
        the limit rests on no figures.
    tuned
        Whether it comes from the figures; if not, it is the generous limit, or longer.
    samples
        How many calls it rests on.
    samples_needed
        How many it takes at least for this rate and confidence.
    """

    seconds: float
    false_alarm_rate: float
    confidence: float
    tuned: bool
    samples: int
    samples_needed: int

    def __str__(self) -> str:
        rate = f"{self.false_alarm_rate:.3g} of healthy calls"
        if self.tuned:
            return (
                f"{self.seconds:.3g} s: too short for at most {rate}, "
                f"{math.floor(self.confidence * 1000) / 10:g} % sure after {self.samples:,} calls"
            )
        if self.samples < self.samples_needed:
            reason = f"{self.samples:,} calls of the {self.samples_needed:,} it takes"
        else:
            reason = "too many of the calls were cut off to tell how long they would have taken"
        return f"{self.seconds:.3g} s, not tuned to {rate}: {reason}"


class LatencyRecorder:
    """Record how long calls take, and propose a limit for a wanted rate of false alarms.

    Only the last calls are kept, so memory is bounded and a proposal follows a service that
    changes. Calls should be alike: keep a recorder for each kind.

    Parameters
    ----------
    generous
        The limit in seconds to start with, and to stay with while there is too little to go by.
    keep
        How many calls to keep: 10,000 are enough for a rate of 0.0003 at 95 % confidence.

    Raises
    ------
    TypeError, ValueError
        If an argument makes no sense.

    >>> recorder = LatencyRecorder(generous=30)
    >>> for milliseconds in range(1, 101):
    ...     recorder.record(milliseconds / 1000)
    >>> print(recorder.propose(0.05))
    0.099 s: too short for at most 0.05 of healthy calls, 96.2 % sure after 100 calls
    >>> print(recorder.propose(0.001))
    30 s, not tuned to 0.001 of healthy calls: 100 calls of the 2,995 it takes
    """

    def __init__(self, *, generous: float, keep: int = 10_000) -> None:
        _check_seconds("generous", generous)
        if isinstance(keep, bool) or not isinstance(keep, int):
            raise TypeError(f"keep must be a number of calls; got {keep!r}")
        if keep < 1:
            raise ValueError(f"keep must be 1 or more calls; got {keep!r}")
        self.generous = float(generous)
        self._latencies: deque[float] = deque(maxlen=keep)

    def __len__(self) -> int:
        return len(self._latencies)

    def record(self, seconds: float) -> None:
        """Record a call that ended by itself.

        Parameters
        ----------
        seconds
            How long it took.
        """
        _check_seconds("seconds", seconds)
        self._latencies.append(float(seconds))

    def record_cut_off(self) -> None:
        """Record a call that a limit cut off: how long it would have taken, nobody knows."""
        self._latencies.append(_CUT_OFF)

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Time the block and record it, by the running loop's clock if there is one.

        A block that raises TimeoutError counts as cut off. What fails otherwise, or is cancelled,
        says nothing about how long a healthy call takes and is not recorded.

        >>> recorder = LatencyRecorder(generous=30)
        >>> async def main():
        ...     with recorder.measure():
        ...         await asyncio.sleep(0.001)
        >>> asyncio.run(main())
        >>> len(recorder)
        1
        """
        clock = _clock()
        begin = clock()
        try:
            yield
        except TimeoutError:
            self.record_cut_off()
            raise
        self.record(clock() - begin)

    def propose(self, false_alarm_rate: float, *, confidence: float = 0.95) -> Proposal:
        """Propose a limit that at most this share of healthy calls would exceed.

        Parameters
        ----------
        false_alarm_rate
            Between 0 and 1: 0.001 is one call in a thousand.
        confidence
            How sure to be, between 0 and 1.

        Returns
        -------
        The smallest limit which the figures support. Where they support none, the generous one, or
        the longest call so far if that took longer.

        Raises
        ------
        TypeError, ValueError
            If an argument is not a number between 0 and 1.
        """
        _check_share("false_alarm_rate", false_alarm_rate)
        _check_share("confidence", confidence)
        samples = len(self._latencies)
        needed = math.ceil(math.log1p(-confidence) / math.log1p(-false_alarm_rate))
        above, sure = _order(samples, false_alarm_rate, confidence)
        seconds = sorted(self._latencies)[samples - above] if above else _CUT_OFF
        tuned = seconds != _CUT_OFF
        if not tuned:
            known = [latency for latency in self._latencies if latency != _CUT_OFF]
            seconds, sure = max([self.generous, *known]), 0.0
        return Proposal(seconds, false_alarm_rate, sure, tuned, samples, needed)


def _order(samples: int, rate: float, confidence: float) -> tuple[int, float]:
    """Return the largest j for which the j-th largest sample is above the quantile, and how surely.

    The j-th largest is above it if at least j of the samples are; their number is binomial. Zero if
    not even the largest is, with the confidence wanted.
    """
    best = (0, 0.0)
    fewer = 0.0  # the probability that fewer than j samples are above
    for j in range(1, samples + 1):
        fewer += _binomial(samples, rate, j - 1)
        if 1 - fewer < confidence:
            break
        best = (j, 1 - fewer)
    return best


def _binomial(trials: int, rate: float, hits: int) -> float:
    # By logarithms: for thousands of trials the plain product underflows.
    return math.exp(
        math.lgamma(trials + 1)
        - math.lgamma(hits + 1)
        - math.lgamma(trials - hits + 1)
        + hits * math.log(rate)
        + (trials - hits) * math.log1p(-rate)
    )


def _clock() -> Callable[[], float]:
    try:
        return asyncio.get_running_loop().time
    except RuntimeError:
        return time.monotonic


def _check_seconds(role: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(
            f"{role} must be a number of seconds; got {value!r} ({type(value).__name__})"
        )
    if not 0 <= value < math.inf:
        raise ValueError(f"{role} must be 0 or more seconds, and finite; got {value!r}")


def _check_share(role: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{role} must be a number; got {value!r} ({type(value).__name__})")
    if not 0 < value < 1:
        raise ValueError(f"{role} must be between 0 and 1; got {value!r}")
