"""The tracker refuses circles of any length, before they start, and forgets what has ended."""

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from deadlock_lab.patterns.errors import CircularDependencyError
from deadlock_lab.patterns.tracker import ActiveOperation, AsyncDependencyTracker, TrackerSnapshot

Main = Callable[[AsyncDependencyTracker], Awaitable[Any]]


def run(main: Main) -> Any:
    """Run a program on a tracker of its own, which must be empty afterwards."""
    tracker = AsyncDependencyTracker()
    with asyncio.Runner() as runner:
        try:
            return runner.run(main(tracker))
        finally:
            assert tracker.active_operations == {}
            assert tracker.dependency_graph == {}
            assert tracker._ids == {}


async def nothing() -> None:
    await asyncio.sleep(0)


def test_an_operation_gives_its_result() -> None:
    async def fetch() -> str:
        return "Ada"

    assert run(lambda tracker: tracker.track_operation("fetch", fetch)) == "Ada"


def test_an_operation_that_declares_itself_is_refused() -> None:
    with pytest.raises(CircularDependencyError) as caught:
        run(lambda tracker: tracker.track_operation("A", nothing, ["A"]))
    assert caught.value.cycle == ("A", "A")


def test_a_circle_of_three_that_waits_by_declaration_is_refused_and_named() -> None:
    started = []

    async def main(tracker: AsyncDependencyTracker) -> None:
        async def wait() -> None:
            await asyncio.sleep(0.001)

        async with asyncio.TaskGroup() as group:
            group.create_task(tracker.track_operation("A", wait, ["B"]))
            group.create_task(tracker.track_operation("B", wait, ["C"]))
            await asyncio.sleep(0)
            with pytest.raises(CircularDependencyError) as caught:
                await tracker.track_operation("C", lambda: started.append("C"), ["A"])  # type: ignore[arg-type, func-returns-value]
            assert caught.value.cycle == ("C", "A", "B", "C")

    run(main)
    assert started == []


def test_the_articles_own_example_is_refused_in_its_first_round() -> None:
    calls = []

    async def main(tracker: AsyncDependencyTracker) -> None:
        async def process(user: int) -> list[None]:
            return await tracker.track_operation(
                f"process-user-{user}", lambda: actually_process(user), [f"fetch-user-{user}"]
            )

        async def actually_process(user: int) -> list[None]:
            calls.append(user)
            return await asyncio.gather(nothing(), nothing(), audit(user))

        async def audit(user: int) -> None:
            await asyncio.sleep(0)
            await process(user)

        with pytest.raises(CircularDependencyError) as caught:
            await process(7)
        assert caught.value.cycle == ("process-user-7", "process-user-7")

    run(main)
    assert calls == [7]


def test_a_circle_through_an_operation_in_between_names_it() -> None:
    async def main(tracker: AsyncDependencyTracker) -> None:
        async def process() -> None:
            await tracker.track_operation("process", audit)

        async def audit() -> None:
            await tracker.track_operation("audit", process)

        with pytest.raises(CircularDependencyError) as caught:
            await process()
        assert caught.value.cycle == ("process", "audit", "process")

    run(main)


def test_two_requests_that_meet_head_on_are_stopped() -> None:
    async def main(tracker: AsyncDependencyTracker) -> None:
        async def load(first: int, second: int) -> None:
            async def inside() -> None:
                await asyncio.sleep(0)
                await tracker.track_operation(second, nothing)

            await tracker.track_operation(first, inside)

        outcome = await asyncio.gather(load(6, 7), load(7, 6), return_exceptions=True)
        assert [type(each) for each in outcome] == [CircularDependencyError, type(None)] or [
            type(each) for each in outcome
        ] == [type(None), CircularDependencyError]

    run(main)


def test_a_diamond_and_siblings_are_no_circle() -> None:
    async def main(tracker: AsyncDependencyTracker) -> None:
        async def branch(name: str) -> None:
            await tracker.track_operation(name, lambda: tracker.track_operation("base", nothing))

        async def top() -> None:
            await asyncio.gather(branch("left"), branch("right"), branch("left"))

        await tracker.track_operation("top", top, ["base"])

    run(main)


def test_one_id_may_run_many_times_and_the_first_to_end_does_not_delete_the_others() -> None:
    async def main(tracker: AsyncDependencyTracker) -> None:
        gate = asyncio.Event()
        slow = asyncio.create_task(tracker.track_operation("A", gate.wait, ["B"]))
        await tracker.track_operation("A", nothing, ["B"])
        assert tracker.active_operations["A"].count == 1
        assert tracker.would_create_cycle("B", ["A"]) == ("B", "A", "B")
        gate.set()
        await slow
        assert tracker.would_create_cycle("B", ["A"]) == ()

    run(main)


def test_work_nobody_waits_for_may_start_its_own_kind_again() -> None:
    async def main(tracker: AsyncDependencyTracker) -> None:
        async def once() -> None:
            await tracker.track_operation("poll", nothing, detached=True)

        await tracker.track_operation("poll", once)

    run(main)


def test_an_inner_operation_that_outlives_its_outer_one_counts_for_the_next_one_out() -> None:
    async def main(tracker: AsyncDependencyTracker) -> None:
        async def top() -> None:
            async with asyncio.TaskGroup() as group:

                async def start() -> None:
                    group.create_task(tracker.track_operation("inner", inner))
                    await asyncio.sleep(0)

                await tracker.track_operation("middle", start)
                assert tracker.dependency_graph == {"top": ("inner",), "inner": ()}

        async def inner() -> None:
            await asyncio.sleep(0.001)
            assert tracker.would_create_cycle("top") == ("top", "inner", "top")

        await tracker.track_operation("top", top)

    run(main)


def test_a_task_that_outlives_every_operation_round_it_starts_afresh() -> None:
    async def main(tracker: AsyncDependencyTracker) -> None:
        tasks = []

        async def later() -> None:
            await asyncio.sleep(0.001)
            await tracker.track_operation("A", nothing)

        async def leave() -> None:
            tasks.append(asyncio.create_task(later()))

        await tracker.track_operation("A", leave)
        await tasks[0]

    run(main)


def test_a_refusal_takes_back_every_edge_it_had_drawn() -> None:
    async def main(tracker: AsyncDependencyTracker) -> None:
        async def inside() -> None:
            before = tracker.dependency_graph
            with pytest.raises(CircularDependencyError):
                await tracker.track_operation("C", nothing, ["D", "E", "A", "F"])
            assert tracker.dependency_graph == before
            assert set(tracker._ids) == {"A", "B"}

        await tracker.track_operation("A", inside, ["B"])

    run(main)


@pytest.mark.parametrize("how", ["fails", "is cancelled", "is closed"])
def test_nothing_is_left_behind_when_an_operation(how: str) -> None:
    async def main(tracker: AsyncDependencyTracker) -> None:
        async def inside() -> None:
            if how == "fails":
                raise ZeroDivisionError
            await asyncio.sleep(60)

        work = tracker.track_operation("A", lambda: tracker.track_operation("B", inside), ["C"])
        if how == "is closed":
            work.send(None)
            work.close()
            return
        task = asyncio.create_task(work)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises((ZeroDivisionError, asyncio.CancelledError)):
            await task

    run(main)


def test_an_operation_may_end_in_another_context_than_it_began_in() -> None:
    async def main(tracker: AsyncDependencyTracker) -> None:
        async def work() -> None:
            await asyncio.sleep(60)

        operation = tracker.track_operation("A", work)
        operation.send(None)

        async def close() -> None:
            operation.close()

        await asyncio.create_task(close())
        assert tracker.active_operations == {}
        await tracker.track_operation("A", nothing)

    run(main)


def test_ages_are_told_in_seconds_of_the_loop() -> None:
    async def main(tracker: AsyncDependencyTracker) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()

        async def look() -> None:
            await asyncio.sleep(0.01)
            operation = tracker.active_operations["A"]
            assert 0.005 <= operation.age <= loop.time() - start
            assert operation.ages == (operation.age,)

        await tracker.track_operation("A", look)

    run(main)


def test_a_snapshot_stays_as_it_was_and_shows_a_diamond_once() -> None:
    async def main(tracker: AsyncDependencyTracker) -> TrackerSnapshot:
        async def look() -> TrackerSnapshot:
            return tracker.snapshot()

        return await tracker.track_operation(
            "top", lambda: tracker.track_operation("left", look, ["db"]), ["right"]
        )

    snapshot = run(main)
    assert snapshot.edges == (("top", "right"), ("top", "left"), ("left", "db"))
    assert snapshot.nodes == ("top", "left", "right", "db")
    assert str(snapshot).splitlines()[0].startswith("top")

    operations = {name: ActiveOperation((1.0,), waits) for name, waits in DIAMOND.items()}
    assert str(TrackerSnapshot(operations)).splitlines() == [
        "1  1.00 s",
        "├─ 2  1.00 s",
        "│  └─ 4  1.00 s",
        "│     └─ 5  not running",
        "└─ 3  1.00 s",
        "   └─ 4  1.00 s  (see above)",
    ]


DIAMOND: dict[int, tuple[int, ...]] = {1: (2, 3), 2: (4,), 3: (4,), 4: (5,)}


def test_a_mermaid_label_cannot_break_out_of_its_quotes() -> None:
    text = TrackerSnapshot({'say "#1"\n<b>': ActiveOperation((0.0,), ())}).to_mermaid()
    assert text.splitlines()[1] == '    n0["say #34;#35;1#34;#10;#60;b#62;  0.00 s"]'


def test_a_notebook_gets_the_drawing_beside_the_text() -> None:
    busy, idle = TrackerSnapshot({"A": ActiveOperation((1.0,), ("B",))}), TrackerSnapshot({})
    assert busy._repr_mimebundle_() == {
        "text/plain": str(busy),
        "text/vnd.mermaid": busy.to_mermaid(),
    }
    assert idle._repr_mimebundle_() == {"text/plain": "no operation is running"}


def test_a_deep_drawing_goes_on_at_the_margin() -> None:
    operations = {number: ActiveOperation((1.0,), (number + 1,)) for number in range(30)}
    lines = str(TrackerSnapshot(operations)).splitlines()
    assert [line.strip("└─ ") for line in lines[20:25]] == [
        "20  1.00 s",
        "21  1.00 s  (see below)",
        "21  1.00 s",
        "22  1.00 s",
        "23  1.00 s",
    ]
    assert lines[22] == "21  1.00 s"


def test_a_chain_of_ten_thousand_is_drawn_and_checked_without_recursion() -> None:
    async def main(tracker: AsyncDependencyTracker) -> None:
        gate = asyncio.Event()
        tasks = [
            asyncio.create_task(tracker.track_operation(number, gate.wait, [number + 1]))
            for number in range(10_000)
        ]
        await asyncio.sleep(0)
        cycle = tracker.would_create_cycle(10_000, [0])
        assert len(cycle) == 10_002
        assert len(str(tracker.snapshot()).splitlines()) > 10_000
        gate.set()
        await asyncio.gather(*tasks)

    run(main)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], nothing), r"id must be hashable, and \[\] is not"),
        (("A", nothing, [{}]), r"id must be hashable, and \{\} is not"),
        (("A", nothing, "BC"), r"not the one string 'BC'; write \['BC'\]"),
        (("A", nothing, 7), r"collection of ids, not 7"),
        (("A", "nothing"), r"operation 'A' must be a function .* not 'nothing'"),
        (("A", lambda: 7), r"operation 'A' must return an awaitable, and returned 7"),
    ],
)
def test_bad_input_is_named(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        run(lambda tracker: tracker.track_operation(*arguments))


def test_a_coroutine_instead_of_a_function_is_refused_and_closed() -> None:
    with pytest.raises(TypeError, match=r"the coroutine nothing\(\) instead of a function"):
        run(lambda tracker: tracker.track_operation("A", nothing()))  # type: ignore[arg-type]
    gc.collect()


def test_a_coroutine_that_an_operation_returns_by_mistake_is_named_and_closed() -> None:
    async def forgot() -> Any:
        return nothing()

    with pytest.raises(TypeError, match=r"write return await nothing\(\.\.\.\)"):
        run(lambda tracker: tracker.track_operation("A", forgot))
    gc.collect()


def test_the_same_coroutine_handed_in_twice_fails_the_second_time() -> None:
    async def main(tracker: AsyncDependencyTracker) -> None:
        coroutine = nothing()
        await tracker.track_operation("A", lambda: coroutine)
        with pytest.raises(RuntimeError, match="already awaited"):
            await tracker.track_operation("A", lambda: coroutine)

    run(main)


async def one(tracker: AsyncDependencyTracker, number: int) -> None:
    async def body() -> None:
        if number % 5 == 0:
            raise ZeroDivisionError
        await asyncio.sleep(0)
        needs = ["outer", number] if number % 7 == 0 else [f"db-{number % 3}"]
        await tracker.track_operation(f"inner-{number % 11}", nothing, needs)

    await tracker.track_operation("outer", body, [f"cache-{number % 13}"])


async def batch(tracker: AsyncDependencyTracker, numbers: range) -> None:
    tasks = [asyncio.create_task(one(tracker, number)) for number in numbers]
    await asyncio.sleep(0)
    for task in tasks[::10]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def used() -> int:
    await asyncio.sleep(0)  # this step's own handle still holds the last batch
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_a_hundred_thousand_operations_of_every_fate_leave_nothing() -> None:
    async def main(tracker: AsyncDependencyTracker) -> None:
        for start in range(0, 34_000, 2_000):  # each one is two operations
            await batch(tracker, range(start, start + 2_000))
        tracemalloc.start()  # it makes everything slower, so it looks at the last third
        try:
            await batch(tracker, range(2_000))
            before = await used()
            for start in range(36_000, 50_000, 2_000):
                await batch(tracker, range(start, start + 2_000))
            assert await used() - before < 20_000
        finally:
            tracemalloc.stop()

    run(main)
