"""The house rules that tools can keep: style, types, layers, names, and no heavy imports."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import deadlock_lab

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


def tool(*command: str) -> None:
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linter_finds_nothing() -> None:
    tool("ruff", "check")


def test_every_file_is_formatted() -> None:
    tool("ruff", "format", "--check")


def test_the_strict_type_checker_finds_nothing() -> None:
    tool("mypy")


def test_imports_run_one_way() -> None:
    tool("lint-imports")


def test_importing_the_package_brings_the_standard_library_only() -> None:
    code = (
        "import sys; before = set(sys.modules); import deadlock_lab, deadlock_lab.patterns; "
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign = set(done.stdout.split()) - set(sys.stdlib_module_names) - {"deadlock_lab"}
    assert foreign == set()


def modules() -> list[str]:
    found = pkgutil.walk_packages(deadlock_lab.__path__, "deadlock_lab.")
    return ["deadlock_lab", *(m.name for m in found if not m.name.endswith("__main__"))]


@pytest.mark.parametrize("name", modules())
def test_a_module_exports_what_it_says_it_does(name: str) -> None:
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert [e for e in exported if not hasattr(module, e)] == []


@pytest.mark.parametrize("name", modules())
def test_what_a_module_exports_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    things = [getattr(module, e) for e in getattr(module, "__all__", [])]
    bare = [t for t in things if callable(t) and not (t.__doc__ or "").strip()]
    assert bare == []


def test_the_versions_of_python_are_named_once() -> None:
    """The classifiers name 3.11 to 3.14, and no file uses the syntax of a newer one."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r"Python :: (3\.\d+)", project) == ["3.11", "3.12", "3.13", "3.14"]
    for path in (ROOT / "deadlock_lab").rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 11))
