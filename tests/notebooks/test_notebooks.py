"""The course as files: run from the top, with outputs, and nothing of this machine in them.

That the outputs are right is nbval's part (``pytest --nbval``); it compares nothing in
a notebook that was never run, and passes over an uncaught ExceptionGroup. So both are
looked at here.
"""

import ast
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
BOOKS = sorted(FOLDER.glob("*.ipynb"))
LONG = 30


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def prints(tree: ast.Module) -> bool:
    """Whether a cell shows something: it prints outside of a function, or ends in a value."""
    top = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    inner = [
        n for node in top if not isinstance(node, ast.AsyncFunctionDef) for n in ast.walk(node)
    ]
    calls = [n.func for n in inner if isinstance(n, ast.Call)]
    if any(isinstance(f, ast.Name) and f.id == "print" for f in calls):
        return True
    return bool(tree.body) and isinstance(tree.body[-1], ast.Expr)


@pytest.fixture(params=BOOKS, ids=lambda path: path.stem)
def book(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_there_is_a_course() -> None:
    assert [b.stem[:2] for b in BOOKS] == [f"{n:02}" for n in range(len(BOOKS))]
    assert len(BOOKS) >= 2


def test_a_notebook_was_run_from_the_top(book: Path) -> None:
    counts = [cell.execution_count for cell in code_cells(book)]
    assert counts == list(range(1, len(counts) + 1))


def test_a_cell_that_shows_something_has_its_output(book: Path) -> None:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
    for cell in code_cells(book):
        tree = compile(cell.source, book.name, "exec", flags)
        assert bool(cell.outputs) or not prints(tree), cell.source


def test_no_cell_of_a_notebook_failed(book: Path) -> None:
    outputs = [output for cell in code_cells(book) for output in cell.outputs]
    assert [o for o in outputs if o.output_type == "error"] == []
    assert [o for o in outputs if o.output_type == "stream" and o.name == "stderr"] == []


def test_a_stored_player_is_replaced_by_a_picture_and_a_text(book: Path) -> None:
    for cell in code_cells(book):
        for data in (output.get("data", {}) for output in cell.outputs):
            assert not [kind for kind in data if "widget" in kind or "html" in kind]
            assert "image/png" not in data or "text/plain" in data


def test_no_output_names_a_machine_an_address_or_a_process(book: Path) -> None:
    for cell in code_cells(book):
        for output in cell.outputs:
            kept = {k: v for k, v in output.get("data", {}).items() if not k.startswith("image")}
            shown = json.dumps([kept, output.get("text", "")])
            assert not re.search(r"0x[0-9a-f]{6}|/home/|/tmp/|/root/|ipykernel_\d", shown), shown


def test_code_cells_are_short(book: Path) -> None:
    assert [c.source for c in code_cells(book) if len(c.source.splitlines()) > LONG] == []


def test_a_notebook_says_how_long_it_takes_and_sums_up(book: Path) -> None:
    texts = [cell.source for cell in read(book).cells if cell.cell_type == "markdown"]
    assert re.search(r"\*About \d+ minutes\.\*", texts[0])
    assert any(text.startswith("## Recap") for text in texts)


def test_links_between_notebooks_lead_somewhere(book: Path) -> None:
    texts = " ".join(c.source for c in read(book).cells if c.cell_type == "markdown")
    targets = re.findall(r"\]\(((?!http)[^)#]+)\)", texts)
    assert [t for t in targets if not (FOLDER / t).exists()] == []


def test_a_notebook_stores_nothing_but_its_content(book: Path) -> None:
    stored = read(book)
    assert set(stored.metadata) == {"kernelspec", "language_info"}
    assert [c.metadata for c in stored.cells if set(c.metadata) - {"tags", "jupyter"}] == []


def test_a_notebook_executes_without_an_error(book: Path, tmp_path: Path) -> None:
    """As ``nbconvert --execute`` does it: any exception, a group of them too, ends the run."""
    NotebookClient(read(book), timeout=20, kernel_name="python3").execute(cwd=str(tmp_path))
