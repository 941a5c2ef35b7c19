"""Programs at random, of everything that asyncio has to wait with.

Every timer has a length of its own, a power of two, so that no two are ever due at the
same time: among equals asyncio promises no order.
"""

import asyncio
import os
from contextlib import suppress

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from deadlock_lab.engine.snapshot import can_be_cancelled

EXAMPLES = int(os.environ.get("DEADLOCK_LAB_EXAMPLES", "0"))  # more, and others each time
MAX_TIMERS = 14
KINDS = 2  # locks, queues … of each kind


class World:
    """What the tasks of one program share, and what they tell.

    Args:
        unit: the length of the shortest timer, in seconds.
        most: how many timers have a length at all.
    """

    def __init__(self, unit=1, most=MAX_TIMERS):
        self.unit, self.most = unit, most
        self.log = []
        self.tasks = []
        self.locks = [asyncio.Lock() for _ in range(KINDS)]
        self.pools = [asyncio.Semaphore(2), asyncio.BoundedSemaphore(1)]
        self.queues = [asyncio.Queue(1), asyncio.PriorityQueue()]
        self.events = [asyncio.Event() for _ in range(KINDS)]
        self.news = [asyncio.Condition() for _ in range(KINDS)]
        self.meetings = [asyncio.Barrier(2), asyncio.Barrier(3)]
        self.timers = 0

    def length(self):
        """Give the next timer a length that no other has, nor any sum of others."""
        self.timers += 1
        return self.unit * 2 ** ((self.timers * 5) % self.most) if self.timers <= self.most else 0

    def tell(self, *what):
        self.log.append((*what, asyncio.get_running_loop().time()))


# A step of a program is a tuple: an operation's name, a number, and steps inside it.

OPERATIONS = {}


def operation(function):
    OPERATIONS[function.__name__.rstrip("_")] = function
    return function


async def do_all(world, me, steps):
    for name, number, *inside in steps:
        world.tell(me, name, number)
        try:
            await OPERATIONS[name](world, me, number, inside)
        except (Exception, asyncio.CancelledError) as error:
            world.tell(me, name, type(error).__name__)
            raise
        world.tell(me, name, "done")


@operation
async def yield_(world, me, number, inside):
    await asyncio.sleep(0)


@operation
async def sleep(world, me, number, inside):
    await asyncio.sleep(world.length())


@operation
async def raise_(world, me, number, inside):
    raise ValueError(number)


@operation
async def catch(world, me, number, inside):
    with suppress(Exception):
        await do_all(world, me, inside)


@operation
async def lock(world, me, number, inside):
    async with world.locks[number % KINDS]:
        await do_all(world, me, inside)


@operation
async def take(world, me, number, inside):
    await world.locks[number % KINDS].acquire()


@operation
async def give(world, me, number, inside):
    with suppress(RuntimeError):  # it is not locked
        world.locks[number % KINDS].release()


@operation
async def pool(world, me, number, inside):
    async with world.pools[number % KINDS]:
        await do_all(world, me, inside)


@operation
async def put(world, me, number, inside):
    await world.queues[number % KINDS].put(number)


@operation
async def get(world, me, number, inside):
    world.tell(me, "got", await world.queues[number % KINDS].get())


@operation
async def task_done(world, me, number, inside):
    with suppress(ValueError):  # more often than there were items
        world.queues[number % KINDS].task_done()


@operation
async def join(world, me, number, inside):
    await world.queues[number % KINDS].join()


@operation
async def set_(world, me, number, inside):
    world.events[number % KINDS].set()


@operation
async def wait(world, me, number, inside):
    await world.events[number % KINDS].wait()


@operation
async def listen(world, me, number, inside):
    async with world.news[number % KINDS]:
        await world.news[number % KINDS].wait()
        await do_all(world, me, inside)


@operation
async def notify(world, me, number, inside):
    async with world.news[number % KINDS]:
        world.news[number % KINDS].notify(1 + number // KINDS)
        await do_all(world, me, inside)


@operation
async def meet(world, me, number, inside):
    await world.meetings[number % KINDS].wait()


@operation
async def gather(world, me, number, inside):
    each = (do_all(world, f"{me}.{n}", [one]) for n, one in enumerate(inside))
    await asyncio.gather(*each, return_exceptions=number % 2 == 1)


@operation
async def group(world, me, number, inside):
    async with asyncio.TaskGroup() as group:
        group.create_task(do_all(world, f"{me}.g", inside))


@operation
async def first(world, me, number, inside):
    both = [asyncio.create_task(do_all(world, f"{me}.{n}", inside[n::2])) for n in range(2)]
    done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    world.tell(me, "first", [n for n, task in enumerate(both) if task in done])


@operation
async def shield(world, me, number, inside):
    await asyncio.shield(asyncio.ensure_future(do_all(world, f"{me}.s", inside)))


@operation
async def timeout(world, me, number, inside):
    async with asyncio.timeout(world.length()):
        await do_all(world, me, inside)


@operation
async def wait_for(world, me, number, inside):
    await asyncio.wait_for(do_all(world, f"{me}.w", inside), world.length())


@operation
async def await_(world, me, number, inside):
    if number < me_number(me):  # only those made before: no ring of tasks
        await world.tasks[number]


@operation
async def follow(world, me, number, inside):
    others = [task for task in world.tasks if task is not asyncio.current_task()]
    if others:
        await others[number % len(others)]


@operation
async def cancel(world, me, number, inside):
    if number < len(world.tasks):
        world.tell(me, "asked", world.tasks[number].cancel())


def me_number(me):
    return int(me.partition(".")[0].removeprefix("t"))


def start(program, world):
    for number, steps in enumerate(program):
        me = f"t{number}"
        world.tasks.append(asyncio.create_task(do_all(world, me, steps), name=me))


async def play(program, world):
    start(program, world)
    results = await asyncio.gather(*world.tasks, return_exceptions=True)
    return [repr(result) for result in results]


def clear_up(loop):
    for _ in range(10):
        for task in filter(can_be_cancelled, asyncio.all_tasks(loop)):
            task.cancel()
        loop.run_until_complete(turns(10))
    for task in asyncio.all_tasks(loop):  # in a ring, or notified without getting its lock back
        task._log_destroy_pending = False
        with suppress(RuntimeError):  # it awaits once more
            task.get_coro().close()


async def turns(number):
    for _ in range(number):
        await asyncio.sleep(0)


ALONE = [yield_, sleep, take, give, put, get, task_done, join, set_, wait, meet, await_]
ALONE += [cancel, raise_, sleep]  # more sleep, more happens
ROUND_OTHERS = [lock, pool, listen, notify, gather, group, first, shield, timeout, wait_for, catch]


def name_of_one(of):
    return st.sampled_from([function.__name__.rstrip("_") for function in of])


def programs(alone, round_others=ROUND_OTHERS):
    steps = st.recursive(
        st.tuples(name_of_one(alone), st.integers(0, 3)),
        lambda inside: st.builds(
            lambda name, number, steps: (name, number, *steps),
            name_of_one(round_others),
            st.integers(0, 3),
            st.lists(inside, min_size=1, max_size=2),
        ),
        max_leaves=6,
    )
    return st.lists(st.lists(steps, max_size=4), min_size=1, max_size=4)


def without(*those):
    return [do for do in ALONE if do not in those]


# Rings of tasks, which nobody may cancel: asyncio cannot, and recurses without end.
PATIENT = [do for do in ROUND_OTHERS if do not in (group, timeout, wait_for)]
PROGRAMS = programs(ALONE) | programs([*without(cancel), *3 * [follow]], PATIENT)
# What will be released or cancelled by code that has not begun yet cannot be foreseen; an
# await inside of a timeout cancels too.
FORESEEABLE = programs(without(give, cancel, await_)) | programs(
    [*without(give, cancel), *3 * [follow]], PATIENT
)
INVERSION = [
    [("lock", 0, ("sleep", 0), ("lock", 1))],
    [("lock", 1, ("sleep", 0), ("lock", 0))],
]


often = settings(
    max_examples=EXAMPLES or 300,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
