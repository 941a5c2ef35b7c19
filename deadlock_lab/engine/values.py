"""A value in a few characters, without asking the value.

To show a variable must not change the program: a ``__repr__`` of the learner's may
raise, take for ever or have effects, and the default one has an address in it, which
is another in every process. So only plain values of the language's own types are
written out; of all others the type is told.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import FunctionType
from typing import Any

from .tasks import LabFuture, LabTask

__all__ = ["brief"]

Naming = Callable[[object], str | None]
"""Gives the name of a task, or of something to wait with; None where it has none."""

_LENGTH = 80  # of the whole text
_STRING = 40
_ITEMS = 6
_SORTED = 50  # a larger set is counted only: which items come first depends on hash seeds
_DEPTH = 3
_DIGITS = 10**30
_type_name: Callable[[type], str] = type.__dict__["__name__"].__get__  # whatever the metaclass


def brief(value: object, name_of: Naming = lambda _: None) -> str:
    """Write a value in at most 80 characters, the same in every process.

    Args:
        value: any object; no code of its own is run.
        name_of: what to call tasks, locks and their like.

    >>> brief([1, "two", {"three": None}]), brief(range(3)), brief({3, 1, 2})
    ("[1, 'two', {'three': None}]", '<range>', '{1, 2, 3}')
    """
    text = _brief(value, name_of, _DEPTH)
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"


def _brief(value: Any, name_of: Naming, depth: int) -> str:
    kind = type(value)
    if type(kind) is not type:  # even `kind in (str, bytes)` may run code of a metaclass
        return f"<{_type_name(kind)}>"
    if kind in (str, bytes):
        cut = value[:_STRING]
        return repr(cut) + (f"… ({len(value):,} long)" if len(value) > _STRING else "")
    if kind is int and not -_DIGITS < value < _DIGITS:
        return f"<int of {value.bit_length():,} bits>"
    if kind in (int, float, complex, bool, type(None), type(...)):
        return repr(value)
    if kind in _BRACKETS:
        return _contents(value, name_of, depth)
    return f"<{_named(value, name_of)}>"


def _named(value: Any, name_of: Naming) -> str:
    kind = type(value)
    if kind is type:
        return f"class {_type_name(value)}"
    if kind is FunctionType:
        return f"function {value.__name__}"
    if kind in _NAMED and (name := name_of(value)):
        return f"{_type_name(kind).removeprefix('Lab')} {name}"
    return _type_name(kind).removeprefix("Lab")


_NAMED = frozenset(
    {
        LabFuture,
        LabTask,
        asyncio.Barrier,
        asyncio.BoundedSemaphore,
        asyncio.Condition,
        asyncio.Event,
        asyncio.LifoQueue,
        asyncio.Lock,
        asyncio.PriorityQueue,
        asyncio.Queue,
        asyncio.Semaphore,
    }
)


_BRACKETS: dict[type, tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    dict: ("{", "}"),
    set: ("{", "}"),
    frozenset: ("{", "}"),
}


def _contents(value: Any, name_of: Naming, depth: int) -> str:
    if not value:
        return repr(value)
    first, last = _BRACKETS[type(value)]
    if depth == 0 or (type(value) in (set, frozenset) and len(value) > _SORTED):
        return f"{first}… {len(value):,} items{last}"
    items: list[str] = []
    for item in islice(_items(value, name_of, depth - 1), _ITEMS):
        items.append(item)
        if sum(map(len, items)) > _LENGTH:
            break  # the rest would be cut off
    if len(value) > len(items):
        items.append(f"… {len(value):,} items")
    comma = "," if type(value) is tuple and len(value) == 1 else ""
    return first + ", ".join(items) + comma + last


def _items(value: Any, name_of: Naming, depth: int) -> Iterable[str]:
    if type(value) is dict:
        return _pairs(value, name_of, depth)
    told = (_brief(item, name_of, depth) for item in value)
    if type(value) in (set, frozenset):
        return sorted(told, key=lambda text: (len(text), text))
    return told


def _pairs(value: dict[Any, Any], name_of: Naming, depth: int) -> Iterator[str]:
    for key, item in value.items():
        yield f"{_brief(key, name_of, depth)}: {_brief(item, name_of, depth)}"
