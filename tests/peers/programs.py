"""The table that all contenders are asked about: small programs, and what is true of each."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from tests.engine import programs as virtual
from tests.live import programs as live

__all__ = ["ROWS", "Row"]

Program = Callable[[], Any]
Truth = Literal["stuck", "partial", "masked", "harmless"]


class Row(NamedTuple):
    """A program and the truth about it.

    Attributes:
        program: an async function.
        truth: ``stuck``: main never ends; ``partial``: something else goes on, or has
            ended; ``masked``: a timeout breaks it up; ``harmless``: nothing is wrong.
        cycle: who waits in a circle, sorted; empty where nobody does.
        real: whether it takes a real loop, with threads.
    """

    program: Program
    truth: Truth
    cycle: tuple[str, ...] = ()
    real: bool = False

    @property
    def name(self) -> str:
        return self.program.__name__


def awaited(deadlock: Callable[[], tuple[list[asyncio.Task[Any]], object]]) -> Program:
    """Make a main of a function that makes the tasks."""

    async def program():
        tasks, _ = deadlock()
        await asyncio.gather(*tasks)

    program.__name__ = deadlock.__name__
    return program


async def a_heartbeat_beside_a_stuck_pair():
    async def beat():
        while True:
            await asyncio.sleep(60)

    heart = asyncio.create_task(beat(), name="heart")  # noqa: F841 (kept alive)
    tasks, _ = live.lock_order()
    await asyncio.gather(*tasks)


async def a_pulse_that_relies_on_the_order_of_the_tasks():
    ready = asyncio.Event()

    async def listen():
        await ready.wait()

    async def pulse():
        ready.set()
        ready.clear()

    await asyncio.gather(listen(), pulse())


async def a_signal_from_another_thread():
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    threading.Timer(0.1, loop.call_soon_threadsafe, (done.set,)).start()
    await done.wait()


async def a_blocking_call_in_a_thread():
    await asyncio.to_thread(time.sleep, 0.1)


ROWS = (
    Row(virtual.three_tasks_in_a_ring, "stuck", ("a", "b", "c")),
    Row(awaited(live.gathers), "stuck", ("a", "b", "c")),
    Row(awaited(live.shields), "stuck", ("a", "b", "c")),
    Row(awaited(live.waits), "stuck", ("a", "b", "c")),
    Row(awaited(live.lock_in_a_group), "stuck", ("outer", "worker")),
    Row(virtual.a_task_that_gathers_itself, "stuck", ("main",)),
    Row(virtual.two_loads_that_join_each_other, "stuck", ("load-a", "load-b")),
    Row(virtual.two_locks_in_both_orders, "stuck", ("back", "forth")),
    Row(awaited(live.condition), "stuck", ("alice", "bob")),
    Row(virtual.a_lock_taken_twice, "stuck", ("main",)),
    Row(virtual.a_lock_kept_over_an_await, "stuck", ("child", "main")),
    Row(virtual.parents_and_children_of_one_pool, "stuck", ("leaf", "parent")),
    Row(virtual.two_full_queues, "stuck", ("back", "there")),
    Row(virtual.two_events_each_set_after_the_other, "stuck", ("left", "right")),
    Row(virtual.a_worker_that_never_says_task_done, "stuck"),
    Row(virtual.a_producer_that_fails_before_it_puts, "stuck"),
    Row(virtual.an_event_that_was_set_and_cleared_before_the_wait, "stuck"),
    Row(virtual.a_notify_that_nobody_heard, "stuck"),
    Row(virtual.a_lock_whose_holder_is_gone, "stuck"),
    Row(virtual.a_future_that_nobody_sets, "stuck"),
    Row(a_heartbeat_beside_a_stuck_pair, "partial", ("alice", "bob")),
    Row(virtual.a_pair_that_is_stuck_beside_a_main_that_finishes, "partial", ("pair", "pair")),
    Row(virtual.one_of_two_gives_up, "masked", ("back", "forth")),
    Row(virtual.a_retry_that_meets_it_again, "masked", ("main",)),
    Row(virtual.a_timeout_that_is_there_to_fire, "harmless"),
    Row(virtual.a_timeout_on_a_lock_that_is_busy, "harmless"),
    Row(virtual.a_worker_that_is_parked_when_main_finishes, "harmless"),
    Row(virtual.a_permit_handed_on, "harmless"),
    Row(a_pulse_that_relies_on_the_order_of_the_tasks, "harmless"),
    Row(a_signal_from_another_thread, "harmless", real=True),
    Row(a_blocking_call_in_a_thread, "harmless", real=True),
)
