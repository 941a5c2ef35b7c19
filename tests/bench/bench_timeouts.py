"""What ``with_timeout`` costs beside ``asyncio.timeout``, when all is in time. Aim: 2× at most."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from deadlock_lab.patterns.timeouts import with_timeout

try:
    import uvloop
except ImportError:
    uvloop = None

CALLS = 5_000
ROUNDS = 5

Make = Callable[[], Coroutine[Any, Any, None]]


async def at_once() -> None:
    """Answer without waiting."""


async def one_hop() -> None:
    await asyncio.sleep(0)


async def bare(make: Make) -> None:
    await make()


async def peer(make: Make) -> None:
    async with asyncio.timeout(60):
        await make()


async def wait_for(make: Make) -> None:
    await asyncio.wait_for(make(), 60)


async def ours(make: Make) -> None:
    await with_timeout(make(), 60.0)


async def ours_nested(make: Make) -> None:
    await with_timeout(with_timeout(make(), 60.0), 60.0)


async def peer_nested(make: Make) -> None:
    async with asyncio.timeout(60), asyncio.timeout(60):
        await make()


async def microseconds(form: Callable[[Make], Awaitable[None]], make: Make) -> float:
    begin = time.perf_counter()
    for _ in range(CALLS):
        await form(make)
    return (time.perf_counter() - begin) / CALLS * 1e6


async def measure(make: Make) -> dict[str, float]:
    forms = [bare, peer, wait_for, ours, peer_nested, ours_nested]
    best = {form.__name__: float("inf") for form in forms}
    for _ in range(ROUNDS):  # in turns, so that a busy machine is busy for all of them
        for form in forms:
            best[form.__name__] = min(best[form.__name__], await microseconds(form, make))
    return best


def main() -> None:
    loops = {"asyncio": asyncio.new_event_loop}
    if uvloop is not None:
        loops["uvloop"] = uvloop.new_event_loop
    print(f"Python {sys.version.split()[0]}; µs a call; aim: ours ≤ 2 × asyncio.timeout")
    for loop, factory in loops.items():
        for make in (at_once, one_hop):
            with asyncio.Runner(loop_factory=factory) as runner:
                cost = runner.run(measure(make))
            print(
                f"{loop:<8} {make.__name__:<8} bare {cost['bare']:.2f}  "
                f"asyncio.timeout {cost['peer']:.2f}  wait_for {cost['wait_for']:.2f}  "
                f"with_timeout {cost['ours']:.2f} = {cost['ours'] / cost['peer']:.2f}×  "
                f"two nested {cost['ours_nested'] / cost['peer_nested']:.2f}×"
            )


if __name__ == "__main__":
    main()
