"""Run the notebooks from the top and store their outputs as the tests compare them.

``python -m tests.notebooks.refresh [NOTEBOOK …]``, or ``make notebooks`` for all.
What differs from machine to machine is left out: widget views (their models live only
while a kernel does), versions and execution times; and so is the player of a run, which is
heavy and would change with every change of the player. So a diff shows what has changed.
"""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

__all__ = ["BOOKS", "normalise", "refresh"]

BOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
PLAYERS = ("application/vnd.jupyter.widget-view+json", "text/html")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def refresh(path: Path) -> None:
    """Execute one notebook in a fresh kernel and write it back, normalised."""
    book = nbformat.read(path, as_version=4)
    client = NotebookClient(book, timeout=20, kernel_name="python3", coalesce_streams=True)
    quiet = {**os.environ, "TQDM_DISABLE": "1"}  # no bar, however long a search takes here
    client.execute(cwd=str(path.parent), env=quiet)
    normalise(book)
    nbformat.write(book, path)


def normalise(book: nbformat.NotebookNode) -> None:
    """Take out of a notebook what no reader needs and every machine has otherwise."""
    book.metadata = nbformat.from_dict(METADATA)
    for cell in book.cells:
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "jupyter")}
        for output in cell.get("outputs", []):
            for player in PLAYERS:
                output.get("data", {}).pop(player, None)


if __name__ == "__main__":
    for book_path in map(Path, sys.argv[1:]) if sys.argv[1:] else BOOKS:
        refresh(book_path)
