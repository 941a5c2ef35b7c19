"""The table: who finds how many of the deadlocks, names the cycles, and raises false alarms."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.peers.contenders import Answer, ask, ours
from tests.peers.programs import ROWS, Row

__all__ = ["HANGS", "HEAD", "Score", "answers_of", "our_answers", "score"]

ROOT = Path(__file__).parents[2]
LIMIT = 5.0  # real seconds for one program
HANGS = Answer(False, otherwise="hangs")


class Score(NamedTuple):
    """How many were found of each truth, how many cycles were named, how many false alarms."""

    stuck: int
    partial: int
    masked: int
    named: int
    false_alarms: int

    def __str__(self) -> str:
        return " | ".join(f"{n:>6} of {of:<3}" for n, of in zip(self, BEST, strict=True))


def our_answers() -> list[Answer]:
    """Ask ourselves."""
    return [ask(ours, row) for row in ROWS]


def answers_of(peer: str, rows: Sequence[Row] = ROWS, *, limit: float = LIMIT) -> list[Answer]:
    """Ask a peer in a process of its own, started anew behind a program that it hangs on."""
    found: list[Answer] = []
    while len(found) < len(rows):
        found += _until_it_hangs(peer, rows[len(found) :], limit)
        if len(found) < len(rows):
            found.append(HANGS)
    return found


def _until_it_hangs(peer: str, rows: Sequence[Row], limit: float) -> Iterator[Answer]:
    numbers = [str(ROWS.index(row)) for row in rows]
    command = [sys.executable, "-m", "tests.peers.contenders", peer, *numbers]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        while line := _next_line(process, limit):
            deadlock, cycles, otherwise = json.loads(line)
            yield Answer(deadlock, tuple(map(tuple, cycles)), otherwise)


def _next_line(process: subprocess.Popen[str], limit: float) -> str:
    watchdog = threading.Timer(limit, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        return process.stdout.readline()
    finally:
        watchdog.cancel()


def score(answers: list[Answer]) -> Score:
    """Count what a contender got right, and its false alarms."""
    rows = list(zip(ROWS, answers, strict=True))
    alarms = [row.truth for row, answer in rows if answer.deadlock]
    named = [row for row, answer in rows if row.cycle and row.cycle in answer.cycles]
    of = map(alarms.count, ("stuck", "partial", "masked"))
    return Score(*of, len(named), alarms.count("harmless"))


BEST = score([Answer(True, (row.cycle,)) for row in ROWS])
HEAD = " | ".join(
    f"{name:<13}" for name in ("stuck", "partial", "masked", "cycle named", "false alarm")
)
