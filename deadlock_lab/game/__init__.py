"""The scheduler game: pick which pending wait completes next, and try to freeze a program.

``state`` knows what can be picked and what comes of it, ``scene`` says it in words and data,
``widget`` shows it. Only the last one needs the ``lab`` extra.
"""

from typing import TYPE_CHECKING

from ..schedules.attempt import Program

if TYPE_CHECKING:
    from .widget import SchedulerGame

__all__ = ["scheduler_game"]


def scheduler_game(main: Program, *, runs: int = 1_000) -> "SchedulerGame":
    """Pick which pending wait completes next, step by step, and try to freeze a program.

    What is in the player's hand is how long waits take, as in ``lab.explore``; time limits
    keep their time. Each pick runs the program anew, in virtual time, up to the next choice.
    A search may be asked for hints, or whether it can be frozen at all. Needs the ``lab``
    extra.

    Args:
        main: an async function without parameters. It is run many times, so it must make its
            locks, queues and caches anew. Its runs are stopped after 5,000 steps.
        runs: how many schedules the search tries at most.

    Returns:
        The widget. ``print`` says in words where the game stands; ``.token`` is the schedule
        so far, for ``lab.run(main, schedule=token)``; ``.frozen`` says whether the player has
        won; ``.picks`` can be read and set.

    Raises:
        TypeError: ``main`` is no async function without parameters, or ``runs`` no number.
        ValueError: ``runs`` is below 1.

    >>> import asyncio, deadlock_lab as lab
    >>> async def main():
    ...     await asyncio.gather(asyncio.sleep(1), asyncio.sleep(2))
    >>> game = lab.scheduler_game(main)
    >>> game.picks = [[1]]
    >>> game.token, game.frozen
    ('0+1000000001', False)
    """
    from .widget import SchedulerGame

    return SchedulerGame(main, runs=runs)
