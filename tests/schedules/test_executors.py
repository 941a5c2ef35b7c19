"""Executors: who runs the attempts makes no difference, and Ctrl-C and breakdowns lose none."""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import deadlock_lab as lab
from deadlock_lab.schedules import workers

from . import programs

Opened = Iterator[Executor]

# Pools fork, leave sockets to be collected, and so on: that is not ours to judge.
pytestmark = pytest.mark.filterwarnings("default")


@contextmanager
def on_loky() -> Opened:
    loky = pytest.importorskip("loky")
    pool = loky.get_reusable_executor(max_workers=2)
    yield pool
    pool.shutdown(wait=True, kill_workers=True)


@contextmanager
def on_processes(method: str) -> Opened:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        yield pool


@contextmanager
def on_dask() -> Opened:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
        client.get_executor() as pool,
    ):
        yield pool


POOLS: dict[str, Callable[[], Any]] = {
    "threads": lambda: ThreadPoolExecutor(2),
    "loky": on_loky,
    "spawn": lambda: on_processes("spawn"),
    "forkserver": lambda: on_processes("forkserver"),
    "dask": on_dask,
}
if sys.platform == "win32":
    del POOLS["forkserver"]


@pytest.fixture(scope="module", params=POOLS)
def pool(request: pytest.FixtureRequest) -> Opened:
    with POOLS[request.param]() as opened:
        yield opened


def inversion(long: float) -> Any:
    """Make a program that closes over what it needs: only cloudpickle can send it."""

    async def main() -> None:
        lock_a, lock_b = asyncio.Lock(), asyncio.Lock()

        async def transfer(delay: float, first: asyncio.Lock, second: asyncio.Lock) -> None:
            await asyncio.sleep(delay)
            async with first:
                await asyncio.sleep(0.01)
                async with second:
                    pass

        await asyncio.gather(transfer(0.01, lock_a, lock_b), transfer(long, lock_b, lock_a))

    return main


def told(found: lab.Exploration) -> Any:
    return (found.explain(), found.outcomes, found.runs, found.frozen, found.first_at, found.tried)


def test_an_executor_gives_the_same_result_as_this_process(pool: Executor) -> None:
    """Threads, loky, process pools, and a cluster of Dask's; for a closure."""
    pytest.importorskip("cloudpickle")
    main = inversion(0.5)
    assert told(lab.explore(main, runs=300, executor=pool)) == told(lab.explore(main, runs=300))


def test_a_load_curve_is_the_same_from_an_executor(pool: Executor) -> None:
    """Each number of requests makes a program of its own."""
    pytest.importorskip("cloudpickle")

    async def main(requests: int) -> None:
        await asyncio.gather(*(inversion(0.5 + n)() for n in range(requests)))

    here, there = (
        lab.load_curve(main, (1, 3), spreads=(3, 100), runs=50, executor=executor)
        for executor in (None, pool)
    )
    assert here == there
    assert here.points[-1].freezes > 0


def test_an_executor_can_be_used_again_after_the_search_was_left_early(pool: Executor) -> None:
    """What was still to be done is cancelled."""
    found = lab.explore(programs.transfers, until_found=True, executor=pool)
    assert sum(found.runs.values()) == found.first_at
    assert lab.explore(programs.ordered, executor=pool).proved


def test_without_cloudpickle_a_program_of_a_module_can_be_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And one that is written in a function is refused with what to do."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with ThreadPoolExecutor(1) as pool:
        assert lab.explore(programs.ordered, executor=pool).proved
        with pytest.raises(TypeError, match="cannot be sent to an executor"):
            lab.explore(inversion(0.5), executor=pool)


def test_what_is_no_executor_is_refused_by_name() -> None:
    """Before anything runs."""
    with pytest.raises(TypeError, match=r"executor must be one of .*, but is 'loky'"):
        lab.explore(programs.ordered, executor="loky")  # type: ignore[arg-type]


@pytest.fixture
def only_here(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a program of a module that no other process can find."""
    module = types.ModuleType("only_here")
    exec("async def main(): pass", module.__dict__)  # noqa: S102
    monkeypatch.setitem(sys.modules, "only_here", module)
    return module.main


def test_a_worker_that_cannot_load_the_program_says_why(only_here: Any) -> None:
    """The error names the module that it does not find."""
    with (
        on_processes("spawn") as pool,
        pytest.raises(TypeError, match=r"cannot load the program .*only_here"),
    ):
        lab.explore(only_here, executor=pool)


# -- a pool of our own choice ----------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take every search for one that takes long."""
    loky = pytest.importorskip("loky")
    monkeypatch.setattr(workers, "_LONG", 0.0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    yield
    loky.get_reusable_executor(max_workers=2).shutdown(wait=True, kill_workers=True)


@pytest.mark.usefixtures("impatient")
def test_a_search_that_would_take_long_is_given_to_processes() -> None:
    """Here the first 16 runs, which show how long they take; elsewhere the rest."""
    here = os.getpid()

    async def main() -> None:
        if os.getpid() != here:
            await asyncio.Event().wait()

    found = lab.explore(main, runs=200, strategy="random")
    assert (found.freezes, found.outcomes) == (184, {"finished": 16, "deadlock": 184})


def test_a_search_that_is_over_soon_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would only take longer."""
    monkeypatch.setitem(sys.modules, "loky", None)  # asking for it would fail
    monkeypatch.setattr(workers, "_pack", lambda main: pytest.fail("it was packed"))
    assert lab.explore(programs.ordered).proved


@pytest.mark.usefixtures("impatient")
def test_the_result_is_the_same_with_processes_of_our_own_choice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seen against a search that is told to take its time."""
    there = told(lab.explore(inversion(0.5), runs=300))
    monkeypatch.setattr(workers, "_LONG", float("inf"))
    assert there == told(lab.explore(inversion(0.5), runs=300))


@pytest.mark.usefixtures("impatient")
def test_when_the_processes_die_the_rest_is_run_here_and_none_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """None is counted twice, either."""
    here = os.getpid()
    inner = inversion(0.5)

    async def main() -> None:
        if os.getpid() != here:
            os._exit(1)
        await inner()

    found = lab.explore(main, runs=300)
    monkeypatch.setattr(workers, "_LONG", float("inf"))
    assert told(found) == told(lab.explore(main, runs=300))


@pytest.mark.usefixtures("impatient")
def test_processes_that_cannot_load_the_program_are_done_without(only_here: Any) -> None:
    """Nobody asked for them."""
    found = lab.explore(only_here, runs=100, strategy="random")
    assert found.outcomes == {"finished": 100}


def explored_as_if_long(main: Any) -> dict[Any, int]:
    workers._LONG, os.cpu_count = 0.0, lambda: 2  # type: ignore[assignment]
    return dict(lab.explore(main, runs=40, strategy="random").outcomes)


def test_in_a_process_of_a_pool_no_further_processes_are_started() -> None:
    """The pool has the processors already, and a daemon may not start any."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(explored_as_if_long, [programs.ordered]) == {"finished": 40}


def test_a_pool_of_the_caller_that_breaks_is_the_callers_to_know() -> None:
    """A program that ends its process would end this one next."""
    pytest.importorskip("cloudpickle")

    async def main() -> None:
        os._exit(1)

    with on_processes("spawn") as pool, pytest.raises(BrokenExecutor):
        lab.explore(main, runs=10, executor=pool)


UNGUARDED = """
import asyncio, os, signal, sys, threading
import deadlock_lab as lab
from deadlock_lab.schedules import workers

print("begins", flush=True)
workers._LONG, os.cpu_count = 0.0, lambda: 2

async def main():
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()
    async def transfer(delay, first, second):
        await asyncio.sleep(delay)
        async with first:
            await asyncio.sleep(0.01)
            async with second:
                pass
    await asyncio.gather(transfer(0.01, lock_a, lock_b), transfer(0.5, lock_b, lock_a))
"""
EXPLORED = "<Exploration 89 of 1,000 schedules freeze, the smallest is '0+490000000'>"


def said_by(script: str, folder: Path) -> list[str]:
    """Run a script as a learner writes it: without a guard around what it does."""
    path = folder / "unguarded.py"
    path.write_text(UNGUARDED + script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_script_needs_no_guard_of_its_main(tmp_path: Path) -> None:
    """It is not run a second time by the processes."""
    pytest.importorskip("loky")
    assert said_by("print(repr(lab.explore(main)))", tmp_path) == ["begins", EXPLORED]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on POSIX")
def test_ctrl_c_ends_a_search_of_processes_and_the_next_one_works(tmp_path: Path) -> None:
    """A real signal, to the process that waits for them."""
    pytest.importorskip("loky")
    script = """
threading.Timer(2, os.kill, (os.getpid(), signal.SIGINT)).start()
found = lab.explore(main, runs=900_000, strategy="random")
print(found.interrupted, 16 < sum(found.runs.values()) < 900_000, *found.outcomes)
print(repr(lab.explore(main)))
"""
    assert said_by(script, tmp_path) == ["begins", "True True finished deadlock", EXPLORED]


@pytest.fixture(scope="module")
def cells() -> Any:
    """Run a notebook in a real kernel."""
    pytest.importorskip("loky")
    pytest.importorskip("tqdm")
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    sources = [
        "import asyncio, os\nimport deadlock_lab as lab\n"
        "from deadlock_lab.schedules import progress, workers\n"
        "workers._LONG, os.cpu_count, here = 0.0, lambda: 2, os.getpid()",
        "async def main():\n    if os.getpid() != here:\n        await asyncio.Event().wait()",
        'lab.explore(main, runs=100, strategy="random").freezes',
        "progress._MOMENT = 0\nlab.explore(main, runs=100).freezes",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    client.NotebookClient(notebook, timeout=60).execute()
    return notebook.cells


def test_a_program_from_a_notebook_cell_is_given_to_processes(cells: Any) -> None:
    """A cell's functions are of no module that could be found."""
    assert [output.data for output in cells[2].outputs] == [{"text/plain": "84"}]


def test_a_bar_that_was_shown_in_a_notebook_is_not_stored_with_it(cells: Any) -> None:
    """What it says of real time differs from run to run; its output is there, and empty."""
    bar, result = cells[3].outputs
    assert (bar.data, list(result.data)) == ({}, ["text/plain"])


# -- Ctrl-C ----------------------------------------------------------------------------


class _Interrupted(Executor):
    """Runs at once what it is given, and is interrupted as the third result is asked for."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.futures.append(future)
        if len(self.futures) < 3:
            future.set_result(fn(*args, **kwargs))
        elif len(self.futures) == 3:
            future.set_exception(KeyboardInterrupt())
        return future


def test_ctrl_c_keeps_what_came_back_and_cancels_the_rest() -> None:
    """Two chunks of 16 attempts had come back."""
    executor = _Interrupted()
    found = lab.explore(programs.transfers, strategy="random", executor=executor)
    assert found.interrupted
    assert found.runs == {"random": 32}
    assert len(executor.futures) == 63
    assert all(future.cancelled() for future in executor.futures[3:])


async def serve(requests: int) -> None:
    await asyncio.sleep(requests)


def test_ctrl_c_keeps_the_points_of_a_load_curve_too() -> None:
    """The point at which it was interrupted has fewer runs."""
    curve = lab.load_curve(serve, (1, 2), spreads=(1, 2), runs=20, executor=_Interrupted())
    assert curve.interrupted
    assert [(p.requests, p.spread, p.runs) for p in curve.points] == [(1, 1, 20), (1, 2, 12)]


def test_one_hiccup_of_the_machine_is_no_reason_for_a_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is planned is judged by all that has been spent, once that is worth a look."""
    times = iter([0.0, 0.5, *(1.0 + n / 1_000 for n in range(1_000))])
    monkeypatch.setattr(workers.time, "perf_counter", lambda: next(times))
    monkeypatch.setattr(workers, "_processors_are_idle", lambda: pytest.fail("a pool is wanted"))
    lab.explore(inversion(0.5), runs=1_000, strategy="random", progress=False)
