"""The scheduler game: a player says which pending wait completes next, and tries to freeze it.

A game is the list of the picks so far and nothing else: it is played by running the program
anew, up to the moment at which nothing is ready and the clock would jump. There the player
picks. What was due before the pick is held back until just after it, as ``lab.explore`` holds
waits back; so a game makes a schedule, and ``lab.run`` replays it.

Time limits keep their time. So a wait beyond the next time limit cannot be picked before it.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from io import StringIO
from itertools import takewhile
from typing import NamedTuple

from ..engine.loop import BEYOND, MAX_TIME
from ..engine.recording import Outcome, Recording
from ..engine.run import MAX_STEP_SECONDS, execute
from ..engine.schedule import Schedule
from ..engine.trace import Event, Kind, Timer, Trace
from ..schedules.attempt import Limits, Program
from ..views.narration import when

__all__ = ["LIMITS", "MOST_PICKS", "Game", "Offer", "Pick", "Status", "start", "way"]

Pick = tuple[int, ...]
"""The numbers of the timers that go off at one moment, in their order."""

LIMITS = Limits(max_steps=5_000, max_time=MAX_TIME, max_step_seconds=MAX_STEP_SECONDS)
"""What a game's runs may take: less than other runs, as somebody waits for each."""

MOST_PICKS = 50
"""After how many picks a game is over: a heartbeat would have it go on for ever."""

_AT_THE_END = frozenset({Kind.COMPLAINT, Kind.ENDED})


class Status(StrEnum):
    """Where a game stands: it goes on with ``choice``, and is over with each of the others."""

    CHOICE = "choice"
    FROZEN = "frozen"
    FINISHED = "finished"
    FAILED = "failed"
    RUNAWAY = "runaway"
    ENOUGH = "enough"
    CHANGED = "changed"


class Offer(NamedTuple):
    """A pending wait.

    Attributes:
        number: its timer's, in the order in which the run sets them.
        timer: what it is for, when it is due, and whose it is.
        pick: what has to go off for it to: itself, and the time limits due at that moment.
        refusal: why it cannot go off next; empty where it can.
    """

    number: int
    timer: Timer
    pick: Pick
    refusal: str = ""

    @property
    def is_limit(self) -> bool:
        """Whether it is a time limit, which cannot be held back."""
        return self.timer.purpose == "timeout"


@dataclass(frozen=True)
class Game:
    """A game after some picks; ``start`` makes one, ``pick`` the next.

    Attributes:
        main: the program.
        limits: what each of its runs may take.
        recording: its run so far, up to the moment of the choice or its end.
        lateness: the schedule so far: virtual nanoseconds by the timer's number.
        last: what was picked last; empty at the start.
        before: the game one pick ago.
    """

    main: Program
    limits: Limits
    recording: Recording = field(repr=False)
    lateness: dict[int, int] = field(default_factory=dict)
    last: Pick = ()
    before: "Game | None" = field(default=None, repr=False)

    @cached_property
    def picks(self) -> tuple[Pick, ...]:
        """What was picked so far."""
        return (*self.before.picks, self.last) if self.before else ()

    @property
    def token(self) -> str:
        """The schedule so far, for ``lab.run(main, schedule=token)``."""
        return Schedule(self.lateness).token

    @property
    def trace(self) -> Trace:
        """What has happened so far."""
        return self.recording.trace

    @cached_property
    def position(self) -> int:
        """How many events have happened; what is told of the end is left out of a choice's."""
        count = len(self.trace.events)
        return _happened(self.trace) if self.status is Status.CHOICE else count

    @cached_property
    def status(self) -> Status:
        """Where the game stands."""
        if not self._repeats:
            return Status.CHANGED
        if self.recording.waits.stuck_ids:
            return Status.FROZEN
        if self.recording.outcome is not Outcome.RUNAWAY:
            return Status(self.recording.outcome)
        if not any(not offer.refusal for offer in self.offers):
            return Status.RUNAWAY
        return Status.ENOUGH if len(self.picks) >= MOST_PICKS else Status.CHOICE

    @property
    def _repeats(self) -> bool:
        """Whether the program has done again what it did before the last pick."""
        if self.before is None:
            return True
        known = _happened(self.before.trace)
        return self.trace.events[:known] == self.before.trace.events[:known]

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        """The pending waits, the next one first; none where the program can make no choice."""
        if self.recording.outcome is not Outcome.RUNAWAY or BEYOND not in self.recording.limit:
            return ()
        timers = self.trace.timers
        pending = sorted(_pending(self.trace.events), key=lambda n: (timers[n].due, n))
        return tuple(_offers([(number, timers[number]) for number in pending], self.limits))

    @property
    def natural(self) -> Pick:
        """What goes off next if nothing is held back: all that is due at the next moment."""
        return tuple(o.number for o in self.offers if o.timer.due == self.offers[0].timer.due)

    def pick(self, numbers: Iterable[int]) -> "Game":
        """Have waits complete next, at one moment.

        Args:
            numbers: their timers' numbers. Time limits that are due then need not be named.

        Returns:
            The game after that. This one stays as it is.

        Raises:
            ValueError: one of them cannot complete next, or none was named.
        """
        wanted = set(numbers)
        picked = {n for o in self.offers if o.number in wanted for n in o.pick}
        if not wanted or not wanted <= picked or self.status is not Status.CHOICE:
            raise ValueError(f"no such wait is pending: {sorted(wanted)}")
        if refusals := [o.refusal for o in self.offers if o.number in picked and o.refusal]:
            raise ValueError(refusals[0])
        moment = max(o.timer.due for o in self.offers if o.number in picked)
        lateness = {**self.lateness, **_moved(self.offers, picked, moment)}
        recording = _run(self.main, lateness, moment, self.limits)
        return replace(
            self,
            recording=recording,
            lateness=lateness,
            last=tuple(sorted(picked)),
            before=self,
        )

    def at(self, picks: Sequence[Sequence[int]]) -> "Game":
        """Go to where other picks lead; what they share with this game's is not run again.

        Args:
            picks: all picks from the start.

        Raises:
            ValueError: one of them cannot be made.
        """
        wanted = tuple(tuple(pick) for pick in picks)
        game = self
        while game.before and game.picks != wanted[: len(game.picks)]:
            game = game.before
        for pick in wanted[len(game.picks) :]:
            game = game.pick(pick)
        return game


def start(main: Program, limits: Limits = LIMITS) -> Game:
    """Begin a game.

    Args:
        main: an async function without parameters. It is run once for each pick, so it must
            make its locks, queues and caches anew.
        limits: what each run may take; the time is that of the last wait that can be picked.

    >>> import asyncio
    >>> async def main():
    ...     await asyncio.gather(asyncio.sleep(1), asyncio.sleep(2))
    >>> game = start(main)
    >>> [offer.timer.due for offer in game.offers]
    [1000000000, 2000000000]
    >>> game.pick([1]).token
    '0+1000000001'
    """
    return Game(main, limits, _run(main, {}, 0, limits))


def way(game: Game, schedule: Schedule) -> list[Pick]:
    """Find the picks that lead to the freeze that a schedule leads to.

    Where it can be had, one wait at a time: the search holds waits back until others complete,
    and if it freezes then, it often does so when they are a moment later.

    Args:
        game: a game of the same program, at its start.
        schedule: it freezes the program.

    Returns:
        The picks, or none if the game cannot go there.
    """
    later = {n: late + i for i, (n, late) in enumerate(sorted(schedule.lateness.items()), 1)}
    for lateness in (later, schedule.lateness):
        with redirect_stdout(StringIO()):
            run = execute(game.main, **game.limits._asdict(), schedule=Schedule(lateness))
        followed = _followed(game, run.trace)
        if followed.status is Status.FROZEN:
            return list(followed.picks)
    return []


def _followed(game: Game, trace: Trace) -> Game:
    """Make the picks that a run has made, for as long as they can be made."""
    for batch in _batches(trace.events):
        if game.status is not Status.CHOICE or not _may(game, batch):
            break
        game = game.pick(batch)
    return game


def _may(game: Game, batch: Pick) -> bool:
    return set(batch) <= {offer.number for offer in game.offers if not offer.refusal}


def _batches(events: Sequence[Event]) -> Iterator[Pick]:
    """Yield the timers that go off with each jump of the clock."""
    now = 0
    for i, event in enumerate(events):
        if event.kind is Kind.TIMER_FIRED and event.time > now:
            fired = takewhile(lambda e: e.kind is Kind.TIMER_FIRED, events[i:])
            yield tuple(sorted(e.detail for e in fired))
        now = event.time


def _run(main: Program, lateness: dict[int, int], moment: int, limits: Limits) -> Recording:
    """Run the program until the clock would jump beyond a moment, in virtual nanoseconds."""
    until = limits._replace(max_time=(moment + 0.5) / 1e9)
    with redirect_stdout(StringIO()):
        return execute(main, **until._asdict(), schedule=Schedule(lateness))


def _happened(trace: Trace) -> int:
    """Count the events before the run was stopped."""
    told = takewhile(lambda event: event.kind in _AT_THE_END, reversed(trace.events))
    return len(trace.events) - len(list(told))


def _pending(events: Iterable[Event]) -> set[int]:
    pending: set[int] = set()
    for event in events:
        if event.kind is Kind.TIMER_SET:
            pending.add(event.detail)
        elif event.kind in (Kind.TIMER_FIRED, Kind.TIMER_CANCELLED):
            pending.discard(event.detail)
    return pending


def _offers(pending: list[tuple[int, Timer]], limits: Limits) -> Iterator[Offer]:
    """Say of each wait, the next one first, whether it can be the next to complete."""
    bounds = [(number, timer) for number, timer in pending if timer.purpose == "timeout"]
    first = bounds[0][1].due if bounds else None
    for number, timer in pending:
        refusal = ""
        if timer.due > limits.max_time * 1e9:
            refusal = f"It is due later than {limits.max_time:g} s, where every run is stopped."
        elif first is not None and timer.due > first:
            refusal = f"A time limit is due before, at {when(first)}, and cannot be held back."
        same = (n for n, bound in bounds if bound.due == timer.due)
        yield Offer(number, timer, tuple(sorted({number, *same})), refusal)


def _moved(offers: Sequence[Offer], picked: set[int], moment: int) -> dict[int, int]:
    """Give the new lateness of waits that were due until a moment: picked, or held back.

    Those held back keep their order, each at a moment of its own: what is picked next
    shall not bring others along.
    """
    moved: dict[int, int] = {}
    free = moment + 1
    for offer in offers:
        due = offer.timer.due
        if offer.number in picked:
            due = moment
        elif due < free and not offer.is_limit:
            due, free = free, free + 1
        if due != offer.timer.due:
            moved[offer.number] = due - (offer.timer.due - offer.timer.late)
    return moved
