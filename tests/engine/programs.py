"""Programs for a virtual clock: some deadlock, some only look as if they did."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

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


async def a_ring_that_a_timeout_leaves_behind():
    tasks = []

    async def follow(number):
        await tasks[number]

    tasks += [asyncio.create_task(follow(1)), asyncio.create_task(follow(0))]
    await asyncio.wait(tasks, timeout=1)


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
