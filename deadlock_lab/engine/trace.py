"""What happened, as data: one record an event, and tables for what events point at.

Events hold small integers only, so that a trace is compact, comparable and the
same in every process. A *target* is an integer too: ``t >= 0`` is task ``t``, and
``t < 0`` is resource ``~t``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

from .places import Place

__all__ = [
    "CLOCK",
    "NOBODY",
    "Complaint",
    "Event",
    "Kind",
    "Locals",
    "Resource",
    "TaskInfo",
    "Timer",
    "Trace",
    "Wait",
]

NOBODY = -1
"""``Event.by`` where the loop itself acted; ``Event.task``, ``.place``, ``.detail`` for none."""

CLOCK = -2
"""``Event.by`` where a timer acted."""


class Kind(IntEnum):
    """What an event says; ``detail`` points into the table named on the right."""

    CREATED = 0
    RESUMED = 1
    WAITS = 2  # waits
    YIELDS = 3
    WOKEN = 4
    TIMER_SET = 5  # timers
    TIMER_FIRED = 6  # timers
    TIMER_CANCELLED = 7  # timers
    ACQUIRED = 8  # resources
    RELEASED = 9  # resources
    CANCELLING = 10
    DONE = 11
    FAILED = 12  # errors
    CANCELLED = 13
    COMPLAINT = 14  # complaints
    ENDED = 15
    FREED = 16  # errors
    LINE = 17  # locals; without detail, it is the last one that is recorded


class Event(NamedTuple):
    """One thing that happened.

    ``time`` is virtual, in nanoseconds since the run began. ``task`` is the ordinal
    of the task it happened to, ``by`` that of the task that made it happen (or
    ``NOBODY``, ``CLOCK``), ``place`` an index into ``Trace.places``.
    """

    kind: Kind
    time: int
    task: int
    by: int
    place: int
    detail: int


class TaskInfo(NamedTuple):
    """A task: its name in this run, its creator's ordinal, and its coroutine's place."""

    name: str
    parent: int
    place: int


class Resource(NamedTuple):
    """Something that tasks wait for or hold: its name in the learner's code, and its class."""

    name: str
    kind: str

    def __str__(self) -> str:
        """Name it, with its class where the name does not say it already.

        >>> str(Resource("lock_a", "Lock")), str(Resource("Lock #1", "Lock"))
        ('lock_a (Lock)', 'Lock #1')
        """
        return self.name if self.name.startswith(self.kind) else f"{self.name} ({self.kind})"


class Wait(NamedTuple):
    """What a suspended task waits for.

    ``how`` is the operation in asyncio's spelling (``await``, ``gather``,
    ``Lock.acquire`` …). It ends when all, or any, of ``targets`` are through.
    """

    how: str
    mode: Literal["all", "any"]
    targets: tuple[int, ...]


class Locals(NamedTuple):
    """What changed in a call's local variables by the time a line is about to run.

    ``new`` is whether it is another call than was last seen at this depth of the task's
    chain. ``changes`` are names with their values in short, or with None where a name is gone.
    """

    new: bool
    changes: tuple[tuple[str, str | None], ...]


class Timer(NamedTuple):
    """A timer: what it is for, when it is due (virtual nanoseconds), and whose it is.

    ``late`` says how many of these nanoseconds a schedule has added.
    """

    purpose: str
    due: int
    task: int
    late: int = 0


class Complaint(NamedTuple):
    """Something the loop's exception handler was told: the message, and the exception's text."""

    message: str
    error: str


@dataclass(frozen=True, slots=True)
class Trace:
    """A whole run: its events in order, and the tables that they point into."""

    events: tuple[Event, ...]
    tasks: tuple[TaskInfo, ...]
    resources: tuple[Resource, ...]
    places: tuple[Place, ...]
    waits: tuple[Wait, ...]
    timers: tuple[Timer, ...]
    errors: tuple[str, ...]
    complaints: tuple[Complaint, ...]
    locals: tuple[Locals, ...]
    sources: Mapping[str, tuple[str, ...]]

    def name(self, target: int) -> str:
        """Name a target: a task by its name, a resource by name and class."""
        return self.tasks[target].name if target >= 0 else str(self.resources[~target])
