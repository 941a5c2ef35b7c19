"""Programs for real loops: some deadlock, some only look as if they did."""

import asyncio
import threading
from contextlib import asynccontextmanager, closing, contextmanager


def spawn(*coros, names=()):
    return [asyncio.create_task(c, name=n) for c, n in zip(coros, names, strict=True)]


async def ticks(number=5):
    for _ in range(number):
        await asyncio.sleep(0)


async def enter(first, second):
    async with first:
        await ticks()
        async with second:
            return "through"


# -- sure deadlocks: each gives back its tasks, and the cycle that is expected --------


def lock_order():
    savings, checking = asyncio.Lock(), asyncio.Lock()
    tasks = spawn(enter(savings, checking), enter(checking, savings), names=("alice", "bob"))
    return tasks, ("alice", "bob", "alice")


def lock_reentry():
    lock = asyncio.Lock()
    return spawn(enter(lock, lock), names=("again",)), ("again", "again")


def permits():
    pool = asyncio.BoundedSemaphore(2)
    tasks = spawn(enter(pool, pool), enter(pool, pool), names=("one", "two"))
    return tasks, None


def ring(way):
    tasks = []

    async def follow(number):
        await ticks()
        await way(tasks[(number + 1) % 3])

    tasks += spawn(follow(0), follow(1), follow(2), names="abc")
    return tasks, ("a", "b", "c", "a")


def awaits():
    async def plainly(task):
        await task

    return ring(plainly)


def gathers():
    return ring(asyncio.gather)


def shields():
    async def shielded(task):
        await asyncio.shield(task)

    return ring(shielded)


def waits():
    async def any_of(task):
        await asyncio.wait([task])

    return ring(any_of)


def flights():
    in_flight = {}

    async def load(name, needed):
        await ticks()
        if needed not in in_flight:
            in_flight[needed] = asyncio.create_task(load(needed, name), name=needed)
        await in_flight[needed]

    in_flight["a"], in_flight["b"] = tasks = spawn(load("a", "b"), load("b", "a"), names="ab")
    return tasks, ("a", "b", "a")


def lock_in_a_group():
    lock = asyncio.Lock()

    async def worker():
        async with lock:
            pass

    async def outer():
        async with lock, asyncio.TaskGroup() as group:
            group.create_task(worker(), name="worker")

    return spawn(outer(), names=("outer",)), ("outer", "worker", "outer")


def condition():
    first, second = asyncio.Condition(), asyncio.Lock()
    tasks = spawn(enter(first, second), enter(second, first), names=("alice", "bob"))
    return tasks, ("alice", "bob", "alice")


DEADLOCKS = [
    lock_order, lock_reentry, permits, awaits, gathers, shields, waits, flights, lock_in_a_group,
    condition,
]  # fmt: skip


# -- deadlocks whose locks are taken without `async with`: a watch has to see that ----


async def take(first, second):
    await first.acquire()
    try:
        await ticks()
        await second.acquire()
        second.release()
    finally:
        first.release()


class Account:
    def __init__(self):
        self.lock = asyncio.Lock()

    async def move(self, other):
        await self.lock.acquire()
        try:
            await ticks()
            await take(other.lock, asyncio.Lock())
        finally:
            self.lock.release()


def locks_by_hand():
    savings, checking = asyncio.Lock(), asyncio.Lock()
    tasks = spawn(take(savings, checking), take(checking, savings), names=("alice", "bob"))
    return tasks, ("alice", "bob", "alice")


def attributes_by_hand():
    savings, checking = Account(), Account()
    tasks = spawn(savings.move(checking), checking.move(savings), names=("alice", "bob"))
    return tasks, ("alice", "bob", "alice")


def permits_by_hand():
    pool = asyncio.BoundedSemaphore(2)
    return spawn(take(pool, pool), take(pool, pool), names=("one", "two")), None


BY_HAND = [locks_by_hand, attributes_by_hand, permits_by_hand]


# -- probable ones: each gives back its tasks, and what may yet end the wait ----------


def plain_permits():
    pool = asyncio.Semaphore(2)
    tasks = spawn(enter(pool, pool), enter(pool, pool), names=("one", "two"))
    return tasks, "somebody else than its holders may release first (Semaphore)"


def lent_lock():
    gate = asyncio.Lock()

    async def opens():
        await gate.acquire()
        asyncio.get_running_loop().call_later(60, lambda: None)
        await tasks[1]

    tasks = []
    tasks += spawn(opens(), enter(gate, gate), names=("opens", "goes"))
    return tasks, "somebody else than its holders may release first (Lock)"


def leaked_lock():
    lock = asyncio.Lock()
    tasks = spawn(lock.acquire(), enter(lock, lock), names=("leaks", "waits"))
    return tasks, "somebody else than its holders may release first (Lock)"


def beside_a_heartbeat():
    savings, checking = asyncio.Lock(), asyncio.Lock()
    tasks = spawn(enter(savings, checking), enter(checking, savings), names=("alice", "bob"))

    async def heartbeat():
        try:
            while True:
                await asyncio.sleep(0.01)
        finally:
            for task in tasks:
                task.cancel()

    return [*tasks, *spawn(heartbeat(), names=("heart",))], "heart goes on, and may cancel one"


PROBABLE = [plain_permits, lent_lock, leaked_lock, beside_a_heartbeat]


# -- harmless: each ends when `release` is called, and stands still until then --------


@contextmanager
def a_thread_that_will_set():
    """Give an event that a thread sets when the body is over."""
    loop, event, over = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def wake():
        over.wait()
        loop.call_soon_threadsafe(event.set)

    thread = threading.Thread(target=wake)
    thread.start()
    try:
        yield event
    finally:
        over.set()
        thread.join()


@asynccontextmanager
async def woken_by_a_thread():
    lock = asyncio.Lock()

    async def holder(event):
        async with lock:
            await event.wait()

    with a_thread_that_will_set() as event:
        tasks = spawn(holder(event), enter(lock, asyncio.Lock()), names=("holder", "waiter"))
        await ticks()
        yield
    await asyncio.gather(*tasks)


@asynccontextmanager
async def a_blocking_call_in_a_thread():
    over, lock = threading.Event(), asyncio.Lock()

    async def holder():
        async with lock:
            await asyncio.to_thread(over.wait)

    tasks = spawn(holder(), enter(lock, asyncio.Lock()), names=("holder", "waiter"))
    await ticks()
    try:
        yield
    finally:
        over.set()
    await asyncio.gather(*tasks)


@asynccontextmanager
async def a_task_that_awaits_a_busy_one():
    over = []

    async def busy():
        while not over:
            await asyncio.sleep(0)

    (worker,) = spawn(busy(), names=("busy",))
    waiters = spawn(asyncio.wait([worker]), asyncio.wait_for(worker, 60), names=("w", "limited"))
    await ticks()
    yield
    over.append(True)
    await asyncio.gather(*waiters)


@asynccontextmanager
async def a_parked_worker():
    queue = asyncio.Queue()
    (worker,) = spawn(queue.get(), names=("worker",))
    await ticks()
    yield
    queue.put_nowait(None)
    await worker


@asynccontextmanager
async def a_server_without_clients():
    async def serve(reader, writer):
        with closing(writer):
            writer.write(await reader.read(5))

    server = await asyncio.start_server(serve, "127.0.0.1")
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await ticks()
        yield
        with closing(writer):
            writer.write(b"hello")
            assert await reader.read() == b"hello"


@asynccontextmanager
async def a_deadlock_under_a_time_limit():
    savings, checking = asyncio.Lock(), asyncio.Lock()

    async def limited():
        async with asyncio.timeout(60) as limit:
            limits.append(limit)
            await enter(savings, checking)

    limits = []
    tasks = spawn(limited(), enter(checking, savings), names=("alice", "bob"))
    await ticks(10)
    yield
    limits[0].reschedule(0)
    assert [type(r) for r in await asyncio.gather(*tasks, return_exceptions=True)] == [
        TimeoutError,
        str,
    ]


@asynccontextmanager
async def a_wait_for_with_a_limit():
    savings, checking = asyncio.Lock(), asyncio.Lock()

    async def limited():
        async with savings:
            await ticks()
            await asyncio.wait_for(checking.acquire(), 0.4)

    tasks = spawn(limited(), enter(checking, savings), names=("alice", "bob"))
    await ticks(10)
    yield
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def an_as_completed_with_a_limit():
    tasks = []

    async def first(number):
        await ticks()
        for earliest in asyncio.as_completed([tasks[1 - number]], timeout=0.4):
            await earliest

    tasks += spawn(first(0), first(1), names="ab")
    await ticks(10)
    yield
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def a_cancel_that_is_scheduled():
    tasks, _ = lock_order()
    await ticks(10)
    timer = asyncio.get_running_loop().call_later(60, tasks[0].cancel)
    yield
    timer.cancel()
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def a_semaphore_as_a_signal():
    signal = asyncio.Semaphore(0)

    async def consume():
        for _ in range(3):
            await signal.acquire()

    (consumer,) = spawn(consume(), names=("consumer",))
    signal.release()
    await ticks()
    yield
    signal.release()
    signal.release()
    await consumer


@asynccontextmanager
async def a_semaphore_that_grows():
    pool = asyncio.Semaphore(1)
    (task,) = spawn(enter(pool, pool), names=("nested",))
    await ticks(10)
    yield
    pool.release()
    await task


@asynccontextmanager
async def a_condition_that_waits():
    condition = asyncio.Condition()

    async def waiter():
        async with condition:
            await condition.wait()

    tasks = spawn(waiter(), waiter(), names=("one", "two"))
    await ticks()
    yield
    async with condition:
        condition.notify_all()
    await asyncio.gather(*tasks)


@asynccontextmanager
async def a_lock_that_is_lent():
    lock, door = asyncio.Lock(), asyncio.Lock()
    await door.acquire()

    async def lender():
        async with lock:
            lock.release()
            await door.acquire()
            await lock.acquire()

    async def borrower():
        async with lock:
            door.release()

    lending, borrowing = spawn(lender(), borrower(), names=("lender", "borrower"))
    await ticks()
    yield
    await asyncio.gather(lending, borrowing)


@asynccontextmanager
async def a_lock_that_another_task_releases():
    gate, opened = asyncio.Lock(), asyncio.Event()

    async def closes():
        await gate.acquire()
        await asyncio.create_task(enter(gate, asyncio.Lock()), name="visitor")

    async def opens():
        await opened.wait()
        gate.release()

    closing, opening = spawn(closes(), opens(), names=("closes", "opens"))
    await ticks()
    yield
    opened.set()
    await asyncio.gather(closing, opening)


@asynccontextmanager
async def a_lock_whose_release_is_handed_to_a_thread():
    gate, over, loop = asyncio.Lock(), threading.Event(), asyncio.get_running_loop()

    def wake(release):
        over.wait()
        loop.call_soon_threadsafe(release)

    async def closes():
        await gate.acquire()
        thread = threading.Thread(target=wake, args=(gate.release,))
        thread.start()
        await asyncio.create_task(enter(gate, asyncio.Lock()), name="visitor")
        thread.join()

    (closing,) = spawn(closes(), names=("closes",))
    await ticks(10)
    try:
        yield
    finally:
        over.set()
    await closing


@asynccontextmanager
async def a_ring_of_locks_behind_one_that_is_cancelled():
    savings, checking = asyncio.Lock(), asyncio.Lock()

    async def limited():
        async with asyncio.timeout(60) as limit:
            limits.append(limit)
            await asyncio.create_task(enter(savings, checking), name="alice")

    limits = []
    tasks = spawn(limited(), enter(checking, savings), names=("limited", "bob"))
    await ticks(10)
    yield
    limits[0].reschedule(0)
    assert [type(r) for r in await asyncio.gather(*tasks, return_exceptions=True)] == [
        TimeoutError,
        str,
    ]


HARMLESS = [
    a_lock_that_another_task_releases, a_lock_whose_release_is_handed_to_a_thread,
    a_ring_of_locks_behind_one_that_is_cancelled,
    a_task_that_awaits_a_busy_one,
    woken_by_a_thread, a_blocking_call_in_a_thread, a_parked_worker, a_server_without_clients,
    a_deadlock_under_a_time_limit, an_as_completed_with_a_limit, a_wait_for_with_a_limit,
    a_cancel_that_is_scheduled,
    a_semaphore_as_a_signal, a_semaphore_that_grows, a_condition_that_waits, a_lock_that_is_lent,
]  # fmt: skip
