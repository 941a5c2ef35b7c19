"""A real Chromium, pages that must not complain, and a real JupyterLab."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

START_SECONDS = 60  # how long a server may take; only a broken one takes that long
NOISE = "Could not restore the debugger state"  # JupyterLab's own, as a kernel is restarted
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser(missing: Callable[[str], NoReturn]) -> Iterator[Any]:
    """Start the system's Chromium, once for a module.

    Not for the session: while playwright is up its event loop counts as running in this
    thread, and tests of asyncio that come after would find themselves inside of it.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed: it comes with the extra `test`")
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if path is None:
        missing(f"no browser: none of {', '.join(CHROMIUMS)} is on PATH")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open pages by URL; afterwards none may have logged an error.

    The function takes a URL and the options of a browser context (``color_scheme``,
    ``viewport`` …) and returns a playwright page.
    """
    complaints: list[str] = []
    contexts = []

    def open_(url: str, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1180, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [text for text in complaints if NOISE not in text] == []


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], str]]:
    """Serve a folder with JupyterLab and a home directory that is empty; returns its address."""
    servers = []

    def serve_(folder: Path) -> str:
        home = tmp_path_factory.mktemp("home")
        folders = {f"JUPYTER_{n}_DIR": str(home / n) for n in ("RUNTIME", "CONFIG", "DATA")}
        command = [
            *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--port=0"),
            *("--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"),
        ]
        environment = {**os.environ, "HOME": str(home), **folders}
        with (home / "log").open("w") as log:
            server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        servers.append(server)
        return _address(home, server)

    yield serve_
    for server in servers:
        server.terminate()
        server.wait()


def _address(home: Path, server: "subprocess.Popen[bytes]") -> str:
    for _ in range(START_SECONDS * 10):
        for info in home.glob("RUNTIME/jpserver-*.json"):
            if text := info.read_text(encoding="utf-8"):
                return str(json.loads(text)["url"])
        assert server.poll() is None, (home / "log").read_text(encoding="utf-8")
        time.sleep(0.1)
    raise AssertionError((home / "log").read_text(encoding="utf-8"))


@pytest.fixture
def violations(npm_packages: Path) -> Callable[[Any], list[tuple[str, list[str]]]]:
    """Ask axe-core about a page: the rules that are broken, and by which elements."""

    def ask(page: Any) -> list[tuple[str, list[str]]]:
        page.add_script_tag(path=npm_packages / "axe-core" / "axe.min.js")
        found = page.evaluate("async () => (await axe.run()).violations")
        return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]

    return ask
