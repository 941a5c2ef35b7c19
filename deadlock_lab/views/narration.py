"""One sentence for each event, in plain English: the single source of what is told.

The sentences are templates in a table, so that Python (for text) and JavaScript
(for the player) fill the same ones. A template is chosen here, by the event's kind
and by who acted; the player is told which. Names stand in backticks, which the
player turns into code style.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Mapping

from ..engine.loop import seconds
from ..engine.recording import Outcome, Recording
from ..engine.trace import CLOCK, NOBODY, Event, Kind, Locals, Wait
from ..engine.words import listed
from .cycles import cycles

__all__ = [
    "TEMPLATES",
    "closings",
    "code",
    "describe",
    "ending",
    "fields_at_end",
    "template_keys",
    "transcript",
    "when",
]

TEMPLATES: Mapping[str, str] = {
    "START": "Nothing has happened yet. Press play, or take one step.",
    "CREATED": "{by} creates task {task}, which joins the ready queue.",
    "CREATED/first": "The program starts: task {task} is created.",
    "CREATED/nobody": "A callback creates task {task}, which joins the ready queue.",
    "CREATED/clock": "A timer's callback creates task {task}, which joins the ready queue.",
    "RESUMED": "{task} runs.",
    "RESUMED/place": "{task} runs, from {place}.",
    "WAITS": "{task} {wait}.",
    "WAITS/closes": "{task} {wait}. That closes the cycle: {cycle}.",
    "WAITS/guess": "{task} {wait}. That seems to close a cycle: {cycle}.",
    "YIELDS": "{task} lets the others go first, and joins the ready queue again.",
    "LINE": "{task} comes to {place}.",
    "LINE/changes": "{task} comes to {place}, {changes}.",
    "LINE/last": "{task} goes on; from here, lines are no longer recorded: there are too many.",
    "WOKEN": "{by} wakes {task}: it is ready to run again.",
    "WOKEN/clock": "The clock wakes {task}: it is ready to run again.",
    "WOKEN/nobody": "What {task} waited for is there: it is ready to run again.",
    "WOKEN/self": "{task} is ready to run again.",
    "TIMER_SET": "{task} sets a timer for {due} ({purpose}).",
    "TIMER_SET/late": "{task} sets a timer for {due} ({purpose}, {late} late by the schedule).",
    "TIMER_SET/nobody": "A timer is set for {due} ({purpose}).",
    "TIMER_SET/late/nobody": "A timer is set for {due} ({purpose}, {late} late by the schedule).",
    "TIMER_FIRED": "The clock stands at {time}: {task}'s {purpose} is over.",
    "TIMER_FIRED/jump": "The clock jumps to {time}: {task}'s {purpose} is over.",
    "TIMER_FIRED/timeout": "The clock stands at {time}: the time limit of {task} is up.",
    "TIMER_FIRED/jump/timeout": "The clock jumps to {time}: the time limit of {task} is up.",
    "TIMER_FIRED/nobody": "The clock stands at {time}: a timer goes off ({purpose}).",
    "TIMER_FIRED/jump/nobody": "The clock jumps to {time}: a timer goes off ({purpose}).",
    "TIMER_CANCELLED": "The timer for {task}'s {purpose} is no longer needed.",
    "TIMER_CANCELLED/timeout": "The time limit of {task} is no longer needed.",
    "TIMER_CANCELLED/nobody": "A timer is no longer needed ({purpose}).",
    "ACQUIRED": "{task} now holds {resource}.",
    "ACQUIRED/nobody": "Code outside of any task now holds {resource}.",
    "RELEASED": "{by} gives back {resource}, which {task} had taken.",
    "RELEASED/self": "{task} gives {resource} back.",
    "RELEASED/clock": "A timer's callback gives {resource} back.",
    "RELEASED/nobody": "{resource} is given back.",
    "CANCELLING": "{by} asks {task} to stop.",
    "CANCELLING/clock": "Time is up: {task} is asked to stop.",
    "CANCELLING/nobody": "{task} is asked to stop.",
    "CANCELLING/self": "{task} asks itself to stop.",
    "DONE": "{task} is done.",
    "FAILED": "{task} fails: {error}.",
    "CANCELLED": "{task} is over: it was cancelled.",
    "FREED": "To break the deadlock, {task} is made to give up: {error}.",
    "COMPLAINT": "asyncio complains: {message}.",
    "ENDED/finished": "The program is over, at {time}.",
    "ENDED/finished/stuck": "The program is over, but {stuck} could never have moved again.",
    "ENDED/finished/cycle": "The program is over, but {cycle} waited for one another for ever.",
    "ENDED/finished/guess": "The program is over, but {cycle} seem to have waited for one another.",
    "ENDED/failed": "The program is over: it failed with {error}.",
    "ENDED/deadlock": "Nothing is ready and no timer is set: the program can never go on.",
    "ENDED/deadlock/stuck": "Nothing is ready and no timer is set: {stuck} can never move again.",
    "ENDED/deadlock/cycle": (
        "Nothing is ready and no timer is set: {cycle} wait for one another for ever."
    ),
    "ENDED/deadlock/guess": (
        "Nothing is ready and no timer is set: {cycle} seem to wait for one another for ever."
    ),
    "ENDED/runaway": "The program is stopped: {limit}.",
}
"""Sentences by kind of event and variant, with ``{fields}``."""

_HOW: Mapping[str, str] = {
    "await": "waits for {}",
    "shield": "waits for {}, shielded",
    "TaskGroup": "waits for its task group: {}",
    "wait_for": "waits for {}, with a time limit",
    "timeout": "waits for {}, with a time limit",
    "as_completed": "waits for the next of {}",
    "Lock.acquire": "waits to take {}",
    "Semaphore.acquire": "waits for a permit of {}",
    "Queue.get": "waits for an item in {}",
    "Queue.put": "waits for room in {}",
    "Queue.join": "waits for all items of {} to be dealt with",
    "Event.wait": "waits for {} to be set",
    "Condition.wait": "waits to be notified by {}",
    "Barrier.wait": "waits for the others at {}",
}
_MOMENT, _LONG = 1_000, 1_000_000  # nanoseconds
_MANY = 4  # how many targets are named before the rest is counted


def code(name: str) -> str:
    """Put a name into backticks.

    >>> code("worker-1")
    '`worker-1`'
    """
    return "`" + name.replace("`", "'") + "`"


def when(time: int) -> str:
    """Write a virtual time (nanoseconds) as seconds; what lies past a century is never.

    Nanoseconds that only say what comes after what are not written out.

    >>> when(500_000_000), when(500_000_001), when(2**62)
    ('0.5 s', 'just over 0.5 s', 'never')
    """
    if time >= 2**61:
        return "never"
    past = time % _MOMENT if time >= _LONG else 0
    return f"just over {seconds(time - past)}" if past else seconds(time)


def describe(wait: Wait, name_of: Callable[[int], str] = str) -> str:
    """Say what a task that waits does, as the end of a sentence that its name begins.

    Args:
        wait: the wait.
        name_of: gives the name of a target (see ``Trace.name``), in whatever style.

    >>> names = {0: "A", 1: "B", ~0: "lock_a (Lock)"}.get
    >>> describe(Wait("await", "all", (1,)), names)
    'waits for task B'
    >>> describe(Wait("gather", "all", (0, 1)), names)
    'waits for both tasks A and B'
    >>> describe(Wait("wait", "any", (0, 1)), names)
    'waits for the first of tasks A and B'
    >>> describe(Wait("Lock.acquire", "all", (~0,)), names)
    'waits to take lock_a (Lock)'
    >>> describe(Wait("sleep", "all", ()), names)
    'sleeps'
    """
    if wait.how == "sleep":
        return "sleeps"
    if not wait.targets:
        return f"waits ({wait.how})"
    named = _enumerate(wait.targets, name_of)
    if wait.how in _HOW:
        return _HOW[wait.how].format(named)
    if len(wait.targets) == 1:
        return f"waits for {named}"
    if wait.mode == "any":
        return f"waits for the first of {named}"
    return f"waits for {'both' if len(wait.targets) == 2 else 'all of'} {named}"


def _enumerate(targets: tuple[int, ...], name_of: Callable[[int], str]) -> str:
    names = [name_of(t) for t in targets[:_MANY]]
    if len(targets) > _MANY:
        names[-1] = f"{len(targets) - _MANY + 1} more"
    text = listed(names)
    if all(t >= 0 for t in targets):
        return f"task {text}" if len(targets) == 1 else f"tasks {text}"
    return text


def transcript(recording: Recording) -> list[str]:
    """Tell a whole run: one sentence for each event, in order.

    Args:
        recording: the run.

    Returns:
        As many sentences as the trace has events.
    """
    at_end, closing = fields_at_end(recording), closings(recording)
    return [
        _fill(TEMPLATES[key], {**at_end, **_fields(event, recording), **closing.get(i, {})})
        for i, (key, event) in enumerate(
            zip(template_keys(recording), recording.trace.events, strict=True)
        )
    ]


def ending(recording: Recording) -> str:
    """Tell how a run ended: the last sentence of its transcript."""
    fields = {**fields_at_end(recording), "time": when(recording.time)}
    return _fill(TEMPLATES[_ending_key(recording)], fields)


def template_keys(recording: Recording) -> list[str]:
    """Choose the template of each event, as keys of ``TEMPLATES``."""
    closing = {
        cycle.closed: "/guess" if cycle.guessed else "/closes" for cycle in cycles(recording)
    }
    events = recording.trace.events
    before = (0, *(event.time for event in events))
    return [
        next(
            key
            for key in _variants(event, event.time > then, closing.get(i, ""), recording)
            if key in TEMPLATES
        )
        for i, (event, then) in enumerate(zip(events, before, strict=False))
    ]


def closings(recording: Recording) -> dict[int, dict[str, str]]:
    """Give the fields that belong to the moments at which a cycle closed, by event."""
    return {c.closed: {"cycle": _written(c.nodes, recording)} for c in cycles(recording)}


def fields_at_end(recording: Recording) -> dict[str, str]:
    """Give the fields that belong to the run as a whole: cycle, stuck, limit, error."""
    error = recording.error
    return {
        "cycle": _written(_standing_loop(recording), recording),
        "stuck": listed([code(name) for name in _some(recording.waits.stuck)] or ["nothing"]),
        "limit": recording.limit.rstrip("."),
        "error": f"{type(error).__name__}: {error}".rstrip(".: ") if error is not None else "",
    }


def _standing_loop(recording: Recording) -> tuple[int, ...]:
    """Give the first cycle to have closed of those that stand at the end."""
    loops = recording.waits.loops
    return next((cycle.nodes for cycle in cycles(recording) if cycle.nodes in loops), ())


def _written(loop: tuple[int, ...], recording: Recording) -> str:
    return " → ".join(_ring([code(recording.trace.name(t)) for t in loop if t >= 0]))


def _ring(names: list[str]) -> list[str]:
    """Leave out the middle of a long cycle."""
    return names if len(names) <= 7 else [*names[:4], "…", *names[-2:]]


def _some(names: tuple[str, ...]) -> Iterable[str]:
    return names if len(names) <= _MANY else (*names[: _MANY - 1], f"{len(names) - 3} more")


def _ending_key(recording: Recording) -> str:
    """Choose the key of the last sentence: how the run ended, and what was stuck then."""
    key = f"ENDED/{recording.outcome}"
    if recording.outcome not in (Outcome.DEADLOCK, Outcome.FINISHED):
        return key
    if loop := _standing_loop(recording):
        return f"{key}/guess" if recording.waits.guessed(loop) else f"{key}/cycle"
    return f"{key}/stuck" if recording.waits.stuck else key


def _variants(event: Event, jump: bool, closes: str, recording: Recording) -> list[str]:
    """List the table's keys that fit an event, the most special first."""
    kind = Kind(event.kind)
    if kind is Kind.ENDED:
        return [_ending_key(recording)]
    if kind is Kind.LINE:
        return [_line_key(event, recording)]
    special = [""]
    if closes:
        special = [closes, ""]
    elif event.kind is Kind.TIMER_SET and recording.trace.timers[event.detail].late:
        special = ["/late"]
    elif jump:
        special = ["/jump", ""]
    elif event.place >= 0:
        special = ["/place", ""]
    who = _who(kind, event, recording)
    return [kind.name + s + w for s, w in itertools.product(special, [who, ""])]


def _line_key(event: Event, recording: Recording) -> str:
    if event.detail < 0:
        return "LINE/last"
    return "LINE/changes" if recording.trace.locals[event.detail].changes else "LINE"


def _who(kind: Kind, event: Event, recording: Recording) -> str:
    """Say who acted, as a key's last part: a task (nothing), itself, or nobody."""
    if kind is Kind.CREATED and event.task == 0:
        return "/first"
    if kind in (Kind.TIMER_FIRED, Kind.TIMER_CANCELLED) and event.task >= 0:
        purpose = recording.trace.timers[event.detail].purpose
        # Of a callback there is only its name, which is no thing to be over.
        return {"sleep": "", "timeout": "/timeout"}.get(purpose, "/nobody")
    if kind.name.startswith("TIMER_") or kind is Kind.ACQUIRED:
        return "/nobody" if event.task < 0 else ""
    return {NOBODY: "/nobody", CLOCK: "/clock", event.task: "/self"}.get(event.by, "")


def _fields(event: Event, recording: Recording) -> dict[str, str]:
    trace = recording.trace
    fields = {"time": when(event.time)}
    if event.task >= 0:
        fields["task"] = code(trace.tasks[event.task].name)
    if event.by >= 0:
        fields["by"] = code(trace.tasks[event.by].name)
    if event.place >= 0:
        fields["place"] = str(trace.places[event.place])
    return fields | _detail(event, recording)


def _detail(event: Event, recording: Recording) -> dict[str, str]:
    trace, at = recording.trace, event.detail
    match Kind(event.kind):
        case Kind.WAITS:
            return {"wait": describe(trace.waits[at], lambda t: code(trace.name(t)))}
        case Kind.LINE:
            return {"changes": _changes(trace.locals[at])} if at >= 0 else {}
        case Kind.TIMER_SET | Kind.TIMER_FIRED | Kind.TIMER_CANCELLED:
            timer = trace.timers[at]
            return {
                "purpose": timer.purpose, "due": when(timer.due), "late": when(timer.late),
            }  # fmt: skip
        case Kind.ACQUIRED | Kind.RELEASED:
            return {"resource": code(str(trace.resources[at]))}
        case Kind.FAILED | Kind.FREED:
            return {"error": trace.errors[at].rstrip(".: ")}
        case Kind.COMPLAINT:
            message, error = trace.complaints[at]
            return {"message": f"{message} ({error})" if error else message}
        case _:
            return {}


def _changes(seen: Locals) -> str:
    """Say which local variables have a value since the line before, and which have none.

    >>> _changes(Locals(False, (("a", "1"), ("b", None))))
    'with `a = 1`, without `b`'
    """
    values = [code(f"{name} = {value}") for name, value in seen.changes if value is not None]
    gone = [code(name) for name, value in seen.changes if value is None]
    parts = (("with", values), ("without", gone))
    return ", ".join(
        f"{word} {listed(list(_some(tuple(names))))}" for word, names in parts if names
    )


def _fill(template: str, fields: Mapping[str, str]) -> str:
    # Not str.format: a name may hold braces, and the player's filler is no cleverer.
    return re.sub(r"\{(\w+)\}", lambda match: fields.get(match[1], "something"), template)
