"""``watch``: looks at a running loop now and then, and tells of a deadlock as it forms.

A look runs as a timer's callback: between two steps, when every task stands still. It
is quick, for only those tasks are looked at closely that have not moved since the last
look, and names are found out only where something is stuck. And it is rare: it is
followed by a pause that is at least fifty times as long, so that on a loop with a
hundred thousand tasks, too, watching takes two percent of the time at most.

So a deadlock is told of when two looks in a row have seen the same tasks wait for the
same things: what moves on by a callback that nobody foresaw has moved by then. What is
only probably a deadlock must have lasted for much longer, and is told of as that.

Who takes a lock is noted from the beginning of the first watch to the end of the last.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal
from weakref import WeakSet, finalize

from ..engine.errors import DeadlockError
from ..engine.graph import WaitGraph
from ..engine.holding import HOLDING
from ..engine.teardown import free
from .snapshot import look, suspects, tangled
from .standing import Standing

__all__ = ["Watch", "watch"]

Action = Literal["log", "raise", "break"] | Callable[[Standing], object]

_log = logging.getLogger("deadlock_lab")
_REST = 50


class Watch:
    """A watch over one loop, as :func:`watch` starts it. ``close`` ends it.

    Attributes:
        loop: the loop that is watched.
        found: the deadlocks that were told of, in the order in which they formed.
        suspected: what was told of as probably a deadlock.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        interval: float,
        on_deadlock: Action,
        patience: float = math.inf,
    ) -> None:
        self.loop = loop
        self.found: list[Standing] = []
        self.suspected: list[Standing] = []
        self._patience = patience
        self._doubted: tuple[frozenset[asyncio.Task[Any]], float] = frozenset(), 0.0
        self._interval = interval
        self._on_deadlock = on_deadlock
        self._owner = _current_task(loop)
        self._told: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._seen: dict[asyncio.Task[Any], object] = {}
        self._cleared: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        if on_deadlock == "raise" and self._owner is None:
            raise ValueError(
                'on_deadlock="raise" needs a task to raise in: use `async with watch(...)` '
                "inside a coroutine"
            )
        HOLDING.join()
        self._forget = finalize(self, HOLDING.leave)

    def _counted(self, waits: WaitGraph) -> Iterable[int]:
        """Say which tasks make a deadlock a new one: not those that come to wait behind it."""
        return sorted({node for ring in waits.loops for node in ring if node >= 0})

    def close(self) -> None:
        """End the watch. May be called from any thread, and again."""
        self._closed = True
        self._forget()
        here = asyncio._get_running_loop() is self.loop
        if self._timer is not None and (here or not self.loop.is_running()):
            self._timer.cancel()

    async def __aenter__(self) -> "Watch":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Set the timer for the first look; on the thread of the loop."""
        self._wait(self._interval)

    def _wait(self, seconds: float) -> None:
        if not self._closed:
            self._timer = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        if self._closed:
            return
        began = time.perf_counter()
        before, self._seen = self._seen, suspects(self.loop)
        still = {task for task, future in self._seen.items() if before.get(task) is future}
        if still != self._cleared:
            self._judge(still)
        self._wait(max(self._interval, _REST * (time.perf_counter() - began)))

    def _judge(self, still: set[asyncio.Task[Any]]) -> None:
        """Look closely at the tasks that have not moved since the last look."""
        if not tangled(self.loop, still):
            self._cleared, self._doubted = still, (frozenset(), 0.0)
            return
        standing = Standing(look(self.loop))
        counted = standing.live_tasks(self._counted(standing.waits))
        if still.issuperset(counted) and not self._told.issuperset(counted):
            self._told.update(counted)
            self._tell(standing)
        self._suspect(standing, still)

    def _suspect(self, standing: Standing, still: set[asyncio.Task[Any]]) -> None:
        """Warn of those who are probably stuck, once, when they have not moved for long."""
        likely = standing.doubt.waits.stuck_ids if standing.doubt else ()
        members = frozenset(standing.live_tasks(likely)) & still
        before, since = self._doubted
        if members != before:
            self._doubted = members, self.loop.time()
        elif not self._told.issuperset(members) and self.loop.time() - since >= self._patience:
            self._told.update(members)
            self.suspected.append(standing)
            _log.warning("%s", standing.explain(others=False))

    def _tell(self, standing: Standing) -> None:
        self.found.append(standing)
        explanation = standing.explain(others=False)
        if callable(self._on_deadlock):
            self._on_deadlock(standing)
            return
        _log.error("%s", explanation)
        if self._on_deadlock == "break":
            _break(standing)
        elif self._on_deadlock == "raise":
            self._raise(standing)

    def _raise(self, standing: Standing) -> None:
        """Raise in the owner; open rings that ``cancel()`` cannot end, for whoever clears up."""
        error = DeadlockError(standing.explain(others=False))
        if self._owner is None or self._owner.done():
            return
        if not free(self._owner, error):
            self.loop.call_soon(self._raise, standing)  # it is ready, and runs before that
            return
        for ring in standing.waits.loops:
            if all(node >= 0 for node in ring):
                for task in standing.live_tasks(ring[:1]):
                    if task is not self._owner:
                        free(task)


def watch(
    loop: asyncio.AbstractEventLoop | None = None,
    *,
    interval: float = 0.5,
    on_deadlock: Action = "log",
    patience: float = 30.0,
) -> Watch:
    """Watch a running loop, and tell of a deadlock as it forms.

    Use it as ``async with lab.watch():`` round the program, or call it once, at start-up;
    then ``close()`` of what it returns ends it. Only what is sure counts; see ``diagnose``.
    Each deadlock is told of once, with the explanation that ``diagnose`` gives.

    Args:
        loop: asyncio's own loop, or uvloop's; by default the one that runs here. It may
            run in another thread, or not run yet.
        interval: real seconds between two looks. A deadlock is told of after two.
        on_deadlock: ``"log"`` logs an error to the logger ``deadlock_lab``. ``"raise"``
            also raises ``DeadlockError`` in the task that called ``watch``. ``"break"``
            also frees one member of each cycle with ``DeadlockError``, as a database
            does. A function is called with the ``Standing`` instead.
        patience: after how many real seconds without a move it is logged as a warning, and
            nothing else is done, that tasks are *probably* in a deadlock: nobody but them
            holds what they wait for, but it may be that somebody else cancels one of them
            or releases a lock. ``math.inf`` for never.

    Returns:
        The watch; its ``found`` lists what it told of.

    Raises:
        RuntimeError: no loop was given, and none runs here.
        ValueError: the interval or the patience is not above 0, or ``on_deadlock`` is none of
            these.

    >>> import asyncio
    >>> async def main():
    ...     async def wait_for(other):
    ...         await tasks[other]
    ...     tasks = [asyncio.create_task(wait_for(1)), asyncio.create_task(wait_for(0))]
    ...     async with watch(interval=0.01, on_deadlock="raise"):
    ...         await tasks[0]
    >>> asyncio.run(main())  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    deadlock_lab.engine.errors.DeadlockError: Deadlock: 3 tasks wait for ever.
    ...
    """
    here = asyncio._get_running_loop()
    loop = loop or here
    if loop is None:
        raise RuntimeError(
            "no event loop runs in this thread: call watch() inside a coroutine or a "
            "callback, or hand in the loop, as in watch(loop)"
        )
    for name, value in (("interval", interval), ("patience", patience)):
        if not value > 0:
            raise ValueError(f"{name} must be above 0 seconds, but is {value!r}")
    if not callable(on_deadlock) and on_deadlock not in ("log", "raise", "break"):
        raise ValueError(
            f'on_deadlock must be "log", "raise", "break" or a function, but is {on_deadlock!r}'
        )
    watching = Watch(loop, interval, on_deadlock, patience)
    if loop is here:
        watching.start()
    else:
        loop.call_soon_threadsafe(watching.start)
    return watching


def _current_task(loop: asyncio.AbstractEventLoop) -> asyncio.Task[Any] | None:
    return asyncio.current_task(loop) if loop is asyncio._get_running_loop() else None


def _break(standing: Standing) -> None:
    """Free one member of each cycle; what it holds, it gives back as it unwinds."""
    error = standing.explain(others=False)
    for ring in standing.waits.loops:
        for victim in standing.live_tasks([max(ring)]):
            free(victim, DeadlockError(error))
