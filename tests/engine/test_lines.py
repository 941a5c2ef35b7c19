"""Line by line: what is written down, what is not, and that nothing else is different."""

import asyncio
import contextlib
import gc
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deadlock_lab.article.timeout_race import with_timeout
from deadlock_lab.engine import lines as lines_module
from deadlock_lab.engine.recording import Outcome, Recording
from deadlock_lab.engine.run import execute
from deadlock_lab.engine.trace import Event, Kind, Trace
from deadlock_lab.views.data import to_dict
from deadlock_lab.views.text import explain

Main = Callable[[], Coroutine[Any, Any, Any]]
LIMIT = 200


def chain_of(trace: Trace, place: int) -> tuple[tuple[str, int, str], ...]:
    if place < 0:
        return ()
    label, line, function, outer = trace.places[place]
    return (*chain_of(trace, outer), (label, line, function))


def line_events(recording: Recording) -> list[Event]:
    return [event for event in recording.trace.events if event.kind is Kind.LINE]


def told(main: Main, function: str = "") -> list[tuple[int, dict[str, str | None]]]:
    """Give lines, counted from the first of main's, with the changes that were seen there."""
    trace = (recording := execute(main, lines=True)).trace
    first = main.__code__.co_firstlineno  # type: ignore[attr-defined]
    return [
        (trace.places[event.place].line - first, dict(trace.locals[event.detail].changes))
        for event in line_events(recording)
        if function in trace.places[event.place].function
    ]


def test_every_line_is_told_with_what_changed_before_it() -> None:
    async def main() -> int:
        total = 0
        for n in (1, 2):
            total += n
        await asyncio.sleep(1)
        return total

    assert told(main) == [
        (1, {}),
        (2, {"total": "0"}),
        (3, {"n": "1"}),
        (2, {"total": "1"}),
        (3, {"n": "2"}),
        (2, {"total": "3"}),
        (4, {}),
        (5, {}),
    ]


def test_a_name_that_is_gone_is_told() -> None:
    async def main() -> None:
        path = ["a"]
        path.append("b")
        del path
        await asyncio.sleep(0)

    assert told(main) == [
        (1, {}),
        (2, {"path": "['a']"}),
        (3, {"path": "['a', 'b']"}),
        (4, {"path": None}),
    ]


def test_a_loop_of_one_line_is_told_each_time() -> None:
    async def main() -> None:
        seen: list[float] = []
        with contextlib.suppress(ZeroDivisionError):
            while True:
                seen.append(1 / (2 - len(seen)))

    assert [line for line, _ in told(main) if line == 4] == [4, 4, 4]


def test_a_statement_of_many_lines_is_told_once() -> None:
    """Python's versions do not agree on which of its lines they come to, and how often."""

    async def main() -> None:
        squares = [
            n * n
            for n in range(3)
            if n
        ]  # fmt: skip
        print(
            *squares,
            end="",
            file=None if squares else sys.stderr,
        )  # fmt: skip

    assert told(main) == [(1, {}), (6, {"squares": "[1, 4]"})]


def test_functions_that_are_called_are_told_too() -> None:
    def double(n: int) -> int:
        twice = n + n
        n = 0
        return n + twice

    async def main() -> int:
        return double(2) + double(3)

    trace = (recording := execute(main, lines=True)).trace
    assert [trace.locals[event.detail] for event in line_events(recording)] == [
        (True, ()),
        (True, (("n", "2"),)),
        (False, (("twice", "4"),)),
        (False, (("n", "0"),)),
        (True, (("n", "3"),)),
        (False, (("twice", "6"),)),
        (False, (("n", "0"),)),
    ]
    assert [
        function.rpartition(".")[2]
        for *_, function in chain_of(trace, line_events(recording)[1].place)
    ] == ["main", "double"]


def test_generators_that_take_turns_are_told_from_the_start() -> None:
    @contextlib.contextmanager
    def opened(name: str) -> Iterator[str]:
        state = f"{name} is open"
        yield state
        state = f"{name} is closed"
        del name

    async def main() -> None:
        with opened("a") as a, opened("b") as b:
            await asyncio.sleep(len(a + b))

    recording = execute(main, lines=True)
    closing = [recording.trace.locals[e.detail] for e in line_events(recording)][-4:]
    assert [dict(seen.changes).get("state") for seen in closing if seen.changes][-2:] == [
        "'a is open'",
        "'a is closed'",
    ]


def test_lines_are_their_tasks() -> None:
    async def job(n: int) -> None:
        await asyncio.sleep(n)
        await asyncio.sleep(n)

    async def main() -> None:
        await asyncio.gather(*(asyncio.create_task(job(n), name=f"job-{n}") for n in (1, 2)))

    recording = execute(main, lines=True)
    names = [recording.trace.tasks[event.task].name for event in line_events(recording)]
    assert names == ["main", "job-1", "job-2", "job-1", "job-2"]


def test_a_variable_that_holds_a_lock_or_a_task_names_it() -> None:
    async def main() -> None:
        gate = asyncio.Lock()
        other = asyncio.create_task(gate.acquire(), name="other")
        await other

    changes = [change for _, change in told(main)]
    assert changes[1:] == [{"gate": "<Lock gate>"}, {"other": "<Task other>"}]


def test_the_library_is_not_told() -> None:
    async def main() -> None:
        await asyncio.wait_for(asyncio.sleep(1), 5)
        assert Path("a/b").parent.name == "a"

    recording = execute(main, lines=True)
    labels = {recording.trace.places[event.place].label for event in line_events(recording)}
    assert labels == {"tests/engine/test_lines.py"}


def test_the_article_is_there_to_be_read() -> None:
    async def main() -> None:
        await with_timeout(asyncio.sleep(0), 1)

    recording = execute(main, lines=True)
    labels = {recording.trace.places[event.place].label for event in line_events(recording)}
    assert "deadlock_lab/article/timeout_race.py" in labels


class Loud:
    def __repr__(self) -> str:
        raise AssertionError("asked for its repr")


def test_no_repr_of_the_programs_is_called() -> None:
    async def main() -> str:
        loud = Loud()
        return type(loud).__name__

    assert told(main) == [(1, {}), (2, {"loud": "<Loud>"})]


def test_nothing_is_told_after_the_end() -> None:
    """What tasks do while they are cleared up is no part of the run."""
    swept = []

    async def main() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            swept.append(True)
            swept.append(True)

    recording = execute(main, lines=True)
    assert swept
    assert recording.outcome is Outcome.DEADLOCK
    assert len(line_events(recording)) == 2


def test_lines_are_told_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MAX_LINES", LIMIT)

    async def main() -> int:
        n = 0
        while n < 10_000:
            n += 1
        await asyncio.sleep(1)
        return n

    recording = execute(main, lines=True)
    lines = line_events(recording)
    assert recording.value == 10_000
    assert len(lines) == LIMIT + 1
    assert (lines[-1].place, lines[-1].detail) == (-1, -1)


def test_an_endless_loop_still_comes_to_its_end() -> None:
    async def main() -> None:
        n = 0
        while True:
            n = 1 - n

    recording = execute(main, lines=True, max_step_seconds=0.3)
    assert recording.outcome is Outcome.RUNAWAY
    assert "kept the loop busy" in recording.limit


def test_the_time_that_recording_takes_is_not_the_steps() -> None:
    async def main() -> int:
        many = [[n] * 9 for n in range(9)]
        a = b = c = d = e = f = many
        n = 0
        while n < 5_000:
            n += 1
        return n + len(a + b + c + d + e + f)

    assert execute(main, lines=True, max_step_seconds=0.7).outcome is Outcome.FINISHED


def test_a_recursion_without_end_fails_as_without_lines() -> None:
    def deeper(n: int) -> int:
        return deeper(n + 1)

    async def main() -> int:
        return deeper(0)

    recording = execute(main, lines=True)
    assert isinstance(recording.error, RecursionError)


def test_another_threads_lines_are_not_told() -> None:
    def work() -> None:
        for _ in range(100):
            begun.wait(0)
        begun.set()

    begun = threading.Event()
    thread = threading.Thread(target=work)

    async def main() -> None:
        begun.wait(5)

    thread.start()
    recording = execute(main, lines=True)
    thread.join()
    assert len(line_events(recording)) == 1


def test_what_began_before_the_run_is_not_told() -> None:
    """It may end in the midst of the run, when the garbage collector comes round."""
    ended = []

    def end() -> None:
        ended.append(True)

    class Dropped:
        def __del__(self) -> None:
            end()

    def generator() -> Iterator[None]:
        try:
            yield
        finally:
            end()

    old: list[Any] = [generator(), Dropped()]
    next(old[0])

    async def main() -> None:
        old.clear()

    recording = execute(main, lines=True)
    assert ended == [True, True]
    assert len(line_events(recording)) == 1


def test_a_run_within_a_run_has_its_own_lines() -> None:
    async def inner() -> int:
        one = 1
        return one + one

    async def main() -> Recording:
        return execute(inner, lines=True)

    outer = execute(main, lines=True)
    assert len(line_events(outer)) == 1
    assert len(line_events(outer.value)) == 2  # type: ignore[arg-type]


def test_afterwards_nobody_listens() -> None:
    async def main() -> None:
        await asyncio.sleep(0)

    assert len(line_events(execute(main, lines=True))) == 1
    assert line_events(execute(main)) == []
    assert sys.gettrace() is None
    if sys.version_info >= (3, 12):
        assert all(sys.monitoring.get_tool(n) is None for n in range(6))


def test_the_second_run_is_told_as_the_first() -> None:
    async def main() -> None:
        for n in range(3):
            await asyncio.sleep(n)

    assert execute(main, lines=True).trace == execute(main, lines=True).trace


def test_who_listens_already_is_not_put_out() -> None:
    async def main() -> None:
        await asyncio.sleep(0)

    with everybody_listening(), pytest.raises(RuntimeError, match="already listens"):
        execute(main, lines=True)


@contextlib.contextmanager
def everybody_listening() -> Iterator[None]:
    if sys.version_info < (3, 12):
        before = sys.gettrace()
        sys.settrace(lambda *_: None)
        try:
            yield
        finally:
            sys.settrace(before)
        return
    free = [n for n in range(6) if sys.monitoring.get_tool(n) is None]
    for number in free:
        sys.monitoring.use_tool_id(number, "another")
    try:
        yield
    finally:
        for number in free:
            sys.monitoring.free_tool_id(number)


def test_lines_can_be_told_after_a_run_on_another_thread() -> None:
    """That run's guard throws at its thread, and on 3.11 this could leave tracing hanging."""
    code = """
import asyncio, threading, deadlock_lab as lab
async def main(): await asyncio.sleep(1)
thread = threading.Thread(target=lab.run, args=(main,))
thread.start(); thread.join()
print(lab.run(main, lines=True).outcome)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "finished\n"


# -- nothing else is different -------------------------------------------------------


async def ring() -> None:
    tasks: list[asyncio.Task[Any]] = []

    async def follow(n: int) -> None:
        await asyncio.sleep(0)
        await tasks[(n + 1) % 3]

    tasks += [asyncio.create_task(follow(n), name=f"node-{n}") for n in range(3)]
    await asyncio.gather(*tasks)


async def bank() -> None:
    a, b = asyncio.Lock(), asyncio.Lock()

    async def pay(first: asyncio.Lock, second: asyncio.Lock) -> None:
        async with first:
            await asyncio.sleep(1)
            async with second:
                pass

    async with asyncio.TaskGroup() as group:
        group.create_task(pay(a, b))
        group.create_task(pay(b, a))


async def hidden() -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            await bank()


async def lost_signal() -> None:
    event, queue = asyncio.Event(), asyncio.Queue[int](1)
    await queue.put(1)
    putter = asyncio.create_task(queue.put(2))
    await asyncio.wait({putter, asyncio.create_task(event.wait())})


async def streams() -> list[int]:
    async def numbers(n: int) -> AsyncIterator[int]:
        for k in range(n):
            yield k
            await asyncio.sleep(0.1)

    return [n + k async for n in numbers(3) for k in [n async for n in numbers(2)]]


async def fails() -> None:
    async def bad() -> None:
        raise LookupError("no such thing")

    async with asyncio.TaskGroup() as group:
        group.create_task(bad())
        group.create_task(asyncio.sleep(9))


async def endless() -> None:
    while True:
        await asyncio.sleep(0.5)


async def dropped() -> None:
    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    asyncio.create_task(wait())
    gc.collect()
    await asyncio.sleep(1)


PROGRAMS = [ring, bank, hidden, lost_signal, streams, fails, endless, dropped]


@pytest.mark.parametrize("main", PROGRAMS)
def test_the_rest_of_the_trace_is_the_same_without_lines(main: Main) -> None:
    with_lines, without = execute(main, lines=True, max_steps=99), execute(main, max_steps=99)
    assert line_events(with_lines)
    assert placed(with_lines, with_lines.trace.events) == placed(without, without.trace.events)
    assert placed(with_lines, with_lines.trace.tasks) == placed(without, without.trace.tasks)
    for table in ("resources", "waits", "timers", "errors", "complaints"):
        assert getattr(with_lines.trace, table) == getattr(without.trace, table)


def placed(recording: Recording, rows: Iterable[Any]) -> list[Any]:
    """Give rows of a trace, without lines, and with places in full: their numbers differ."""
    return [
        row._replace(place=chain_of(recording.trace, row.place))
        for row in rows
        if getattr(row, "kind", None) is not Kind.LINE
    ]


@pytest.mark.parametrize("on_deadlock", ["stop", "break"])
@pytest.mark.parametrize("main", PROGRAMS)
def test_the_verdict_is_the_same_without_lines(main: Main, on_deadlock: Any) -> None:
    without, with_lines = (
        verdict(execute(main, lines=lines, max_steps=99, on_deadlock=on_deadlock))
        for lines in (False, True)
    )
    assert without == with_lines


def verdict(recording: Recording) -> Any:
    return {"text": explain(recording), **unnumbered(to_dict(recording))}


def unnumbered(data: Any) -> Any:
    """Leave out the numbers of events, which are others with lines between them."""
    if isinstance(data, dict):
        return {k: unnumbered(v) for k, v in data.items() if k not in ("event", "formed")}
    return [unnumbered(item) for item in data] if isinstance(data, list) else data
