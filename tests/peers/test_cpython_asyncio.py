"""CPython's own asyncio tests pass on our loops: they are asyncio, only the clock jumps.

The suite runs in a process of its own, with the default loop replaced, because it
sets policies and signal handlers. Run as a script this file is that process.
"""

import asyncio
import importlib.util
import os
import subprocess
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path

import pytest

from deadlock_lab.engine.loop import LabLoop
from deadlock_lab.engine.recorder import RecordingLoop

LOOPS = {loop.__name__: loop for loop in (LabLoop, RecordingLoop)}
TOPICS = ("locks", "queues", "timeouts", "taskgroups", "waitfor", "runners")
MORE_TOPICS = ("eager_task_factory", "futures2", "pep492", "staggered")
AT_LEAST = 215

EXCLUDED = {
    LabLoop: {
        "test_interrupt_call_soon": "yields until 0.1 real seconds are over, and virtual time "
        "stands still while a task is ready",
    },
    RecordingLoop: {
        "test_exception_refcycles_parent_task": "a recording keeps failed tasks to its end, to "
        "tell whether anyone looked at their errors",
        "test_exception_refcycles_parent_task_wr": "as above",
        "test_task_exc_handler_correct_context": "as above: it drops a failed task, and asks "
        "that this is complained of at once",
    },
}


def excluded(loop: type[LabLoop]) -> set[str]:
    return {name for base in loop.__mro__ for name in EXCLUDED.get(base, ())}


def suite(skip: set[str]) -> unittest.TestSuite:
    topics = (*TOPICS, *MORE_TOPICS)
    modules = [name for t in topics if exists(name := f"test.test_asyncio.test_{t}")]
    loaded = unittest.defaultTestLoader.loadTestsFromNames(modules)
    return unittest.TestSuite(t for t in flat(loaded) if t._testMethodName not in skip)


def exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def flat(tests: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def run_suite(loop: type[LabLoop]) -> None:
    """Run CPython's tests with every default loop replaced, and exit as unittest does."""
    asyncio.BaseEventLoop = asyncio.EventLoop = asyncio.SelectorEventLoop = loop
    for name in ("_UnixDefaultEventLoopPolicy", "_DefaultEventLoopPolicy"):  # to 3.13, from 3.14
        if policy := getattr(asyncio.unix_events, name, None):
            policy._loop_factory = loop
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=0).run(suite(excluded(loop)))
    print(result.testsRun, len(result.skipped))  # read by the test
    sys.exit(not result.wasSuccessful())


@pytest.mark.skipif(not exists("test.test_asyncio"), reason="this Python ships without its tests")
@pytest.mark.skipif(sys.platform == "win32", reason="its tests expect Windows' own loop there")
@pytest.mark.parametrize("loop", LOOPS)
def test_cpythons_own_asyncio_tests_pass_on_our_loops(loop):
    here = Path(__file__)
    done = subprocess.run(
        [sys.executable, here, loop],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (here.parents[2], *sys.path)))},
    )
    assert done.returncode == 0, done.stderr
    ran, skipped = map(int, done.stdout.split())
    assert ran - skipped >= AT_LEAST


if __name__ == "__main__":
    run_suite(LOOPS[sys.argv[1]])
