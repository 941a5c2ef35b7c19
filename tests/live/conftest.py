"""Every test here runs on asyncio's own loop and on uvloop."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

uvloop: Any = pytest.importorskip("uvloop") if sys.platform != "win32" else None

LOOPS = {"asyncio": asyncio.new_event_loop} | ({"uvloop": uvloop.new_event_loop} if uvloop else {})
SAFETY = 30.0  # real seconds after which a test that hangs is given up

Program = Callable[[], Coroutine[Any, Any, Any]]


@pytest.fixture(params=LOOPS.values(), ids=LOOPS.keys())
def on_a_loop(request: pytest.FixtureRequest) -> Callable[[Program], Any]:
    """Run a program on a real loop."""

    def run(program: Program) -> Any:
        async def safely() -> Any:
            return await asyncio.wait_for(asyncio.shield(program()), SAFETY)

        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(safely())

    return run
