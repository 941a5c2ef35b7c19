"""A few screenshots that were looked at and kept; a change that nobody meant is seen here.

The fonts are matplotlib's own, so that they are the same on every machine. What was drawn
is left in ``tests/artefacts``: a new look that is meant is copied from there to ``golden``.
"""

import base64
import io
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image

from deadlock_lab.engine.run import execute
from deadlock_lab.views.cycles import first_closing
from deadlock_lab.views.html import save_html
from deadlock_lab.views.payload import opening

pytestmark = pytest.mark.browser

HERE = Path(__file__).parent
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
LOOKS = {"sans": "DejaVuSans.ttf", "mono": "DejaVuSansMono.ttf"}
FAR = 60  # of 255: by so much a pixel has another colour, and not another edge
SHARE = 0.002  # of the pixels may be far; another step of the same run makes six times as many


@pytest.fixture(scope="module")
def recording() -> Any:
    return execute(runpy.run_path(str(HERE / "two_locks.py"))["main"])


@pytest.fixture
def shoot(
    open_page: Callable[..., Any], recording: Any, tmp_path: Path
) -> Callable[..., Image.Image]:
    """Take a picture of the player after so many steps; the rest is options of the page."""
    save_html(recording, tmp_path / "run.html")

    def shoot_(step: int, width: int = 1000, **options: Any) -> Image.Image:
        page = open_page(
            f"{(tmp_path / 'run.html').as_uri()}#step={step}",
            viewport={"width": width, "height": 700},
            device_scale_factor=1,
            reduced_motion="reduce",
            **options,
        )
        page.locator(".dl-task").first.wait_for()
        page.add_style_tag(content=fonts())
        page.evaluate("document.fonts.ready")
        page.wait_for_timeout(300)  # the layout follows the fonts
        shot = Image.open(io.BytesIO(page.screenshot(full_page=True, animations="disabled")))
        return shot.convert("RGB").quantize(128, dither=Image.Dither.NONE)  # a third as heavy

    return shoot_


def fonts() -> str:
    faces = "".join(
        f"@font-face {{ font-family: golden-{name}; src: url(data:font/ttf;base64,"
        f"{base64.b64encode((FONTS / file).read_bytes()).decode()}) }}"
        for name, file in LOOKS.items()
    )
    return faces + ".deadlock-lab { --dl-sans: golden-sans; --dl-mono: golden-mono; }"


def far_apart(one: Image.Image, other: Image.Image) -> float:
    """Compare two pictures: the share of pixels that have another colour."""
    if one.size != other.size:
        return 1.0
    a, b = (np.asarray(image.convert("RGB"), dtype=int) for image in (one, other))
    return float((abs(a - b).max(axis=2) > FAR).mean())


CASES = {
    "opening-light": ("opening", {"color_scheme": "light"}),
    "closing-light": ("closing", {"color_scheme": "light"}),
    "closing-dark": ("closing", {"color_scheme": "dark"}),
    "closing-phone": ("closing", {"color_scheme": "light", "width": 375}),
}


@pytest.mark.parametrize("name", CASES)
def test_it_looks_as_it_did(name: str, shoot: Callable[..., Image.Image], recording: Any) -> None:
    moment, options = CASES[name]
    step = opening(recording) if moment == "opening" else first_closing(recording) + 1
    shot = shoot(step, **options)
    artefact = HERE.parent / "artefacts" / f"{name}.png"
    artefact.parent.mkdir(exist_ok=True)
    shot.save(artefact, optimize=True)
    golden = Image.open(HERE / "golden" / f"{name}.png")
    assert shot.size == golden.size
    assert far_apart(shot, golden) <= SHARE


def test_another_moment_would_be_seen_to_differ(
    shoot: Callable[..., Image.Image], recording: Any
) -> None:
    golden = Image.open(HERE / "golden" / "closing-light.png")
    before = shoot(first_closing(recording), color_scheme="light")
    assert far_apart(before, golden) > 6 * SHARE
