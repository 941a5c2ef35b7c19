"""Two locks taken in both orders: no deadlock this time, but another timing makes it one.

This is the goodlock algorithm of Havelund ("Using Runtime Analysis to Guide Model Checking
of Java Programs", SPIN 2000), with what Bensalem and Havelund added ("Dynamic Deadlock
Analysis of Multi-threaded Programs", 2005) so that it does not cry wolf: both orders in one
task are no risk, nor are two that a common third lock (a gate) keeps apart, nor two tasks
of which one was over before the other took its locks, where that may have been awaited.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from .trace import Kind, Trace

__all__ = ["Risk", "Taken", "lock_order_risks"]

_BUDGET = 20_000  # pairs of locks held together that are looked at
_UNAWARE = frozenset({"sleep", "Lock.acquire"})  # waits that tell nobody of a task's end
_ENDS = frozenset({Kind.DONE, Kind.FAILED, Kind.CANCELLED})
_CHANGES = (Kind.ACQUIRED, Kind.RELEASED)


class Taken(NamedTuple):
    """A lock that a task took while it held another: names, and the place (an index)."""

    task: str
    held: str
    lock: str
    place: int


class Risk(NamedTuple):
    """Two locks that were taken in both orders, by two tasks.

    Attributes:
        locks: the names of the two.
        first: who took the second lock while holding the first.
        second: who took the first lock while holding the second.
    """

    locks: tuple[str, str]
    first: Taken
    second: Taken


class _Nested(NamedTuple):
    """One lock taken inside another: from when to when, in indexes of events."""

    task: int
    outer: int
    inner: int
    gates: frozenset[int]
    place: int
    start: int


def lock_order_risks(trace: Trace) -> tuple[Risk, ...]:
    """Find the pairs of locks that a run took in both orders.

    Args:
        trace: the run.

    Returns:
        A risk for each pair of locks, by the moment when its second order was seen.
    """
    lives: _Lives | None = None
    seen: dict[tuple[int, int], list[_Nested]] = {}
    found: dict[frozenset[int], Risk] = {}
    for new in itertools.islice(_nestings(trace), _BUDGET):
        pair = frozenset({new.outer, new.inner})
        for old in seen.get((new.inner, new.outer), ()):
            if pair not in found and not old.gates & new.gates:
                lives = lives or _Lives(trace)
                if lives.may_overlap(old, new):
                    found[pair] = _risk(trace, old, new)
        known = seen.setdefault((new.outer, new.inner), [])
        if len(known) < 10:  # a loop takes them over and over
            known.append(new)
    return tuple(found.values())


def _nestings(trace: Trace) -> Iterator[_Nested]:
    held: dict[int, list[int]] = {}
    changes = [(i, event) for i, event in enumerate(trace.events) if event.kind in _CHANGES]
    for index, event in changes:
        if event.task < 0 or trace.resources[event.detail].kind != "Lock":
            continue
        own = held.setdefault(event.task, [])
        if event.kind is Kind.RELEASED:
            if event.detail in own:
                own.remove(event.detail)
            continue
        for outer in own:
            gates = frozenset(own) - {outer}
            yield _Nested(event.task, outer, event.detail, gates, event.place, index)
        own.append(event.detail)


class _Lives:
    """From when to when each task lived."""

    def __init__(self, trace: Trace) -> None:
        self._born: dict[int, int] = {}
        self._ended: dict[int, int] = {}
        self._given_back: dict[tuple[int, int], list[int]] = {}
        self._waits: dict[int, list[tuple[int, str]]] = {}
        for index, event in enumerate(trace.events):
            if event.kind is Kind.CREATED:
                self._born[event.task] = index
            elif event.kind in _ENDS:
                self._ended[event.task] = index
            elif event.kind is Kind.WAITS:
                how = trace.waits[event.detail].how
                self._waits.setdefault(event.task, []).append((index, how))
            elif event.kind is Kind.RELEASED:
                self._given_back.setdefault((event.task, event.detail), []).append(index)
        self._end = len(trace.events)

    def may_overlap(self, old: _Nested, new: _Nested) -> bool:
        """Whether two tasks might have held these locks at the same time."""
        if old.task == new.task:
            return False
        return self._before_end(old, new.task) and self._before_end(new, old.task)

    def _before_end(self, nested: _Nested, other: int) -> bool:
        """Whether the other task was there before this one was through, and may not be over yet."""
        returned = self._given_back.get((nested.task, nested.outer), ())
        end = next((index for index in returned if index > nested.start), self._end)
        over = self._ended.get(other, self._end)
        at_once = over > nested.start or self._unaware(nested, over)
        return self._born[other] < end and at_once

    def _unaware(self, nested: _Nested, over: int) -> bool:
        """Whether a task took its locks without having waited for what was over before.

        It lived already, and what it has waited for since was a clock, or a lock: with
        other latencies it would have been first.
        """
        waits = [wait for wait in self._waits.get(nested.task, ()) if wait[0] < nested.start]
        before = [how for index, how in waits if index < over]
        since = [how for index, how in waits if index > over]
        return self._born[nested.task] < over and _UNAWARE.issuperset([*before[-1:], *since])


def _risk(trace: Trace, old: _Nested, new: _Nested) -> Risk:
    first, second = (
        Taken(trace.name(n.task), trace.name(~n.outer), trace.name(~n.inner), n.place)
        for n in (old, new)
    )
    return Risk((first.held, first.lock), first, second)
