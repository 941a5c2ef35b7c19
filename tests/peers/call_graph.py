"""What CPython shows by itself, from 3.14 on: ``python -m asyncio pstree`` and its call graph.

Run as a script this file is the process that is looked at: a program of the table on a
plain loop.
"""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from tests.peers.contenders import Answer, circle
from tests.peers.programs import ROWS, Row
from tests.peers.table import ROOT

__all__ = ["BESIDE", "BUILT_IN", "answers_of_pstree", "call_graph", "pstree"]

BUILT_IN = sys.version_info >= (3, 14) and sys.platform != "win32"
# Real seconds after which we look: while the one main that ends is still there, and when all
# that will deadlock has done so.
EARLY, LATE = 0.1, 1.3
BESIDE = [
    row
    for row in ROWS
    if row.name in ("three_tasks_in_a_ring", "two_locks_in_both_orders", "two_full_queues")
]


def pstree(row: Row) -> tuple[str, ...]:
    """Give what ``python -m asyncio pstree`` says of a program, early and late."""
    with _running(row, "run") as process:
        time.sleep(EARLY)
        early = _look_at(process)
        time.sleep(LATE - EARLY)
        return early, _look_at(process)


def _look_at(process: subprocess.Popen[str]) -> str:
    look = [sys.executable, "-m", "asyncio", "pstree", str(process.pid)]
    seen = subprocess.run(look, capture_output=True, text=True, check=False, timeout=30)
    return (seen.stdout + seen.stderr).strip()


def call_graph(row: Row) -> str:
    """Give what ``asyncio.format_call_graph`` says of each task, from inside the process."""
    with _running(row, "graph") as process:
        return process.communicate(timeout=30)[0].strip()


@contextmanager
def _running(row: Row, way: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.peers.call_graph", way, str(ROWS.index(row))]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        try:
            yield process
        finally:
            process.kill()


def answers_of_pstree() -> list[Answer]:
    """Ask of every program: whether ``pstree`` names a cycle, and which."""
    with ThreadPoolExecutor(3) as pool:
        return [_read(*both) for both in zip(ROWS, pool.map(pstree, ROWS), strict=True)]


def _read(row: Row, seen: tuple[str, ...]) -> Answer:
    cycles = re.findall(r"^cycle: (.+)$", "\n".join(seen), re.MULTILINE)
    named = tuple(circle(cycle.split(" → ")[1:], row.name) for cycle in cycles)
    return Answer(bool(named), named)


def named_by_function(loop: Any, coro: Any, *, name: str | None = None, **options: Any) -> Any:
    """Name tasks as we do, where the program does not: it is the cycle that matters."""
    return asyncio.Task(coro, loop=loop, name=name or coro.__name__, **options)


async def show_call_graph() -> None:
    await asyncio.sleep(LATE)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        try:
            print(asyncio.format_call_graph(task))  # type: ignore[attr-defined, unused-ignore]
        except RecursionError as error:
            print(f"* {task.get_name()}: {type(error).__name__}: {error}")
    sys.stdout.flush()


def main(way: str, number: str) -> None:
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        loop.set_task_factory(named_by_function)
        if way == "graph":
            shown = loop.create_task(show_call_graph())
            shown.add_done_callback(lambda _: sys.exit())
        print("begun", flush=True)
        runner.run(ROWS[int(number)].program())


if __name__ == "__main__":
    main(*sys.argv[1:])
