"""Tools of the tests that do not come with pip."""

import os
import shutil
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import NoReturn

import pytest

VIEWS = Path(__file__).parent / "views"


Missing = Callable[[str], NoReturn]


@pytest.fixture(scope="session")
def missing() -> Missing:
    """Skip a test for want of something; in CI nothing may be wanting."""
    return pytest.fail if os.environ.get("CI") else pytest.skip


@pytest.fixture(scope="session")
def npm_packages(pytestconfig: pytest.Config, missing: Missing) -> Path:
    """Install what ``tests/views/package.json`` names, in the versions of its lock file.

    Returns:
        The ``node_modules`` folder. It is kept in pytest's cache, so that only the first
        run needs the network.
    """
    lock = (VIEWS / "package-lock.json").read_bytes()
    assert pytestconfig.cache is not None
    cache = pytestconfig.cache.mkdir("npm")
    ready = cache / f"{zlib.crc32(lock):08x}"
    if not ready.exists():
        _install(ready, missing)
    return ready / "node_modules"


@pytest.fixture(scope="session")
def node(missing: Callable[[str], NoReturn]) -> str:
    """Find node: on the path, or the one that playwright brings along."""
    if found := shutil.which("node"):
        return found
    try:
        from playwright._impl._driver import compute_driver_executable

        return str(compute_driver_executable()[0])
    except ImportError:
        missing("no node: neither on PATH nor in the playwright package")


@pytest.fixture(scope="session")
def tsc(npm_packages: Path, node: str) -> Callable[[Path], str]:
    """Check the types of the modules in a folder; the function returns what was found."""
    script = npm_packages / "typescript" / "bin" / "tsc"

    def check(folder: Path) -> str:
        shutil.copy(VIEWS / "tsconfig.json", folder)
        done = subprocess.run(
            [node, str(script), "--project", str(folder)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.stdout + done.stderr

    return check


def _install(ready: Path, missing: Missing) -> None:
    npm = shutil.which("npm")
    if npm is None:
        missing("npm is not on PATH: it comes with node")
    folder = Path(mkdtemp(dir=ready.parent))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(VIEWS / name, folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        shutil.rmtree(folder)
        missing(f"npm could not install the checkers: {done.stderr[-2000:]}")
    try:
        folder.rename(ready)
    except OSError:  # another worker was first
        shutil.rmtree(folder)
