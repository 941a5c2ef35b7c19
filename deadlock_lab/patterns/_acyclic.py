"""Keep a graph of waits free of cycles, one edge at a time.

Looking for a cycle in the whole graph each time somebody begins to wait costs more the busier the
program is, although nearly all of the graph has nothing to do with the newcomer. So every node
carries a *rank*, and every edge climbs: whoever waits has the smaller one. An edge that climbs
already cannot close a cycle, and nothing is searched at all. One that does not climb lifts the
node waited for, and whatever behind it is in the way; meeting the waiter on that walk is the
cycle. Nodes that do not lie behind the new edge are never looked at.

This is the one-way limited search of Haeupler, Kavitha, Mathew, Sen and Tarjan, "Incremental Cycle
Detection, Topological Ordering, and Strong Component Maintenance", ACM Trans. Algorithms 8(1):3
(2012), on integer levels as in Bender, Fineman, Gilbert and Tarjan, "A New Approach to
Incremental Cycle Detection and Related Problems", ACM Trans. Algorithms 12(2):14 (2016).

Why not a better bound? Pearce and Kelly (2006), and both papers' two-way searches, also walk
*backwards*, from the waiter to all who wait for it. Their bounds count on edges that stay; ours
come and go by the thousand, and a graph of waits has hubs: a hundred thousand operations that wait
for "db". Walking forwards never visits those, needs no lists of predecessors, and since two nodes
may share a rank, a newcomer nearly always finds room without moving anybody. Taking an edge away
leaves every other edge climbing, so it costs nothing. The price is the worst case: an edge into a
chain of n nodes, all ranked too low, lifts all n.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Self, TypeVar

__all__ = ["Node", "connect", "disconnect"]


class Node:
    """Something that waits and is waited for; subclass it to say what."""

    __slots__ = ("rank", "waiters", "waits_for")

    rank: int
    waiters: int
    waits_for: dict[Self, int]

    def __init__(self) -> None:
        self.rank = 0
        self.waiters = 0  # how many nodes wait for this one
        self.waits_for = {}  # and how many times each of these was asked for


AnyNode = TypeVar("AnyNode", bound=Node)


def connect(waiter: AnyNode, waited: AnyNode) -> list[AnyNode]:
    """Let ``waiter`` wait for ``waited``, once more if it does already.

    Returns
    -------
    list
        Empty; or, when the edge would close a cycle, that cycle, beginning and ending with
        ``waiter``. The edge is not drawn then, and no rank has moved.

    >>> a, b, c = Node(), Node(), Node()
    >>> connect(a, b), connect(b, c)
    ([], [])
    >>> connect(c, a) == [c, a, b, c]
    True
    """
    if waited in waiter.waits_for:
        waiter.waits_for[waited] += 1
        return []
    if waiter is waited:
        return [waiter, waiter]
    if waiter.rank >= waited.rank:
        if waiter.waiters:
            cycle = _lift(waited, above=waiter)
            if cycle:
                return cycle
        else:  # nobody minds how low it goes
            waiter.rank = waited.rank - 1
    waiter.waits_for[waited] = 1
    waited.waiters += 1
    return []


def disconnect(waiter: AnyNode, waited: AnyNode) -> None:
    """Take back one ``connect`` of these two."""
    if waiter.waits_for[waited] > 1:
        waiter.waits_for[waited] -= 1
    else:
        del waiter.waits_for[waited]
        waited.waiters -= 1


def _lift(node: AnyNode, *, above: AnyNode) -> list[AnyNode]:
    """Rank ``node``, and what it waits for, above the other; or return the cycle they form.

    Taken in the order of the old ranks, everything that could push a node up has done so before
    that node is reached, so each is visited once.
    """
    lifted = {node: above.rank + 1}
    came_from: dict[AnyNode, AnyNode] = {node: above}
    queue = [(node.rank, 0, node)]
    while queue:
        here = heappop(queue)[-1]
        least = lifted[here] + 1
        for ahead in here.waits_for:
            if ahead is above:
                return _path(came_from, here, ahead)
            if ahead.rank >= least or lifted.get(ahead, ahead.rank) >= least:
                continue
            if ahead not in lifted:
                came_from[ahead] = here
                heappush(queue, (ahead.rank, len(lifted), ahead))
            lifted[ahead] = least
    for moved, rank in lifted.items():
        moved.rank = rank
    return []


def _path(came_from: dict[AnyNode, AnyNode], last: AnyNode, start: AnyNode) -> list[AnyNode]:
    """Retrace the cycle from ``start`` by way of ``last`` back to ``start``."""
    backwards = [start, last]
    while backwards[-1] is not start:
        backwards.append(came_from[backwards[-1]])
    return backwards[::-1]
