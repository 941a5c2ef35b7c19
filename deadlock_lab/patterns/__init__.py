"""What a reader takes home: plain asyncio, the standard library alone.

Each module can be lifted out of this kit into a service; it needs ``errors.py`` beside it, and
the tracker and the resolver ``_acyclic.py`` as well.
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
