"""Any program behaves on our loop as it does on asyncio's own, to the order of its steps.

The reference is CPython's ``SelectorEventLoop``, its ``_run_once`` and its C tasks, with
nothing replaced but the two things that take real time: its clock, and the selector's
wait, which here moves that clock. A wait without an end is the hang that we look for.
Every timer has a length of its own, a power of two, so that no two are ever due at the
same time: among equals asyncio promises no order.
"""

import asyncio
import os
import selectors
from contextlib import closing, suppress

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import deadlock_lab as lab

EXAMPLES = int(os.environ.get("DEADLOCK_LAB_EXAMPLES", "0"))  # more, and others each time
MAX_TIMERS = 14
KINDS = 2  # locks, queues … of each kind


class HangError(Exception):
    """The reference loop would wait for ever."""


class InstantSelector(selectors.SelectSelector):
    """Moves a clock in place of waiting."""

    now = 0.0

    def select(self, timeout=None):
        if timeout is None:
            raise HangError
        self.now += max(0, timeout)
        return []


class Reference(asyncio.SelectorEventLoop):
    """CPython's own loop on a clock that jumps."""

    def __init__(self):
        self.instant = InstantSelector()
        super().__init__(self.instant)
        self.set_exception_handler(lambda *_: None)

    def time(self):
        return self.instant.now


class World:
    """What the tasks of one program share, and what they tell."""

    def __init__(self):
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
        return 2 ** ((self.timers * 5) % MAX_TIMERS) if self.timers <= MAX_TIMERS else 0

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
async def cancel(world, me, number, inside):
    if number < len(world.tasks):
        world.tell(me, "asked", world.tasks[number].cancel())


def me_number(me):
    return int(me.partition(".")[0].removeprefix("t"))


def start(program, worlds):
    world = World()
    worlds.append(world)
    for number, steps in enumerate(program):
        me = f"t{number}"
        world.tasks.append(asyncio.create_task(do_all(world, me, steps), name=me))
    return world


async def play(program, worlds):
    world = start(program, worlds)
    results = await asyncio.gather(*world.tasks, return_exceptions=True)
    return [repr(result) for result in results]


def on_the_reference(program):
    """Run a program on CPython's loop: its log, its result or None, its unfinished tasks."""
    with closing(Reference()) as loop:
        worlds = []
        main = loop.create_task(play(program, worlds))
        with suppress(HangError):
            loop.run_until_complete(main)
        world = worlds[0]
        log = list(world.log)
        waiting = [f"t{n}" for n, task in enumerate(world.tasks) if not task.done()]
        clear_up(loop)
        return log, None if waiting else main.result(), waiting


def clear_up(loop):
    for _ in range(10):
        if left := asyncio.all_tasks(loop):
            for task in left:
                task.cancel()
            with suppress(HangError):
                loop.run_until_complete(asyncio.wait(left))
    for task in asyncio.all_tasks(loop):  # a notified one that cannot have its lock back
        task._log_destroy_pending = False
        with suppress(RuntimeError):  # it awaits once more
            task.get_coro().close()


def on_ours(program):
    worlds = []
    run = lab.run(lambda: play(program, worlds), max_time=10 * 2**MAX_TIMERS)
    return run, worlds[0]


ALONE = [yield_, sleep, take, give, put, get, task_done, join, set_, wait, meet, await_]
ALONE += [cancel, raise_, sleep]  # more sleep, more happens
ROUND_OTHERS = [lock, pool, listen, notify, gather, group, first, shield, timeout, wait_for, catch]


def name_of_one(of):
    return st.sampled_from([function.__name__.rstrip("_") for function in of])


def programs(alone):
    steps = st.recursive(
        st.tuples(name_of_one(alone), st.integers(0, 3)),
        lambda inside: st.builds(
            lambda name, number, steps: (name, number, *steps),
            name_of_one(ROUND_OTHERS),
            st.integers(0, 3),
            st.lists(inside, min_size=1, max_size=2),
        ),
        max_leaves=6,
    )
    return st.lists(st.lists(steps, max_size=4), min_size=1, max_size=4)


PROGRAMS = programs(ALONE)
# What will be released or cancelled by code that has not begun yet cannot be foreseen; an
# await inside of a timeout cancels too.
FORESEEABLE = programs([do for do in ALONE if do not in (give, cancel, await_)])
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


@often
@example(INVERSION)
@example([[("timeout", 0, ("lock", 0, ("sleep", 0), ("lock", 1)))], INVERSION[1]])
@example([[("first", 0, ("wait", 0), ("sleep", 0))], [("sleep", 0), ("set", 0)]])
@given(PROGRAMS)
def test_a_program_takes_the_same_steps_as_on_asyncio_and_hangs_where_it_hangs(program):
    log, result, waiting = on_the_reference(program)
    run, world = on_ours(program)
    assert world.log[: len(log)] == log  # clearing up adds to it
    if result is None:
        assert run.outcome == "deadlock"
        assert [name for name in run.waits.tasks if name in waiting] == waiting
        assert set(waiting) <= set(run.stuck)
        assert "main" in run.stuck
    else:
        assert run.outcome == "finished"
        assert run.result() == result


@often
@example(INVERSION, 5)
@example([[("wait", 0)], [("sleep", 0), ("set", 0)]], 0)
@given(FORESEEABLE, st.integers(0, 2**MAX_TIMERS))
def test_a_task_said_to_be_stuck_before_the_end_never_goes_on(program, seconds):
    _, _, waiting = on_the_reference(program)
    worlds = []

    async def main():
        start(program, worlds)
        await asyncio.sleep(seconds + 0.5)  # no other timer is due at a half

    run = lab.run(main, max_time=10 * 2**MAX_TIMERS)
    assert run.outcome == "finished"
    assert [name for name in run.stuck if name.startswith("t")] == [
        name for name in waiting if name in run.stuck
    ]


@often
@given(PROGRAMS)
def test_all_that_never_go_on_are_said_to_be_stuck_when_all_else_is_over(program):
    _, _, waiting = on_the_reference(program)

    async def main():
        start(program, [])
        await asyncio.Event().wait()

    run = lab.run(main, max_time=10 * 2**MAX_TIMERS)
    assert run.outcome == "deadlock"
    assert [name for name in run.stuck if name.startswith("t")] == waiting


def test_the_programs_are_not_all_of_one_kind():
    ends = []

    @settings(max_examples=150, derandomize=True, database=None, deadline=None)
    @given(PROGRAMS)
    def sample(program):
        ends.append(on_the_reference(program)[1] is None)

    sample()
    assert 0.1 < sum(ends) / len(ends) < 0.9
