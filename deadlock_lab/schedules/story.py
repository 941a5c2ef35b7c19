"""The story of a schedule in a sentence: which waits take longer than written, and how long."""

from ..engine.schedule import Schedule
from ..engine.trace import Kind, Trace
from ..engine.words import listed
from ..views.narration import when

__all__ = ["story"]


def story(trace: Trace, schedule: Schedule) -> str:
    """Tell what has to happen for a program to freeze.

    Args:
        trace: the run under the schedule.
        schedule: which waits were late.
    """
    late = [number for number in sorted(schedule.lateness) if number < len(trace.timers)]
    if not late:
        return "It freezes as it is written: no wait has to take longer."
    return f"It freezes if {listed([_wait(trace, number) for number in late])}."


def _wait(trace: Trace, number: int) -> str:
    timer = trace.timers[number]
    at = next(
        i
        for i, event in enumerate(trace.events)
        if event.kind is Kind.TIMER_SET and event.detail == number
    )
    took = timer.due - trace.events[at].time
    whose = f"{trace.tasks[timer.task].name}'s {timer.purpose}" if timer.task >= 0 else "a timer"
    return f"{whose} of {when(took - timer.late)}{_where(trace, at)} takes {when(took)}"


def _where(trace: Trace, at: int) -> str:
    """Name the place where a timer's task waits for it: it is suspended next."""
    task = trace.events[at].task
    places = (e.place for e in trace.events[at:] if e.task == task and e.place >= 0)
    place = next(places, -1)
    return f" ({trace.places[place]})" if task >= 0 and place >= 0 else ""
