"""What a reader takes home: plain asyncio, the standard library alone.

Each module can be lifted out of this kit into a service. It needs ``errors.py`` beside it; the
tracker needs ``_acyclic.py`` too, and the resolver that, ``_flight.py`` and ``_dependency.py``.
"""

from deadlock_lab.patterns.errors import CircularDependencyError
from deadlock_lab.patterns.guard import GuardedCall, Path, guard
from deadlock_lab.patterns.latency import LatencyRecorder, Proposal
from deadlock_lab.patterns.resolver import AsyncResolver, Dependency, MissingDependencyError
from deadlock_lab.patterns.timeouts import (
    OperationTimeoutError,
    time_left,
    with_timeout,
    with_timeout_or,
)
from deadlock_lab.patterns.tracker import ActiveOperation, AsyncDependencyTracker, TrackerSnapshot

__all__ = [
    "ActiveOperation",
    "AsyncDependencyTracker",
    "AsyncResolver",
    "CircularDependencyError",
    "Dependency",
    "GuardedCall",
    "LatencyRecorder",
    "MissingDependencyError",
    "OperationTimeoutError",
    "Path",
    "Proposal",
    "TrackerSnapshot",
    "guard",
    "time_left",
    "with_timeout",
    "with_timeout_or",
]
