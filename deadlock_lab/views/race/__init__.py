"""The race explorer: drag an operation and a limit against each other, and see who does what.

Nothing is simulated in the browser. For each position of the handles the kernel runs the race
on the lab's loop, in virtual time, and sends back what its trace says.
"""

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from ..player import join_modules, style_text
from .alarms import LATENCIES, Latencies
from .programs import A_DAY, WAYS, WHEN_CANCELLED, Setting
from .scene import CHOICES, STEPS, axis, describe, scene
from .story import run_race

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["RaceExplorer"]

_HERE = Path(__file__).parent


class RaceExplorer(anywidget.AnyWidget):
    """Shows a race between an operation and its limit; made by ``lab.race_explorer``.

    Args:
        operation: how long the operation takes, in virtual seconds.
        limit: how long the caller waits, in virtual seconds.
        way: how the limit is put: ``race``, ``timeout`` or ``with_timeout``.
        when_cancelled: what the operation does then: ``stops``, ``cleans up`` or ``carries on``.
        latencies: how long healthy calls take: ``steady``, ``spread``, ``heavy tail``, or figures
            in seconds.

    All of them can be set later, too, and follow what the learner does. ``print`` says in words
    what is shown.
    """

    _esm = join_modules(_HERE.parent / "player" / "dom.js", _HERE / "race.js")
    _css = style_text() + (_HERE / "race.css").read_text("utf-8")

    operation = traitlets.Float().tag(sync=True)
    limit = traitlets.Float().tag(sync=True)
    way = traitlets.Enum([*WAYS], "race").tag(sync=True)
    when_cancelled = traitlets.Enum([*WHEN_CANCELLED], "stops").tag(sync=True)
    latencies = traitlets.Unicode().tag(sync=True)
    choices = traitlets.Dict().tag(sync=True)
    scene = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        operation: float = 1.0,
        limit: float = 0.6,
        *,
        way: str = "race",
        when_cancelled: str = "stops",
        latencies: str | Iterable[float] = "spread",
        **options: Any,
    ) -> None:
        _check_seconds("operation", operation)
        _check_seconds("limit", limit)
        self._lock = threading.RLock()  # a notebook serves its widgets on a thread of their own
        self._given = Latencies.of(latencies)
        self._longest = axis(Setting(operation, limit), self._given)
        self._shown: tuple[object, ...] = ()
        known = {
            n: text
            for n, text in CHOICES["latencies"].items()
            if n in (*LATENCIES, self._given.name)
        }
        super().__init__(
            operation=operation,
            limit=limit,
            way=way,
            when_cancelled=when_cancelled,
            latencies=self._given.name,
            choices={**CHOICES, "latencies": known},
            **options,
        )

    @traitlets.validate("operation", "limit")
    def _on_the_axis(self, proposal: Any) -> float:
        value = float(proposal["value"])
        return min(value, self._longest) if value > 0 else self._longest / STEPS

    @traitlets.validate("latencies")
    def _known(self, proposal: Any) -> str:
        if proposal["value"] != self._given.name:
            Latencies.of(proposal["value"])
        return str(proposal["value"])

    @traitlets.observe("operation", "limit", "way", "when_cancelled", "latencies")
    def _refresh(self, _: object) -> None:
        with self._lock:
            wanted = (self._setting, self.latencies)
            if wanted != self._shown:  # several that change at once are told of one by one
                self._shown = wanted
                self._race = run_race(self._setting)
                self.scene = scene(self._race, self._calls, self._longest)

    @property
    def _setting(self) -> Setting:
        return Setting(self.operation, self.limit, self.way, self.when_cancelled)

    @property
    def _calls(self) -> Latencies:
        return self._given if self.latencies == self._given.name else Latencies.of(self.latencies)

    def figure(self) -> "Figure":
        """Draw what is shown, as a matplotlib figure."""
        from .picture import race_figure

        return race_figure(self._race, self._calls, self._longest)

    def __str__(self) -> str:
        return describe(self._race, self._calls)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Show the explorer, with a picture and a text for places where it cannot live."""
        from .picture import still

        widget: Any = super()._repr_mimebundle_(**kwargs) or {}
        data = widget[0] if isinstance(widget, tuple) else widget
        png = still(self._race, self._calls, self._longest)
        return {**data, "text/plain": str(self), "image/png": png}, {
            "image/png": {"alt": str(self)}
        }


def _check_seconds(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, but is {value!r}")
    if not 0 < value <= A_DAY:
        raise ValueError(f"{name} must be above 0 seconds, and a day at most, but is {value!r}")
