"""Who waits for whom on a real loop, at this moment; and who is sure never to go on.

Of a real loop it is known which callbacks and timers it has, but not who else will
call: a socket, a thread, a signal. Whatever anybody may set (an event, a future, a
queue) is therefore taken to be set some day. What is left is sure: tasks that wait for
one another, and locks whose holders all wait.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from types import CoroutineType, FrameType
from typing import Any, NamedTuple

from ..engine.books import Books
from ..engine.clues import flights_joined
from ..engine.graph import OWNED, Waiter, WaitGraph, find_stuck
from ..engine.holding import taken
from ..engine.kinds import Clues, Diagnosis, Doubt, diagnose
from ..engine.snapshot import can_be_cancelled, cancelled_with, freed_by, likely_setters
from ..engine.trace import NOBODY, Kind, Trace, Wait
from ..engine.waits import Reading, blocked_on, learner_frames, links, read_wait
from .holders import all_known, held, will_release
from .timers import handles, reached

__all__ = ["Snapshot", "TaskBooks", "is_main", "look", "suspects", "tangled"]

Task = asyncio.Task[Any]
Owners = dict[int, tuple[int, ...]]


class Snapshot(NamedTuple):
    """A loop at one moment: the graph, the tables it points into, and its live tasks.

    ``diagnoses`` are the kinds of its deadlocks, as far as they can be told without a record;
    ``doubt`` is what may be one more.
    """

    waits: WaitGraph
    trace: Trace
    tasks: Mapping[int, Task]
    diagnoses: tuple[Diagnosis, ...]
    doubt: Doubt | None


class TaskBooks(Books):
    """The books of one look: tasks by the names that the program's own log shows.

    Args:
        named: whether to find out what things are called, which takes most of the time.
    """

    def __init__(self, *, named: bool) -> None:
        super().__init__(lambda: 0)
        self._named = named

    def ordinal(self, task: Any, by: int = NOBODY, coro: Any = None) -> int:
        """Give a task's number in this look."""
        number = self._foreign.get(task)
        if number is None:
            # On 3.12.1 get_coro() crashes for a task that was started eagerly and is done.
            coro = coro or (None if task.done() else task.get_coro())
            number = self.admit(coro, _title(task, coro), by, [])
            self._foreign[task] = number
        return number

    def wait(self, reading: Reading, frames: list[FrameType]) -> Wait:
        """Turn a reading into numbers, in order: asyncio keeps tasks in sets."""
        wait = super().wait(reading, frames)
        return wait._replace(targets=tuple(sorted(wait.targets)))

    def resource(self, thing: object, frames: list[FrameType]) -> int:
        """Give a thing's number in this look."""
        return super().resource(thing, frames if self._named else [])

    def where(self, frames: list[FrameType], ordinal: int) -> int:
        """Give the place where a task stands, if it will be told."""
        return super().where(frames, ordinal) if self._named else NOBODY


def _title(task: Any, coro: Any) -> str:
    """Name a task as in the log, and by its function where the log has a mere number."""
    name = str(task.get_name())
    function = getattr(coro, "__name__", "")
    return f"{name} ({function})" if function and re.fullmatch(r"Task-\d+", name) else name


def is_main(task: Any) -> bool:
    """Whether a loop stops when this task is done: it was handed to ``run_until_complete``."""
    names = (getattr(callback, "__qualname__", "") for callback, _ in task._callbacks or ())
    return any(name in _STOPS for name in names)


_STOPS = frozenset({"_run_until_complete_cb", "run_until_complete.<locals>.done_cb"})


def _order(task: Any) -> tuple[bool, list[str | int]]:
    """Put main first, for its names for things are the best; then ``Task-9`` before ``Task-10``."""
    parts = re.split(r"(\d+)", task.get_name())
    return not is_main(task), [int(p) if i % 2 else p for i, p in enumerate(parts)]


def suspects(loop: Any) -> dict[Task, object]:
    """List the tasks that may be in a deadlock, each with the future that it waits on.

    This is quick: those that wait for what anybody may bring about are passed over.
    """
    waits = ((task, blocked_on(task)) for task in asyncio.all_tasks(loop))
    return {task: f for task, f in waits if f is not None and not f.done() and _suspect(task)}


def _suspect(task: Any) -> bool:
    """Whether a suspended task waits for other tasks, a lock, or something that we do not know."""
    coro = task.get_coro()
    while type(inner := getattr(coro, "cr_await", None)) is CoroutineType:
        coro = inner
    return getattr(coro, "cr_code", None) not in _OPEN


_OPEN: frozenset[Any] = frozenset(
    function.__code__
    for function in (
        asyncio.sleep,
        asyncio.Event.wait,
        asyncio.Condition.wait,
        asyncio.Queue.get,
        asyncio.Queue.put,
        asyncio.StreamReader._wait_for_data,  # type: ignore[attr-defined]
    )
)


def tangled(loop: Any, tasks: Iterable[Task]) -> bool:
    """Whether some tasks wait for one another in a ring, as far as they alone can tell."""
    return bool(_Look(loop, tasks, named=False).entangled())


def look(loop: Any) -> Snapshot:
    """Read who waits for whom on a loop; to be called on its thread, or while it rests."""
    seen = _Look(loop, asyncio.all_tasks(loop), named=True)
    waits, doubt = seen.judge()
    trace = seen.books.close()

    def kinds(graph: WaitGraph) -> tuple[Diagnosis, ...]:
        return diagnose(trace, graph, Clues(shared=flights_joined(graph, seen.tasks)))

    if doubt:
        likely = tuple(found._replace(sure=False) for found in kinds(doubt.waits))
        doubt = doubt._replace(diagnoses=likely)
    return Snapshot(waits, trace, seen.tasks, kinds(waits), doubt)


def _read(future: Any, chain: list[FrameType]) -> Reading:
    # anyio's task group works as asyncio's does, but is no part of the standard library.
    group: Any = chain[-1].f_locals.get("self") if chain else None
    if future is getattr(group, "_on_completed_fut", None) and (tasks := group._tasks):
        return Reading("TaskGroup", "all", tuple(tasks))
    return read_wait(future, chain)


class _Look:
    """What is gathered in one look at some tasks of a loop; the others are taken to go on."""

    def __init__(self, loop: Any, tasks: Iterable[Task], *, named: bool) -> None:
        self.loop = loop
        self.books = books = TaskBooks(named=named)
        self.tasks = {books.ordinal(task): task for task in sorted(tasks, key=_order)}
        self.links = {t: list(links(task.get_coro())) for t, task in self.tasks.items()}
        chains = {t: [frame for _, frame in linked] for t, linked in self.links.items()}
        self.frames = {t: learner_frames(chain) for t, chain in chains.items()}
        self.waiters = {
            t: Waiter(
                books.wait(_read(future, chains[t]), self.frames[t]),
                books.where(self.frames[t] or chains[t][-1:], t),  # in the library, if need be
            )
            for t, task in self.tasks.items()
            if (future := blocked_on(task)) is not None and not future.done()
        }
        self.sure: set[int] = set()  # the things that only their holders give back
        self.ended: set[int] = set()  # the holders that have ended
        self.holders, self.likely = self._holders()

    def _holders(self) -> tuple[Owners, Owners]:
        """Find who holds the locks and permits that someone waits for: all, or some of them."""
        exits = {t: Counter(map(id, held(linked))) for t, linked in self.links.items()}
        every: Owners = {}
        some: Owners = {}
        for index, lock in self._owned().items():
            seen = taken(lock)
            pending = Counter({t: mine[id(lock)] for t, mine in exits.items() if mine[id(lock)]})
            owners = Counter(map(self._number, seen.tasks)) if seen else pending
            if owners:
                known = all_known(lock, owners.total(), seen and seen.permits)
                (every if known else some)[index] = tuple(sorted(owners.elements()))
            if index in every and self._given_back(lock, owners, pending):
                self.sure.add(index)
        return every, some

    def _number(self, task: Task | None) -> int:
        """Give the number of a holder, who may have ended."""
        if task is None:
            return NOBODY
        number = self.books.ordinal(task)
        if task.done() and number not in self.ended:
            self.ended.add(number)
            self.books.add(Kind.DONE, number)
        return number

    def _given_back(self, lock: Any, owners: Counter[int], pending: Counter[int]) -> bool:
        """Whether it is for the holders, and nobody else, to give something back."""
        if type(lock) is asyncio.Semaphore:
            return False  # anybody may add a permit to it
        return all(
            pending[t] >= number or any(will_release(f, lock) for f in self.frames.get(t, ()))
            for t, number in owners.items()
        )

    def _owned(self) -> dict[int, Any]:
        kinds = self.books.resources
        return {r: thing for r, thing in self.books.things().items() if kinds[r].kind in OWNED}

    def entangled(self, moved: Iterable[int] = ()) -> tuple[int, ...]:
        """Find the tasks that can go on only by what cannot be foreseen.

        Args:
            moved: what timers and callbacks will move.
        """
        return self._stuck({*moved, *(~r for r in self._owned() if r not in self.holders)})

    def _stuck(self, roots: Iterable[int], *, outside: bool = True) -> tuple[int, ...]:
        others = set(range(len(self.books.tasks))) - set(self.waiters) - self.ended
        things = tuple(self.books.resources)
        return find_stuck(self.waiters, things, self.holders, {*others, *roots}, outside=outside)

    def judge(self) -> tuple[WaitGraph, Doubt | None]:
        """Say who is sure to be stuck; and who else is, if nobody does what cannot be foreseen."""
        moved = set(cancelled_with(self._moved_by_callbacks(), self.waiters))
        roots = {*moved, *(~r for r in self._owned() if r not in self.sure)}
        entangled = self.entangled(moved)
        helpers = self._helpers(roots, entangled)
        while helped := {n for nodes in helpers.values() for n in nodes} - roots:
            roots |= {*helped, *cancelled_with(helped, self.waiters)}
            helpers = self._helpers(roots, entangled)
        waits = WaitGraph(
            infos=tuple(self.books.tasks),
            things=tuple(self.books.resources),
            waiters=self.waiters,
            holders=self.holders,
            setters=likely_setters(self.books, self.waiters, self.frames) | self.likely,
            stuck_ids=self._stuck(roots),
        )
        doubtful = tuple(t for t in entangled if t not in waits.stuck_ids)
        if not doubtful:
            return waits, None
        wanted = {~n for t in doubtful for n in self.waiters[t].wait.targets if n < 0}
        lent = sorted(wanted & set(self._owned()) - self.sure)
        return waits, Doubt(replace(waits, stuck_ids=doubtful), tuple(helpers), tuple(lent))

    def _moved_by_callbacks(self) -> set[int]:
        things = {id(thing): ~r for r, thing in self.books.things().items()}
        awaited = {id(blocked_on(task)): t for t, task in self.tasks.items() if t in self.waiters}
        numbers = {task: t for t, task in self.tasks.items()}
        moved: set[int] = set()
        for thing in (thing for handle in handles(self.loop) for thing in reached(handle)):
            if thing in numbers:
                moved |= {numbers[thing]} if can_be_cancelled(thing) else set()
            elif (node := awaited.get(id(thing), things.get(id(thing)))) is not None:
                moved.add(node)
        return moved

    def _helpers(self, roots: Collection[int], stuck: Iterable[int]) -> dict[int, set[int]]:
        """Find who goes on by itself and may cancel stuck tasks, or release what these wait for.

        Who waits for what comes from outside, such as the end of the program, is no help.
        """
        # Who asks, knows itself what it will do next.
        asker = asyncio.current_task(self.loop)
        wanted: dict[int, tuple[Any, str]] = {t: (self.tasks[t], "Task") for t in stuck}
        wanted |= {~r: (lock, "Lock") for r, lock in self._owned().items()}
        freed = {
            t: freed_by(self.frames[t], wanted)
            for t in sorted(set(self.tasks).difference(self._stuck(roots, outside=False)))
            if self.tasks[t] is not asker
        }
        return {t: nodes for t, nodes in freed.items() if nodes}
