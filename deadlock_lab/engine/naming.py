"""What the learner calls a thing: the variable that a lock, queue or future is kept in.

asyncio's locks have no names, but a verdict that says "Lock at 0x7f…" helps nobody.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType, FunctionType, ModuleType
from typing import Any

__all__ = ["all_set", "find_name", "may_set"]

_NOTEBOOK_HISTORY = re.compile(r"_+|_i?\d+|_i+|_?[io]h|In|Out|_dh")
_LARGE = 1_000


def find_name(thing: object, namespaces: Iterable[Mapping[str, Any]]) -> str | None:
    """Find the name of the variable, attribute or item that holds a thing.

    >>> lock = object()
    >>> find_name(lock, [{"locks": {"a": lock}}])
    "locks['a']"
    """
    for name, value in _variables(namespaces):
        for suffix, held in _within(value):
            if held is thing:
                owner = type(value).__name__ if name == "self" and suffix else name
                return owner + suffix
    return None


def _variables(namespaces: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    for namespace in namespaces:
        for name, value in list(namespace.items()):
            if not _NOTEBOOK_HISTORY.fullmatch(name):
                yield name, value


def _within(value: Any) -> Iterator[tuple[str, object]]:
    """Yield a value, and what it holds one level down, each with how one would write it."""
    yield "", value
    if isinstance(value, dict) and len(value) <= _LARGE:
        for key, held in list(value.items()):
            if isinstance(key, str | int):
                yield f"[{key!r}]", held
    elif isinstance(value, list | tuple) and len(value) <= _LARGE:
        for index, held in enumerate(value):
            yield f"[{index}]", held
    elif not isinstance(value, ModuleType | FunctionType | type):
        for attribute, held in list(getattr(value, "__dict__", {}).items()):
            yield f".{attribute}", held


_SETTERS = {
    "Barrier": {"wait"},
    "BoundedSemaphore": {"release"},
    "Condition": {"notify", "notify_all"},
    "Event": {"set"},
    "Future": {"cancel", "set_exception", "set_result"},
    "Lock": {"release"},
    "Queue": {"get", "get_nowait", "put", "put_nowait", "task_done"},
    "Semaphore": {"release"},
    "Task": {"cancel"},
}


def may_set(frame: FrameType, thing: object, kind: str) -> bool:
    """Guess whether a frame could end a wait for a thing.

    It could if it reaches the thing, by a local or by a global that its code names, and
    its code names a method that would do it.
    """
    return bool(all_set(frame, {kind: {id(thing)}}))


def all_set(frame: FrameType, wanted: Mapping[str, set[int]]) -> set[int]:
    """Find all those things that a frame ``may_set``.

    Args:
        frame: where a task stands.
        wanted: the ``id`` of each thing in question, by kind.

    Returns:
        The ``id`` of each that it may set.
    """
    names = frame.f_code.co_names
    able = [ids for kind, ids in wanted.items() if not _setters(kind).isdisjoint(names)]
    if not able:
        return set()
    used = {n: frame.f_globals[n] for n in names if n in frame.f_globals}
    variables = _variables((frame.f_locals, used))
    reached = {id(held) for _, value in variables for _, held in _within(value)}
    return {one for one in reached if any(one in ids for ids in able)}


def _setters(kind: str) -> set[str]:
    return _SETTERS.get(kind) or _SETTERS["Queue"]  # its kinds: PriorityQueue, LifoQueue
