"""What the patterns raise when they meet a circle of dependencies.

A message such as "circular dependency detected" sends its reader off to look for the circle. The
code that noticed it had the whole circle in its hands, so the error carries it and prints it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

__all__ = ["CircularDependencyError"]

_DEFAULT_HINT = "remove one of these dependencies"


class CircularDependencyError(RuntimeError):
    """Work was refused, or stopped, because it would have waited for itself.

    Parameters
    ----------
    cycle
        The nodes of the circle in order, each depending on the next, with the first one repeated
        at the end. A node may be any value; strings are printed bare, the rest as their ``repr``.
    hint
        What the reader should do about it, in a few words.

    Raises
    ------
    TypeError
        If ``cycle`` is a bare string, or not iterable at all.
    ValueError
        If ``cycle`` does not end where it begins.

    >>> error = CircularDependencyError(["A", "B", "C", "A"])
    >>> print(error)
    circular dependency: A → B → C → A; remove one of these dependencies
    >>> error.cycle
    ('A', 'B', 'C', 'A')
    >>> print(CircularDependencyError([7, 7], hint="let 7 stop asking for itself"))
    circular dependency: 7 → 7; let 7 stop asking for itself
    """

    cycle: tuple[Hashable, ...]
    hint: str

    def __init__(self, cycle: Iterable[Hashable], *, hint: str = _DEFAULT_HINT) -> None:
        if isinstance(cycle, (str, bytes)):
            raise TypeError(f"cycle must be a sequence of nodes, not the one string {cycle!r}")
        nodes = tuple(cycle)
        if len(nodes) < 2 or nodes[0] != nodes[-1]:
            raise ValueError(
                f"a cycle ends with the node it begins with, and {nodes!r} does not; "
                "repeat the first node at the end"
            )
        self.cycle = nodes
        self.hint = hint
        super().__init__(nodes, hint)

    def __str__(self) -> str:
        return f"circular dependency: {' → '.join(map(_name, self.cycle))}; {self.hint}"

    def __reduce__(self) -> tuple[object, ...]:
        # BaseException would call the class with *args, and the hint is keyword-only. The dict
        # carries what add_note() left there.
        return _rebuild, (type(self), self.cycle, self.hint), self.__dict__


def _name(node: Hashable) -> str:
    return node if isinstance(node, str) else repr(node)


def _rebuild(
    kind: type[CircularDependencyError], cycle: tuple[Hashable, ...], hint: str
) -> CircularDependencyError:
    return kind(cycle, hint=hint)
