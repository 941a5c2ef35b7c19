"""Where in the learner's code something happened.

A place is shown to people and compared to the letter, so its label must be the
same on every machine: a path below the current directory, a path inside a
package, or ``cell [3]``; never an absolute path, a process number or a hash.
"""

import asyncio
import functools
import linecache
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

__all__ = [
    "Place",
    "calls",
    "is_library",
    "is_own",
    "label_of",
    "learner_frame",
    "namers",
    "place_of",
    "program_frames",
    "source_of",
]

namers: list[Callable[[str], str | None]] = []
"""Functions that may give a file name a better label; a notebook front-end adds one for cells."""

_ENGINE = os.path.dirname(__file__) + os.sep  # noqa: PTH120 (compared with raw co_filename strings)
_STDLIB = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120
_KIT = os.path.dirname(os.path.dirname(__file__)) + os.sep  # noqa: PTH120
_READ = tuple(_KIT + name + os.sep for name in ("patterns", "article"))
_SITE = ("site-packages", "dist-packages")
_PACKAGES = Path(__file__).parent.parent.parent
_STEP = asyncio.Handle._run.__code__  # what calls the program
_INLINED = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>"})  # no calls of their own since 3.12


class Place(NamedTuple):
    """A line of source: the label of its file or cell, the line (from 1), the function.

    ``outer`` is where that function was called or awaited, as an index into
    ``Trace.places``, or -1: so a place stands for a whole chain of awaits.
    """

    label: str
    line: int
    function: str
    outer: int = -1

    def __str__(self) -> str:
        """Say the place as a person would.

        >>> str(Place("app.py", 7, "fetch"))
        'app.py line 7, in fetch'
        """
        where = f"{self.label} line {self.line}"
        return where if self.function == "<module>" else f"{where}, in {self.function}"


@functools.lru_cache(maxsize=4096)
def is_library(filename: str) -> bool:
    """Whether a file is the standard library's or the engine's, so not a place to show."""
    if filename.startswith((_ENGINE, "<frozen ")):
        return True
    return filename.startswith(_STDLIB) and not any(part in filename for part in _SITE)


def is_own(filename: str) -> bool:
    """Whether a file is the learner's own, or one of this package that is there to be read."""
    if is_library(filename):
        return False
    if filename.startswith(_KIT):
        return filename.startswith(_READ)
    return not any(part in filename for part in _SITE)


def label_of(filename: str) -> str:
    """Give the label that people see for a file name as found in a code object."""
    for namer in namers:
        if label := namer(filename):
            return label
    if filename.startswith("<"):
        return filename
    path = Path(filename)
    for base in (Path.cwd(), _PACKAGES):
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return path.name


def source_of(filename: str) -> tuple[str, ...]:
    """Read the lines of a file or cell, without line ends; empty where there is no source."""
    return tuple(line.rstrip("\n") for line in linecache.getlines(filename))


def _short(code: CodeType) -> str:
    # "main.<locals>.worker" is how Python says it; "worker" is how the learner does.
    return code.co_qualname.rpartition("<locals>.")[2]


def place_of(code: CodeType, line: int | None, outer: int = -1) -> Place:
    """Make the place of a line in a code object (its first line where none is known)."""
    return Place(label_of(code.co_filename), line or code.co_firstlineno, _short(code), outer)


def outwards(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame, and those that called it, from the inside out."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def learner_frame(frame: FrameType | None) -> FrameType | None:
    """Find the innermost frame of the learner's code at or outside ``frame``."""
    return next((f for f in outwards(frame) if not is_library(f.f_code.co_filename)), None)


def program_frames(frame: FrameType | None) -> list[FrameType]:
    """List the learner's frames of the step that runs, at or outside ``frame``, outermost first.

    What called the step is not of it: the loop, or who made a task that starts eagerly.
    """
    found: list[FrameType] = []
    for one in outwards(frame):
        filename = one.f_code.co_filename
        if one.f_code is _STEP or (found and filename.startswith(_ENGINE)):
            break
        if not is_library(filename):
            found.append(one)
    return found[::-1]


def calls(frames: Iterable[FrameType]) -> Iterator[tuple[CodeType, int | None]]:
    """Yield code and line of each call among the learner's frames, outermost first.

    A comprehension is no call, as it is none since Python 3.12: its line is its function's.
    """
    waiting: FrameType | None = None
    line: int | None = None
    for frame in frames:
        if waiting and frame.f_code.co_name not in _INLINED:
            yield waiting.f_code, line
            waiting = None
        waiting, line = waiting or frame, frame.f_lineno
    if waiting:
        yield waiting.f_code, line
