"""Refuse an operation that would end up waiting for itself, and show what waits for what.

A circle of operations is hard to see because no single place in the code holds it: each function
knows only whom it calls. The tracker knows the whole picture. Every operation is announced under
an id; what it waits for is partly declared and partly learned, since an operation started inside
another is taken to be waited for by it. When a new operation would close a circle of any length,
it is refused before its first line runs, and the error names the circle.

Three decisions to know about:

**The nodes are ids.** An id may run many times at once, and whoever waits for it may be waiting for
any of those runs: they may share one in-flight result, or one lock. So an edge belongs to the id.
Two runs of A side by side are no circle; A inside A is one; and A inside B while another task has B
inside A is one too, the circle that appears only under load.

**Starting is taken for waiting.** The edge from the outer operation to the inner one stands while
both run. When the outer one ends first, the inner one counts for the next operation round it that
still runs. Work that nobody waits for says so: ``track_operation(..., detached=True)``.

**A dependency need not be running.** Its edge is kept all the same, so the operation that closes
the circle later is refused, whichever comes first.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from types import CoroutineType
from typing import Any, TypeVar

from deadlock_lab.patterns._acyclic import Node, connect, disconnect
from deadlock_lab.patterns.errors import CircularDependencyError

__all__ = ["ActiveOperation", "AsyncDependencyTracker", "TrackerSnapshot"]

T = TypeVar("T")

_WIDEST = 60  # how far a drawing may be indented before it goes on at the margin


@dataclass(frozen=True, slots=True)
class ActiveOperation:
    """An id that is running now.

    Parameters
    ----------
    ages
        For each of its runs the seconds since it started, oldest first.
    waits_for
        The ids it waits for, declared or learned, running or not.
    """

    ages: tuple[float, ...]
    waits_for: tuple[Hashable, ...]

    @property
    def age(self) -> float:
        """Seconds since the oldest of its runs started."""
        return self.ages[0]

    @property
    def count(self) -> int:
        """How many times it is running."""
        return len(self.ages)


class AsyncDependencyTracker:
    """Runs operations under ids, and refuses the one that would close a circle.

    The cost of the check depends on what lies behind the new operation, not on how many others
    are active: see ``_acyclic.py`` for the algorithm and its sources. A tracker is not bound to an
    event loop, but it is not thread-safe: keep one per thread.

    >>> tracker = AsyncDependencyTracker()
    >>> async def process(user):
    ...     return await tracker.track_operation(f"process-{user}", lambda: audit(user))
    >>> async def audit(user):
    ...     return await tracker.track_operation(f"audit-{user}", lambda: process(user))
    >>> asyncio.run(process(7))
    Traceback (most recent call last):
    ...
    deadlock_lab.patterns.errors.CircularDependencyError: circular dependency: process-7 → \
audit-7 → process-7; do not start or await 'process-7' from inside what it waits for
    >>> tracker.active_operations
    {}
    """

    def __init__(self) -> None:
        self._ids: dict[Hashable, _Id] = {}
        # One for each tracker, so that trackers do not see each other's operations. It is unset
        # again when the outermost operation ends, so a context keeps no tracker alive.
        self._innermost: ContextVar[_Run | None] = ContextVar("innermost operation", default=None)

    async def track_operation(
        self,
        operation_id: Hashable,
        operation: Callable[[], Awaitable[T]],
        dependencies: Iterable[Hashable] = (),
        *,
        detached: bool = False,
    ) -> T:
        """Run ``operation`` under an id, unless that would close a circle.

        Parameters
        ----------
        operation_id
            What the operation is called; any hashable value. It may be running already.
        operation
            A function without parameters that returns an awaitable: ``lambda: fetch(7)``.
        dependencies
            Ids it will wait for, besides the operations started inside it.
        detached
            True when the operation it is started in does not wait for it.

        Returns
        -------
        T
            What the operation returns; what it raises passes through unchanged.

        Raises
        ------
        CircularDependencyError
            If it would wait for itself, directly or through others. It has not been started.
        TypeError
            If ``operation`` is not such a function or returns a coroutine nobody awaited, an id is
            not hashable, or ``dependencies`` is one string.

        >>> async def fetch():
        ...     return "Ada"
        >>> async def main():
        ...     tracker = AsyncDependencyTracker()
        ...     return await tracker.track_operation("fetch-user-7", fetch, ["db"])
        >>> asyncio.run(main())
        'Ada'
        """
        if not callable(operation):
            raise _not_a_function(operation_id, operation)
        run = self._begin(operation_id, dependencies, detached=detached)
        token = self._innermost.set(run)
        try:
            awaitable = operation()
            if not inspect.isawaitable(awaitable):
                raise _not_awaitable(operation_id, awaitable)
            result = await awaitable
            if inspect.iscoroutine(result):
                raise _not_awaited(operation_id, result)
            return result
        finally:
            self._end(run)
            # A generator closed from elsewhere ends in another context. Leaving the variable set
            # is harmless there: a run that has ended is passed over.
            with suppress(ValueError):
                self._innermost.reset(token)

    def would_create_cycle(
        self, operation_id: Hashable, dependencies: Iterable[Hashable] = ()
    ) -> tuple[Hashable, ...]:
        """Tell what ``track_operation`` would say to this operation, here and now.

        Parameters
        ----------
        operation_id
            What the operation would be called.
        dependencies
            The ids it would declare. The operation in which the question is asked counts too.

        Returns
        -------
        tuple
            The circle, beginning and ending with ``operation_id``; empty when there is none.

        Raises
        ------
        TypeError
            If an id is not hashable, or ``dependencies`` is one string.

        >>> async def main():
        ...     tracker = AsyncDependencyTracker()
        ...     async def ask():
        ...         return [tracker.would_create_cycle(x, ["A"]) for x in "ABC"]
        ...     return await tracker.track_operation("A", ask, ["B"])
        >>> asyncio.run(main())
        [('A', 'A'), ('B', 'A', 'B'), ('C', 'A', 'C')]
        """
        node, waited = self._nodes(operation_id, dependencies)
        outer = self._outer()
        cycle = self._draw(node, waited, outer)
        if not cycle:
            self._erase(node, waited, outer)
        self._forget(node, *waited)
        return cycle

    @property
    def active_operations(self) -> dict[Hashable, ActiveOperation]:
        """What is running now, by id, in the order they became known: a copy, made when asked for.

        >>> async def main():
        ...     tracker = AsyncDependencyTracker()
        ...     async def look():
        ...         return tracker.active_operations["report"]
        ...     operation = await tracker.track_operation("report", look, ["db"])
        ...     return operation.count, operation.age < 1, operation.waits_for
        >>> asyncio.run(main())
        (1, True, ('db',))
        """
        return {
            name: ActiveOperation(
                ages=tuple(run.age() for run in node.runs),
                waits_for=tuple(waited.name for waited in node.waits_for),
            )
            for name, node in self._ids.items()
            if node.runs
        }

    @property
    def dependency_graph(self) -> dict[Hashable, tuple[Hashable, ...]]:
        """Every running id with the ids it waits for: a copy, and never a cyclic one.

        >>> AsyncDependencyTracker().dependency_graph
        {}
        """
        return {name: active.waits_for for name, active in self.active_operations.items()}

    def snapshot(self) -> TrackerSnapshot:
        """Keep this moment, to be looked at or drawn later.

        Returns
        -------
        TrackerSnapshot
            Plain data: ``print`` it, or ask it for ``to_mermaid()``.

        >>> print(AsyncDependencyTracker().snapshot())
        no operation is running
        """
        return TrackerSnapshot(self.active_operations)

    def _begin(
        self, operation_id: Hashable, dependencies: Iterable[Hashable], *, detached: bool
    ) -> _Run:
        loop = asyncio.get_running_loop()
        node, waited = self._nodes(operation_id, dependencies)
        outer = None if detached else self._outer()
        cycle = self._draw(node, waited, outer)
        if cycle:
            self._forget(node, *waited)
            raise CircularDependencyError(
                cycle,
                hint=f"do not start or await {operation_id!r} from inside what it waits for",
            )
        run = _Run(node, waited, outer, loop)
        node.runs[run] = None
        if outer is not None:
            outer.inner[run] = None
        return run

    def _end(self, run: _Run) -> None:
        run.running = False
        del run.node.runs[run]
        for inner in run.inner:
            self._hand_over(inner, run)
        run.inner.clear()
        self._erase(run.node, run.waited, run.outer)
        if run.outer is not None:
            del run.outer.inner[run]
        self._forget(run.node, *run.waited)

    def _hand_over(self, inner: _Run, ended: _Run) -> None:
        """Let ``inner``, which outlives the run it began in, count for the one round that."""
        inner.outer = ended.outer
        if ended.outer is not None:
            ended.outer.inner[inner] = None
            connect(ended.outer.node, inner.node)  # closes nothing: it shortens two edges
        disconnect(ended.node, inner.node)

    def _outer(self) -> _Run | None:
        """Find the innermost operation round the caller that still runs."""
        run = self._innermost.get()
        while run is not None and not run.running:
            run = run.outer
        return run

    def _nodes(
        self, operation_id: Hashable, dependencies: Iterable[Hashable]
    ) -> tuple[_Id, list[_Id]]:
        if isinstance(dependencies, (str, bytes)):
            raise TypeError(
                f"dependencies of {operation_id!r} must be a collection of ids, not the one "
                f"string {dependencies!r}; write [{dependencies!r}]"
            )
        if not isinstance(dependencies, Iterable):
            raise TypeError(
                f"dependencies of {operation_id!r} must be a collection of ids, "
                f"not {dependencies!r}; leave it out if there are none"
            )
        names = dict.fromkeys(_hashable(name) for name in dependencies)
        return self._node(_hashable(operation_id)), [self._node(name) for name in names]

    def _node(self, name: Hashable) -> _Id:
        node = self._ids.get(name)
        if node is None:
            node = self._ids[name] = _Id(name)
        return node

    def _draw(self, node: _Id, waited: list[_Id], outer: _Run | None) -> tuple[Hashable, ...]:
        """Draw the edges of a new run, all of them or none; return the cycle in the way."""
        edges = [(node, other) for other in waited]
        if outer is not None:
            edges.append((outer.node, node))
        for drawn, (waiter, other) in enumerate(edges):
            cycle = connect(waiter, other)
            if cycle:
                for edge in edges[:drawn]:
                    disconnect(*edge)
                return _from(node, cycle)
        return ()

    def _erase(self, node: _Id, waited: list[_Id], outer: _Run | None) -> None:
        for other in waited:
            disconnect(node, other)
        if outer is not None:
            disconnect(outer.node, node)

    def _forget(self, *nodes: _Id) -> None:
        for node in nodes:
            if not node.runs and not node.waiters:
                self._ids.pop(node.name, None)


@dataclass(frozen=True, slots=True)
class TrackerSnapshot:
    """What an ``AsyncDependencyTracker`` saw at one moment.

    Parameters
    ----------
    operations
        The running ids; what they wait for is among them, or is not running.

    ``str`` draws the waits as a forest, with each operation under those that wait for it:

    >>> print(TrackerSnapshot({
    ...     "report": ActiveOperation((2.0,), ("users", "orders")),
    ...     "users": ActiveOperation((1.5, 0.25), ("db",)),
    ...     "orders": ActiveOperation((1.0,), ("db",)),
    ... }))
    report  2.00 s
    ├─ users  ×2, oldest 1.50 s
    │  └─ db  not running
    └─ orders  1.00 s
       └─ db  not running
    """

    operations: Mapping[Hashable, ActiveOperation]

    @property
    def edges(self) -> tuple[tuple[Hashable, Hashable], ...]:
        """Every wait, as a pair of ids: who waits, and for what."""
        return tuple(
            (name, waited)
            for name, active in self.operations.items()
            for waited in active.waits_for
        )

    @property
    def nodes(self) -> tuple[Hashable, ...]:
        """Every id, the running ones first."""
        return tuple(dict.fromkeys((*self.operations, *(waited for _, waited in self.edges))))

    def to_mermaid(self) -> str:
        """Write the graph in Mermaid's language, which wikis and notebooks draw.

        Returns
        -------
        str
            A flowchart; an id that is not running has a dashed border.

        >>> print(TrackerSnapshot({"users": ActiveOperation((1.5,), ("db",))}).to_mermaid())
        flowchart LR
            n0["users  1.50 s"]
            n1["db  not running"]:::idle
            n0 --> n1
            classDef idle stroke-dasharray: 4
        """
        number = {name: index for index, name in enumerate(self.nodes)}
        lines = ["flowchart LR"]
        for name, index in number.items():
            idle = "" if name in self.operations else ":::idle"
            lines.append(f'    n{index}["{_escaped(self._label(name))}"]{idle}')
        lines += [f"    n{number[waiter]} --> n{number[waited]}" for waiter, waited in self.edges]
        return "\n".join([*lines, "    classDef idle stroke-dasharray: 4"])

    def __str__(self) -> str:
        return "\n".join(self._forest()) or "no operation is running"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Let a notebook that knows Mermaid draw the graph, and any other show the text."""
        bundle = {"text/plain": str(self)}
        return bundle | {"text/vnd.mermaid": self.to_mermaid()} if self.operations else bundle

    def _forest(self) -> Iterator[str]:
        """Yield a line for each place in the forest. A stack of our own: it may be very deep."""
        waited_for = {waited for _, waited in self.edges}
        roots = deque(name for name in self.operations if name not in waited_for)
        seen: set[Hashable] = set()
        while roots:
            stack = [(roots.popleft(), "", "")]
            while stack:
                name, branch, indent = stack.pop()
                below = self.operations[name].waits_for if name in self.operations else ()
                note = ""
                if below and name in seen:
                    note = "  (see above)"
                elif below and len(indent) > _WIDEST:
                    note = "  (see below)"
                    roots.append(name)
                else:
                    seen.add(name)
                    stack.extend(reversed(list(_branches(below, indent))))
                yield f"{branch}{self._label(name)}{note}"

    def _label(self, name: Hashable) -> str:
        text = name if isinstance(name, str) else repr(name)
        active = self.operations.get(name)
        if active is None:
            return f"{text}  not running"
        if active.count == 1:
            return f"{text}  {active.age:.2f} s"
        return f"{text}  ×{active.count}, oldest {active.age:.2f} s"


class _Id(Node):
    """An id that runs or is waited for, with the runs it has now."""

    __slots__ = ("name", "runs")

    def __init__(self, name: Hashable) -> None:
        super().__init__()
        self.name = name
        self.runs: dict[_Run, None] = {}


class _Run:
    """One run of an operation, from its start to its end."""

    __slots__ = ("inner", "loop", "node", "outer", "running", "started", "waited")

    def __init__(
        self, node: _Id, waited: list[_Id], outer: _Run | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.node = node
        self.waited = waited
        self.outer = outer
        self.inner: dict[_Run, None] = {}
        self.loop = loop
        self.started = loop.time()
        self.running = True

    def age(self) -> float:
        return self.loop.time() - self.started


def _from(node: _Id, cycle: list[_Id]) -> tuple[Hashable, ...]:
    """Name the members of the cycle, turned to begin with ``node``: every new edge touches it."""
    start = cycle.index(node)
    turned = cycle[start:-1] + cycle[:start]
    return tuple(member.name for member in (*turned, node))


def _branches(names: tuple[Hashable, ...], indent: str) -> Iterator[tuple[Hashable, str, str]]:
    for position, name in enumerate(names, start=1):
        last = position == len(names)
        yield name, indent + ("└─ " if last else "├─ "), indent + ("   " if last else "│  ")


def _escaped(label: str) -> str:
    """Spell what a quoted Mermaid label would misread as Mermaid's own character codes."""
    return re.sub(r'[#&<>"\n]', lambda found: f"#{ord(found[0])};", label)


def _hashable(name: Hashable) -> Hashable:
    try:
        hash(name)
    except TypeError:
        raise TypeError(
            f"an operation's id must be hashable, and {name!r} is not; use a string or a tuple"
        ) from None
    return name


def _not_a_function(operation_id: Hashable, thing: object) -> TypeError:
    """Say so, and close a coroutine that came instead: nobody will ever await it."""
    if inspect.iscoroutine(thing):
        _drop(thing)
        return TypeError(
            f"operation {operation_id!r} was given the coroutine {thing.__qualname__}() instead of "
            f"a function, so it could not be refused before it exists; "
            f"write lambda: {thing.__name__}(...)"
        )
    return TypeError(
        f"operation {operation_id!r} must be a function that returns an awaitable, not {thing!r}"
    )


def _not_awaitable(operation_id: Hashable, result: object) -> TypeError:
    return TypeError(
        f"operation {operation_id!r} must return an awaitable, and returned {result!r}; "
        "make it an async function"
    )


def _not_awaited(operation_id: Hashable, result: CoroutineType[Any, Any, Any]) -> TypeError:
    _drop(result)
    return TypeError(
        f"operation {operation_id!r} returned the coroutine {result.__qualname__}() instead of its "
        f"result; write return await {result.__name__}(...)"
    )


def _drop(coroutine: CoroutineType[Any, Any, Any]) -> None:
    """Close a coroutine nobody will await; one that has begun belongs to somebody."""
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()
