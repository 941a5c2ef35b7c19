"""See why async code freezes.

``run`` executes any asyncio program once on a deterministic loop, records it, and
returns a :class:`Run`: its outcome, an explanation, who waits for whom, and an
animated player. ``watch`` and ``diagnose`` give the same verdict for a program on a
real loop. Importing this package imports neither Jupyter nor matplotlib.
"""

from typing import TYPE_CHECKING, Any

from ._face import Run, run
from .engine.errors import BlockedStepError, DeadlockError, NotModelledError, RunawayError
from .engine.recording import Outcome

if TYPE_CHECKING:
    from .live import Standing, Watch, diagnose, watch

__all__ = [
    "BlockedStepError",
    "DeadlockError",
    "NotModelledError",
    "Outcome",
    "Run",
    "RunawayError",
    "Standing",
    "Watch",
    "diagnose",
    "run",
    "watch",
]

__version__ = "0.1.0"

_LIVE = frozenset({"Standing", "Watch", "diagnose", "watch"})


def __getattr__(name: str) -> Any:
    """Import what is for real loops when it is first asked for."""
    if name in _LIVE:
        from . import live

        return getattr(live, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
