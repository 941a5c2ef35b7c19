"""A run's verdict as data for other programs: dicts, lists, strings and numbers only."""

from typing import Any

from ..engine.books import say, tidy
from ..engine.kinds import Diagnosis
from ..engine.masked import Masked
from ..engine.places import Place
from ..engine.recording import Outcome, Recording
from ..engine.victims import Broken

__all__ = ["to_dict"]

Data = dict[str, Any]


def to_dict(recording: Recording) -> Data:
    """Give the verdict on a run as what ``json.dumps`` takes; see ``Run.to_dict``."""
    graph = recording.waits
    finished = recording.outcome is Outcome.FINISHED
    return {
        "outcome": str(recording.outcome),
        "steps": recording.steps,
        "seconds": recording.time / 1e9,
        "value": tidy(repr(recording.value)) if finished else None,
        "error": say(recording.error) or None,
        "limit": recording.limit or None,
        "stuck": list(graph.stuck),
        "unless": list(graph.unless),
        "cycles": [
            {"members": list(names), "sure": not graph.guessed(loop)}
            for names, loop in zip(graph.cycles(), graph.loops, strict=True)
        ],
        "tasks": [_task(recording, task) for task in graph.waiters],
        "edges": [edge._asdict() for edge in graph.edges],
        "diagnoses": [_diagnosis(found) for found in recording.diagnoses],
        "masked": [_past(found) for found in recording.masked],
        "futile": [found._asdict() for found in recording.futile],
        "broken": [_past(found) for found in recording.broken],
        "risks": [
            {"locks": list(risk.locks), "tasks": [risk.first.task, risk.second.task]}
            for risk in recording.risks
        ],
    }


def _diagnosis(found: Diagnosis) -> Data:
    return {**found._asdict(), "kind": str(found.kind), "members": list(found.members)}


def _past(found: Masked | Broken) -> Data:
    told = found._asdict()
    del told["waits"], told["nodes"]
    return {**told, "cycle": list(found.cycle), "diagnosis": _diagnosis(found.diagnosis)}


def _task(recording: Recording, task: int) -> Data:
    graph = recording.waits
    wait, place = graph.waiters[task]
    return {
        "name": graph.name(task),
        "stuck": task in graph.stuck_ids,
        "how": wait.how,
        "mode": wait.mode,
        "waits_for": [graph.name(target) for target in wait.targets],
        "holds": [str(graph.things[r]) for r, who in graph.holders.items() if task in who],
        "place": _place(recording.trace.places[place]) if place >= 0 else None,
    }


def _place(place: Place) -> Data:
    return {"file": place.label, "line": place.line, "function": place.function}
