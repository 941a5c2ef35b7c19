"""What kind of deadlock it is, in the field's words, and how to break it.

Coffman, Elphick and Shoshani ("System Deadlocks", ACM Computing Surveys 1971) name the
four things a deadlock of resources needs; asyncio adds its own kinds, where what is
missing is not a lock but somebody who would set, put or notify. A kind is read off the
cycle, or off what a lone task waits for. Where that rests on a guess, it is said to.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from .graph import OWNED, WaitGraph
from .loop import seconds
from .trace import Kind, Trace
from .words import listed

__all__ = ["Clues", "DeadlockKind", "Diagnosis", "Doubt", "diagnose"]


_MANY = 4  # names that are written out


class DeadlockKind(StrEnum):
    """The name of a kind of deadlock."""

    AWAIT_CYCLE = "await cycle"
    SELF_AWAIT = "self-await"
    SINGLE_FLIGHT = "single-flight cycle"
    LOCK_ORDER = "lock ordering"
    LOCK_REENTRY = "lock re-entry"
    POOL = "hold-and-wait on permits (pool exhaustion)"
    HOLD_AND_WAIT = "hold-and-wait"
    FULL_QUEUE = "full-queue cycle"
    SIGNAL_CYCLE = "circular wait for a signal"
    JOIN = "Queue.join without task_done"
    DEAD_PRODUCER = "dead producer"
    DEAD_CONSUMER = "dead consumer"
    LOST_WAKE_UP = "lost wake-up"
    LEAKED_LOCK = "leaked lock"
    ORPHANED_FUTURE = "orphaned future"
    NO_SIGNAL = "missing signal"
    SYNC_OVER_ASYNC = "sync-over-async"

    __repr__ = str.__repr__  # it is read in notebooks


class Diagnosis(NamedTuple):
    """What kind of deadlock some tasks are in.

    Attributes:
        kind: its name.
        members: the names of the tasks that make it up, in order of creation.
        why: one sentence on why they cannot go on.
        cure: one sentence on how to break it.
        sure: False where the kind is the likely one, but rests on a guess.
        formed: the index of the event at which the last member began to wait; or -1.
    """

    kind: DeadlockKind
    members: tuple[str, ...]
    why: str
    cure: str
    sure: bool = True
    formed: int = -1


class Doubt(NamedTuple):
    """Who looks stuck, but may go on by what cannot be foreseen.

    Attributes:
        waits: the graph, with these as its ``stuck_ids``.
        helpers: tasks that go on and may cancel some of these, or release what they wait for.
        lent: locks and semaphores that others than their holders may give back.
        diagnoses: what kind of deadlock it probably is.
    """

    waits: WaitGraph
    helpers: tuple[int, ...]
    lent: tuple[int, ...]
    diagnoses: tuple[Diagnosis, ...] = ()


class Missed(NamedTuple):
    """A signal that nobody heard: who gave it (a task, or -1), and when (nanoseconds)."""

    by: int
    time: int


@dataclass(frozen=True)
class Clues:
    """What only the live objects could tell at the end of a run, by resource index.

    Attributes:
        items: how many items a queue held.
        gone: tasks that have ended, and whose code looks as if it should have ended a wait.
        missed: the last signal of an event or a condition that nobody heard.
        shared: pairs of a task and the task it awaits, out of a mapping of tasks in flight.
        blocked: the task (or -1) whose step blocked in ``.result()``; None where none did.
    """

    items: Mapping[int, int] = field(default_factory=dict)
    gone: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    missed: Mapping[int, Missed] = field(default_factory=dict)
    shared: frozenset[tuple[int, int]] = frozenset()
    blocked: int | None = None


_WHY: Mapping[DeadlockKind, str] = {
    DeadlockKind.AWAIT_CYCLE: "each of them awaits the next, so none can be the first to end.",
    DeadlockKind.SELF_AWAIT: "{who} would have to end before it could go on.",
    DeadlockKind.SINGLE_FLIGHT: (
        "each found the other's work in flight and joined it, so none can be the first to end."
    ),
    DeadlockKind.LOCK_ORDER: "{who} took {things} in different orders.",
    DeadlockKind.LOCK_REENTRY: "{who} holds {things} already, and asyncio.Lock is not re-entrant.",
    DeadlockKind.POOL: "those who hold the permits of {things} wait for what needs one more.",
    DeadlockKind.HOLD_AND_WAIT: "{things} is kept during an await of a task that needs it.",
    DeadlockKind.FULL_QUEUE: "each puts into a full queue that only another of them would empty.",
    DeadlockKind.SIGNAL_CYCLE: "what each waits for, another of them would do after its own wait.",
    DeadlockKind.JOIN: "{things} is empty, but task_done() was not called for each item taken out.",
    DeadlockKind.DEAD_PRODUCER: "{gone}, and looks like the one to have seen to {things}.",
    DeadlockKind.DEAD_CONSUMER: "{gone}, and looks like the one to have emptied {things}.",
    DeadlockKind.LOST_WAKE_UP: "{missed}, before {who} began to wait.",
    DeadlockKind.LEAKED_LOCK: "{holders} ended without giving {things} back.",
    DeadlockKind.ORPHANED_FUTURE: "no task is left that would set {things}.",
    DeadlockKind.NO_SIGNAL: "no task is left that would end the wait for {things}.",
    DeadlockKind.SYNC_OVER_ASYNC: (
        "{who} blocks in .result() on the thread of the loop that would have to make the result."
    ),
}

_CURE: Mapping[DeadlockKind, str] = {
    DeadlockKind.AWAIT_CYCLE: "let one of them do its work without the result of the next.",
    DeadlockKind.SELF_AWAIT: "leave asyncio.current_task() out of what is awaited.",
    DeadlockKind.SINGLE_FLIGHT: (
        "before joining work in flight, ask whether it waits for you; if so, do without it."
    ),
    DeadlockKind.LOCK_ORDER: "take the locks in one order everywhere, or use one lock for both.",
    DeadlockKind.LOCK_REENTRY: "take it once, outermost, and call inner code that expects it held.",
    DeadlockKind.POOL: "hold no permit while waiting for work that needs one of the same pool.",
    DeadlockKind.HOLD_AND_WAIT: "give it back before the await.",
    DeadlockKind.FULL_QUEUE: "have a task of its own do the getting, or give one queue more room.",
    DeadlockKind.SIGNAL_CYCLE: "in one of them, give the signal before waiting for the other's.",
    DeadlockKind.JOIN: "after each get(), call task_done() in a finally.",
    DeadlockKind.DEAD_PRODUCER: "await that task too (a TaskGroup does), or signal in a finally.",
    DeadlockKind.DEAD_CONSUMER: "await that task too (a TaskGroup does), or keep consuming.",
    DeadlockKind.LOST_WAKE_UP: "keep the news in a variable and wait with Condition.wait_for().",
    DeadlockKind.LEAKED_LOCK: "take it with `async with`, which always gives it back.",
    DeadlockKind.ORPHANED_FUTURE: "see that whoever makes a future sets it, on every path.",
    DeadlockKind.NO_SIGNAL: "see that somebody gives the signal, on every path.",
    DeadlockKind.SYNC_OVER_ASYNC: "await it instead: `await asyncio.wrap_future(future)`.",
}

_GUESSES = frozenset(
    {DeadlockKind.DEAD_PRODUCER, DeadlockKind.DEAD_CONSUMER, DeadlockKind.LOST_WAKE_UP}
)
_ENDS = {Kind.DONE: "has finished", Kind.FAILED: "has failed", Kind.CANCELLED: "was cancelled"}


def diagnose(trace: Trace, graph: WaitGraph, clues: Clues) -> tuple[Diagnosis, ...]:
    """Name the kind of each cycle of stuck tasks, and of what lone stuck tasks wait for.

    Args:
        trace: what happened.
        graph: who waits for whom, with its verdict.
        clues: what the live objects told beside.

    Returns:
        The diagnoses: cycles first, then by resource. Tasks that merely wait behind
        others get none.
    """
    if not graph.stuck_ids and clues.blocked is None:
        return ()
    return tuple(_Ward(trace, graph, clues).round())


class _Ward:
    """The stuck tasks of one run, visited one after another."""

    def __init__(self, trace: Trace, graph: WaitGraph, clues: Clues) -> None:
        self.trace, self.graph, self.clues = trace, graph, clues
        self.stuck = frozenset(graph.stuck_ids)
        self.ends = {e.task: e for e in trace.events if e.kind in _ENDS}
        self.began = {e.task: i for i, e in enumerate(trace.events) if e.kind is Kind.WAITS}

    def round(self) -> Iterator[Diagnosis]:
        if self.clues.blocked is not None:
            yield self._say(DeadlockKind.SYNC_OVER_ASYNC, [self.clues.blocked])
        seen: set[int] = set()
        for loop in self.graph.loops:
            seen.update(loop)
            yield self._cycle(loop)
        for resource, tasks in sorted(self._lone(seen).items()):
            if kind := self._lone_kind(resource, tasks):
                yield self._say(kind, tasks, [resource])

    def _say(
        self,
        kind: DeadlockKind,
        tasks: Sequence[int],
        resources: Iterable[int] = (),
        *,
        sure: bool = True,
    ) -> Diagnosis:
        members = tuple(self.graph.name(t) for t in sorted(set(tasks)) if t >= 0)
        resources = list(dict.fromkeys(resources))
        first = resources[0] if resources else None
        why = _WHY[kind].format(
            who=listed(members or ["the program"], most=_MANY),
            things=listed([self.graph.name(~r) for r in resources] or ["it"], most=_MANY),
            gone=self._gone(first) if kind in _GUESSES else "",
            missed=self._missed(first),
            holders=listed(
                [self.graph.name(t) for t in self._leakers(first)] or ["a task"], most=_MANY
            ),
        )
        formed = max((self.began.get(t, -1) for t in tasks), default=-1)
        certain = sure and kind not in _GUESSES
        return Diagnosis(kind, members, why, _CURE[kind], certain, formed)

    # -- cycles ----------------------------------------------------------------------

    def _cycle(self, loop: tuple[int, ...]) -> Diagnosis:
        tasks = [n for n in loop[:-1] if n >= 0]
        things = sorted({~n for n in loop if n < 0})
        kind = self._owned_cycle(loop) if things else self._await_cycle(loop)
        return self._say(kind, tasks, things, sure=not self.graph.guessed(loop))

    def _await_cycle(self, loop: tuple[int, ...]) -> DeadlockKind:
        if len(loop) == 2:
            return DeadlockKind.SELF_AWAIT
        joined = self.clues.shared.issuperset(itertools.pairwise(loop))
        return DeadlockKind.SINGLE_FLIGHT if joined else DeadlockKind.AWAIT_CYCLE

    def _owned_cycle(self, loop: tuple[int, ...]) -> DeadlockKind:
        """Tell a cycle by the things in it."""
        kinds = {self.graph.things[~n].kind for n in loop if n < 0}
        waits = {self.graph.waiters[n].wait.how for n in loop if n >= 0}
        if not kinds <= OWNED:
            return DeadlockKind.FULL_QUEUE if waits == {"Queue.put"} else DeadlockKind.SIGNAL_CYCLE
        if kinds != {"Lock"}:
            return DeadlockKind.POOL
        if waits != {"Lock.acquire"}:
            return DeadlockKind.HOLD_AND_WAIT
        return DeadlockKind.LOCK_REENTRY if len(loop) == 3 else DeadlockKind.LOCK_ORDER

    # -- lone tasks ------------------------------------------------------------------

    def _lone(self, seen: set[int]) -> dict[int, list[int]]:
        """Give the resources at which chains of stuck tasks end, each with who waits there."""
        found: dict[int, list[int]] = {}
        for task in self.graph.stuck_ids:
            for target in self.graph.waiters[task].wait.targets:
                if target < 0 and target not in seen:
                    found.setdefault(~target, []).append(task)
        return {r: tasks for r, tasks in found.items() if self._leakers(r) or not self._behind(r)}

    def _behind(self, resource: int) -> bool:
        """Whether somebody who is stuck would see to a resource: then that is the trouble."""
        holders = self.graph.holders.get(resource, ())
        return not self.stuck.isdisjoint((*holders, *self.graph.setters.get(resource, ())))

    def _lone_kind(self, resource: int, tasks: list[int]) -> DeadlockKind | None:
        if self.graph.holders.get(resource):
            return DeadlockKind.LEAKED_LOCK if self._leakers(resource) else None
        if 0 in self.ends:
            return None  # main might have given the signal until it ended
        how = {self.graph.waiters[t].wait.how for t in tasks}
        if "Queue.join" in how and not self.clues.items.get(resource):
            return DeadlockKind.JOIN
        if resource in self.clues.missed and self.clues.missed[resource].by not in tasks:
            return DeadlockKind.LOST_WAKE_UP
        if self.clues.gone.get(resource):
            takers = how & {"Queue.put", "Queue.join"}
            return DeadlockKind.DEAD_CONSUMER if takers else DeadlockKind.DEAD_PRODUCER
        future = self.graph.things[resource].kind == "Future"
        return DeadlockKind.ORPHANED_FUTURE if future else DeadlockKind.NO_SIGNAL

    def _leakers(self, resource: int | None) -> list[int]:
        """Give the holders of a lock or permit that have ended."""
        holders = self.graph.holders.get(resource, ()) if resource is not None else ()
        return [t for t in dict.fromkeys(holders) if t in self.ends]

    def _gone(self, resource: int | None) -> str:
        tasks = self.clues.gone.get(resource, ()) if resource is not None else ()
        told = [f"{self.graph.name(t)} {_ENDS[self.ends[t].kind]}{self._error(t)}" for t in tasks]
        return listed(told or ["it has ended"], most=_MANY)

    def _error(self, task: int) -> str:
        end = self.ends[task]
        return f" ({self.trace.errors[end.detail]})" if end.kind is Kind.FAILED else ""

    def _missed(self, resource: int | None) -> str:
        missed = self.clues.missed.get(resource) if resource is not None else None
        if resource is None or missed is None:
            return ""
        name = self.graph.name(~resource)
        what = "was set and cleared again" if "Event" in name else "was notified"
        by = f" by {self.graph.name(missed.by)}" if missed.by >= 0 else ""
        return f"{name} {what}{by} at {seconds(missed.time)}"
