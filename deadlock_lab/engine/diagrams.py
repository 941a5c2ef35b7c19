"""Who waits for whom, in the two languages that draw graphs from text.

The names come from learners' code, and may hold anything that these languages mean
something by: every label is escaped.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .graph import WaitGraph

__all__ = ["graphviz", "mermaid"]

# A mermaid label takes entities, with # for &; a backtick would begin a markdown string.
_MERMAID = str.maketrans(
    {c: f"#{ord(c)};" for c in '#"&<>`\\[]{}()|;'} | dict.fromkeys("\r\n\t", " ")
)
_GRAPHVIZ = str.maketrans({'"': r"\"", "\\": r"\\", "\n": r"\n", "\r": " "})


def mermaid(graph: "WaitGraph") -> str:
    """Write a graph as a Mermaid flowchart; see ``WaitGraph.to_mermaid``."""
    lines = ["flowchart LR"]
    for node in _nodes(graph):
        label = graph.name(node).translate(_MERMAID)
        lines.append(
            f'    {_id(node)}["{label}"]' if node >= 0 else f'    {_id(node)}(["{label}"])'
        )
    lines += [
        f"    {_id(a)} {'-->' if sure else '-.->'} {_id(b)}" for a, b, sure in graph.node_edges()
    ]
    if graph.stuck_ids:
        lines.append("    classDef stuck stroke:#c00,stroke-width:3px")
        lines.append(f"    class {','.join(map(_id, graph.stuck_ids))} stuck")
    return "\n".join(lines) + "\n"


def graphviz(graph: "WaitGraph") -> str:
    """Write a graph in Graphviz's DOT; see ``WaitGraph.to_graphviz``."""
    lines = ["digraph waits {", "    rankdir=LR;"]
    for node in _nodes(graph):
        shape = "box" if node >= 0 else "ellipse"
        stuck = ', color="#cc0000", penwidth=3' if node in graph.stuck_ids else ""
        label = graph.name(node).translate(_GRAPHVIZ)
        lines.append(f'    {_id(node)} [label="{label}", shape={shape}{stuck}];')
    for a, b, sure in graph.node_edges():
        lines.append(f"    {_id(a)} -> {_id(b)}{'' if sure else ' [style=dashed]'};")
    return "\n".join([*lines, "}"]) + "\n"


def _nodes(graph: "WaitGraph") -> Iterable[int]:
    """Give the nodes that are drawn: tasks by ordinal, then resources by index."""
    used = {n for a, b, _ in graph.node_edges() for n in (a, b)} | set(graph.waiters)
    return sorted(used, key=lambda n: (n < 0, abs(n)))


def _id(node: int) -> str:
    return f"t{node}" if node >= 0 else f"r{~node}"
