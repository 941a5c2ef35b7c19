"""The face: ``run`` and the ``Run`` that it returns, with a method for each way to look at it."""

import sys
from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from .engine.errors import DeadlockError, RunawayError
from .engine.futile import Futile
from .engine.graph import WaitGraph
from .engine.kinds import Diagnosis
from .engine.lockorder import Risk
from .engine.loop import MAX_STEPS, MAX_TIME
from .engine.masked import Masked
from .engine.recording import Outcome, Recording
from .engine.run import MAX_STEP_SECONDS, Program, execute
from .engine.schedule import Schedule
from .engine.trace import Trace
from .engine.victims import Broken
from .views.data import to_dict
from .views.text import explain, summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .views.player import Player
    from .views.race import RaceExplorer

__all__ = ["Run", "race_explorer", "run"]


class Run:
    """A program that was run once: plain data, and ways to look at it.

    Made by :func:`run`. ``print(run)`` explains it; a bare ``run`` at the end of a
    notebook cell plays it.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    @property
    def outcome(self) -> Outcome:
        """How it ended: ``finished``, ``failed``, ``deadlock`` or ``runaway``."""
        return self.recording.outcome

    @property
    def trace(self) -> Trace:
        """What happened, event by event."""
        return self.recording.trace

    @property
    def waits(self) -> WaitGraph:
        """Who waited for whom at the end: ``.tasks``, ``.edges``, ``.cycles()``, ``.stuck``."""
        return self.recording.waits

    @property
    def stuck(self) -> tuple[str, ...]:
        """Names of the tasks that could never have gone on, also beside a main that finished."""
        return self.waits.stuck

    @property
    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """What kind of deadlock it is: ``.kind``, ``.members``, ``.why``, ``.cure``, ``.sure``."""
        return self.recording.diagnoses

    @property
    def masked(self) -> tuple[Masked, ...]:
        """Deadlocks that a timeout broke up: ``.cycle``, ``.diagnosis``, and so on."""
        return self.recording.masked

    @property
    def futile(self) -> tuple[Futile, ...]:
        """Time limits that were up, and could not end a ring of tasks: ``.limit_of``."""
        return self.recording.futile

    @property
    def broken(self) -> tuple[Broken, ...]:
        """Deadlocks broken by ``on_deadlock="break"``: ``.cycle``, ``.victim``, and so on."""
        return self.recording.broken

    @property
    def risks(self) -> tuple[Risk, ...]:
        """Pairs of locks taken in both orders: ``.locks``, ``.first``, ``.second``."""
        return self.recording.risks

    @property
    def steps(self) -> int:
        """How many callbacks the loop ran."""
        return self.recording.steps

    @property
    def seconds(self) -> float:
        """How long it took, in virtual seconds."""
        return self.recording.time / 1e9

    def result(self) -> Any:
        """Return what main returned.

        Raises:
            DeadlockError: the program stood still for ever.
            RunawayError: the program met a limit of the run.
            BaseException: what main raised, where it failed.
        """
        match self.outcome:
            case Outcome.DEADLOCK:
                raise DeadlockError(self.explain())
            case Outcome.RUNAWAY:
                raise RunawayError(self.explain())
        if self.recording.error is not None:
            raise self.recording.error
        return self.recording.value

    def explain(self) -> str:
        """Explain the run in plain English; ``print(run)`` says the same."""
        return explain(self.recording)

    @property
    def error(self) -> BaseException | None:
        """What main raised, where it failed; else None. ``result()`` raises it."""
        return self.recording.error

    def to_dict(self) -> dict[str, Any]:
        """Give the verdict as data that ``json.dumps`` takes.

        Returns:
            A dict of ``outcome``, ``steps``, ``seconds`` (virtual), ``value`` (main's, as its
            ``repr``), ``error``, ``limit``, ``stuck``, ``unless`` (whose error would still
            reach the stuck), ``cycles``, ``tasks`` (those that were suspended at the end),
            ``edges``, ``diagnoses``, ``masked``, ``futile``, ``broken`` and ``risks``. What
            does not apply is None, or empty.

        >>> import asyncio, deadlock_lab as lab
        >>> async def main():
        ...     await asyncio.get_running_loop().create_future()
        >>> lab.run(main).to_dict()["stuck"]
        ['main']
        """
        return to_dict(self.recording)

    def play(self, position: int | None = None) -> "Player":
        """Open the animated player (needs the ``lab`` extra).

        Args:
            position: the number of events to start after; by default where main first runs.
        """
        from .views.player import Player

        return Player(self.recording, position=position)

    def timeline(self) -> "Figure":
        """Draw a lane for each task over virtual time, as a matplotlib figure."""
        from .views.pictures import timeline

        return timeline(self.recording)

    def wait_graph(self) -> "Figure":
        """Draw who waits for whom at the end, as a matplotlib figure."""
        from .views.pictures import wait_graph

        return wait_graph(self.recording)

    def save_html(self, path: "str | PathLike[str]") -> None:
        """Write the player into one file that needs no kernel and no network.

        Args:
            path: where to write it; an existing file is replaced.
        """
        from .views.html import save_html

        save_html(self.recording, path)

    def __str__(self) -> str:
        return self.explain()

    def __repr__(self) -> str:
        return f"<Run {summary(self.recording)}>"

    def _repr_mimebundle_(self, **_: Any) -> Any:
        """Show the player, with a picture and a text for places where it cannot live."""
        from .views.notebook import mimebundle

        return mimebundle(self.recording)


def run(
    main: Program,
    *,
    max_steps: int = MAX_STEPS,
    max_time: float = MAX_TIME,
    max_step_seconds: float = MAX_STEP_SECONDS,
    on_deadlock: Literal["stop", "break"] = "stop",
    schedule: str | None = None,
    lines: bool = False,
) -> Run:
    """Run an asyncio program on a loop of its own, in virtual time, and record it.

    It always comes back: from a deadlock, from a program that never ends, from a step
    that blocks. It may be called from a script, from a notebook cell and from inside a
    running loop. ``asyncio.sleep`` costs no real time: the clock jumps. Threads, sockets
    and subprocesses are refused, with an error that names them.

    Args:
        main: an async function without parameters, or a coroutine.
        max_steps: after how many callbacks the program counts as a runaway.
        max_time: how far the virtual clock may go, in seconds.
        max_step_seconds: how long one step (what runs between two awaits) may keep the
            loop busy, in real seconds.
        on_deadlock: ``"stop"`` ends the run where nothing can move any more. ``"break"``
            frees one member of each cycle, as a database does, by a ``DeadlockError`` where
            it waits, and goes on. It is the last that began to wait; where the same tasks
            meet again, another one has its turn.
        schedule: a token from ``lab.explore``, which says which waits take longer than
            written. It also seeds ``random`` for the run, so that the run can be repeated.
        lines: whether to record each line of your functions that a task comes to, too, with
            the local variables that changed: the first 20,000 of them. A task's step takes
            more real time then, and nothing else is different. Plain values are shown in
            short, all others by their type: no ``__repr__`` is called.

    Returns:
        The run as data. Errors of the program are in there too; ``run.result()`` raises them.

    Raises:
        TypeError: ``main`` is not something that can be run.
        ValueError: a limit is not above 0, ``on_deadlock`` is neither of these, the schedule
            cannot be read, or the coroutine has been run already.
        SystemExit: the program calls ``sys.exit``.
        RuntimeError: ``lines`` is asked for while something else listens to every line: on
            Python 3.11 a debugger, or a measurement of coverage.

    >>> import asyncio, deadlock_lab as lab
    >>> async def main():
    ...     lock = asyncio.Lock()
    ...     async with lock:
    ...         async with lock:
    ...             return "never"
    >>> lab.run(main)
    <Run deadlock: main → main (1 step, 0 s of virtual time)>
    """
    recording = execute(
        main,
        max_steps=max_steps,
        max_time=max_time,
        max_step_seconds=max_step_seconds,
        on_deadlock=on_deadlock,
        schedule=None if schedule is None else Schedule.parse(schedule),
        lines=lines,
    )
    if isinstance(recording.error, SystemExit):
        raise recording.error  # who asks to leave, leaves, as with asyncio.run
    return Run(recording)


def race_explorer(
    operation: float = 1.0,
    limit: float = 0.6,
    *,
    way: str = "race",
    when_cancelled: str = "stops",
    latencies: str | Iterable[float] = "spread",
) -> "RaceExplorer":
    """Drag how long an operation takes and how long its limit is, and see who wins.

    Each position of the handles is run for real, in virtual time. Below, the rate of false
    alarms against the limit, counted over latencies of healthy calls. Needs the ``lab`` extra.

    Args:
        operation: how long the operation takes, in virtual seconds; above 0, and a day at most.
        limit: how long the caller waits for it, in virtual seconds; likewise.
        way: how the limit is put: ``race`` (the article's, as published), ``timeout``
            (``asyncio.timeout``) or ``with_timeout`` (ours).
        when_cancelled: what the operation does when it is asked to stop: ``stops``,
            ``cleans up`` first, or ``carries on``.
        latencies: how long healthy calls take: ``steady``, ``spread``, ``heavy tail``, or your
            own figures, in seconds.

    Returns:
        The widget. ``print`` says in words what it shows, and ``.figure()`` draws it.

    Raises:
        TypeError, ValueError, traitlets.TraitError: an argument makes no sense.

    >>> import deadlock_lab as lab
    >>> print(lab.race_explorer(0.5, 2, way="with_timeout", latencies=[0.2, 0.4, 3]))
    An operation of 0.5 s against a limit of 2 s: with_timeout, grace 0.5 s; when cancelled, the \
operation stops at once.
    The operation wins: the caller gets the result at 0.5 s. The timer is switched off.
    A limit of 2 s gives up 1 of these 3 healthy calls: 33.3 % false alarms.
    An operation that is frozen for good: the caller is free at 2 s.
    """
    from .views.race import RaceExplorer

    return RaceExplorer(
        operation, limit, way=way, when_cancelled=when_cancelled, latencies=latencies
    )


if "IPython" in sys.modules:  # a notebook: let places name its cells
    from .views import notebook as _notebook  # noqa: F401
