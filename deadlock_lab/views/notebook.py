"""What a notebook shows for a bare ``run``, and what it calls the cells of its own code."""

import sys
from typing import Any

from ..engine import places
from ..engine.recording import Recording
from .text import explain

__all__ = ["mimebundle"]


def mimebundle(recording: Recording) -> Any:
    """Give the player, and for places where it cannot live a picture and a text.

    Args:
        recording: the run.

    Returns:
        A MIME bundle with its metadata. Without the ``lab`` extra: the text alone.
    """
    bundle: dict[str, Any] = {"text/plain": explain(recording)}
    try:
        from .pictures import still
        from .player import Player
    except ImportError:
        return bundle
    bundle["image/png"] = still(recording)
    if widget := Player(recording)._repr_mimebundle_():
        data = widget[0] if isinstance(widget, tuple) else widget
        bundle |= {kind: value for kind, value in data.items() if kind != "text/plain"}
    return bundle, {"image/png": {"alt": explain(recording)}}


def _cell_label(filename: str) -> str | None:
    """Name a cell by its execution count, as the notebook does: ``cell [3]``."""
    shell = sys.modules["IPython"].get_ipython()
    numbers = getattr(getattr(shell, "compile", None), "_filename_map", {})
    number = numbers.get(filename)
    return None if number is None else f"cell [{number}]"


if "IPython" in sys.modules:
    places.namers.append(_cell_label)
