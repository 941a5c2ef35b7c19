"""Compute values that depend on each other: each once, in the right order, and never for ever.

Sharing one computation among all who ask for it is what makes a circle dangerous. Without sharing
it recurses and fails loudly; with sharing each party waits politely for the other, and nothing is
left to run. So a resolver that shares has to know who waits for whom, across all its callers. This
one does, and turns the wait that would close a circle into an error for everyone in it.

How it works: a computation is a plain record that counts what it still waits for. When the count
reaches zero its function runs, in a task of its own; when that ends, the counts of those who asked
for it go down. No task ever awaits another one, so a chain of any depth can be run, failed and
cancelled without recursion: ``Task.cancel()`` calls itself once for each task down a chain of them.

Decisions to know about:

**The key names the value.** Whoever asks first for a key decides which function computes it; later
callers get that value, whatever function they brought. A key declared by ``provides`` cannot be
given another function.

**A caller's context.** A computation sees the context variables of the caller who started it.

**Asking is taken for waiting.** A value asked for from inside a function, in whatever task, is one
that this function waits for. A circle turns each wait along it into an error, so whoever can do
without the value decides so the same way whichever of them closed the circle.

**Failing and leaving.** A failure goes at once to everyone who waits for it and is not cached. What
only the failed one needed is cancelled, and gone before the failure is reported; what its function
still asks for in tasks that it left behind is cancelled too. A caller who is cancelled leaves the
others' work alone; the last one takes the work along, and is held until that has ended.

**Freshness.** A value is as fresh as the oldest value it was made from: it expires with it, and
``invalidate`` takes along whatever was made from the key. A computation under way that is hit by
this still answers those who asked before, is not cached, and is not shared with anybody new.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from itertools import pairwise
from types import CoroutineType, MappingProxyType
from typing import Any, NamedTuple, TypeVar, overload

from deadlock_lab.patterns._acyclic import Node, connect, disconnect
from deadlock_lab.patterns.errors import CircularDependencyError

__all__ = ["AsyncResolver", "Dependency", "MissingDependencyError"]

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])


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

    key: Hashable
    needed_by: tuple[Hashable, ...]

    def __init__(self, key: Hashable, needed_by: tuple[Hashable, ...] = ()) -> None:
        self.key = key
        self.needed_by = needed_by
        super().__init__(key, needed_by)

    def __str__(self) -> str:
        if not self.needed_by:
            return (
                f"nothing provides {self.key!r}; declare it with provides({self.key!r}) "
                "or pass a function that computes it"
            )
        origin = f" (for {self.needed_by[0]!r})" if len(self.needed_by) > 1 else ""
        return (
            f"{self.key!r} is needed by {self.needed_by[-1]!r}{origin}, and nothing provides it; "
            f"declare it with provides({self.key!r}) or pass Dependency({self.key!r}, a function)"
        )


class AsyncResolver:
    """Computes values by key: cached, shared while under way, and refusing every circle.

    A resolver belongs to the event loop that uses it. Another loop may take it over once nothing
    is under way; values that expire are then forgotten, since two loops' clocks cannot be
    compared. It is not thread-safe.

    Parameters
    ----------
    ttl
        Seconds, by the loop's clock, for which a value is kept; None keeps it until it is
        invalidated, and 0 shares computations without keeping their results.
    max_concurrent
        How many functions may run at once; None for no limit. One that waits for another value,
        be it declared or asked for from inside, does not count while it waits.

    Raises
    ------
    TypeError
        If ``ttl`` is not a number, or ``max_concurrent`` not an int.
    ValueError
        If ``ttl`` is negative or NaN, or ``max_concurrent`` less than 1.

    >>> resolver = AsyncResolver()
    >>> @resolver.provides("price")
    ... async def price():
    ...     return 40
    >>> @resolver.provides("total", depends_on=["price", "tax"])
    ... async def total(price, tax):
    ...     return price + tax
    >>> @resolver.provides("tax", depends_on=["price"])
    ... async def tax(price):
    ...     return price // 20
    >>> asyncio.run(resolver.resolve("total"))
    42
    >>> resolver.resolution_cache
    {'price': 40, 'tax': 2, 'total': 42}

    Two callers whose functions ask for each other both learn of it:

    >>> resolver = AsyncResolver()
    >>> async def main():
    ...     a = resolver.resolve("A", lambda: resolver.resolve("B", b))
    ...     b = lambda: resolver.resolve("A")
    ...     for error in await asyncio.gather(a, resolver.resolve("B", b), return_exceptions=True):
    ...         print(error)
    >>> asyncio.run(main())
    circular dependency: B → A → B; remove one of these dependencies
    circular dependency: B → A → B; remove one of these dependencies
    """

    def __init__(self, *, ttl: float | None = None, max_concurrent: int | None = None) -> None:
        self._ttl = _checked_ttl(ttl)
        self._limit = _checked_limit(max_concurrent)
        self._free = self._limit
        self._recipes: dict[Hashable, _Recipe] = {}
        self._cache: dict[Hashable, _Resolution] = {}
        self._pending: dict[Hashable, _Resolution] = {}
        self._unsettled = 0
        # What has to happen next is queued, not called: a chain of calls would be as deep as the
        # chain of dependencies.
        self._work: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._draining = False
        self._tasks: dict[asyncio.Task[Any], _Resolution] = {}
        self._ready: deque[_Resolution] = deque()
        self._resuming: deque[tuple[asyncio.Future[None], _Resolution]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        # One for each resolver: a task sees the innermost computation of this one alone.
        self._current: ContextVar[_Resolution | None] = ContextVar("resolution", default=None)

    # -- asking ----------------------------------------------------------------------------------

    @overload
    async def resolve(
        self,
        key: Hashable,
        resolver: Callable[..., Awaitable[T]],
        dependencies: Iterable[Any] = (),
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
            The function that computes it from the values of ``dependencies``, in their order. It
            may be async, return an awaitable, or return the value. Leave it out for a key that is
            declared or known already.
        dependencies
            What must be there first; all are computed at once. Each is the key of a value declared
            or known already; or a ``Dependency``; or a tuple, mapping or object that has the same
            parts (``key``, ``resolver`` and perhaps ``dependencies``).

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
        ...     resolver = AsyncResolver()
        ...     user = Dependency("user", lambda: "Ada")
        ...     return await resolver.resolve("greeting", lambda name: f"Hello {name}", [user])
        >>> asyncio.run(main())
        'Hello Ada'
        """
        try:
            known = self._cache.get(key)
        except TypeError:
            raise _unhashable(key) from None
        if resolver is not None and not callable(resolver):
            raise _not_a_function(key, resolver)
        if known is not None and self._fresh(known):
            owner = self._current.get()
            if owner is not None and not owner.settled:
                _use(owner, known)
            return known.value
        self._bind()
        pending = self._pending.get(key)
        if pending is None:
            pending = self._start(Dependency(key, resolver, dependencies), keep=True)
        return await self._wait_for(pending)

    async def perform_resolution(
        self, key: Hashable, resolver: Callable[..., Any], dependencies: Iterable[Any] = ()
    ) -> Any:
        """Compute ``key`` once more, past the cache: neither kept nor shared.

        Parameters
        ----------
        key, resolver, dependencies
            As for ``resolve``. The dependencies do come from the cache, and go there.

        Returns
        -------
        object
            The value.

        Raises
        ------
        Exception
            As ``resolve`` does.

        >>> async def main():
        ...     resolver = AsyncResolver()
        ...     print(await resolver.perform_resolution("six", lambda: 6))
        ...     return resolver.resolution_cache
        >>> asyncio.run(main())
        6
        {}
        """
        _check_hashable(key)
        if not callable(resolver):
            raise _not_a_function(key, resolver)
        self._bind()
        return await self._wait_for(
            self._start(Dependency(key, resolver, dependencies), keep=False)
        )

    # -- declaring -------------------------------------------------------------------------------

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
        TypeError
            If ``key`` is not hashable, ``depends_on`` is one string, or no function is decorated.
        ValueError
            If ``key`` is declared already.

        >>> resolver = AsyncResolver()
        >>> @resolver.provides("answer")
        ... def answer():
        ...     return 42
        >>> answer()
        42
        >>> asyncio.run(resolver.resolve("answer"))
        42
        """
        _check_hashable(key)
        needs = _checked_dependencies(key, depends_on)

        def declare(function: Function) -> Function:
            if not callable(function):
                raise _not_a_function(key, function)
            if key in self._recipes:
                raise ValueError(
                    f"{key!r} is provided by {self._recipes[key].resolver!r} already; "
                    f"choose another key for {function!r}"
                )
            self._recipes[key] = _Recipe(key, function, needs)
            return function

        return declare

    # -- looking and forgetting ------------------------------------------------------------------

    @property
    def resolution_cache(self) -> dict[Hashable, Any]:
        """The values that are kept, by key: a copy.

        >>> AsyncResolver().resolution_cache
        {}
        """
        # Before the first value there is no loop, and no clock to ask either.
        now = self._loop.time() if self._loop else 0.0
        return {key: known.value for key, known in self._cache.items() if known.expires > now}

    @property
    def pending_resolutions(self) -> dict[Hashable, tuple[Hashable, ...]]:
        """The keys being computed, each with the keys it is waiting for now: a copy.

        >>> AsyncResolver().pending_resolutions
        {}
        """
        return {
            key: tuple(need.key for need in pending.waits_for if not need.settled)
            for key, pending in self._pending.items()
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

        >>> async def main():
        ...     resolver = AsyncResolver()
        ...     await resolver.resolve("twice", lambda n: 2 * n, [Dependency("n", lambda: 21)])
        ...     return resolver.invalidate("n")
        >>> asyncio.run(main())
        ('n', 'twice')
        """
        _check_hashable(key)
        found = [store[key] for store in (self._cache, self._pending) if key in store]
        return tuple(dict.fromkeys(self._retire(found, dependents=dependents)))

    def clear(self) -> None:
        """Forget every value; work under way goes on for those who asked for it.

        >>> AsyncResolver().clear()
        """
        self._retire([*self._cache.values(), *self._pending.values()], dependents=True)

    def _retire(self, found: list[_Resolution], *, dependents: bool) -> list[Hashable]:
        retired: dict[_Resolution, None] = {}
        stack = found[::-1]
        while stack:
            resolution = stack.pop()
            if resolution in retired:
                continue
            retired[resolution] = None
            if dependents:
                stack.extend(resolution.made_from_it())
            resolution.keep = False
            _remove(self._cache, resolution)
            _remove(self._pending, resolution)
            resolution.unlink()
        return [resolution.key for resolution in retired]

    def _fresh(self, known: _Resolution) -> bool:
        if self._ttl is None:
            return True
        loop = asyncio.get_running_loop()
        return loop is self._loop and loop.time() < known.expires

    # -- planning --------------------------------------------------------------------------------

    def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            return
        if self._unsettled and self._loop is not None and not self._loop.is_closed():
            raise RuntimeError(
                f"this resolver is computing {list(self._pending)!r} on another event loop; "
                "use one resolver for each loop"
            )
        # Whatever a closed loop left unfinished will never end.
        for left_over in (self._pending, self._work, self._tasks, self._ready, self._resuming):
            left_over.clear()
        self._unsettled, self._free, self._loop = 0, self._limit, loop
        if self._ttl is not None:
            self._cache.clear()

    def _start(self, wanted: Dependency, *, keep: bool) -> _Resolution:
        """Enlist what is wanted and all it needs; all of it, or none if something is wrong."""
        planned = self._plan(wanted)
        planned[-1].keep = keep
        context = copy_context()
        for resolution in planned:
            self._enlist(resolution, context)
        return planned[-1]

    def _plan(self, wanted: Dependency) -> list[_Resolution]:
        """Make a record of each value that has to be computed, every one after its needs.

        A depth-first walk with a stack of its own. Only records made here can need each other in
        a circle here: those under way were walked when they were made.
        """
        root = self._make(wanted, ())
        made = {root.key: root}
        path = {root: None}
        walk = [iter(root.specs)]
        planned = []
        while path:
            resolution = next(reversed(path))
            for spec in walk[-1]:
                found = made.get(spec.key) or self._known(spec.key)
                if found is None:
                    found = made[spec.key] = self._make(spec, path)
                    resolution.waits_for[found] = 1
                    path[found] = None
                    walk.append(iter(found.specs))
                    break
                if found in path:
                    raise CircularDependencyError(_circle(found, path))
                resolution.waits_for[found] = 1
            else:
                del path[resolution]
                walk.pop()
                planned.append(resolution)
        return planned

    def _known(self, key: Hashable) -> _Resolution | None:
        found = self._pending.get(key)
        if found is None:
            found = self._cache.get(key)
            if found is not None and not self._fresh(found):
                return None
        return found

    def _make(self, wanted: Dependency, path: Iterable[_Resolution]) -> _Resolution:
        key, resolver, dependencies = wanted
        recipe = self._recipes.get(key)
        if resolver is None:
            if recipe is None:
                raise MissingDependencyError(key, tuple(asking.key for asking in path))
            if dependencies != () and _checked_dependencies(key, dependencies):
                raise ValueError(
                    f"{key!r} is declared with its dependencies; leave out {dependencies!r}"
                )
            return _Resolution(*recipe)
        if recipe is not None and resolver is not recipe.resolver:
            raise ValueError(
                f"{key!r} is provided by {recipe.resolver!r}; resolve it without a function, "
                f"or choose another key for {resolver!r}"
            )
        return _Resolution(key, resolver, _checked_dependencies(key, dependencies))

    def _enlist(self, resolution: _Resolution, context: Context) -> None:
        for need in resolution.waits_for:
            # What connect() does, for a node that nobody waits for yet: its rank can sink freely.
            need.waiters += 1
            need.users[resolution] = None
            if resolution.rank >= need.rank:
                resolution.rank = need.rank - 1
            if not need.settled:
                resolution.missing += 1
        resolution.context = context
        self._unsettled += 1
        if resolution.keep:
            self._pending[resolution.key] = resolution
        if not resolution.missing:
            self._ready.append(resolution)

    # -- waiting ---------------------------------------------------------------------------------

    async def _wait_for(self, resolution: _Resolution) -> Any:
        owner = self._current.get()
        if owner is None or owner.settled:
            return await self._ask(resolution, None)
        cycle = connect(owner, resolution)
        if cycle:
            raise self._break(cycle)
        self._rest(owner)
        try:
            value = await self._ask(resolution, owner)
        except Exception:
            _disuse(owner, resolution)
            await self._resume(owner)
            raise
        except BaseException:  # on its way out: not to be held up
            _disuse(owner, resolution)
            self._overdraw(owner)
            raise
        await self._resume(owner)
        return value

    async def _ask(self, resolution: _Resolution, owner: _Resolution | None) -> Any:
        waiter = asyncio.get_running_loop().create_future()
        resolution.ask(waiter, owner)
        try:
            self._drain()
            return await waiter
        except (Exception, asyncio.CancelledError):
            self._withdraw(resolution, waiter)
            if resolution.abandoned:
                await self._gone(resolution)
            raise
        finally:
            if owner is not None:
                owner.asking.pop(waiter, None)
            self._withdraw(resolution, waiter)

    def _withdraw(self, resolution: _Resolution, waiter: asyncio.Future[Any]) -> None:
        if waiter not in resolution.callers or waiter.get_loop().is_closed():
            return
        del resolution.callers[waiter]
        if not resolution.users and not resolution.callers:
            self._abandon(resolution)
            self._drain()

    async def _gone(self, resolution: _Resolution) -> None:
        """Wait for the end of work that nobody wants any more.

        It has been cancelled once. Further cancellations of the caller are not passed on, as in a
        TaskGroup: down a chain of callers, each would set off another wave of them.
        """
        while not resolution.settled:
            listener = asyncio.get_running_loop().create_future()
            resolution.ask(listener, None)
            with suppress(asyncio.CancelledError):
                await listener

    def _break(self, cycle: list[_Resolution]) -> CircularDependencyError:
        """Turn every wait along the cycle into an error; return the one for whoever closes it."""
        keys = tuple(member.key for member in cycle)
        for waiting, wanted in pairwise(cycle[1:]):
            # One error each, or they would share a traceback; but all share the tuple.
            error = CircularDependencyError(keys)
            if not waiting.begun:
                self._work.append((self._fail, (waiting, error)))
            for waiter in waiting.waiters_for(wanted):
                waiter.set_exception(error)
        if not cycle[1].users and not cycle[1].callers:  # it was planned for this wait alone
            self._abandon(cycle[1])
        self._drain()
        return CircularDependencyError(keys)

    # -- running ---------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Do all that can be done now. Not re-entrant: what comes up meanwhile is done here too."""
        if self._draining:
            return
        self._draining = True
        try:
            while True:
                if self._work:
                    step, arguments = self._work.popleft()
                    step(*arguments)
                elif self._free > 0 and self._resuming:
                    self._let_resume(*self._resuming.popleft())
                elif self._free > 0 and self._ready:
                    self._run(self._ready.popleft())
                else:
                    break
        except BaseException:  # a function raised KeyboardInterrupt; the others go on
            asyncio.get_running_loop().call_soon(self._drain)
            raise
        finally:
            self._draining = False

    def _let_resume(self, resume: asyncio.Future[None], owner: _Resolution) -> None:
        if not resume.done():
            if owner.resting == 1 and not owner.settled:
                self._occupy(owner)
            resume.set_result(None)

    def _occupy(self, resolution: _Resolution) -> None:
        resolution.holds_place = True
        self._free -= 1

    def _vacate(self, resolution: _Resolution) -> None:
        if resolution.holds_place:
            resolution.holds_place = False
            self._free += 1

    def _rest(self, owner: _Resolution) -> None:
        """Give up the owner's place while it waits for another value."""
        owner.resting += 1
        self._vacate(owner)

    async def _resume(self, owner: _Resolution) -> None:
        """Take a place again, before the owner's own code goes on."""
        if self._free > 0 or owner.resting > 1 or owner.settled:
            self._overdraw(owner)
            return
        resume = asyncio.get_running_loop().create_future()
        self._resuming.append((resume, owner))
        try:
            await resume
        finally:
            if owner.holds_place:
                owner.resting -= 1
            else:
                self._overdraw(owner)

    def _overdraw(self, owner: _Resolution) -> None:
        """Take a place even if none is free, unless others wait on the owner's behalf."""
        owner.resting -= 1
        if not owner.resting and not owner.settled and not owner.holds_place:
            self._occupy(owner)

    def _run(self, resolution: _Resolution) -> None:
        if resolution.begun:
            return
        resolution.begun = True
        self._occupy(resolution)
        context = resolution.context.copy()
        try:
            result = context.run(self._call, resolution)
        except BaseException as error:
            self._finish(resolution, error=_raisable(resolution.key, error))
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
        else:
            self._take(resolution, result, context)

    def _call(self, resolution: _Resolution) -> Any:
        self._current.set(resolution)
        return resolution.resolver(*resolution.arguments())

    def _take(self, resolution: _Resolution, result: Any, context: Context) -> None:
        """Take what the function returned: the value, or an awaitable that will be run."""
        if type(result) is not CoroutineType:
            if not inspect.isawaitable(result):
                self._finish(resolution, value=result)
                return
            result = _awaiting(result)
        loop = asyncio.get_running_loop()
        task = loop.create_task(result, name=f"resolve({resolution.key!r})", context=context)
        resolution.task = task
        self._tasks[task] = resolution
        if resolution.abandoned:  # an eager task may have led to that in its first step
            task.cancel()
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        resolution = self._tasks.pop(task)
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        value = None if error is not None else task.result()
        if isinstance(value, CoroutineType):
            error = _not_awaited(resolution.key, value)
        self._finish(resolution, value=value, error=error)
        self._drain()

    # -- ending ----------------------------------------------------------------------------------

    def _finish(
        self, resolution: _Resolution, *, value: Any = None, error: BaseException | None = None
    ) -> None:
        resolution.value, resolution.error = value, error
        self._settle(resolution)

    def _fail(self, resolution: _Resolution, error: BaseException) -> None:
        """Let a computation fail that has not begun, once what only it wanted is gone."""
        if resolution.begun:
            return
        if resolution.error is None:
            resolution.error = error
            _remove(self._pending, resolution)
            for need in [need for need in resolution.waits_for if not need.settled]:
                self._let_go(resolution, need)
        if not resolution.missing:
            self._settle(resolution)

    def _let_go(self, resolution: _Resolution, need: _Resolution) -> None:
        if len(need.users) + len(need.callers) == 1:
            self._abandon(need)  # and go on listening, to know when it is gone
        else:
            _disuse(resolution, need)
            resolution.missing -= 1

    def _abandon(self, resolution: _Resolution) -> None:
        """Stop work that nobody wants any more. It leaves at once, so that no one can join it."""
        if resolution.settled:
            return
        resolution.abandoned = True
        _remove(self._pending, resolution)
        if not resolution.begun:
            self._work.append((self._fail, (resolution, asyncio.CancelledError())))
        elif resolution.task is not None:
            resolution.task.cancel()

    def _settle(self, resolution: _Resolution) -> None:
        resolution.begun = resolution.settled = True
        self._unsettled -= 1
        if resolution.holds_place:
            self._vacate(resolution)
        _remove(self._pending, resolution)
        resolution.uses, resolution.waits_for = resolution.waits_for, _NOTHING
        if resolution.error is None and resolution.keep:
            self._store(resolution)
        else:
            resolution.unlink()
        resolution.context = _NO_CONTEXT
        resolution.task = None
        self._tell_users(resolution)
        if resolution.callers:
            self._tell_callers(resolution)
        if resolution.error is not None:
            # Its function may have left tasks behind that go on asking, as a failed gather() does.
            # Nobody wants their values, and kept alive they could ask each other for ever.
            for waiter in list(resolution.asking):
                waiter.cancel()

    def _store(self, resolution: _Resolution) -> None:
        expired = self._cache.pop(resolution.key, None)
        if expired is not None:
            expired.unlink()
        self._cache[resolution.key] = resolution
        if self._ttl is None:
            return
        now = asyncio.get_running_loop().time()
        parts = (need.expires for need in resolution.uses)
        resolution.expires = min((now + self._ttl, *parts))
        self._evict(now)

    def _evict(self, now: float) -> None:
        """Forget what has expired, up to the first value that has not.

        Values expire in the order they came, save that one may go earlier, with a part of it; that
        one is not served any more, and leaves when its turn comes. What is under way is spared:
        it will expire with its part, but those who share it go on sharing it.
        """
        while self._cache:
            oldest = next(iter(self._cache.values()))
            if oldest.expires > now:
                return
            self._retire([oldest], dependents=False)

    def _tell_users(self, resolution: _Resolution) -> None:
        for user in resolution.users:
            user.missing -= 1
            if resolution.error is not None:
                self._work.append((self._fail, (user, resolution.error)))
            elif user.error is not None:
                self._work.append((self._fail, (user, user.error)))
            elif not user.missing:
                self._ready.append(user)
        if resolution.error is not None:
            resolution.users.clear()

    def _tell_callers(self, resolution: _Resolution) -> None:
        for waiter, owner in resolution.callers.items():
            if owner is not None and not owner.settled and resolution.error is None:
                resolution.users[owner] = None
            if not waiter.done():
                _deliver(waiter, resolution)
        resolution.callers = _NOTHING


class _Recipe(NamedTuple):
    """A declared value: a dependency whose function is known and whose needs are checked."""

    key: Hashable
    resolver: Callable[..., Any]
    dependencies: tuple[Dependency, ...]


_NO_CONTEXT = Context()
_NOTHING: Any = MappingProxyType({})


class _Resolution(Node):
    """One computation, and afterwards the value that it left in the cache."""

    # Class attributes are the defaults: a record is made for each of many thousand values, and
    # most of them never need to say more than this.
    missing = 0  # how many it needs before it begins have not settled
    callers: dict[asyncio.Future[Any], _Resolution | None] = _NOTHING  # and where they asked
    asking: dict[asyncio.Future[Any], _Resolution] = _NOTHING  # waits inside its function
    uses: dict[_Resolution, int] = _NOTHING  # whose users it is among, once it has settled
    context = _NO_CONTEXT
    task: asyncio.Task[Any] | None = None
    value: Any = None
    error: BaseException | None = None
    expires = math.inf
    begun = False  # its function has been called, or never will be
    settled = False
    abandoned = False  # nobody wants it any more
    keep = True  # the value may go to the cache
    holds_place = False  # it counts against the limit
    resting = 0  # how many times it is waiting inside its function

    def __init__(
        self, key: Hashable, resolver: Callable[..., Any], specs: tuple[Dependency, ...]
    ) -> None:
        super().__init__()
        self.key = key
        self.resolver = resolver
        self.specs = specs
        # The computations that need it before they begin. Once it has settled: those that used it.
        self.users: dict[_Resolution, None] = {}

    def arguments(self) -> list[Any]:
        """Collect what its function is called with. Until it is, it waits for nothing else."""
        if len(self.specs) == len(self.waits_for):
            return [need.value for need in self.waits_for]
        values = {need.key: need.value for need in self.waits_for}  # one is named twice
        return [values[spec.key] for spec in self.specs]

    def ask(self, waiter: asyncio.Future[Any], owner: _Resolution | None) -> None:
        """Note down a future that waits for it, and the computation it was asked from."""
        self.callers = self.callers or {}
        self.callers[waiter] = owner
        if owner is not None:
            owner.asking = owner.asking or {}
            owner.asking[waiter] = self

    def made_from_it(self) -> Iterator[_Resolution]:
        """Yield those that use the value, or are about to."""
        yield from self.users
        yield from (owner for owner in self.callers.values() if owner is not None)

    def waiters_for(self, wanted: _Resolution) -> list[asyncio.Future[Any]]:
        """List the futures on which its function is waiting for that one."""
        return [
            waiter for waiter, asked in self.asking.items() if asked is wanted and not waiter.done()
        ]

    def unlink(self) -> None:
        """Take it off the lists of those it was made from."""
        for used in self.uses:
            used.users.pop(self, None)
        self.uses = _NOTHING


def _use(user: _Resolution, needed: _Resolution) -> None:
    connect(user, needed)
    needed.users[user] = None


def _disuse(user: _Resolution, needed: _Resolution) -> None:
    if needed in user.waits_for:
        disconnect(user, needed)
        if needed not in user.waits_for:
            needed.users.pop(user, None)


def _remove(store: dict[Hashable, _Resolution], resolution: _Resolution) -> None:
    """Remove it, unless its key is somebody else's by now."""
    if store.get(resolution.key) is resolution:
        del store[resolution.key]


def _deliver(waiter: asyncio.Future[Any], resolution: _Resolution) -> None:
    if resolution.error is None or resolution.abandoned:  # then it only waits for the end
        waiter.set_result(resolution.value)
    elif isinstance(resolution.error, asyncio.CancelledError):
        waiter.cancel()
    else:
        waiter.set_exception(resolution.error)


def _circle(first: _Resolution, path: Iterable[_Resolution]) -> list[Hashable]:
    keys = [resolution.key for resolution in path]
    return [*keys[keys.index(first.key) :], first.key]


async def _awaiting(awaitable: Awaitable[T]) -> T:
    return await awaitable


# -- checking ------------------------------------------------------------------------------------


def _checked_ttl(ttl: float | None) -> float | None:
    if ttl is None:
        return None
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)):
        raise TypeError(f"ttl must be a number of seconds or None, not {ttl!r}")
    if not ttl >= 0:  # NaN compares false
        raise ValueError(f"ttl must be 0 seconds or more, not {ttl!r}; use None to keep values")
    return ttl


def _checked_limit(limit: int | None) -> float:
    if limit is None:
        return math.inf
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"max_concurrent must be a whole number or None, not {limit!r}")
    if limit < 1:
        raise ValueError(f"max_concurrent must be 1 or more, not {limit!r}; use None for no limit")
    return limit


def _checked_dependencies(key: Hashable, dependencies: Iterable[Any]) -> tuple[Dependency, ...]:
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
    return tuple(_as_dependency(spec) for spec in dependencies)


def _as_dependency(spec: Any) -> Dependency:
    """Read one dependency, in whatever form it came; a form we do not know is a key."""
    if isinstance(spec, str):
        return Dependency(spec)
    if isinstance(spec, Mapping):
        if not {"key"} <= spec.keys() <= {*Dependency._fields}:
            raise TypeError(f"a dependency has key, resolver and dependencies, and {spec!r} not")
        found = Dependency(**spec)
    elif hasattr(spec, "key") and hasattr(spec, "resolver"):
        found = Dependency(spec.key, spec.resolver, getattr(spec, "dependencies", ()))
    elif isinstance(spec, tuple) and len(spec) in (2, 3) and _looks_like_work(spec[1]):
        found = Dependency(*spec)
    else:
        found = Dependency(spec)
    _check_hashable(found.key)
    if found.resolver is not None and not callable(found.resolver):
        raise _not_a_function(found.key, found.resolver)
    return found


def _looks_like_work(thing: object) -> bool:
    return callable(thing) or inspect.iscoroutine(thing)


def _check_hashable(key: Hashable) -> None:
    try:
        hash(key)
    except TypeError:
        raise _unhashable(key) from None


def _unhashable(key: object) -> TypeError:
    return TypeError(f"a key must be hashable, and {key!r} is not; use a string or a tuple")


def _not_a_function(key: Hashable, thing: object) -> TypeError:
    """Say so, and close a coroutine that came instead: nobody will ever await it."""
    if inspect.iscoroutine(thing):
        _drop(thing)
        return TypeError(
            f"{key!r} was given the coroutine {thing.__qualname__}() instead of a function that "
            f"can be called when it is needed; write lambda: {thing.__name__}(...)"
        )
    return TypeError(f"{key!r} must be computed by a function, not {thing!r}")


def _not_awaited(key: Hashable, result: CoroutineType[Any, Any, Any]) -> TypeError:
    _drop(result)
    return TypeError(
        f"the function for {key!r} returned the coroutine {result.__qualname__}() instead of its "
        f"result; write return await {result.__name__}(...)"
    )


def _drop(coroutine: CoroutineType[Any, Any, Any]) -> None:
    """Close a coroutine nobody will await; one that has begun belongs to somebody."""
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()


def _raisable(key: Hashable, error: BaseException) -> BaseException:
    """Wrap what a future refuses to carry, as a coroutine would have done."""
    if not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"the function for {key!r} raised StopIteration")
    wrapped.__cause__ = error
    return wrapped
