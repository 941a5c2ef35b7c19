"""See why async code freezes.

``run`` executes any asyncio program once on a deterministic loop, records it, and
returns a :class:`Run`: its outcome, an explanation, who waits for whom, and an
animated player. ``watch`` and ``diagnose`` give the same verdict for a program on a
real loop. Importing this package imports neither Jupyter nor matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._face import Run, race_explorer, run
from .engine.errors import BlockedStepError, DeadlockError, NotModelledError, RunawayError
from .engine.recording import Outcome

if TYPE_CHECKING:
    from .game import scheduler_game
    from .live import Standing, Watch, diagnose, watch
    from .schedules import Exploration, LoadCurve, explore, load_curve

__all__ = [
    "BlockedStepError",
    "DeadlockError",
    "Exploration",
    "LoadCurve",
    "NotModelledError",
    "Outcome",
    "Run",
    "RunawayError",
    "Standing",
    "Watch",
    "diagnose",
    "explore",
    "load_curve",
    "race_explorer",
    "run",
    "scheduler_game",
    "watch",
]

__version__ = "0.1.0"

_ROOMS = {
    **dict.fromkeys(("Standing", "Watch", "diagnose", "watch"), "live"),
    **dict.fromkeys(("Exploration", "LoadCurve", "explore", "load_curve"), "schedules"),
    "scheduler_game": "game",
}


def __getattr__(name: str) -> Any:
    """Import what a plain run does not need when it is first asked for."""
    if name in _ROOMS:
        return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
