"""What the tracker's check costs beside a search of the whole graph, and how it grows."""

import asyncio
import time
from collections.abc import Callable

import networkx

from deadlock_lab.patterns.tracker import AsyncDependencyTracker

ROUNDS = 5
ACTIVE = (100, 1_000, 10_000, 100_000)


def best(work: Callable[[], None], times: int) -> float:
    """Give the shortest of some rounds, in seconds for each time."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(times):
            work()
        seconds.append(time.perf_counter() - start)
    return min(seconds) / times


async def busy_tracker(active: int) -> tuple[AsyncDependencyTracker, asyncio.Event]:
    """Start operations that have nothing to do with ours: pairs, and a hub that all wait for."""
    tracker, gate = AsyncDependencyTracker(), asyncio.Event()
    for number in range(active):
        needs = [("part", number), ("op", number - 1)] if number % 2 else ["db"]
        asyncio.create_task(tracker.track_operation(("op", number), gate.wait, needs))
    await asyncio.sleep(0)
    assert len(tracker.active_operations) == active
    return tracker, gate


def busy_graph(active: int) -> networkx.DiGraph:
    graph = networkx.DiGraph()
    for number in range(active):
        needs = [("part", number), ("op", number - 1)] if number % 2 else ["db"]
        graph.add_edges_from((("op", number), need) for need in needs)
    return graph


def insert(graph: networkx.DiGraph) -> None:
    graph.add_edges_from([("new", "cache"), ("new", "queue")])
    try:
        networkx.find_cycle(graph)
    except networkx.NetworkXNoCycle:
        graph.remove_node("new")
    else:
        raise AssertionError("there is no cycle in there")


async def run_one(tracker: AsyncDependencyTracker) -> float:
    """Time a whole operation, from the check to the clean-up, in seconds."""

    async def nothing() -> None:
        pass

    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(1_000):
            await tracker.track_operation("new", nothing, ["cache", "queue"])
        seconds.append(time.perf_counter() - start)
    return min(seconds) / 1_000


async def benchmarks() -> None:
    print(f"{'active':>8}{'check':>12}{'operation':>12}{'networkx':>14}{'ratio':>10}")
    checks = []
    for active in ACTIVE:
        tracker, gate = await busy_tracker(active)
        check = best(lambda: tracker.would_create_cycle("new", ["cache", "queue"]), 1_000)  # noqa: B023
        operation = await run_one(tracker)
        gate.set()
        await asyncio.sleep(0)
        graph = busy_graph(active)
        theirs = best(lambda: insert(graph), 1) if active <= 10_000 else float("nan")  # noqa: B023
        checks.append(check)
        print(
            f"{active:>8,}{check * 1e6:9.2f} µs{operation * 1e6:9.2f} µs"
            f"{theirs * 1e6:11.2f} µs{theirs / check:9.0f}×"
        )
    print(
        f"from {ACTIVE[0]:,} to {ACTIVE[-1]:,} active: {checks[-1] / checks[0]:.2f} times the cost"
    )


def main() -> None:
    """Print a row for each number of active operations; the ratio is networkx over our check."""
    asyncio.run(benchmarks())


if __name__ == "__main__":
    main()
