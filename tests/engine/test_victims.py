"""``on_deadlock="break"``: one member of each cycle gives up, and the rest goes on."""

import asyncio
from typing import Any

import pytest

import deadlock_lab as lab
from deadlock_lab.engine import victims
from deadlock_lab.engine.kinds import DeadlockKind
from deadlock_lab.engine.trace import Kind


async def transfers(rounds: int = 1) -> list[Any]:
    """Let alice and bob take two locks in opposite orders, some times over."""
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()

    async def transfer(first: asyncio.Lock, second: asyncio.Lock) -> str:
        for _ in range(rounds):
            async with first:
                await asyncio.sleep(1)
                async with second:
                    pass
        return "moved"

    alice = asyncio.create_task(transfer(lock_a, lock_b), name="alice")
    bob = asyncio.create_task(transfer(lock_b, lock_a), name="bob")
    return await asyncio.gather(alice, bob, return_exceptions=True)


async def ring(size: int = 3) -> list[Any]:
    """Let tasks await one another in a ring, which ``cancel()`` cannot end."""
    tasks: list[asyncio.Task[Any]] = []

    async def follow(n: int) -> str:
        await asyncio.sleep(0)
        try:
            await tasks[(n + 1) % size]
        except lab.DeadlockError:
            return "gave up"
        return "waited"

    tasks += (asyncio.create_task(follow(n), name=f"task-{n}") for n in range(size))
    return await asyncio.gather(*tasks)


def test_without_being_asked_a_deadlock_stands() -> None:
    """By default nobody is freed."""
    run = lab.run(transfers)
    assert (run.outcome, run.broken) == ("deadlock", ())


def test_the_last_to_wait_gives_up_and_the_other_goes_on() -> None:
    """The victim is the task that closed the cycle; what it held is given back."""
    run = lab.run(transfers, on_deadlock="break")
    alice, bob = run.result()
    assert (alice, type(bob)) == ("moved", lab.DeadlockError)
    assert str(bob) == "the cycle alice → bob → alice could never go on"


def test_what_was_broken_is_told_with_its_kind_moment_and_members() -> None:
    """``run.broken`` holds what ``run.masked`` holds of a timeout's victim."""
    [broken] = lab.run(transfers, on_deadlock="break").broken
    assert (broken.cycle, broken.victim) == (("alice", "bob", "alice"), "bob")
    assert (broken.diagnosis.kind, broken.seconds) == (DeadlockKind.LOCK_ORDER, 1.0)
    assert broken.waits.stuck == ("main", "alice", "bob")


def test_the_trace_shows_who_was_freed_and_that_the_clock_did_not_wake_it() -> None:
    """FREED comes first; then the victim is woken on its own behalf."""
    run = lab.run(transfers, on_deadlock="break")
    [broken] = run.broken
    freed, woken, resumed = run.trace.events[broken.event : broken.event + 3]
    assert [e.kind for e in (freed, woken, resumed)] == [Kind.FREED, Kind.WOKEN, Kind.RESUMED]
    assert {run.trace.name(e.task) for e in (freed, woken, resumed)} == {"bob"}
    assert woken.by == resumed.by == freed.task


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_a_ring_that_cancel_cannot_end_is_broken(size: int) -> None:
    """One gives up, and the others get their results one after another."""

    async def main() -> list[Any]:
        if size > 1:
            return await ring(size)
        lock = asyncio.Lock()
        async with lock:
            try:
                await lock.acquire()
            except lab.DeadlockError:
                return ["gave up"]
        return []

    run = lab.run(main, on_deadlock="break")
    assert sorted(run.result()) == ["gave up", *["waited"] * (size - 1)]
    assert len(run.broken) == 1


def test_two_cycles_at_once_lose_one_member_each() -> None:
    """Cycles have nothing to do with one another, so each is broken by itself."""

    async def main() -> list[Any]:
        return await asyncio.gather(ring(2), ring(3))

    run = lab.run(main, on_deadlock="break")
    assert [found.count("gave up") for found in run.result()] == [1, 1]
    assert [len(broken.cycle) - 1 for broken in run.broken] == [2, 3]


def test_a_pair_stuck_beside_a_heartbeat_is_broken_long_before_the_clock_runs_out() -> None:
    """A look is taken whenever the clock would jump, not only when all stand still."""

    async def main() -> list[Any]:
        async def beat() -> None:
            while True:
                await asyncio.sleep(0.1)

        heart = asyncio.create_task(beat())
        try:
            return await ring(2)
        finally:
            heart.cancel()

    run = lab.run(main, on_deadlock="break")
    assert sorted(run.result()) == ["gave up", "waited"]
    assert run.seconds < 1


def test_where_the_same_tasks_meet_again_each_has_its_turn_to_give_up() -> None:
    """Otherwise a task that tries again at once would be the victim for ever."""
    freed: list[str] = []

    async def main() -> None:
        lock_a, lock_b = asyncio.Lock(), asyncio.Lock()

        async def insist(name: str, first: asyncio.Lock, second: asyncio.Lock) -> None:
            for _ in range(4):
                try:
                    async with first:
                        await asyncio.sleep(1)
                        async with second:
                            pass
                except lab.DeadlockError:
                    freed.append(name)

        await asyncio.gather(insist("A", lock_a, lock_b), insist("B", lock_b, lock_a))

    assert lab.run(main, on_deadlock="break").outcome == "finished"
    assert {"A", "B"} == set(freed)


def test_victims_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks that never learn end as a deadlock, after so many victims."""
    monkeypatch.setattr(victims, "MOST_VICTIMS", 10)

    async def main() -> None:
        tasks: list[asyncio.Task[Any]] = []

        async def insist(other: int) -> None:
            while True:
                try:
                    await tasks[other]
                except lab.DeadlockError:
                    continue

        tasks += (asyncio.create_task(insist(1 - n)) for n in range(2))
        await asyncio.wait(tasks)

    run = lab.run(main, on_deadlock="break")
    assert (run.outcome, len(run.broken)) == ("deadlock", 10)
    assert "In all, 10 deadlocks were broken." in run.explain()


def test_a_deadlock_without_a_cycle_stands() -> None:
    """There is no member whose giving up would help anybody."""

    async def main() -> None:
        await asyncio.Event().wait()

    run = lab.run(main, on_deadlock="break")
    assert (run.outcome, run.broken) == ("deadlock", ())


def test_a_program_without_a_deadlock_has_the_same_trace_either_way() -> None:
    """Looking changes nothing."""

    async def main() -> None:
        lock = asyncio.Lock()

        async def work() -> None:
            async with lock:
                await asyncio.sleep(1)

        await asyncio.gather(*(work() for _ in range(5)))

    assert lab.run(main).trace == lab.run(main, on_deadlock="break").trace


def test_who_may_still_be_rescued_is_not_made_to_give_up() -> None:
    """A time limit that will end the cycle leaves it to the time limit."""

    async def main() -> str:
        lock = asyncio.Lock()
        async with lock:
            try:
                async with asyncio.timeout(5):
                    await lock.acquire()
            except TimeoutError:
                return "rescued"
        return "?"

    run = lab.run(main, on_deadlock="break")
    assert (run.result(), run.broken) == ("rescued", ())


def test_the_explanation_tells_who_gave_up_and_how_they_stood() -> None:
    """The same table and kind as for a deadlock that stands."""
    told = lab.run(transfers, on_deadlock="break").explain()
    assert "A deadlock was broken: alice → bob → alice" in told
    assert "At 1 s, bob was made to give up by a DeadlockError. Until then:" in told
    assert "The kind: lock ordering" in told


def test_an_unknown_action_is_refused_with_what_there_is() -> None:
    """The message names the value and the choices."""
    with pytest.raises(ValueError, match='"stop" or "break", but is \'log\''):
        lab.run(transfers, on_deadlock="log")  # type: ignore[arg-type]
