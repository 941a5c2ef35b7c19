"""The books of a run: events as they come, and a number for everything they speak of."""

import asyncio
import re
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FrameType
from typing import Any

from .naming import find_name
from .places import calls, is_library, place_of, source_of
from .tasks import LabTask, is_task
from .trace import NOBODY, Complaint, Event, Kind, Locals, Resource, TaskInfo, Timer, Trace, Wait
from .waits import Reading, await_chain, learner_frames

__all__ = ["Books", "say", "tidy"]


_new = tuple.__new__


class _Table(dict[Any, int]):
    """Numbers its keys in the order in which they are first asked for."""

    def __missing__(self, key: object) -> int:
        self[key] = number = len(self)
        return number


def tidy(text: str) -> str:
    """Take out what differs from run to run: addresses, and the paths of callbacks.

    >>> tidy("Exception in callback f() at /tmp/a.py:3"), tidy("<object at 0x7f01>")
    ('Exception in callback f()', '<object>')
    """
    return re.sub(r" at (/|[A-Z]:\\)\S+:\d+| at 0x[0-9a-fA-F]+", "", text)


def say(error: BaseException | None) -> str:
    """Write an error in one line.

    >>> say(ValueError("too big")), say(KeyboardInterrupt())
    ('ValueError: too big', 'KeyboardInterrupt')
    """
    if error is None:
        return ""
    text = tidy(str(error)).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class Books:
    """Everything that is written down while a program runs.

    Args:
        now: tells the virtual time, in nanoseconds.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self.events: list[Event] = []
        self.tasks: list[TaskInfo] = []
        self.codes: list[CodeType | None] = []  # of the tasks, by ordinal
        self._foreign: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._names: set[str] = set()
        self._counts: dict[str, int] = {}  # the highest number given to each name
        self.resources: list[Resource] = []
        self._resource_ids: dict[int, tuple[int, object]] = {}
        self.holders: dict[int, list[int]] = {}
        self._places = _Table()
        self._place_ids: dict[tuple[str, str, int, int], int] = {}
        self._chains: dict[tuple[tuple[int, int], ...], tuple[int, list[CodeType]]] = {}
        self._files: dict[str, str] = {}
        self.last_place: dict[int, int] = {}
        self.waits = _Table()
        self.timers: list[Timer] = []
        self.errors = _Table()
        self.complaints = _Table()
        self.locals = _Table()
        self._main: Any = None

    def add(
        self,
        kind: Kind,
        task: int = NOBODY,
        by: int = NOBODY,
        place: int = NOBODY,
        detail: int = NOBODY,
    ) -> None:
        """Write down an event."""
        # As Event(…) does it, without its argument handling: no line here runs more often.
        self.events.append(_new(Event, (kind, self._now(), task, by, place, detail)))

    # -- tasks -----------------------------------------------------------------------

    def admit(self, coro: Any, name: object, by: int, frames: list[FrameType]) -> int:
        """Enter a new task, made by task ``by`` in ``frames``; return its ordinal."""
        ordinal = len(self.tasks)
        if ordinal == 0:
            self._main = coro
        code: Any = getattr(coro, "cr_code", None) or getattr(coro, "gi_code", None)
        here = self.here(frames, by)
        own = code is not None and not is_library(code.co_filename)  # not create_task(ev.wait())
        place = self._place(code, code.co_firstlineno) if own else here
        default = getattr(coro, "__name__", "task") if ordinal else "main"
        title = self._unique(default if name is None else str(name))
        self.tasks.append(TaskInfo(title, by, place))
        self.codes.append(code)
        self.last_place[ordinal] = place
        self.add(Kind.CREATED, ordinal, by, here)
        return ordinal

    def ordinal(self, task: Any, by: int = NOBODY, coro: Any = None) -> int:
        """Give a task's number; enter it first if a factory, or the program, made it."""
        if isinstance(task, LabTask):
            return task.ordinal
        ordinal = self._foreign.get(task)
        if ordinal is None:
            # Not get_coro() where it can be had otherwise: on 3.12.1 it crashes the
            # interpreter for a task that was started eagerly and is done.
            name = task.get_name() if hasattr(task, "get_name") else None
            ordinal = self.admit(coro or task.get_coro(), name, by, [])
            self._foreign[task] = ordinal
        return ordinal

    def rename(self, ordinal: int, name: str) -> None:
        """Give a task another name, in what is written already too."""
        info = self.tasks[ordinal]
        self._names.discard(info.name)
        self.tasks[ordinal] = info._replace(name=self._unique(name))

    def _unique(self, name: str) -> str:
        title = name
        while title in self._names:
            self._counts[name] = number = self._counts.get(name, 1) + 1
            title = f"{name}-{number}"
        self._names.add(title)
        return title

    # -- places ----------------------------------------------------------------------

    def _place(self, code: CodeType, line: int | None, outer: int = NOBODY) -> int:
        key = (code.co_filename, code.co_qualname, line or code.co_firstlineno, outer)
        number = self._place_ids.get(key)
        if number is None:
            place = place_of(code, line, outer)
            self._files[place.label] = code.co_filename
            self._place_ids[key] = number = self._places[place]
        return number

    def chain(self, frames: list[FrameType]) -> int:
        """Give the place where frames of the learner's have led, the outermost first."""
        key = tuple([(id(frame.f_code), frame.f_lasti) for frame in frames])
        known = self._chains.get(key)
        if known is None:
            place = NOBODY
            for code, line in calls(frames):
                place = self._place(code, line, place)
            known = place, [frame.f_code for frame in frames]  # held: their ids stay their own
            self._chains[key] = known
        return known[0]

    def here(self, frames: list[FrameType], by: int) -> int:
        """Give the place of running frames; outside of any step there is none to show."""
        return NOBODY if by == NOBODY else self.chain(frames)

    def line(self, task: int, frames: list[FrameType], line: int, seen: Locals) -> None:
        """Write down that a task has come to a line of its innermost frame."""
        place = self._place(frames[-1].f_code, line, self.chain(frames[:-1]))
        self.add(Kind.LINE, task, place=place, detail=self.locals[seen])

    def where(self, frames: list[FrameType], ordinal: int) -> int:
        """Give the place where a task is suspended in frames of the learner's."""
        if frames:
            self.last_place[ordinal] = self.chain(frames)
        return self.last_place[ordinal]

    # -- what tasks wait for, and hold -----------------------------------------------

    def wait(self, reading: Reading, frames: list[FrameType]) -> Wait:
        """Turn a reading of live objects, in frames of the learner's, into numbers."""
        targets = tuple(self._target(thing, frames) for thing in reading.objects)
        return Wait(reading.how, reading.mode, targets)

    def _target(self, thing: object, frames: list[FrameType]) -> int:
        return self.ordinal(thing) if is_task(thing) else ~self.resource(thing, frames)

    def resource(self, thing: object, frames: list[FrameType]) -> int:
        """Give a lock's, queue's, event's or future's number, and find its name at first."""
        if (known := self._resource_ids.get(id(thing))) is not None:
            return known[0]
        index = len(self.resources)
        kind = "Future" if asyncio.isfuture(thing) else type(thing).__name__
        name = find_name(thing, self._namespaces(frames))
        self.resources.append(Resource(self._unique(name or f"{kind} #{index + 1}"), kind))
        self._resource_ids[id(thing)] = (index, thing)  # held, so that its id stays its own
        return index

    def things(self) -> dict[int, object]:
        """Give the live objects behind the resources' numbers."""
        return dict(self._resource_ids.values())

    def _namespaces(self, frames: list[FrameType]) -> Iterator[Mapping[str, Any]]:
        # Main's names first, then the module's, then the task's own from the outside in:
        # two tasks call one lock by two parameters, but it is made under one name.
        for frame in learner_frames(await_chain(self._main)):
            yield frame.f_locals
        for frame in frames[:1]:
            yield frame.f_globals
        for frame in frames:
            yield frame.f_locals

    def variable(self, thing: object, frames: list[FrameType]) -> str | None:
        """Name a thing as it is named in the books, or by the variable that it is in."""
        if (known := self._resource_ids.get(id(thing))) is not None:
            return self.resources[known[0]].name
        names = (item for space in self._namespaces(frames) for item in list(space.items()))
        return next((name for name, value in names if value is thing), None)

    def change_holder(
        self, kind: Kind, thing: object, task: int, by: int, frames: list[FrameType]
    ) -> None:
        """Write down that a task took, or gave back, a lock or a permit."""
        resource = self.resource(thing, frames[-1:])
        holders = self.holders.setdefault(resource, [])
        if kind is Kind.ACQUIRED:
            holders.append(task)
        elif task in holders:
            holders.remove(task)
        elif holders:  # given back by another task than took it: asyncio allows that
            task = holders.pop(0)
        self.add(kind, task, by, self.here(frames, by), resource)

    def complain(self, message: str, error: BaseException | None, by: int) -> None:
        """Write down what nobody caught."""
        complaint = Complaint(tidy(message), say(error))
        self.add(Kind.COMPLAINT, by, detail=self.complaints[complaint])

    def close(self) -> Trace:
        """Close the books: everything written so far, as data."""
        self.add(Kind.ENDED)
        return Trace(
            events=tuple(self.events),
            tasks=tuple(self.tasks),
            resources=tuple(self.resources),
            places=tuple(self._places),
            waits=tuple(self.waits),
            timers=tuple(self.timers),
            errors=tuple(self.errors),
            complaints=tuple(self.complaints),
            locals=tuple(self.locals),
            sources={label: source_of(name) for label, name in self._files.items()},
        )
