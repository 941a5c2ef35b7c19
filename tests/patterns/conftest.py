"""The loops that every property of a pattern is tried on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import deadlock_lab as lab

try:
    import uvloop
except ImportError:
    uvloop = None

Main = Callable[[], Awaitable[Any]]
SECONDS = 60  # real ones; only a pattern that hangs takes so long


async def _in_time(main: Main) -> Any:
    async with asyncio.timeout(SECONDS):
        return await main()


def stock(main: Main) -> Any:
    return asyncio.run(_in_time(main))


def uv(main: Main) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_in_time(main))


def the_lab(main: Main) -> Any:
    run = lab.run(main)
    assert run.stuck == ()
    return run.result()


needs_uvloop = pytest.mark.skipif(uvloop is None, reason="needs uvloop")


@pytest.fixture(scope="session", params=[stock, pytest.param(uv, marks=needs_uvloop), the_lab])
def on_loop(request: pytest.FixtureRequest) -> Callable[[Main], Any]:
    """Run an async function on a loop, and return what it returns."""
    run: Callable[[Main], Any] = request.param
    return run
