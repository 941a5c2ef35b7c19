"""A finished run as data: what every explanation, picture and check is made from."""

from dataclasses import dataclass, field
from enum import StrEnum

from .futile import Futile
from .graph import WaitGraph
from .kinds import Diagnosis
from .lockorder import Risk
from .masked import Masked
from .trace import Trace
from .victims import Broken

__all__ = ["Outcome", "Recording"]


class Outcome(StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    FAILED = "failed"
    DEADLOCK = "deadlock"
    RUNAWAY = "runaway"

    __repr__ = str.__repr__  # it is read in notebooks: 'deadlock' says it all


@dataclass(frozen=True)
class Recording:
    """One run of one program.

    Attributes:
        outcome: how it ended.
        trace: what happened, event by event.
        waits: who waited for whom at the end.
        steps: how many callbacks the loop ran.
        time: how far the virtual clock came, in nanoseconds.
        limit: for a runaway, the limit it met and how to raise it; else empty.
        value: what main returned, for a finished run.
        error: what main raised, for a failed one.
        diagnoses: what kind of deadlock each knot of stuck tasks is in.
        masked: deadlocks that a timeout broke up.
        futile: time limits that were up and could end nothing.
        broken: deadlocks that were broken by freeing one of their members.
        risks: locks that were taken in both orders, without a deadlock.
    """

    outcome: Outcome
    trace: Trace
    waits: WaitGraph
    steps: int
    time: int
    limit: str = ""
    value: object = field(default=None, repr=False)
    error: BaseException | None = None
    diagnoses: tuple[Diagnosis, ...] = ()
    masked: tuple[Masked, ...] = ()
    futile: tuple[Futile, ...] = ()
    broken: tuple[Broken, ...] = ()
    risks: tuple[Risk, ...] = ()
