"""What a schedule costs to try, and how many it takes to find a freeze, beside peers.

detangle, simloom and simloop reorder what is ready; seedloop does not; detangle can make
timers late as well, and is asked to. Plain asyncio runs the same program in real time, so it
gets the one without sleeps.
"""

import asyncio
import importlib.util
import statistics
import sys
import time

import deadlock_lab as lab

SECONDS = 0.5  # that each contender may run in a round
ROUNDS = 3
SEEDS = range(1, 10)
MOST = 500  # schedules in which a freeze has to be found


def small(pause):
    """Three tasks take two locks in one order."""

    async def main():
        a, b = asyncio.Lock(), asyncio.Lock()

        async def work(n):
            await asyncio.sleep(pause * n)
            async with a:
                await asyncio.sleep(pause)
                async with b:
                    pass

        await asyncio.gather(work(1), work(2), work(3))

    return main


def large(pause, rounds):
    """Ten tasks and one lock; a round is two or three steps of each."""

    async def main():
        lock = asyncio.Lock()

        async def work(n):
            for _ in range(rounds):
                await asyncio.sleep(pause * n)
                async with lock:
                    await asyncio.sleep(pause)

        await asyncio.gather(*map(work, range(1, 11)))

    return main


def inversion(first, second):
    """Freeze if one task holds its first lock while the other takes its own.

    Each sleeps for some times before; naturally, the first is through by then.
    """

    async def main():
        a, b = asyncio.Lock(), asyncio.Lock()

        async def transfer(delay, x, y):
            for part in delay:
                await asyncio.sleep(part)
            async with x:
                await asyncio.sleep(0.01)
                async with y:
                    pass

        await asyncio.gather(transfer(first, a, b), transfer(second, b, a))

    return main


def ours(program, runs):
    return lab.explore(program, runs=runs, strategy="random", progress=False)


def ours_systematic(program, runs):
    return lab.explore(program, runs=runs, strategy="systematic", progress=False)


def detangle(program, runs):
    import detangle as peer

    peer.explore(program, runs=runs, database=False, config=peer.SimConfig(timer_jitter=1.0))


def simloom(program, runs):
    import simloom as peer

    peer.explore(program, runs=runs, stop_on_failure=False)


def simloop(program, runs):
    import simloop as peer

    peer.explore(program, range(runs))


def seedloop(program, runs):
    import seedloop as peer

    peer.check(lambda world: program(), seeds=runs)


def plain(program, runs):
    for _ in range(runs):
        asyncio.run(program())


def first_of_ours(program, seed):
    return lab.explore(program, runs=MOST, seed=seed, until_found=True, progress=False).first_at


def first_of_detangle(program, seed):
    import detangle as peer

    config = peer.SimConfig(timer_jitter=1.0)
    try:
        peer.explore(program, runs=MOST, seed=seed, database=False, shrink=False, config=config)
    except peer.BugFound as found:
        return found.report.runs
    return 0


def first_of_simloom(program, seed):
    import simloom as peer

    start = seed * MOST
    found = peer.explore(program, runs=MOST, start_seed=start).first_failure
    return found.seed - start + 1 if found else 0


def first_of_simloop(program, seed):
    import simloop as peer

    found = peer.explore(program, range(seed * MOST, (seed + 1) * MOST))
    return found.seeds_passed + 1 if found else 0


def per_second(run, program):
    """Measure schedules in a second, with as many as fill the time, or as there are."""
    runs, rates = 8, []
    while len(rates) < ROUNDS:
        began = time.perf_counter()
        found = run(program, runs)
        took = time.perf_counter() - began
        tried = sum(found.runs.values()) if isinstance(found, lab.Exploration) else runs
        if took < SECONDS / 4 and tried == runs:
            runs *= 4
        else:
            rates.append(tried / took)
    return max(rates)


def installed(contender):
    return contender.__name__ in HERE or importlib.util.find_spec(contender.__name__) is not None


HERE = {"ours", "ours_systematic", "plain"}
PEERS = [detangle, ours, ours_systematic, simloom, simloop, seedloop]
SPEED = {
    "3 tasks x 2 locks, no sleeps": (small(0), [plain, *PEERS]),
    "3 tasks x 2 locks": (small(0.001), PEERS),
    "10 tasks, 72 steps": (large(0.001, 1), PEERS),
}
FINDS = {
    "order-dependent, at one moment": inversion([0.01], [0.015, 0.005]),
    "latency-dependent, 10 ms over 30 ms": inversion([0.01], [0.03]),
    "latency-dependent, 10 ms over 500 ms": inversion([0.01], [0.5]),
}
FINDERS = {
    "ours": first_of_ours,
    "detangle": first_of_detangle,
    "simloom": first_of_simloom,
    "simloop": first_of_simloop,
}

if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    for title, (program, contenders) in SPEED.items():
        rates = {c.__name__: per_second(c, program) for c in contenders if installed(c)}
        base = next(iter(rates))
        told = ", ".join(f"{name} {rate / rates[base]:.1f}x" for name, rate in rates.items())
        print(f"{title}: schedules per second beside {base}: {told} (ours {rates['ours']:,.0f}/s)")
    for title, program in FINDS.items():
        told = []
        for name, first in FINDERS.items():
            if name != "ours" and importlib.util.find_spec(name) is None:
                continue
            runs = [first(program, seed) for seed in SEEDS]
            found = [n for n in runs if n]
            median = f"{statistics.median(found):.0f}" if found else "-"
            told.append(f"{name} {median} ({len(found)} of {len(runs)} searches found it)")
        print(f"{title}: schedules until the first freeze, median: {'; '.join(told)}")
