"""Any program ends on a plain loop in real time where we say so, and stands still where we do.

Nothing of the loop is replaced here: it is ``asyncio.SelectorEventLoop``, and it sleeps. Time
alone never decides that a program is stuck, for the machine may be busy: a thread looks at
the loop now and then, and from inside, when every callback before has run, it counts the
ready callbacks and the timers. Where there are none, nothing can ever happen again.

What a busy machine can do is fire two timers in one turn of the loop that were a millisecond
apart, and so decide a race the other way. A program that ends differently is given more time
between its timers, and only what stays different is an error.
"""

import asyncio
import dataclasses
import threading
from contextlib import contextmanager, suppress

from hypothesis import example, given, settings

import deadlock_lab as lab

from .generated import EXAMPLES, INVERSION, PROGRAMS, World, clear_up, often, play

UNITS = (0.001, 0.005, 0.05)  # seconds of the shortest timer, for each try
MOST = 5  # timers with a length: the longest is 16 units
LOOK = 0.02  # seconds between two looks


@dataclasses.dataclass
class Watchdog:
    """Stops a loop on which nothing is ready, and no timer is set."""

    loop: asyncio.AbstractEventLoop
    stuck: bool = False

    def __post_init__(self):
        self.over = threading.Event()

    def watch(self):
        while not self.over.wait(LOOK):
            self.loop.call_soon_threadsafe(self.look)

    def look(self):
        # Called from a thread: the byte that woke the loop up may be unread yet. Look behind it.
        self.loop.call_soon(self.look_closely)

    def look_closely(self):
        timers = [timer for timer in self.loop._scheduled if not timer.cancelled()]
        if not self.loop._ready and not timers and not self.over.is_set():
            self.stuck = True
            self.loop.stop()

    @contextmanager
    def at_work(self):
        thread = threading.Thread(target=self.watch)
        thread.start()
        try:
            yield
        finally:
            self.over.set()
            thread.join()


def in_real_time(program, unit):
    """Run a program on a plain loop: its result, or the names of those that are stuck."""
    world, loop = World(unit, MOST), asyncio.SelectorEventLoop()
    loop.set_exception_handler(lambda *_: None)
    main = loop.create_task(play(program, world))
    watchdog = Watchdog(loop)
    with watchdog.at_work(), suppress(RuntimeError):  # stopped before it was done
        loop.run_until_complete(main)
    assert watchdog.stuck != main.done()
    result = main.result() if main.done() else unfinished(world)
    clear_up(loop)
    loop.close()
    return result


def unfinished(world):
    return [f"t{number}" for number, task in enumerate(world.tasks) if not task.done()]


def as_we_say(program, unit):
    """Run a program recorded, and give the same as ``in_real_time`` does."""
    world = World(unit, MOST)
    run = lab.run(lambda: play(program, world))
    if run.outcome == "finished":
        return run.result()
    assert run.outcome == "deadlock"
    return [name for name in run.stuck if name in {f"t{n}" for n in range(len(program))}]


@settings(often, max_examples=EXAMPLES // 10 or 40)
@example(INVERSION)
@example([[("timeout", 0, ("lock", 0, ("sleep", 0), ("lock", 1)))], INVERSION[1]])
@example([[("follow", 1)], [("sleep", 0), ("follow", 0)]])
@given(PROGRAMS)
def test_a_program_ends_or_stands_still_in_real_time_as_we_say(program):
    for unit in UNITS:
        said, seen = as_we_say(program, unit), in_real_time(program, unit)
        if said == seen:
            return
    assert said == seen
