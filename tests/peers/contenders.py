"""The contenders: how each is asked whether a program deadlocks, and what it says.

Run as a script this file is a process that asks one of them about some rows of the table, one
after the other, and writes each answer as a line. It may hang: whoever starts it holds the
watch.
"""

import asyncio
import contextlib
import importlib.util
import json
import re
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.peers.programs import ROWS, Row

__all__ = ["PEERS", "Answer", "ask", "circle", "installed", "ours"]

SCHEDULES = 20  # that an explorer may try: each of the programs deadlocks in every one, or in none


class Answer(NamedTuple):
    """What was said of a program: whether anything deadlocks, and who waits in a circle."""

    deadlock: bool
    cycles: tuple[tuple[str, ...], ...] = ()
    otherwise: str = ""  # what came instead of a verdict: an error, a hang


def circle(names: Any, main: str = "main") -> tuple[str, ...]:
    """Bring a cycle into the table's form: sorted, without the numbers of namesakes."""
    return tuple(sorted("main" if n == main else re.sub(r"[-#]\d+$", "", n) for n in names))


def ours(row: Row) -> Answer:
    return ours_on_a_real_loop(row) if row.real else ours_recorded(row)


def ours_recorded(row: Row) -> Answer:
    import deadlock_lab as lab

    run = lab.run(row.program)
    cycles = [*run.waits.cycles(), *(masked.cycle for masked in run.masked)]
    return Answer(bool(run.stuck or run.masked), tuple(circle(c[1:]) for c in cycles))


def ours_on_a_real_loop(row: Row) -> Answer:
    import deadlock_lab as lab

    async def main() -> Answer:
        async with lab.watch(interval=0.02) as watch:
            await row.program()
        cycles = tuple(circle(c[1:]) for found in watch.found for c in found.cycles())
        return Answer(bool(watch.found), cycles)

    return asyncio.run(main())


def detangle(row: Row) -> Answer:
    import detangle

    try:
        detangle.explore(row.program, runs=SCHEDULES, database=False, max_time=3600)
    except detangle.BugFound as bug:
        failure = bug.report.failure
        if failure.deadlock is None:
            return Answer(False, otherwise=failure.headline())
        main = failure.deadlock.main_label
        return Answer(True, tuple(circle(c, main) for c in failure.deadlock.cycles))
    return Answer(False)


def simloom(row: Row) -> Answer:
    import simloom

    found = simloom.explore(row.program, runs=SCHEDULES).first_failure
    if found is None:
        return Answer(False)
    deadlock = isinstance(found.error, simloom.SimDeadlockError)
    return Answer(deadlock, otherwise="" if deadlock else type(found.error).__name__)


def async_solipsism(row: Row) -> Answer:
    import async_solipsism

    loop = async_solipsism.EventLoop()
    try:
        loop.run_until_complete(row.program())
    except async_solipsism.SleepForeverError:
        return Answer(True)
    return Answer(False)


PEERS: dict[str, Callable[[Row], Answer]] = {
    "detangle": detangle,
    "simloom": simloom,
    "async-solipsism": async_solipsism,
}


def installed(peer: str) -> bool:
    """Whether a contender can be imported here."""
    return importlib.util.find_spec(peer.replace("-", "_")) is not None


def ask(ask_about: Callable[[Row], Answer], row: Row) -> Answer:
    try:
        return ask_about(row)
    except BaseException as error:  # noqa: BLE001 (an answer as well)
        return Answer(False, otherwise=type(error).__name__)


def main(peer: str, *numbers: str) -> None:
    for number in map(int, numbers):
        with contextlib.redirect_stdout(sys.stderr):
            answer = ask(PEERS[peer], ROWS[number])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
