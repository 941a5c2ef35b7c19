"""Compute values that depend on each other: each once, in the right order, and never for ever.

Sharing one computation among all who ask for it is what makes a circle dangerous. Without sharing
it recurses and fails loudly; with sharing each party waits politely for the other, and nothing is
left to run. So this resolver knows who waits for whom, across all its callers, and turns the wait
that would close a circle into an error for everyone in it. ``_flight.py`` says how.

Decisions to know about:

- Whoever asks first for a key decides which function computes it; later callers share the value.
- A computation sees the context variables of the caller who started it.
- Asking is taken for waiting: a value asked for from inside a function, in whatever task, is one
  that this function waits for.
- A failure goes at once to everyone who waits, and is not cached. What only the failed one needed
  is cancelled, and gone before the failure is reported.
- A caller who is cancelled leaves the others' work alone; the last one takes the work along, and
  is held until that has ended.
- A value is as fresh as the oldest value it was made from. Work under way that is invalidated still
  answers those who asked before, is not cached, and is not shared with anybody new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from typing import Any, TypeVar, overload

from deadlock_lab.patterns._dependency import (
    Dependency,
    MissingDependencyError,
    check_function,
    check_hashable,
    check_number,
    checked_list,
)
from deadlock_lab.patterns._flight import Flight, Flights
from deadlock_lab.patterns.errors import CircularDependencyError

__all__ = ["AsyncResolver", "Dependency", "MissingDependencyError"]

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])
Recipe = tuple[Callable[..., Any], tuple[Dependency, ...]]  # a function and what it takes


class AsyncResolver:
    r"""Computes values by key: cached, shared while under way, and refusing every circle.

    A resolver belongs to the event loop that uses it. Another loop may take it over once nothing
    is under way; values that expire are then forgotten, since two loops' clocks cannot be
    compared. It is not thread-safe.

    Parameters
    ----------
    ttl
        Seconds, by the loop's clock, for which a value is kept; None keeps it until it is
        invalidated, and 0 shares computations without keeping their results.
    max_concurrent
        How many functions may run at once; None for no limit. One that waits for another value
        does not count while it waits.

    Raises
    ------
    TypeError, ValueError
        If ``ttl`` is not a number of at least 0, or ``max_concurrent`` not an int of at least 1.

    >>> resolver = AsyncResolver()
    >>> @resolver.provides("price")
    ... async def price():
    ...     return 40
    >>> @resolver.provides("total", depends_on=["price"])
    ... async def total(price):
    ...     return price + price // 20
    >>> asyncio.run(resolver.resolve("total"))
    42

    Two callers whose functions ask for each other both learn of it:

    >>> a = lambda: resolver.resolve("B", b)
    >>> b = lambda: resolver.resolve("A", a)
    >>> async def main():
    ...     both = resolver.resolve("A", a), resolver.resolve("B", b)
    ...     print(*await asyncio.gather(*both, return_exceptions=True), sep="\n")
    >>> asyncio.run(main())
    circular dependency: B → A → B; remove one of these dependencies
    circular dependency: B → A → B; remove one of these dependencies
    """

    def __init__(self, *, ttl: float | None = None, max_concurrent: int | None = None) -> None:
        check_number("ttl", ttl, (int, float), 0, ("a number of seconds", "0 seconds"))
        check_number("max_concurrent", max_concurrent, int, 1, ("a whole number", "1"))
        self._ttl = ttl
        self._limit = float("inf") if max_concurrent is None else max_concurrent
        self._recipes: dict[Hashable, Recipe] = {}
        self._cache: dict[Hashable, Flight] = {}
        self._pending: dict[Hashable, Flight] = {}
        self._flights: Flights | None = None

    # -- asking ----------------------------------------------------------------------------------

    @overload
    async def resolve(
        self, key: Hashable, resolver: Callable[..., Awaitable[T]], dependencies: Iterable[Any] = ()
    ) -> T: ...

    @overload
    async def resolve(
        self,
        key: Hashable,
        resolver: Callable[..., Any] | None = None,
        dependencies: Iterable[Any] = (),
    ) -> Any: ...

    async def resolve(
        self,
        key: Hashable,
        resolver: Callable[..., Any] | None = None,
        dependencies: Iterable[Any] = (),
    ) -> Any:
        """Return the value of ``key``: from the cache, from work under way, or from new work.

        Parameters
        ----------
        key
            The name of the value; any hashable one.
        resolver
            The function that computes it from the values of ``dependencies``, in their order: async
            or not. Leave it out for a key that is declared or known already.
        dependencies
            What must be there first; all are computed at once. Each is the key of a value declared
            or known already; or a ``Dependency``; or a tuple, mapping or object with the same parts
            (``key``, ``resolver`` and perhaps ``dependencies``).

        Returns
        -------
        object
            The value. Everyone gets the same object.

        Raises
        ------
        CircularDependencyError
            If the value depends on itself. Nothing waits: whoever is in the circle gets this.
        MissingDependencyError
            If nothing says how to compute a value that is needed. No function has run then.
        TypeError, ValueError
            If the parameters are not of this shape, or ``key`` is declared and a second function
            was passed; TypeError too if a function returned a coroutine that nobody awaited.
        RuntimeError
            If another event loop is using this resolver.

        >>> async def main():
        ...     user = Dependency("user", lambda: "Ada")
        ...     return await AsyncResolver().resolve("hello", lambda name: f"Hello {name}", [user])
        >>> asyncio.run(main())
        'Hello Ada'
        """
        try:
            known = self._kept(key)
        except TypeError:
            check_hashable(key)
            raise
        if resolver is not None:
            check_function(key, resolver)
        if known is not None and self._flights:
            owner = self._flights.owner()
            if owner is not None:
                owner.use(known)
            return known.value
        flights = self._on_this_loop()
        flight = self._pending.get(key)
        if flight is None:
            flight = self._launch(flights, Dependency(key, resolver, dependencies), keep=True)
        return await flights.join(flight)

    async def perform_resolution(
        self, key: Hashable, resolver: Callable[..., Any], dependencies: Iterable[Any] = ()
    ) -> Any:
        """Compute ``key`` once more, past the cache: neither kept nor shared.

        Parameters and errors are those of ``resolve``. The dependencies do come from the cache, and
        go there.

        Returns
        -------
        object
            The value.

        >>> resolver = AsyncResolver()
        >>> asyncio.run(resolver.perform_resolution("six", lambda: 6)), resolver.resolution_cache
        (6, {})
        """
        check_hashable(key)
        check_function(key, resolver)
        flights = self._on_this_loop()
        wanted = Dependency(key, resolver, dependencies)
        return await flights.join(self._launch(flights, wanted, keep=False))

    def provides(
        self, key: Hashable, *, depends_on: Iterable[Any] = ()
    ) -> Callable[[Function], Function]:
        """Declare that the decorated function computes ``key``.

        Parameters
        ----------
        key
            The name of the value; any hashable one.
        depends_on
            What its parameters are, in order; see ``dependencies`` of ``resolve``. The keys may be
            declared later.

        Returns
        -------
        Callable
            A decorator that returns its function unchanged.

        Raises
        ------
        TypeError, ValueError
            If these are not what they should be, or ``key`` is declared already.

        >>> resolver = AsyncResolver()
        >>> answer = resolver.provides("answer")(lambda: 42)
        >>> asyncio.run(resolver.resolve("answer"))
        42
        """
        check_hashable(key)
        needs = checked_list(key, depends_on)

        def declare(function: Function) -> Function:
            check_function(key, function)
            if key in self._recipes:
                raise ValueError(
                    f"{key!r} is provided by {self._recipes[key][0]!r} already; "
                    f"choose another key for {function!r}"
                )
            self._recipes[key] = function, needs
            return function

        return declare

    # -- looking and forgetting ------------------------------------------------------------------

    @property
    def resolution_cache(self) -> dict[Hashable, Any]:
        """The values that are kept, by key: a copy.

        >>> AsyncResolver().resolution_cache
        {}
        """
        now = self._flights.loop.time() if self._flights else 0.0
        return {key: known.value for key, known in self._cache.items() if known.expires > now}

    @property
    def pending_resolutions(self) -> dict[Hashable, tuple[Hashable, ...]]:
        """The keys being computed, each with the keys it is waiting for now: a copy.

        >>> AsyncResolver().pending_resolutions
        {}
        """
        return {
            key: tuple(need.key for need in flight.waits_for if not need.settled)
            for key, flight in self._pending.items()
        }

    def invalidate(self, key: Hashable, *, dependents: bool = True) -> tuple[Hashable, ...]:
        """Forget the value of ``key``; the next one who asks for it gets a new one.

        Parameters
        ----------
        key
            The value to forget; it need not be known.
        dependents
            Whether to forget what was made from it too, however indirectly.

        Returns
        -------
        tuple
            The keys that were forgotten, cached or under way.

        Raises
        ------
        TypeError
            If ``key`` is not hashable.

        >>> resolver = AsyncResolver()
        >>> asyncio.run(resolver.resolve("twice", lambda n: 2 * n, [("n", lambda: 21)]))
        42
        >>> resolver.invalidate("n")
        ('n', 'twice')
        """
        check_hashable(key)
        found = [store[key] for store in (self._cache, self._pending) if key in store]
        return tuple(dict.fromkeys(self._forget(found, dependents=dependents)))

    def clear(self) -> None:
        """Forget every value; work under way goes on for those who asked for it.

        >>> AsyncResolver().clear()
        """
        self._forget([*self._cache.values(), *self._pending.values()], dependents=False)

    def _forget(self, found: list[Flight], *, dependents: bool) -> list[Hashable]:
        forgotten: dict[Flight, None] = {}
        stack = found[::-1]
        while stack:
            flight = stack.pop()
            if flight in forgotten:
                continue
            forgotten[flight] = None
            if dependents:
                stack.extend(flight.dependents())
            flight.keep = False
            flight.unlink()
            for store in (self._cache, self._pending):
                if store.get(flight.key) is flight:  # or its key is somebody else's by now
                    del store[flight.key]
        return [flight.key for flight in forgotten]

    # -- keeping ---------------------------------------------------------------------------------

    def _kept(self, key: Hashable) -> Flight | None:
        known = self._cache.get(key)
        if known is None or self._ttl is None:
            return known
        loop = asyncio.get_running_loop()
        return known if loop is known.flights.loop and loop.time() < known.expires else None

    def _closed(self, flight: Flight) -> None:
        """Nobody may join this one any more: keep its value, if it has one."""
        if self._pending.get(flight.key) is flight:
            del self._pending[flight.key]
        if not flight.settled:
            return
        if flight.error is not None or not flight.keep:
            flight.unlink()
        elif self._ttl is None:
            self._cache[flight.key] = flight
        else:
            self._store(flight, self._ttl)

    def _store(self, flight: Flight, ttl: float) -> None:
        """Keep a value for a while, and forget what has expired, up to the first that has not.

        Values expire in the order they came, save that one may go earlier, with a part of it; that
        one is not served any more, and leaves when its turn comes. What is under way is spared:
        it will expire with its part, but those who share it go on sharing it.
        """
        now = asyncio.get_running_loop().time()
        flight.expires = min((now + ttl, *(part.expires for part in flight.parts)))
        if flight.key in self._cache:
            self._forget([self._cache[flight.key]], dependents=False)
        self._cache[flight.key] = flight
        while self._cache:
            oldest = next(iter(self._cache.values()))
            if oldest.expires > now:
                return
            self._forget([oldest], dependents=False)

    # -- planning --------------------------------------------------------------------------------

    def _on_this_loop(self) -> Flights:
        loop = asyncio.get_running_loop()
        flights = self._flights
        if flights is not None and flights.loop is loop:
            return flights
        if flights is not None and flights.aloft and not flights.loop.is_closed():
            raise RuntimeError(
                f"this resolver is computing {list(self._pending)!r} on another event loop; "
                "use one resolver for each loop"
            )
        self._pending.clear()  # what a closed loop left unfinished will never end
        if self._ttl is not None:
            self._cache.clear()
        self._flights = Flights(loop, self._limit, self._closed)
        return self._flights

    def _launch(self, flights: Flights, wanted: Dependency, *, keep: bool) -> Flight:
        """Start what is wanted and all it needs; all of it, or none if something is wrong."""
        planned = self._plan(wanted)
        planned[-1].keep = keep
        self._pending.update((flight.key, flight) for flight in planned if flight.keep)
        flights.launch(planned)
        return planned[-1]

    def _plan(self, wanted: Dependency) -> list[Flight]:
        """List what has to be computed, each value after its needs: a depth-first walk.

        Only values planned here can need each other in a circle here: those under way were walked
        when they were planned.
        """
        planned: list[Flight] = []
        path: dict[Flight, Iterator[Dependency]] = {}
        made = {wanted.key: self._enter(wanted, path)}
        while path:
            flight, specs = next(reversed(path.items()))
            for spec in specs:
                need = made.get(spec.key) or self._pending.get(spec.key) or self._kept(spec.key)
                if need is None:
                    made[spec.key] = self._enter(spec, path)
                    flight.needs.append(made[spec.key])
                    break
                if need in path:
                    circle = [member.key for member in path]
                    raise CircularDependencyError([*circle[circle.index(spec.key) :], spec.key])
                flight.needs.append(need)
            else:
                del path[flight]
                planned.append(flight)
        return planned

    def _enter(self, spec: Dependency, path: dict[Flight, Iterator[Dependency]]) -> Flight:
        function, needs = self._recipe(spec, path)
        flight = Flight(spec.key, function)
        path[flight] = iter(needs)
        return flight

    def _recipe(self, wanted: Dependency, path: Iterable[Flight]) -> Recipe:
        key, resolver, dependencies = wanted
        recipe = self._recipes.get(key)
        if resolver is None:
            if recipe is None:
                raise MissingDependencyError(key, tuple(asking.key for asking in path))
            if dependencies != () and checked_list(key, dependencies):
                raise ValueError(
                    f"{key!r} is declared with its dependencies; leave out {dependencies!r}"
                )
            return recipe
        if recipe is not None and resolver is not recipe[0]:
            raise ValueError(
                f"{key!r} is provided by {recipe[0]!r}; resolve it without a function, "
                f"or choose another key for {resolver!r}"
            )
        return resolver, checked_list(key, dependencies)
