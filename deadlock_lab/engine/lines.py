"""Line by line: what the learner's code does between two awaits, and which names change.

Python tells of every line, by ``sys.monitoring`` since 3.12 and by ``sys.settrace``
before. The versions do not agree on which lines a statement of several lines has, nor
on comprehensions; so what is written down is the *statement* that a line belongs to,
once each time that it begins.
"""

import ast
import asyncio
import dis
import inspect
import linecache
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import CodeType, FrameType
from typing import Any

from .places import calls, is_own, program_frames
from .recorder import RecordingLoop
from .tasks import LabTask
from .trace import Kind, Locals
from .values import brief

__all__ = ["MAX_LINES", "line_by_line"]

MAX_LINES = 20_000
"""How many lines are written down; a run goes on without, after that."""


@contextmanager
def line_by_line(loop: RecordingLoop) -> Iterator[None]:
    """Write down every line of the learner's that a task of this loop comes to.

    Raises:
        RuntimeError: a debugger, or a tool that measures coverage, is in the way.
    """
    lines = _Lines(loop)
    tracer = _ByMonitoring(lines) if hasattr(sys, "monitoring") else _BySettrace(lines)
    tracer.start()
    try:
        yield
    finally:
        tracer.stop()


class _Call:
    """A function's call that goes on: where it is, and the values it was last seen with."""

    __slots__ = ("code", "offset", "statement", "values")

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.statement = self.offset = -1
        self.values: dict[str, str] = {}

    def comes_to(self, statement: int, offset: int) -> bool:
        """Whether a statement begins, not goes on: it is another one, or begins anew."""
        if statement == self.statement and offset != self.offset:
            return False
        self.statement, self.offset = statement, offset
        return True

    def change(self, values: dict[str, str]) -> tuple[tuple[str, str | None], ...]:
        """Take new values; return what has changed, and None for names that are gone."""
        before, self.values = self.values, values
        gone = [(name, None) for name in before if name not in values]
        return (*(item for item in values.items() if before.get(item[0]) != item[1]), *gone)


class _Lines:
    """Writes lines down as they come."""

    def __init__(self, loop: RecordingLoop) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._calls: dict[int, _Call] = {}  # by the id of the frame
        self._shown: dict[tuple[int, int], _Call] = {}  # by task, and depth of its chain
        self._statements: dict[str, dict[int, int]] = {}
        self._names: dict[int, tuple[weakref.ref[Any], str | None]] = {}
        self.left = MAX_LINES

    def begin(self, frame: FrameType) -> None:
        """Hear that a call begins: what had the same id is over."""
        self._calls.pop(id(frame), None)
        if not self._by_chance(frame):
            self._calls[id(frame)] = _Call(frame.f_code)

    def _by_chance(self, frame: FrameType) -> bool:
        """Whether a call is made for the garbage collector, which may come at any line."""
        for outer in reversed(program_frames(frame)):
            if outer.f_code.co_name == "__del__":
                return True
            if outer is not frame and _is_to_tell(outer.f_code):
                return id(outer) not in self._calls  # itself it is not told of
        return False

    def come_to(self, frame: FrameType, line: int) -> None:
        """Hear that a line is about to run."""
        if threading.get_ident() != self._thread:
            return
        begun = time.monotonic()
        task = asyncio.current_task(self._loop)
        # Where there is no room left on the stack, the program is to find that out, not we.
        with suppress(RecursionError):
            if task is not None and self.left:
                self._come_to(self._loop.books.ordinal(task), frame, line)
        self._loop.aside += time.monotonic() - begun

    def _come_to(self, task: int, frame: FrameType, line: int) -> None:
        call = self._calls.get(id(frame))
        if call is None or call.code is not frame.f_code:
            return  # begun before this run: the garbage collector ends it, here by chance
        statement = self._statement(call.code.co_filename, line)
        if not call.comes_to(statement, frame.f_lasti):
            return
        frames = program_frames(frame)
        new = self._afresh(task, sum(1 for _ in calls(frames)), call)
        seen = Locals(new, call.change(self._values(frame, frames)))
        self._loop.books.line(task, frames, statement, seen)
        self.left -= 1
        if not self.left:
            self._loop.books.add(Kind.LINE, task)

    def _afresh(self, task: int, depth: int, call: _Call) -> bool:
        """Whether another call was last seen at this depth of the task's chain.

        A generator may take turns with another there, so it is told from the start again.
        """
        at = (task, depth)
        if self._shown.get(at) is call:
            return False
        self._shown[at] = call
        call.values = {}
        return True

    def _statement(self, filename: str, line: int) -> int:
        known = self._statements.get(filename)
        if known is None:
            known = self._statements[filename] = _statements("".join(linecache.getlines(filename)))
        return known.get(line, line)

    def _values(self, frame: FrameType, frames: list[FrameType]) -> dict[str, str]:
        code, known = frame.f_code, frame.f_locals
        own = dict.fromkeys((*code.co_varnames, *code.co_cellvars))
        return {
            name: brief(known[name], lambda thing: self._name(thing, frames))
            for name in own
            if name in known
        }

    def _name(self, thing: Any, frames: list[FrameType]) -> str | None:
        """Name a thing as it was named at first: its name must not seem to be a change."""
        if isinstance(thing, LabTask):
            return self._loop.books.tasks[thing.ordinal].name
        known = self._names.get(id(thing))
        if known is None or known[0]() is not thing:
            name = self._loop.books.variable(thing, frames)
            self._names[id(thing)] = known = (weakref.ref(thing), name)
        return known[1]


def _statements(source: str) -> dict[int, int]:
    r"""Map each line to the one at which its statement begins; empty where it cannot be read.

    >>> _statements("if (a and\n    b):\n  c(\n  )")
    {1: 1, 2: 1, 3: 3, 4: 3}
    """
    begins: dict[int, int] = {}
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        for node in ast.walk(ast.parse(source)):  # outer ones first
            if isinstance(node, ast.stmt | ast.excepthandler):
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                begins |= dict.fromkeys(lines, node.lineno)
            elif isinstance(node, ast.pattern):
                begins[node.lineno] = node.lineno
    return begins


def _is_to_tell(code: CodeType) -> bool:
    """Whether code is a function of the learner's, with a source to look at."""
    return (
        bool(code.co_flags & inspect.CO_OPTIMIZED)
        and not code.co_name.startswith("<")  # lambdas and comprehensions
        and is_own(code.co_filename)
        and bool(linecache.getline(code.co_filename, code.co_firstlineno))
    )


class _ByMonitoring:
    """Hears of lines by ``sys.monitoring``: of all calls once, then of the learner's lines."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._known: dict[int, CodeType] = {}  # held, so that their ids stay their own
        self._tool = next((n for n in range(6) if _monitoring.get_tool(n) is None), None)

    def start(self) -> None:
        if self._tool is None:
            raise RuntimeError(_IN_THE_WAY.format("all tools that sys.monitoring has room for"))
        _monitoring.use_tool_id(self._tool, "deadlock_lab lines")
        _monitoring.register_callback(self._tool, _monitoring.events.PY_START, self._begin)
        _monitoring.register_callback(self._tool, _monitoring.events.LINE, self._line)
        _monitoring.restart_events()  # an earlier run has disabled some of this tool's
        _monitoring.set_events(self._tool, _monitoring.events.PY_START)

    def _begin(self, code: CodeType, offset: int) -> object:  # noqa: ARG002
        if id(code) not in self._known:
            if not _is_to_tell(code):
                return _monitoring.DISABLE
            self._known[id(code)] = code
            _monitoring.set_local_events(self._tool, code, _monitoring.events.LINE)
        self._lines.begin(sys._getframe(1))
        return None

    def _line(self, code: CodeType, line: int) -> None:  # noqa: ARG002
        self._lines.come_to(sys._getframe(1), line)
        if not self._lines.left:
            self._silence()

    def _silence(self) -> None:
        _monitoring.set_events(self._tool, 0)
        for code in self._known.values():
            _monitoring.set_local_events(self._tool, code, 0)

    def stop(self) -> None:
        self._silence()
        for event in (_monitoring.events.PY_START, _monitoring.events.LINE):
            _monitoring.register_callback(self._tool, event, None)
        _monitoring.free_tool_id(self._tool)


class _BySettrace:
    """Hears of lines by ``sys.settrace``, which has room for one listener only."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._before = sys.gettrace()

    def start(self) -> None:
        ours = isinstance(getattr(self._before, "__self__", None), _BySettrace)
        if self._before is not None and not ours:
            raise RuntimeError(_IN_THE_WAY.format("a debugger, or a measurement of coverage,"))
        sys.settrace(self._call)

    def _call(self, frame: FrameType, event: str, arg: object) -> Any:  # noqa: ARG002
        if event != "call" or not self._lines.left or not _is_to_tell(frame.f_code):
            return None
        at = frame.f_lasti
        if frame.f_code.co_code[at : at + 2] == _BEGINS:  # else it goes on, or is thrown into
            self._lines.begin(frame)
        return self._line

    def _line(self, frame: FrameType, event: str, arg: object) -> Any:  # noqa: ARG002
        if event == "line":
            self._lines.come_to(frame, frame.f_lineno)
        return self._line if self._lines.left else None

    def stop(self) -> None:
        sys.settrace(self._before)


_monitoring: Any = getattr(sys, "monitoring", None)
_BEGINS = bytes([dis.opmap["RESUME"], 0])  # on 3.11, whose codes these are
_IN_THE_WAY = (
    "lines=True has Python tell of every line, but {} already listens to it; "
    "leave that out, or run without lines=True"
)
