"""What a search through schedules has found, as data and in words."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from .._face import Run
from ..engine.errors import NotModelledError
from ..engine.recording import Outcome
from ..engine.schedule import Schedule
from .attempt import Attempt
from .story import story

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Exploration", "Tally"]


@dataclass
class Tally:
    """What was counted while a search went on; one part for each strategy."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    freezes: Counter[str] = field(default_factory=Counter)
    first: Attempt | None = None
    first_at: int = 0
    timed: bool = False
    error: str = ""
    blocked: str = ""
    interrupted: bool = False

    @property
    def total(self) -> int:
        """How many schedules were tried."""
        return self.runs.total()

    def add(self, strategy: str, attempt: Attempt) -> None:
        """Count an attempt."""
        self.outcomes[attempt.outcome] += 1
        self.runs[strategy] += 1
        self.timed = self.timed or attempt.timed
        self.error = self.error or attempt.error
        self.blocked = self.blocked or attempt.blocked
        if attempt.freezes:
            self.freezes[strategy] += 1
            if self.first is None:
                self.first, self.first_at = attempt, self.total


@dataclass(frozen=True)
class Exploration:
    """What a search through schedules has found; made by ``lab.explore``.

    Attributes:
        outcomes: how many runs ended in which way.
        runs: how many schedules were tried, by strategy.
        frozen: how many of them froze, by strategy.
        first_at: which run was the first that froze, counted from 1; 0 for none.
        tried: up to how many held-back waits every order has been tried; infinity for all.
        timed: whether the program depends on more than the order of its waits.
        schedule: the smallest schedule found that freezes, if any.
        run: the run under it, to be explained and played; without a freeze, None.
        error: what main raised first, if it ever did.
        blocked: what was said of a step that never ended, and with it the search.
        interrupted: whether the search was ended by hand.
    """

    outcomes: dict[Outcome, int]
    runs: dict[str, int]
    frozen: dict[str, int]
    first_at: int
    tried: float
    timed: bool
    schedule: Schedule | None = None
    run: Run | None = None
    error: str = ""
    blocked: str = ""
    interrupted: bool = False

    @property
    def freezes(self) -> int:
        """How many of the schedules froze the program, or some of its tasks for ever."""
        return sum(self.frozen.values())

    @property
    def token(self) -> str | None:
        """The smallest schedule that freezes, for ``lab.run(main, schedule=token)``."""
        return self.schedule.token if self.schedule else None

    @property
    def proved(self) -> bool:
        """Whether no order of its waits can freeze the program: all were tried, to their end."""
        whole = self.tried == math.inf and Outcome.RUNAWAY not in self.outcomes
        return self.freezes == 0 and whole and not self.timed and not self.unmodelled

    @property
    def unmodelled(self) -> bool:
        """Whether a run failed since it asked for what the lab's loop does not model."""
        return self.error.startswith(NotModelledError.__name__)

    @property
    def repeatable(self) -> bool:
        """Whether the program froze again when its schedule was replayed."""
        return self.run is None or bool(self.run.stuck)

    @cached_property
    def story(self) -> str:
        """Tell in a sentence what the smallest schedule that freezes is; empty for none."""
        return story(self.run.trace, self.schedule) if self.run and self.schedule else ""

    @property
    def verdict(self) -> str:
        """What was found in a few words."""
        total = sum(self.runs.values())
        if self.freezes:
            return f"{self.freezes:,} of {total:,} schedules freeze"
        return f"{'Proved: ' if self.proved else ''}none of {total:,} schedules freezes"

    def figure(self) -> "Figure":
        """Draw how many schedules freeze, by strategy, as a matplotlib figure."""
        from .outcome_picture import figure

        return figure(self)

    def explain(self) -> str:
        """Tell what was found in plain English; ``print`` says the same."""
        return "\n".join(_told(self))

    def __str__(self) -> str:
        return self.explain()

    def __repr__(self) -> str:
        token = f", the smallest is {self.token!r}" if self.token else ""
        return f"<Exploration {self.verdict}{token}>"


def _told(found: Exploration) -> Iterator[str]:
    total = sum(found.runs.values())
    ended = ", ".join(f"{count:,} {outcome}" for outcome, count in found.outcomes.items())
    many = f"{found.freezes:,} of them" if found.freezes else "none"
    tried = "1 schedule" if total == 1 else f"{total:,} schedules"
    yield f"Tried {tried}: {many} {'freeze' if found.freezes > 1 else 'freezes'}."
    yield f"  How they ended: {ended or 'none was run to its end'}."
    if found.error:
        yield f"  The first error: {found.error}"
    if runs := found.runs.get("random"):
        yield f"  With random latencies: {found.frozen.get('random', 0):,} of {runs:,} freeze."
    yield from _ends_early(found)
    yield from _freeze(found) if found.run else _no_freeze(found)


def _ends_early(found: Exploration) -> Iterator[str]:
    if found.interrupted:
        yield "  The search was interrupted: this is what had been found until then."
    if found.blocked:
        yield f"  The search ended early: {found.blocked}."


def _freeze(found: Exploration) -> Iterator[str]:
    yield f"\n{found.story}"
    yield f"To see it again: lab.run(main, schedule={found.token!r})"
    if found.repeatable:
        yield f"\n{found.run}"
    else:
        yield (
            "\nBut replayed, it did not freeze: the program depends on something besides its "
            "schedule. Have main make its locks and caches anew, and take no time or chance "
            "from elsewhere than the loop and the module random."
        )


def _no_freeze(found: Exploration) -> Iterator[str]:
    if found.tried == math.inf:
        yield "\nEvery order in which its waits can complete was tried."
    elif found.tried > 0:
        waits = "one wait" if found.tried == 1 else f"{found.tried:,.0f} waits"
        yield f"\nEvery order that holds back at most {waits} was tried."
    if found.proved:
        yield "That is a proof: however long its waits take, it does not freeze."
    elif found.unmodelled:
        yield "That is no proof: its runs failed where they left what can be modelled."
    elif found.timed:
        yield (
            "That is no proof: it has time limits or reads the clock, so how long waits take "
            "matters, and not only their order."
        )
    else:
        yield "That is no proof beyond what was tried."
