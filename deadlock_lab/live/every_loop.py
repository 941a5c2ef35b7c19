"""Having every loop that a program starts watched, without a change to the program."""

import asyncio
import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any

from ..engine.errors import DeadlockError
from ..engine.graph import WaitGraph
from ..engine.loop import LabLoop
from ..engine.patching import Patches
from ..engine.teardown import free
from ..engine.waits import blocked_on
from .standing import Standing
from .watch import Watch

__all__ = ["attended", "end", "on_every_loop"]

Attend = Callable[[Any], AbstractContextManager[object]]


class _Attendant(Watch):
    """A watch that also tells of every task that comes to wait behind a deadlock: main, say."""

    def _counted(self, waits: WaitGraph) -> Iterable[int]:
        return waits.stuck_ids


@contextmanager
def attended(loop: Any, interval: float, tell: Callable[[Standing], object]) -> Iterator[None]:
    """Watch a loop that is about to run, while the body runs it.

    Args:
        loop: the loop.
        interval: real seconds between two looks.
        tell: called whenever a task is newly found stuck.
    """
    watching = _Attendant(loop, interval, tell)
    loop.call_soon_threadsafe(watching.start)
    try:
        yield
    finally:
        watching.close()


def end(standing: Standing, task: asyncio.Task[Any]) -> None:
    """Raise ``DeadlockError`` in a stuck task, and end all the others: nothing is left to hang."""
    error = DeadlockError(standing.explain(others=False))
    for stuck in standing.live_tasks():
        future: Any = blocked_on(stuck)
        if hasattr(future, "_children"):  # a gather complains if nobody looks at its end
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
        free(stuck, error if stuck is task else None)


@contextmanager
def on_every_loop(attend: Attend) -> Iterator[None]:
    """While the body runs, have every real loop that is run, in any thread, attended to.

    Args:
        attend: makes a context manager that is entered before a loop runs and left after.
    """
    running: set[int] = set()

    @contextmanager
    def once(loop: Any) -> Iterator[None]:
        if id(loop) in running or isinstance(loop, LabLoop):
            yield
            return
        running.add(id(loop))
        try:
            with attend(loop):
                yield
        finally:
            running.discard(id(loop))

    ways = ((owner, name, partial(_within, once, of)) for owner, name, of in _ways_to_run())
    with Patches(*ways):
        yield


def _ways_to_run() -> Iterator[tuple[type, str, Callable[[Any], Any]]]:
    yield asyncio.BaseEventLoop, "run_forever", lambda loop: loop
    # A loop of another make is met where asyncio.run() has it made, or by name.
    yield asyncio.Runner, "run", asyncio.Runner.get_loop
    # uvloop's is imported by now, for anyio imports it when its first test wants it.
    with suppress(ImportError):
        yield importlib.import_module("uvloop").Loop, "run_forever", lambda loop: loop


def _within(
    once: Attend, loop_of: Callable[[Any], Any], original: Callable[..., Any]
) -> Callable[..., Any]:
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        with once(loop_of(self)):
            return original(self, *args, **kwargs)

    return run
