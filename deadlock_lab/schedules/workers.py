"""Who runs the attempts: this process, or an executor; what comes back is the same."""

import os
import pickle
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor

from ..engine.schedule import Oracle
from .attempt import Attempt, Limits, Program, attempts

__all__ = ["Case", "Workers"]

Case = tuple[Oracle, int]
"""Whom to ask how late each wait is, and what ``random`` is seeded with."""

_CHUNK = 16  # attempts that are sent to a process at once
_LONG = 20.0  # real seconds: a search that would take longer is given to several processes


class Workers:
    """Runs a program under many schedules, and gives the attempts in the order asked for.

    Args:
        main: the program.
        limits: the limits of each attempt.
        executor: who runs them; None for this process, at least until it is seen to take long.
        runs: how many attempts are planned.
    """

    def __init__(self, main: Program, limits: Limits, executor: Executor | None, runs: int) -> None:
        self._main, self._limits = main, limits
        self._executor = executor
        self._left = runs
        self._may_choose = executor is None
        self._packed = _pack(main) if executor else b""

    def __call__(self, cases: Sequence[Case], *, listen: bool) -> Iterator[Attempt]:
        """Run the program once for each case.

        Args:
            cases: under what to run it.
            listen: whether to say which timers went off.
        """
        began = time.perf_counter()
        chunks = [cases[i : i + _CHUNK] for i in range(0, len(cases), _CHUNK)]
        if self._executor is None:
            for chunk in chunks:
                yield from attempts(self._main, chunk, self._limits, listen=listen)
        else:
            yield from self._sent(self._executor, chunks, listen)
        self._left -= len(cases)
        if self._may_choose:
            self._choose((time.perf_counter() - began) / max(1, len(cases)) * self._left)

    def _sent(
        self, executor: Executor, chunks: list[Sequence[Case]], listen: bool
    ) -> Iterator[Attempt]:
        futures = [
            executor.submit(_unpacked, self._packed, chunk, self._limits, listen)
            for chunk in chunks
        ]
        try:
            for future in futures:
                yield from future.result()
        finally:
            for future in futures:
                future.cancel()

    def _choose(self, seconds: float) -> None:
        """Take a process for each processor if the rest would take long."""
        if seconds < _LONG or (os.cpu_count() or 1) < 2 or sys.platform == "emscripten":
            return
        self._may_choose = False
        try:
            import loky

            self._packed = _pack(self._main)
            self._executor = loky.get_reusable_executor()
        except (ImportError, OSError, TypeError, BrokenExecutor):
            self._executor = None  # it only takes longer


def _unpacked(packed: bytes, chunk: Sequence[Case], limits: Limits, listen: bool) -> list[Attempt]:
    return attempts(pickle.loads(packed), chunk, limits, listen=listen)  # noqa: S301 (our own)


def _pack(main: Program) -> bytes:
    """Pickle a program; one that is written in a notebook only cloudpickle can."""
    try:
        import cloudpickle as pickler
    except ImportError:
        pickler = pickle
    try:
        packed: bytes = pickler.dumps(main)
    except Exception as error:
        raise TypeError(
            f"{getattr(main, '__name__', main)} cannot be sent to an executor ({error}); make "
            "its locks, tasks and files inside of it, or leave the executor out"
        ) from error
    return packed
