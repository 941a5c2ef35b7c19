"""What came of a search as a figure: for each strategy, how many schedules freeze."""

from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..views.pictures import INK, SOFT, WIDTH

if TYPE_CHECKING:
    from .exploration import Exploration

__all__ = ["figure"]

_GOES_ON, _FREEZES = "#009e73", "#d55e00"
_TITLES = {"systematic": "held back\nin turn", "random": "random\nlatencies"}


def figure(found: "Exploration") -> Figure:
    """Draw what came of a search.

    Args:
        found: what was found.

    Returns:
        A figure, 10 inches wide, on white: a bar for each strategy, with the share of its
        schedules that freeze, hatched and in words too.
    """
    strategies = [name for name in _TITLES if found.runs.get(name)]
    drawn = Figure(figsize=(WIDTH, 1.3 + 0.9 * len(strategies)), facecolor="white")
    axes = drawn.add_axes((0.16, 0.1, 0.8, 0.68), facecolor="white")
    for row, name in enumerate(strategies):
        _bar(axes, row, found.runs[name], found.frozen.get(name, 0))
    axes.set_yticks(range(len(strategies)), [_TITLES[name] for name in strategies])
    axes.set_ylim(len(strategies) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.tick_params(length=0, labelsize=13, labelcolor=INK, labelbottom=False)
    for side in axes.spines.values():
        side.set_visible(False)
    drawn.text(0.02, 0.96, found.verdict, va="top", size=15, weight="bold", color=INK)
    return drawn


def _bar(axes: Axes, row: int, runs: int, freeze: int) -> None:
    share = freeze / runs
    axes.barh(row, share, 0.55, color=_FREEZES, hatch="////", edgecolor="white", linewidth=0)
    axes.barh(row, 1 - share, 0.55, left=share, color=_GOES_ON)
    words = (
        f"{freeze:,} of {runs:,} freeze ({share:.1%})" if freeze else f"none of {runs:,} freezes"
    )
    axes.text(1, row + 0.31, words, ha="right", va="top", size=12, color=SOFT)
