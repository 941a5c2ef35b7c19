"""Who runs the attempts: this process, or an executor; what comes back is the same."""

import itertools
import os
import pickle
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future

from ..engine.schedule import Oracle
from .attempt import Attempt, Limits, Program, attempts
from .latencies import Latencies, Spread

__all__ = ["Case", "Workers", "at_random"]

Case = tuple[Oracle, int]
"""Whom to ask how late each wait is, and what ``random`` is seeded with."""

_CHUNK = 16  # attempts that are sent to a process at once
_AHEAD = 64  # chunks that are sent before the first of them has come back
_LONG = 20.0  # real seconds: a search that would take longer is given to several processes

_Sent = tuple[list[Case], Future[list[Attempt]] | None]


def at_random(spread: Spread, seed: int, runs: int) -> Iterator[Case]:
    """Draw so many cases; an equal seed draws alike.

    Args:
        spread: how many times as long as written a wait may take.
        seed: what to draw from; another one has no case in common, below a million runs.
        runs: how many.
    """
    first = seed * 1_000_000 + 1
    return ((Latencies(spread, case), case) for case in range(first, first + runs))


class Workers:
    """Runs a program under many schedules, and gives the attempts in the order asked for.

    Args:
        main: the program.
        limits: the limits of each attempt.
        executor: who runs them; None for this process, at least until it is seen to take long.
        runs: how many attempts are planned.
    """

    def __init__(self, main: Program, limits: Limits, executor: Executor | None, runs: int) -> None:
        if executor is not None and not hasattr(executor, "submit"):
            raise TypeError(
                "executor must be one of concurrent.futures, or like one, with a method submit, "
                f"but is {executor!r}"
            )
        self._main, self._limits = main, limits
        self._executor = executor
        self._left, self._done, self._spent = runs, 0, 0.0
        self._given = executor is not None
        self._may_choose = not self._given
        self._packed = _pack(main) if executor else b""

    def __call__(self, cases: Iterable[Case], *, listen: bool) -> Iterator[Attempt]:
        """Run the program once for each case.

        Args:
            cases: under what to run it.
            listen: whether to say which timers went off.
        """
        cases = iter(cases)
        chunks = iter(lambda: list(itertools.islice(cases, _CHUNK)), [])
        for chunk in chunks:
            if self._executor is not None:
                yield from self._sent(itertools.chain([chunk], chunks), listen)
            else:
                yield from self._here(chunk, listen)

    def _here(self, chunk: list[Case], listen: bool) -> list[Attempt]:
        began = time.perf_counter()
        done = attempts(self._main, chunk, self._limits, listen=listen)
        self._spent += time.perf_counter() - began
        self._done += len(chunk)
        self._left -= len(chunk)
        if self._may_choose and self._spent >= _LONG / 10:  # not for one hiccup of the machine
            self._choose(self._spent / self._done * self._left)
        return done

    def _sent(self, chunks: Iterable[list[Case]], listen: bool) -> Iterator[Attempt]:
        sent: deque[_Sent] = deque()
        try:
            for chunk in chunks:
                sent.append((chunk, self._send(chunk, listen)))
                if len(sent) == _AHEAD:
                    yield from self._received(*sent.popleft(), listen)
            while sent:
                yield from self._received(*sent.popleft(), listen)
        finally:  # also where nobody wants the rest
            for _, future in sent:
                if future is not None:
                    future.cancel()

    def _send(self, chunk: list[Case], listen: bool) -> Future[list[Attempt]] | None:
        if self._executor is None:
            return None
        try:
            return self._executor.submit(_unpacked, self._packed, chunk, self._limits, listen)
        except Exception:  # it is broken, was shut down, or may start no process
            if self._given:
                raise
            self._executor = None
            return None

    def _received(
        self, chunk: list[Case], future: Future[list[Attempt]] | None, listen: bool
    ) -> list[Attempt]:
        """Wait for a chunk; where a pool of our own choice fails, it is run here in its place."""
        try:
            if future is not None:
                return future.result()
        except Exception:  # whatever it is, the program is not to blame: it has run here before
            if self._given:
                raise
            self._executor = None
        return self._here(chunk, listen)

    def _choose(self, seconds: float) -> None:
        """Take a process for each processor if the rest would take long."""
        if seconds < _LONG or not _processors_are_idle():
            return
        self._may_choose = False
        try:
            import loky

            self._packed = _pack(self._main)
            self._executor = loky.get_reusable_executor()
        except (ImportError, OSError, TypeError, RuntimeError):
            self._executor = None  # it only takes longer


def _processors_are_idle() -> bool:
    """Whether further processes would be of use: in one of a pool, the others are at work."""
    if sys.platform == "emscripten" or (os.cpu_count() or 1) < 2:
        return False
    import multiprocessing

    return multiprocessing.parent_process() is None


def _unpacked(packed: bytes, chunk: list[Case], limits: Limits, listen: bool) -> list[Attempt]:
    try:
        main = pickle.loads(packed)  # noqa: S301 (our own)
    except Exception as error:
        raise TypeError(
            f"the executor's worker cannot load the program ({type(error).__name__}: {error}); it "
            "has to find the modules that the program is from, or leave the executor out"
        ) from error
    return attempts(main, chunk, limits, listen=listen)


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
