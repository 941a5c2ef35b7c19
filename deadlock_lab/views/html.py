"""The player as HTML: one file, or a notebook's output. No kernel, no network.

The file works from disk and in a sandboxed frame. The output works where a widget does not:
a widget's view is lost when its kernel is, and a notebook that is opened again would say
"model not found".
"""

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

__all__ = ["output", "page", "save_html"]

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
{inflate}
inflated.text().then((html) =>
  document.body.append(document.createRange().createContextualFragment(html)));
</script>
</body>
</html>
"""

_INFLATE = """const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
const inflated = new Response(
  new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")));"""

# Where no scripts run, the picture stays. They are evaluated as copies, here or at the end of
# the output, so the place is looked for from their parent.
_OUTPUT = """<div class="deadlock-lab-run">
<img alt="{alt}" src="data:image/png;base64,{picture}">
<script type="text/plain">{packed}</script>
</div>
<script>
{{
const host = document.currentScript.parentElement.querySelector(".deadlock-lab-run");
const packed = host.querySelector("script").textContent;
{inflate}
inflated.json().then(async ({{ module, style, ...values }}) => {{
  const url = URL.createObjectURL(new Blob([module], {{ type: "text/javascript" }}));
  const {{ default: player }} = await import(url);
  URL.revokeObjectURL(url);
  const look = document.createElement("style");
  look.textContent = style;
  host.replaceChildren(look);
  const set = (name, value) => {{ values[name] = value; }};
  const nothing = () => {{}};
  const model = {{ get: (name) => values[name], set, save_changes: nothing, on: nothing }};
  player.render({{ model, el: host }});
}});
}}
</script>
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
        inflate=_INFLATE,
    )


def output(recording: Recording, picture: bytes, alt: str) -> str:
    """Write a run as what a notebook keeps of it: the player, or where no scripts run a picture.

    Args:
        recording: the run.
        picture: a PNG.
        alt: what the picture says, in words.

    Returns:
        A piece of HTML that stands alone.
    """
    kept = {
        "module": module_text(),
        "style": style_text(),
        "payload": to_payload(recording),
        "position": opening(recording),
    }
    return _OUTPUT.format(
        alt=html.escape(alt),
        picture=base64.b64encode(picture).decode(),
        packed=_packed(_json(kept)),
        inflate=_INFLATE,
    )


def _player(recording: Recording) -> str:
    """Write what plays the run, as HTML."""
    return _PLAYER.format(
        style=style_text(),
        payload=_json(to_payload(recording)).replace("<", "\\u003c"),
        module=module_text(),
        opening=opening(recording),
    )


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _packed(text: str) -> str:
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def save_html(recording: Recording, path: str | PathLike[str]) -> None:
    """Write a run as one file that plays it, at a moment if opened as ``file.html#step=42``.

    Args:
        recording: the run.
        path: where to write it; an existing file is replaced.
    """
    Path(path).write_text(page(recording), encoding="utf-8")
