"""What a guarded call costs over the bare one, at several depths. Aim: 3 µs at most."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from deadlock_lab.patterns.guard import Path, guard

RANDOM = random.Random(1)
KEYS = [RANDOM.getrandbits(60) for _ in range(5_000)]
ROUNDS = 3


async def bare(number: int) -> int:
    return number


by_key = guard(key=lambda number: number)(bare)
by_arguments = guard()(bare)


async def by_hand(number: int, path: Path) -> int:
    path.enter(number)
    return number


async def microseconds(call: Callable[[int], Awaitable[object]]) -> float:
    """Take the best round of calls with many keys, since a key may be lucky in its hash."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for key in KEYS:
            await call(key)
        best = min(best, time.perf_counter() - begin)
    return best / len(KEYS) * 1e6


async def measure(depth: int) -> dict[str, float]:
    """Measure at the inner end of a path of `depth` guarded tasks."""

    @guard(key=lambda level, _: level)
    async def descend(level: int, path: Path) -> dict[str, float]:
        if level:
            return await asyncio.create_task(descend(level - 1, path.enter(-1 - level)))
        return {
            "bare": await microseconds(bare),
            "key function": await microseconds(by_key),
            "all arguments": await microseconds(by_arguments),
            "path by hand": await microseconds(lambda key: by_hand(key, path)),
        }

    return await descend(depth, Path())


def main() -> None:
    print(f"{'depth':>6}  {'form':<14}{'µs/call':>8}{'over bare':>11}  aim ≤ 3 µs")
    for depth in (1, 10, 100, 1_000, 3_000):
        times = asyncio.run(measure(depth))
        base = times.pop("bare")
        for form, cost in times.items():
            over = cost - base
            verdict = "met" if over <= 3 else "missed"
            print(f"{depth:>6}  {form:<14}{cost:>8.2f}{over:>+11.2f}  {verdict}")


if __name__ == "__main__":
    main()
