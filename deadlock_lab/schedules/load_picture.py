"""A load curve as a figure, to be read from the last row: a line for each spread, and its band.

What colours say is also said by markers and words. The colours go from dark to light with
the spread, and keep apart for colour-blind eyes and in grey.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MultipleLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from ..views.pictures import INK, SOFT, WIDTH
from .load_text import capitalized, percent, stretched, verdict

if TYPE_CHECKING:
    from .load import LoadCurve, LoadPoint

__all__ = ["figure"]

_Line = Sequence["LoadPoint"]

_MARKERS = "osD^vPX*"
_LIGHTEST = 0.78  # of the palette, to be seen on white
_TOPS = (0.05, 0.1, 0.25, 0.5, 1.0)  # of the axis of probabilities
_FAR = 8.0  # the ratio of most to fewest requests from which on the axis is logarithmic
_MANY = 12  # numbers of requests that are written at the axis
_BAND = 0.18  # opacity


def figure(curve: "LoadCurve") -> Figure:
    """Draw a load curve.

    Args:
        curve: what was measured.

    Returns:
        A figure, 10 inches wide, on white.
    """
    drawn = Figure(figsize=(WIDTH, 5.6), facecolor="white")
    axes = drawn.add_axes((0.105, 0.14, 0.645, 0.74), facecolor="white")
    _scale(axes, curve.points)
    spreads = sorted({point.spread for point in curve.points})
    lines = [[point for point in curve.points if point.spread == spread] for spread in spreads]
    _shade(axes, lines)
    for rank in reversed(range(len(lines))):  # the legend in the lines' order
        _draw(axes, lines[rank], rank, len(lines))
    _label(drawn, axes, curve)
    return drawn


def _colour(rank: int, ranks: int) -> tuple[float, ...]:
    colour: tuple[float, ...] = colormaps["plasma"](_LIGHTEST * rank / max(1, ranks - 1))
    return colour


def _shade(axes: Axes, lines: Sequence[_Line]) -> None:
    """Shade the bands; those that coincide once, for one over the other they grow dark."""
    bands = {tuple((p.requests, *p.band) for p in line): rank for rank, line in enumerate(lines)}
    for band, rank in bands.items():
        x, low, high = zip(*band, strict=True)
        colour = _colour(rank, len(lines))
        axes.fill_between(x, low, high, color=colour, alpha=_BAND, linewidth=0)


def _draw(axes: Axes, line: _Line, rank: int, ranks: int) -> None:
    """Draw a line, a little beside the others, so that each is seen where they coincide."""
    colour = _colour(rank, ranks)
    x = [point.requests for point in line]
    low, high = zip(*(point.band for point in line), strict=True)
    points = (rank - (ranks - 1) / 2) * min(5.0, 40 / len(line))
    beside = axes.transData + ScaledTranslation(points / 72, 0, axes.figure.dpi_scale_trans)
    axes.vlines(x, low, high, color=colour, linewidth=1.5, transform=beside)
    axes.plot(
        x, [point.rate for point in line], label=stretched(line[0].spread), color=colour,
        linewidth=2.5, marker=_MARKERS[rank % len(_MARKERS)], markersize=9,
        markeredgecolor="white", clip_on=False, zorder=3, transform=beside,
    )  # fmt: skip


def _scale(axes: Axes, points: Sequence["LoadPoint"]) -> None:
    requests = sorted({point.requests for point in points}) or [1]
    if requests[-1] >= _FAR * requests[0]:
        axes.set_xscale("log")
    if len(requests) <= _MANY:
        axes.xaxis.set_major_locator(FixedLocator(requests))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.6g}"))
    highest = max((point.band[1] for point in points), default=1.0)
    top = next(top for top in _TOPS if top >= highest)
    axes.set_ylim(0, top)
    axes.yaxis.set_major_locator(MultipleLocator(top / 5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{percent(y)} %"))


def _label(drawn: Figure, axes: Axes, curve: "LoadCurve") -> None:
    title = capitalized(verdict(curve))
    drawn.text(0.02, 0.97, title, va="top", size=15, weight="bold", color=INK)
    axes.set_xlabel("requests at once", size=14, color=INK)
    axes.set_ylabel("runs that freeze", size=14, color=INK)
    axes.tick_params(color=SOFT, labelcolor=INK, labelsize=13)
    axes.grid(visible=True, color="#d0d4d9", linewidth=0.8)
    axes.set_axisbelow(True)
    for name, side in axes.spines.items():
        side.set_visible(name in ("left", "bottom"))
        side.set_color(SOFT)
    lines, _ = axes.get_legend_handles_labels()
    legend = axes.legend(
        handles=[*lines, Patch(color=SOFT, alpha=2 * _BAND, linewidth=0, label="95 % band")],
        loc="upper left", bbox_to_anchor=(1.02, 1.0), frameon=False, fontsize=13,
        labelcolor=INK, title="waits take", title_fontsize=13, alignment="left",
    )  # fmt: skip
    legend.get_title().set_color(INK)
