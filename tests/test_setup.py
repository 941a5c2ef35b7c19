"""Everything a stranger sets up with: conda, Binder, and the README's two commands."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = tomllib.loads(text)["project"]
    return loaded


@pytest.fixture(scope="module")
def environment() -> list[Any]:
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    listed: list[Any] = yaml.safe_load(text)["dependencies"]
    return listed


def test_conda_gets_the_packages_of_pyproject_in_the_same_versions(
    project: dict[str, Any], environment: list[Any]
) -> None:
    extras = project["optional-dependencies"]
    nbval = [r for r in extras["test"] if r.startswith("nbval")]
    wanted = {*extras["lab"], *nbval, f"python{project['requires-python']}", "pip"}
    assert {d for d in environment if isinstance(d, str)} == wanted


def test_conda_installs_the_package_itself(environment: list[Any]) -> None:
    assert [d for d in environment if isinstance(d, dict)] == [{"pip": ["-e ."]}]


def test_the_design_card_is_in_the_environment(environment: list[Any]) -> None:
    names = {re.split(r"[<>=]", d)[0] for d in environment if isinstance(d, str)}
    assert {"jupyterlab", "ipywidgets", "matplotlib", "nest-asyncio", "nbval"} <= names


@pytest.mark.skipif(sys.platform == "win32", reason="repo2docker does not run on Windows")
def test_binder_builds_the_environment_with_the_repository_in_place(tmp_path: Path) -> None:
    copy = tmp_path / "repository"
    ignored = shutil.ignore_patterns(".venv", ".git", "__pycache__", ".*_cache", "artefacts")
    shutil.copytree(ROOT, copy, ignore=ignored)
    command = [str(Path(sys.executable).parent / "jupyter-repo2docker"), "--no-build", "--debug"]
    done = subprocess.run(
        [*command, str(copy)], capture_output=True, text=True, check=False, timeout=60
    )
    plan = done.stdout + done.stderr
    assert done.returncode == 0, plan
    assert plan.index("COPY --chown=0:0 src/ ${REPO_DIR}/") < plan.index(
        'env update -p ${NB_PYTHON_PREFIX} --file "environment.yml"'
    ), "`-e .` needs the repository before the environment is made"


def test_the_binder_badge_opens_the_first_notebook_in_jupyterlab() -> None:
    badge = re.search(r"mybinder\.org/v2/gh/[\w-]+/[\w-]+/main\?urlpath=(\S+?)\)", README)
    assert badge is not None
    assert badge[1].replace("%2F", "/") == "lab/tree/notebooks/00-start-here.ipynb"
    assert (ROOT / "notebooks" / "00-start-here.ipynb").is_file()


def test_the_readme_begins_with_its_two_commands() -> None:
    commands = re.findall(r"^\$ (make \w+)", README, flags=re.MULTILINE)
    assert commands[:2] == ["make lab", "make test"]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"lab", "test"} <= set(targets)


def test_every_file_that_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\(((?!http)[^)#]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_gives_each_notebook_the_minutes_that_it_says_it_takes() -> None:
    table = dict(re.findall(r"\(notebooks/([\w-]+)\.ipynb\) \| (\d+) \|", README))
    books = {b.stem: b.read_text(encoding="utf-8") for b in (ROOT / "notebooks").glob("*.ipynb")}
    said = {stem: re.findall(r"\*About (\d+) minutes", text)[0] for stem, text in books.items()}
    assert table == said


def test_the_readme_example_runs_and_says_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    example = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102
    said = re.findall(r"run\.waits\.cycles\(\) +# (.*)", example)
    assert [repr(names["run"].waits.cycles())] == said
    assert "The cycle: alice → bob → alice" in capsys.readouterr().out
    assert (tmp_path / "run.html").is_file()


def test_the_player_is_part_of_the_built_wheel(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, ROOT],
        check=True,
        timeout=120,
    )
    wheel = next(tmp_path.glob("*.whl"))
    listing = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", wheel], capture_output=True, text=True, check=True
    ).stdout
    assets = [p.name for p in (ROOT / "deadlock_lab/views/player").glob("*.[jc]s*")]
    assert len(assets) > 1
    assert [a for a in [*assets, "py.typed"] if a not in listing] == []
    assert json.dumps(listing).count("notebooks/") == 0
