"""A deterministic asyncio loop whose time is virtual.

``asyncio.BaseEventLoop`` is everything but I/O; this adds a clock that jumps. When
no callback is ready the clock moves to the next timer; when there is no timer
either, nothing can ever happen again, and the loop says so instead of waiting.

Timers are ordered by integer nanoseconds and, where equal, by the order in which
they were set: floats that ought to be equal differ in the last bit, and ``heapq``
promises no order among equals.
"""

import asyncio
import heapq
import itertools
import math
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextvars import Context
from typing import Any, ClassVar, TypeVarTuple, Unpack
from weakref import WeakValueDictionary

from .errors import DeadlockError, NotModelledError, RunawayError
from .schedule import Oracle

__all__ = ["BEYOND", "MAX_STEPS", "MAX_TIME", "LabLoop", "nanoseconds", "seconds"]

BEYOND = "beyond max_time"
"""How a runaway's reason says that nothing was ready and the clock might not go on."""

MAX_STEPS = 100_000
"""How many callbacks a run may take before it counts as a runaway."""

MAX_TIME = 86_400.0
"""How far the virtual clock of a run may go, in seconds: one day."""

_Ts = TypeVarTuple("_Ts")

_NEVER = 2**62  # nanoseconds: 146 years, the due time of a timer set for infinity
_LONGEST = _NEVER / 1e9
_MANY_TIMERS = 100


def nanoseconds(when: float) -> int:
    """Turn virtual seconds into the integer that timers are ordered by.

    >>> nanoseconds(0.1 + 0.2) == nanoseconds(0.3)
    True

    Raises:
        ValueError: ``when`` is not a number.
    """
    if when < _LONGEST:
        return round(when * 1e9)
    if math.isnan(when):
        raise ValueError("a timer was set for nan seconds: give a number")
    return _NEVER


def seconds(time: int) -> str:
    """Write virtual nanoseconds as seconds, without a float's noise.

    >>> seconds(1_500_000_000), seconds(0), seconds(10_000_000)
    ('1.5 s', '0 s', '0.01 s')
    """
    whole, part = divmod(time, 10**9)
    digits = f".{part:09}".rstrip("0").rstrip(".")
    return f"{whole}{digits} s"


class _AsyncGenerators:
    """The async generators that are open, in the order in which they were started.

    asyncio keeps a set of them, hashed by address: they would close in any order.
    """

    def __init__(self) -> None:
        self._by_id: WeakValueDictionary[int, AsyncGenerator[Any, Any]] = WeakValueDictionary()

    def add(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._by_id[id(generator)] = generator

    def discard(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._by_id.pop(id(generator), None)

    def clear(self) -> None:
        self._by_id.clear()

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[AsyncGenerator[Any, Any]]:
        return iter(list(self._by_id.values()))


class LabLoop(asyncio.BaseEventLoop):
    """An event loop that never waits: virtual time, FIFO callbacks, ordered timers.

    Use it as any loop, with ``asyncio.Runner(loop_factory=LabLoop)``:

    >>> async def main():
    ...     await asyncio.sleep(3600)
    ...     return asyncio.get_running_loop().time()
    >>> with asyncio.Runner(loop_factory=LabLoop) as runner:
    ...     runner.run(main())
    3600.0

    Args:
        max_steps: how many callbacks may run.
        max_time: how far the clock may go, in virtual seconds.

    Running it raises ``DeadlockError`` when nothing can happen any more and
    ``RunawayError`` when it meets a limit.
    """

    # nest_asyncio patches the class of any loop that does not say it is patched already.
    _nest_patched: ClassVar[bool] = True

    # What CPython's base class keeps, by type.
    _check_closed: Callable[[], None]
    _ready: deque[asyncio.Handle]
    _scheduled: list[tuple[int, int, asyncio.TimerHandle]]
    _stopping: bool
    _thread_id: int | None

    _invoke: Callable[[asyncio.Handle], None] = staticmethod(asyncio.Handle._run)

    def __init__(self, *, max_steps: int = MAX_STEPS, max_time: float = MAX_TIME) -> None:
        super().__init__()
        self.max_steps = max_steps
        self.max_time = max_time
        self.oracle: Oracle | None = None  # whom to ask by how much a timer is late
        self.steps = 0
        self.halted = ""  # why the loop may run nothing more, if so
        self.aside = 0.0  # real seconds that steps took and that are not the program's
        self.now = 0  # nanoseconds; what timers are compared with
        self._clock = 0.0  # seconds; what the program sees
        self._order = itertools.count()
        self._asyncgens = _AsyncGenerators()
        self._dead_timers = 0

    def halt(self, reason: str) -> None:
        """Run no further callback: the next one raises ``RunawayError`` with this reason."""
        self.halted = reason
        self.max_steps = 0

    def time(self) -> float:
        """Return the virtual time in seconds since the loop was made."""
        return self._clock

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Set a timer for a virtual time, in seconds."""
        self._check_closed()
        number, due = next(self._order), nanoseconds(when)
        if self.oracle is not None:
            due += self.oracle.late(number, due - self.now, callback)
        timer = self._make_timer(when, callback, args, context, due)
        heapq.heappush(self._scheduled, (due, number, timer))
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def _make_timer(
        self,
        when: float,
        callback: Callable[..., object],
        args: Any,
        context: Context | None,
        due: int,  # noqa: ARG002 (nanoseconds: the recording loop writes it down)
    ) -> asyncio.TimerHandle:
        return asyncio.TimerHandle(when, callback, args, self, context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        if not handle._scheduled:  # type: ignore[attr-defined]
            return  # it has fired
        self._dead_timers += 1
        if self._dead_timers > _MANY_TIMERS and self._dead_timers * 2 > len(self._scheduled):
            self._scheduled[:] = [entry for entry in self._scheduled if not entry[2]._cancelled]
            heapq.heapify(self._scheduled)
            self._dead_timers = 0

    def _run_once(self) -> None:
        ready = self._ready
        if not ready and not self._stopping:
            self._advance()
        if self._scheduled and self._scheduled[0][0] <= self.now:
            self._fire_due()
        next_ready, invoke, steps = ready.popleft, self._invoke, self.steps
        for _ in range(len(ready)):
            handle = next_ready()
            if handle._cancelled:
                continue
            if steps >= self.max_steps:  # which halt() may change at any moment
                ready.appendleft(handle)
                raise RunawayError(self.halted or f"still busy after {steps:,} steps")
            self.steps = steps = steps + 1
            invoke(handle)

    def _advance(self) -> None:
        """Move the clock to the next timer."""
        if not self.has_timers():
            raise DeadlockError("nothing is ready, no timer is set, and the program is not done")
        due = self._scheduled[0][0]
        if due > self.max_time * 1e9:
            raise RunawayError(
                f"the next timer is due at {seconds(due)}, {BEYOND}={self.max_time:g}"
            )
        self.now = max(self.now, due)

    def has_timers(self) -> bool:
        """Whether a timer is set that the clock could jump to."""
        timers = self._scheduled
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
            self._dead_timers -= 1
        return bool(timers)

    def _fire_due(self) -> None:
        timers = self._scheduled
        while timers and timers[0][0] <= self.now:
            _, number, timer = heapq.heappop(timers)
            timer._scheduled = False  # type: ignore[attr-defined]
            if timer._cancelled:
                self._dead_timers -= 1
                continue
            # The program must never see a time before the one its timer was set for, or
            # `while time() < deadline: await sleep(deadline - time())` would spin.
            self._clock = max(self._clock, timer.when(), self.now / 1e9)
            self._ready.append(timer)
            self._timer_fired(timer, number)

    def _timer_fired(self, timer: asyncio.TimerHandle, number: int) -> None:
        """Do nothing: the loops that keep books listen here."""

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Call back soon, as ``call_soon`` does; refused to any thread but the loop's own."""
        if self._thread_id not in (None, threading.get_ident()):
            raise NotModelledError(
                "loop.call_soon_threadsafe() was called from another thread, which has no "
                "place on a virtual clock; run this program on a real loop with asyncio.run()"
            )
        return self.call_soon(callback, *args, context=context)


def _refusal(name: str) -> Callable[..., Any]:
    def refuse(self: LabLoop, *args: object, **kwargs: object) -> Any:  # noqa: ARG001
        raise NotModelledError(
            f"loop.{name}() needs real time (threads, sockets, pipes, signals or processes), "
            "which a virtual clock cannot model; put `await asyncio.sleep(seconds)` in its "
            "place, or run this program on a real loop with asyncio.run()"
        )

    return refuse


_NEEDS_REAL_TIME = """
    add_reader add_signal_handler add_writer connect_accepted_socket connect_read_pipe
    connect_write_pipe create_connection create_datagram_endpoint create_server
    create_unix_connection create_unix_server getaddrinfo getnameinfo run_in_executor
    sendfile sock_accept sock_connect sock_recv sock_recv_into sock_recvfrom
    sock_recvfrom_into sock_sendall sock_sendfile sock_sendto start_tls subprocess_exec
    subprocess_shell
"""
for _name in _NEEDS_REAL_TIME.split():
    setattr(LabLoop, _name, _refusal(_name))
