"""A run in words: what stands still, the cycle in one line, where, and why nothing moves."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ..engine.graph import OWNED
from ..engine.kinds import Diagnosis
from ..engine.masked import Masked
from ..engine.recording import Outcome, Recording
from ..engine.trace import Kind
from ..engine.victims import Broken
from ..engine.words import counted, listed
from .narration import describe, when

__all__ = ["explain", "kind_lines", "summary"]

_INDENT = "  "
_MANY = 5  # diagnoses that are told
_CROWD = 20  # cycles that are told, and tasks of each table


def summary(recording: Recording) -> str:
    """Say a run in one line.

    Args:
        recording: the run.

    Returns:
        Outcome, what it is about, and how long it took in steps and virtual seconds.
    """
    return f"{recording.outcome}: {_about(recording)} ({_length(recording)})"


def _about(recording: Recording) -> str:
    match recording.outcome:
        case Outcome.FINISHED:
            return f"returned {recording.value!r}"
        case Outcome.FAILED:
            return _error(recording)
        case Outcome.RUNAWAY:
            return recording.limit
    return _shape(recording)


def explain(recording: Recording) -> str:
    """Explain a run in plain English.

    Args:
        recording: the run.

    Returns:
        A text of a few lines: the outcome; for a deadlock the cycle, every stuck task
        with what it waits for, where, and what it holds; what nobody caught.
    """
    parts = (
        _headline(recording),
        *_standstill(recording),
        *_masked(recording),
        *_futile(recording),
        *_broken(recording),
        *_risks(recording),
        *_complaints(recording),
    )
    return "\n".join(line.rstrip() for line in parts)


def _length(recording: Recording) -> str:
    return f"{counted(recording.steps, 'step')}, {when(recording.time)} of virtual time"


def _error(recording: Recording) -> str:
    error = recording.error
    text = str(error).strip()
    return f"main raised {type(error).__name__}" + (f": {text}" if text else "")


def _shape(recording: Recording) -> str:
    cycles = recording.waits.cycles()
    if cycles:
        return "; ".join(map(_arrows, cycles))
    return f"{listed(recording.waits.stuck)} can never go on"


def _arrows(names: Iterable[str]) -> str:
    return " → ".join(names)


def _headline(recording: Recording) -> str:
    length = _length(recording)
    match recording.outcome:
        case Outcome.FINISHED:
            return f"Finished: main returned {recording.value!r} after {length}."
        case Outcome.FAILED:
            return f"Failed: {_error(recording)}\nEnded after {length}."
        case Outcome.RUNAWAY:
            return f"Runaway: {recording.limit}.\nStopped after {length}."
    count = len(recording.waits.stuck)
    tasks = "1 task waits" if count == 1 else f"{count} tasks wait"
    return f"Deadlock: {tasks} for ever, after {length}."


def _standstill(recording: Recording) -> Iterator[str]:
    graph = recording.waits
    members = {task for loop in graph.loops for task in loop}
    if graph.stuck_ids and recording.outcome is not Outcome.DEADLOCK:
        unless = (
            f"unless {listed(graph.unless, 'or')} fails"
            if graph.unless
            else "whatever the others do"
        )
        yield f"\nYet {listed(graph.stuck)} can never go on, {unless}."
    for loop in graph.loops[:_CROWD]:
        names = _arrows(graph.infos[t].name for t in loop if t >= 0)
        guess = " (probably: one link is a guess)" if graph.guessed(loop) else ""
        yield f"\nThe cycle: {names}{guess}\n"
        yield from _table(recording, sorted({t for t in loop if t >= 0}))
    if len(graph.loops) > _CROWD:
        yield f"\n… and {len(graph.loops) - _CROWD:,} more cycles"
    if behind := [task for task in graph.stuck_ids if task not in members]:
        yield (
            "\nWaiting behind it:\n" if graph.loops else "\nNo cycle, but nobody is left to help:\n"
        )
        yield from _table(recording, behind)
    yield from kind_lines(recording.diagnoses)
    if recording.outcome is Outcome.DEADLOCK:
        yield "\nThe ready queue is empty and no timer is set: nothing can ever wake them."


def kind_lines(diagnoses: Sequence[Diagnosis]) -> Iterator[str]:
    """Name each kind of deadlock, with a line of why and one of how to break it.

    Args:
        diagnoses: the kinds; of many, the first few are told.

    Yields:
        Three lines for each, the first after a blank one.
    """
    for diagnosis in diagnoses[:_MANY]:
        guess = "" if diagnosis.sure else " (probably)"
        yield f"\nThe kind: {diagnosis.kind}{guess}"
        yield f"{_INDENT}Why: {diagnosis.why}"
        yield f"{_INDENT}To break it: {diagnosis.cure}"


def _masked(recording: Recording) -> Iterator[str]:
    """Tell which deadlocks a timeout hid: without it, this would have been the end."""
    for masked in recording.masked[:_MANY]:
        whose = f"the time limit of {masked.limit_of}" if masked.limit_of else "a time limit"
        times = f" (it happened {masked.times} times)" if masked.times > 1 else ""
        at = when(recording.trace.events[masked.event].time)
        yield f"\nA timeout hid a deadlock: {_arrows(masked.cycle)}{times}"
        yield f"Only {whose} broke it up, at {at}. Until then:\n"
        yield from _past(recording, masked)


def _futile(recording: Recording) -> Iterator[str]:
    """Name the time limits that could not end a ring for what they are."""
    for futile in recording.futile[:_MANY]:
        at = when(recording.trace.events[futile.event].time)
        yield f"\nA timeout to no avail: the time limit of {futile.limit_of} was up at {at}."
        yield f"{_INDENT}Why: what it cancels comes back round a ring of tasks: nobody is stopped."
        yield f"{_INDENT}To have one that holds: with_timeout of deadlock_lab.patterns."


def _broken(recording: Recording) -> Iterator[str]:
    """Tell which deadlocks were broken, and who was made to give up."""
    for broken in recording.broken[:_MANY]:
        at = when(recording.trace.events[broken.event].time)
        yield f"\nA deadlock was broken: {_arrows(broken.cycle)}"
        yield f"At {at}, {broken.victim} was made to give up by a DeadlockError. Until then:\n"
        yield from _past(recording, broken)
    if len(recording.broken) > _MANY:
        yield f"\nIn all, {len(recording.broken):,} deadlocks were broken."


def _past(recording: Recording, past: Masked | Broken) -> Iterator[str]:
    """Tell how its members stood in a deadlock that is over."""
    until = replace(recording.trace, events=recording.trace.events[: past.event])
    members = sorted({t for t in past.nodes if t >= 0})
    yield from _table(replace(recording, waits=past.waits, trace=until), members)
    yield from kind_lines([past.diagnosis])


def _risks(recording: Recording) -> Iterator[str]:
    """Warn of locks that were taken in both orders, with both places."""
    for risk in recording.risks[:_MANY]:
        yield f"\nA risk: {listed(risk.locks)} were taken in both orders.\n"
        for taken in (risk.first, risk.second):
            yield f"{_INDENT}{taken.task} took {taken.lock} while it held {taken.held}"
            yield _INDENT * 3 + _code_at(recording, taken.place)
        yield "\nWith another timing they deadlock: take them in one order everywhere."


def _table(recording: Recording, tasks: Sequence[int]) -> Iterator[str]:
    for task in tasks[:_CROWD]:
        yield _INDENT + _stuck_task(recording, task)
        yield _INDENT * 3 + _line(recording, task)
    if len(tasks) > _CROWD:
        yield f"{_INDENT}… and {len(tasks) - _CROWD:,} more"


def _stuck_task(recording: Recording, task: int) -> str:
    graph = recording.waits
    wait = graph.waiters[task].wait
    text = f"{graph.infos[task].name} {describe(wait, recording.trace.name)}"
    for target in wait.targets:
        text += _who_could(recording, target) if target < 0 else ""
    held = [str(graph.things[r]) for r, owners in graph.holders.items() if task in owners]
    return text + (f"; it holds {listed(held)}" if held else "")


def _who_could(recording: Recording, target: int) -> str:
    """Tell who holds a lock, or who would have to set an event."""
    graph = recording.waits
    if holders := graph.holders.get(~target):
        return f", held by {listed(_holder(recording, t) for t in dict.fromkeys(holders))}"
    if graph.things[~target].kind in OWNED:
        return ", held by no task of this run"
    if setters := graph.setters.get(~target):
        return (
            f", which {listed((graph.infos[t].name for t in setters), 'or')} might see to (a guess)"
        )
    return ", and nobody is left to see to that"


def _holder(recording: Recording, task: int) -> str:
    if task < 0:
        return "code outside of any task"
    name = recording.trace.tasks[task].name
    ended = {Kind.DONE, Kind.FAILED, Kind.CANCELLED}
    gone = any(event.task == task and event.kind in ended for event in recording.trace.events)
    return f"{name}, which has ended without giving it back" if gone else name


def _line(recording: Recording, task: int) -> str:
    return _code_at(recording, recording.waits.waiters[task].place)


def _code_at(recording: Recording, index: int) -> str:
    trace = recording.trace
    place = trace.places[index]
    source = trace.sources.get(place.label, ())
    code = source[place.line - 1].strip() if place.line <= len(source) else ""
    return f"{place}: {code}" if code else str(place)


def _complaints(recording: Recording) -> Iterator[str]:
    trace = recording.trace
    for event in trace.events:
        if event.kind is Kind.COMPLAINT:
            complaint = trace.complaints[event.detail]
            whose = trace.name(event.task) if event.task >= 0 else "the loop"
            error = f": {complaint.error}" if complaint.error else ""
            yield f"\nNobody caught this, at {when(event.time)}, from {whose}: "
            yield f"{_INDENT}{complaint.message}{error}"
