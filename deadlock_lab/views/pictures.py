"""Pictures that stand still, for slides, PDF and places where no widget can live.

Drawn with matplotlib's objects alone: pyplot's global state is not ours to touch.
What the colours say is also said by height, hatching, shape or words, and names from
learners' code are never taken for mathematics.
"""

import functools
import io
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch, Rectangle
from PIL import Image

from ..engine.recording import Recording
from ..engine.trace import Kind
from .cut import shown
from .cycles import cycles
from .narration import ending, when
from .spans import Span, spans

__all__ = ["INK", "SOFT", "WIDTH", "png", "still", "timeline", "wait_graph"]

WIDTH = 10.0  # inches
INK, SOFT, _CYCLE = "#1f2328", "#5b626b", "#d55e00"
_ROW = 0.34  # inches, a lane of the timeline
_LONGEST = 24  # letters of a name
_MANY_SPANS = 3_000  # from here on an image is drawn, not a patch each
_COLUMNS = 1_200
_MOST_LANES = 50
_MOST_NODES = 40
_LABELS = 10  # times on the axis, at most


class _Look(NamedTuple):
    """A state's colour (Okabe and Ito's), its share of the lane's height, and its hatching."""

    colour: str
    height: float
    hatch: str = ""


_LOOKS: dict[str, _Look] = {
    "done": _Look("#9aa0a6", 0.07),
    "cancelled": _Look("#8a6fb0", 0.14, "...."),
    "failed": _Look("#cc79a7", 0.14),
    "waiting": _Look("#e69f00", 0.26),
    "cycle": _Look(_CYCLE, 0.62, "/////"),
    "ready": _Look("#56b4e9", 0.48),
    "running": _Look("#009e73", 0.82),
}


_DIAMOND: dict[str, Any] = {"marker": "D", "markersize": 4.5, "color": INK, "linestyle": "none"}


def timeline(recording: Recording) -> Figure:
    """Draw a lane for each task: when it ran, was ready, and waited.

    The axis counts events, for much can happen at one virtual time; where the clock
    jumps, a dotted line says to when.

    Args:
        recording: the run.

    Returns:
        A figure, 10 inches wide.
    """
    recording = shown(recording)
    lanes = _lanes_height(recording)
    figure = Figure(figsize=(WIDTH, lanes + 1.25), facecolor="white")
    _draw_timeline(figure, recording, bottom=0.75, height=lanes)
    return figure


def wait_graph(recording: Recording) -> Figure:
    """Draw who waited for whom when the run ended: tasks round, everything else square.

    Args:
        recording: the run.

    Returns:
        A figure, 10 inches wide. A cycle is a thick double ring, and named.
    """
    recording = shown(recording)
    height = _graph_height(recording)
    figure = Figure(figsize=(WIDTH, height + 0.2), facecolor="white")
    _draw_graph(figure, recording, bottom=0.1, height=height)
    return figure


def still(recording: Recording) -> bytes:
    """Draw how a run ended: who waits for whom, and below it the timeline.

    Args:
        recording: the run.

    Returns:
        A PNG, the same bytes for the same run and the same matplotlib.
    """
    recording = shown(recording)
    graph = _graph_height(recording) if recording.waits.waiters else 0.0
    lanes = _lanes_height(recording)
    height = graph + lanes + (2.0 if graph else 1.75)
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    title = ending(recording).replace("`", "")
    figure.text(
        0.2 / WIDTH, 1 - 0.2 / height, _plain(title, 200), va="top", size=13, weight="bold",
        color=INK, parse_math=False, wrap=True,
    )  # fmt: skip
    if graph:
        _draw_graph(figure, recording, bottom=lanes + 1.2, height=graph)
    _draw_timeline(figure, recording, bottom=0.75, height=lanes)
    return png(figure)


def png(figure: Figure, colours: int = 64) -> bytes:
    """Write a PNG of few colours: a quarter as heavy, and a notebook keeps one for each run."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    Image.open(drawn).convert("RGB").quantize(colours).save(small, "PNG", optimize=True)
    return small.getvalue()


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes by inches."""
    w, h = figure.get_size_inches()
    return figure.add_axes((left / w, bottom / h, width / w, height / h))


@functools.cache
def _known(letter: str) -> bool:
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    return letter.isprintable() and font.get_char_index(ord(letter)) != 0


def _plain(name: str, longest: int = _LONGEST) -> str:
    """Cut a name short, with a box for what the font lacks: matplotlib would warn instead."""
    short = name if len(name) <= longest else name[: longest - 1] + "…"
    return "".join(letter if _known(letter) else "□" for letter in short)


# -- the timeline ----------------------------------------------------------------------


def _lanes(recording: Recording) -> list[int]:
    """Choose the tasks to draw: all, or those of the cycles and the first of the rest."""
    ringed = {node for loop in recording.waits.loops for node in loop if node >= 0}
    tasks = range(len(recording.trace.tasks))
    return sorted(sorted(tasks, key=lambda task: (task not in ringed, task))[:_MOST_LANES])


def _lanes_height(recording: Recording) -> float:
    return max(1, len(_lanes(recording))) * _ROW


def _draw_timeline(figure: Figure, recording: Recording, *, bottom: float, height: float) -> None:
    lanes = {task: row for row, task in enumerate(_lanes(recording))}
    names = [_plain(recording.trace.tasks[task].name) for task in lanes]
    if more := len(recording.trace.tasks) - len(lanes):
        figure.text(
            0.98, 0.02, f"and {more:,} more tasks", ha="right", va="bottom", size=10, color=SOFT
        )
    margin = 0.35 + 0.088 * max((len(name) for name in names), default=0)
    axes = _axes(figure, margin, bottom, WIDTH - margin - 0.25, height)
    total = max(1, len(recording.trace.events))
    axes.set_xlim(0, total)
    axes.set_ylim(max(1, len(lanes)) - 0.5, -0.5)
    axes.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
    for side in axes.spines.values():
        side.set_visible(False)
    for row, name in enumerate(names):
        axes.text(
            -0.01 * total, row, name, ha="right", va="center", size=11, color=INK,
            family="DejaVu Sans Mono", parse_math=False,
        )  # fmt: skip
    found = [s._replace(task=lanes[s.task]) for s in spans(recording) if s.task in lanes]
    if len(found) > _MANY_SPANS:
        _paint_image(axes, found, len(lanes), total)
    else:
        _paint_spans(axes, found)
        _mark_timers(axes, recording, lanes)
    _mark_clock(axes, recording)
    _mark_cycle(axes, recording)
    few = len(found) <= _MANY_SPANS
    timers = few and bool(recording.trace.timers)
    _legend(figure, {span.state for span in found}, timers=timers)


def _paint_spans(axes: Axes, found: Iterable[Span]) -> None:
    patches: dict[str, list[Rectangle]] = {}
    for span in found:
        tall = _LOOKS[span.state].height
        corner = (span.start, span.task - tall / 2)
        patches.setdefault(span.state, []).append(Rectangle(corner, span.end - span.start, tall))
    for state, rectangles in patches.items():
        axes.add_collection(PatchCollection(rectangles, **_fill_of(state)))


def _fill_of(state: str) -> dict[str, Any]:
    look = _LOOKS[state]
    if not look.hatch:
        return {"facecolor": look.colour, "edgecolor": "none", "linewidth": 0}
    return {"facecolor": "white", "edgecolor": look.colour, "hatch": look.hatch, "linewidth": 1.2}


def _paint_image(axes: Axes, found: Iterable[Span], tasks: int, total: int) -> None:
    """Paint a long run by columns; where one stands for many events, the liveliest wins."""
    codes = {state: code for code, state in enumerate(_LOOKS, 1)}
    grid = np.zeros((tasks, _COLUMNS), dtype=np.uint8)
    for task, start, end, state in found:
        first = start * _COLUMNS // total
        part = grid[task, first : max(first + 1, end * _COLUMNS // total)]
        np.maximum(part, codes[state], out=part)
    colours = [(1.0, 1.0, 1.0), *(to_rgb(look.colour) for look in _LOOKS.values())]
    image = np.asarray(colours)[grid]
    axes.imshow(image, extent=(0, total, tasks - 0.5, -0.5), aspect="auto", interpolation="nearest")


def _mark_timers(axes: Axes, recording: Recording, lanes: Mapping[int, int]) -> None:
    events = recording.trace.events
    for kind, fill in ((Kind.TIMER_SET, "white"), (Kind.TIMER_FIRED, INK)):
        at = [
            (i, lanes[e.task]) for i, e in enumerate(events) if e.kind is kind and e.task in lanes
        ]
        if at:
            x, y = zip(*at, strict=True)
            axes.scatter(x, y, s=22, marker="D", facecolor=fill, edgecolor=INK, zorder=4)


def _mark_clock(axes: Axes, recording: Recording) -> None:
    events = recording.trace.events
    jumps = [
        (i, b.time)
        for i, (a, b) in enumerate(itertools.pairwise(events), 1)
        if b.time > a.time
    ]  # fmt: skip
    shown = jumps[:: max(1, math.ceil(len(jumps) / _LABELS))]
    bottom = axes.get_ylim()[0]
    last = -math.inf
    for at, time in [(0, 0), *shown]:
        axes.axvline(at, color=SOFT, linewidth=0.8, linestyle=":", zorder=0)
        if at - last > len(events) / 18:
            axes.text(at, bottom, f" {when(time)}", va="top", size=10, color=SOFT)
            last = at


def _mark_cycle(axes: Axes, recording: Recording) -> None:
    for closed in {cycle.closed for cycle in cycles(recording)}:
        axes.axvline(closed, color=_CYCLE, linewidth=2, linestyle=(0, (3, 1.5)), zorder=3)
        axes.text(
            closed, -0.52, "the cycle closes ", ha="right", va="bottom", size=11, weight="bold",
            color=_CYCLE,
        )  # fmt: skip


def _legend(figure: Figure, states: set[str], *, timers: bool) -> None:
    handles: list[Any] = [
        Patch(label=state, **_fill_of(state)) for state in reversed(_LOOKS) if state in states
    ]
    if timers:
        for label, fill in (("timer set", "white"), ("timer fires", INK)):
            handles.append(Line2D([], [], label=label, markerfacecolor=fill, **_DIAMOND))
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.01, 0.0), ncols=max(1, len(handles)),
        frameon=False, fontsize=10, labelcolor=INK, handlelength=1.6, columnspacing=1.4,
    )  # fmt: skip


# -- the wait-for graph ----------------------------------------------------------------

_Spot = tuple[float, float]


def _graph_height(recording: Recording) -> float:
    return _layout(recording)[1]


def _nodes(recording: Recording) -> list[int]:
    graph = recording.waits
    waited = [n for waiter in graph.waiters.values() for n in waiter.wait.targets]
    held = [~r for r in graph.holders] + [t for ts in graph.holders.values() for t in ts if t >= 0]
    ringed = [node for loop in graph.loops for node in loop]
    things = [node for node in (*waited, *held) if node < 0]  # few, and what it is all about
    nodes = dict.fromkeys([*ringed, *things, *graph.waiters, *waited, *held])
    return list(nodes)[: max(len(set(ringed)), _MOST_NODES)]


def _layout(recording: Recording) -> tuple[dict[int, _Spot], float]:
    """Place the nodes, in inches from the top left: rows of those who wait, then the rings."""
    loops = [loop[:-1] for loop in recording.waits.loops]
    ringed = {node for loop in loops for node in loop}
    spots: dict[int, _Spot] = {}
    y = 0.45
    for row in _rows(recording, [n for n in _nodes(recording) if n not in ringed], ringed):
        for line in _lines(row, 5):
            for i, node in enumerate(line):
                spots[node] = (WIDTH / 2 + (i - (len(line) - 1) / 2) * 1.9, y)
            y += 0.55
        y += 0.35
    for loop in loops:
        rx, ry = _ring_size(len(loop))
        points = _ring(len(loop), rx, ry)
        for node, (x, down) in zip(loop, points, strict=True):
            spots[node] = (WIDTH / 2 + x, y + ry + down)
        y += ry + max(down for _, down in points) + 0.75
    return spots, max(y - 0.1, 0.8)


def _lines(row: Sequence[int], most: int) -> list[Sequence[int]]:
    """Cut a row into lines of about equal length."""
    count = math.ceil(len(row) / most)
    each = math.ceil(len(row) / count)
    return [row[i : i + each] for i in range(0, len(row), each)]


def _rows(recording: Recording, nodes: list[int], ringed: set[int]) -> list[list[int]]:
    """Order the nodes outside of the cycles by what waits above what; a few levels will do."""
    waiters = recording.waits.waiters
    level = dict.fromkeys(nodes, 0)
    for _ in range(5):
        for node in nodes:
            targets = waiters[node].wait.targets if node in waiters else ()
            above = [1 + (0 if t in ringed else level.get(t, 0)) for t in targets if t != node]
            level[node] = min(5, max(above, default=level[node]))
    rows = [[n for n in nodes if level[n] == at] for at in sorted(set(level.values()))]
    return rows[::-1]


def _ring_size(count: int) -> tuple[float, float]:
    around = count * 1.5 / (2 * math.pi)
    rx = min(4.0, max(1.9, around * 1.9))
    return rx, max(0.3 if count < 3 else 0.85, around * 0.62 + max(0.0, around - rx / 1.9) * 0.62)


def _ring(count: int, rx: float, ry: float) -> list[_Spot]:
    start = -math.pi / 2 if count % 2 else math.pi
    steps = 720
    angles = [start + 2 * math.pi * i / steps for i in range(steps + 1)]
    points = [(rx * math.cos(a), ry * math.sin(a)) for a in angles]
    along = [0.0]
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        along.append(along[-1] + math.hypot((bx - ax) / 1.9, (by - ay) / 0.62))
    goals = [along[-1] * n / count for n in range(count)]
    return [points[int(np.searchsorted(along, goal - 1e-9))] for goal in goals]


def _draw_graph(figure: Figure, recording: Recording, *, bottom: float, height: float) -> None:
    axes = _axes(figure, 0, bottom, WIDTH, height)
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    spots, _ = _layout(recording)
    if not spots:
        axes.text(WIDTH / 2, height / 2, "Nobody waits.", ha="center", size=13, color=SOFT)
    pairs = {p for loop in recording.waits.loops for p in itertools.pairwise(loop)}
    ringed = {node for pair in pairs for node in pair}
    boxes = {node: _box(axes, recording, node, at, node in ringed) for node, at in spots.items()}
    edges = [e for e in recording.waits.node_edges() if e[0] in boxes and e[1] in boxes]
    for a, b, sure in edges:
        _arrow(axes, boxes[a], boxes[b], cycle=(a, b) in pairs, sure=sure)
        if a < 0 and len(edges) <= 14:
            off = 0.24 if (a, b) in pairs else 0.04
            _edge_label(axes, spots[a], spots[b], "held by" if sure else "maybe", off)
    for loop in recording.waits.loops:
        _name_ring(axes, recording, loop, spots)


def _box(axes: Axes, recording: Recording, node: int, at: _Spot, ringed: bool) -> FancyBboxPatch:
    trace = recording.trace
    name = trace.tasks[node].name if node >= 0 else trace.resources[~node].name
    text = _plain(name, 18)
    width = max(0.7, 0.093 * len(text) + 0.3)
    stuck = node in recording.waits.stuck_ids
    colour = _CYCLE if ringed or stuck else "#b07a00" if node >= 0 else SOFT
    x, y = at[0] - width / 2, at[1] - 0.17
    shape = "round,pad=0,rounding_size=0.17" if node >= 0 else "square,pad=0"
    box = FancyBboxPatch(
        (x, y), width, 0.34, boxstyle=shape, zorder=3, edgecolor=colour,
        facecolor="#fdeee3" if ringed and node >= 0 else "#fdf6e6" if node >= 0 else "white",
        linewidth=2.4 if ringed else 1.4, linestyle="-" if ringed or node < 0 else (0, (3, 2)),
    )  # fmt: skip
    axes.add_patch(box)
    axes.text(
        *at, text, ha="center", va="center", size=11, family="DejaVu Sans Mono", zorder=4,
        color=INK, weight="bold" if ringed else "normal", parse_math=False,
    )  # fmt: skip
    return box


def _arrow(axes: Axes, a: Patch, b: Patch, *, cycle: bool, sure: bool) -> None:
    bend = "arc3,rad=-0.22" if cycle else "arc3,rad=-0.08"
    if a is b:
        return
    ends = _centre(a), _centre(b)
    colour = _CYCLE if cycle else "#8b9098"
    axes.add_patch(
        FancyArrowPatch(
            *ends,
            patchA=a,
            patchB=b,
            connectionstyle=bend,
            color=colour,
            zorder=2 if cycle else 1,
            arrowstyle="-|>",
            mutation_scale=22 if cycle else 12,
            shrinkA=3,
            shrinkB=3,
            linewidth=5 if cycle else 1.3,
            linestyle="-" if sure or cycle else (0, (4, 3)),
        )
    )
    if cycle:  # a white dashed core makes the line a double one
        axes.add_patch(
            FancyArrowPatch(
                *ends,
                patchA=a,
                patchB=b,
                connectionstyle=bend,
                color="white",
                zorder=2.5,
                arrowstyle="-",
                shrinkA=3,
                shrinkB=16,
                linewidth=1.5,
                linestyle=(0, (4, 2)),
            )
        )


def _centre(box: Patch) -> _Spot:
    extents = box.get_path().get_extents()
    return ((extents.x0 + extents.x1) / 2, (extents.y0 + extents.y1) / 2)


def _edge_label(axes: Axes, a: _Spot, b: _Spot, text: str, off: float) -> None:
    dx, dy = b[0] - a[0], b[1] - a[1]
    axes.text(
        (a[0] + b[0]) / 2 + dy * off, (a[1] + b[1]) / 2 - dx * off, text, ha="center",
        va="center", size=10, color=SOFT, zorder=5,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )  # fmt: skip


def _name_ring(
    axes: Axes, recording: Recording, loop: tuple[int, ...], spots: Mapping[int, _Spot]
) -> None:
    members = len([node for node in loop[:-1] if node >= 0])
    text = f"cycle of {members}" if members > 1 else "cycle"
    guess = recording.waits.guessed(loop)
    xs, ys = zip(*(spots[node] for node in loop[:-1]), strict=True)
    axes.text(
        (min(xs) + max(xs)) / 2, sum(ys) / len(ys), f"perhaps a\n{text}" if guess else text,
        ha="center", va="center", size=14, weight="bold", color="#b04e00", zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
    )  # fmt: skip
