"""How fast the resolver is, beside what people use instead; every ratio is from this one run."""

import asyncio
import gc
import graphlib
import random
import time
from collections.abc import Awaitable, Callable

from aiodataloader import DataLoader
from async_lru import alru_cache

from deadlock_lab.patterns.resolver import AsyncResolver

ROUNDS = 5
HITS = 100_000
CALLERS = 10_000
NODES = 10_000

Work = Callable[[], Awaitable[None]]


async def best(*works: Work) -> list[float]:
    """Give the shortest of some rounds of each, in seconds; a round lets each have its turn."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, taken in zip(works, seconds, strict=True):
            gc.collect()
            start = time.perf_counter()
            await work()
            taken.append(time.perf_counter() - start)
    return [min(taken) for taken in seconds]


def report(what: str, ours: float, theirs: float, count: int, peer: str) -> None:
    print(
        f"{what:<52}{ours / count * 1e6:9.2f} µs{theirs / count * 1e6:9.2f} µs"
        f"{theirs / ours:8.2f}×  {peer}"
    )


async def compute() -> int:
    await asyncio.sleep(0)
    return 42


async def compute_for(key: str) -> int:
    return await compute()


async def cached() -> None:
    resolver, expiring = AsyncResolver(), AsyncResolver(ttl=3600)
    resolver.provides("key")(compute)
    expiring.provides("key")(compute)
    lru = alru_cache(maxsize=None)(compute_for)
    lru_ttl = alru_cache(maxsize=None, ttl=3600)(compute_for)
    loader = DataLoader(load_fn)

    def hits(call: Callable[[str], Awaitable[object]]) -> Work:
        async def work() -> None:
            for _ in range(HITS):
                await call("key")

        return work

    calls = (resolver.resolve, lru, loader.load, expiring.resolve, lru_ttl)
    ours, async_lru, dataloader, ours_ttl, async_lru_ttl = await best(*map(hits, calls))
    report("a cached value", ours, async_lru, HITS, "async-lru")
    report("a cached value", ours, dataloader, HITS, "aiodataloader")
    report("a cached value that expires", ours_ttl, async_lru_ttl, HITS, "async-lru")
    await lru_ttl.cache_close()


async def load_fn(keys: list[str]) -> list[int]:
    await asyncio.sleep(0)
    return [42 for _ in keys]


async def shared() -> None:
    async def ours() -> None:
        resolver = AsyncResolver()
        await asyncio.gather(*(resolver.resolve("key", compute) for _ in range(CALLERS)))

    async def async_lru() -> None:
        lru = alru_cache(maxsize=None)(compute_for)
        await asyncio.gather(*(lru("key") for _ in range(CALLERS)))

    async def dataloader() -> None:
        loader = DataLoader(load_fn)

        async def load() -> int:  # or gather() would wait for the one future once
            return await loader.load("key")

        await asyncio.gather(*(load() for _ in range(CALLERS)))

    mine, lru_took, loader_took = await best(ours, async_lru, dataloader)
    report("10,000 callers of one computation", mine, lru_took, CALLERS, "async-lru")
    report("10,000 callers of one computation", mine, loader_took, CALLERS, "aiodataloader")


def layered() -> dict[int, list[int]]:
    """Each node needs three of the hundred before it."""
    rng = random.Random(7)
    return {
        node: rng.sample(range(max(0, node - 100), node), min(3, node)) for node in range(NODES)
    }


def wide() -> dict[int, list[int]]:
    """One node needs all the others, and nothing else."""
    return {node: [] for node in range(NODES - 1)} | {NODES - 1: list(range(NODES - 1))}


async def dag(name: str, needs: dict[int, list[int]], *, longest: float = 0) -> None:
    """Compare both on one graph, whose values take up to ``longest`` seconds."""
    rng = random.Random(7)

    async def node(*_: int) -> int:
        await asyncio.sleep(longest * rng.random())
        return 1

    def declared() -> AsyncResolver:
        resolver = AsyncResolver()
        for key, wanted in needs.items():
            resolver.provides(key, depends_on=wanted)(node)
        return resolver

    unused = [declared() for _ in range(ROUNDS)]  # declared once, as in a program
    roots = set(needs) - {need for wanted in needs.values() for need in wanted}

    async def ours() -> None:
        resolver = unused.pop()
        await asyncio.gather(*map(resolver.resolve, roots))
        assert len(resolver.resolution_cache) == NODES

    async def graphlib_and_gather() -> None:
        done: dict[int, int] = {}

        async def compute_one(key: int) -> None:
            done[key] = await node(*[done[need] for need in needs[key]])

        order = graphlib.TopologicalSorter(needs)
        order.prepare()
        while order.is_active():
            ready = order.get_ready()
            await asyncio.gather(*map(compute_one, ready))
            order.done(*ready)
        assert len(done) == NODES

    mine, theirs = await best(ours, graphlib_and_gather)
    report(f"a graph of 10,000 values, {name}", mine, theirs, NODES, "graphlib + gather")


async def benchmarks() -> None:
    print(f"{'':<52}{'ours':>12}{'theirs':>12}{'ratio':>9}")
    await cached()
    await shared()
    await dag("layered", layered())
    await dag("wide", wide())
    await dag("layered, up to 5 ms each", layered(), longest=0.005)


def main() -> None:
    """Print what each thing costs, per call, here and there; a ratio above 1 is in our favour."""
    asyncio.run(benchmarks())


if __name__ == "__main__":
    main()
