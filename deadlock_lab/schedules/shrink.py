"""Making a schedule that freezes small: few late waits, none later than it takes.

What is not needed is left out by halves and smaller parts (Zeller and Hildebrandt,
"Simplifying and isolating failure-inducing input", IEEE TSE 2002). As that may end in a
set that is small but not the smallest, the schedules with fewer late waits are searched
too, for a while.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..engine.schedule import Schedule
from .attempt import Attempt
from .systematic import Systematic

__all__ = ["shrink"]

_SEARCHED = 300  # schedules
_PUSHES = 100  # steps by which one wait is held back

Try = Callable[[Sequence[Schedule]], list[Attempt]]


class _Shrinking(NamedTuple):
    attempt: Try
    seed: int

    def freezes(self, lateness: dict[int, int]) -> Schedule | None:
        """Return the schedule, with what the attempt really asked of it, if it freezes."""
        [done] = self.attempt([Schedule(lateness, self.seed)])
        return done.schedule if done.freezes else None

    def fewer(self, schedule: Schedule) -> Schedule:
        """Leave out parts, in ever finer cuts, for as long as it freezes without them."""
        cuts = 2
        while schedule.lateness:
            waits = sorted(schedule.lateness.items())
            size = max(1, len(waits) // cuts)
            parts = [waits[i : i + size] for i in range(0, len(waits), size)]
            rests = ([w for w in waits if w not in part] for part in parts)
            smaller = next((s for rest in rests if (s := self.freezes(dict(rest)))), None)
            if smaller is None and size == 1:
                break
            schedule, cuts = (smaller, 2) if smaller else (schedule, cuts * 2)
        return schedule

    def fewest(self, schedule: Schedule, tried: float) -> Schedule:
        """Look for one with fewer late waits; up to ``tried`` of them is known to be in vain."""
        most = len(schedule.lateness) - 1
        if most <= tried:
            return schedule
        search = Systematic(bound=most)
        for _ in range(_SEARCHED):
            wave = search.take(1)
            for done in self.attempt([Schedule(s.lateness, self.seed) for s in wave]):
                if done.freezes:
                    return done.schedule
                search.learn(done)
        return schedule

    def earliest(self, schedule: Schedule) -> Schedule:
        """Hold each wait back only until it first freezes."""
        for number in sorted(schedule.lateness):
            schedule = self._pushed(schedule, number)
        return schedule

    def _pushed(self, schedule: Schedule, number: int) -> Schedule:
        lateness = {n: late for n, late in schedule.lateness.items() if n != number}
        for _ in range(_PUSHES):
            [done] = self.attempt([Schedule(lateness, self.seed)])
            late = next((f.late for f in done.fired if f.number == number), -1)
            if done.freezes or not lateness.get(number, 0) < late < schedule.lateness[number]:
                return done.schedule if done.freezes else schedule
            lateness[number] = late
        return schedule


def shrink(schedule: Schedule, attempt: Try, *, tried: float) -> Schedule:
    """Make a schedule that freezes as small as may be.

    Args:
        schedule: it freezes.
        attempt: runs the program under each of some schedules, and listens.
        tried: up to how many late waits all schedules have been tried without a freeze.

    Returns:
        A schedule that freezes too.
    """
    if attempt([Schedule(schedule.lateness)])[0].freezes:
        schedule = Schedule(schedule.lateness)  # the seed is of no matter
    shrinking = _Shrinking(attempt, schedule.seed)
    fewest = shrinking.fewest(shrinking.fewer(schedule), tried)
    return shrinking.earliest(fewest)
