"""A load curve in words: a table of how often it froze, with the 95 % band, and what that says."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .load import LoadCurve, LoadPoint

__all__ = ["capitalized", "explain", "percent", "stretched", "verdict"]


def explain(curve: "LoadCurve") -> str:
    """Tell a load curve as a table."""
    return "\n".join(_told(curve))


def verdict(curve: "LoadCurve") -> str:
    """Say in a line how often the program freezes at worst."""
    if not curve.points:
        return "nothing was measured"
    worst = max(curve.points, key=lambda point: point.rate)
    if not worst.freezes:
        return f"none of {sum(point.runs for point in curve.points):,} runs freezes"
    return f"at worst {percent(worst.rate)} % of runs freeze: {_load(worst)}"


def percent(share: float) -> str:
    """Write a share of 1 in percent, with more digits where it is near 0 or 100, but is not.

    >>> percent(0), percent(0.0049), percent(0.123), percent(0.9981), percent(1)
    ('0', '0.49', '12', '99.8', '100')
    """
    if 0 < share < 0.1:
        return f"{float(f'{share:.2g}') * 100:.6g}"
    if 0.99 < share < 1:
        return f"{100 - float(f'{100 * (1 - share):.1g}'):.6g}"
    return f"{share * 100:.0f}"


def capitalized(text: str) -> str:
    """Begin a text with a capital, and leave the rest as it is."""
    return text[:1].upper() + text[1:]


def stretched(spread: float) -> str:
    """Say how long waits take.

    >>> stretched(1), stretched(30)
    ('as written', 'up to 30×')
    """
    return "as written" if spread == 1 else f"up to {spread:,.6g}×"


def _load(point: "LoadPoint") -> str:
    many = "1 request" if point.requests == 1 else f"{point.requests:,} requests at once"
    return f"{many}, waits {stretched(point.spread)}"


def _told(curve: "LoadCurve") -> Iterator[str]:
    if not curve.points:
        yield "Nothing was measured."
    else:
        runs = max(point.runs for point in curve.points)
        yield f"How many of {runs:,} runs freeze, in percent, and within which bounds at 95 %."
        yield from _table(curve)
        yield f"\n{_conclusion(curve)}"
    yield from _ends_early(curve)


def _table(curve: "LoadCurve") -> Iterator[str]:
    cells = {(p.requests, p.spread): _cell(p) for p in curve.points}
    spreads = sorted({point.spread for point in curve.points})
    yield ""
    yield _row("waits:", map(stretched, spreads))
    yield "requests"
    for n in sorted({point.requests for point in curve.points}):
        yield _row(f"{n:,}", (cells.get((n, spread), "not run") for spread in spreads))


def _row(head: str, cells: Iterable[str]) -> str:
    return f"{head:>8}" + "".join(f"{cell:>17}" for cell in cells)


def _cell(point: "LoadPoint") -> str:
    low, high = map(percent, point.band)
    return f"{percent(point.rate)} ({low}–{high})"


def _conclusion(curve: "LoadCurve") -> str:
    if any(point.freezes for point in curve.points):
        return f"{capitalized(verdict(curve))}."
    high = percent(max(point.band[1] for point in curve.points))
    return f"It never froze. That is no proof: up to {high} % of runs may."


def _ends_early(curve: "LoadCurve") -> Iterator[str]:
    if failures := sum(point.failures for point in curve.points):
        runs = sum(point.runs for point in curve.points)
        yield (
            f"{failures:,} of all {runs:,} runs failed or met a limit, and count as not frozen: "
            "see lab.run on one of them."
        )
    if curve.interrupted:
        yield "The measurement was interrupted: this is what had been measured until then."
    if curve.blocked:
        yield f"The measurement ended early: {curve.blocked}."
