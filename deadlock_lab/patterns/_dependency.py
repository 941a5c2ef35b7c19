"""Read what callers say about a value: its key, its function, and what it is made from.

Everything wrong is named here, before anything runs; and a coroutine that came where a function
should be is closed, since nobody will ever await it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Mapping
from types import CoroutineType
from typing import Any, NamedTuple

__all__ = ["Dependency", "MissingDependencyError"]


class Dependency(NamedTuple):
    """A value that another one is made from, and how to get it.

    Parameters
    ----------
    key
        The name of the value; any hashable one.
    resolver
        The function that computes it, from the values of its own dependencies, in their order.
    dependencies
        Those: each a ``Dependency``, or the key of a value that is declared or known already.

    >>> Dependency("user", len).dependencies
    ()
    """

    key: Hashable
    resolver: Callable[..., Any] | None = None
    dependencies: Iterable[Any] = ()


class MissingDependencyError(LookupError):
    """A value is needed that nobody says how to compute.

    Parameters
    ----------
    key
        The value that is missing.
    needed_by
        The keys that led to it, from the one asked for down to the one that needs it directly.

    >>> print(MissingDependencyError("db", ("app", "users")))
    'db' is needed by 'users' (for 'app'), and nothing provides it; \
declare it with provides('db') or pass Dependency('db', a function)
    """

    def __init__(self, key: Hashable, needed_by: tuple[Hashable, ...] = ()) -> None:
        self.key = key
        self.needed_by = needed_by
        super().__init__(key, needed_by)

    def __str__(self) -> str:
        what, function = f"nothing provides {self.key!r}", "a function that computes it"
        if self.needed_by:
            origin = f" (for {self.needed_by[0]!r})" if len(self.needed_by) > 1 else ""
            user = f"{self.needed_by[-1]!r}{origin}"
            what = f"{self.key!r} is needed by {user}, and nothing provides it"
            function = f"Dependency({self.key!r}, a function)"
        return f"{what}; declare it with provides({self.key!r}) or pass {function}"


def checked_list(key: Hashable, dependencies: Iterable[Any]) -> tuple[Dependency, ...]:
    """Read the dependencies of ``key``, in all the forms that ``resolve`` allows."""
    if isinstance(dependencies, (str, bytes, Mapping, Dependency)):
        raise TypeError(
            f"dependencies of {key!r} must be a list of them, not the single {dependencies!r}; "
            "put it into brackets"
        )
    if not isinstance(dependencies, Iterable):
        raise TypeError(
            f"dependencies of {key!r} must be a list, not {dependencies!r}; "
            "leave it out if there are none"
        )
    return tuple(map(_checked, dependencies))


def _checked(spec: Any) -> Dependency:
    """Read one dependency; a form we do not know is a key."""
    if isinstance(spec, Mapping):
        if not {"key"} <= spec.keys() <= {*Dependency._fields}:
            raise TypeError(f"a dependency has key, resolver and dependencies, and {spec!r} not")
        found = Dependency(**spec)
    elif hasattr(spec, "key") and hasattr(spec, "resolver"):
        found = Dependency(spec.key, spec.resolver, getattr(spec, "dependencies", ()))
    elif (
        isinstance(spec, tuple)
        and len(spec) in (2, 3)
        and (callable(spec[1]) or inspect.iscoroutine(spec[1]))
    ):
        found = Dependency(*spec)
    else:
        found = Dependency(spec)
    check_hashable(found.key)
    if found.resolver is not None:
        check_function(found.key, found.resolver)
    return found


def check_number(
    name: str, value: object, kind: type | tuple[type, ...], least: int, words: tuple[str, str]
) -> None:
    """Refuse a setting that is neither None nor such a number."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{name} must be {words[0]} or None, not {value!r}")
    if not value >= least:  # type: ignore[operator]  # NaN compares false
        raise ValueError(f"{name} must be {words[1]} or more, not {value!r}")


def check_hashable(key: Hashable) -> None:
    """Refuse what cannot be a key."""
    try:
        hash(key)
    except TypeError:
        raise TypeError(
            f"a key must be hashable, and {key!r} is not; use a string or a tuple"
        ) from None


def check_function(key: Hashable, thing: object) -> None:
    """Refuse what cannot be called to compute ``key``."""
    if callable(thing):
        return
    if not inspect.iscoroutine(thing):
        raise TypeError(f"{key!r} must be computed by a function, not {thing!r}")
    _drop(thing)
    raise TypeError(
        f"{key!r} was given the coroutine {thing.__qualname__}() instead of a function that "
        f"can be called when it is needed; write lambda: {thing.__name__}(...)"
    )


def not_awaited(key: Hashable, result: CoroutineType[Any, Any, Any]) -> TypeError:
    """Say that a coroutine came where the value should be."""
    _drop(result)
    return TypeError(
        f"the function for {key!r} returned the coroutine {result.__qualname__}() instead of its "
        f"result; write return await {result.__name__}(...)"
    )


def _drop(coroutine: CoroutineType[Any, Any, Any]) -> None:
    """Close a coroutine nobody will await; one that has begun belongs to somebody."""
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()
