"""Who waits for whom on a real loop, at this moment; and who is sure never to go on.

Of a real loop it is known which callbacks and timers it has, but not who else will
call: a socket, a thread, a signal. Whatever anybody may set (an event, a future, a
queue) is therefore taken to be set some day. What is left is sure: tasks that wait for
one another, and locks whose holders all wait.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from types import CoroutineType, FrameType
from typing import Any, NamedTuple

from ..engine.books import Books
from ..engine.clues import flights_joined
from ..engine.graph import OWNED, Waiter, WaitGraph, find_stuck
from ..engine.kinds import Clues, Diagnosis, diagnose
from ..engine.naming import may_set
from ..engine.snapshot import can_be_cancelled, likely_setters
from ..engine.trace import NOBODY, Trace, Wait
from ..engine.waits import Reading, blocked_on, learner_frames, links, read_wait
from .holders import all_known, held
from .timers import handles, reached

__all__ = ["Snapshot", "is_main", "look", "suspects", "tangled"]

Task = asyncio.Task[Any]
Owners = dict[int, tuple[int, ...]]


class Snapshot(NamedTuple):
    """A loop at one moment: the graph, the tables it points into, and its live tasks.

    ``diagnoses`` are the kinds of its deadlocks, as far as they can be told without a record.
    """

    waits: WaitGraph
    trace: Trace
    tasks: Mapping[int, Task]
    diagnoses: tuple[Diagnosis, ...]


class _Books(Books):
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
    return bool(_Look(loop, tasks, named=False).judge(ways_out=False).stuck_ids)


def look(loop: Any) -> Snapshot:
    """Read who waits for whom on a loop; to be called on its thread, or while it rests."""
    seen = _Look(loop, asyncio.all_tasks(loop), named=True)
    waits, trace = seen.judge(ways_out=True), seen.books.close()
    clues = Clues(shared=flights_joined(waits, seen.tasks))
    return Snapshot(waits, trace, seen.tasks, diagnose(trace, waits, clues))


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
        self.books = books = _Books(named=named)
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
        self.holders, self.likely = self._holders()

    def judge(self, *, ways_out: bool) -> WaitGraph:
        """Say who is stuck.

        Args:
            ways_out: whether to look for what may free a task from outside, and, for the
                explanation, guess who is going to.
        """
        books = self.books
        roots = {~r for r in self._owned() if r not in self.holders}  # held unseen
        roots |= set(range(len(books.tasks))) - set(self.waiters)
        if ways_out:
            roots |= self._ways_out()
        things = tuple(books.resources)
        return WaitGraph(
            infos=tuple(books.tasks),
            things=things,
            waiters=self.waiters,
            holders=self.holders,
            setters=self._setters() if ways_out else {},
            stuck_ids=find_stuck(self.waiters, things, self.holders, roots, outside=True),
        )

    def _setters(self) -> Owners:
        return likely_setters(self.books, self.waiters, self.frames) | self.likely

    def _holders(self) -> tuple[Owners, Owners]:
        """Find who holds the locks and permits that someone waits for: surely, and likely."""
        owners: dict[int, Counter[int]] = {}
        for task, linked in self.links.items():
            for lock in held(linked):
                owners.setdefault(id(lock), Counter())[task] += 1
        sure: Owners = {}
        likely: Owners = {}
        for index, lock in self._owned().items():
            if mine := owners.get(id(lock)):
                known = all_known(lock, mine)
                (sure if known else likely)[index] = tuple(sorted(mine.elements()))
        return sure, likely

    def _owned(self) -> dict[int, Any]:
        kinds = self.books.resources
        return {r: thing for r, thing in self.books.things().items() if kinds[r].kind in OWNED}

    def _ways_out(self) -> set[int]:
        """Find what timers and callbacks reach, and what those who go on may free."""
        moved = self._moved_by_callbacks()
        live = [t for t in self.tasks if t not in self.waiters or t in moved]
        # Who asks, knows itself what it will do next.
        asker = asyncio.current_task(self.loop)
        return moved | self._freed_by(t for t in live if self.tasks[t] is not asker)

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

    def _freed_by(self, live: Iterable[int]) -> set[int]:
        """Find what a task that surely goes on may cancel, or release without having taken it."""
        able = [f for t in live for f in self.frames[t] if not _FREES.isdisjoint(f.f_code.co_names)]
        if not able:
            return set()
        nodes: dict[int, tuple[Any, str]] = {t: (self.tasks[t], "Task") for t in self.waiters}
        nodes |= {~r: (lock, "Lock") for r, lock in self._owned().items()}
        return {n for n, node in nodes.items() if any(may_set(frame, *node) for frame in able)}


_FREES = frozenset({"cancel", "release"})
