"""A re-entry guard: work that would come back to itself is told so, and nothing else is.

Passing one shared set of "keys in progress" down the calls stops a circle, and also stops work
that is innocent: a diamond (1 asks 2 and 3, both ask 4) visits 4 twice without any circle, and a
set used for a second request remembers the first. What decides is not *who is at work* but *who is
waiting for me*: the path of ancestors. Each call must see its own path, so the path is immutable
and calls that run side by side cannot spoil each other's.

Two forms:

* `Path`, handed down by hand as one more argument;
* `guard`, a decorator which hands the path down by itself, in a context variable. Tasks, task
  groups and ``gather`` copy the context of whoever starts them, so the path crosses them.

How it stays cheap on deep paths. A path is a linked list that shares its tail with its siblings',
so that entering copies nothing. Looking a key up would still walk the whole list; so each link
also carries a Bloom filter (B. H. Bloom, "Space/time trade-offs in hash coding with allowable
errors", CACM 13(7), 1970) of the keys from itself outwards, one integer with one bit per hash. A
clear bit proves that the key is new, which is the answer to nearly every question. A set bit is
settled by walking, no further out than the bit is set.
"""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable, Coroutine, Hashable, Iterator
from contextvars import ContextVar
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar, overload

from deadlock_lab.patterns.errors import CircularDependencyError

__all__ = ["GuardedCall", "Path", "guard"]

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F")

# 4,096 bits are 560 bytes a link. At 100 ancestors one new key in forty takes the walk; at 1,000
# one in five does, and a call then costs 8 µs on average instead of 1.
_FILTER_BITS: Final = 4096
_BITS: Final = tuple(1 << position for position in range(_FILTER_BITS))
_MASK: Final = _FILTER_BITS - 1


class Path:
    """The keys of a piece of work and of everyone who waits for it, outermost first. Immutable.

    ``Path()`` is the empty path, where a request begins. Hand the path that `enter` returns to
    whatever the work calls. ``key in path``, ``len(path)`` and iteration work as for a tuple.

    >>> async def process(user, path=Path()):
    ...     path = path.enter(user)
    ...     for other in {1: [2, 3], 2: [4], 3: [4], 4: [], 5: [6], 6: [5]}[user]:
    ...         await process(other, path)
    ...     return "done"
    >>> import asyncio
    >>> asyncio.run(process(1))  # a diamond: 4 is visited twice, and no circle
    'done'
    >>> asyncio.run(process(5))
    Traceback (most recent call last):
    deadlock_lab.patterns.errors.CircularDependencyError: circular dependency: 5 → 6 → 5; ...
    """

    __slots__ = ("_filter", "_key", "_outer", "_over")

    _filter: int
    _key: Hashable
    _outer: Path | None  # None for the empty path, and for no other
    _over: bool  # set by `guard`, which sees its calls end; an ended call waits for nobody

    def __init__(self) -> None:
        self._filter = 0
        self._key = None
        self._outer = None
        self._over = False

    def enter(self, key: Hashable) -> Path:
        """Return this path with one more key at its inner end.

        Parameters
        ----------
        key
            Names the work that begins: any hashable value, compared by ``==``.

        Raises
        ------
        CircularDependencyError
            If the key is on the path already. Its ``cycle`` runs from there back to the key.
        TypeError
            If the key is not hashable.

        >>> Path().enter("A").enter("B")
        Path('A' → 'B')
        """
        bit = _bit_of(key)
        if self._has(key, bit):
            raise CircularDependencyError(self.cycle_to(key), hint=_HINT)
        return self._extend(key, bit)

    def cycle_to(self, key: Hashable) -> tuple[Hashable, ...]:
        """Return the circle that entering ``key`` would close, or ``()`` if it would close none.

        >>> Path().enter("A").enter("B").enter("C").cycle_to("B")
        ('B', 'C', 'B')
        """
        keys = tuple(self)
        return (*keys[keys.index(key) :], key) if key in keys else ()

    def __contains__(self, key: Hashable) -> bool:
        return self._has(key, _bit_of(key))

    def __iter__(self) -> Iterator[Hashable]:
        return reversed([link._key for link in self._links()])

    def __len__(self) -> int:
        return sum(1 for _ in self._links())

    def __repr__(self) -> str:
        return f"Path({' → '.join(map(repr, self))})"

    def _links(self) -> Iterator[Path]:
        """Yield the links that still wait, innermost first."""
        link = self
        while link._outer is not None:
            if not link._over:
                yield link
            link = link._outer

    def _has(self, key: Hashable, bit: int) -> bool:
        link: Path | None = self
        while link is not None and link._filter & bit:
            if link._key == key and not link._over:
                return True
            link = link._outer
        return False

    def _extend(self, key: Hashable, bit: int) -> Path:
        outer = self._waiting()
        inner = Path.__new__(Path)
        inner._filter = outer._filter | bit
        inner._key = key
        inner._outer = outer
        inner._over = False
        return inner

    def _end(self) -> None:
        """Take this link out of the path of whoever still holds it.

        Its own outer link is replaced by one that waits: a task that starts the next one and ends,
        over and over, must not drag a list of its dead behind it.
        """
        self._over = True
        self._outer = self._waiting()

    def _waiting(self) -> Path:
        link = self
        while link._over and link._outer is not None:
            link = link._outer
        return link


_HINT: Final = "let one of them answer from what is there already, or stop asking"


def _bit_of(key: Hashable) -> int:
    try:
        return _BITS[hash(key) & _MASK]
    except TypeError as error:
        raise _unhashable("a path", key) from error


def _unhashable(who: str, key: object) -> TypeError:
    return TypeError(
        f"{who} needs a hashable key, and got {key!r} ({type(key).__name__}); "
        "use a string, a number, or a tuple of them"
    )


class GuardedCall(NamedTuple):
    """A call of a guarded function, as it stands in `CircularDependencyError.cycle`.

    Where the guard has a key function, ``arguments`` holds the one key; else, the arguments.

    >>> GuardedCall("process_user_data", (42,))
    process_user_data(42)
    """

    function: str
    arguments: tuple[Hashable, ...]
    keywords: tuple[tuple[str, Hashable], ...] = ()

    def __repr__(self) -> str:
        shown = [repr(value) for value in self.arguments]
        shown += [f"{name}={value!r}" for name, value in self.keywords]
        return f"{self.function}({', '.join(shown)})"


class _Raise(enum.Enum):
    """What stands for "no fallback was given", since ``None`` may be one."""

    ERROR = enum.auto()


_path: ContextVar[Path] = ContextVar("deadlock_lab_guard_path", default=Path())  # noqa: B039


@overload
def guard(
    *, key: Callable[P, Hashable] | None = None
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]: ...
@overload
def guard(
    *,
    key: Callable[P, Hashable] | None = None,
    fallback: F | Callable[[CircularDependencyError], F],
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R | F]]]: ...
def guard(
    *, key: Callable[P, Hashable] | None = None, fallback: object = _Raise.ERROR
) -> Callable[[Callable[P, Coroutine[Any, Any, Any]]], Callable[P, Coroutine[Any, Any, Any]]]:
    """Decorate an async function so that a call that waits for itself is an error.

    A call is inside another if that one's body led to it: by ``await``, through tasks, task
    groups or ``gather``. It closes a circle if the same function is at work with the same key
    further out. Calls side by side, one after the other, or in different requests never do.

    A call that has ended waits for nobody, so a task left behind by it is free to call it again.
    A task that nobody awaits still counts as inside while its starter runs, because its starter
    may yet await it. To begin afresh, start it with ``context=contextvars.Context()``.

    Parameters
    ----------
    key
        Called with the arguments of the call; what it returns (any hashable value) says which
        work it is. Without it, all arguments together are the key, as they are written: ``f(1)``
        and ``f(user=1)`` are two. For a method, ``self`` is among them: return it too if two
        instances are not to be confused.
    fallback
        What a call that closes a circle returns instead of raising: a value, or a function of the
        error which makes it.

    Returns
    -------
    A decorator. The function it makes has the signature of the one it is given.

    Raises
    ------
    TypeError
        At decoration, if the function is not ``async def``, or if ``key`` or ``fallback`` is; when
        awaited, if the key is not hashable.
    CircularDependencyError
        From the call that closes the circle, when awaited and without a fallback. Its ``cycle``
        is made of `GuardedCall`.

    >>> import asyncio
    >>> @guard(key=lambda user: user)
    ... async def process(user):
    ...     return await asyncio.gather(audit(user), asyncio.sleep(0))
    >>> @guard()
    ... async def audit(user):
    ...     return await process(user)
    >>> asyncio.run(process(42))
    Traceback (most recent call last):
    deadlock_lab.patterns.errors.CircularDependencyError: circular dependency: process(42) → ...
    """
    if key is not None:
        _check_plain("key", key)
    if callable(fallback):
        _check_plain("fallback", fallback)

    def decorate(
        function: Callable[P, Coroutine[Any, Any, Any]],
    ) -> Callable[P, Coroutine[Any, Any, Any]]:
        return _guarded(function, key, fallback)

    return decorate


def _check_plain(role: str, given: object) -> None:
    if not callable(given):
        raise TypeError(f"{role} must be a function; got {given!r} ({type(given).__name__})")
    if inspect.iscoroutinefunction(given):
        raise TypeError(f"{role} must be a plain function, and {_name_of(given)} is async")


def _guarded(
    function: Callable[P, Coroutine[Any, Any, Any]],
    key: Callable[P, Hashable] | None,
    fallback: object,
) -> Callable[P, Coroutine[Any, Any, Any]]:
    if not inspect.iscoroutinefunction(function):
        raise TypeError(
            f"guard decorates an async function, and {_name_of(function)} is not one; "
            "write `async def`, and put guard() under @staticmethod and the like"
        )
    name = _name_of(function)
    node_of = _node_maker(_Function(name), key)

    @functools.wraps(function)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
        node = node_of(args, kwargs)
        try:
            bit = _BITS[hash(node) & _MASK]
        except TypeError as error:
            raise _unhashable(f"the guard on {name}", node[1:]) from error
        path = _path.get()
        if path._filter & bit and path._has(node, bit):
            return _answer(path.cycle_to(node), fallback)
        call = path._extend(node, bit)
        token = _path.set(call)
        try:
            return await function(*args, **kwargs)
        finally:
            call._end()
            try:  # noqa: SIM105 — suppress() costs as much as all of the guard
                _path.reset(token)
            except ValueError:
                pass  # an abandoned coroutine, closed by the collector in someone else's context

    return guarded


class _Function:
    """One guarded function. Equal to itself alone: two of one name are two."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


_Node = tuple[_Function, tuple[Hashable, ...], tuple[tuple[str, Hashable], ...]]


def _node_maker(
    function: _Function, key: Callable[..., Hashable] | None
) -> Callable[[tuple[Any, ...], dict[str, Any]], _Node]:
    if key is None:
        return lambda args, kwargs: (function, args, tuple(sorted(kwargs.items())))

    def node_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Node:
        try:
            return (function, (key(*args, **kwargs),), ())
        except Exception as error:
            error.add_note(f"raised by the key function of the guard on {function.name}")
            raise

    return node_of


def _answer(nodes: tuple[Any, ...], fallback: object) -> object:
    error = CircularDependencyError(
        [GuardedCall(function.name, args, kwargs) for function, args, kwargs in nodes], hint=_HINT
    )
    if fallback is _Raise.ERROR:
        raise error
    return fallback(error) if callable(fallback) else fallback


def _name_of(function: object) -> str:
    name = getattr(function, "__qualname__", None)
    return name.rpartition("<locals>.")[2] if isinstance(name, str) else repr(function)
