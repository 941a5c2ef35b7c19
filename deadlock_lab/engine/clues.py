"""Clues to the kind of a deadlock that only the live objects hold, read at the end of a run."""

import asyncio
import concurrent.futures
import dis
import functools
import itertools
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FrameType
from typing import Any

from .errors import BlockedStepError
from .graph import WaitGraph
from .kinds import Clues, Missed
from .naming import may_set
from .recorder import RecordingLoop
from .trace import Kind
from .waits import await_chain, learner_frames

__all__ = ["flights_joined", "gather_clues"]

_ENDERS: Mapping[str, frozenset[str]] = {
    "Queue.get": frozenset({"put", "put_nowait"}),
    "Queue.put": frozenset({"get", "get_nowait"}),
    "Queue.join": frozenset({"get", "get_nowait"}),
    "Event.wait": frozenset({"set"}),
    "Condition.wait": frozenset({"notify", "notify_all"}),
    "Semaphore.acquire": frozenset({"release"}),
    "Barrier.wait": frozenset({"wait"}),
}
"""The methods that end a wait; every other wait is one for a future."""
_SETS_FUTURE = frozenset({"set_result", "set_exception"})


def gather_clues(loop: RecordingLoop, graph: WaitGraph) -> Clues:
    """Read what the live objects tell beside who waits for whom.

    Args:
        loop: the loop, at its end and before it is cleared up.
        graph: who waits for whom, with its verdict.
    """
    wanted = {
        ~target: graph.waiters[task].wait.how
        for task in graph.stuck_ids
        for target in graph.waiters[task].wait.targets
        if target < 0
    }
    things = loop.books.things()
    return Clues(
        items={r: t.qsize() for r in wanted if isinstance(t := things[r], asyncio.Queue)},
        gone=dict(_gone(loop, wanted)),
        missed={r: Missed(*m) for r in wanted if (m := loop.unheard(things[r]))},
        shared=flights_joined(
            graph, {loop.books.ordinal(task): task for task in asyncio.all_tasks(loop)}
        ),
        blocked=_blocked_in_result(loop),
    )


def _gone(loop: RecordingLoop, wanted: Mapping[int, str]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Find the tasks that have ended and whose code would have ended a wait: a guess.

    Where some of them failed or were cancelled, these are the likely ones.
    """
    ended = {e.task: e.kind for e in loop.books.events if e.kind in _ENDED}
    failed = {loop.books.ordinal(task): task for task in loop.failed}
    things = loop.books.things()
    for resource, how in wanted.items():
        thing, name = things[resource], loop.books.resources[resource]
        methods = _ENDERS.get(how, _SETS_FUTURE)
        able = [
            task
            for task in ended
            if _names(loop.books.codes[task], methods, name.name)
            or (task in failed and _raised_by(failed[task], methods, thing, name.kind))
        ]
        unlucky = [task for task in able if ended[task] is not Kind.DONE]
        yield resource, tuple(sorted(unlucky or able))


_ENDED = frozenset({Kind.DONE, Kind.FAILED, Kind.CANCELLED})


def _names(code: CodeType | None, methods: frozenset[str], thing: str) -> bool:
    """Whether code names a thing and one of these methods. Its frame is gone: there is no more."""
    if code is None or methods.isdisjoint(code.co_names):
        return False
    known = {*code.co_names, *code.co_varnames, *code.co_freevars}
    return "#" not in thing and not known.isdisjoint(re.findall(r"[^\W\d]\w*", thing))


def _raised_by(task: Any, methods: frozenset[str], thing: object, kind: str) -> bool:
    """Whether the frames that an error came through reach a thing, as it was then."""
    return any(
        not methods.isdisjoint(frame.f_code.co_names) and may_set(frame, thing, kind)
        for frame, _ in traceback.walk_tb(task._exception.__traceback__)
    )


def _blocked_in_result(loop: RecordingLoop) -> int | None:
    """Find the task that was stopped in ``concurrent.futures.Future.result()``."""
    # What stopped it may also have hit the loop before it could write down the failure.
    for task in (*loop.failed, *loop._unfinished.values()):
        error: Any = getattr(task, "_exception", None)
        while isinstance(error, BlockedStepError):
            for frame, _ in traceback.walk_tb(error.__traceback__):
                if frame.f_code is concurrent.futures.Future.result.__code__:
                    return loop.books.ordinal(task)
            error = error.__context__  # it may have been thrown again while it came out
    return None


def flights_joined(graph: WaitGraph, tasks: Mapping[int, Any]) -> frozenset[tuple[int, int]]:
    """Find the awaits of cycles that joined work in flight: taken from a mapping, or put there.

    Args:
        graph: who waits for whom, with its verdict.
        tasks: the live tasks, by their numbers in the graph.

    Returns:
        Pairs of a task and the task that it awaits.
    """
    awaits = {pair for cycle in graph.loops for pair in itertools.pairwise(cycle) if min(pair) >= 0}
    return frozenset(
        (waiter, target)
        for waiter, target in awaits
        if any(
            _joins(frame, tasks[target])
            for frame in learner_frames(await_chain(tasks[waiter].get_coro()))
        )
    )


def _joins(frame: FrameType, task: object) -> bool:
    """Whether a frame both fills a mapping and finds this task in it."""
    return _fills_a_mapping(frame.f_code) and any(
        isinstance(value, dict) and any(held is task for held in list(value.values()))
        for value in _reached(frame)
    )


def _reached(frame: FrameType) -> Iterable[object]:
    own = frame.f_locals
    yield from own.values()
    yield from list(getattr(own.get("self"), "__dict__", {}).values())
    yield from (frame.f_globals[n] for n in frame.f_code.co_names if n in frame.f_globals)


@functools.lru_cache(maxsize=1024)
def _fills_a_mapping(code: CodeType) -> bool:
    stores = any(step.opname == "STORE_SUBSCR" for step in dis.get_instructions(code))
    return stores or "setdefault" in code.co_names
