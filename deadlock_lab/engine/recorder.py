"""The recorder: a loop that writes down what it does."""

import asyncio
import itertools
import re
import sys
import weakref
from asyncio import TimerHandle
from collections.abc import Callable, Iterator, Mapping
from contextvars import Context
from types import FrameType
from typing import Any, cast

from .graph import Waiter, WaitGraph, find_stuck
from .loop import LabLoop, nanoseconds
from .naming import find_name, may_set
from .places import Place, learner_frame, place_of, source_of
from .tasks import LabFuture, LabTask, task_of, wakes
from .trace import (
    CLOCK,
    NOBODY,
    Complaint,
    Event,
    Kind,
    Resource,
    TaskInfo,
    Timer,
    Trace,
    Wait,
)
from .waits import await_chain, blocked_on, learner_frames, read_wait

__all__ = ["RecordingLoop"]

Task = asyncio.Task[Any]


class _Table(dict[Any, int]):
    """Numbers its keys in the order in which they are first asked for."""

    def __missing__(self, key: object) -> int:
        self[key] = number = len(self)
        return number


class _CausedHandle(asyncio.Handle):
    """A callback that knows which task (or the clock) asked for it."""

    __slots__ = ("cause",)
    cause: int


class _CausedTimer(TimerHandle):
    __slots__ = ("cause", "index")
    cause: int
    index: int


def _tidy(text: str) -> str:
    """Take out what differs from run to run: addresses, and the paths of callbacks."""
    return re.sub(r" at (/|[A-Z]:\\)\S+:\d+| at 0x[0-9a-fA-F]+", "", text)


def _say(error: BaseException | None) -> str:
    if error is None:
        return ""
    text = _tidy(str(error)).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class RecordingLoop(LabLoop):
    """A ``LabLoop`` that records its run as a :class:`~deadlock_lab.engine.trace.Trace`."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)
        self.numbers = itertools.count()  # for LabFuture
        self._actor = NOBODY  # the task that acts now, or on whose behalf a callback runs
        self._events: list[Event] = []
        self._tasks: list[TaskInfo] = []
        self._names: set[str] = set()
        self._foreign: weakref.WeakKeyDictionary[Task, int] = weakref.WeakKeyDictionary()
        self._failed: list[Task] = []
        self._resources: list[Resource] = []
        self._resource_ids: dict[int, tuple[int, object]] = {}
        self._holders: dict[int, list[int]] = {}
        self._places = _Table()
        self._last_place: dict[int, int] = {}
        self._files: dict[str, str] = {}
        self._waits = _Table()
        self._timers: list[Timer] = []
        self._errors = _Table()
        self._complaints = _Table()
        self._main: Task | None = None

    # -- what the loop is asked to do ------------------------------------------------

    def create_future(self) -> LabFuture:
        """Make a future that hashes by its number."""
        return LabFuture(loop=self)

    def create_task(self, coro: Any, *, name: object = None, **options: Any) -> Task:
        """Make a task that is named in the learner's terms: by its function, if at all."""
        self._check_closed()
        if (factory := self.get_task_factory()) is not None:
            task: Task = cast(Any, factory)(self, coro, **options)
            if name is not None:
                task.set_name(name)
            ordinal = self._ordinal(task)
        else:
            ordinal = self._admit(coro, name)
            task = LabTask(coro, ordinal, loop=self, name=self._tasks[ordinal].name, **options)
        if self._main is None:
            self._main = task
        if task.done() or blocked_on(task):  # it was started eagerly, and has run already
            self._after_step(task, ordinal)
        return task

    def _call_soon(
        self, callback: Callable[..., object], args: Any, context: Context | None
    ) -> asyncio.Handle:
        handle = _CausedHandle(callback, args, self, context)
        handle.cause = self._actor
        self._ready.append(handle)
        if task := wakes(callback):
            self._add(Kind.WOKEN, self._ordinal(task), self._actor)
        return handle

    def _make_timer(
        self, when: float, callback: Callable[..., object], args: Any, context: Context | None
    ) -> TimerHandle:
        timer = _CausedTimer(when, callback, args, self, context)
        timer.cause = CLOCK
        timer.index = len(self._timers)
        self._timers.append(Timer(_purpose(callback), nanoseconds(when), self._actor))
        self._add(Kind.TIMER_SET, self._actor, detail=timer.index)
        return timer

    def _timer_fired(self, timer: TimerHandle) -> None:
        self._add_timer(Kind.TIMER_FIRED, timer, CLOCK)

    def _timer_handle_cancelled(self, handle: TimerHandle) -> None:
        if not handle._scheduled:  # type: ignore[attr-defined]
            return  # it has fired already, as a sleep's has when the sleep cancels it
        super()._timer_handle_cancelled(handle)
        self._add_timer(Kind.TIMER_CANCELLED, handle, self._actor)

    def _add_timer(self, kind: Kind, timer: Any, by: int) -> None:
        self._add(kind, self._timers[timer.index].task, by, detail=timer.index)

    def _invoke(self, handle: Any) -> None:
        task = task_of(handle._callback)
        if task is None:
            self._actor = handle.cause
            handle._run()
        else:
            self._actor = ordinal = self._ordinal(task)
            self._add(Kind.RESUMED, ordinal, handle.cause, self._last_place.get(ordinal, NOBODY))
            handle._run()
            self._after_step(task, ordinal)
        self._actor = NOBODY

    def _after_step(self, task: Task, ordinal: int) -> None:
        if task.done():
            self._end(task, ordinal)
        elif future := blocked_on(task):
            chain = list(await_chain(task.get_coro()))
            wait, place = self._read(future, chain, ordinal)
            self._add(Kind.WAITS, ordinal, place=place, detail=self._waits[wait])
        else:
            place = self._where(list(await_chain(task.get_coro())), ordinal)
            self._add(Kind.YIELDS, ordinal, place=place)

    def _end(self, task: Task, ordinal: int) -> None:
        if task.cancelled():
            self._add(Kind.CANCELLED, ordinal)
        elif (error := getattr(task, "_exception", None)) is not None:
            # Held until the end: only then is it known whether anyone looked at the error.
            self._failed.append(task)
            self._add(Kind.FAILED, ordinal, detail=self._errors[_say(error)])
        else:
            self._add(Kind.DONE, ordinal)

    def renamed(self, task: LabTask) -> None:
        """Hear from a task that it has a new name (create_task gives it only afterwards)."""
        info = self._tasks[task.ordinal]
        self._names.discard(info.name)
        self._tasks[task.ordinal] = info._replace(name=self._unique(task.get_name()))

    def cancelling(self, task: LabTask) -> None:
        """Hear from a task that it is asked to stop."""
        self._add(Kind.CANCELLING, task.ordinal, self._actor)

    def default_exception_handler(self, context: Mapping[str, Any]) -> None:
        """Write down what nobody caught, where asyncio would log it."""
        error = context.get("exception")
        complaint = Complaint(_tidy(str(context.get("message", ""))), _say(error))
        self._add(Kind.COMPLAINT, self._actor, detail=self._complaints[complaint])

    # -- what locks and semaphores say -----------------------------------------------

    def acquired(self, thing: object, task: Task | None) -> None:
        """Hear that a task holds a lock or a permit from now on."""
        self._change_holder(Kind.ACQUIRED, thing, task)

    def released(self, thing: object, task: Task | None) -> None:
        """Hear that a lock or a permit was given back."""
        self._change_holder(Kind.RELEASED, thing, task)

    def _change_holder(self, kind: Kind, thing: object, task: Task | None) -> None:
        frame = learner_frame(sys._getframe())
        resource = self._resource(thing, [frame] if frame else [])
        holders = self._holders.setdefault(resource, [])
        ordinal = NOBODY if task is None else self._ordinal(task)
        if kind is Kind.ACQUIRED:
            holders.append(ordinal)
        elif ordinal in holders:
            holders.remove(ordinal)
        elif holders:  # given back by another task than took it: asyncio allows that
            ordinal = holders.pop(0)
        self._add(kind, ordinal, self._actor, self._here(frame), resource)

    # -- tables ----------------------------------------------------------------------

    def _add(
        self,
        kind: Kind,
        task: int = NOBODY,
        by: int = NOBODY,
        place: int = NOBODY,
        detail: int = NOBODY,
    ) -> None:
        self._events.append(Event(kind, self.now, task, by, place, detail))

    def _ordinal(self, task: Any) -> int:
        if isinstance(task, LabTask):
            return task.ordinal
        ordinal = self._foreign.get(task)
        if ordinal is None:  # made by a task factory, or by hand
            self._foreign[task] = ordinal = self._admit(task.get_coro(), task.get_name())
        return ordinal

    def _admit(self, coro: Any, name: object) -> int:
        """Enter a new task into the books."""
        ordinal = len(self._tasks)
        code = getattr(coro, "cr_code", None) or getattr(coro, "gi_code", None)
        here = self._here(learner_frame(sys._getframe()))
        place = here if code is None else self._place(place_of(code, None), code.co_filename)
        default = getattr(coro, "__name__", "task") if self._tasks else "main"
        title = self._unique(default if name is None else str(name))
        self._tasks.append(TaskInfo(title, self._actor, place))
        self._last_place[ordinal] = place
        self._add(Kind.CREATED, ordinal, self._actor, here)
        return ordinal

    def _unique(self, name: str) -> str:
        taken = (f"{name}-{n}" for n in itertools.count(2))
        title = name if name not in self._names else next(t for t in taken if t not in self._names)
        self._names.add(title)
        return title

    def _place(self, place: Place, filename: str) -> int:
        self._files[place.label] = filename
        return self._places[place]

    def _here(self, frame: FrameType | None) -> int:
        if frame is None or self._actor == NOBODY:
            return NOBODY  # outside of any step, the caller of run() would show
        return self._place(place_of(frame.f_code, frame.f_lineno), frame.f_code.co_filename)

    def _where(self, chain: list[FrameType], ordinal: int) -> int:
        if frames := learner_frames(chain):
            code, line = frames[-1].f_code, frames[-1].f_lineno
            self._last_place[ordinal] = self._place(place_of(code, line), code.co_filename)
        return self._last_place[ordinal]

    def _read(self, future: Any, chain: list[FrameType], ordinal: int) -> tuple[Wait, int]:
        reading = read_wait(future, chain)
        frames = learner_frames(chain)
        targets = tuple(self._target(thing, frames) for thing in reading.objects)
        return Wait(reading.how, reading.mode, targets), self._where(chain, ordinal)

    def _target(self, thing: object, frames: list[FrameType]) -> int:
        if isinstance(thing, asyncio.Task):
            return self._ordinal(thing)
        return ~self._resource(thing, frames)

    def _resource(self, thing: object, frames: list[FrameType]) -> int:
        if (known := self._resource_ids.get(id(thing))) is not None:
            return known[0]
        index = len(self._resources)
        kind = "Future" if asyncio.isfuture(thing) else type(thing).__name__
        name = find_name(thing, self._namespaces(frames))
        self._resources.append(Resource(self._unique(name or f"{kind} #{index + 1}"), kind))
        self._resource_ids[id(thing)] = (index, thing)  # held, so that its id stays its own
        return index

    def _namespaces(self, frames: list[FrameType]) -> Iterator[Mapping[str, Any]]:
        # Main's names first, then the module's, then the task's own from the outside in:
        # two tasks call one lock by two parameters, but it is made under one name.
        coro = self._main.get_coro() if self._main else None
        for frame in learner_frames(await_chain(coro)):
            yield frame.f_locals
        for frame in frames[:1]:
            yield frame.f_globals
        for frame in frames:
            yield frame.f_locals

    # -- the end ---------------------------------------------------------------------

    def wait_graph(self) -> WaitGraph:
        """Read who waits for whom at this moment."""
        waiters: dict[int, Waiter] = {}
        chains: dict[int, list[FrameType]] = {}
        ready = set(map(self._ordinal, filter(None, map(_steps, self._ready))))
        for task in sorted(asyncio.all_tasks(self), key=self._ordinal):
            ordinal = self._ordinal(task)
            if ordinal not in ready and (future := blocked_on(task)) is not None:
                chains[ordinal] = chain = list(await_chain(task.get_coro()))
                waiters[ordinal] = Waiter(*self._read(future, chain, ordinal))
        holders = {r: tuple(tasks) for r, tasks in self._holders.items() if tasks}
        things = tuple(self._resources)
        roots, outside = self._roots(ready)
        stuck = find_stuck(waiters, things, holders, roots, outside=outside)
        setters = self._likely_setters(waiters, chains)
        return WaitGraph(tuple(self._tasks), things, waiters, holders, setters, stuck)

    def _roots(self, ready: set[int]) -> tuple[list[int], bool]:
        """Find what can still move by itself, and whether anything can."""
        timers = [timer for _, _, timer in self._scheduled if not timer._cancelled]
        moved = [task for timer in timers if (task := _moved_by(timer)) is not None]
        return [*ready, *map(self._ordinal, moved)], bool(self._ready or timers)

    def _likely_setters(
        self, waiters: Mapping[int, Waiter], chains: Mapping[int, list[FrameType]]
    ) -> dict[int, tuple[int, ...]]:
        """Find the suspended tasks whose frames can reach what others wait for: a guess."""
        guesses: dict[int, tuple[int, ...]] = {}
        things = dict(self._resource_ids.values())
        wanted = {~n for w in waiters.values() for n in w.wait.targets if n < 0}
        for resource in sorted(wanted - set(self._holders)):
            reach = [
                task
                for task, chain in chains.items()
                if ~resource not in waiters[task].wait.targets
                and any(
                    may_set(f, things[resource], self._resources[resource].kind)
                    for f in learner_frames(chain)
                )
            ]
            if reach:
                guesses[resource] = tuple(reach)
        return guesses

    def _might_set(self, resource: int, thing: object, frames: list[FrameType]) -> bool:
        kind = self._resources[resource].kind
        return any(may_set(frame, thing, kind) for frame in frames)

    def note_unseen_failures(self, *, main: Task) -> None:
        """Complain of tasks that failed and whose error nobody has looked at; main's will be."""
        for task in self._failed:
            if task is not main and getattr(task, "_log_traceback", False):
                task._log_traceback = False  # we say it instead
                self._actor = self._ordinal(task)
                message = "a task failed and nobody looked at its error"
                self.default_exception_handler({"message": message, "exception": task._exception})
        self._actor = NOBODY

    def trace(self) -> Trace:
        """Close the books: everything recorded so far, as data."""
        self._add(Kind.ENDED)
        return Trace(
            events=tuple(self._events),
            tasks=tuple(self._tasks),
            resources=tuple(self._resources),
            places=tuple(self._places),
            waits=tuple(self._waits),
            timers=tuple(self._timers),
            errors=tuple(self._errors),
            complaints=tuple(self._complaints),
            sources={label: source_of(name) for label, name in self._files.items()},
        )


def _steps(handle: Any) -> Task | None:
    return task_of(handle._callback)


def _purpose(callback: Any) -> str:
    """Say what a timer is for, from what it will call."""
    name = getattr(callback, "__name__", type(callback).__name__)
    known = {
        "_set_result_unless_cancelled": "sleep",
        "_on_timeout": "timeout",
        "_release_waiter": "timeout",
    }
    return known.get(name, name)


def _moved_by(timer: Any) -> Task | None:
    """Find the task that a timer will move: the one that awaits its future, or times out."""
    timeout_of = getattr(getattr(timer._callback, "__self__", None), "_task", None)
    if isinstance(timeout_of, asyncio.Task):
        return timeout_of if _can_be_cancelled(timeout_of) else None
    for future in filter(asyncio.isfuture, timer._args or ()):
        for callback, _ in getattr(future, "_callbacks", None) or ():
            if task := wakes(callback):
                return task
    return None


def _can_be_cancelled(task: Task) -> bool:
    """Whether ``task.cancel()`` gets anywhere: it does not where tasks await in a ring."""
    todo: list[Any] = [task]
    seen = set()
    while todo:
        future = todo.pop()
        if future is None or future.done():
            continue
        if id(future) in seen:
            return False
        seen.add(id(future))
        todo += getattr(future, "_children", None) or [getattr(future, "_fut_waiter", None)]
    return True
