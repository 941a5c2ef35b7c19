"""The programs that the race explorer runs: ways to put a limit, and ways to take being stopped.

They are real ones, run on the lab's loop for each position of the handles. The caller starts
the operation as a task of its own, so that it has a lane of its own.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from ...article import timeout_race
from ...patterns import with_timeout

__all__ = [
    "CALLER",
    "GRACE",
    "OPERATION",
    "TIDYING",
    "WAYS",
    "WHEN_CANCELLED",
    "Setting",
    "program",
]

CALLER, OPERATION = "caller", "operation"
A_DAY = 86_400.0
"""Seconds that an operation, a limit, a latency may take at most."""
TIDYING = 0.3
"""Seconds that an operation takes to clean up, if it does."""
GRACE = 0.5
"""Seconds that our ``with_timeout`` waits here for a loser to stop."""


@dataclass(frozen=True)
class Setting:
    """One race to run.

    Attributes:
        operation: how long the operation takes, in virtual seconds; ``math.inf`` for one that
            is frozen for good.
        limit: how long the caller is willing to wait, in virtual seconds.
        way: a key of ``WAYS``.
        when_cancelled: a key of ``WHEN_CANCELLED``: what the operation does when it is asked to.
    """

    operation: float
    limit: float
    way: str = "race"
    when_cancelled: str = "stops"


async def _race(operation: asyncio.Task[str], limit: float) -> str:
    return str(await timeout_race.with_timeout(operation, limit))


async def _timeout(operation: asyncio.Task[str], limit: float) -> str:
    async with asyncio.timeout(limit):
        return await operation


async def _with_timeout(operation: asyncio.Task[str], limit: float) -> str:
    return await with_timeout(operation, limit, grace=GRACE)


WAYS: Mapping[str, Callable[[asyncio.Task[str], float], Coroutine[Any, Any, str]]] = {
    "race": _race,
    "timeout": _timeout,
    "with_timeout": _with_timeout,
}


async def _stop() -> bool:
    return True


async def _clean_up() -> bool:
    await asyncio.sleep(TIDYING)
    return True


async def _carry_on() -> bool:
    return False


WHEN_CANCELLED: Mapping[str, Callable[[], Awaitable[bool]]] = {
    "stops": _stop,
    "cleans up": _clean_up,
    "carries on": _carry_on,
}


async def program(setting: Setting) -> None:
    """Race once: a caller, its operation, its limit, and an onlooker till the last task ends.

    Args:
        setting: what to race.
    """
    asyncio.create_task(_call(setting), name=CALLER)  # noqa: RUF006 — all_tasks() has it
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


async def _call(setting: Setting) -> str:
    operation = asyncio.create_task(_operate(setting), name=OPERATION)
    return await WAYS[setting.way](operation, setting.limit)


async def _operate(setting: Setting) -> str:
    end = asyncio.get_running_loop().time() + setting.operation
    while True:
        try:
            await _work_until(end)
        except asyncio.CancelledError:
            if await WHEN_CANCELLED[setting.when_cancelled]():
                raise
        else:
            return "result"


async def _work_until(end: float) -> None:
    if end == math.inf:
        await asyncio.Event().wait()
    await asyncio.sleep(end - asyncio.get_running_loop().time())
