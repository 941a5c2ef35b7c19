"""Running somebody's script on the lab's loop, unchanged."""

import asyncio
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from pathlib import Path
from typing import Any

from ._face import Run, run
from .engine.errors import DeadlockError, RunawayError
from .engine.patching import Patches
from .engine.recording import Outcome

__all__ = ["STATUS", "as_main", "run_script"]

STATUS = {Outcome.FINISHED: 0, Outcome.FAILED: 1, Outcome.DEADLOCK: 3, Outcome.RUNAWAY: 4}
"""The exit status for each outcome; 2 is a command that could not be carried out."""


def run_script(
    path: Path, arguments: Sequence[str], report: Callable[[Run], None], **limits: Any
) -> None:
    """Run a script as ``__main__``, each of its ``asyncio.run(…)`` on the lab's loop.

    A deadlock or a runaway ends the script: on a real loop it would not go on either.

    Args:
        path: the script.
        arguments: what it finds in ``sys.argv[1:]``.
        report: called with each run as it ends.
        limits: as for ``deadlock_lab.run``.

    Raises:
        BaseException: what the script itself raised.
    """

    def run_here(_: asyncio.Runner, coro: Any, *, context: Context | None = None) -> Any:
        done = (context or copy_context()).run(run, coro, **limits)
        report(done)
        return done.result()

    with (
        as_main(path, arguments),
        Patches((asyncio.Runner, "run", lambda _: run_here)),
        suppress(DeadlockError, RunawayError),
    ):
        runpy.run_path(str(path), run_name="__main__")


@contextmanager
def as_main(path: Path, arguments: Sequence[str]) -> Iterator[None]:
    """Let ``sys.argv`` and ``sys.path`` be as for ``python path arguments``.

    Args:
        path: the script.
        arguments: what it is to find in ``sys.argv[1:]``.
    """
    before = sys.argv, sys.path
    sys.argv, sys.path = [str(path), *arguments], [str(path.parent), *sys.path]
    try:
        yield
    finally:
        sys.argv, sys.path = before
