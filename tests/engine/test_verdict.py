"""The verdict: a program for each kind of deadlock, and for what only looks like one."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deadlock_lab as lab
from deadlock_lab.engine.graph import Waiter, find_stuck
from deadlock_lab.engine.masked import Sentry
from deadlock_lab.engine.trace import Kind, Resource, Wait

Program = Callable[[], Any]


class Case(NamedTuple):
    program: Program
    kind: str
    members: tuple[str, ...]
    why: str
    outcome: str
    sure: bool


CASES: list[Case] = []
HARMLESS: list[Program] = []


def is_a(
    kind: str, members: str, why: str = "", *, outcome: str = "deadlock", sure: bool = True
) -> Callable[[Program], Program]:
    """Enter a program into the table: what kind it is, of whom, and a part of the reason."""

    def enter(program: Program) -> Program:
        CASES.append(Case(program, kind, tuple(members.split()), why, outcome, sure))
        return program

    return enter


def harmless(program: Program) -> Program:
    HARMLESS.append(program)
    return program


# -- cycles ------------------------------------------------------------------------------


@is_a("await cycle", "a b c", "each of them awaits the next")
async def three_tasks_in_a_ring():
    tasks = {}

    async def follow(other):
        await asyncio.sleep(1)
        await tasks[other]

    for name, other in ("ab", "bc", "ca"):
        tasks[name] = asyncio.create_task(follow(other), name=name)
    await tasks["a"]


@is_a("self-await", "main", "main would have to end")
async def a_task_that_gathers_itself():
    await asyncio.gather(asyncio.current_task())


@is_a("single-flight cycle", "load-a load-b", "joined it")
async def two_loads_that_join_each_other():
    flight = {}

    async def get(key):
        if key not in flight:
            flight[key] = asyncio.create_task(load(key), name=f"load-{key}")
        return await flight[key]

    async def load(key):
        await asyncio.sleep(1)
        return await get({"a": "b", "b": "a"}[key])

    await asyncio.gather(get("a"), get("b"))


@is_a("lock ordering", "back forth", "back and forth took lock_b (Lock) and lock_a (Lock)")
async def two_locks_in_both_orders():
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()

    async def take(first, second):
        async with first:
            await asyncio.sleep(1)
            async with second:
                pass

    async with asyncio.TaskGroup() as group:
        group.create_task(take(lock_b, lock_a), name="back")
        group.create_task(take(lock_a, lock_b), name="forth")


@is_a("lock re-entry", "main", "main holds lock (Lock) already")
async def a_lock_taken_twice():
    lock = asyncio.Lock()
    async with lock, lock:
        pass


@is_a("hold-and-wait", "main child", "lock (Lock) is kept during an await")
async def a_lock_kept_over_an_await():
    lock = asyncio.Lock()

    async def child():
        async with lock:
            pass

    async with lock:
        await asyncio.create_task(child())


@is_a("hold-and-wait on permits (pool exhaustion)", "parent leaf", "the permits of pool")
async def parents_and_children_of_one_pool():
    pool = asyncio.Semaphore(2)

    async def leaf():
        async with pool:
            await asyncio.sleep(1)

    async def parent():
        async with pool:
            await asyncio.sleep(1)
            await asyncio.gather(leaf(), leaf())

    await asyncio.gather(parent(), parent())


@is_a("full-queue cycle", "there back", "a full queue", sure=False)
async def two_full_queues():
    requests, replies = asyncio.Queue(1), asyncio.Queue(1)

    async def there():
        await requests.put(1)
        await requests.put(2)
        await replies.get()

    async def back():
        await replies.put(1)
        await replies.put(2)
        await requests.get()

    await asyncio.gather(there(), back())


@is_a("circular wait for a signal", "left right", "after its own wait", sure=False)
async def two_events_each_set_after_the_other():
    left_ready, right_ready = asyncio.Event(), asyncio.Event()

    async def left():
        await right_ready.wait()
        left_ready.set()

    async def right():
        await left_ready.wait()
        right_ready.set()

    await asyncio.gather(left(), right())


@is_a("await cycle", "pair pair-2", outcome="finished")
async def a_pair_that_is_stuck_beside_a_main_that_finishes():
    tasks = []

    async def pair(other):
        await tasks[other]

    tasks += [asyncio.create_task(pair(1)), asyncio.create_task(pair(0))]
    await asyncio.sleep(1)


# -- nobody left -------------------------------------------------------------------------


@is_a("Queue.join without task_done", "main worker", "jobs (Queue) is empty")
async def a_worker_that_never_says_task_done():
    jobs = asyncio.Queue()

    async def worker():
        while True:
            await jobs.get()

    jobs.put_nowait(1)
    task = asyncio.create_task(worker())  # noqa: F841 (kept alive)
    await jobs.join()


@is_a("dead consumer", "main", "worker has failed (ValueError: 1)", sure=False)
async def a_join_behind_a_worker_that_failed():
    jobs = asyncio.Queue()

    async def worker():
        while True:
            job = await jobs.get()
            jobs.task_done()
            raise ValueError(job)

    jobs.put_nowait(1)
    jobs.put_nowait(2)
    task = asyncio.create_task(worker())  # noqa: F841 (kept alive)
    await jobs.join()


@is_a("dead producer", "main", "producer has failed (ValueError: no data)", sure=False)
async def a_producer_that_fails_before_it_puts():
    async def producer(queue):
        await asyncio.sleep(1)
        if queue.empty():
            raise ValueError("no data")
        await queue.put(1)

    jobs = asyncio.Queue()
    task = asyncio.create_task(producer(jobs))  # noqa: F841 (kept alive)
    await jobs.get()


@is_a("dead producer", "main", "producer has finished", sure=False)
async def a_consumer_that_wants_one_more():
    jobs = asyncio.Queue()

    async def producer():
        await jobs.put(1)

    task = asyncio.create_task(producer())  # noqa: F841 (kept alive)
    await jobs.get()
    await jobs.get()


@is_a("dead producer", "main", "setter was cancelled", sure=False)
async def an_event_whose_setter_was_cancelled():
    ready = asyncio.Event()

    async def setter():
        await asyncio.sleep(1)
        ready.set()

    task = asyncio.create_task(setter())
    await asyncio.sleep(0)
    task.cancel()
    await ready.wait()


@is_a(
    "lost wake-up",
    "main",
    "news (Condition) was notified by teller at 0 s, before main",
    sure=False,
)
async def a_notify_that_nobody_heard():
    news = asyncio.Condition()

    async def teller():
        async with news:
            news.notify_all()

    await asyncio.create_task(teller())
    async with news:
        await news.wait()


@is_a("lost wake-up", "main", "ready (Event) was set and cleared again by pulse at 1 s", sure=False)
async def an_event_that_was_set_and_cleared_before_the_wait():
    ready = asyncio.Event()

    async def pulse():
        await asyncio.sleep(1)
        ready.set()
        ready.clear()

    await asyncio.create_task(pulse())
    await ready.wait()


@is_a("leaked lock", "main", "borrower ended without giving lock (Lock) back")
async def a_lock_whose_holder_is_gone():
    lock = asyncio.Lock()

    async def borrower():
        await lock.acquire()

    await asyncio.create_task(borrower())
    await lock.acquire()


@is_a("leaked lock", "main", "borrower ended without giving pool (Semaphore) back")
async def a_permit_whose_holder_is_gone():
    pool = asyncio.Semaphore(1)

    async def borrower():
        await pool.acquire()

    await asyncio.create_task(borrower())
    await pool.acquire()


@is_a("orphaned future", "main", "would set answer (Future)")
async def a_future_that_nobody_sets():
    answer = asyncio.get_running_loop().create_future()
    await answer


@is_a("missing signal", "main", "the wait for ready (Event)")
async def an_event_that_nobody_sets():
    ready = asyncio.Event()
    await ready.wait()


@is_a("sync-over-async", "main", "main blocks in .result()", outcome="runaway")
async def a_result_on_the_loops_own_thread():
    loop = asyncio.get_running_loop()
    asyncio.run_coroutine_threadsafe(asyncio.sleep(1), loop).result()


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


# -- what only looks like a deadlock -------------------------------------------------------


@harmless
async def a_timeout_that_is_there_to_fire():
    try:
        async with asyncio.timeout(1):
            await asyncio.Event().wait()
    except TimeoutError:
        return


@harmless
async def a_timeout_on_a_slow_answer():
    try:
        await asyncio.wait_for(asyncio.sleep(10), 1)
    except TimeoutError:
        return


@harmless
async def a_poll_of_a_queue_that_gives_up():
    jobs = asyncio.Queue()
    for _ in range(3):
        try:
            await asyncio.wait_for(jobs.get(), 1)
        except TimeoutError:
            continue


@harmless
async def a_timeout_on_a_lock_that_is_busy():
    lock = asyncio.Lock()

    async def holder():
        async with lock:
            await asyncio.sleep(10)

    task = asyncio.create_task(holder())
    await asyncio.sleep(1)
    try:
        async with asyncio.timeout(1), lock:
            pass
    except TimeoutError:
        await task


@harmless
async def a_permit_handed_on():
    pool = asyncio.Semaphore(1)

    async def user():
        async with pool:
            await asyncio.sleep(1)

    await asyncio.gather(*(user() for _ in range(5)))


@harmless
async def code_that_relies_on_first_come_first_served():
    lock, log = asyncio.Lock(), []

    async def user(number):
        async with lock:
            log.append(number)

    await asyncio.gather(*(user(n) for n in range(5)))
    assert log == [0, 1, 2, 3, 4]


@harmless
async def workers_that_are_cancelled_when_the_queue_is_done():
    jobs = asyncio.Queue()

    async def worker():
        while True:
            await jobs.get()
            jobs.task_done()

    for job in range(5):
        jobs.put_nowait(job)
    workers = [asyncio.create_task(worker()) for _ in range(2)]
    await jobs.join()
    for task in workers:
        task.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


@harmless
async def one_order_of_locks_everywhere():
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()

    async def user():
        async with lock_a:
            await asyncio.sleep(1)
            async with lock_b:
                await asyncio.sleep(1)

    await asyncio.gather(user(), user())


@harmless
async def a_pulse_for_those_who_wait_already():
    ready = asyncio.Event()

    async def listener():
        await ready.wait()

    task = asyncio.create_task(listener())
    await asyncio.sleep(1)
    ready.set()
    ready.clear()
    await task


async def a_worker_that_is_parked_when_main_finishes():
    jobs = asyncio.Queue()

    async def worker():
        while True:
            await jobs.get()
            jobs.task_done()

    task = asyncio.create_task(worker())  # noqa: F841 (kept alive)
    jobs.put_nowait(1)
    await jobs.join()


def test_a_worker_that_is_parked_when_main_finishes_is_no_matter() -> None:
    run = lab.run(a_worker_that_is_parked_when_main_finishes)
    assert (run.outcome, run.stuck, run.diagnoses) == ("finished", (), ())
    assert run.waits.tasks == ("worker",)
    assert run.explain().count("\n") == 0


# -- what a timeout hides ------------------------------------------------------------------


async def take_both(first, second, limit=None):
    async with asyncio.timeout(limit), first:
        await asyncio.sleep(1)
        async with second:
            pass


async def one_of_two_gives_up():
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()
    forth = asyncio.create_task(take_both(lock_a, lock_b), name="forth")
    back = asyncio.create_task(take_both(lock_b, lock_a, limit=5), name="back")
    await asyncio.wait([forth, back])
    return isinstance(back.exception(), TimeoutError)


async def all_is_given_up():
    lock = asyncio.Lock()
    async with asyncio.timeout(2), lock, lock:
        pass


async def a_retry_that_meets_it_again():
    lock = asyncio.Lock()
    for _ in range(3):
        with suppress(TimeoutError):
            async with asyncio.timeout(2), lock, lock:
                pass


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


async def a_ring_that_a_timeout_leaves_behind():
    tasks = []

    async def follow(number):
        await tasks[number]

    tasks += [asyncio.create_task(follow(1)), asyncio.create_task(follow(0))]
    await asyncio.wait(tasks, timeout=1)


def test_what_no_timeout_ended_is_told_as_stuck_not_as_masked() -> None:
    run = lab.run(a_ring_that_a_timeout_leaves_behind)
    assert (run.stuck, run.masked) == (("follow", "follow-2"), ())


@harmless
async def a_supervisor_that_would_have_cancelled_them():
    locks = asyncio.Lock(), asyncio.Lock()

    async def supervise():
        await asyncio.sleep(10)
        for worker in workers:
            worker.cancel()

    workers = [asyncio.create_task(take_both(*locks, limit=5))]
    workers.append(asyncio.create_task(take_both(*locks[::-1])))
    supervisor = asyncio.create_task(supervise())
    await asyncio.wait([*workers, supervisor])


@harmless
async def a_lock_used_as_a_signal_that_comes_too_late():
    lock = asyncio.Lock()

    async def later():
        await asyncio.sleep(10)
        lock.release()

    await lock.acquire()
    task = asyncio.create_task(later())
    try:
        async with asyncio.timeout(1):
            await lock.acquire()
    except TimeoutError:
        await task


@harmless
async def a_timer_that_would_have_released_the_lock():
    lock = asyncio.Lock()
    await lock.acquire()
    asyncio.get_running_loop().call_later(10, lock.release)
    try:
        async with asyncio.timeout(1):
            await lock.acquire()
    except TimeoutError:
        await asyncio.sleep(20)


@harmless
async def progress_reports_on_slow_work():
    todo = {asyncio.create_task(asyncio.sleep(n)) for n in (3, 5)}
    while todo:
        _, todo = await asyncio.wait(todo, timeout=1)


@harmless
async def a_race_that_is_lost_by_its_time_limit():
    slow = asyncio.create_task(asyncio.sleep(10))
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(slow), 1)
    await slow


@pytest.mark.parametrize("program", HARMLESS, ids=[program.__name__ for program in HARMLESS])
def test_what_only_looks_like_a_deadlock_is_not_called_one(program: Program) -> None:
    run = lab.run(program)
    assert run.outcome == "finished"
    assert (run.stuck, run.diagnoses, run.masked) == ((), (), ())
    assert run.explain().count("\n") == 0


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


def dead(nodes: frozenset[int], graph: Graph) -> bool:
    """Whether every one of these nodes can only be moved by another of them."""
    return not nodes & set(graph.roots) and all(held_up(node, nodes, graph) for node in nodes)


def held_up(node: int, nodes: frozenset[int], graph: Graph) -> bool:
    if node >= 0:
        if node not in graph.waiters:
            return True  # it has ended, or never was: it moves nobody
        wait = graph.waiters[node].wait
        blocked = [target in nodes for target in wait.targets]
        return any(blocked) if wait.mode == "all" else bool(blocked) and all(blocked)
    if graph.outside and THINGS[~node].kind == "Event":
        return False
    return all(task in nodes or task < 0 for task in graph.holders.get(~node, ()))


def by_brute_force(graph: Graph) -> tuple[int, ...]:
    """Take all sets of nodes that hold one another up, one by one, together."""
    sets = itertools.chain.from_iterable(
        itertools.combinations(NODES, size) for size in range(1, len(NODES) + 1)
    )
    found = frozenset().union(*(s for s in map(frozenset, sets) if dead(s, graph)))
    return tuple(sorted(found.intersection(graph.waiters)))


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


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(graphs)
def test_who_is_stuck_agrees_with_brute_force(graph: Graph) -> None:
    stuck = find_stuck(graph.waiters, THINGS, graph.holders, graph.roots, outside=graph.outside)
    assert stuck == by_brute_force(graph)
