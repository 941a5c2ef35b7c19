"""Exploring: a program is run under many schedules, and what came of it is told."""

import math
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, Literal

from .._face import Run
from ..engine.loop import MAX_STEPS, MAX_TIME
from ..engine.recording import Outcome
from ..engine.run import MAX_STEP_SECONDS, check_limits, execute
from .attempt import Attempt, Limits, Program
from .checks import check_count, check_program
from .exploration import Exploration, Tally
from .latencies import Spread
from .progress import bar
from .shrink import shrink
from .systematic import Systematic
from .workers import Workers, at_random

__all__ = ["explore"]

Strategy = Literal["both", "systematic", "random"]

_WAVE = 64  # schedules that are tried before the systematic search looks at what came of them


def explore(
    main: Program,
    *,
    runs: int = 1_000,
    strategy: Strategy = "both",
    deviations: int | None = None,
    latency: tuple[float, float] = (1.0, 100.0),
    seed: int = 0,
    until_found: bool = False,
    executor: Executor | None = None,
    progress: bool = True,
    max_steps: int = MAX_STEPS,
    max_time: float = MAX_TIME * 100,
    max_step_seconds: float = MAX_STEP_SECONDS,
) -> Exploration:
    """Run a program under many orders in which its waits complete, and find what freezes it.

    What is varied is how long waits take (``asyncio.sleep``, ``loop.call_later``), as it
    does in production, never the order in which asyncio runs what is ready: that is first
    in, first out, and programs may rely on it. Time limits are kept to. The same call gives
    the same result, whoever runs it.

    Args:
        main: an async function without parameters. It is run many times, so it must make
            its locks, queues and caches anew; ``random`` is seeded for each run.
        runs: how many schedules to try at most.
        strategy: ``"systematic"`` holds waits back until others have completed, in every
            way, and can prove that nothing freezes a small program. ``"random"`` draws how
            long each wait takes. ``"both"`` gives half of the runs to each; where there is a
            proof, none to the second.
        deviations: how many waits a systematic schedule holds back at most; None for any
            number, those with fewest first.
        latency: how many times as long as written a wait may take at random: least, most.
        seed: what the random latencies are drawn from.
        until_found: whether to stop at the first schedule that freezes.
        executor: any ``concurrent.futures.Executor``: a pool, or a Dask cluster's
            ``client.get_executor()``. By default a search that would take longer than some
            20 s is given to a process for each processor, where loky is installed.
        progress: whether to show a bar while a search takes long, where tqdm is installed.
        max_steps: after how many callbacks a run counts as a runaway.
        max_time: how far a run's virtual clock may go, in seconds.
        max_step_seconds: how long one step may keep the loop busy, in real seconds; after
            one that takes longer, the search ends.

    Returns:
        What was found: counts, the smallest schedule that freezes, and its run. Ctrl-C (or
        ■ in a notebook) ends the search and returns what was found until then.

    Raises:
        TypeError: ``main`` is no async function, or it cannot be sent to the executor.
        ValueError: a number is out of its range, or the strategy is none of these.

    >>> import asyncio, deadlock_lab as lab
    >>> async def main():
    ...     a, b = asyncio.Lock(), asyncio.Lock()
    ...     async def transfer(delay, first, second):
    ...         await asyncio.sleep(delay)
    ...         async with first:
    ...             await asyncio.sleep(0.01)
    ...             async with second:
    ...                 pass
    ...     await asyncio.gather(transfer(0, a, b), transfer(0.5, b, a))
    >>> lab.run(main).outcome
    'finished'
    >>> found = lab.explore(main, runs=100)
    >>> found.freezes > 0, lab.run(main, schedule=found.token).outcome
    (True, 'deadlock')
    """
    _check(main, runs, seed, strategy, deviations, latency)
    limits = Limits(max_steps, max_time, max_step_seconds)
    check_limits(**limits._asdict())
    search = _Search(
        workers=Workers(main, limits, executor, runs),
        systematic=Systematic(math.inf if deviations is None else deviations),
        spread=Spread(*latency),
        seed=seed,
    )
    half = (runs + 1) // 2
    systematic, in_all = {"both": (half, runs), "systematic": (runs, 0), "random": (0, runs)}[
        strategy
    ]
    try:
        with bar(runs, "schedules", shown=progress) as advance:
            for attempt in search.attempts(systematic, in_all):
                advance()
                if attempt.blocked or (until_found and attempt.freezes):
                    break
    except KeyboardInterrupt:
        search.tally.interrupted = True
    return _conclude(search, Workers(main, limits, None, 0), main, limits)


class _Search:
    """Tries schedules and counts what comes of them."""

    def __init__(self, workers: Workers, systematic: Systematic, spread: Spread, seed: int) -> None:
        self._workers = workers
        self._spread, self._seed = spread, seed
        self.systematic = systematic
        self.tally = Tally()

    def attempts(self, systematic: int, in_all: int) -> Iterator[Attempt]:
        """Try so many schedules systematically, then others at random up to so many in all."""
        yield from self._systematically(systematic)
        if not self.proved:
            yield from self._at_random(in_all - self.tally.total)

    @property
    def proved(self) -> bool:
        """Whether nothing is left to be found out."""
        tally = self.tally
        return not tally.freezes and not tally.timed and self.systematic.tried() == math.inf

    def _systematically(self, runs: int) -> Iterator[Attempt]:
        while wave := self.systematic.take(min(_WAVE, runs - self.tally.total)):
            cases = [(schedule, schedule.seed) for schedule in wave]
            for attempt in self._workers(cases, listen=True):
                self.systematic.learn(attempt)
                self.tally.add("systematic", attempt)
                yield attempt

    def _at_random(self, runs: int) -> Iterator[Attempt]:
        for attempt in self._workers(at_random(self._spread, self._seed, runs), listen=False):
            self.tally.add("random", attempt)
            yield attempt


def _conclude(search: _Search, here: Workers, main: Program, limits: Limits) -> Exploration:
    """Make what was first found small, and record it."""
    tally, tried = search.tally, search.systematic.tried()
    schedule = None
    if tally.first is not None:
        schedule = tally.first.schedule
        below = min(tried, len(schedule.lateness) - 1) if not tally.freezes["systematic"] else -1
        with suppress(KeyboardInterrupt):
            schedule = shrink(
                schedule,
                lambda wave: list(here([(s, s.seed) for s in wave], listen=True)),
                tried=below,
            )
    return Exploration(
        outcomes={o: tally.outcomes[o] for o in Outcome if tally.outcomes[o]},
        runs=dict(tally.runs),
        frozen=dict(tally.freezes),
        first_at=tally.first_at,
        tried=tried,
        timed=tally.timed,
        schedule=schedule,
        run=Run(execute(main, **limits._asdict(), schedule=schedule)) if schedule else None,
        error=tally.error,
        blocked=tally.blocked,
        interrupted=tally.interrupted,
    )


def _check(
    main: Any,
    runs: int,
    seed: int,
    strategy: str,
    deviations: int | None,
    latency: tuple[float, float],
) -> None:
    check_program("explore", main)
    if strategy not in ("both", "systematic", "random"):
        raise ValueError(f'strategy must be "both", "systematic" or "random", but is {strategy!r}')
    check_count("runs", runs, least=1)
    check_count("seed", seed, least=0)
    if deviations is not None:
        check_count("deviations", deviations, least=0)
    least, most = latency
    if not 0 < least <= most < math.inf:
        raise ValueError(
            "latency must be two factors above 0, the least one first, as in (1, 100), but is "
            f"{latency!r}"
        )
