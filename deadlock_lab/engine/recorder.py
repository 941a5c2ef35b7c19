"""The recorder: a loop that writes down what it does."""

import asyncio
import itertools
import sys
from asyncio import TimerHandle
from collections.abc import Callable, Iterator, Mapping
from contextvars import Context
from typing import Any

from .books import Books, say
from .loop import LabLoop, nanoseconds
from .places import program_frames
from .schedule import purpose
from .tasks import LabFuture, LabTask, task_of, wakes
from .trace import CLOCK, NOBODY, Kind, Timer, Wait
from .waits import await_chain, blocked_on, learner_frames, read_wait

__all__ = ["RecordingLoop"]

Task = asyncio.Task[Any]
_EAGER = getattr(asyncio, "eager_task_factory", object())  # since 3.12


class _CausedHandle(asyncio.Handle):
    """A callback that knows which task asked for it."""

    __slots__ = ("cause",)
    cause: int


class _CausedTimer(TimerHandle):
    __slots__ = ("cause", "index")
    cause: int
    index: int


class RecordingLoop(LabLoop):
    """A ``LabLoop`` that keeps books of its run.

    Who acts is known at every moment: the task whose step runs, or, in a callback, the
    task (or clock) on whose behalf it was called. So a task that a gather wakes is
    woken by the child that was the last to finish, not by the gather.
    """

    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)
        self.books = Books(lambda: self.now)
        self.numbers: Iterator[int] = itertools.count()  # for LabFuture
        self._actor = NOBODY
        self.failed: list[Task] = []
        self._unfinished: dict[int, Task] = {}  # held: a collected task would be missed
        self.last_wait: dict[int, Wait] = {}  # of the suspended tasks
        self.time_is_up: Callable[[], None] = lambda: None  # before any time limit acts
        self.before_jump: Callable[[], None] = lambda: None  # while nothing is ready
        self._unheard: dict[int, tuple[object, int, int]] = {}

    def create_future(self) -> LabFuture:
        """Make a future that hashes by its number."""
        return LabFuture(loop=self)

    def create_task(self, coro: Any, *, name: object = None, **options: Any) -> Task:
        """Make a task that is named in the learner's terms: by its function, if at all."""
        self._check_closed()
        factory = self.get_task_factory()
        if factory is not None and factory is not _EAGER:
            return self._made_by(factory, coro, name, options)
        ordinal = self.books.admit(coro, name, self._actor, program_frames(sys._getframe()))
        title = self.books.tasks[ordinal].name if name is None else name
        if factory is _EAGER:
            options.setdefault("eager_start", True)
        if not options.get("eager_start"):
            self._unfinished[ordinal] = task = LabTask(
                coro, ordinal, loop=self, name=title, **options
            )
            return task
        creator, self._actor = self._actor, ordinal
        self.books.add(Kind.RESUMED, ordinal, creator, self.books.last_place[ordinal])
        try:
            self._unfinished[ordinal] = task = LabTask(
                coro, ordinal, loop=self, name=title, **options
            )
            self._after_step(task, ordinal)
        finally:
            self._actor = creator
        return task

    def _made_by(self, factory: Any, coro: Any, name: object, options: dict[str, Any]) -> Task:
        """Have a factory of the program's own make a task."""
        if sys.version_info >= (3, 14) and name is not None:
            options["name"] = name
        task: Task = factory(self, coro, **options)
        if name is not None and "name" not in options:
            task.set_name(name)
        ordinal = self.books.ordinal(task, self._actor, coro)
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
            self.books.add(Kind.WOKEN, self.books.ordinal(task), self._actor)
        return handle

    def _make_timer(
        self,
        when: float,
        callback: Callable[..., object],
        args: Any,
        context: Context | None,
        due: int,
    ) -> TimerHandle:
        timer = _CausedTimer(when, callback, args, self, context)
        timer.cause = CLOCK
        timer.index = len(self.books.timers)
        late = due - nanoseconds(when)
        self.books.timers.append(Timer(purpose(callback), due, self._actor, late))
        self._add_timer(Kind.TIMER_SET, timer, self._actor)
        return timer

    def _advance(self) -> None:
        self.before_jump()
        if not self._ready:
            super()._advance()

    def act_as(self, ordinal: int, action: Callable[[], object]) -> None:
        """Do something outside of any step on behalf of a task."""
        self._actor = ordinal
        action()
        self._actor = NOBODY

    def _timer_fired(self, timer: TimerHandle, number: int) -> None:  # noqa: ARG002
        self._add_timer(Kind.TIMER_FIRED, timer, CLOCK)
        if self.books.timers[timer.index].purpose == "timeout":  # type: ignore[attr-defined]
            self.time_is_up()

    def _timer_handle_cancelled(self, handle: TimerHandle) -> None:
        if handle._scheduled:  # type: ignore[attr-defined]
            super()._timer_handle_cancelled(handle)
            self._add_timer(Kind.TIMER_CANCELLED, handle, self._actor)

    def _add_timer(self, kind: Kind, timer: Any, by: int) -> None:
        self.books.add(kind, self.books.timers[timer.index].task, by, detail=timer.index)

    def _invoke(self, handle: Any) -> None:
        task = task_of(handle._callback)
        if task is None:
            self._actor = handle.cause
            handle._run()
        else:
            books = self.books
            self._actor = ordinal = books.ordinal(task)
            books.add(Kind.RESUMED, ordinal, handle.cause, books.last_place[ordinal])
            handle._run()
            self._after_step(task, ordinal)
        self._actor = NOBODY

    def _after_step(self, task: Task, ordinal: int) -> None:
        books = self.books
        if task.done():
            self._end(task, ordinal)
            return
        chain = await_chain(task.get_coro())
        frames = learner_frames(chain)
        place = books.where(frames, ordinal)
        if future := blocked_on(task):
            self.last_wait[ordinal] = wait = books.wait(read_wait(future, chain), frames)
            books.add(Kind.WAITS, ordinal, place=place, detail=books.waits[wait])
        else:
            self.last_wait.pop(ordinal, None)
            books.add(Kind.YIELDS, ordinal, place=place)

    def _end(self, task: Task, ordinal: int) -> None:
        self._unfinished.pop(ordinal, None)
        self.last_wait.pop(ordinal, None)
        if task.cancelled():
            self.books.add(Kind.CANCELLED, ordinal)
        elif (error := getattr(task, "_exception", None)) is not None:
            # Held until the end: only then is it known whether anyone looked at the error.
            self.failed.append(task)
            self.books.add(Kind.FAILED, ordinal, detail=self.books.errors[say(error)])
        else:
            self.books.add(Kind.DONE, ordinal)

    def renamed(self, task: LabTask) -> None:
        """Hear from a task that it has a new name (``create_task`` gives it only afterwards)."""
        self.books.rename(task.ordinal, task.get_name())

    def cancelling(self, task: LabTask) -> None:
        """Hear from a task that it is asked to stop."""
        self.books.add(Kind.CANCELLING, task.ordinal, self._actor)

    def acquired(self, thing: object, task: Task | None) -> None:
        """Hear that a task holds a lock or a permit from now on."""
        self._change_holder(Kind.ACQUIRED, thing, task)

    def released(self, thing: object, task: Task | None) -> None:
        """Hear that a lock or a permit was given back."""
        self._change_holder(Kind.RELEASED, thing, task)

    def _change_holder(self, kind: Kind, thing: object, task: Task | None) -> None:
        ordinal = NOBODY if task is None else self.books.ordinal(task)
        frames = program_frames(sys._getframe())
        self.books.change_holder(kind, thing, ordinal, self._actor, frames)

    def signalled(self, thing: object, *, heard: bool) -> None:
        """Hear that an event or a condition gave its signal, and whether anyone heard it."""
        self._unheard.pop(id(thing), None)
        if not heard:
            self._unheard[id(thing)] = (thing, self._actor, self.now)  # held: its id stays its own

    def unheard(self, thing: object) -> tuple[int, int] | None:
        """Give the last signal of a thing if nobody heard it: whose it was, and when."""
        known = self._unheard.get(id(thing))
        return known[1:] if known else None

    def default_exception_handler(self, context: Mapping[str, Any]) -> None:
        """Write down what nobody caught, where asyncio would log it."""
        message = str(context.get("message", ""))
        self.books.complain(message, context.get("exception"), self._actor)

    def note_unseen_failures(self, *, main: Task) -> None:
        """Complain of tasks that failed and whose error nobody has looked at; main's will be."""
        for task in self.failed:
            if task is not main and getattr(task, "_log_traceback", False):
                task._log_traceback = False  # we say it instead
                message = "a task failed and nobody looked at its error"
                self.books.complain(message, task._exception, self.books.ordinal(task))
