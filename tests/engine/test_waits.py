"""Who waits for whom: one small program for each kind of wait, told to the letter.

A comment ``# here: name`` marks the line where a task must be reported to stand.
Edges are written ``waiter → target``, and ``⇢`` where the edge is a guess.
"""

import ast
import asyncio
import functools
import inspect
import re
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any, NamedTuple

import pytest

import deadlock_lab as lab
from deadlock_lab.engine.places import label_of

Program = Callable[[], Any]
since_312 = sys.version_info >= (3, 12)


class Case(NamedTuple):
    program: Program
    outcome: str
    edges: list[str]
    cycles: list[str]
    stuck: list[str]


CASES: list[Case] = []


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def ends_in(
    outcome: str, edges: str, *, cycles: str = "", stuck: str | None = None, when: bool = True
) -> Callable[[Program], Program]:
    """Enter a program into the table; without ``stuck`` all that wait are stuck."""

    def enter(program: Program) -> Program:
        if when:
            told = lines(edges)
            waiting = [e.split(" → ")[0] for e in told if "→" in e and "(" not in e.split(" → ")[0]]
            names = list(dict.fromkeys(waiting)) if stuck is None else stuck.split()
            CASES.append(Case(program, outcome, told, lines(cycles), names))
        return program

    return enter


def deadlocks(edges: str, **expected: Any) -> Callable[[Program], Program]:
    return ends_in("deadlock", edges, **expected)


# -- tasks and futures -------------------------------------------------------------------


@deadlocks(
    """
    main → a
    a → b
    b → c
    c → a
    """,
    cycles="a → b → c → a",
)
async def tasks_that_await_each_other():
    tasks: dict[str, asyncio.Task[None]] = {}

    async def a():
        await asyncio.sleep(1)
        await tasks["b"]  # here: a

    async def b():
        await asyncio.sleep(1)
        await tasks["c"]  # here: b

    async def c():
        await asyncio.sleep(1)
        await tasks["a"]  # here: c

    for make in (a, b, c):
        tasks[make.__name__] = asyncio.create_task(make())
    await tasks["a"]  # here: main


@deadlocks("main → answer (Future)")
async def a_future_that_nobody_sets():
    answer = asyncio.get_running_loop().create_future()
    await answer  # here: main


@deadlocks("main → answer (Future)")
async def a_future_made_by_its_class():
    answer = asyncio.Future()
    await answer  # here: main


@deadlocks(
    """
    main → left
    main → right
    left → right
    right → left
    """,
    cycles="left → right → left",
)
async def a_gather_waits_for_each_of_its_members():
    async def left():
        await asyncio.sleep(0)
        await right_task  # here: left

    async def right():
        await left_task  # here: right

    async def quick():
        await asyncio.sleep(0)

    left_task = asyncio.create_task(left())
    right_task = asyncio.create_task(right())
    await asyncio.gather(left_task, quick(), right_task)  # here: main


@deadlocks(
    """
    main → first
    main → second
    main → third
    first → never (Event)
    second → never (Event)
    third → never (Event)
    """
)
async def a_gather_of_gathers_is_taken_apart():
    never = asyncio.Event()

    async def first():
        await never.wait()  # here: first

    async def second():
        await never.wait()  # here: second

    async def third():
        await never.wait()  # here: third

    await asyncio.gather(asyncio.gather(first(), second()), asyncio.gather(third()))  # here: main


@deadlocks("main → main", cycles="main → main")
async def a_task_that_gathers_itself():
    me = asyncio.current_task()
    await asyncio.gather(me)  # here: main


@deadlocks("main → main", cycles="main → main")
async def a_task_that_shields_itself():
    await asyncio.shield(asyncio.current_task())  # here: main


@deadlocks(
    """
    main → worker
    worker → main
    """,
    cycles="main → worker → main",
)
async def a_shield_waits_for_what_it_protects():
    boss = asyncio.current_task()

    async def worker():
        await boss  # here: worker

    await asyncio.shield(asyncio.create_task(worker()))  # here: main


@deadlocks(
    """
    main → worker
    main → helper
    worker → main
    helper → main
    """,
    cycles="main → worker → main",
)
async def a_shield_of_a_gather_waits_for_all_of_it():
    boss = asyncio.current_task()

    async def worker():
        await boss  # here: worker

    async def helper():
        await boss  # here: helper

    await asyncio.shield(asyncio.gather(worker(), helper()))  # here: main


@deadlocks(
    """
    main → worker
    worker → main
    """,
    cycles="main → worker → main",
)
async def wait_for_all_of_a_set_leaves_out_what_is_done():
    boss = asyncio.current_task()

    async def worker():
        await boss  # here: worker

    async def quick():
        await asyncio.sleep(1)

    await asyncio.wait({asyncio.create_task(worker()), asyncio.create_task(quick())})  # here: main


@deadlocks(
    """
    main → one
    main → other
    one → main
    other → main
    """,
    cycles="main → one → main",
)
async def wait_for_the_first_of_a_set():
    boss = asyncio.current_task()

    async def one():
        await boss  # here: one

    async def other():
        await boss  # here: other

    tasks = {asyncio.create_task(one()), asyncio.create_task(other())}
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)  # here: main


@ends_in(
    "finished",
    """
    parked → never (Event)
    """,
    stuck="",
)
async def one_who_can_finish_is_enough_for_the_first_of_a_set():
    never = asyncio.Event()

    async def parked():
        await never.wait()  # here: parked

    async def quick():
        await asyncio.sleep(1)

    tasks = {asyncio.create_task(parked()), asyncio.create_task(quick())}
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


@ends_in(
    "finished",
    """
    one → other
    other → one
    """,
    cycles="one → other → one",
)
async def wait_with_a_timeout_returns_from_a_cycle():
    async def one():
        await other_task  # here: one

    async def other():
        await one_task  # here: other

    one_task = asyncio.create_task(one())
    other_task = asyncio.create_task(other())
    await asyncio.wait({one_task}, timeout=1)


@deadlocks(
    """
    main → worker
    worker → main
    """,
    cycles="main → worker → main",
)
async def wait_for_without_a_timeout():
    boss = asyncio.current_task()

    async def worker():
        await boss  # here: worker

    await asyncio.wait_for(asyncio.create_task(worker()), timeout=None)  # here: main


@deadlocks(
    """
    main → worker
    worker → main
    """,
    cycles="main → worker → main",
    when=since_312,
)
async def wait_for_with_a_timeout_that_cannot_end_a_cycle():
    boss = asyncio.current_task()

    async def worker():
        await boss  # here: worker

    await asyncio.wait_for(asyncio.create_task(worker()), timeout=1)  # here: main


@deadlocks(
    """
    main → worker
    worker → main
    """,
    cycles="main → worker → main",
)
async def a_timeout_round_a_cycle_cannot_end_it():
    boss = asyncio.current_task()

    async def worker():
        await boss  # here: worker

    async with asyncio.timeout(1):
        await asyncio.create_task(worker())  # here: main


@deadlocks(
    """
    main → left
    main → right
    left → right
    right → left
    """,
    cycles="left → right → left",
)
async def a_task_group_waits_for_all_of_its_tasks():
    async def left():
        await asyncio.sleep(0)
        await tasks[1]  # here: left

    async def right():
        await asyncio.sleep(0)
        await tasks[0]  # here: right

    async with asyncio.TaskGroup() as group:  # here: main
        tasks = [group.create_task(left()), group.create_task(right())]


@deadlocks(
    """
    main → one
    main → other
    one → never (Event)
    other → never (Event)
    """
)
async def as_completed_waits_for_any_that_is_left():
    never = asyncio.Event()

    async def one():
        await never.wait()  # here: one

    async def other():
        await never.wait()  # here: other

    async def quick():
        await asyncio.sleep(1)

    for done in asyncio.as_completed([one(), quick(), other()]):
        await done  # here: main


@deadlocks(
    """
    main → one
    one → never (Event)
    """,
    when=sys.version_info >= (3, 13),
)
async def as_completed_in_an_async_for():
    never = asyncio.Event()

    async def one():
        await never.wait()  # here: one

    async for _ in asyncio.as_completed([one()]):  # here: main
        pass


# -- locks and permits -------------------------------------------------------------------


@deadlocks(
    """
    main → lock (Lock)
    lock (Lock) → main
    """,
    cycles="main → main",
)
async def a_lock_taken_twice():
    lock = asyncio.Lock()
    await lock.acquire()
    await lock.acquire()  # here: main


@deadlocks(
    """
    main → forth
    main → back
    forth → lock_b (Lock)
    back → lock_a (Lock)
    lock_a (Lock) → forth
    lock_b (Lock) → back
    """,
    cycles="forth → back → forth",
)
async def two_locks_taken_in_both_orders():
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()

    async def forth():
        async with lock_a:
            await asyncio.sleep(1)
            async with lock_b:  # here: forth
                pass

    async def back():
        async with lock_b:
            await asyncio.sleep(1)
            async with lock_a:  # here: back
                pass

    await asyncio.gather(forth(), back())  # here: main


@deadlocks(
    """
    main → late
    late → lock (Lock)
    lock (Lock) → main
    """,
    cycles="main → late → main",
)
async def a_lock_awaited_by_the_task_that_its_holder_awaits():
    lock = asyncio.Lock()

    async def late():
        await lock.acquire()  # here: late

    async with lock:
        await asyncio.create_task(late())  # here: main


@deadlocks(
    """
    main → late
    late → lock (Lock)
    lock (Lock) → leaker
    """
)
async def a_lock_leaked_by_a_task_that_has_finished():
    lock = asyncio.Lock()

    async def leaker():
        await lock.acquire()

    async def late():
        async with lock:  # here: late
            pass

    await asyncio.create_task(leaker())
    await asyncio.create_task(late())  # here: main


@deadlocks(
    """
    main → second
    second → lock (Lock)
    lock (Lock) → second
    """,
    cycles="second → second",
)
async def a_lock_given_back_by_another_task_and_taken_by_a_third():
    lock = asyncio.Lock()

    async def first():
        await lock.acquire()

    async def second():
        async with lock, lock:  # here: second
            pass

    await asyncio.create_task(first())
    lock.release()
    await asyncio.create_task(second())  # here: main


@deadlocks(
    """
    main → first
    main → second
    first → lock (Lock)
    second → first
    lock (Lock) → second
    """,
    cycles="first → second → first",
)
async def a_lock_handed_on_in_turn():
    lock = asyncio.Lock()

    async def first():
        await asyncio.sleep(2)
        await lock.acquire()  # here: first

    async def second():
        await lock.acquire()
        await first_task  # here: second

    async with lock:
        first_task = asyncio.create_task(first())
        second_task = asyncio.create_task(second())
        await asyncio.sleep(1)
    await asyncio.gather(first_task, second_task)  # here: main


@deadlocks(
    """
    main → pool (Semaphore)
    pool (Semaphore) → main
    pool (Semaphore) → main
    """,
    cycles="main → main",
)
async def a_task_that_holds_all_permits_and_wants_one_more():
    pool = asyncio.Semaphore(2)
    for _ in range(3):
        await pool.acquire()  # here: main


@deadlocks(
    """
    main → outer
    main → outer-2
    outer → pool (Semaphore)
    outer-2 → pool (Semaphore)
    pool (Semaphore) → outer
    pool (Semaphore) → outer-2
    """,
    cycles="outer → outer",
)
async def a_pool_whose_users_all_want_one_more():
    pool = asyncio.Semaphore(2)

    async def outer():
        async with pool:
            await asyncio.sleep(1)
            async with pool:  # here: outer, outer-2
                pass

    await asyncio.gather(outer(), outer())  # here: main


@deadlocks(
    """
    main → pool (BoundedSemaphore)
    pool (BoundedSemaphore) → main
    """,
    cycles="main → main",
)
async def a_bounded_semaphore_taken_twice():
    pool = asyncio.BoundedSemaphore(1)
    async with pool, pool:  # here: main
        pass


@deadlocks(
    """
    main → next_one
    next_one → main
    last → pool (Semaphore)
    pool (Semaphore) → next_one
    """,
    cycles="main → next_one → main",
)
async def a_permit_handed_on_belongs_to_the_one_who_waited():
    pool = asyncio.Semaphore(1)
    boss = asyncio.current_task()

    async def next_one():
        async with pool:
            await boss  # here: next_one

    async def last():
        async with pool:  # here: last
            pass

    async with pool:
        heir = asyncio.create_task(next_one())
        rest = asyncio.create_task(last())
        await asyncio.sleep(1)
    await heir  # here: main
    await rest


@deadlocks(
    """
    main → pool (Semaphore)
    """
)
async def a_semaphore_that_starts_without_a_permit_has_no_holder():
    pool = asyncio.Semaphore(0)
    await pool.acquire()  # here: main


# -- queues, events, conditions, barriers ------------------------------------------------


@deadlocks("main → jobs (Queue)")
async def a_get_from_a_queue_that_stays_empty():
    jobs = asyncio.Queue()
    await jobs.get()  # here: main


@deadlocks("main → jobs (PriorityQueue)")
async def a_get_from_a_priority_queue():
    jobs = asyncio.PriorityQueue()
    await jobs.get()  # here: main


@deadlocks("main → jobs (Queue)")
async def a_put_into_a_queue_that_stays_full():
    jobs = asyncio.Queue(1)
    await jobs.put(1)
    await jobs.put(2)  # here: main


@deadlocks(
    """
    main → jobs (Queue)
    worker → jobs (Queue)
    """
)
async def a_join_of_a_queue_without_task_done():
    jobs = asyncio.Queue()

    async def worker():
        while True:
            await jobs.get()  # here: worker

    jobs.put_nowait(1)
    task = asyncio.create_task(worker())  # noqa: F841 (kept alive)
    await jobs.join()  # here: main


@deadlocks(
    """
    main → there
    main → back
    there → requests (Queue)
    back → replies (Queue)
    requests (Queue) ⇢ back
    replies (Queue) ⇢ there
    """,
    cycles="there → back → there",
)
async def two_full_queues_that_feed_each_other():
    requests, replies = asyncio.Queue(1), asyncio.Queue(1)

    async def there():
        await requests.put(1)
        await requests.put(2)  # here: there
        await replies.get()

    async def back():
        await replies.put(1)
        await replies.put(2)  # here: back
        await requests.get()

    await asyncio.gather(there(), back())  # here: main


@deadlocks("main → ready (Event)")
async def an_event_that_nobody_sets():
    ready = asyncio.Event()
    await ready.wait()  # here: main


@deadlocks(
    """
    main → left
    main → right
    left → right_ready (Event)
    right → left_ready (Event)
    right_ready (Event) ⇢ right
    left_ready (Event) ⇢ left
    """,
    cycles="left → right → left",
)
async def two_events_each_set_after_the_other():
    left_ready, right_ready = asyncio.Event(), asyncio.Event()

    async def left():
        await right_ready.wait()  # here: left
        left_ready.set()

    async def right():
        await left_ready.wait()  # here: right
        right_ready.set()

    await asyncio.gather(left(), right())  # here: main


@deadlocks(
    """
    main → reader
    reader → news._lock (Lock)
    news._lock (Lock) → main
    """,
    cycles="main → reader → main",
)
async def a_condition_entered_while_another_is_inside():
    news = asyncio.Condition()

    async def reader():
        async with news:  # here: reader
            pass

    async with news:
        await asyncio.create_task(reader())  # here: main


@deadlocks("main → news (Condition)")
async def a_condition_that_nobody_notifies():
    news = asyncio.Condition()
    async with news:
        await news.wait()  # here: main


@deadlocks("main → news (Condition)")
async def a_condition_whose_predicate_stays_false():
    news = asyncio.Condition()
    async with news:
        await news.wait_for(lambda: False)  # here: main


@deadlocks(
    """
    main → reader
    reader → news._lock (Lock)
    news._lock (Lock) → main
    """,
    cycles="main → reader → main",
)
async def a_notified_task_that_cannot_have_its_lock_back():
    news = asyncio.Condition()

    async def reader():
        async with news:
            await news.wait()  # here: reader

    task = asyncio.create_task(reader())
    await asyncio.sleep(1)
    async with news:
        news.notify()
        await task  # here: main


@deadlocks(
    """
    main → meeting (Barrier)
    other → meeting (Barrier)
    """
)
async def a_barrier_that_waits_for_one_more():
    meeting = asyncio.Barrier(3)

    async def other():
        async with meeting:  # here: other
            pass

    task = asyncio.create_task(other())  # noqa: F841 (kept alive)
    await meeting.wait()  # here: main


# -- on the way to the wait --------------------------------------------------------------


@deadlocks("main → never (Event)")
async def a_wait_inside_an_async_generator():
    never = asyncio.Event()

    async def numbers() -> AsyncIterator[int]:
        yield 1
        await never.wait()  # here: main

    async for _ in numbers():
        pass


@deadlocks("main → source.jobs (Queue)")
async def a_wait_inside_an_async_iterator_object():
    class Jobs:
        def __init__(self) -> None:
            self.jobs = asyncio.Queue()

        def __aiter__(self):
            return self

        async def __anext__(self):
            return await self.jobs.get()  # here: main

    source = Jobs()
    async for _ in source:
        pass


@deadlocks("main → never (Event)")
async def a_wait_inside_anext_and_asend():
    never = asyncio.Event()

    async def numbers() -> AsyncIterator[int]:
        yield 1
        await never.wait()  # here: main
        yield 2

    feed = numbers()
    await feed.asend(None)
    await anext(feed, 0)


@deadlocks("main → never (Event)")
async def a_wait_inside_the_finally_of_an_async_generator():
    never = asyncio.Event()

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await never.wait()  # here: main

    feed = numbers()
    await anext(feed)
    await feed.aclose()


@deadlocks("main → never (Event)")
async def a_wait_behind_a_decorator_that_is_not_async():
    never = asyncio.Event()

    def logged(function: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Awaitable[None]:
            return function(*args)

        return wrapper

    @logged
    async def work():
        await never.wait()  # here: main

    await work()


@deadlocks("main → never (Event)")
async def a_wait_inside_an_awaitable_that_is_a_generator():
    never = asyncio.Event()

    class Job:
        def __await__(self) -> Generator[Any, None, None]:
            yield from never.wait().__await__()  # here: main

    await Job()


@deadlocks("main → never (Event)")
async def a_wait_inside_an_awaitable_that_returns_another():
    never = asyncio.Event()

    class Job:
        def __await__(self) -> Any:
            return never.wait().__await__()

    await Job()  # here: main


@deadlocks(
    """
    main → worker
    worker → main
    """,
    cycles="main → worker → main",
)
async def a_task_inside_an_awaitable():
    boss = asyncio.current_task()

    async def worker():
        await boss  # here: worker

    class Handle:
        def __init__(self) -> None:
            self.task = asyncio.create_task(worker())

        def __await__(self) -> Any:
            return self.task.__await__()

    await Handle()  # here: main


# -- merely waiting ----------------------------------------------------------------------


@ends_in("finished", "", stuck="")
async def nobody_who_waits_for_a_timer_is_stuck():
    await asyncio.gather(asyncio.sleep(1), asyncio.sleep(2))


@ends_in("failed", "worker → lock (Lock)\nlock (Lock) → main")
async def a_main_that_fails_leaves_a_worker_waiting():
    lock = asyncio.Lock()

    async def worker():
        async with lock:  # here: worker
            pass

    await lock.acquire()
    task = asyncio.create_task(worker())  # noqa: F841 (kept alive)
    await asyncio.sleep(1)
    raise ValueError("main gives up")


@ends_in(
    "finished",
    """
    forth → lock_b (Lock)
    back → lock_a (Lock)
    lock_a (Lock) → forth
    lock_b (Lock) → back
    """,
    cycles="forth → back → forth",
    stuck="forth back",
)
async def two_are_stuck_for_ever_beside_a_heartbeat():
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()

    async def forth():
        async with lock_a:
            await asyncio.sleep(1)
            async with lock_b:  # here: forth
                pass

    async def back():
        async with lock_b:
            await asyncio.sleep(1)
            async with lock_a:  # here: back
                pass

    async def heartbeat():
        while True:
            await asyncio.sleep(1)  # here: heartbeat

    for work in (forth, back, heartbeat):
        asyncio.create_task(work())
    await asyncio.sleep(5.5)


# -- the table is run --------------------------------------------------------------------


def stands(program: Program) -> dict[str, tuple[int, str]]:
    """Read the marked line, and the function that it is in, for each task of a program."""
    source, first = inspect.getsourcelines(program)
    tree = ast.parse(textwrap.dedent("".join(source)))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = {}
    for number, line in enumerate(source, 1):
        if marked := re.search(r"# here: (.+)", line):
            inside = [f for f in functions if f.lineno <= number <= f.end_lineno]
            innermost = max(inside, key=lambda f: f.lineno)
            for name in marked[1].split(", "):
                found[name] = (first + number - 1, innermost.name)
    return found


def arrows(run: lab.Run) -> list[str]:
    return [f"{e.waiter} {'→' if e.sure else '⇢'} {e.target}" for e in run.waits.edges]


@pytest.mark.parametrize("case", CASES, ids=[case.program.__name__ for case in CASES])
def test_a_wait_is_told_with_its_place_its_edges_and_its_cycle(case):
    run = lab.run(case.program)
    assert run.outcome == case.outcome
    assert arrows(run) == case.edges
    assert [" → ".join(cycle) for cycle in run.waits.cycles()] == case.cycles
    assert list(run.stuck) == case.stuck
    places = {
        run.waits.infos[task].name: run.trace.places[waiter.place]
        for task, waiter in run.waits.waiters.items()
    }
    told = {name: (p.line, p.function.rpartition(".")[2]) for name, p in places.items()}
    assert told == stands(case.program)
    assert {p.label for p in places.values()} <= {label_of(__file__)}


# -- what may still go on is not called stuck --------------------------------------------


async def a_semaphore_that_another_task_will_release():
    signal = asyncio.Semaphore(0)

    async def consumer():
        while True:
            await signal.acquire()

    async def producer():
        while True:
            await asyncio.sleep(1)
            signal.release()

    asyncio.create_task(consumer())
    asyncio.create_task(producer())
    await asyncio.sleep(2.5)


async def a_lock_that_another_task_will_release():
    lock = asyncio.Lock()

    async def waits():
        await lock.acquire()
        await lock.acquire()

    async def releases():
        await asyncio.sleep(10)
        lock.release()

    asyncio.create_task(waits())
    asyncio.create_task(releases())
    await asyncio.sleep(1)


async def a_cycle_that_a_supervisor_will_cancel():
    locks = asyncio.Lock(), asyncio.Lock()

    async def worker(first, second):
        async with locks[first]:
            await asyncio.sleep(1)
            async with locks[second]:
                pass

    async def supervisor():
        await asyncio.sleep(10)
        for worker in workers:
            worker.cancel()

    workers = [asyncio.create_task(worker(n, 1 - n)) for n in range(2)]
    asyncio.create_task(supervisor())
    await asyncio.sleep(5)


async def a_cycle_inside_a_timeout_that_will_fire():
    locks = asyncio.Lock(), asyncio.Lock()

    async def worker(first, second):
        async with asyncio.timeout(10), locks[first]:
            await asyncio.sleep(1)
            async with locks[second]:
                pass

    for number in range(2):
        asyncio.create_task(worker(number, 1 - number))
    await asyncio.sleep(5)


async def a_task_awaited_inside_a_timeout_that_will_cancel_it():
    lock = asyncio.Lock()

    async def worker():
        async with lock, lock:
            pass

    async def waits():
        async with asyncio.timeout(10):
            await asyncio.gather(task)

    task = asyncio.create_task(worker())
    asyncio.create_task(waits())
    await asyncio.sleep(5)


async def an_event_that_a_timer_will_set():
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(10, event.set)
    asyncio.create_task(event.wait())
    await asyncio.sleep(1)


async def a_queue_that_a_sleeper_will_fill():
    queue = asyncio.Queue()

    async def producer():
        await asyncio.sleep(10)
        await queue.put(1)

    asyncio.create_task(queue.get())
    asyncio.create_task(producer())
    await asyncio.sleep(1)


HARMLESS = [
    a_semaphore_that_another_task_will_release,
    a_lock_that_another_task_will_release,
    a_cycle_that_a_supervisor_will_cancel,
    a_cycle_inside_a_timeout_that_will_fire,
    a_task_awaited_inside_a_timeout_that_will_cancel_it,
    an_event_that_a_timer_will_set,
    a_queue_that_a_sleeper_will_fill,
]


@pytest.mark.parametrize("program", HARMLESS, ids=[p.__name__ for p in HARMLESS])
def test_what_may_still_go_on_is_not_called_stuck(program):
    run = lab.run(program)
    assert run.outcome == "finished"
    assert run.waits.tasks
    assert run.stuck == ()
