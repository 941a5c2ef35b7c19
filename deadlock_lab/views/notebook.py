"""What a notebook shows for a bare ``run``, and what it calls the cells of its own code."""

import sys
from typing import Any

from ..engine import places
from ..engine.recording import Recording
from .text import explain

__all__ = ["mimebundle", "pictured"]


def mimebundle(recording: Recording) -> Any:
    """Give the player, and for places where it cannot live a picture and a text.

    The player comes as HTML, which needs no kernel: it is still there when the notebook is
    opened again, when its cell is copied, and when the kernel is restarted.

    Args:
        recording: the run.

    Returns:
        A MIME bundle with its metadata. Without the ``lab`` extra: the text alone.
    """
    try:
        bundle, metadata = pictured(recording)
        from .html import output
    except ImportError:
        return {"text/plain": explain(recording)}
    bundle["text/html"] = output(recording, bundle["image/png"], bundle["text/plain"])
    return bundle, metadata


def pictured(recording: Recording) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give a run as a picture and a text, as a MIME bundle with its metadata."""
    from .pictures import still

    text = explain(recording)
    return {"text/plain": text, "image/png": still(recording)}, {"image/png": {"alt": text}}


def _cell_label(filename: str) -> str | None:
    """Name a cell by its execution count, as the notebook does: ``cell [3]``."""
    shell = sys.modules["IPython"].get_ipython()
    numbers = getattr(getattr(shell, "compile", None), "_filename_map", {})
    number = numbers.get(filename)
    return None if number is None else f"cell [{number}]"


if "IPython" in sys.modules:
    places.namers.append(_cell_label)
