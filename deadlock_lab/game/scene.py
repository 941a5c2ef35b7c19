"""A game in words, and as the data that its widget draws."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..engine.trace import Kind
from ..engine.words import counted, listed
from ..schedules.exploration import Exploration
from ..views.narration import code, transcript, when
from ..views.payload import to_payload
from ..views.standing import explain_standing
from .state import MOST_PICKS, Game, Offer, Pick, Status

__all__ = ["describe", "headline", "scene", "verdict"]

_TOLD = frozenset(
    {
        *(Kind.CREATED, Kind.WAITS, Kind.YIELDS, Kind.ACQUIRED, Kind.RELEASED, Kind.CANCELLING),
        *(Kind.DONE, Kind.FAILED, Kind.CANCELLED, Kind.COMPLAINT),
    }
)
_HEADLINES = {
    Status.CHOICE: "Pick which wait completes next, until some task can never go on.",
    Status.FINISHED: "It got through: nothing was left standing. Undo, or start again.",
    Status.ENOUGH: f"After {MOST_PICKS} picks it is not frozen, and may go on for ever.",
    Status.CHANGED: (
        "Run again, the program did something else than before, so it cannot be played. Have it "
        "make its locks and caches anew, and take no time or chance from elsewhere."
    ),
}
_MANY = 12  # sentences that are told of what came of a pick
_NAMES_ITS_LINE = frozenset({"sleep", "timeout"})  # these timers' tasks wait for them


class _Wait(NamedTuple):
    """A pending wait in words."""

    text: str
    due: str
    where: str
    code: str


def scene(game: Game, found: Exploration | None = None) -> dict[str, Any]:
    """Give what the widget draws of a game: JSON-able, and nothing of the machine.

    Args:
        game: the game.
        found: what the search has found, if it was asked.

    Returns:
        A dict of ``status``; ``headline``; ``news``, what came of the last pick; ``moves``,
        what can be picked; ``story``, the picks in words; of a game that is frozen ``token``,
        ``held`` and ``explanation``; and for the player's stage ``payload``, ``position``
        and ``since``, the position before the last pick. Names stand in backticks.
    """
    frozen = game.status is Status.FROZEN
    return {
        "status": str(game.status),
        "picks": [list(pick) for pick in game.picks],
        "headline": headline(game),
        "news": _news(game),
        "moves": list(_moves(game)),
        "story": [_told(one) for one in _course(game)],
        "token": game.token if frozen else "",
        "held": _held(game, found) if frozen else "",
        "explanation": _explanation(game) if frozen else "",
        "payload": to_payload(game.recording),
        "position": game.position,
        "since": game.before.position if game.before else 0,
    }


def headline(game: Game) -> str:
    """Say in a sentence where a game stands; names stand in backticks."""
    recording = game.recording
    match game.status:
        case Status.CHOICE if game.picks:
            return f"At {when(recording.time)} nothing is ready. What completes next?"
        case Status.FROZEN:
            cycles = recording.waits.cycles()
            names = " → ".join(map(code, cycles[0])) if cycles else ""
            return f"Frozen: {names or listed(map(code, recording.waits.stuck))}, for ever."
        case Status.FAILED:
            name = type(recording.error).__name__
            return f"It ended with an error, {name}, and that is no freeze. Undo, or start again."
        case Status.RUNAWAY:
            why = game.offers[0].refusal if game.offers else f"{recording.limit}."
            return f"It can be played no further. {why[0].upper()}{why[1:]}"
        case status:
            return _HEADLINES[status]


def verdict(found: Exploration) -> str:
    """Say what the search has found, without telling how it is done."""
    if not found.schedule:
        if found.proved:
            return (
                "The search has proved that it cannot be done: in every order in which its waits "
                f"can complete, this program gets through ({counted(_total(found), 'schedule')})."
            )
        return f"The search could not freeze it either. {found.explain()}"
    total, held = _total(found), len(found.schedule.lateness)
    return (
        f"It can be done: {found.freezes:,} of {counted(total, 'schedule')} that the search tried "
        f"{'freezes' if found.freezes == 1 else 'freeze'}. The smallest holds "
        f"{counted(held, 'wait')} back."
    )


def describe(game: Game, found: Exploration | None = None) -> str:
    """Tell a game in plain English, as its widget shows it.

    Args:
        game: the game.
        found: what the search has found, if it was asked.
    """
    shown = scene(game, found)
    name = _name(game)
    lines = [f"The scheduler game: pick which wait of {name} completes next, and freeze it."]
    lines += [f"  {n}. {pick}" for n, pick in enumerate(shown["story"], 1)]
    lines += [shown["headline"]]
    lines += [f"  {n}. {_in_a_line(move)}" for n, move in enumerate(shown["moves"], 1)]
    if shown["token"]:
        lines += [shown["held"], f"lab.run({name}, schedule={shown['token']!r})"]
        lines += ["", shown["explanation"]]
    if found:
        lines += ["", verdict(found)]
    return "\n".join(lines).replace("`", "")


def _name(game: Game) -> str:
    return getattr(game.main, "__name__", "main")


def _total(found: Exploration) -> int:
    return sum(found.runs.values())


def _in_a_line(move: dict[str, Any]) -> str:
    where = f" ({move['where']})" if move["where"] else ""
    text = f"{move['text']}{where}, due {move['due']}"
    return text + (": next by itself" if move["natural"] else f". {move['refusal']}".rstrip(". "))


def _moves(game: Game) -> Iterator[dict[str, Any]]:
    """Give what can be picked: first, where several are due at once, all of these."""
    if game.status is not Status.CHOICE:
        return
    natural = game.natural
    if all(offer.pick != natural for offer in game.offers):
        together = [_text(game, offer) for offer in game.offers if offer.number in natural]
        due = when(game.offers[0].timer.due)
        yield _move(natural, _Wait(listed(together), f"together at {due}", "", ""), natural)
    for offer in game.offers:
        yield {**_move(offer.pick, _wait(game, offer), natural), "refusal": offer.refusal}


def _move(pick: Pick, wait: _Wait, natural: Pick) -> dict[str, Any]:
    return {"pick": list(pick), "natural": pick == natural, "refusal": "", **wait._asdict()}


def _wait(game: Game, offer: Offer) -> _Wait:
    trace, timer = game.trace, offer.timer
    waiter = game.recording.waits.waiters.get(timer.task)
    due = f"at {when(timer.due)}"
    if waiter is None or waiter.place < 0 or timer.purpose not in _NAMES_ITS_LINE:
        return _Wait(_text(game, offer), due, "", "")
    place = trace.places[waiter.place]
    source = trace.sources.get(place.label, ())
    line = source[place.line - 1].strip() if place.line <= len(source) else ""
    return _Wait(_text(game, offer), due, str(place), line)


def _text(game: Game, offer: Offer) -> str:
    """Name a wait: whose it is, what it is for, and how long it takes as written."""
    timer = offer.timer
    whose = f"{code(game.trace.name(timer.task))}'s " if timer.task >= 0 else ""
    what = "time limit" if offer.is_limit else timer.purpose
    return f"{whose}{what} of {when(_length(game, offer))}"


def _length(game: Game, offer: Offer) -> int:
    kinds = (e for e in game.trace.events if e.kind is Kind.TIMER_SET)
    set_at = next(event.time for event in kinds if event.detail == offer.number)
    return offer.timer.due - offer.timer.late - set_at


def _course(game: Game) -> list[Game]:
    """List a game after each of its picks."""
    course: list[Game] = []
    one: Game | None = game
    while one is not None and one.before is not None:
        course.append(one)
        one = one.before
    return course[::-1]


def _told(game: Game) -> str:
    """Tell the last pick of a game in a sentence."""
    before = game.before
    if before is None:
        return ""
    picked = [o for o in before.offers if o.number in game.last]
    moment = max(offer.timer.due for offer in picked)
    held = [o for o in before.offers if o.number not in game.last and o.timer.due <= moment]
    names = listed(_text(before, offer) for offer in picked)
    ends = "ends" if len(picked) == 1 else "end at one moment"
    if not held:
        return f"{names} {ends}."
    comma = "" if len(picked) == 1 else ","
    return f"{names} {ends}{comma} before {listed(_text(before, offer) for offer in held)}."


def _news(game: Game) -> list[str]:
    """Tell what came of the last pick, without the bookkeeping."""
    since = game.before.position if game.before else 0
    events = game.trace.events[since:]
    sentences = transcript(game.recording)[since:]
    told = [s for event, s in zip(events, sentences, strict=True) if event.kind in _TOLD]
    left = len(told) - _MANY
    return told if left <= 1 else [*told[:6], f"… and {left} more steps …", *told[6 + left :]]


def _held(game: Game, found: Exploration | None) -> str:
    held, picks = len(game.lateness), len(game.picks)
    if not picks:
        return "It freezes by itself: there was nothing to pick."
    text = f"You froze it by {counted(picks, 'pick')}, with {counted(held, 'wait')} held back."
    if not found or not found.schedule:
        return text
    least = len(found.schedule.lateness)
    if held <= least:
        return f"{text} The search has found no freeze that is smaller."
    return f"{text} The search knows one with {least}."


def _explanation(game: Game) -> str:
    recording = game.recording
    return explain_standing(recording.waits, recording.trace, recording.diagnoses, others=False)
