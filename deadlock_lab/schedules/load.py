"""Load curves: how often a program freezes, by how much it is asked and how slow its waits are.

A deadlock that never shows itself to one user shows itself to fifty: each further request
is a further chance that two meet. The curve says how fast that chance grows.
"""

import inspect
import itertools
import math
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import partial
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from ..engine.loop import MAX_STEPS, MAX_TIME
from ..engine.recording import Outcome
from ..engine.run import MAX_STEP_SECONDS, check_limits
from .attempt import Attempt, Limits
from .checks import check_count, check_function
from .latencies import Spread
from .progress import bar
from .workers import Workers, at_random

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LoadCurve", "LoadPoint", "load_curve", "wilson"]

Load = tuple[int, float]
Server = Callable[[int], Coroutine[Any, Any, Any]]

_COUNTED = ("runs", "freezes", "failures")
_BROKE = frozenset({Outcome.FAILED, Outcome.RUNAWAY})


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Bound a probability of which a sample is known, with a confidence of 95 %.

    It is the score interval of E. B. Wilson ("Probable inference, the law of succession, and
    statistical inference", Journal of the American Statistical Association 22, 1927), which
    keeps to its confidence near 0 and 1 too: no hit is no proof that there is none.

    Args:
        hits: how many of the sample were hits.
        of: the size of the sample, above 0.

    Returns:
        The bounds, between 0 and 1.

    >>> [round(bound, 3) for bound in wilson(0, 200)]
    [0.0, 0.019]
    """
    z = NormalDist().inv_cdf(0.975)
    rate, scale = hits / of, 1 + z * z / of
    middle = (rate + z * z / (2 * of)) / scale
    half = z / scale * math.sqrt(rate * (1 - rate) / of + (z / (2 * of)) ** 2)
    return (middle - half if hits else 0.0, middle + half if hits < of else 1.0)


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """How often a program froze under one load.

    Attributes:
        requests: how many there were at once.
        spread: up to how many times as long as written each wait took.
        runs: how many runs were made, each with latencies of its own.
        freezes: in how many of them a task could never go on.
        failures: how many others failed, or met a limit.
    """

    requests: int
    spread: float
    runs: int
    freezes: int
    failures: int

    @property
    def rate(self) -> float:
        """The share of runs that froze, from 0 to 1."""
        return self.freezes / self.runs

    @property
    def band(self) -> tuple[float, float]:
        """Between which bounds the probability of a freeze lies, at 95 %; see ``wilson``."""
        return wilson(self.freezes, self.runs)


@dataclass(frozen=True)
class LoadCurve:
    """How often a program freezes, by load; made by ``lab.load_curve``.

    Attributes:
        points: one for each load, by spread and then by requests.
        blocked: what was said of a step that never ended, and with it the measurement.
        interrupted: whether it was ended by hand: then points may be missing.
    """

    points: tuple[LoadPoint, ...]
    blocked: str = ""
    interrupted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Give the curve as data that ``json.dumps`` takes.

        Returns:
            A dict of ``rows`` (for each point a dict of ``requests``, ``spread``, ``runs``,
            ``freezes``, ``failures``, ``rate``, ``low`` and ``high``, as
            ``pandas.DataFrame`` takes them), ``blocked`` and ``interrupted``.
        """
        return {
            "rows": [
                asdict(p) | {"rate": p.rate, "low": p.band[0], "high": p.band[1]}
                for p in self.points
            ],
            "blocked": self.blocked,
            "interrupted": self.interrupted,
        }

    def figure(self) -> "Figure":
        """Draw a line for each spread over the requests, with its band, by matplotlib."""
        from .load_picture import figure

        return figure(self)

    def explain(self) -> str:
        """Tell the curve as a table; ``print`` says the same."""
        from .load_text import explain

        return explain(self)

    def __str__(self) -> str:
        return self.explain()

    def __repr__(self) -> str:
        from .load_text import verdict

        return f"<LoadCurve {verdict(self)}>"

    def _repr_mimebundle_(self, **_: Any) -> Any:
        """Show the figure, and a text that says the same."""
        text = self.explain()
        try:
            from ..views.pictures import png

            picture = png(self.figure(), colours=256)
        except ImportError:
            return {"text/plain": text}
        return {"text/plain": text, "image/png": picture}, {"image/png": {"alt": text}}


def load_curve(
    main: Server,
    requests: Sequence[int] = (1, 2, 5, 10, 20, 50),
    *,
    spreads: Sequence[float] = (1, 3, 10, 30, 100),
    runs: int = 200,
    seed: int = 0,
    executor: Executor | None = None,
    progress: bool = True,
    max_steps: int = MAX_STEPS,
    max_time: float = MAX_TIME * 100,
    max_step_seconds: float = MAX_STEP_SECONDS,
) -> LoadCurve:
    """Measure how often a program freezes, by concurrent requests and by spread of latencies.

    Latencies are drawn as by ``lab.explore(..., strategy="random", latency=(1, spread))``, and
    the same ones for every spread and number of requests: so neighbours can be compared.
    The same call gives the same curve, whoever runs it.

    Args:
        main: an async function of one parameter, the number of requests, that serves so many
            at once. It is run many times, so it must make its locks, queues and caches anew.
        requests: numbers of concurrent requests.
        spreads: up to how many times as long as written a wait may take; at 1 all runs are
            alike, unless the program draws from ``random``, which is seeded for each run.
        runs: how many runs to make for each number of requests and each spread.
        seed: what the random latencies are drawn from.
        executor: any ``concurrent.futures.Executor``; see ``lab.explore``.
        progress: whether to show a bar while it takes long, where tqdm is installed.
        max_steps: after how many callbacks a run counts as a runaway.
        max_time: how far a run's virtual clock may go, in seconds.
        max_step_seconds: how long one step may keep the loop busy, in real seconds; after
            one that takes longer, the measurement ends.

    Returns:
        A point for each load, with its 95 % band. Ctrl-C (or ■ in a notebook) ends the
        measurement and returns what was measured until then.

    Raises:
        TypeError: ``main`` is no async function of one parameter, it cannot be sent to the
            executor, or a number is none.
        ValueError: a number is out of its range, or there is none.

    >>> import asyncio, deadlock_lab as lab
    >>> async def main(requests):
    ...     a, b = asyncio.Lock(), asyncio.Lock()
    ...     async def transfer(arrival, first, second):
    ...         await asyncio.sleep(arrival)
    ...         async with first:
    ...             await asyncio.sleep(0.01)
    ...             async with second:
    ...                 pass
    ...     pairs = [(a, b), (b, a)] * requests
    ...     await asyncio.gather(*(transfer(n / 10, *pairs[n]) for n in range(requests)))
    >>> curve = lab.load_curve(main, (1, 2, 20), spreads=(1, 10), runs=100)
    >>> curve
    <LoadCurve at worst 51 % of runs freeze: 20 requests at once, waits up to 10×>
    >>> [round(bound, 2) for bound in curve.points[-1].band]
    [0.41, 0.61]
    """
    limits = Limits(max_steps, max_time, max_step_seconds)
    requests, spreads = _check(main, requests, spreads, runs, seed)
    check_limits(**limits._asdict())
    counts: dict[Load, Counter[str]] = {}
    blocked, interrupted = "", False
    measuring = _Measuring(main, spreads, runs, seed, limits, executor)
    try:
        with bar(runs * len(requests) * len(spreads), "runs", shown=progress) as advance:
            for load, attempt in measuring.attempts(requests):
                counts.setdefault(load, Counter()).update(_counted(attempt))
                advance()
                if blocked := attempt.blocked:
                    break
    except KeyboardInterrupt:
        interrupted = True
    loads = ((n, spread) for spread in spreads for n in requests if (n, spread) in counts)
    points = (LoadPoint(*load, *(counts[load][field] for field in _COUNTED)) for load in loads)
    return LoadCurve(tuple(points), blocked, interrupted)


def _counted(attempt: Attempt) -> Iterator[str]:
    yield "runs"
    if attempt.freezes:
        yield "freezes"
    elif attempt.outcome in _BROKE:
        yield "failures"


@dataclass(frozen=True)
class _Measuring:
    main: Server
    spreads: Sequence[float]
    runs: int
    seed: int
    limits: Limits
    executor: Executor | None

    def attempts(self, requests: Sequence[int]) -> Iterator[tuple[Load, Attempt]]:
        """Run the program under each load in turn, light ones first."""
        each = self.runs * len(self.spreads)
        for done, n in enumerate(requests):
            left = each * (len(requests) - done)
            workers = Workers(partial(self.main, n), self.limits, self.executor, left)
            loads = ((n, spread) for spread in self.spreads for _ in range(self.runs))
            yield from zip(loads, workers(self._cases(), listen=False), strict=True)

    def _cases(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(
            at_random(Spread(1.0, spread), self.seed, self.runs) for spread in self.spreads
        )


def _check(
    main: Any, requests: Any, spreads: Any, runs: int, seed: int
) -> tuple[Sequence[int], Sequence[float]]:
    check_function("load_curve", main)
    requests, spreads = _several("requests", requests), _several("spreads", spreads)
    for n in requests:
        check_count("each number of requests", n, least=1)
    for spread in spreads:
        if isinstance(spread, bool) or not isinstance(spread, int | float):
            raise TypeError(f"each spread must be a number, but one is {spread!r}")
        if not 1 <= spread < math.inf:
            raise ValueError(f"each spread must be 1 or more, and finite, but one is {spread!r}")
    check_count("runs", runs, least=1)
    check_count("seed", seed, least=0)
    _check_serves(main, requests[0])
    return sorted(set(requests)), sorted(set(spreads))


def _several(name: str, values: Any) -> list[Any]:
    try:
        several = list(values.tolist() if hasattr(values, "tolist") else values)  # of numpy, say
    except TypeError:
        raise TypeError(f"{name} must be several numbers, as in (1, 10), not {values!r}") from None
    if not several:
        raise ValueError(f"{name} must be at least one number, but there is none")
    return several


def _check_serves(main: Server, requests: int) -> None:
    name = getattr(main, "__name__", repr(main))
    wanted = "lab.load_curve needs an async function of one parameter, the number of requests"
    try:
        inspect.signature(main).bind(requests)
    except TypeError as error:
        raise TypeError(
            f"{wanted}, but {name}({requests}) cannot be called ({error}); write "
            f"`async def {name}(requests): ...`"
        ) from None
    coro: Any = main(requests)
    if not inspect.iscoroutine(coro):
        raise TypeError(f"{wanted}, but {name}({requests}) returned {coro!r}")
    coro.close()  # before it began: nothing was run
