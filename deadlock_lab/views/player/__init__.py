"""The animated player, as a widget for JupyterLab, Notebook 7, VS Code and Colab.

The state of the picture is a pure function of (trace, position), in ``state.js``; the
other modules only draw. anywidget wants one module: ``module_text`` joins them.
"""

import functools
import re
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ...engine.recording import Recording
from ..notebook import pictured
from ..payload import opening, to_payload

__all__ = ["Player", "join_modules", "module_text", "stage_modules", "style_text"]

_HERE = Path(__file__).parent
_MODULES = ("state", "sentence", "layout", "dom", "stage", "source", "timeline", "player")
_IMPORT = re.compile(r'^import \{[^}]*\} from "\.[./\w]*/\w+\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)
_INDENT = re.compile(r"^ +", re.MULTILINE)
_COMMENT = re.compile(r"^ *(?://.*|/\*\*(?:[^*]|\*(?!/))*\*/)\n", re.MULTILINE)


@functools.cache
def module_text() -> str:
    """Join the player's modules into one."""
    return join_modules(*(_HERE / f"{name}.js" for name in _MODULES))


def stage_modules() -> list[Path]:
    """List the modules that other widgets may show a moment with: stage and source."""
    return [_HERE / f"{name}.js" for name in _MODULES[: _MODULES.index("timeline")]]


def join_modules(*paths: Path) -> str:
    """Join modules into one, in the order in which they build on each other.

    Their imports of each other go, and so do ``export`` and the comments: all names share
    one scope, which a browser refuses if two are alike. Indents go too: the module is
    sent with every widget.
    """
    joined = "\n".join(path.read_text("utf-8") for path in paths)
    for what in (_IMPORT, _EXPORT, _COMMENT, _INDENT):
        joined = what.sub("", joined)
    return joined


@functools.cache
def style_text() -> str:
    """Return the player's style sheet."""
    return (_HERE / "player.css").read_text("utf-8")


class Player(anywidget.AnyWidget):
    """Plays a recording, step by step, forward and back.

    Args:
        recording: the run to play.
        position: how many events have happened at the moment it opens at; by default,
            the moment the first task runs.

    ``position`` may be set later too, and follows what the learner does. The widget lives
    as long as its kernel; what is to stay in a notebook is shown by a bare ``run``.
    """

    _esm = module_text()
    _css = style_text()

    payload = traitlets.Dict().tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)

    def __init__(self, recording: Recording, position: int | None = None, **options: Any) -> None:
        payload = to_payload(recording)
        start = opening(recording) if position is None else position
        self._recording = recording
        self._total = len(payload["events"]["say"])
        super().__init__(payload=payload, position=start, **options)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle, metadata = pictured(self._recording)
        widget: Any = super()._repr_mimebundle_(**options) or {}
        data = widget[0] if isinstance(widget, tuple) else widget
        return {**data, **bundle}, metadata

    @traitlets.validate("position")
    def _within(self, proposal: Any) -> int:
        return max(0, min(int(proposal["value"]), self._total))
