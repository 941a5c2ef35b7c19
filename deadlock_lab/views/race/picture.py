"""The race and the false alarms as pictures that stand still.

Drawn with matplotlib's objects alone. What a colour says is also said by hatching or words;
``describe`` and ``Latencies.tell`` say the same in text.
"""

import io
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..pictures import WIDTH
from .alarms import Latencies
from .story import Race, lanes

__all__ = ["false_alarms", "race_figure", "still"]

_INK, _SOFT, _LIMIT = "#1f2328", "#5b626b", "#0072b2"


class _Look(NamedTuple):
    colour: str
    says: str
    hatch: str = ""


_LOOKS = {
    "waits": _Look("#e69f00", "waits"),
    "works": _Look("#009e73", "at work"),
    "runs": _Look("#56b4e9", "timer runs"),
    "asked": _Look("#8a6fb0", "was asked to stop", "...."),
    "unwatched": _Look("#d55e00", "runs on, unwatched", "/////"),
}


def false_alarms(latencies: Latencies, limit: float, longest: float = 2.0) -> Figure:
    """Draw how many healthy calls each limit would give up; in words: ``latencies.tell(limit)``.

    Args:
        latencies: how long the calls took.
        limit: the limit to mark, in seconds.
        longest: where the axis ends, in seconds.

    Returns:
        A figure, 10 inches wide.
    """
    figure = Figure(figsize=(WIDTH, 3.2), facecolor="white", layout="constrained")
    _draw_alarms(figure.add_subplot(), latencies, limit, longest)
    return figure


def race_figure(race: Race, latencies: Latencies, longest: float = 2.0) -> Figure:
    """Draw a race's lanes over virtual time, and below them the false alarms.

    Args:
        race: the race that was run.
        latencies: how long healthy calls took.
        longest: where the axis ends, in seconds.

    Returns:
        A figure, 10 inches wide.
    """
    figure = Figure(figsize=(WIDTH, 5.2), facecolor="white", layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 4))
    _draw_lanes(above, race)
    _draw_alarms(below, latencies, race.setting.limit, longest)
    return figure


def still(race: Race, latencies: Latencies, longest: float) -> bytes:
    """Draw ``race_figure`` as a PNG: the same bytes for the same race and matplotlib."""
    png = io.BytesIO()
    figure = race_figure(race, latencies, longest)
    figure.savefig(png, format="png", dpi=100, metadata={"Software": None})
    return png.getvalue()


def _draw_lanes(axes: Axes, race: Race) -> None:
    drawn = lanes(race)
    for row, lane in enumerate(drawn):
        for stretch in lane.stretches:
            _bar(axes, row, stretch.start / 1e9, stretch.end / 1e9, _LOOKS[stretch.state])
    axes.plot([race.setting.operation], [1], "|", color=_INK, markersize=26)
    axes.set_yticks(range(len(drawn)), [f"{lane.name}\n{lane.note}" for lane in drawn])
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.tick_params(left=False, bottom=False)
    axes.axvline(race.setting.limit, color=_LIMIT, linestyle="--", linewidth=1.2)
    states = {stretch.state for lane in drawn for stretch in lane.stretches}
    looks = [look for state, look in _LOOKS.items() if state in states]
    axes.legend(
        handles=[Patch(label=look.says, **_fill(look)) for look in looks],
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=5, frameon=False, labelcolor=_INK,
    )  # fmt: skip
    _plain(axes)


def _bar(axes: Axes, row: int, start: float, end: float, look: _Look) -> None:
    axes.barh(row, end - start, height=0.5, left=start, **_fill(look))


def _fill(look: _Look) -> dict[str, Any]:
    face = "white" if look.hatch else look.colour
    return {"facecolor": face, "edgecolor": look.colour, "hatch": look.hatch}


def _draw_alarms(axes: Axes, latencies: Latencies, limit: float, longest: float) -> None:
    times, rates = zip(*latencies.corners(longest), strict=True)
    axes.step(times, [100 * rate for rate in rates], where="post", color=_INK, linewidth=2)
    axes.axvline(limit, color=_LIMIT, linestyle="--", linewidth=1.2)
    axes.plot([limit], [100 * latencies.false_alarms(limit)], "o", color=_LIMIT, markersize=8)
    axes.set_xlim(0, longest)
    axes.set_ylim(0, 104)
    axes.set_xlabel("limit, in seconds", color=_INK)
    axes.set_ylabel("false alarms, %", color=_INK)
    axes.set_title(latencies.tell(limit), loc="left", size=11, color=_INK, parse_math=False)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.tick_params(colors=_INK)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_SOFT)
