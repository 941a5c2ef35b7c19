"""Lists and counts in English, for every text that names tasks and things."""

from collections.abc import Iterable

__all__ = ["counted", "listed"]


def listed(names: Iterable[str], conjunction: str = "and", *, most: int | None = None) -> str:
    """Write names as a list in words.

    Args:
        names: one at least.
        conjunction: what stands before the last one.
        most: how many to write; of more, the first few and a count.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed(["a", "b"], "or")
    ('a', 'a, b and c', 'a or b')
    >>> listed("abcdef", most=4)
    'a, b, c and 3 more'
    """
    named = list(names)
    if most is not None and len(named) > most:
        named[most - 1 :] = [f"{len(named) - most + 1} more"]
    *rest, last = named
    return f"{', '.join(rest)} {conjunction} {last}" if rest else last


def counted(number: int, noun: str) -> str:
    """Write a number with its noun.

    >>> counted(1, "step"), counted(1_200, "step"), counted(0, "wait")
    ('1 step', '1,200 steps', 'no waits')
    """
    many = f"{number:,}" if number else "no"
    return f"{many} {noun}" if number == 1 else f"{many} {noun}s"
