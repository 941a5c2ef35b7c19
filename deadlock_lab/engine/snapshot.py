"""Who waits for whom at the end of a run, read off the live tasks."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType
from typing import Any

from .books import Books
from .graph import Waiter, WaitGraph, find_stuck
from .naming import all_set, may_set
from .recorder import RecordingLoop
from .tasks import is_task, task_of, wakes
from .trace import Wait
from .waits import await_chain, blocked_on, learner_frames, read_wait

__all__ = ["can_be_cancelled", "cancelled_with", "freed_by", "likely_setters", "wait_graph"]

Task = asyncio.Task[Any]

_HANDED_DOWN = frozenset(  # not: shield, wait
    {"await", "gather", "gather (return_exceptions)", "TaskGroup", "wait_for"}
)
_REMEDIES = frozenset({"cancel", "release"})  # what a task may do to another's task or lock


def wait_graph(loop: RecordingLoop, *, main_over: bool) -> WaitGraph:
    """Read who waits for whom at this moment, and who can never move again.

    Beside a main that is over, whoever waits for a signal or for work is parked, not
    stuck: main might have given it until then, and that is how programs end.
    """
    books = loop.books
    ready = {books.ordinal(t) for h in loop._ready if (t := _stepped_by(h)) is not None}
    waiters: dict[int, Waiter] = {}
    frames: dict[int, list[FrameType]] = {}
    tasks = {books.ordinal(task): task for task in asyncio.all_tasks(loop)}
    for ordinal, task in sorted(tasks.items()):
        chain = await_chain(task.get_coro())
        frames[ordinal] = learner_frames(chain)
        if ordinal not in ready and (future := blocked_on(task)) is not None:
            wait = books.wait(read_wait(future, chain), frames[ordinal])
            waiters[ordinal] = Waiter(wait, books.where(frames[ordinal], ordinal))
    timers = [timer for _, _, timer in loop._scheduled if not timer._cancelled]
    moved = [books.ordinal(owner) for timer in timers if (owner := _moved_by(timer))]
    things = tuple(books.resources)
    holders = {r: tuple(owners) for r, owners in books.holders.items() if owners}
    roots = [*ready, *cancelled_with(moved, waiters)]
    outside = bool(loop._ready or timers or main_over)
    stuck = find_stuck(waiters, things, holders, roots, outside=outside)
    objects = {~r: (thing, things[r].kind) for r, thing in books.things().items()}
    objects |= {ordinal: (task, "Task") for ordinal, task in tasks.items()}
    while helped := _helped({t: waiters[t].wait for t in stuck}, frames, objects) - set(roots):
        roots += {*helped, *cancelled_with(helped, waiters)}
        stuck = find_stuck(waiters, things, holders, roots, outside=outside)
    return WaitGraph(
        infos=tuple(books.tasks),
        things=things,
        waiters=waiters,
        holders=holders,
        setters=likely_setters(books, waiters, frames),
        stuck_ids=stuck,
    )


def cancelled_with(nodes: Iterable[int], waiters: Mapping[int, Waiter]) -> Iterator[int]:
    """Yield what is moved, and the tasks that a cancellation is handed down to."""
    todo, seen = list(nodes), set[int]()
    while todo:
        if (node := todo.pop()) not in seen:
            seen.add(node)
            yield node
            if (waiter := waiters.get(node)) and waiter.wait.how in _HANDED_DOWN:
                todo += (target for target in waiter.wait.targets if target >= 0)


def _helped(
    stuck: Mapping[int, Wait],
    frames: Mapping[int, list[FrameType]],
    objects: Mapping[int, tuple[object, str]],
) -> set[int]:
    """Find the stuck tasks, and what they wait for, that a task which goes on may yet free.

    Any task may cancel another, or release a lock that it did not take: where the code of
    one that goes on says so and reaches the thing, nobody can be said to wait for ever.
    """
    nodes = {*stuck, *(n for wait in stuck.values() for n in wait.targets if n < 0)}
    wanted = {n: objects[n] for n in nodes}
    live = (own for task, own in frames.items() if task not in stuck)
    return {n for own in live for n in freed_by(own, wanted)}


def freed_by(frames: Iterable[FrameType], wanted: Mapping[int, tuple[object, str]]) -> set[int]:
    """Find which tasks and locks the code of a task may cancel or release.

    Args:
        frames: where the task stands.
        wanted: the tasks, locks and so on, with their kinds, by their nodes. Of a task in a
            ring that ``cancel()`` cannot open, that is not a help.
    """
    able = [frame for frame in frames if not _REMEDIES.isdisjoint(frame.f_code.co_names)]
    return {
        node
        for node, (thing, kind) in wanted.items()
        if any(may_set(frame, thing, kind) for frame in able)
        and not (is_task(thing) and not can_be_cancelled(thing))  # type: ignore[arg-type]
    }


def _stepped_by(handle: Any) -> Task | None:
    return task_of(handle._callback)


def _moved_by(timer: Any) -> Task | None:
    """Find the task that a timer will move: the one that awaits its future, or times out."""
    limit: Any = getattr(timer._callback, "__self__", None)
    cancels: Any = getattr(limit, "_task", None)  # asyncio.timeout
    if is_task(cancels):
        return cancels if can_be_cancelled(cancels) else None
    frees: Task | None = getattr(limit, "task", None)  # our with_timeout, which ends rings too
    if is_task(frees):
        return frees
    for future in filter(asyncio.isfuture, timer._args or ()):
        for callback, _ in getattr(future, "_callbacks", None) or ():
            if task := wakes(callback):
                return task
    return None


def can_be_cancelled(task: Task) -> bool:
    """Whether ``task.cancel()`` gets anywhere: it does not where tasks await in a ring."""
    todo: list[tuple[Any, bool]] = [(task, False)]
    path, clear = set(), set()
    while todo:
        future, leaving = todo.pop()
        if leaving:
            path.discard(id(future))
            clear.add(id(future))
        elif id(future) in path:
            return False
        elif future is not None and not future.done() and id(future) not in clear:
            path.add(id(future))
            inner = getattr(future, "_children", None) or [getattr(future, "_fut_waiter", None)]
            todo += [(future, True), *((f, False) for f in inner)]
    return True


def likely_setters(
    books: Books, waiters: Mapping[int, Waiter], frames: Mapping[int, list[FrameType]]
) -> dict[int, tuple[int, ...]]:
    """Find the suspended tasks whose code could end what others wait for: a guess."""
    things, resources = books.things(), books.resources
    wanted = {~n for w in waiters.values() for n in w.wait.targets if n < 0}
    numbers = {id(things[r]): r for r in sorted(wanted - set(books.holders))}
    kinds: dict[str, set[int]] = {}
    for one, r in numbers.items():
        kinds.setdefault(resources[r].kind, set()).add(one)
    able: dict[int, list[int]] = {r: [] for r in numbers.values()}
    for task, waiter in waiters.items():
        for one in {one for frame in frames[task] for one in all_set(frame, kinds)}:
            if ~numbers[one] not in waiter.wait.targets:
                able[numbers[one]].append(task)
    return {r: tuple(tasks) for r, tasks in able.items() if tasks}
