"""Running somebody's script on its own real loop, under watch."""

import asyncio
import linecache
import runpy
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from .engine.errors import DeadlockError
from .engine.places import learner_frame, place_of
from .live import Standing, diagnose
from .live.blocking import sync_over_async
from .live.every_loop import attended, end, on_every_loop
from .live.snapshot import is_main
from .script import as_main
from .views.text import kind_lines

__all__ = ["INTERRUPTED", "PATIENCE", "LiveScript"]

PATIENCE = 5.0
"""After how many real seconds without any task moving it is said where everyone stands."""

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells give it."""

_DEADLOCK = 3
_INTERVAL = 0.25


class LiveScript:
    """A script, run unchanged on real loops.

    Args:
        patience: real seconds without any task moving until it is said, once, where
            everyone stands. The script goes on: it may well wait for a connection.
        say: called with each text that is to be shown.
    """

    def __init__(self, patience: float, say: Callable[[str], object]) -> None:
        self._patience = patience
        self._say = say
        self._told: set[tuple[str, ...]] = set()
        self._deadlocked = False
        self.loops = 0

    def run(self, path: Path, arguments: Sequence[str]) -> int:
        """Run the script as ``__main__``.

        Args:
            path: the script.
            arguments: what it finds in ``sys.argv[1:]``.

        Returns:
            The exit status: 0, 3 if its main was in a deadlock and ended for that, or
            130 after Ctrl-C.

        Raises:
            BaseException: what the script itself raised.
        """
        try:
            with as_main(path, arguments), on_every_loop(self._attend), self._on_interrupt():
                runpy.run_path(str(path), run_name="__main__")
        except DeadlockError:
            if not self._deadlocked:
                raise
        except KeyboardInterrupt:
            return INTERRUPTED
        return _DEADLOCK if self._deadlocked else 0

    @contextmanager
    def _attend(self, loop: Any) -> Iterator[None]:
        self.loops += 1
        over = threading.Event()
        looker = threading.Thread(target=self._look_patiently, args=(loop, over), daemon=True)
        looker.start()
        try:
            with attended(loop, _INTERVAL, self._tell):
                yield
        finally:
            over.set()

    def _tell(self, standing: Standing) -> None:
        """Say that there is a deadlock; end the script if its main is in it, or waits behind."""
        main = next((task for task in standing.live_tasks() if is_main(task)), None)
        cycles = set(standing.cycles())
        if main is not None or not cycles <= self._told:
            self._say(standing.explain(others=False))
        self._told |= cycles
        if main is not None:
            self._deadlocked = True
            end(standing, main)

    def _look_patiently(self, loop: asyncio.AbstractEventLoop, over: threading.Event) -> None:
        """Say where everyone stands when nobody has moved for long; once for each standstill."""
        before = told = None
        while not over.wait(self._patience):
            try:
                standing = diagnose(loop, timeout=self._patience)
            except RuntimeError:  # it was closed meanwhile
                return
            now = standing.blocked or standing.positions()
            if (standing.blocked or now == before) and now != told and not over.is_set():
                quiet = f"Nothing has moved for {self._patience:g} seconds.\n"
                self._say(standing.blocked or quiet + standing.explain())
                told = now
            before = now

    @contextmanager
    def _on_interrupt(self) -> Iterator[None]:
        """Have Ctrl-C say where everyone stands before it ends the script."""

        def interrupted(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a second one just ends
            if (loop := asyncio._get_running_loop()) is not None:
                kinds = "\n".join(kind_lines(sync_over_async(loop, frame)))
                self._say(f"Interrupted{_at(frame)}.\n{diagnose(loop).explain()}\n{kinds}".rstrip())
            raise KeyboardInterrupt

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, interrupted)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def _at(frame: FrameType | None) -> str:
    """Say where a step was interrupted; nothing where the loop was at rest."""
    loop = asyncio._get_running_loop()
    inside = learner_frame(frame) if loop and asyncio.current_task(loop) else None
    if inside is None:
        return ""
    line = linecache.getline(inside.f_code.co_filename, inside.f_lineno).strip()
    return f" in a step, at {place_of(inside.f_code, inside.f_lineno)}: {line}"
