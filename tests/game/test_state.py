"""The scheduler game as a state: what can be picked, what comes of it, and what it proves."""

import asyncio
import itertools
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import deadlock_lab as lab
from deadlock_lab.engine.trace import Kind
from deadlock_lab.game.state import LIMITS, MOST_PICKS, Game, Status, start, way
from tests.schedules import programs

SECOND = 10**9


def dues(game: Game) -> list[float]:
    return [offer.timer.due / SECOND for offer in game.offers]


def natural_end(game: Game) -> Game:
    """Pick what comes next until the game is over."""
    while game.status is Status.CHOICE:
        game = game.pick(game.natural)
    return game


def endings(game: Game) -> Iterator[Game]:
    """Play every game there is: each wait alone, and what is due together as it is."""
    if game.status is not Status.CHOICE:
        yield game
        return
    ways = {offer.pick for offer in game.offers if not offer.refusal} | {game.natural}
    for pick in sorted(ways):
        yield from endings(game.pick(pick))


async def sleepers() -> None:
    await asyncio.gather(asyncio.sleep(1), asyncio.sleep(2), asyncio.sleep(3))


async def limited() -> list[str]:
    done: list[str] = []

    async def sleep(seconds: float, name: str) -> None:
        await asyncio.sleep(seconds)
        done.append(name)

    async def limit() -> None:
        try:
            async with asyncio.timeout(2):
                await asyncio.sleep(9)
        except TimeoutError:
            done.append("limit")

    await asyncio.gather(sleep(1, "one"), limit(), sleep(2, "two"), sleep(3, "three"))
    return done


def test_a_game_begins_at_the_first_moment_at_which_the_clock_would_jump() -> None:
    """Nothing is ready, and all that is pending is offered, the next one first."""
    game = start(programs.transfers)
    assert game.status is Status.CHOICE
    assert dues(game) == [0.01, 0.5]
    assert [game.trace.name(offer.timer.task) for offer in game.offers] == [
        "alice",
        "bob",
    ]
    assert game.recording.time == 0


def test_picks_in_the_order_as_written_hold_nothing_back() -> None:
    """So they lead where a plain run does."""
    game = natural_end(start(programs.transfers))
    assert (game.status, game.token) == (Status.FINISHED, "natural")
    assert game.trace.events == lab.run(programs.transfers, schedule="natural").trace.events


def test_the_late_inversion_is_frozen_by_one_unnatural_pick() -> None:
    """The long wait completes first; then each takes a lock, and later waits for the other."""
    game = start(programs.transfers).pick([1])
    assert dues(game) == [0.500000001, 0.51]
    game = natural_end(game)
    assert (game.status, game.picks, len(game.lateness)) == (
        Status.FROZEN,
        ((1,), (0,), (2,), (3,)),
        1,
    )
    assert game.recording.waits.cycles() == [("alice", "bob", "alice")]


def test_the_token_of_a_game_replays_its_freeze() -> None:
    """``lab.run`` ends as the game did, event by event."""
    game = natural_end(start(programs.transfers).pick([1]))
    run = lab.run(programs.transfers, schedule=game.token)
    assert (run.outcome, run.stuck) == ("deadlock", game.recording.waits.stuck)
    assert run.trace.events == game.trace.events


@pytest.mark.parametrize("program", [programs.transfers, programs.two_late, sleepers])
def test_every_game_ends_as_its_token_does(program: Any) -> None:
    """Whatever is picked."""
    seen = set()
    for game in endings(start(program)):
        run = lab.run(program, schedule=game.token)
        assert bool(run.stuck) == (game.status is Status.FROZEN)
        seen.add(game.picks)
    assert len(seen) > 5


def test_what_the_search_has_proved_holds_for_every_game() -> None:
    """On the fixed program there is nothing to be found."""
    assert lab.explore(programs.ordered).proved
    games = list(endings(start(programs.ordered)))
    assert {game.status for game in games} == {Status.FINISHED}
    assert len(games) > 20


def test_every_order_can_be_picked() -> None:
    """Three waits complete in six orders, one at a time."""
    orders = {game.picks for game in endings(start(sleepers))}
    assert orders == {
        tuple((number,) for number in order) for order in itertools.permutations(range(3))
    }


def test_those_held_back_keep_their_order_and_come_one_at_a_time() -> None:
    """Also when they are held back again."""
    game = start(sleepers).pick([2])
    assert [offer.number for offer in game.offers] == [0, 1]
    assert len({offer.timer.due for offer in game.offers}) == 2

    async def four() -> None:
        await asyncio.gather(*(asyncio.sleep(n) for n in (1, 2, 3, 4)))

    game = start(four).pick([3])
    assert [o.number for o in game.pick([1]).offers] == [0, 2]


def test_waits_can_be_picked_to_complete_at_one_moment() -> None:
    """They are then ready together, in the order in which they were set."""
    game = start(sleepers).pick([0, 2])
    assert [offer.number for offer in game.offers] == [1]
    fired = [e for e in game.trace.events if e.kind is Kind.TIMER_FIRED]
    assert [(e.detail, e.time) for e in fired] == [(0, 3 * SECOND), (2, 3 * SECOND)]


def test_what_is_due_at_one_moment_as_written_can_come_together_or_apart() -> None:
    """Together is the natural order."""

    async def twins() -> None:
        await asyncio.gather(asyncio.sleep(1), asyncio.sleep(1))

    game = start(twins)
    assert game.natural == (0, 1)
    assert game.pick([0, 1]).token == "natural"
    assert game.pick([0]).offers[0].number == 1
    assert game.pick([1]).offers[0].number == 0


def test_a_time_limit_keeps_its_time() -> None:
    """What is due after it cannot come before; what is due before can be held back for it."""
    game = start(limited)
    purposes = {offer.number: offer.timer.purpose for offer in game.offers}
    limit = next(n for n, purpose in purposes.items() if purpose == "timeout")
    refused = [offer.timer.due / SECOND for offer in game.offers if offer.refusal]
    assert refused == [3, 9]
    assert game.offers[-1].refusal == (
        "A time limit is due before, at 2 s, and cannot be held back."
    )
    with pytest.raises(ValueError, match="A time limit is due before, at 2 s"):
        game.pick([game.offers[-1].number])
    after = game.pick([limit])
    assert after.recording.time == 2 * SECOND
    for _ in range(3):
        after = after.pick(after.natural)
    assert (after.status, after.recording.value) == (
        Status.FINISHED,
        ["limit", "one", "two", "three"],
    )


def test_what_is_due_at_the_moment_of_a_limit_comes_with_it() -> None:
    """Neither can be held back for the other."""
    game = start(limited)
    two = next(o for o in game.offers if o.timer.due == 2 * SECOND and not o.is_limit)
    limit = next(o for o in game.offers if o.is_limit)
    assert two.pick == tuple(sorted((two.number, limit.number)))
    assert game.pick([two.number]).last == two.pick


def test_undoing_leads_back_to_the_game_before() -> None:
    """One pick fewer, and nothing is run again."""
    game = start(sleepers).pick([1]).pick([2])
    assert game.at(game.picks[:-1]) is game.before
    assert game.at([]).before is None


def test_a_game_is_its_picks_and_nothing_else() -> None:
    """Replayed from the start it is the same."""
    game = start(programs.two_late).pick([2]).pick([1])
    again = start(programs.two_late).at(game.picks)
    assert (again.recording.trace, again.lateness) == (game.recording.trace, game.lateness)
    other = game.at([(0,), (1,)])
    assert other.picks == ((0,), (1,))
    assert other.trace == start(programs.two_late).pick([0]).pick([1]).trace


@pytest.mark.parametrize("numbers", [[], [7], [0, 7]])
def test_what_is_not_pending_cannot_be_picked(numbers: list[int]) -> None:
    """The error says so."""
    with pytest.raises(ValueError, match="no such wait is pending"):
        start(sleepers).pick(numbers)


def test_a_game_that_is_over_takes_no_pick() -> None:
    """Frozen is frozen."""
    game = natural_end(start(programs.transfers).pick([1]))
    with pytest.raises(ValueError, match="no such wait is pending"):
        game.pick([2])


def test_the_search_shows_the_way_to_its_freeze() -> None:
    """Its smallest schedule is a game, too: one wait at a time, where that is enough."""
    for program, held in ((programs.transfers, 1), (programs.two_late, 2)):
        found = lab.explore(program)
        assert found.schedule is not None
        game = start(program)
        picks = way(game, found.schedule)
        frozen = game.at(picks)
        assert (frozen.status, len(frozen.lateness)) == (Status.FROZEN, held)
        assert {len(pick) for pick in picks} == {1}


def test_a_freeze_that_takes_two_waits_at_one_moment_is_shown_too() -> None:
    """Only one after the other would get through."""

    async def hurried() -> None:
        a, b = asyncio.Lock(), asyncio.Lock()

        async def take(first: asyncio.Lock, second: asyncio.Lock, seconds: float) -> None:
            await asyncio.sleep(seconds)
            async with first:
                await asyncio.sleep(0)
                async with second:
                    pass

        await asyncio.gather(take(a, b, 1), take(b, a, 2))

    game = start(hurried)
    assert {end.status for end in endings(game)} == {Status.FINISHED}
    assert game.pick([0, 1]).status is Status.FROZEN
    found = lab.explore(hurried)
    assert found.schedule is not None
    assert way(game, found.schedule) == [(0, 1)]


def test_a_freeze_beside_a_heartbeat_ends_the_game_at_once() -> None:
    """The others may go on: those two cannot."""

    async def main() -> None:
        async def beat() -> None:
            while True:
                await asyncio.sleep(1)

        heart = asyncio.create_task(beat())
        await programs.transfers()
        heart.cancel()

    game = start(main).pick([2]).pick([1]).pick([3]).pick([4])
    assert game.status is Status.FROZEN
    assert set(game.recording.waits.stuck) >= {"alice", "bob"}


def test_a_heartbeat_does_not_keep_a_game_going_for_ever() -> None:
    """After so many picks it is over."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(1)

    game = natural_end(start(beat))
    assert (game.status, len(game.picks)) == (Status.ENOUGH, MOST_PICKS)


def test_a_runaway_and_a_blocked_step_end_a_game() -> None:
    """With the limit that was met."""

    async def spin() -> None:
        await asyncio.sleep(1)
        while True:
            await asyncio.sleep(0)

    async def block() -> None:
        while True:
            pass

    game = start(spin).pick([0])
    assert (game.status, game.offers) == (Status.RUNAWAY, ())
    assert "5,000 steps" in game.recording.limit
    blocked = start(block, LIMITS._replace(max_step_seconds=0.2))
    assert (blocked.status, blocked.offers) == (Status.RUNAWAY, ())


def test_what_never_goes_off_is_not_to_be_picked() -> None:
    """Nor what is due after every run is stopped."""

    async def main() -> None:
        await asyncio.sleep(10 * 86_400)

    game = start(main)
    assert game.status is Status.RUNAWAY
    assert game.offers[0].refusal == ("It is due later than 86400 s, where every run is stopped.")


def test_a_program_that_fails_is_not_frozen() -> None:
    """It is over."""

    async def main() -> None:
        await asyncio.sleep(1)
        raise LookupError("no such user")

    assert start(main).pick([0]).status is Status.FAILED


def test_a_program_that_does_something_else_when_replayed_is_found_out() -> None:
    """Here it keeps a count that it does not make anew."""
    runs = itertools.count(1)

    async def main() -> None:
        await asyncio.gather(*(asyncio.sleep(n) for n in range(1, 2 + next(runs))))

    assert start(main).pick([0]).status is Status.CHANGED


def test_what_the_program_prints_is_kept_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Each pick would print it again."""

    async def main() -> None:
        sys.stdout.write("hello")
        await asyncio.sleep(1)

    start(main).pick([0])
    assert capsys.readouterr().out == ""


def test_a_program_that_exits_is_over_and_ends_neither_game_nor_kernel() -> None:
    """``sys.exit`` is an error like others, here."""

    async def main() -> None:
        await asyncio.sleep(1)
        sys.exit(3)

    game = start(main)
    over = game.at([(0,)])
    assert (over.status, over.recording.outcome) == (Status.FAILED, "failed")
