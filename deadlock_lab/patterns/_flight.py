"""Run computations that wait for each other: each in a task of its own, and none in a circle.

Tasks that wait for tasks are hard to stop: ``Task.cancel()`` calls itself once for each task down a
chain, and round a circle for ever. So no task here waits for a task. Every wait is written down,
with who waits and for what, and can be ended by itself:

- all that is needed is there: a computation starts, or a caller goes on;
- something needed has failed, or the wait would close a circle: it ends with that error;
- whoever waits is cancelled, or fails: it is taken back, and what nobody waits for is stopped.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Iterator
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from itertools import pairwise
from types import CoroutineType, MappingProxyType
from typing import Any

from deadlock_lab.patterns._acyclic import Node, connect, disconnect
from deadlock_lab.patterns._dependency import not_awaited
from deadlock_lab.patterns.errors import CircularDependencyError

__all__ = ["Flight", "Flights"]

_NOTHING: Any = MappingProxyType({})


class Call:
    """A caller waits for a computation; the owner is the one in whose function this happens."""

    __slots__ = ("future", "needs", "owner")

    def __init__(self, flight: Flight, owner: Flight | None = None) -> None:
        self.needs = [flight]
        self.owner = owner
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        flight.users[self] = None

    def hear(self, flight: Flight) -> None:
        """Note that it has settled: from now on, its user is the owner."""
        del flight.users[self]
        if self.owner is not None and not self.owner.settled:
            flight.users[self.owner] = None
        self.end(flight.error)

    def end(self, error: BaseException | None = None) -> None:
        """Let the caller go on, or tell it why it cannot."""
        if self.future.done():
            return
        if error is None:
            self.future.set_result(None)
        elif isinstance(error, asyncio.CancelledError):
            self.future.cancel()
        else:
            self.future.set_exception(error)


class Flight(Node):
    """One computation: it waits for what it needs, runs, and settles as the value that it left."""

    # Defaults stand on the class: there may be many thousand, and most say no more than this.
    flights: Flights
    context = Context()
    task: asyncio.Task[Any] | None = None
    missing = 0  # how many of its needs are not there yet
    begun = False  # it does not wait for them any more
    calls: dict[Call, None] = _NOTHING  # on which its own function waits
    working = False  # its function holds a place; it gives it up while it waits
    stopped = False  # nobody wants it any more
    settled = False
    value: Any = None
    error: BaseException | None = None
    parts: Iterable[Flight] = ()  # what it was made from
    keep = True  # the value may be cached
    expires = math.inf

    def __init__(self, key: Hashable, function: Callable[..., Any]) -> None:
        super().__init__()
        self.key = key
        self.function = function
        self.needs: list[Flight] = []  # whose values the function takes, in order
        self.users: dict[Flight | Call, None] = {}  # who waits; later, what was made from it

    def hear(self, need: Flight) -> None:
        """Note that one of its needs has settled."""
        self.missing -= 1
        if need.error is not None or not self.missing:
            self.end(need.error)

    def end(self, error: BaseException | None = None) -> None:
        """Wait no more: start in turn, or fail; an error counts until the function is called."""
        if not self.begun and self.error is None:
            self.error = error
            self.flights.line_up(self)

    def ended(self, task: asyncio.Task[Any]) -> None:
        """Settle as its task did; one that only had to clear up has an error already."""
        error = self.error
        if error is None:
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
        value = task.result() if error is None else None
        if isinstance(value, CoroutineType):
            error = not_awaited(self.key, value)
        self.settle(value, error)

    def settle(self, value: Any, error: BaseException | None = None) -> None:
        """Keep the value, and tell everyone who waits for it."""
        self.value, self.error = value, error
        self.begun = self.settled = True
        self.parts, self.waits_for = self.waits_for, _NOTHING
        self.context, self.task = Flight.context, None
        self.needs.clear()
        self.flights.landed(self)
        for user in tuple(self.users):
            user.hear(self)
        if error is not None:
            self.users.clear()
            # Its function may have left tasks behind that go on asking, as a failed gather() does.
            self.flights.drop_calls(self)

    def dependents(self) -> Iterator[Flight]:
        """Yield those that are made from its value, or will be."""
        for user in self.users:
            if isinstance(user, Flight):
                yield user
            elif user.owner is not None and not user.owner.settled:
                yield user.owner

    def use(self, part: Flight) -> None:
        """Note that it is made from a value that is there: that closes no circle."""
        connect(self, part)
        part.users[self] = None

    def disuse(self, part: Flight) -> None:
        """Take back one ``connect`` with ``part``, and its use with the last one."""
        if part in self.waits_for:
            disconnect(self, part)
            if part not in self.waits_for:
                part.users.pop(self, None)

    def unlink(self) -> None:
        """Let those it was made from forget it."""
        for part in self.parts:
            part.users.pop(self, None)
        self.parts = ()


class Flights:
    """The computations of one event loop.

    ``closed`` is called with each one that nobody may join any more: when it is stopped, and when
    it has settled.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, limit: float, closed: Callable[[Flight], None]
    ) -> None:
        self.loop = loop
        self.free = limit  # places; fewer than none when somebody could not be held up
        self.aloft: dict[Flight, None] = {}
        self._closed = closed
        self._ending: deque[Flight] = deque()
        # Who has begun goes first: the fewer are half done, the less they hold on to.
        self._resuming: deque[tuple[asyncio.Future[None], Flight]] = deque()
        self._starting: deque[Flight] = deque()
        self._proceeding = False
        self._current: ContextVar[Flight | None] = ContextVar("flight", default=None)

    def owner(self) -> Flight | None:
        """Find the computation in whose function we are, if it is still under way."""
        flight = self._current.get()
        return None if flight is None or flight.settled else flight

    def launch(self, planned: list[Flight]) -> None:
        """Start each one once what it needs is there, and somebody waits: see ``join``.

        Needs come before who needs them.
        """
        context = copy_context()
        for flight in planned:
            flight.flights = self
            flight.context = context
            self.aloft[flight] = None
            for need in flight.needs:
                if flight not in need.users:
                    connect(flight, need)  # closes no circle: nobody waits for a new one yet
                    need.users[flight] = None
                    if not need.settled:
                        flight.missing += 1
        for flight in planned:
            if not flight.missing:
                self._starting.append(flight)

    def line_up(self, flight: Flight) -> None:
        """Start it when there is a place; to fail it needs none."""
        (self._starting if flight.error is None else self._ending).append(flight)
        self.proceed()

    def proceed(self) -> None:
        """Let those go on whose turn it is.

        What that leads to is done here too: were one started from within another, the recursion
        would be as deep as the chain of them.
        """
        if self._proceeding:
            return
        self._proceeding = True
        try:
            while True:
                if self._ending:
                    self._let_end(self._ending.popleft())
                elif self.free > 0 and self._resuming:
                    turn, owner = self._resuming.popleft()
                    if not turn.done():
                        self._take_place(owner)
                        turn.set_result(None)
                elif self.free > 0 and self._starting:
                    self._start(self._starting.popleft())
                else:
                    break
        except BaseException:  # a function ends the program; the others go on until it does
            self.loop.call_soon(self.proceed)
            raise
        finally:
            self._proceeding = False

    def _start(self, flight: Flight) -> None:
        if flight.begun:  # it has failed while it stood in line
            return
        flight.begun = True
        context = flight.context.copy()
        work = self._call(flight, context)
        if work is not None:
            self._take_place(flight)
            self._run(flight, work, context)

    def _let_end(self, flight: Flight) -> None:
        """Cancel one that is running; let another fail, once what only it wanted is gone."""
        if flight.begun:
            if flight.task is not None:
                flight.task.cancel()
            self.drop_calls(flight)
            return
        flight.begun = True
        self._closed(flight)
        self._take_back(flight)
        if any(need.stopped for need in flight.needs):
            self._run(flight, self._gone(flight), flight.context.copy())
        else:
            flight.settle(None, flight.error)

    def drop_calls(self, flight: Flight) -> None:
        """End at once all that its function waits for.

        When this waited until the function has noticed, computations that ask for each other, and
        fail, could start each other for ever, always one step ahead of their end.
        """
        for call in flight.calls:
            call.end(asyncio.CancelledError())
            self._take_back(call)

    def _run(self, flight: Flight, work: Coroutine[Any, Any, Any], context: Context) -> None:
        flight.task = self.loop.create_task(work, name=f"resolve({flight.key!r})", context=context)
        flight.task.add_done_callback(flight.ended)

    def _call(self, flight: Flight, context: Context) -> Coroutine[Any, Any, Any] | None:
        """Call its function; return what is left to be awaited, if anything is."""
        try:
            result = context.run(self._enter, flight)
        except StopIteration as error:  # no future would carry it
            wrapped = RuntimeError(f"the function for {flight.key!r} raised StopIteration")
            wrapped.__cause__ = error
            flight.settle(None, wrapped)
        except BaseException as error:
            flight.settle(None, error)
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
        else:
            if type(result) is CoroutineType:
                return result
            if inspect.isawaitable(result):
                return _awaiting(result)
            flight.settle(result)
        return None

    def _enter(self, flight: Flight) -> Any:
        self._current.set(flight)
        return flight.function(*[need.value for need in flight.needs])

    def landed(self, flight: Flight) -> None:
        """Forget one that has settled."""
        del self.aloft[flight]
        self._leave_place(flight)
        self._closed(flight)

    async def join(self, flight: Flight) -> Any:
        """Wait for the value, on behalf of the computation in whose function we are."""
        owner = self.owner()
        if owner is None:
            return await self._wait(Call(flight))
        cycle = connect(owner, flight)
        if cycle:
            raise self._break(cycle)
        call = Call(flight, owner)
        owner.calls = owner.calls or {}
        owner.calls[call] = None
        self._leave_place(owner)
        at_once = False
        try:
            return await self._wait(call)
        except BaseException as error:
            at_once = not isinstance(error, Exception)  # it is on its way out
            owner.disuse(flight)
            raise
        finally:
            await self._resume(owner, call, at_once=at_once)

    async def _wait(self, call: Call) -> Any:
        try:
            self.proceed()
            await call.future
        except BaseException as error:
            self._take_back(call)
            if not isinstance(error, GeneratorExit):
                await self._gone(call)
            raise
        return call.needs[0].value

    def _take_back(self, wait: Flight | Call) -> None:
        """Wait no more, and stop what nobody else waits for."""
        if self.loop.is_closed():
            return
        for need in wait.needs:
            if wait in need.users and not need.settled:
                del need.users[wait]
                if not need.users:
                    self._stop(need)

    def _stop(self, flight: Flight) -> None:
        if flight.task is not None and flight.task.done():  # it will settle in a moment
            return
        flight.stopped = True
        flight.keep = False
        self._closed(flight)
        if not flight.begun:
            flight.end(asyncio.CancelledError())
        elif flight.error is None:  # or it is on its way out already
            self._ending.append(flight)
            self.proceed()

    def _leave_place(self, flight: Flight) -> None:
        if flight.working:
            flight.working = False
            self.free += 1
            self.proceed()

    def _take_place(self, flight: Flight) -> None:
        """Take a place even if none is free, unless it needs none now."""
        if not (flight.working or flight.settled or len(flight.calls) > 1):
            flight.working = True
            self.free -= 1

    async def _resume(self, owner: Flight, call: Call, *, at_once: bool) -> None:
        """Have a place again before the owner's own code goes on, if this was its last wait."""
        try:
            if len(owner.calls) == 1 and not (at_once or owner.settled or self.free > 0):
                turn: asyncio.Future[None] = self.loop.create_future()
                self._resuming.append((turn, owner))
                await turn
        finally:
            del owner.calls[call]
            if not owner.calls:
                self._take_place(owner)

    async def _gone(self, wait: Flight | Call) -> None:
        """Let what was stopped with this wait come to its end.

        Further cancellations are not passed on, as in a TaskGroup: down a chain of callers, each
        would set off another wave of them.
        """
        for flight in wait.needs:
            while flight.stopped and not flight.settled:
                with suppress(Exception, asyncio.CancelledError):
                    await Call(flight).future

    def _break(self, cycle: list[Flight]) -> CircularDependencyError:
        """Turn every wait along the cycle into an error; return the one for whoever closes it."""
        keys = tuple(member.key for member in cycle)
        for waiting, wanted in pairwise(cycle[1:]):
            waits: list[Flight | Call] = [waiting, *waiting.calls]
            for wait in waits:
                if wanted in wait.needs:
                    # One error each, or they would share a traceback; but all share the tuple.
                    wait.end(CircularDependencyError(keys))
        if not cycle[1].users:  # planned for this wait alone
            self._stop(cycle[1])
        return CircularDependencyError(keys)


async def _awaiting(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
