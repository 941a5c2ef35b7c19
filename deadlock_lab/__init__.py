"""See why async code freezes.

``run`` executes any asyncio program once on a deterministic loop, records it, and
returns a :class:`Run`: its outcome, an explanation, who waits for whom, and an
animated player. Importing this package imports neither Jupyter nor matplotlib.
"""

from ._face import Run, run
from .engine.errors import BlockedStepError, DeadlockError, NotModelledError, RunawayError
from .engine.recording import Outcome

__all__ = [
    "BlockedStepError",
    "DeadlockError",
    "NotModelledError",
    "Outcome",
    "Run",
    "RunawayError",
    "run",
]

__version__ = "0.1.0"
