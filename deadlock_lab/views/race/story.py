"""What happened in a race: read off the trace of a run, as lanes and as plain English."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from ...engine.loop import seconds
from ...engine.run import execute
from ...engine.trace import Event, Kind, Trace
from .programs import A_DAY, CALLER, OPERATION, Setting, program

__all__ = ["Lane", "Race", "Stretch", "lanes", "run_race", "tell", "tell_frozen"]

_ENDS = (Kind.DONE, Kind.FAILED, Kind.CANCELLED)
_TIMER_ENDS = (Kind.TIMER_FIRED, Kind.TIMER_CANCELLED)


@dataclass(frozen=True)
class Race:
    """One race that was run. Times are virtual nanoseconds; None is for what never happened.

    Attributes:
        setting: what was raced.
        answered: when the caller got its answer.
        answer: what that was: DONE for the operation's result, FAILED for an error.
        asked: when the operation was asked to stop.
        over: when the operation ended.
        ending: how it ended: DONE or CANCELLED.
        timer_over: when the timer of the limit rang or was switched off.
        rang: whether it rang.
        freed: when the caller of an operation that is frozen for good would get its answer.
        stays: whether that operation would stay frozen in the background.
    """

    setting: Setting
    answered: int
    answer: Kind
    asked: int | None
    over: int
    ending: Kind
    timer_over: int
    rang: bool
    freed: int | None
    stays: bool

    @property
    def tie(self) -> bool:
        """Whether the operation and the limit are due at the same moment."""
        return self.setting.operation == self.setting.limit


def run_race(setting: Setting) -> Race:
    """Run a race on the lab's loop, and once more with an operation that is frozen for good.

    Args:
        setting: what to race.
    """
    trace = _trace(setting)
    answer = _last(trace, CALLER, *_ENDS)
    over = _last(trace, OPERATION, *_ENDS)
    timer = _timer_end(trace)
    asked = _last(trace, OPERATION, Kind.CANCELLING)
    frozen = _trace(replace(setting, operation=math.inf))
    freed = _last(frozen, CALLER, *_ENDS)
    assert answer is not None and over is not None  # noqa: S101, PT018 — the onlooker saw them end
    return Race(
        setting=setting,
        answered=answer.time,
        answer=Kind(answer.kind),
        asked=None if asked is None else asked.time,
        over=over.time,
        ending=Kind(over.kind),
        timer_over=timer.time,
        rang=timer.kind is Kind.TIMER_FIRED,
        freed=None if freed is None else freed.time,
        stays=_last(frozen, OPERATION, *_ENDS) is None,
    )


def _trace(setting: Setting) -> Trace:
    return execute(program(setting), max_time=10 * A_DAY).trace


def _last(trace: Trace, name: str, *kinds: Kind) -> Event | None:
    found = (e for e in reversed(trace.events) if e.kind in kinds and e.task >= 0)
    return next((e for e in found if trace.tasks[e.task].name == name), None)


def _timer_end(trace: Trace) -> Event:
    """Find the end of the limit's timer: the first one that is not the operation's own."""
    mine = [trace.tasks[timer.task].name != OPERATION for timer in trace.timers].index(True)
    return next(e for e in trace.events if e.kind in _TIMER_ENDS and e.detail == mine)


# -- lanes -------------------------------------------------------------------------------


class Stretch(NamedTuple):
    """A part of a lane: from when to when (virtual nanoseconds), and what it did then.

    ``state`` is waits, works, asked (to stop, and not over yet), runs (the timer) or unwatched
    (it goes on though the caller has its answer).
    """

    start: int
    end: int
    state: str


class Lane(NamedTuple):
    """One of the three, with what is to be said of its end."""

    name: str
    stretches: tuple[Stretch, ...]
    note: str


def lanes(race: Race) -> tuple[Lane, Lane, Lane]:
    """Cut a race into lanes over virtual time: the caller, the operation, the timer.

    Args:
        race: the race.
    """
    asked = race.over if race.asked is None else race.asked
    operation = _stretches(("works", asked), ("asked", race.over), watched=race.answered)
    timer = _stretches(("runs", race.timer_over), watched=race.answered)
    return (
        Lane("caller", (Stretch(0, race.answered, "waits"),), _answer_note(race)),
        Lane("operation", tuple(operation), _operation_note(race)),
        Lane("timer", tuple(timer), _timer_note(race)),
    )


def _stretches(*parts: tuple[str, int], watched: int) -> Iterator[Stretch]:
    """Put parts, each up to a time, one after the other; from ``watched`` on nobody looks."""
    start = 0
    for state, end in parts:
        seen = max(start, min(end, watched))
        for a, b, what in ((start, seen, state), (seen, end, "unwatched")):
            if a < b:
                yield Stretch(a, b, what)
        start = end


def _answer_note(race: Race) -> str:
    got = "result" if race.answer is Kind.DONE else "error"
    return f"{got} at {seconds(race.answered)}"


def _operation_note(race: Race) -> str:
    how = "done" if race.ending is Kind.DONE else "cancelled"
    return f"{how} at {seconds(race.over)}"


def _timer_note(race: Race) -> str:
    return f"{'rings' if race.rang else 'off'} at {seconds(race.timer_over)}"


# -- words -------------------------------------------------------------------------------


def tell(race: Race) -> str:
    """Say in plain English who won, when the caller was answered, and what the loser did.

    Args:
        race: the race.

    >>> print(tell(run_race(Setting(operation=1, limit=0.6))))
    The limit wins: the caller gets an error at 0.6 s. Nobody asks the operation to stop. It runs \
on, unwatched, until 1 s, and its result is lost.
    """
    return " ".join((*_tie(race), *(_lost(race) if race.answer is Kind.FAILED else _won(race))))


def _tie(race: Race) -> Iterator[str]:
    if race.tie:
        yield f"A tie: both are due at {_limit(race)}, and only their order decides."


def _won(race: Race) -> Iterator[str]:
    at = seconds(race.answered)
    if race.asked is not None:
        yield f"The limit rings at {_limit(race)}, and the operation is asked to stop."
        late = ", late" if race.answered > race.asked else " all the same"
        yield f"It carries on, and the caller waits on: the result comes at {at}{late}."
        return
    yield f"The operation wins: the caller gets the result at {at}."
    if not race.rang:
        yield "The timer is switched off."
    elif race.timer_over > race.answered:
        yield f"Nobody stops the timer. It runs on, unwatched, until {seconds(race.timer_over)}."
    else:
        yield "The timer rings at the same moment, and the result goes first."


def _lost(race: Race) -> Iterator[str]:
    at = seconds(race.answered)
    if race.asked is None:
        yield f"The limit wins: the caller gets an error at {at}."
        yield "Nobody asks the operation to stop."
        yield f"It runs on, unwatched, until {seconds(race.over)}, and its result is lost."
        return
    yield f"The limit wins: at {_limit(race)} the operation is asked to stop."
    if race.over > race.answered:
        yield f"It carries on. At {at} the caller is let go with an error; the operation runs on,"
        yield f"unwatched, until {seconds(race.over)}."
    elif race.over > race.asked:
        yield f"It cleans up until {seconds(race.over)}; only then does the caller get an error."
    else:
        yield "It stops at once, and the caller gets an error."


def _limit(race: Race) -> str:
    return f"{race.setting.limit:g} s"


def tell_frozen(race: Race) -> str:
    """Say what an operation that is frozen for good would cost the caller.

    Args:
        race: the race, which was run with such an operation too.

    >>> print(tell_frozen(run_race(Setting(operation=1, limit=0.6))))
    An operation that is frozen for good: the caller is free at 0.6 s, and the operation stays \
frozen behind its back.
    """
    text = "An operation that is frozen for good: "
    if race.freed is None:
        return f"{text}the caller is never freed."
    behind = ", and the operation stays frozen behind its back" if race.stays else ""
    return f"{text}the caller is free at {seconds(race.freed)}{behind}."
