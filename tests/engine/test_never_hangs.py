"""Whatever a learner writes, ``lab.run`` comes back, and leaves nothing behind.

Each program here hangs, kills or litters a plain ``asyncio.run``.
"""

import asyncio
import concurrent.futures
import gc
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path

import pytest

import deadlock_lab as lab
from deadlock_lab.engine.errors import NotModelledError, RunawayError

pytestmark = pytest.mark.filterwarnings("default")  # they are collected here, and asserted on

SOON = 0.2  # seconds that a step may take here; twice that is waited for at most
PATIENCE = 20.0


def surroundings():
    """Everything that a run might leave changed, as it is now."""
    return {
        "Lock._locked": vars(asyncio.Lock).get("_locked"),
        "Semaphore._value": vars(asyncio.Semaphore).get("_value"),
        "asyncio.tasks.set": vars(asyncio.tasks).get("set"),
        "Thread.start": threading.Thread.start,
        "Popen.__init__": subprocess.Popen.__init__,
        "socket.connect": vars(socket.socket).get("connect"),
        "SIGALRM": signal.getsignal(signal.SIGALRM),
        "SIGINT": signal.getsignal(signal.SIGINT),
        "itimer": signal.getitimer(signal.ITIMER_REAL),
        "threads": set(threading.enumerate()),
        "asyncgen hooks": sys.get_asyncgen_hooks(),
        "running loop": asyncio._get_running_loop(),
        "recursion limit": sys.getrecursionlimit(),
        "collector": gc.isenabled(),
        "trace function": sys.gettrace(),
        "monitoring tools": tools(),
        "excepthook": sys.excepthook,
        "unraisablehook": sys.unraisablehook,
    }


def tools():
    monitoring = getattr(sys, "monitoring", None)
    return monitoring and [monitoring.get_tool(number) for number in range(6)]


@pytest.fixture(autouse=True)
def leaves_nothing_behind(capfd):
    """Hold every test here to it: nothing changed, nothing on stderr, no warning."""
    before = surroundings()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert surroundings() == before
    assert [str(w.message) for w in seen] == []
    assert capfd.readouterr().err == ""


def run(main, **limits):
    """Run a program with a short limit for its steps, and see that it takes no time."""
    since = time.monotonic()
    done = lab.run(main, **{"max_step_seconds": SOON, **limits})
    assert time.monotonic() - since < PATIENCE
    return done


# -- a step that never ends --------------------------------------------------------------


def test_an_endless_loop_without_an_await_is_stopped_and_named():
    async def main():
        while True:
            pass

    done = run(main)
    assert done.outcome == "runaway"
    assert "test_never_hangs.py line" in done.explain()
    assert "max_step_seconds=0.2" in done.explain()
    with pytest.raises(RunawayError):
        done.result()


def test_a_sleep_that_blocks_is_stopped_and_named():
    async def main():
        time.sleep(100)  # noqa: ASYNC251

    done = run(main)
    assert done.outcome == "runaway"
    assert "in main" in done.explain()


def test_a_blocking_result_on_the_loops_own_thread_is_stopped():
    async def work():
        return 1

    async def main():
        loop = asyncio.get_running_loop()
        return asyncio.run_coroutine_threadsafe(work(), loop).result()

    assert run(main).outcome == "runaway"


def test_a_concurrent_future_that_nobody_sets_is_stopped():
    async def main():
        concurrent.futures.Future().result()

    assert run(main).outcome == "runaway"


def test_a_lock_of_threads_is_stopped():
    async def main():
        lock = threading.Lock()
        with lock, lock:
            pass

    assert run(main).outcome == "runaway"


def test_a_loop_that_swallows_every_exception_is_stopped():
    async def main():
        while True:
            with suppress(BaseException):
                while True:
                    pass

    assert run(main).outcome == "runaway"


async def swallow_in_two_layers():
    def outer():
        while True:
            try:  # noqa: SIM105
                inner()
            except:  # noqa: E722, S110
                pass

    def inner():
        while True:
            try:
                while True:
                    pass
            except:  # noqa: E722, S110
                pass

    outer()


needs_monitoring = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="without sys.monitoring this may take half a minute"
)


@needs_monitoring
def test_two_loops_that_swallow_every_exception_are_stopped():
    for _ in range(5):
        assert run(swallow_in_two_layers).outcome == "runaway"


@needs_monitoring
def test_two_loops_that_swallow_every_exception_are_stopped_on_another_thread():
    outcomes = []
    work = threading.Thread(target=lambda: outcomes.append(run(swallow_in_two_layers).outcome))
    work.start()
    work.join(PATIENCE)
    assert outcomes == ["runaway"]


def test_a_loop_that_catches_and_blocks_again_is_stopped():
    async def main():
        for _ in range(50):
            try:
                time.sleep(100)  # noqa: ASYNC251
            except BaseException:  # noqa: BLE001, S112
                continue
        await asyncio.sleep(1)

    assert run(main).outcome == "runaway"


def test_a_step_that_swallows_the_rescue_and_goes_on_runs_no_further_step():
    seen = []

    async def main():
        with suppress(BaseException):
            time.sleep(100)  # noqa: ASYNC251
        seen.append("same step")
        await asyncio.sleep(0)
        seen.append("next step")

    done = run(main)
    assert done.outcome == "runaway"
    assert seen == ["same step"]


def test_a_run_that_was_halted_is_a_runaway_also_when_nothing_is_left_to_run():
    """What is thrown into a step may hit it where it hands on its last callbacks."""

    async def main():
        asyncio.get_running_loop().halt("one step kept the loop busy")
        await asyncio.Event().wait()

    run = lab.run(main)
    assert (run.outcome, run.recording.limit) == ("runaway", "one step kept the loop busy")


def test_a_blocking_callback_is_stopped():
    async def main():
        asyncio.get_running_loop().call_soon(time.sleep, 100)
        await asyncio.sleep(1)

    assert run(main).outcome == "runaway"


def test_a_slow_step_within_its_limit_is_left_alone():
    async def main():
        time.sleep(0.05)  # noqa: ASYNC251
        return "slow"

    assert run(main, max_step_seconds=5).result() == "slow"


def test_endless_recursion_is_an_error_of_the_program():
    async def main():
        await main()

    done = run(main)
    assert done.outcome == "failed"
    with pytest.raises(RecursionError):
        done.result()


def test_a_lookup_that_recurses_for_ever_is_an_error_of_the_program():
    class Proxy:
        def __getattr__(self, name):
            return getattr(self, name + "_")

    async def main():
        proxy = Proxy()
        with suppress(RecursionError):
            proxy.value  # noqa: B018
        await asyncio.Event().wait()

    assert run(main).outcome == "deadlock"


# -- a program that never ends -----------------------------------------------------------


def test_yielding_for_ever_meets_the_limit_on_steps():
    async def main():
        while True:
            await asyncio.sleep(0)

    done = run(main, max_steps=1000)
    assert done.outcome == "runaway"
    assert done.steps == 1000
    assert "1,000 steps" in done.explain()


def test_a_heartbeat_meets_the_limit_on_steps_or_on_time():
    async def main():
        while True:
            await asyncio.sleep(1)

    assert run(main, max_steps=1000).outcome == "runaway"
    done = run(main, max_time=60)
    assert done.outcome == "runaway"
    assert done.seconds == 60


def test_a_sleep_beyond_the_limit_on_time_is_named():
    async def main():
        await asyncio.sleep(1_000_000)

    done = run(main, max_time=60)
    assert done.outcome == "runaway"
    assert "max_time=60" in done.explain()


def test_a_sleep_to_the_very_limit_on_time_is_within_it():
    async def main():
        await asyncio.sleep(60)
        return "in time"

    assert run(main, max_time=60).result() == "in time"


@pytest.mark.parametrize("delay", [math.inf, 1e300])
def test_a_sleep_for_ever_is_a_runaway(delay):
    async def main():
        await asyncio.sleep(delay)

    assert run(main).outcome == "runaway"


def test_a_sleep_for_nan_seconds_is_an_error_of_the_program():
    async def main():
        await asyncio.sleep(math.nan)

    done = run(main)
    assert done.outcome == "failed"
    with pytest.raises(ValueError, match=r"(?i)nan"):
        done.result()


def test_a_negative_sleep_goes_on_at_once():
    async def main():
        await asyncio.sleep(-1)
        await asyncio.sleep(-math.inf)
        return asyncio.get_running_loop().time()

    assert run(main).result() == 0


def test_a_crowd_that_grows_for_ever_meets_the_limit_on_steps():
    async def spawn():
        asyncio.create_task(spawn())
        asyncio.create_task(spawn())

    async def main():
        await spawn()
        await asyncio.Event().wait()

    assert run(main, max_steps=3000).outcome == "runaway"


# -- tasks that will not go --------------------------------------------------------------


def test_a_task_that_refuses_to_be_cancelled_does_not_keep_the_run():
    async def stubborn():
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1)

    async def main():
        asyncio.create_task(stubborn())
        await asyncio.sleep(5)
        return "done"

    assert run(main).result() == "done"


def test_a_task_that_refuses_every_exception_does_not_keep_the_run():
    async def stubborn():
        while True:
            with suppress(BaseException):
                await asyncio.Event().wait()

    async def main():
        for _ in range(3):
            asyncio.create_task(stubborn())
        await asyncio.sleep(1)
        return "done"

    done = run(main)
    assert done.result() == "done"
    assert done.waits.tasks == ("stubborn", "stubborn-2", "stubborn-3")


def test_a_main_that_refuses_every_exception_is_a_deadlock():
    async def main():
        while True:
            with suppress(BaseException):
                await asyncio.Event().wait()

    assert run(main).outcome == "deadlock"


def test_a_finally_that_waits_for_ever_does_not_keep_the_run():
    async def worker():
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.Event().wait()

    async def main():
        asyncio.create_task(worker())
        await asyncio.sleep(1)
        return "done"

    assert run(main).result() == "done"


def test_a_finally_that_blocks_does_not_keep_the_run():
    async def worker():
        try:
            await asyncio.sleep(1000)
        finally:
            time.sleep(100)  # noqa: ASYNC251

    async def main():
        asyncio.create_task(worker())
        await asyncio.sleep(1)
        return "done"

    assert run(main).result() == "done"


def test_many_finallys_that_block_do_not_keep_the_run():
    async def worker():
        try:
            await asyncio.sleep(1000)
        finally:
            while True:
                pass

    async def main():
        for _ in range(20):
            asyncio.create_task(worker())
        await asyncio.sleep(1)
        return "done"

    assert run(main).result() == "done"


def test_tasks_that_make_tasks_while_they_are_cancelled_do_not_keep_the_run():
    async def hydra():
        try:
            await asyncio.sleep(1000)
        finally:
            asyncio.create_task(hydra())
            asyncio.create_task(hydra())
            await asyncio.sleep(0)

    async def main():
        asyncio.create_task(hydra())
        await asyncio.sleep(1)
        return "done"

    assert run(main).result() == "done"


def test_a_task_that_spins_while_it_is_cancelled_does_not_keep_the_run():
    async def spinner():
        try:
            await asyncio.sleep(1000)
        finally:
            while True:
                await asyncio.sleep(0)

    async def main():
        asyncio.create_task(spinner())
        await asyncio.sleep(1)
        return "done"

    assert run(main).result() == "done"


def test_an_async_generator_left_open_is_closed():
    closed = []

    async def numbers():
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append("numbers")

    kept = numbers()

    async def main():
        return await anext(kept)

    assert run(main).result() == 1
    assert closed == ["numbers"]


def test_an_async_generator_that_refuses_to_close_does_not_keep_the_run():
    async def numbers():
        while True:
            with suppress(BaseException):
                yield 1
                await asyncio.Event().wait()

    kept = numbers()

    async def main():
        return await anext(kept)

    assert run(main).result() == 1


def test_an_error_while_it_is_cancelled_does_not_escape():
    async def worker():
        try:
            await asyncio.sleep(1000)
        finally:
            raise ValueError("in finally")

    async def main():
        asyncio.create_task(worker())
        await asyncio.sleep(1)
        return "done"

    assert run(main).result() == "done"


# -- size --------------------------------------------------------------------------------

MANY = 50_000


async def chain(length, last):
    async def link(after):
        await after

    tail = asyncio.create_task(last())
    for _ in range(length):
        tail = asyncio.create_task(link(tail))
    await tail
    return "through"


def test_a_long_chain_of_tasks_that_ends_well():
    async def last():
        await asyncio.sleep(1)

    done = run(lambda: chain(MANY, last), max_steps=10**6, max_step_seconds=PATIENCE)
    assert done.result() == "through"


def test_a_long_chain_of_tasks_that_is_stuck_at_its_end():
    async def last():
        await asyncio.Event().wait()

    done = run(lambda: chain(MANY, last), max_steps=10**6, max_step_seconds=PATIENCE)
    assert done.outcome == "deadlock"
    assert len(done.stuck) == MANY + 2


def test_a_large_cycle_of_tasks():
    async def main():
        tasks = []

        async def member(number):
            await asyncio.sleep(0)
            await tasks[(number + 1) % 5000]

        tasks += [asyncio.create_task(member(n)) for n in range(5000)]
        await tasks[0]

    done = run(main, max_step_seconds=10)
    assert done.outcome == "deadlock"
    assert [len(cycle) for cycle in done.waits.cycles()] == [5001]


# -- where it is called from -------------------------------------------------------------


async def deadlock():
    lock = asyncio.Lock()
    async with lock, lock:
        pass


def test_a_run_on_another_thread():
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(run(deadlock).outcome))
    thread.start()
    thread.join(PATIENCE)
    assert outcomes == ["deadlock"]


def test_an_endless_loop_on_another_thread():
    async def main():
        while True:
            pass

    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(run(main).outcome))
    thread.start()
    thread.join(PATIENCE)
    assert outcomes == ["runaway"]


def test_two_runs_on_two_threads_at_once():
    async def main():
        lock = asyncio.Lock()
        for _ in range(200):
            async with lock:
                await asyncio.sleep(1)
        async with lock, lock:
            pass

    runs = []
    threads = [threading.Thread(target=lambda: runs.append(lab.run(main))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert [r.outcome for r in runs] == ["deadlock"] * 4
    assert len({repr(r.trace) for r in runs}) == 1


def test_a_run_inside_a_running_loop():
    async def outer():
        me, loop = asyncio.current_task(), asyncio.get_running_loop()
        beside = asyncio.create_task(asyncio.sleep(0, "beside"))
        outcome = run(deadlock).outcome
        assert asyncio.current_task() is me
        assert asyncio.get_running_loop() is loop
        await asyncio.sleep(0)
        return outcome, await beside, asyncio.all_tasks() == {me}

    assert asyncio.run(outer()) == ("deadlock", "beside", True)


def test_a_run_inside_uvloop():
    uvloop = pytest.importorskip("uvloop")

    async def outer():
        me = asyncio.current_task()
        outcome = run(deadlock).outcome
        assert asyncio.current_task() is me
        return outcome, await asyncio.sleep(0.01, "beside")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(outer()) == ("deadlock", "beside")


def test_a_run_inside_a_callback_of_a_running_loop():
    async def outer():
        told = asyncio.get_running_loop().create_future()
        told.get_loop().call_soon(lambda: told.set_result(run(deadlock).outcome))
        return await told

    assert asyncio.run(outer()) == "deadlock"


def test_a_run_inside_a_run():
    async def outer():
        async with asyncio.Lock():
            inner = run(deadlock)
        await asyncio.sleep(1)
        return inner.outcome

    assert run(outer).result() == "deadlock"


def test_a_run_inside_a_run_that_blocks():
    async def blocks():
        time.sleep(100)  # noqa: ASYNC251

    async def outer():
        inner = run(blocks)
        await asyncio.sleep(1)
        return inner.outcome

    assert run(outer, max_step_seconds=5).result() == "runaway"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_beside_nest_asyncio(when):
    pytest.importorskip("nest_asyncio")
    program = NESTED.replace("# before" if when == "before" else "# after", "nest_asyncio.apply()")
    path = os.pathsep.join(map(str, (Path(__file__).parents[2], *sys.path)))
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["deadlock", "one", "finished", "deadlock", "outer"]


NESTED = """
import asyncio, nest_asyncio
# before
import deadlock_lab as lab
# after

async def ring():
    async def one(): await tasks[1]
    async def two(): await tasks[0]
    tasks = [asyncio.create_task(one()), asyncio.create_task(two())]
    await tasks[0]

async def fine():
    async with asyncio.timeout(5):
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(1))
    return await asyncio.wait_for(asyncio.gather(asyncio.sleep(1)), 5)

run = lab.run(ring)
print(run.outcome, run.waits.cycles()[0][0], lab.run(fine).outcome)

async def outer():
    print(lab.run(ring).outcome)
    await asyncio.sleep(0.01)
    print("outer")

loop = asyncio.new_event_loop()
loop.run_until_complete(outer())
loop.close()
"""


# -- what gets out -----------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_a_step_gets_out(error):
    async def worker():
        await asyncio.Event().wait()

    async def main():
        asyncio.create_task(worker())
        await asyncio.sleep(1)
        raise error

    with pytest.raises(error):
        run(main)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_another_task_gets_out(error):
    async def worker():
        raise error

    async def main():
        asyncio.create_task(worker())
        await asyncio.sleep(1)

    with pytest.raises(error):
        run(main)


def test_a_ctrl_c_during_a_step_gets_out():
    async def main():
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(1)

    with pytest.raises(KeyboardInterrupt):
        run(main)


def test_an_error_of_main_is_in_the_run():
    async def main():
        raise ValueError("as it was")

    done = run(main)
    assert done.outcome == "failed"
    with pytest.raises(ValueError, match="as it was"):
        done.result()


def test_a_main_that_cancels_itself_has_failed():
    async def main():
        asyncio.current_task().cancel()
        await asyncio.sleep(1)

    done = run(main)
    assert done.outcome == "failed"
    with pytest.raises(asyncio.CancelledError):
        done.result()


def test_a_program_that_stops_its_loop_has_failed_as_on_a_real_one():
    async def main():
        asyncio.get_running_loop().stop()
        await asyncio.sleep(1)

    done = run(main)
    assert done.outcome == "failed"
    with pytest.raises(RuntimeError, match="stopped its event loop"):
        done.result()


def test_a_program_that_closes_its_loop_is_told_that_it_runs():
    async def main():
        asyncio.get_running_loop().close()

    with pytest.raises(RuntimeError, match="running"):
        run(main).result()


# -- what is refused ---------------------------------------------------------------------


def starts_a_thread():
    threading.Thread(target=print).start()


def starts_a_process():
    subprocess.run([sys.executable, "-V"], check=False)


def connects_a_socket():
    with socket.socket() as plug:
        plug.connect(("127.0.0.1", 9))


@pytest.mark.parametrize("does", [starts_a_thread, starts_a_process, connects_a_socket])
def test_what_a_virtual_clock_cannot_model_is_refused_by_name(does):
    async def main():
        does()

    with pytest.raises(NotModelledError, match=does.__name__.replace("_", " ")):
        run(main).result()


REFUSED = {
    "to_thread": lambda loop: asyncio.to_thread(print),
    "run_in_executor": lambda loop: loop.run_in_executor(None, print),
    "open_connection": lambda loop: asyncio.open_connection("127.0.0.1", 9),
    "start_server": lambda loop: asyncio.start_server(print, "127.0.0.1", 0),
    "subprocess": lambda loop: asyncio.create_subprocess_exec(sys.executable, "-V"),
    "shell": lambda loop: asyncio.create_subprocess_shell("true"),
    "getaddrinfo": lambda loop: loop.getaddrinfo("localhost", 80),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_asks_the_loop_for_real_time_is_refused(name):
    async def main():
        await REFUSED[name](asyncio.get_running_loop())

    with pytest.raises(NotModelledError, match=r"virtual clock.*asyncio\.run"):
        run(main).result()


def test_a_program_elsewhere_may_start_threads_while_a_run_lasts():
    started = threading.Event()
    release = threading.Event()
    went = []

    def elsewhere():
        started.wait(PATIENCE)
        thread = threading.Thread(target=lambda: went.append("elsewhere"))
        thread.start()
        thread.join()
        release.set()

    async def main():
        started.set()
        release.wait(PATIENCE)

    other = threading.Thread(target=elsewhere)
    other.start()
    done = run(main, max_step_seconds=10)
    other.join()
    assert done.outcome == "finished"
    assert went == ["elsewhere"]


# -- what it leaves ----------------------------------------------------------------------


def test_a_lock_made_before_the_run_is_as_it_was_after_it():
    lock, pool = asyncio.Lock(), asyncio.Semaphore(2)

    async def main():
        async with lock, pool:
            await asyncio.sleep(1)

    assert run(main).outcome == "finished"
    assert vars(lock)["_locked"] is False
    assert vars(pool)["_value"] == 2
    asyncio.run(asyncio.wait_for(main(), 5))


def test_an_alarm_that_was_set_before_rings_after():
    rung = []
    handler = signal.signal(signal.SIGALRM, lambda *_: rung.append("rung"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert run(deadlock).outcome == "deadlock"
        until = time.monotonic() + PATIENCE
        while not rung and time.monotonic() < until:
            time.sleep(0.01)
        assert rung == ["rung"]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
