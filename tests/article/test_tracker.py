"""The tracker catches declared circles of two, and no others."""

import asyncio

import pytest

import deadlock_lab as lab
from deadlock_lab.article import reentry
from deadlock_lab.article.tracker import AsyncDependencyTracker


async def all_at_once(tracker, declared):
    """Start an operation for each id, in order; tell which of them were refused."""

    async def one(operation_id, dependencies):
        await tracker.track_operation(operation_id, lambda: asyncio.sleep(1), dependencies)

    outcomes = await asyncio.gather(
        *(one(*each) for each in declared.items()), return_exceptions=True
    )
    return [each for each, outcome in zip(declared, outcomes, strict=True) if outcome]


@pytest.mark.parametrize(
    ("declared", "refused"),
    [
        ({"A": ["B"], "B": ["A"]}, ["B"]),
        ({"A": ["B"], "B": ["C"], "C": ["A"]}, []),
        ({"A": ["A"]}, []),
    ],
    ids=["a circle of two", "of three", "of one"],
)
def test_only_a_circle_of_two_is_refused(declared, refused):
    run = lab.run(lambda: all_at_once(AsyncDependencyTracker(), declared))

    assert run.result() == refused


def test_the_articles_own_example_is_let_through_each_time_round():
    tracker = AsyncDependencyTracker()
    depth = 0

    async def process_user_data(user_id):
        return await tracker.track_operation(
            f"process-user-{user_id}", lambda: actual(user_id), [f"fetch-user-{user_id}"]
        )

    async def actual(user_id):
        nonlocal depth
        depth += 1
        await reentry.fetch_user(user_id)
        return await asyncio.create_task(process_user_data(user_id))  # by way of the audit

    run = lab.run(lambda: process_user_data(42), max_steps=3_000)

    assert run.outcome == "runaway"
    assert depth > 201


def test_the_first_of_two_operations_with_one_id_takes_out_the_seconds_entry():
    tracker = AsyncDependencyTracker()

    async def main():
        short = asyncio.create_task(tracker.track_operation("A", lambda: asyncio.sleep(1)))
        long = asyncio.create_task(tracker.track_operation("A", lambda: asyncio.sleep(2)))
        await short
        seen = dict(tracker.active_operations)
        await long
        return seen

    assert lab.run(main).result() == {}


def test_the_graph_is_never_written_to():
    tracker = AsyncDependencyTracker()

    async def look():
        return dict(tracker.dependency_graph), list(tracker.active_operations)

    run = lab.run(lambda: tracker.track_operation("A", look, ["B"]))

    assert run.result() == ({}, ["A"])


def test_an_operation_that_fails_is_taken_out():
    tracker = AsyncDependencyTracker()

    async def fail():
        raise ValueError("no")

    assert lab.run(lambda: tracker.track_operation("A", fail)).outcome == "failed"
    assert tracker.active_operations == {}
