"""The player as one file: no kernel, no network, from disk or in a sandboxed frame."""

import base64
import html
import json
import zlib
from os import PathLike
from pathlib import Path

from ..engine.recording import Recording
from .cut import shown
from .narration import transcript
from .payload import opening, to_payload
from .player import module_text, style_text

__all__ = ["page", "save_html"]

_LISTED = 200  # sentences in the page for readers without scripts

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ margin: 0; padding: 16px; background: Canvas; color: CanvasText;
  font: 15px/1.5 system-ui, sans-serif; }}
main {{ max-width: 1180px; margin: 0 auto; }}
main h1 {{ position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden;
  clip-path: inset(50%); }}
</style>
</head>
<body>
<main><h1>{title}</h1></main>
<noscript>
<h1>{title}</h1>
<ol>
{steps}
</ol>
</noscript>
<!-- Style, run and player, deflated: else each page would be three times as heavy. -->
<script type="text/plain">{packed}</script>
<script>
const packed = document.querySelector("script[type='text/plain']").textContent;
const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
new Response(stream).text().then((html) =>
  document.body.append(document.createRange().createContextualFragment(html)));
</script>
</body>
</html>
"""

_PLAYER = """<style>
{style}
</style>
<script type="application/json">{payload}</script>
<script type="module">
{module}
const payload = JSON.parse(document.querySelector("script[type='application/json']").textContent);
const asked = () => /^#step=(\\d+)$/.exec(location.hash)?.[1];
const player = makePlayer(payload, Number(asked() ?? {opening}), () => {{}});
document.querySelector("main").append(player.element);
addEventListener("hashchange", () => asked() && player.go(Number(asked())));
</script>
"""


def page(recording: Recording, title: str = "") -> str:
    """Write a run as a page that plays it.

    Args:
        recording: the run.
        title: the page's title; by default, how the run ended.

    Returns:
        HTML, for browsers since 2023. Without scripts it shows the transcript instead.
    """
    recording = shown(recording)
    steps = transcript(recording)
    listed = steps if len(steps) <= _LISTED else [*steps[:_LISTED], "…", steps[-1]]
    return _PAGE.format(
        title=html.escape(title or f"{recording.outcome}: {steps[-1]}".replace("`", "")),
        steps="\n".join(f"<li>{html.escape(step)}</li>" for step in listed),
        packed=_packed(_player(recording)),
    )


def _player(recording: Recording) -> str:
    """Write what plays the run, as HTML."""
    data = json.dumps(to_payload(recording), ensure_ascii=False, separators=(",", ":"))
    return _PLAYER.format(
        style=style_text(),
        payload=data.replace("<", "\\u003c"),
        module=module_text(),
        opening=opening(recording),
    )


def _packed(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def save_html(recording: Recording, path: str | PathLike[str]) -> None:
    """Write a run as one file that plays it, at a moment if opened as ``file.html#step=42``.

    Args:
        recording: the run.
        path: where to write it; an existing file is replaced.
    """
    Path(path).write_text(page(recording), encoding="utf-8")
