"""``lab.run`` and what it returns."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import deadlock_lab as lab


async def answer() -> int:
    await asyncio.sleep(3600)
    return 42


async def fail() -> None:
    raise LookupError("no such user")


async def circle() -> None:
    tasks: dict[str, asyncio.Task[Any]] = {}

    async def follow(other: str) -> None:
        await asyncio.sleep(0.01)
        await tasks[other]

    for name, other in {"A": "B", "B": "C", "C": "A"}.items():
        tasks[name] = asyncio.create_task(follow(other), name=name)
    await tasks["A"]


async def lock_order() -> None:
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()

    async def pay(first: asyncio.Lock, second: asyncio.Lock) -> None:
        async with first:
            await asyncio.sleep(0.1)
            async with second:
                pass

    async with asyncio.TaskGroup() as group:
        group.create_task(pay(lock_a, lock_b), name="alice")
        group.create_task(pay(lock_b, lock_a), name="bob")


async def background_pair() -> str:
    tasks: list[asyncio.Task[Any]] = []

    async def wait_for_other(index: int) -> None:
        await tasks[1 - index]

    tasks += [asyncio.create_task(wait_for_other(n), name=f"pair{n}") for n in (0, 1)]
    await asyncio.sleep(1)
    return "done"


async def fails() -> None:
    raise LookupError("no tea")


def test_a_program_that_finishes_gives_its_value_in_virtual_time() -> None:
    run = lab.run(answer)
    assert (run.outcome, run.result(), run.seconds) == ("finished", 42, 3600.0)


def test_a_program_that_fails_raises_its_own_error_from_result() -> None:
    run = lab.run(fail)
    assert run.outcome is lab.Outcome.FAILED
    with pytest.raises(LookupError, match="no such user"):
        run.result()


def test_a_deadlock_names_its_cycle_and_every_stuck_task() -> None:
    run = lab.run(circle)
    assert run.outcome == "deadlock"
    assert run.waits.cycles() == [("A", "B", "C", "A")]
    assert run.stuck == ("main", "A", "B", "C")
    with pytest.raises(lab.DeadlockError, match="A → B → C → A"):
        run.result()


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        (
            asyncio.sleep(1, "done"),
            "<Run finished: returned 'done' (4 steps, 1 s of virtual time)>",
        ),
        (fails(), "<Run failed: main raised LookupError: no tea (2 steps, 0 s of virtual time)>"),
        (
            asyncio.Event().wait(),
            "<Run deadlock: main can never go on (1 step, 0 s of virtual time)>",
        ),
        (
            asyncio.sleep(10**9),
            "<Run runaway: the next timer is due at 1000000000 s, beyond max_time=86400 "
            "(1 step, 0 s of virtual time)>",
        ),
    ],
    ids=["finished", "failed", "deadlock", "runaway"],
)
def test_a_run_is_told_in_one_line_however_it_ended(main: Any, expected: str) -> None:
    assert repr(lab.run(main)) == expected


def test_an_explanation_is_the_same_text_every_time() -> None:
    first = circle.__code__.co_firstlineno
    here = Path(__file__).relative_to(Path.cwd()).as_posix() + " line"
    assert str(lab.run(circle)) == "\n".join(
        [
            "Deadlock: 4 tasks wait for ever, after 10 steps, 0.01 s of virtual time.",
            "",
            "The cycle: A → B → C → A",
            "  A waits for task B",
            f"      {here} {first + 5}, in follow: await tasks[other]",
            "  B waits for task C",
            f"      {here} {first + 5}, in follow: await tasks[other]",
            "  C waits for task A",
            f"      {here} {first + 5}, in follow: await tasks[other]",
            "",
            "Waiting behind it:",
            "  main waits for task A",
            f'      {here} {first + 9}, in circle: await tasks["A"]',
            "",
            "The kind: await cycle",
            "  Why: each of them awaits the next, so none can be the first to end.",
            "  To break it: let one of them do its work without the result of the next.",
            "",
            "The ready queue is empty and no timer is set: nothing can ever wake them.",
        ]
    )


def test_an_explanation_names_the_holders_of_both_locks() -> None:
    text = lab.run(lock_order).explain()
    assert "alice waits to take lock_b (Lock), held by bob; it holds lock_a (Lock)" in text
    assert "bob waits to take lock_a (Lock), held by alice; it holds lock_b (Lock)" in text


def test_tasks_that_are_stuck_beside_a_main_that_finished_are_told() -> None:
    run = lab.run(background_pair)
    assert (run.outcome, run.result()) == ("finished", "done")
    assert run.stuck == ("pair0", "pair1")
    assert "pair0 and pair1 can never go on" in run.explain()


def test_a_timeout_that_could_not_cancel_is_told() -> None:
    async def guarded() -> None:
        async with asyncio.timeout(1):
            await circle()

    run = lab.run(guarded)
    assert (run.outcome, run.seconds) == ("deadlock", 1.0)
    assert "a cycle of tasks cannot be cancelled" in run.explain()


def test_a_failure_that_nobody_looked_at_is_told() -> None:
    async def drop() -> None:
        asyncio.create_task(fail(), name="dropped")
        await asyncio.sleep(1)

    text = lab.run(drop).explain()
    assert "from dropped" in text
    assert "LookupError: no such user" in text


def test_a_runaway_says_which_limit_it_met() -> None:
    async def forever() -> None:
        while True:
            await asyncio.sleep(0)

    run = lab.run(forever, max_steps=50)
    assert run.outcome == "runaway"
    with pytest.raises(lab.RunawayError, match="still busy after 50 steps"):
        run.result()


def test_lines_are_recorded_where_one_asks_for_them() -> None:
    run, plain = lab.run(lock_order, lines=True), lab.run(lock_order)
    assert len(run.trace.events) > len(plain.trace.events)
    assert str(run) == str(plain)


def test_a_coroutine_can_be_run_in_place_of_a_function() -> None:
    assert lab.run(answer()).result() == 42


@pytest.mark.parametrize(
    ("main", "says"),
    [
        (3, "needs an async function or a coroutine, but 3"),
        (None, "needs an async function or a coroutine"),
        (lambda: 5, "returned 5"),
        (lambda a: a, "without arguments"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(main: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        lab.run(main)


def test_a_coroutine_cannot_be_run_twice() -> None:
    coro = answer()
    lab.run(coro)
    with pytest.raises(ValueError, match="has been run already"):
        lab.run(coro)


@pytest.mark.parametrize("limit", ["max_steps", "max_time", "max_step_seconds"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "5", True, None])
def test_a_limit_that_is_no_positive_number_is_refused(limit: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=limit):
        lab.run(answer, **{limit: value})


def test_a_run_shows_itself_as_player_picture_and_text() -> None:
    bundle, metadata = lab.run(circle)._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "image/png", "text/html"}
    assert bundle["text/plain"].startswith("Deadlock: 4 tasks")
    assert "A → B → C → A" in metadata["image/png"]["alt"]


def test_the_widget_shows_itself_as_player_picture_and_text() -> None:
    bundle, metadata = lab.run(circle).play()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "image/png", "application/vnd.jupyter.widget-view+json"}
    assert bundle["text/plain"].startswith("Deadlock: 4 tasks")
    assert "A → B → C → A" in metadata["image/png"]["alt"]


def test_a_run_is_drawn_and_saved(tmp_path: Path) -> None:
    run = lab.run(circle)
    run.save_html(tmp_path / "circle.html")
    assert "circle" in (tmp_path / "circle.html").read_text(encoding="utf-8")
    assert run.timeline().axes
    assert run.wait_graph().axes
    assert run.play(3).position == 3


def test_without_the_lab_extra_a_run_still_shows_its_text() -> None:
    code = """
import sys
sys.modules["anywidget"] = sys.modules["matplotlib"] = None
import asyncio, deadlock_lab as lab
async def main(): await asyncio.Event().wait()
print(lab.run(main)._repr_mimebundle_()["text/plain"].splitlines()[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "Deadlock: 1 task waits for ever, after 1 step, 0 s of virtual time.\n"
