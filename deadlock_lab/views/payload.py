"""A recording as the player wants it: columns of small integers, and tables of text.

A list of dicts takes some 67 bytes an event, columns take 15; and a widget's state
is sent over the network and stored in notebooks.
"""

import itertools
from typing import Any

from ..engine.graph import OWNED, WaitGraph
from ..engine.recording import Recording
from ..engine.trace import Kind, Resource, Trace
from .cut import shown
from .cycles import cycles, first_closing
from .narration import TEMPLATES, closings, code, describe, fields_at_end, template_keys

__all__ = ["Payload", "opening", "to_payload"]

Payload = dict[str, Any]


def to_payload(recording: Recording) -> Payload:
    """Turn a recording into what the player reads: JSON-able, and nothing of the machine.

    Args:
        recording: the run.

    Returns:
        A dict (of a long runaway: of its beginning) of ``events`` (columns of equal length;
        ``dt`` is the time since the event before, in virtual nanoseconds; ``say`` points into
        ``sentences``, which hold the event's kind and its template), of the tables that they
        point into, and of what is known only at the end: ``outcome``, ``cycles``, ``stuck``,
        ``setters``, and ``closed``, the index of the event at which the first cycle closed, or -1.
        A cycle's ``when`` lists the stretches (indices of events) in which it was closed.
    """
    recording = shown(recording)
    trace, graph = recording.trace, recording.waits
    labels = sorted({place.label for place in trace.places})
    return {
        "outcome": str(recording.outcome),
        "time": recording.time,
        "ending": fields_at_end(recording),
        "start": TEMPLATES["START"],
        **_events(recording),
        "tasks": [list(info) for info in trace.tasks],
        "resources": [_resource(resource) for resource in trace.resources],
        "places": [[labels.index(p.label), p.line, p.function, p.outer] for p in trace.places],
        "files": [[label, "\n".join(trace.sources.get(label, ()))] for label in labels],
        "waits": _waits(trace),
        "timers": [list(timer) if timer.late else list(timer[:3]) for timer in trace.timers],
        "errors": list(trace.errors),
        "complaints": [list(complaint) for complaint in trace.complaints],
        "locals": [[seen.new, [list(change) for change in seen.changes]] for seen in trace.locals],
        "closed": first_closing(recording),
        "closings": [[at, fields] for at, fields in closings(recording).items()],
        "cycles": _cycles(recording),
        "stuck": list(graph.stuck_ids),
        "setters": _setters(graph),
    }


def _events(recording: Recording) -> Payload:
    """Make the columns. Kind and template are one number, as the one follows from the other."""
    events = recording.trace.events
    said = [
        (Kind(event.kind).name, TEMPLATES[key])
        for event, key in zip(events, template_keys(recording), strict=True)
    ]
    sentences = {sentence: n for n, sentence in enumerate(dict.fromkeys(said))}
    times = [0, *(event.time for event in events)]
    return {
        "sentences": [list(sentence) for sentence in sentences],
        "events": {
            "say": [sentences[sentence] for sentence in said],
            "dt": [after - before for before, after in itertools.pairwise(times)],
            "task": [event.task for event in events],
            "by": [event.by for event in events],
            "place": [event.place for event in events],
            "detail": [event.detail for event in events],
        },
    }


def _resource(resource: Resource) -> list[Any]:
    return [resource.name, resource.kind, str(resource), resource.kind in OWNED]


def _waits(trace: Trace) -> list[list[Any]]:
    return [
        [wait.how, wait.mode, list(wait.targets), describe(wait, lambda t: code(trace.name(t)))]
        for wait in trace.waits
    ]


def _cycles(recording: Recording) -> list[Payload]:
    """Give the cycles to draw, each with when it was closed; of those that overlap, the first."""
    drawn: dict[tuple[int, ...], Payload] = {}
    for nodes, guessed, *when in cycles(recording):
        if nodes in drawn:
            drawn[nodes]["when"].append(when)
        elif set(nodes).isdisjoint(itertools.chain(*drawn)):
            drawn[nodes] = {"nodes": list(nodes), "guessed": guessed, "when": [when]}
    return list(drawn.values())


def _setters(graph: WaitGraph) -> list[list[Any]]:
    """Pair each thing that anyone may set with those who are likely to: the guesses."""
    return [[resource, list(tasks)] for resource, tasks in sorted(graph.setters.items())]


def opening(recording: Recording) -> int:
    """Choose the moment to open at: the first task runs its first line.

    Before it there is nothing to see, and the end would tell the story's point first.

    Returns:
        A position: how many events have happened.
    """
    kinds = [event.kind for event in recording.trace.events]
    return kinds.index(Kind.RESUMED) + 1 if Kind.RESUMED in kinds else 0
