"""A systematic search through the orders in which the waits of a program can complete.

It begins with the natural order. From each schedule that was run come others: each of the
waits that completed, in turn, is held back until the next pending one completes, with it
or just after it. So every order can be reached, by the fewest deviations first (the idea
of bounding them is that of Musuvathi and Qadeer, "Iterative context bounding for systematic
testing of multithreaded programs", PLDI 2007, and of Emmi, Qadeer and Rakamarić,
"Delay-bounded scheduling", POPL 2011; there a thread is held back, here a wait).

Schedules that lead to the same order are followed up once. When nothing is left to follow
up, every order has been tried, and if none froze that is a proof, as far as only the
order of waits matters: not for a program with time limits, or one that reads the clock.
"""

import math
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from ..engine.schedule import Schedule
from .attempt import Attempt

__all__ = ["Systematic"]


class _Idea(NamedTuple):
    """A schedule to try: another one, with one more wait late, or later."""

    base: Mapping[int, int]
    number: int
    late: int

    def schedule(self) -> Schedule:
        return Schedule({**self.base, self.number: self.late} if self.late else self.base)


class Systematic:
    """What is still to be tried, sorted by how many waits are held back.

    Args:
        bound: how many waits may be held back in a schedule; infinity for any number.
    """

    def __init__(self, bound: float = math.inf) -> None:
        self._bound = bound
        self._levels: list[deque[_Idea]] = [deque([_Idea({}, 0, 0)])]
        self._known: set[frozenset[tuple[int, int]]] = set()
        self._followed: dict[int, int] = {}
        self._bounded = False

    def take(self, most: int) -> list[Schedule]:
        """Take schedules to try next: from each level in turn.

        A wait can often be held back without end, beside a heartbeat, say: one level
        must not keep the next from being tried.
        """
        taken: list[Schedule] = []
        while len(taken) < most and any(self._levels):
            for level in list(filter(None, self._levels))[: most - len(taken)]:
                schedule = level.popleft().schedule()
                if self._is_new(schedule):
                    taken.append(schedule)
        return taken

    def learn(self, attempt: Attempt) -> None:
        """Follow up on a schedule that was tried: hold back each of its waits a little more."""
        base = attempt.schedule.lateness
        order = hash(tuple((firing.number, firing.together) for firing in attempt.fired))
        if self._followed.get(order, math.inf) <= len(base):
            return
        self._followed[order] = len(base)
        for number, late, _ in attempt.fired:
            level = len(base) + (number not in base)
            if late > 0 and level <= self._bound:
                self._at(level).append(_Idea(base, number, late))
            self._bounded = self._bounded or (late > 0 and level > self._bound)

    def tried(self) -> float:
        """Say up to how many held-back waits every order has been tried: all, for infinity."""
        for number, level in enumerate(self._levels):
            if level:
                return number - 1
        return self._bound if self._bounded else math.inf

    def _is_new(self, schedule: Schedule) -> bool:
        key = frozenset(schedule.lateness.items())
        new = key not in self._known
        self._known.add(key)
        return new

    def _at(self, level: int) -> deque[_Idea]:
        while len(self._levels) <= level:
            self._levels.append(deque())
        return self._levels[level]
