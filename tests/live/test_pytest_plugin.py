"""The plugin for pytest: a test that deadlocks fails at once; off unless asked for."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PATH = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
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
NOTHING_REPLACED = """
def test_nothing_is_replaced(): assert asyncio.BaseEventLoop.run_forever.__name__ == "run_forever"
"""
EVERY_WAY = """
@pytest.fixture
def anyio_backend(): return "asyncio"
def test_plainly(): asyncio.run(locks())
@pytest.mark.asyncio
async def test_asyncio(): await locks()
@pytest.mark.anyio
async def test_anyio(): await locks()
def test_harmless(): asyncio.run(harmless())
"""
QUIET = ("-p", "no:cacheprovider")
PLUGIN = ("-p", "deadlock_lab.live.pytest_plugin")


def suite(tmp_path, tests, *options, lines=(), python=(), path=PATH):
    (tmp_path / "test_it.py").write_text(PROGRAMS + tests, encoding="utf-8")
    ini = ["[pytest]", "filterwarnings = error", *lines]
    if find_spec("pytest_asyncio"):
        ini.append("asyncio_default_fixture_loop_scope = function")
    (tmp_path / "pytest.ini").write_text("\n".join(ini), encoding="utf-8")
    return subprocess.run(
        [sys.executable, *python, "-m", "pytest", "--strict-config", *QUIET, *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=25,
        env={**os.environ, "PYTHONPATH": path},
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
    assert "1 passed" in suite(tmp_path, NOTHING_REPLACED).stdout
    assert "1 failed" in suite(tmp_path, NOTHING_REPLACED, *PLUGIN).stdout


def test_a_line_of_the_configuration_turns_it_on(tmp_path):
    (tmp_path / "conftest.py").write_text("pytest_plugins = 'deadlock_lab.live.pytest_plugin'")
    options = ("-o", "deadlock_lab=true", "-k", "locks")
    assert "1 failed" in suite(tmp_path, SYNC, *options).stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install a wheel into a folder of its own; give options to have it beside pytest alone."""
    for needed in ("hatchling", "pip", "pytest_asyncio", "anyio"):
        pytest.importorskip(needed)
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    offline = ["--no-deps", "--no-index"]
    build = [*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", folder, ROOT]
    subprocess.run(build, check=True, timeout=60)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", *offline, "--target", folder / "own", wheel], check=True)
    others = folder / "others"
    others.mkdir()
    for needed in ("pytest", "anyio", "pytest_asyncio"):
        _link_all(Path(find_spec(needed).origin).parent.parent, others)
    path = os.pathsep.join(map(str, (folder / "own", others)))
    return {"path": path, "python": ["-S"]}  # without site-packages, where we are, too


def _link_all(packages, folder):
    ours = re.compile(r"(__editable__|_?deadlock.lab).*|.*\.pth")
    for package in packages.iterdir():
        if not ours.fullmatch(package.name) and not (folder / package.name).exists():
            (folder / package.name).symlink_to(package)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_an_installed_wheel_is_inert_without_the_line(tmp_path, installed):
    own = (
        "def test_it_is_the_installed_one(): import deadlock_lab; assert 'own' in str(deadlock_lab)"
    )
    done = suite(tmp_path, NOTHING_REPLACED + own, **installed)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_an_installed_wheel_needs_no_more_than_the_line(tmp_path, installed):
    done = suite(tmp_path, EVERY_WAY, lines=["deadlock_lab = true"], **installed)
    assert "3 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("DeadlockError: Deadlock: 3 tasks wait for ever.") >= 3
    assert done.stdout.count("The kind: lock ordering") >= 3
