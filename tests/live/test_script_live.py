"""``python -m deadlock_lab run --live``: a script on its own real loop, under watch."""

import signal
import subprocess
import sys

import pytest

MOVE = """
import asyncio
async def move(first, second):
    async with first:
        await asyncio.sleep(0.05)
        async with second: ...
async def pair():
    savings, checking = asyncio.Lock(), asyncio.Lock()
    async with asyncio.TaskGroup() as group:
        group.create_task(move(savings, checking), name="alice")
        group.create_task(move(checking, savings), name="bob")
"""
LOCK_ORDER = MOVE + "asyncio.run(pair())\n"
ON_UVLOOP = MOVE + "import uvloop; uvloop.run(pair())\n"
BY_HAND = MOVE + "asyncio.new_event_loop().run_until_complete(pair())\n"
RING = """
import asyncio
async def main():
    tasks = []
    async def wait_for(other): await tasks[other]
    tasks += [asyncio.create_task(wait_for(1)), asyncio.create_task(wait_for(0))]
    await asyncio.gather(*tasks)
asyncio.run(main())
"""
BESIDE_MAIN = (
    MOVE
    + """
async def main():
    background = asyncio.create_task(pair())
    await asyncio.sleep(2)
    print("main is done")
asyncio.run(main())
"""
)
SERVES = """
import asyncio, sys, threading
async def echo(reader, writer):
    writer.write(await reader.readline())
    writer.close()
async def main():
    async with await asyncio.start_server(echo, "127.0.0.1") as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await asyncio.sleep(float(sys.argv[1]))
        writer.write(b"hello\\n")
        print((await reader.read()).decode(), await asyncio.to_thread(str, 7))
        writer.close()
asyncio.run(main())
"""
BLOCKS = """
import asyncio, time
async def main():
    time.sleep(1.5)
asyncio.run(main())
"""
WAITS_FOR_ITSELF = """
import asyncio
async def work(): ...
async def main():
    asyncio.run_coroutine_threadsafe(work(), asyncio.get_running_loop()).result()
asyncio.run(main())
"""
AWAIT_IT = "await it instead: `await asyncio.wrap_future(future)`."
PARKED = """
import asyncio
async def main():
    await asyncio.Event().wait()
asyncio.run(main())
"""


def command(tmp_path, script, *arguments, options=()):
    path = tmp_path / "script.py"
    path.write_text(script, encoding="utf-8")
    return [sys.executable, "-m", "deadlock_lab", "run", "--live", *options, path, *arguments]


def run(tmp_path, script, *arguments, options=()):
    return subprocess.run(
        command(tmp_path, script, *arguments, options=options),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=60,
    )


@pytest.mark.parametrize("script", [LOCK_ORDER, ON_UVLOOP, BY_HAND])
def test_a_sure_deadlock_is_explained_and_ends_the_script(tmp_path, script):
    done = run(tmp_path, script)
    assert (done.returncode, done.stderr) == (3, "")
    assert "The cycle: alice → bob → alice" in done.stdout
    assert "alice waits to take checking (Lock), held by bob" in done.stdout


def test_a_ring_that_cannot_be_cancelled_ends_the_script(tmp_path):
    done = run(tmp_path, RING)
    assert (done.returncode, done.stderr) == (3, "")
    assert "The cycle: Task-2 (wait_for) → Task-3 (wait_for) → Task-2 (wait_for)" in done.stdout


def test_a_deadlock_beside_main_is_explained_and_main_goes_on(tmp_path):
    done = run(tmp_path, BESIDE_MAIN)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("The cycle: alice → bob → alice") == 1
    assert done.stdout.endswith("main is done\n")


def test_sockets_and_threads_work_and_are_no_deadlock(tmp_path):
    done = run(tmp_path, SERVES, "0.6")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n 7\n", "")


def test_after_some_patience_it_says_once_where_everyone_stands(tmp_path):
    done = run(tmp_path, SERVES, "2", options=("--patience", "0.3"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("Nothing has moved for 0.3 seconds.\nNo deadlock that is sure.") == 1
    assert "Task-1 (main) sleeps" in done.stdout
    assert done.stdout.endswith("hello\n 7\n")


def test_a_step_that_blocks_is_shown(tmp_path):
    done = run(tmp_path, BLOCKS, options=("--patience", "0.2"))
    assert done.returncode == 0
    assert "script.py line 4, in main: time.sleep(1.5)" in done.stdout


def test_a_step_that_waits_for_its_own_loop_is_called_sync_over_async(tmp_path):
    with subprocess.Popen(
        command(tmp_path, WAITS_FOR_ITSELF, options=("--patience", "0.3")),
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as child:
        told = "".join(iter(child.stdout.readline, f"  To break it: {AWAIT_IT}\n"))
        child.send_signal(signal.SIGINT)
        last, _ = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Blocked: the loop did not answer within 0.3 s." in told
    for text in (told, last):
        assert "The kind: sync-over-async\n  Why: Task-1 (main) blocks in .result()" in text


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a child there")
def test_control_c_says_where_everyone_stands(tmp_path):
    with subprocess.Popen(
        command(tmp_path, PARKED, options=("--patience", "0.3")),
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as child:
        assert child.stdout.readline() == "Nothing has moved for 0.3 seconds.\n"  # it runs
        child.send_signal(signal.SIGINT)
        told, _ = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Interrupted.\nNo deadlock that is sure. 1 task waits." in told


def test_a_script_that_fails_shows_its_traceback(tmp_path):
    done = run(tmp_path, "import asyncio\nasync def main(): 1 / 0\nasyncio.run(main())\n")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_a_script_without_a_loop_gets_one_line(tmp_path):
    done = run(tmp_path, "print('no loop')")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
