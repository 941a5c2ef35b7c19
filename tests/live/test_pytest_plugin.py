"""The plugin for pytest: a test that deadlocks fails at once; off unless asked for."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = """
import asyncio, threading
import pytest

async def locks():
    savings, checking = asyncio.Lock(), asyncio.Lock()
    async def move(first, second):
        async with first:
            await asyncio.sleep(0.01)
            async with second: ...
    await asyncio.gather(move(savings, checking), move(checking, savings))

async def ring():
    tasks = []
    async def wait_for(other): await tasks[other]
    tasks += [asyncio.create_task(wait_for(1)), asyncio.create_task(wait_for(0))]
    await tasks[0]

async def harmless():
    loop, event, over = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    thread = threading.Thread(target=lambda: over.wait(0.5) or loop.call_soon_threadsafe(event.set))
    thread.start()
    await event.wait()
    thread.join()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await locks()
"""
SYNC = """
def test_locks(): asyncio.run(locks())
def test_ring(): asyncio.run(ring())
def test_harmless(): asyncio.run(harmless())
"""
ASYNCIO = """
@pytest.mark.asyncio
async def test_locks(): await locks()
@pytest.mark.asyncio
async def test_ring(): await ring()
@pytest.mark.asyncio
async def test_harmless(): await harmless()
"""
ANYIO = """
import anyio
@pytest.fixture(params=["asyncio", ("asyncio", {"use_uvloop": True})], ids=["stock", "uvloop"])
def anyio_backend(request): return request.param
@pytest.mark.anyio
async def test_locks(): await locks()
@pytest.mark.anyio
async def test_ring():
    async with anyio.create_task_group() as group:
        group.start_soon(ring)
@pytest.mark.anyio
async def test_harmless(): await harmless()
"""
FIXTURE = """
import pytest_asyncio
@pytest_asyncio.fixture
async def resource():
    await locks()
@pytest.mark.asyncio
async def test_of_it(resource): ...
"""
PLUGIN = ("-p", "deadlock_lab.live.pytest_plugin")


def suite(tmp_path, tests, *options, seconds=25):
    (tmp_path / "test_it.py").write_text(PROGRAMS + tests, encoding="utf-8")
    strict = ["[pytest]", "filterwarnings = error", "asyncio_default_fixture_loop_scope = function"]
    (tmp_path / "pytest.ini").write_text("\n".join(strict), encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--strict-config", "-p", "no:cacheprovider", *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=seconds,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize(
    ("tests", "failed", "passed"), [(SYNC, 2, 1), (ASYNCIO, 2, 1), (ANYIO, 4, 2)]
)
def test_a_test_that_deadlocks_fails_with_the_explanation(tmp_path, tests, failed, passed):
    if tests is not SYNC:
        pytest.importorskip("pytest_asyncio")
    done = suite(tmp_path, tests, *PLUGIN)
    assert f"{failed} failed, {passed} passed" in done.stdout, done.stdout + done.stderr
    assert "DeadlockError: Deadlock: 3 tasks wait for ever." in done.stdout
    assert "The cycle: Task-" in done.stdout
    assert re.search(r"waits to take [\w-]+ \(Lock\), held by Task-", done.stdout)


def test_a_fixture_that_deadlocks_is_an_error(tmp_path):
    pytest.importorskip("pytest_asyncio")
    done = suite(tmp_path, FIXTURE, *PLUGIN)
    assert "1 error" in done.stdout, done.stdout
    assert "DeadlockError: Deadlock: 3 tasks wait for ever." in done.stdout


def test_it_is_off_unless_asked_for(tmp_path):
    counts = """
def test_nothing_is_replaced(): assert asyncio.BaseEventLoop.run_forever.__name__ == "run_forever"
"""
    assert "1 passed" in suite(tmp_path, counts).stdout
    assert "1 failed" in suite(tmp_path, counts, *PLUGIN).stdout


def test_a_line_of_the_configuration_turns_it_on(tmp_path):
    (tmp_path / "conftest.py").write_text("pytest_plugins = 'deadlock_lab.live.pytest_plugin'")
    options = ("-o", "deadlock_lab=true", "-k", "locks")
    assert "1 failed" in suite(tmp_path, SYNC, *options).stdout
