"""Who holds a lock on a loop that is not recorded is noted while ``HOLDING`` is on."""

import asyncio
import functools

from deadlock_lab.engine.holding import HOLDING, taken


def noted(test):
    """Run a test on a loop of asyncio's own, while it is noted who holds what."""

    @functools.wraps(test)
    def run():
        with HOLDING:
            asyncio.run(test())

    return run


def holders(thing):
    seen = taken(thing)
    return seen and [task and task.get_name() for task in seen.tasks]


def as_task(coro, name):
    return asyncio.create_task(coro, name=name)


@noted
async def test_a_lock_notes_who_took_it_by_hand_and_that_it_was_given_back():
    lock = asyncio.Lock()
    assert taken(lock) is None
    a = as_task(lock.acquire(), "a")
    await a
    assert holders(lock) == ["a"]
    lock.release()
    assert taken(lock) is None


@noted
async def test_a_lock_that_another_task_gives_back_belongs_to_the_next_who_takes_it():
    lock = asyncio.Lock()
    await as_task(lock.acquire(), "a")
    waits = as_task(lock.acquire(), "b")
    await asyncio.sleep(0)
    lock.release()
    await waits
    assert holders(lock) == ["b"]


@noted
async def test_a_permit_that_is_handed_on_belongs_to_the_one_who_waited():
    pool = asyncio.Semaphore(2)
    await (a := as_task(pool.acquire(), "a"))
    await pool.acquire()
    waits = as_task(pool.acquire(), "b")
    await asyncio.sleep(0)
    pool.release()
    await waits
    assert holders(pool) == [a.get_name(), "b"]
    assert taken(pool).permits == 2


@noted
async def test_a_permit_that_another_task_gives_back_leaves_the_holders_unknown():
    pool = asyncio.Semaphore(2)
    await as_task(pool.acquire(), "a")
    await as_task(pool.acquire(), "b")
    pool.release()
    assert taken(pool) is None
    pool.release()  # now all are back
    await as_task(pool.acquire(), "c")
    assert holders(pool) == ["c"]


@noted
async def test_a_semaphore_that_was_in_use_before_does_not_pretend_to_know_all():
    with_two = asyncio.BoundedSemaphore(2)
    HOLDING.leave()
    try:
        await with_two.acquire()
    finally:
        HOLDING.join()
    await as_task(with_two.acquire(), "late")
    assert holders(with_two) == ["late"]  # one of two: all_known() will say no
    with_two.release()  # by this task, which had taken the other one
    assert holders(with_two) == ["late"]


@noted
async def test_what_was_noted_before_a_break_does_not_count():
    lock = asyncio.Lock()
    await as_task(lock.acquire(), "a")
    HOLDING.leave()
    HOLDING.join()
    assert taken(lock) is None


@noted
async def test_code_outside_of_any_task_is_a_holder_without_a_name():
    pool = asyncio.BoundedSemaphore(1)
    taking = pool.acquire()
    asyncio.get_running_loop().call_soon(next, taking.__await__(), None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert holders(pool) == [None]


@noted
async def test_a_kind_of_lock_with_attributes_of_its_own_works_as_before():
    class Named(asyncio.Lock):
        __slots__ = ("name",)

        @property
        def title(self):
            return self.name.title()

        @title.setter
        def title(self, title):
            self.name = title.lower()

    lock = Named()
    lock.title = "Door"
    async with lock:
        me = asyncio.current_task().get_name()
        assert (lock.name, lock.title, holders(lock)) == ("door", "Door", [me])
