"""A bar while many runs take long. Once it is over nothing of it is left.

In a notebook that takes care: a cell's outputs are stored, and what a bar says of real time
would be stored with them.
"""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

__all__ = ["bar"]

_MOMENT = 2.0  # real seconds


@contextmanager
def bar(total: int, what: str, *, shown: bool) -> Iterator[Callable[[], object]]:
    """Show a bar while it lasts for more than a moment, and leave nothing behind.

    Args:
        total: how many steps it has.
        what: what is counted, in the plural.
        shown: whether to show it at all, where tqdm is installed.
    """
    try:
        from tqdm import tqdm
    except ImportError:
        shown = False
    if not shown:
        yield lambda: None
        return
    with tqdm(total=total, desc=what, delay=_MOMENT, leave=False, file=_place()) as drawn:
        yield drawn.update


class _Output(io.TextIOBase):
    """An output of a notebook's cell that shows what was written last, if anything."""

    encoding = "utf-8"  # else tqdm draws in ASCII

    def __init__(self) -> None:
        self._handle = import_module("IPython.display").DisplayHandle()
        self._is_there = False

    def write(self, text: str) -> int:
        line = text.strip()
        data = {"text/plain": line} if line else {}
        if self._is_there:
            self._handle.update(data, raw=True)
        elif line:
            self._handle.display(data, raw=True)
            self._is_there = True
        return len(text)


def _place() -> Any:
    """Return where to draw: in a notebook its cell's output, else where tqdm does."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return _Output() if getattr(shell, "kernel", None) else None
