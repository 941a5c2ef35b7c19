"""Tasks and futures that hash by their number, not by their address.

``asyncio.wait``, task groups and ``all_tasks`` keep tasks in sets. Hashed by
address, a set's order changes from run to run; hashed by ordinal it does not.
"""

from _asyncio import Future, Task  # the C classes: nest_asyncio rebinds asyncio.Task
from collections.abc import Coroutine
from typing import Any

__all__ = ["LabFuture", "LabTask", "is_task", "task_of", "wakes"]

# What asyncio puts into the ready queue to move a task on, by name: the wake-up of C and
# Python tasks, and a Python task's plain step. The C task's step has a type, but no name.
_WAKE_UPS = frozenset({"task_wakeup", "__wakeup"})
_STEPS = frozenset({*_WAKE_UPS, "__step"})


class LabFuture(Future[Any]):
    """A future that hashes by its number in the run, given when it is first asked for."""

    __slots__ = ("_number",)
    _number: int

    def __hash__(self) -> int:
        try:
            return self._number
        except AttributeError:
            loop: Any = self.get_loop()
            self._number = next(loop.numbers)
            return self._number


class LabTask(Task[Any]):
    """A task that knows its ordinal in the run, and hashes by it."""

    __slots__ = ("_cancelling_now", "ordinal")

    def __init__(self, coro: Coroutine[Any, Any, Any], ordinal: int, **options: Any) -> None:
        self.ordinal = ordinal  # first: asyncio puts the task into a set while it is made
        self._cancelling_now = False
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self.ordinal

    def set_name(self, name: object) -> None:
        """Name the task, in the record of its run too."""
        super().set_name(name)
        loop: Any = self.get_loop()
        loop.renamed(self)

    def cancel(self, msg: object = None) -> bool:
        """Ask the task to stop, as ``asyncio.Task.cancel`` does.

        Raises:
            RecursionError: the task is in a cycle of tasks. CPython finds that out by
                filling the stack (python/cpython#80637); here the second visit says it.
        """
        if self._cancelling_now:
            raise RecursionError(
                "cancelling a task cancels what it waits for, and here that comes back to "
                f"{self.get_name()}: a cycle of tasks cannot be cancelled"
            )
        if not self.done():
            loop: Any = self.get_loop()
            loop.cancelling(self)
        self._cancelling_now = True
        try:
            return super().cancel(msg)
        finally:
            self._cancelling_now = False


def is_task(thing: object) -> bool:
    """Whether something is a task: the C class, the Python class, or any of their kind."""
    return hasattr(thing, "_fut_waiter") and hasattr(thing, "get_coro")


def task_of(callback: Any) -> Task[Any] | None:
    """Return the task that a ready callback would step, or None.

    Told by name, not by owner alone: ``call_later(1, task.cancel)`` has a task too.
    """
    name = getattr(callback, "__name__", None) or type(callback).__name__
    if name in _STEPS or name == "TaskStepMethWrapper":
        owner: Task[Any] = callback.__self__
        return owner if isinstance(owner, LabTask) or is_task(owner) else None
    return None


def wakes(callback: Any) -> Task[Any] | None:
    """Return the task that a callback wakes because what it awaited is done, or None."""
    return task_of(callback) if getattr(callback, "__name__", None) in _WAKE_UPS else None
