"""The verdict: a program for each kind of deadlock, and for what only looks like one."""

import asyncio
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import deadlock_lab as lab
from deadlock_lab.engine.graph import Waiter, find_stuck
from deadlock_lab.engine.masked import Sentry
from deadlock_lab.engine.trace import Kind, Resource, Wait

from .generated import often
from .programs import (
    CASES,
    HARMLESS,
    Case,
    Program,
    a_retry_that_meets_it_again,
    a_ring_that_a_timeout_leaves_behind,
    a_worker_that_is_parked_when_main_finishes,
    all_is_given_up,
    one_of_two_gives_up,
    take_both,
)


@pytest.mark.parametrize("case", CASES, ids=[case.program.__name__ for case in CASES])
def test_a_deadlock_is_called_by_its_kind(case: Case) -> None:
    run = lab.run(case.program, max_step_seconds=0.3)
    assert run.outcome == case.outcome
    [found] = run.diagnoses
    assert (found.kind, found.members, found.sure) == (case.kind, case.members, case.sure)
    assert case.why in found.why
    guess = "" if found.sure else " (probably)"
    told = f"The kind: {found.kind}{guess}\n  Why: {found.why}\n  To break it: {found.cure}"
    assert told in run.explain()


def test_a_crowd_is_told_in_a_few_lines() -> None:
    async def program():
        locks = [asyncio.Lock() for _ in range(50)]
        enter = [take_both(*pair) for lock in locks for pair in 2 * [(lock, lock)]]
        await asyncio.gather(*enter, *(take_both(locks[0], lock) for lock in locks))

    run = lab.run(program)
    assert (run.outcome, len(run.stuck), len(run.waits.cycles())) == ("deadlock", 151, 50)
    told = run.explain()
    assert "… and 30 more cycles" in told
    assert "… and 81 more" in told
    assert told.count("\n") < 200


# -- what only looks like a deadlock -------------------------------------------------------


@pytest.mark.parametrize("program", HARMLESS, ids=[program.__name__ for program in HARMLESS])
def test_what_only_looks_like_a_deadlock_is_not_called_one(program: Program) -> None:
    run = lab.run(program)
    assert run.outcome == "finished"
    assert (run.stuck, run.diagnoses, run.masked) == ((), (), ())
    assert run.explain().count("\n") == 0


def test_a_worker_that_is_parked_when_main_finishes_is_no_matter() -> None:
    run = lab.run(a_worker_that_is_parked_when_main_finishes)
    assert (run.outcome, run.stuck, run.diagnoses) == ("finished", (), ())
    assert run.waits.tasks == ("worker",)
    assert run.explain().count("\n") == 0


# -- what a timeout hides ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("program", "outcome", "cycle", "kind", "told"),
    [
        (
            one_of_two_gives_up,
            "finished",
            ("forth", "back", "forth"),
            "lock ordering",
            "Only the time limit of back broke it up, at 5 s.",
        ),
        (
            all_is_given_up,
            "failed",
            ("main", "main"),
            "lock re-entry",
            "A timeout hid a deadlock: main → main\n",
        ),
        (
            a_retry_that_meets_it_again,
            "finished",
            ("main", "main"),
            "lock re-entry",
            "(it happened 3 times)",
        ),
    ],
)
def test_a_deadlock_that_a_timeout_hides_is_told(
    program: Program, outcome: str, cycle: tuple[str, ...], kind: str, told: str
) -> None:
    run = lab.run(program)
    assert (run.outcome, run.stuck) == (outcome, ())
    [masked] = run.masked
    assert (masked.cycle, masked.diagnosis.kind, masked.diagnosis.sure) == (cycle, kind, True)
    assert told in run.explain()
    assert "has ended" not in run.explain()


def test_a_masked_deadlock_is_placed_in_the_trace() -> None:
    run = lab.run(one_of_two_gives_up)
    [masked] = run.masked
    assert run.trace.events[masked.event].kind is Kind.TIMER_FIRED
    assert (run.trace.events[masked.event].time, masked.seconds) == (5_000_000_000, 5.0)
    closing = run.trace.events[masked.diagnosis.formed]
    assert (closing.kind, run.trace.name(closing.task)) == (Kind.WAITS, "back")


def test_looking_for_masked_deadlocks_leaves_the_trace_as_it_is(monkeypatch: Any) -> None:
    seen = lab.run(one_of_two_gives_up)
    monkeypatch.setattr(Sentry, "look", lambda _: None)
    assert lab.run(one_of_two_gives_up).trace == seen.trace


def test_what_no_timeout_ended_is_told_as_stuck_not_as_masked() -> None:
    run = lab.run(a_ring_that_a_timeout_leaves_behind)
    assert (run.stuck, run.masked) == (("follow", "follow-2"), ())


# -- lock orders that have not met yet ------------------------------------------------------


async def nested(first, second, delay=0):
    await asyncio.sleep(delay)
    async with first:
        await asyncio.sleep(1)
        async with second:
            pass
    await asyncio.sleep(10)


async def both_orders_at_different_times():
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        group.create_task(nested(lock_a, lock_b), name="forth")
        group.create_task(nested(lock_b, lock_a, delay=5), name="later")


def test_two_locks_taken_in_both_orders_are_a_risk() -> None:
    run = lab.run(both_orders_at_different_times)
    assert (run.outcome, run.diagnoses) == ("finished", ())
    [risk] = run.risks
    assert risk.locks == ("lock_a (Lock)", "lock_b (Lock)")
    assert (risk.first.task, risk.second.task) == ("forth", "later")
    line = nested.__code__.co_firstlineno + 4
    told = run.explain()
    assert "A risk: lock_a (Lock) and lock_b (Lock) were taken in both orders." in told
    assert "later took lock_a (Lock) while it held lock_b (Lock)" in told
    assert told.count(f"line {line}, in nested: async with second:") == 2


async def short(first, second, delay):
    await asyncio.sleep(delay)
    async with first, second:
        await asyncio.sleep(1)


@pytest.mark.parametrize("delay", [0.5, 5], ids=["while it is held", "long after"])
def test_a_task_that_was_over_before_is_a_risk_where_nobody_waited_for_it(delay: float) -> None:
    async def program():
        lock_a, lock_b = asyncio.Lock(), asyncio.Lock()
        async with asyncio.TaskGroup() as group:
            group.create_task(short(lock_a, lock_b, 0), name="forth")
            group.create_task(short(lock_b, lock_a, delay), name="later")

    [risk] = lab.run(program).risks
    assert (risk.first.task, risk.second.task) == ("forth", "later")


async def both_orders_with_a_signal_between():
    lock_a, lock_b, over = asyncio.Lock(), asyncio.Lock(), asyncio.Event()

    async def forth():
        await short(lock_a, lock_b, 0)
        over.set()

    async def back():
        await over.wait()
        await short(lock_b, lock_a, 1)

    await asyncio.gather(forth(), back())


async def both_orders_behind_a_gate():
    gate, lock_a, lock_b = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()

    async def careful(first, second):
        async with gate:
            await nested(first, second)

    await asyncio.gather(careful(lock_a, lock_b), careful(lock_b, lock_a))


async def both_orders_in_one_task():
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()
    await nested(lock_a, lock_b)
    await nested(lock_b, lock_a)


async def both_orders_one_after_the_other():
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()
    await asyncio.create_task(nested(lock_a, lock_b))
    await asyncio.create_task(nested(lock_b, lock_a))


async def one_order_before_the_other_task_is_made():
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()
    await nested(lock_a, lock_b)
    await asyncio.create_task(nested(lock_b, lock_a))


async def both_orders_of_semaphores_with_permits_for_all():
    pool_a, pool_b = asyncio.Semaphore(5), asyncio.Semaphore(5)
    await asyncio.gather(nested(pool_a, pool_b), nested(pool_b, pool_a))


@pytest.mark.parametrize(
    "program",
    [
        both_orders_behind_a_gate,
        both_orders_in_one_task,
        both_orders_with_a_signal_between,
        both_orders_one_after_the_other,
        one_order_before_the_other_task_is_made,
        both_orders_of_semaphores_with_permits_for_all,
    ],
)
def test_orders_that_can_never_meet_are_no_risk(program: Program) -> None:
    run = lab.run(program)
    assert (run.outcome, run.risks) == ("finished", ())


# -- the graph, against brute force --------------------------------------------------------

THINGS = tuple(
    Resource(f"thing {n}", kind) for n, kind in enumerate(("Lock", "Event", "Semaphore"))
)
NODES = [0, 1, 2, 3, ~0, ~1, ~2]


class Graph(NamedTuple):
    waiters: dict[int, Waiter]
    holders: dict[int, tuple[int, ...]]
    roots: list[int]
    outside: bool


def can_move(node: int, free: frozenset[int], graph: Graph) -> bool:
    """Whether a task goes on, or a thing is given, once all these are free."""
    if node in graph.roots:
        return True
    if node >= 0:
        if node not in graph.waiters:
            return False  # it has ended, or never was
        wait = graph.waiters[node].wait
        given = [target in free for target in wait.targets]
        return not given or (all(given) if wait.mode == "all" else any(given))
    if graph.outside and THINGS[~node].kind == "Event":
        return True
    return any(task >= 0 and task in free for task in graph.holders.get(~node, ()))


def by_brute_force(graph: Graph) -> tuple[int, ...]:
    """Play every continuation, move by move; stuck is who moves in none of them."""
    seen: set[frozenset[int]] = set()
    todo = [frozenset[int]()]
    while todo:
        free = todo.pop()
        if free not in seen:
            seen.add(free)
            todo += [free | {n} for n in NODES if n not in free and can_move(n, free, graph)]
    moved = frozenset[int]().union(*seen)
    return tuple(task for task in sorted(graph.waiters) if task not in moved)


targets = st.lists(st.sampled_from(NODES), max_size=3, unique=True).map(tuple)
waits = st.builds(
    Waiter, st.builds(Wait, st.just("await"), st.sampled_from(["all", "any"]), targets), st.just(0)
)
owners = st.lists(st.integers(-1, 3), max_size=2, unique=True).map(tuple)
graphs = st.builds(
    Graph,
    st.dictionaries(st.integers(0, 3), waits),
    st.dictionaries(st.sampled_from([0, 2]), owners),
    st.lists(st.sampled_from(NODES), max_size=1),
    st.booleans(),
)


@often
@given(graphs)
def test_who_is_stuck_agrees_with_brute_force(graph: Graph) -> None:
    stuck = find_stuck(graph.waiters, THINGS, graph.holders, graph.roots, outside=graph.outside)
    assert stuck == by_brute_force(graph)


async def grouped(parts: dict[str, Any]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for name, work in parts.items():
            tasks.create_task(work, name=name)


def made(parts: dict[str, Any]) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(work, name=name) for name, work in parts.items()]


WAYS: dict[str, Any] = {
    "group": grouped,
    "gather": lambda parts: asyncio.gather(*made(parts)),
    "gather, errors as results": lambda parts: asyncio.gather(*made(parts), return_exceptions=True),
    "wait": lambda parts: asyncio.wait(made(parts)),
    "wait for the first error": lambda parts: asyncio.wait(
        made(parts), return_when=asyncio.FIRST_EXCEPTION
    ),
}


async def pair_beside_another(how: str) -> None:
    """Leave two tasks in a ring of locks behind, with another one that goes on."""
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()

    async def transfer(first: asyncio.Lock, second: asyncio.Lock) -> None:
        async with first:
            await asyncio.sleep(0.1)
            async with second:
                pass

    async def parent() -> None:
        pair = {"a": transfer(lock_a, lock_b), "b": transfer(lock_b, lock_a)}
        await WAYS[how]({**pair, "other": asyncio.sleep(5)})

    task = asyncio.create_task(parent(), name="parent")
    await asyncio.sleep(1)
    assert not task.done()


@pytest.mark.parametrize(
    ("how", "unless"),
    [
        ("gather", ("other",)),
        ("group", ("other",)),
        ("wait for the first error", ("other",)),
        ("gather, errors as results", ()),
        ("wait", ()),
    ],
)
def test_who_is_stuck_unless_another_one_fails_is_told_so(how: str, unless: tuple[str]) -> None:
    """Some ways to wait for all end when one fails; the others do not."""
    run = lab.run(pair_beside_another(how))
    assert (run.stuck, run.waits.unless) == (("parent", "a", "b"), unless)
    said = "unless other fails." if unless else "whatever the others do."
    assert f"Yet parent, a and b can never go on, {said}" in run.explain()
