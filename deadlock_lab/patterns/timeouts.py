"""A time limit that holds: the loser is stopped, the error says who, and nested limits agree.

``asyncio.timeout`` is right nearly always. This module is for what it leaves open:

* **A circle of tasks.** ``Task.cancel()`` asks the awaited task to cancel itself, which asks the
  one that it awaits, and so on; on a circle that recursion has no end (python/cpython#80637). So
  ``asyncio.timeout`` and ``wait_for`` round a circle hang or raise RecursionError. Here the walk is
  a loop, and the circle is cut where it closes.
* **A loser that does not stop.** After ``grace`` seconds the caller is freed all the same.
* **A result in the last moment.** What arrives in the tick of the limit is not thrown away.
* **Nested limits.** An inner one never outlives an outer one, also in another task, and the error
  names the one that ran out.

How a task is freed without ``cancel()``. A task that waits has put a callback, its wake-up, on the
future it waits for, and wakes with whatever that callback is called with. So the wake-up is taken
off the future and called (by the loop, in its turn) with another future that holds an error. To
the task it looks as if what it awaited had failed; what it awaited knows nothing of it.
``_fut_waiter`` and ``_callbacks``, which this needs, are private names of asyncio's; they are the
same in 3.11 to 3.14, and a task without them is cancelled in the usual way.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import CoroutineType
from typing import Any, Final, TypeVar

__all__ = ["OperationTimeoutError", "time_left", "with_timeout", "with_timeout_or"]

T = TypeVar("T")
F = TypeVar("F")

_GRACE: Final = 5.0
_MIN_GRACE: Final = 0.01  # time for a loser of good will: it takes a tick a task to unwind
_AGES: Final = 1e9
_PLAIN: Final = (float, int)
_SAFE_DEPTH: Final = 50  # tasks that Task.cancel() may recurse through without our minding


class OperationTimeoutError(TimeoutError):
    """An operation did not end within its limit.

    Parameters
    ----------
    name
        What the operation is called.
    limit
        Seconds it was given.
    elapsed
        Seconds it took until it was stopped, its cleaning up included.
    still_running
        Names of the tasks that did not stop when told to. Whatever they hold they hold on to.
    cycle
        Names of the tasks that waited for one another in a circle, if that is what took so
        long, the first repeated at the end. A task's name is what ``create_task`` was given.

    >>> print(OperationTimeoutError("fetch_user", 0.5, 0.503))
    fetch_user ran into its limit of 0.5 s (0.503 s used); find what it waits for or raise the limit
    """

    def __init__(
        self,
        name: str,
        limit: float,
        elapsed: float,
        still_running: tuple[str, ...] = (),
        cycle: tuple[str, ...] = (),
    ) -> None:
        text = f"{name} ran into its limit of {limit:g} s ({elapsed:.3g} s used); "
        if still_running:
            names = ", ".join(still_running)
            text += f"still running, since it did not let itself be cancelled: {names}"
        elif cycle:
            text += f"tasks waited for one another: {' → '.join(cycle)}"
        else:
            text += "find what it waits for or raise the limit"
        super().__init__(text)
        self.name = name
        self.limit = limit
        self.elapsed = elapsed
        self.still_running = still_running
        self.cycle = cycle

    def __reduce__(self) -> tuple[object, ...]:
        args = (self.name, self.limit, self.elapsed, self.still_running, self.cycle)
        return type(self), args, self.__dict__


async def with_timeout(
    awaitable: Awaitable[T], seconds: float, *, name: str | None = None, grace: float = _GRACE
) -> T:
    """Await something for so many seconds at most; then stop it, wait until it is gone, and say so.

    A coroutine runs in the caller's task, as if it were awaited on the spot, so nothing is spent on
    a task of its own. A task or another future is awaited, and cancelled when the time is up; put
    ``asyncio.shield`` round it if it is to live on.

    *When the time is up*, whatever is ready to run gets its turn first: a result that is on its way
    is a result. Then the loser is cancelled and the caller waits for it to clean up. In a circle of
    tasks, the one that closes it gets a CancelledError without being asked through the others; it
    ends, so the one that waits for it ends, and so on round to the caller. Where ``Task.cancel()``
    would do, ``Task.cancel()`` it is.

    *A loser that swallows its cancellation* has ``grace`` seconds. If it ends in that time with a
    result, that is returned, late as it is; if it raises something else, that is raised with a
    note. Then the caller is taken away from what it waits for, and a task which is still there is
    named in the error. The one thing that cannot be left behind is code in the caller's own task
    that goes on after *every* exception (``except BaseException: continue``), or that never waits
    for longer than ``sleep(0)``; hand such code over as a task.

    *Nested limits* share a deadline, in a context variable that tasks inherit: see `time_left`.
    When an outer limit runs out first, the error names that operation, and is raised there.

    Parameters
    ----------
    awaitable
        What to wait for.
    seconds
        How long. Zero is for what can answer without waiting.
    name
        What the error calls it; by default the name of the coroutine's function or of the task.
    grace
        Seconds that it may take to stop, 0.01 at least; ``math.inf`` for as long as it needs.

    Returns
    -------
    What the awaitable returns.

    Raises
    ------
    OperationTimeoutError
        If this limit ran out. What the awaitable itself raises passes through.
    TypeError, ValueError
        If an argument makes no sense. A coroutine handed in is closed, so nothing warns of it.
    RuntimeError
        If a coroutine was awaited before, or outside any task.

    >>> asyncio.run(with_timeout(asyncio.sleep(0.001, "done"), 1))
    'done'
    >>> asyncio.run(with_timeout(asyncio.Event().wait(), 0.01, name="the door bell"))
    Traceback (most recent call last):
    deadlock_lab.patterns.timeouts.OperationTimeoutError: the door bell ran into its limit of ...
    """
    return await _Scope(awaitable, seconds, name, grace).run()  # type: ignore[no-any-return]


async def with_timeout_or(
    awaitable: Awaitable[T],
    seconds: float,
    fallback: F | Callable[[OperationTimeoutError], F],
    *,
    name: str | None = None,
    grace: float = _GRACE,
) -> T | F:
    """Await something for so many seconds at most, and make do with a fallback.

    Only this limit leads to the fallback. A TimeoutError which the operation raises, and an outer
    limit that runs out, are raised.

    Parameters
    ----------
    awaitable, seconds, name, grace
        As for `with_timeout`.
    fallback
        A value, or a function of the error that makes it, such as one that logs it. To fall back on
        a function, wrap it: ``lambda error: function``.

    Returns
    -------
    What the awaitable returns, or the fallback.

    Raises
    ------
    TypeError
        If ``fallback`` is async: nothing would limit its time.

    >>> asyncio.run(with_timeout_or(asyncio.sleep(9), 0.01, "an old copy"))
    'an old copy'
    >>> asyncio.run(with_timeout_or(asyncio.sleep(9), 0.01, lambda error: error.limit))
    0.01
    """
    if inspect.iscoroutinefunction(fallback) or inspect.isawaitable(fallback):
        _discard(awaitable, fallback)
        raise TypeError(
            f"fallback must be a value or a plain function, and {_name_of(fallback)} is async; "
            "catch OperationTimeoutError and await it there, under a limit of its own"
        )
    scope = _Scope(awaitable, seconds, name, grace)
    try:
        return await scope.run()  # type: ignore[no-any-return]
    except OperationTimeoutError as error:
        if error is not scope.error or scope.owner is not scope:
            raise
        return fallback(error) if callable(fallback) else fallback


def time_left() -> float:
    """Return the seconds until the nearest limit round the caller; ``math.inf`` if there is none.

    For what takes a limit of its own, such as a driver: ``connect(timeout=time_left())``.

    >>> async def work():
    ...     return time_left() <= 5
    >>> asyncio.run(with_timeout(with_timeout(work(), 60), 5))
    True
    """
    loop = asyncio.get_running_loop()
    scope = _live(_scope.get())
    while scope is not None and scope.loop is not loop:
        scope = _live(scope.outer)  # of the thread that started this loop, by another clock
    return math.inf if scope is None else max(0.0, _nearest(scope).when - loop.time())


class _LetGo(BaseException):
    """Thrown into a caller whose loser outstayed its grace. Not an Exception: it is to get out."""


class _Scope:
    """One limit: from entering it to leaving it, in one task."""

    __slots__ = (
        "awaitable",
        "begin",
        "cancelling",
        "counted",
        "cycle",
        "error",
        "fired",
        "forced",
        "grace",
        "handle",
        "loop",
        "name",
        "outer",
        "over",
        "owner",
        "patience",
        "seconds",
        "still_running",
        "task",
        "when",
    )

    def __init__(self, awaitable: Any, seconds: float, name: str | None, grace: float) -> None:
        if (  # one look at what is nearly always given; _check has the words for the rest
            type(awaitable) is not CoroutineType
            or _is_spent(awaitable)
            or type(seconds) not in _PLAIN
            or not 0 <= seconds < _AGES
            or type(grace) not in _PLAIN
            or not 0 <= grace < _AGES
            or name is not None
        ):
            _check(awaitable, seconds, name, grace)
        self.awaitable = awaitable
        self.seconds = seconds
        self.name = name
        self.grace = max(grace, _MIN_GRACE)
        self.over = self.fired = self.forced = self.counted = False
        self.patience = -1
        self.error: OperationTimeoutError | None = None
        self.handle: asyncio.Handle | None = None
        self.still_running: tuple[str, ...] = ()
        self.cycle: tuple[str, ...] = ()

    async def run(self) -> Any:
        self.enter()
        token = _scope.set(self)
        try:
            return await self.awaitable
        except BaseException as error:
            self.judge(error)
            raise
        finally:
            self.leave()
            try:  # noqa: SIM105 — suppress() would cost more than the rest of this block
                _scope.reset(token)
            except ValueError:
                pass  # an abandoned coroutine, closed by the collector in someone else's context

    def enter(self) -> None:
        self.task = task = _current_task(self.awaitable)
        self.loop = task.get_loop()
        self.cancelling = task.cancelling()
        self.begin = self.loop.time()
        self.when = self.begin + self.seconds
        self.outer = _live(_scope.get())
        self.arm()

    def arm(self) -> None:
        """Set the timer for the nearest limit, one's own or one further out."""
        self.owner = owner = self if self.outer is None else _nearest(self)
        if owner is self or owner.task is not self.task:  # else its timer is timer enough
            self.handle = self.loop.call_at(owner.when, self.time_is_up)

    def leave(self) -> None:
        if self.handle is not None:
            self.handle.cancel()
        if self.counted:
            self.task.uncancel()
        # A task left behind may hold this scope in its context for long: keep it small, and do not
        # let it drag a list of scopes that are over behind it.
        self.over = True
        if self.outer is not None:
            self.outer = _live(self.outer)
        self.awaitable = self.handle = None

    # From here to the end of the class: the time is up.

    def time_is_up(self) -> None:
        if self.owner.over:
            self.arm()  # we were left behind by it, and have outlived it
            return
        # Other timers of this very tick may bring the result; they go first.
        self.handle = self.loop.call_soon(self.stop)

    def stop(self) -> None:
        survey = _survey(self.task)
        if self.patience < 0:
            self.patience = survey.depth + 1  # a result travels one task in a tick
        if survey.moving and self.patience:
            self.patience -= 1
            self.handle = self.loop.call_soon(self.stop)
            return
        self.fired = True
        self.owner.name = self.owner.shown_name()  # as long as it can tell
        self.cycle = survey.cycle
        self.counted = survey.cancel(self.task)
        self.when = self.loop.time() + self.grace  # limits inside, of cleaning up, go by this
        if self.grace < math.inf:
            self.handle = self.loop.call_later(self.grace, self.let_go)

    def let_go(self) -> None:
        waiter = _waits_on(self.task)
        if waiter is not None and not waiter.done() and _free(self.task, _LetGo()):
            self.forced = True
            self.still_running = tuple(_names_of_running(waiter))
        # Once may not be enough: a task group catches the error and waits for its tasks again.
        self.handle = self.loop.call_later(self.grace, self.let_go)

    def judge(self, error: BaseException) -> None:
        """Raise what the caller is to see, or return if that is ``error`` itself."""
        if not self.fired:
            return
        stopped = self.forced or isinstance(error, (asyncio.CancelledError, RecursionError))
        if not stopped:
            error.add_note(f"raised while {self.owner.name} was stopped: its time was up")
            return
        if self.task.cancelling() - self.counted > self.cancelling:
            # Someone cancels the caller, too; that goes before our own error.
            if isinstance(error, asyncio.CancelledError):
                return
            raise asyncio.CancelledError from error
        owner = self.owner
        self.error = OperationTimeoutError(
            str(owner.name),
            owner.seconds,
            self.loop.time() - owner.begin,
            self.still_running,
            self.cycle,
        )
        raise self.error from error

    def shown_name(self) -> str:
        if self.name is not None:
            return self.name
        if isinstance(self.awaitable, asyncio.Task):
            return self.awaitable.get_name()
        return _name_of(self.awaitable)


_scope: ContextVar[_Scope | None] = ContextVar("deadlock_lab_timeout_scope", default=None)


def _live(scope: _Scope | None) -> _Scope | None:
    while scope is not None and scope.over:
        scope = scope.outer
    return scope


def _nearest(scope: _Scope) -> _Scope:
    """Return the scope that runs out first among one and those round it, on the same clock."""
    nearest = scope
    outer = scope.outer
    while outer is not None:
        if outer.when <= nearest.when and not outer.over and outer.loop is scope.loop:
            nearest = outer
        outer = outer.outer
    return nearest


# --- Task.cancel() without its recursion -----------------------------------------------------


@dataclass
class _Survey:
    """What ``Task.cancel()`` would reach from one task."""

    # Tasks that wait for no other task, to begin with: their end ends those who wait for them.
    ends: list[asyncio.Future[Any]] = field(default_factory=list)
    # Who closes a circle: each waits for someone who (through others) waits for it.
    cuts: list[asyncio.Future[Any]] = field(default_factory=list)
    cycle: tuple[str, ...] = ()  # the first circle by its tasks' names, its first repeated
    gathers: list[asyncio.Future[Any]] = field(default_factory=list)
    depth: int = 0
    moving: bool = False  # somebody in there is about to run

    def cancel(self, task: asyncio.Task[Any]) -> bool:
        """Cancel all that was found; return whether ``task``, the first, counts a cancellation."""
        if not self.cuts and self.depth <= _SAFE_DEPTH:
            task.cancel()
            return True
        for gathering in self.gathers:
            # So that it ends cancelled, and not with a list of errors, when its children end.
            gathering._cancel_requested = True  # type: ignore[attr-defined]
        for cut in self.cuts:  # first of all: a task group that ends goes round what is left uncut
            if not isinstance(cut, asyncio.Task):
                asyncio.Future.cancel(cut)  # gather's own cancel() would go round the circle
            elif not _free(cut, asyncio.CancelledError()):
                with suppress(RecursionError):
                    cut.cancel()
        for end in self.ends:
            end.cancel()
        return task in self.ends


def _survey(task: asyncio.Task[Any]) -> _Survey:
    """Walk depth first from a task along whom it would cancel, on a stack of our own."""
    found = _Survey()
    on_path: set[int] = set()
    seen: set[int] = set()
    stack: list[tuple[asyncio.Future[Any], Iterator[asyncio.Future[Any]], bool]] = []

    def visit(node: asyncio.Future[Any], in_group: bool) -> None:
        kind, onward = _look_at(node)
        if kind == "gathering":
            found.gathers.append(node)
        elif kind != "passing on" and not in_group:  # the group cancels its own, and once is enough
            found.ends.append(node)
        found.moving = found.moving or kind == "moving"
        seen.add(id(node))
        on_path.add(id(node))
        stack.append((node, iter(onward), in_group or kind == "grouping"))
        found.depth = max(found.depth, len(stack))

    visit(task, in_group=False)
    while stack:
        node, following, in_group = stack[-1]
        for waited in following:
            if id(waited) in on_path:
                found.cuts.append(node)
                found.cycle = found.cycle or _names_from(waited, [entry[0] for entry in stack])
            elif id(waited) not in seen:
                visit(waited, in_group)
                break
        else:
            on_path.remove(id(node))
            stack.pop()
    return found


def _names_from(start: asyncio.Future[Any], path: list[asyncio.Future[Any]]) -> tuple[str, ...]:
    """Name the tasks of a circle that runs from ``start`` to the end of a path."""
    circle = path[path.index(start) :]
    names = [node.get_name() for node in circle if isinstance(node, asyncio.Task)]
    return (*names, *names[:1])


def _look_at(node: asyncio.Future[Any]) -> tuple[str, list[asyncio.Future[Any]]]:
    """Tell how a node waits, and for which tasks and gatherings."""
    if not isinstance(node, asyncio.Task):
        pending = [child for child in _children_of(node) if not child.done()]
        return ("gathering" if pending else "moving"), list(filter(_passes_on, pending))
    waiter = _waits_on(node)
    if waiter is None or waiter.done():
        return "moving", []
    if _passes_on(waiter):
        return "passing on", [waiter]
    members = _members_of_group(node)
    return ("grouping" if members else "waiting"), members


def _passes_on(future: asyncio.Future[Any]) -> bool:
    return isinstance(future, asyncio.Task) or bool(_children_of(future))


def _children_of(future: asyncio.Future[Any]) -> list[asyncio.Future[Any]]:
    return getattr(future, "_children", None) or []  # what gather() returns has them


_GROUP_EXITS: Final = {
    method.__code__
    for name in ("__aexit__", "_aexit")
    if (method := getattr(asyncio.TaskGroup, name, None)) is not None
}


def _members_of_group(task: asyncio.Task[Any]) -> list[asyncio.Future[Any]]:
    """Return the pending tasks of the task group that a task is about to leave, if it is."""
    coroutine: Any = task.get_coro()
    while coroutine is not None and getattr(coroutine, "cr_code", None) not in _GROUP_EXITS:
        coroutine = getattr(coroutine, "cr_await", None)
    if coroutine is None or coroutine.cr_frame is None:
        return []
    group = coroutine.cr_frame.f_locals["self"]
    return [member for member in getattr(group, "_tasks", ()) if not member.done()]


def _waits_on(task: asyncio.Task[Any]) -> asyncio.Future[Any] | None:
    return getattr(task, "_fut_waiter", None)


def _free(task: asyncio.Task[Any], error: BaseException) -> bool:
    """Wake a waiting task with an error, leaving what it waits for alone; see the module."""
    waiter: Any = _waits_on(task)
    for callback, context in getattr(waiter, "_callbacks", None) or ():
        if getattr(callback, "__self__", None) is task:
            waiter.remove_done_callback(callback)
            if not isinstance(waiter, asyncio.Task):
                waiter.add_done_callback(_look_away)
            messenger = task.get_loop().create_future()
            messenger.set_exception(error)
            task.get_loop().call_soon(callback, messenger, context=context)
            return True
    return False


def _look_away(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()  # nobody else will ask; do not let it be reported as never retrieved


def _names_of_running(future: asyncio.Future[Any]) -> Iterator[str]:
    if isinstance(future, asyncio.Task):
        yield future.get_name()
    for child in _children_of(future):
        if not child.done():
            yield from _names_of_running(child)


# --- bad input -------------------------------------------------------------------------------


def _is_spent(coroutine: CoroutineType[Any, Any, Any]) -> bool:
    return coroutine.cr_suspended or coroutine.cr_running or coroutine.cr_frame is None


def _check(awaitable: object, seconds: object, name: object, grace: object) -> None:
    try:
        _check_awaitable(awaitable)
        _check_seconds("seconds", seconds, endless=False)
        _check_seconds("grace", grace, endless=True)
        _check_name(name)
    except BaseException:
        _discard(awaitable, seconds)
        raise


def _check_awaitable(awaitable: object) -> None:
    if isinstance(awaitable, CoroutineType) and _is_spent(awaitable):
        raise RuntimeError(
            f"the coroutine {_name_of(awaitable)} was awaited before, and runs only once; "
            "call its function again for a new one, or share a task"
        )
    if inspect.iscoroutinefunction(awaitable):
        raise TypeError(
            f"with_timeout needs an awaitable, and {_name_of(awaitable)} is a function; call it: "
            f"with_timeout({_name_of(awaitable)}(...), seconds)"
        )
    if not inspect.isawaitable(awaitable):
        raise TypeError(
            f"with_timeout needs an awaitable, then the seconds; got {awaitable!r} "
            f"({type(awaitable).__name__}) as the awaitable"
        )


def _check_seconds(role: str, value: object, *, endless: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(
            f"{role} must be a number of seconds; got {value!r} ({type(value).__name__})"
        )
    if not value >= 0:  # NaN is not, either
        raise ValueError(f"{role} must be 0 or more seconds; got {value!r}")
    if value >= _AGES and not (endless and value == math.inf):
        raise ValueError(f"{role} must be less than {_AGES:g} s; got {value!r}")


def _check_name(name: object) -> None:
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be a string; got {name!r} ({type(name).__name__})")


def _current_task(awaitable: object) -> asyncio.Task[Any]:
    with suppress(RuntimeError):  # that there is no running loop; ours says what to do
        if (task := asyncio.current_task()) is not None:
            return task
    _discard(awaitable)
    raise RuntimeError("with_timeout needs a task to run in; await it from asyncio.run(main())")


def _discard(*arguments: object) -> None:
    """Close the coroutines among arguments that were refused: nobody will ever await them."""
    for argument in arguments:
        if isinstance(argument, CoroutineType) and not _is_spent(argument):
            argument.close()


def _name_of(value: object) -> str:
    name = getattr(value, "__qualname__", None)
    return name.rpartition("<locals>.")[2] if isinstance(name, str) else type(value).__name__
