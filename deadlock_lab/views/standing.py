"""Where the tasks of a real loop stand, in words: the sure deadlocks first, then the others."""

from collections.abc import Iterable, Iterator, Sequence

from ..engine.graph import OWNED, WaitGraph
from ..engine.kinds import Diagnosis, Doubt
from ..engine.trace import Trace
from ..engine.words import listed
from .narration import describe
from .text import kind_lines

__all__ = ["explain_standing"]

_INDENT = "  "
_MANY = 20  # how many tasks that are in no deadlock are listed


def explain_standing(
    waits: WaitGraph,
    trace: Trace,
    diagnoses: Sequence[Diagnosis] = (),
    doubt: Doubt | None = None,
    *,
    others: bool = True,
) -> str:
    """Say who waits for whom on a real loop.

    Args:
        waits: the graph, as read from the loop.
        trace: the tables that it points into.
        diagnoses: what kind of deadlock each cycle is.
        doubt: who is probably stuck, too.
        others: whether to list the tasks, too, that something may still move.

    Returns:
        A text of a few lines: how many wait for ever; each cycle with its members, where
        they stand and what they hold; who waits behind it; the kinds; what is probably one
        more, and why that is not sure; and the others.
    """
    return "\n".join(_Teller(waits, trace).lines(diagnoses, doubt, others=others))


class _Teller:
    def __init__(self, waits: WaitGraph, trace: Trace) -> None:
        self.waits = waits
        self.trace = trace
        self.stuck = set(waits.stuck_ids)

    def lines(
        self, diagnoses: Sequence[Diagnosis], doubt: Doubt | None, *, others: bool
    ) -> Iterator[str]:
        if self.stuck:
            names = list(self.waits.unless)
            unless = f", unless {listed(names, 'or')} fails" if names else ""
            yield f"Deadlock: {_tasks(len(self.stuck))} for ever{unless}."
            yield from self._cycles(self.waits)
            yield from kind_lines(diagnoses)
        elif self.waits.waiters:
            yield f"No deadlock that is sure. {_tasks(len(self.waits.waiters)).capitalize()}."
        else:
            yield "No deadlock: no task waits."
        if doubt:
            self.stuck |= set(doubt.waits.stuck_ids)
            yield from self._doubtful(doubt)
        rest = [task for task in self.waits.waiters if task not in self.stuck]
        if others and rest:
            yield "\nWaiting for what may still come:\n"
            yield from self._table(rest[:_MANY])
            if len(rest) > _MANY:
                yield f"{_INDENT}… and {len(rest) - _MANY:,} more"

    def _cycles(self, waits: WaitGraph) -> Iterator[str]:
        for loop in waits.loops:
            yield f"\nThe cycle: {' → '.join(waits.name(t) for t in loop if t >= 0)}\n"
            yield from self._table(sorted({t for t in loop if t >= 0}))
        members = {task for loop in waits.loops for task in loop}
        if behind := [task for task in waits.stuck_ids if task not in members]:
            yield (
                "\nWaiting behind it:\n"
                if waits.loops
                else "\nNo cycle, but nobody is left to help:\n"
            )
            yield from self._table(behind)

    def _doubtful(self, doubt: Doubt) -> Iterator[str]:
        """Tell who is probably stuck, and why that is not sure."""
        yield f"\nProbably a deadlock: {_tasks(len(doubt.waits.stuck_ids))}, unless they get help."
        yield from self._cycles(doubt.waits)
        yield from kind_lines(doubt.diagnoses)
        yield "\nThis is not sure:"
        if doubt.helpers:
            names = self._names(doubt.helpers, "or")
            yield f"{_INDENT}{names} goes on, and may cancel one of them or release a lock."
        if doubt.lent:
            things = self._names([~r for r in doubt.lent], "or")
            yield f"{_INDENT}somebody else than its holders may release {things}."

    def _table(self, tasks: Iterable[int]) -> Iterator[str]:
        for task in tasks:
            yield _INDENT + self._waiting(task)
            if place := self._place(task):
                yield _INDENT * 3 + place

    def _waiting(self, task: int) -> str:
        wait = self.waits.waiters[task].wait
        text = f"{self.waits.name(task)} {describe(wait, self.waits.name)}"
        text += "".join(self._who_could(~target) for target in wait.targets if target < 0)
        held = [str(self.waits.things[r]) for r, by in self.waits.holders.items() if task in by]
        return text + (f"; it holds {listed(held)}" if held else "")

    def _who_could(self, resource: int) -> str:
        """Tell who holds a lock, or seems to be going to set an event."""
        if holders := self.waits.holders.get(resource):
            return f", held by {self._names(holders, 'and')}"
        if not (setters := self.waits.setters.get(resource)):
            return ""
        if self.waits.things[resource].kind in OWNED:
            return f", held at least by {self._names(setters, 'and')} (a guess)"
        return f", which {self._names(setters, 'or')} might see to (a guess)"

    def _names(self, tasks: Iterable[int], conjunction: str) -> str:
        return listed([self.waits.name(t) for t in dict.fromkeys(tasks)], conjunction)

    def _place(self, task: int) -> str:
        index = self.waits.waiters[task].place
        if index < 0:
            return ""
        place = self.trace.places[index]
        source = self.trace.sources.get(place.label, ())
        code = source[place.line - 1].strip() if place.line <= len(source) else ""
        return f"{place}: {code}" if code else str(place)


def _tasks(count: int) -> str:
    return "1 task waits" if count == 1 else f"{count:,} tasks wait"
