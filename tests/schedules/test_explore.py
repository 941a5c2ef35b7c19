"""``lab.explore``: what freezes is found, made small and can be replayed; proofs hold."""

import asyncio
import gc
import itertools
import math
import random
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deadlock_lab as lab
from deadlock_lab.engine.schedule import Schedule
from deadlock_lab.schedules.attempt import Attempt, Limits, attempts
from deadlock_lab.schedules.latencies import Latencies, Spread
from deadlock_lab.schedules.shrink import shrink

from . import programs
from .programs import Op, built


def test_a_wait_of_10_ms_that_must_outlast_one_of_500_ms_is_found_by_default() -> None:
    """The inversion of the issue, found by either strategy too."""
    for strategy in ("both", "systematic", "random"):
        assert lab.explore(programs.transfers, strategy=strategy).freezes > 0


def test_what_is_found_is_shrunk_to_the_one_late_wait_that_it_takes() -> None:
    """Also when it was found at random, among other late waits."""
    for strategy in ("systematic", "random"):
        found = lab.explore(programs.transfers, strategy=strategy)
        assert found.schedule is not None
        assert found.schedule.lateness == {0: 490_000_000}


def test_shrinking_does_not_stop_above_the_minimum() -> None:
    """Two late waits are needed here, and no more are kept."""
    found = lab.explore(programs.two_late, strategy="random", runs=500)
    assert found.schedule is not None
    assert len(found.schedule.lateness) == 2


def test_the_token_replays_the_freeze() -> None:
    """``lab.run`` takes it, and the story names the wait."""
    found = lab.explore(programs.transfers)
    assert found.token == "0+490000000"
    run = lab.run(programs.transfers, schedule=found.token)
    assert (run.outcome, run.waits.cycles()) == (
        "deadlock",
        [("alice", "bob", "alice")],
    )
    assert found.run is not None
    assert found.run.trace == run.trace


def test_the_story_names_the_wait_what_it_should_take_and_what_it_takes() -> None:
    """In one sentence, with the line."""
    story = lab.explore(programs.transfers).story
    assert story.startswith("It freezes if alice's sleep of 0.01 s (")
    assert "programs.py line " in story
    assert story.endswith(" takes 0.5 s.")


def test_a_program_that_freezes_as_written_needs_no_schedule() -> None:
    """The smallest schedule is the natural one."""

    async def main() -> None:
        await asyncio.sleep(1)
        await asyncio.Event().wait()

    found = lab.explore(main, runs=20)
    assert (found.token, found.freezes, found.first_at) == ("natural", 20, 1)
    assert found.story == "It freezes as it is written: no wait has to take longer."


def test_a_pair_that_freezes_behind_a_main_that_finishes_counts() -> None:
    """What is looked for is a task that can never go on, not only a main."""
    found = lab.explore(programs.background_pair)
    assert found.freezes > 0
    assert found.outcomes == {lab.Outcome.FINISHED: 1_000}
    assert found.run is not None
    assert found.run.stuck == ("alice", "bob")


def test_a_pair_that_freezes_beside_an_endless_heartbeat_counts() -> None:
    """The run is a runaway, and two of its tasks can never go on."""
    found = lab.explore(programs.frozen_beside_a_heartbeat, runs=60, max_steps=500)
    assert found.freezes == found.outcomes[lab.Outcome.RUNAWAY] > 0
    assert found.run is not None
    assert found.run.stuck == ("main", "alice", "bob")
    assert found.schedule is not None
    assert len(found.schedule.lateness) == 1


def test_a_small_program_is_proved_free_of_deadlock() -> None:
    """All orders of its waits have been tried."""
    found = lab.explore(programs.ordered)
    assert found.proved
    assert "That is a proof" in found.explain()
    assert found.runs.keys() == {"systematic"}


def test_no_proof_is_claimed_beside_a_heartbeat() -> None:
    """There is no end of orders."""
    found = lab.explore(programs.beside_a_heartbeat, runs=300)
    assert (found.freezes, found.proved) == (0, False)


@pytest.mark.parametrize("program", [programs.with_a_limit, programs.reads_the_clock])
def test_no_proof_is_claimed_where_more_than_the_order_of_waits_matters(program: Any) -> None:
    """Time limits and looks at the clock depend on how long waits take."""
    found = lab.explore(program, strategy="systematic")
    assert (found.tried, found.timed, found.proved) == (math.inf, True, False)
    assert "That is no proof" in found.explain()


def test_a_bound_on_the_late_waits_is_kept_to_and_told() -> None:
    """With none at all, only the natural order is tried."""
    natural = lab.explore(programs.transfers, strategy="systematic", deviations=0)
    assert (sum(natural.runs.values()), natural.tried, natural.proved) == (1, 0, False)
    one = lab.explore(programs.ordered, strategy="systematic", deviations=1)
    assert (one.tried, one.freezes) == (1, 0)
    assert "Every order that holds back at most one wait was tried." in one.explain()


@pytest.mark.parametrize(
    "program",
    [
        programs.handed_over,
        programs.joined_queue,
        programs.with_a_limit,
        programs.beside_a_heartbeat,
    ],
)
def test_correct_programs_raise_no_alarm_in_10_000_schedules(program: Any) -> None:
    """FIFO hand-over, a queue that is joined, a limit that is legitimate, a heartbeat."""
    found = lab.explore(program, runs=2_500, strategy="random")
    assert (found.freezes, set(found.outcomes)) == (0, {lab.Outcome.FINISHED})


def test_replay_is_exact_for_200_random_schedules() -> None:
    """A recorded run under an attempt's schedule ends as the attempt did."""

    async def noisy() -> None:
        lock_a, lock_b = asyncio.Lock(), asyncio.Lock()

        async def transfer(first: asyncio.Lock, second: asyncio.Lock) -> None:
            await asyncio.sleep(random.random())
            async with first:
                await asyncio.sleep(random.random() / 10)
                async with second:
                    pass

        await asyncio.gather(transfer(lock_a, lock_b), transfer(lock_b, lock_a))

    limits = Limits(10_000, 10_000, 2)
    cases = [(Latencies(Spread(1, 100), seed), seed) for seed in range(200)]
    done = attempts(noisy, cases, limits, listen=True)
    outcomes = [lab.run(noisy, schedule=attempt.schedule.token).outcome for attempt in done]
    assert outcomes == [attempt.outcome for attempt in done]
    assert len(set(outcomes)) == 2
    again = attempts(noisy, [(a.schedule, a.schedule.seed) for a in done], limits, listen=True)
    assert again == done


programs_of_locks = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["sleep", "take", "give"]), st.integers(0, 2)),
        min_size=1,
        max_size=5,
    ),
    min_size=2,
    max_size=3,
)


def by_brute_force(tasks: list[list[Op]], most: int) -> bool:
    """Whether some choice of how much longer each sleep takes freezes the program."""
    sleeps = sum(what == "sleep" and n > 0 for ops in tasks for what, n in ops)
    grid = itertools.product(range(most + 1), repeat=sleeps)
    limits = Limits(1_000, 1_000, 2)
    return any(
        attempts(built(tasks, extra), [(Schedule(), 0)], limits, listen=False)[0].freezes
        for extra in grid
    )


@settings(max_examples=60, deadline=None)
@given(programs_of_locks)
def test_a_proof_is_claimed_exactly_where_brute_force_finds_no_freeze(
    tasks: list[list[Op]],
) -> None:
    """Every choice of latencies on a grid of ticks, against the orders that were tried."""
    tasks = [[(what, n + 1 if what == "sleep" else n) for what, n in ops] for ops in tasks]
    if sum(what == "sleep" for ops in tasks for what, _ in ops) > 4:
        return
    found = lab.explore(built(tasks), strategy="systematic", runs=3_000)
    frozen = by_brute_force(tasks, most=5)
    assert not (found.proved and frozen)
    if found.tried == math.inf:
        assert bool(found.freezes) == frozen


def test_equal_calls_give_equal_results_whoever_runs_them() -> None:
    """In this process, and on an executor's threads."""
    here = lab.explore(programs.transfers, runs=200)
    with ThreadPoolExecutor(3) as pool:
        there = lab.explore(programs.transfers, runs=200, executor=pool)
    assert told(here) == told(there) == told(lab.explore(programs.transfers, runs=200))


def told(found: lab.Exploration) -> Any:
    return (found.outcomes, found.runs, found.frozen, found.first_at, found.tried, found.token)


def test_another_seed_draws_other_latencies() -> None:
    """And the same one the same."""
    counts = [
        lab.explore(programs.transfers, strategy="random", seed=seed).freezes for seed in (0, 1, 1)
    ]
    assert counts[0] != counts[1] == counts[2]


def test_until_found_stops_at_the_first_freeze() -> None:
    """No run is counted after it."""
    found = lab.explore(programs.transfers, until_found=True)
    assert sum(found.runs.values()) == found.first_at


def test_ctrl_c_returns_what_was_found_so_far() -> None:
    """The search is over, and says that it was interrupted."""
    runs = 0

    async def main() -> None:
        nonlocal runs
        runs += 1
        if runs == 50:
            raise KeyboardInterrupt
        await programs.transfers()

    found = lab.explore(main, progress=False)
    assert found.interrupted
    assert 30 <= sum(found.runs.values()) < 50
    assert "was interrupted" in found.explain()


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Have nothing collected meanwhile: what is thrown might hit pytest's hook for that."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
def test_a_step_that_never_ends_ends_the_search_and_is_named() -> None:
    """Otherwise each of a thousand runs would take its two seconds."""

    async def main() -> None:
        await asyncio.sleep(0)
        while True:
            pass

    began = time.monotonic()
    found = lab.explore(main, max_step_seconds=0.2)
    assert time.monotonic() - began < 10
    assert "one step kept the loop busy" in found.explain()


def test_a_program_that_does_not_freeze_again_when_replayed_is_told_so() -> None:
    """It keeps something from run to run that the schedule does not decide."""
    runs = 0

    async def main() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            await asyncio.Event().wait()
        await asyncio.sleep(1)
        await asyncio.gather(asyncio.sleep(1), asyncio.sleep(2))

    found = lab.explore(main, runs=20)
    assert not found.repeatable
    assert "replayed, it did not freeze" in found.explain()


def test_the_first_error_is_told() -> None:
    """A search that only meets errors has not shown much, and says so."""

    async def main() -> None:
        await asyncio.sleep(1)
        raise LookupError("no tea")

    found = lab.explore(main)
    assert (found.outcomes, found.error) == ({lab.Outcome.FAILED: 1}, "LookupError: no tea")
    assert "The first error: LookupError: no tea" in found.explain()


def test_nothing_is_proved_of_a_program_that_leaves_what_can_be_modelled() -> None:
    """It is told what it asked for."""

    async def main() -> None:
        await asyncio.to_thread(time.sleep, 1)

    found = lab.explore(main)
    assert (found.proved, found.unmodelled) == (False, True)
    assert "NotModelledError" in found.explain()


def test_a_program_that_exits_has_failed_and_does_not_end_the_search() -> None:
    """It would end the notebook's cell, too."""

    async def main() -> None:
        await asyncio.gather(asyncio.sleep(1), asyncio.sleep(2))
        sys.exit(3)

    found = lab.explore(main)
    assert set(found.outcomes) == {lab.Outcome.FAILED}
    assert found.error == "SystemExit: 3"


@pytest.mark.parametrize(
    ("main", "message"),
    [
        (asyncio.sleep, r"calls sleep\(\) without arguments .* lab.explore\(lambda: sleep\(1, 2"),
        (lambda: 5, r"needs an async function, but <lambda>\(\) returned 5"),
    ],
)
def test_what_is_no_program_is_refused_with_what_to_write(main: Any, message: str) -> None:
    """Before anything runs."""
    with pytest.raises(TypeError, match=message):
        lab.explore(main)


def test_what_programs_print_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand runs would print a thousand times."""

    async def main() -> None:
        print("here")  # noqa: T201 (what is tested)

    lab.explore(main, runs=10)
    assert capsys.readouterr() == ("", "")


def test_it_runs_inside_a_running_loop() -> None:
    """As in a notebook's cell."""

    async def cell() -> bool:
        return lab.explore(programs.ordered).proved

    assert asyncio.run(cell())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runs": 0}, "runs must be 1 or more, but is 0"),
        ({"seed": -1}, "seed must be 0 or more, but is -1"),
        ({"runs": 1.5}, "runs must be a whole number"),
        ({"strategy": "luck"}, 'must be "both", "systematic" or "random", but is \'luck\''),
        ({"deviations": -1}, "deviations must be 0 or more"),
        ({"latency": (5, 1)}, "the least one first"),
        ({"latency": (0, 1)}, "two factors above 0"),
        ({"max_steps": 0}, "max_steps"),
    ],
)
def test_a_number_out_of_range_is_refused_by_name(options: dict[str, Any], message: str) -> None:
    """Before anything runs."""
    with pytest.raises((ValueError, TypeError), match=message):
        lab.explore(programs.ordered, **options)


def test_a_coroutine_is_refused_since_it_can_be_run_once_only() -> None:
    """The message says what to write."""
    coro = programs.ordered()
    with pytest.raises(TypeError, match=r"write lab.explore\(main\)"):
        lab.explore(coro)  # type: ignore[arg-type]
    coro.close()


def test_a_program_that_cannot_be_sent_to_an_executor_is_told_so() -> None:
    """It closes over something that belongs to this process."""
    guard = threading.Lock()

    async def main() -> None:
        guard.acquire()

    with ThreadPoolExecutor(1) as pool, pytest.raises(TypeError, match="cannot be sent"):
        lab.explore(main, executor=pool)


def test_the_figure_tells_how_many_schedules_freeze_by_strategy() -> None:
    """In words beside the bars, so that no colour is needed."""
    found = lab.explore(programs.transfers)
    figure = found.figure()
    said = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert said == [
        f"{found.frozen[name]} of {found.runs[name]} freeze "
        f"({found.frozen[name] / found.runs[name]:.1%})"
        for name in ("systematic", "random")
    ]
    assert [text.get_text() for text in figure.texts] == [found.verdict]


@pytest.mark.usefixtures("no_collection")
def test_a_step_that_never_ends_ends_the_search_also_while_others_wait() -> None:
    """Else each of the runs would take as long as a step may."""

    async def main() -> None:
        async def block() -> None:
            await asyncio.sleep(1)
            while True:
                pass

        await asyncio.gather(block(), asyncio.sleep(5))

    found = lab.explore(main, runs=50, max_step_seconds=0.2, progress=False)
    assert (found.outcomes, found.freezes) == ({lab.Outcome.RUNAWAY: 1}, 0)
    assert ", in block" in found.blocked


def test_runs_that_were_cut_off_prove_nothing() -> None:
    """Behind a heartbeat without an end, two tasks may be frozen all the same."""

    async def main() -> None:
        while True:
            await asyncio.sleep(1)

    found = lab.explore(main, runs=5, max_steps=500, progress=False)
    assert (found.freezes, found.proved) == (0, False)
    assert "That is no proof" in str(found)


def test_an_attempt_that_was_halted_is_no_freeze_when_nothing_is_left_to_run() -> None:
    """What is thrown into a step may hit it where it hands on its last callbacks."""

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.halt("one step kept the loop busy")
        await asyncio.Event().wait()

    found = lab.explore(main, runs=5, progress=False)
    assert (found.outcomes, found.freezes) == ({lab.Outcome.RUNAWAY: 1}, 0)
    assert found.blocked == "one step kept the loop busy"


def test_what_random_latencies_stretch_is_held_back_only_as_far_as_it_takes() -> None:
    """Two waits of 0.1 s have to outlast one of 1 s: each then takes 1 s, and no more."""
    found = lab.explore(programs.two_late, strategy="random", runs=300)
    assert found.schedule is not None
    assert found.schedule.lateness == {0: 900_000_001, 1: 900_000_001}


def test_of_many_late_waits_those_that_do_not_matter_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where a search with fewer of them finds nothing in its time."""
    monkeypatch.setattr("deadlock_lab.schedules.shrink._SEARCHED", 0)

    async def main() -> None:
        late = [False] * 12
        over = False

        async def wait(n: int) -> None:
            await asyncio.sleep(0.1)
            late[n] = over

        async def long() -> None:
            nonlocal over
            await asyncio.sleep(1)
            over = True

        await asyncio.gather(*map(wait, range(12)), long())
        if all(late[::3]):
            await asyncio.Event().wait()

    def attempt(wave: Sequence[Schedule]) -> list[Attempt]:
        cases = [(schedule, schedule.seed) for schedule in wave]
        return attempts(main, cases, Limits(1_000, 1_000, 2), listen=True)

    every = Schedule(dict.fromkeys(range(12), 5_000_000_000))
    assert sorted(shrink(every, attempt, tried=-1).lateness) == [0, 3, 6, 9]
