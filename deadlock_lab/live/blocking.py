"""A step that blocks on a result which its own loop would have to make: it waits for itself."""

import asyncio
import concurrent.futures
import gc
from collections.abc import Iterator
from types import FrameType, FunctionType
from typing import Any

from ..engine.graph import WaitGraph
from ..engine.kinds import Clues, Diagnosis, diagnose
from ..engine.places import outwards
from .snapshot import TaskBooks
from .timers import handles

__all__ = ["sync_over_async"]

_RESULTS = {
    method.__code__
    for method in (concurrent.futures.Future.result, concurrent.futures.Future.exception)
}


def sync_over_async(loop: Any, innermost: FrameType | None) -> tuple[Diagnosis, ...]:
    """Say whether a loop's thread waits for what only this loop can bring about.

    Args:
        loop: the loop, which does not answer.
        innermost: where its thread stands.

    Returns:
        The diagnosis, which is sure unless the wait has a time limit; or nothing, as for the
        result of a thread pool, which blocks the loop but will come.
    """
    waiting = next((f for f in outwards(innermost) if f.f_code in _RESULTS), None)
    if waiting is None or not _is_made_by(loop, waiting.f_locals["self"]):
        return ()
    books = TaskBooks(named=False)
    task = asyncio.current_task(loop)
    blocked = -1 if task is None else books.ordinal(task)
    graph = WaitGraph(infos=tuple(books.tasks), things=(), waiters={})
    (found,) = diagnose(books.close(), graph, Clues(blocked=blocked))
    return (found._replace(sure=waiting.f_locals.get("timeout") is None),)


def _is_made_by(loop: Any, future: Any) -> bool:
    """Whether a future is to get the result of a task of a loop: one that runs, or will be made."""
    sources = (thing for callback in future._done_callbacks for thing in _closed_over(callback))
    if any(asyncio.isfuture(thing) and thing.get_loop() is loop for thing in sources):
        return True
    due = (part for handle in handles(loop) for part in gc.get_referents(handle))
    return any(thing is future for callback in due for thing in _closed_over(callback))


def _closed_over(function: object) -> Iterator[object]:
    cells = function.__closure__ if isinstance(function, FunctionType) else None
    yield from (cell.cell_contents for cell in cells or ())
