"""What the explorer shows for one position of its handles, as data that JSON takes."""

import math
from typing import Any

from .alarms import LATENCIES, OWN, Latencies
from .programs import GRACE, TIDYING, Setting
from .story import Race, lanes, tell, tell_frozen

__all__ = ["CHOICES", "STEPS", "axis", "describe", "scene"]

STEPS = 100
"""Positions of a handle on the axis."""
_SHORTEST_AXIS = 2.0

CHOICES: dict[str, dict[str, str]] = {
    "way": {
        "race": "the article's race",
        "timeout": "asyncio.timeout",
        "with_timeout": f"with_timeout, grace {GRACE:g} s",
    },
    "when_cancelled": {
        "stops": "stops at once",
        "cleans up": f"cleans up, {TIDYING:g} s",
        "carries on": "carries on",
    },
    "latencies": {name: name for name in (*LATENCIES, OWN)},
}
"""What can be chosen, and what it is called."""


def axis(setting: Setting, latencies: Latencies) -> float:
    """Choose how long the axis is, in seconds: 2 or more, with room beside what is set.

    >>> axis(Setting(1, 0.6), Latencies.of("spread")), axis(Setting(1, 30), Latencies.of([0.1]))
    (2.0, 50.0)
    """
    most = max(_SHORTEST_AXIS, 1.2 * setting.operation, 1.2 * setting.limit)
    if latencies.name == OWN:
        most = max(most, latencies.below(0.99))
    unit: float = 10 ** math.floor(math.log10(most))
    return float(next(n * unit for n in (1, 2, 3, 5, 10) if n * unit >= most))


def scene(race: Race, latencies: Latencies, longest: float) -> dict[str, Any]:
    """Put together what is shown.

    Args:
        race: the race that was run.
        latencies: the calls to count false alarms over.
        longest: the end of the axis, in seconds.

    Returns:
        A dict of plain data; times in virtual seconds.
    """
    limit = race.setting.limit
    return {
        "operation": race.setting.operation,
        "limit": limit,
        "longest": longest,
        "step": longest / STEPS,
        "lanes": [
            {
                "name": lane.name,
                "note": lane.note,
                "stretches": [[s.start / 1e9, s.end / 1e9, s.state] for s in lane.stretches],
            }
            for lane in lanes(race)
        ],
        "asked": None if race.asked is None else race.asked / 1e9,
        "story": tell(race),
        "alarms": latencies.tell(limit),
        "frozen": tell_frozen(race),
        "rate": latencies.false_alarms(limit),
        "curve": latencies.corners(longest),
    }


def describe(race: Race, latencies: Latencies) -> str:
    """Say all that is shown in words."""
    at = race.setting
    way = CHOICES["way"][at.way]
    kind = "healthy calls" if latencies.name == OWN else f"healthy calls ({latencies.name})"
    return "\n".join(
        (
            f"An operation of {at.operation:g} s against a limit of {at.limit:g} s: {way}; "
            f"when cancelled, the operation {CHOICES['when_cancelled'][at.when_cancelled]}.",
            tell(race),
            latencies.tell(at.limit).replace("healthy calls", kind),
            tell_frozen(race),
        )
    )
