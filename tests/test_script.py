"""``python -m deadlock_lab run script.py``: scripts as they are, and what the command says."""

import subprocess
import sys
from pathlib import Path

import pytest

LOCK_ORDER = """
import asyncio
checking, savings = asyncio.Lock(), asyncio.Lock()
async def move(first, second):
    async with first:
        await asyncio.sleep(0.1)
        async with second:
            print("moved")
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(move(checking, savings), name="alice")
        group.create_task(move(savings, checking), name="bob")
if __name__ == "__main__":
    asyncio.run(main())
"""
HARMLESS_TIMEOUT = """
import asyncio
async def main():
    try:
        async with asyncio.timeout(1):
            await asyncio.sleep(3600)
    except TimeoutError:
        print("gave up")
asyncio.run(main())
"""
FINISHES = """
import asyncio, sys
async def main():
    return sys.argv[1:]
print(asyncio.run(main()))
"""
FAILS = """
import asyncio
async def main():
    raise LookupError("no such user")
asyncio.run(main())
"""
RUNS_AWAY = """
import asyncio
async def main():
    while True:
        await asyncio.sleep(0)
asyncio.run(main())
"""
SWALLOWS = """
import asyncio
async def main():
    await asyncio.Event().wait()
try:
    asyncio.run(main())
except Exception:
    print("swallowed")
"""
CATCHES = """
import asyncio
async def main():
    raise LookupError("no such user")
try:
    asyncio.run(main())
except LookupError:
    print("caught")
"""
EXITS = """
import asyncio, sys
async def main():
    return 7
sys.exit(asyncio.run(main()))
"""
RUNNER = """
import asyncio
async def main():
    await asyncio.sleep(1)
    return "by a runner"
with asyncio.Runner() as runner:
    print(runner.run(main()), runner.run(main()))
"""


def command(tmp_path: Path, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    path = tmp_path / "script.py"
    path.write_text(script, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "deadlock_lab", "run", str(path), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("script", "status", "says"),
    [
        (LOCK_ORDER, 3, "The cycle: alice → bob → alice"),
        (HARMLESS_TIMEOUT, 0, "gave up\nFinished: main returned None"),
        (FINISHES, 0, "Finished: main returned []"),
        (FAILS, 1, "Failed: main raised LookupError: no such user"),
        (RUNS_AWAY, 4, "Runaway: still busy after 100,000 steps"),
        (SWALLOWS, 3, "Deadlock: 1 task waits for ever"),
        (CATCHES, 0, "caught"),
        (EXITS, 7, "Finished: main returned 7"),
        (RUNNER, 0, "by a runner by a runner"),
    ],
)
def test_a_script_ends_with_the_status_of_its_outcome(
    tmp_path: Path, script: str, status: int, says: str
) -> None:
    done = command(tmp_path, script)
    assert done.returncode == status, done.stdout + done.stderr
    assert says in done.stdout


def test_a_lock_order_deadlock_names_the_holders_and_the_lines(tmp_path: Path) -> None:
    told = command(tmp_path, LOCK_ORDER).stdout
    assert "alice waits to take savings (Lock), held by bob; it holds checking (Lock)" in told
    assert "bob waits to take checking (Lock), held by alice; it holds savings (Lock)" in told
    assert told.count("script.py line 7, in move: async with second:") == 2


def test_a_script_that_fails_shows_its_traceback(tmp_path: Path) -> None:
    assert 'raise LookupError("no such user")' in command(tmp_path, FAILS).stderr


def test_a_script_finds_its_own_arguments(tmp_path: Path) -> None:
    assert "\n['--fast', 'x']\n" in command(tmp_path, FINISHES, "--fast", "x").stdout


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("print('no loop')", "never called asyncio.run(), so no loop ran"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_a_script_without_a_loop_gets_one_line(tmp_path: Path, script: str, says: str) -> None:
    done = command(tmp_path, script)
    assert says in done.stderr
    assert done.returncode == (2 if "never" in says else 1)


def test_a_missing_file_gets_one_line_and_status_two(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deadlock_lab", "run", "nowhere.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "deadlock_lab: there is no file nowhere.py\n"
