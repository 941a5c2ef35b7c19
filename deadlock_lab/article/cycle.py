"""Three functions that wait for each other: A for B, B for C, C for A.

The article says that this freezes. Whether it does depends on *what* is awaited, and these are
the three possibilities.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

__all__ = ["SharedInFlight", "WithIO", "function_a", "function_b", "function_c"]


async def function_a() -> Any:
    """Await B. Claimed to wait for ever.

    In truth nothing waits: an ``await`` of a coroutine is a call, so this is an endless recursion.

    Raises
    ------
    RecursionError
        At once, and without a single step of the loop.

    >>> asyncio.run(function_a())
    Traceback (most recent call last):
    RecursionError: maximum recursion depth exceeded...
    """
    return await function_b()


async def function_b() -> Any:
    """Await C; see `function_a`."""
    return await function_c()


async def function_c() -> Any:
    """Await A; see `function_a`."""
    return await function_a()


class WithIO:
    """The three functions with one real wait for input or output in each, before the next call.

    Claimed to wait for ever. In truth it goes on for ever: every hop is a new call, so nobody ever
    waits for anything that is not moving. Memory grows, the processor is busy. With plain calls
    (which is what ``await f()`` is in Python) each resumption passes through all frames so far, and
    the recursion limit ends it after some hundred hops. JavaScript makes a promise of each call and
    has no such end; ``start=asyncio.create_task`` shows that.

    Parameters
    ----------
    seconds
        How long one wait takes.
    start
        What is done with a coroutine before it is awaited: nothing, or ``asyncio.create_task``.
    log
        Receives the name of each function when it is called.

    >>> cycle = WithIO()
    >>> asyncio.run(cycle.function_a())
    Traceback (most recent call last):
    RecursionError: maximum recursion depth exceeded...
    >>> cycle.log[:4]
    ['A', 'B', 'C', 'A']
    """

    def __init__(
        self,
        *,
        seconds: float = 0.0,
        start: Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]] = lambda coroutine: coroutine,
        log: list[str] | None = None,
    ) -> None:
        self.seconds = seconds
        self.start = start
        self.log = [] if log is None else log

    async def function_a(self) -> Any:
        """Wait for input, then for B."""
        return await self._hop("A", self.function_b)

    async def function_b(self) -> Any:
        """Wait for input, then for C."""
        return await self._hop("B", self.function_c)

    async def function_c(self) -> Any:
        """Wait for input, then for A."""
        return await self._hop("C", self.function_a)

    async def _hop(self, name: str, following: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        self.log.append(name)
        await asyncio.sleep(self.seconds)
        return await self.start(following())


class SharedInFlight:
    """The three functions where whoever asks for one that is under way waits for that same run.

    This is the one that freezes as claimed, and it takes what the article's code does not show:
    work in flight that is shared, as a cache or a pool does. The task of A waits for that of B, B
    for C, and C for A's, which is under way. No timer, no callback: nothing is left to run.

    Parameters
    ----------
    log
        Receives a line for each wait, before it begins.

    Attributes
    ----------
    in_flight
        The task of each function that has been asked for.
    """

    def __init__(self, log: list[str] | None = None) -> None:
        self.log = [] if log is None else log
        self.in_flight: dict[str, asyncio.Task[Any]] = {}

    async def function_a(self) -> Any:
        """Wait for the run of A that is in flight; it waits for B."""
        return await self._share("A", "B", self.function_b)

    async def function_b(self) -> Any:
        """Wait for the run of B that is in flight; it waits for C."""
        return await self._share("B", "C", self.function_c)

    async def function_c(self) -> Any:
        """Wait for the run of C that is in flight; it waits for A."""
        return await self._share("C", "A", self.function_a)

    def _share(
        self, name: str, other: str, ask_other: Callable[[], Coroutine[Any, Any, Any]]
    ) -> asyncio.Task[Any]:
        async def work() -> Any:
            self.log.append(f"{name} waits for {other}")
            return await ask_other()

        if name not in self.in_flight:
            self.in_flight[name] = asyncio.create_task(work(), name=name)
        return self.in_flight[name]
