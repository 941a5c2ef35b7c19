"""A bar while many runs take long."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["bar"]


@contextmanager
def bar(total: int, what: str, *, shown: bool) -> Iterator[Callable[[], object]]:
    """Show a bar while it lasts for more than a moment, and leave nothing behind.

    Args:
        total: how many steps it has.
        what: what is counted, in the plural.
        shown: whether to show it at all, where tqdm is installed.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError:
        shown = False
    if not shown:
        yield lambda: None
        return
    with tqdm(total=total, desc=what, delay=2, leave=False) as drawn:
        yield drawn.update
