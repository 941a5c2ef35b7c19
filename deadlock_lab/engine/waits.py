"""What a suspended task waits for, read off the task itself.

asyncio keeps no list of who waits for whom, but a suspended coroutine is an open
book: its chain of awaits ends in a future, and on the way stand the frames of the
standard library with the lock, queue or event that they serve.
"""

import asyncio
import gc
from collections.abc import Callable, Iterable
from operator import attrgetter
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, Literal, NamedTuple

from .places import is_library
from .tasks import is_task

__all__ = [
    "Reading",
    "await_chain",
    "blocked_on",
    "learner_frames",
    "links",
    "pending",
    "read_wait",
]

Future = asyncio.Future[Any]
Mode = Literal["all", "any"]


class Reading(NamedTuple):
    """What a task waits for: the operation, and the live objects that end it."""

    how: str
    mode: Mode
    objects: tuple[object, ...]


def links(awaitable: object) -> list[tuple[object, FrameType]]:
    """List what a suspended coroutine is made of: each coroutine or generator, with its frame."""
    found = []
    while awaitable is not None:
        read = _READ.get(type(awaitable), _read_by_name)
        frame, inner = read(awaitable)
        if frame is not None:
            found.append((awaitable, frame))
            awaitable = inner
        else:
            awaitable = _unwrap(awaitable)
    return found


def _read_by_name(awaitable: object) -> tuple[FrameType | None, object]:
    # A compiler's coroutines are of a type of their own.
    for names in _NAMES.values():
        if getattr(awaitable, names[0], None) is not None:
            return attrgetter(*names)(awaitable)
    return None, None


_NAMES = {
    CoroutineType: ("cr_frame", "cr_await"),
    GeneratorType: ("gi_frame", "gi_yieldfrom"),
    AsyncGeneratorType: ("ag_frame", "ag_await"),
}
_READ: dict[type, Callable[[Any], tuple[FrameType | None, object]]] = {
    kind: attrgetter(*names) for kind, names in _NAMES.items()
}


def await_chain(awaitable: object) -> list[FrameType]:
    """List the frames of a suspended coroutine, from its own to the innermost await."""
    return [frame for _, frame in links(awaitable)]


def _unwrap(awaitable: object) -> object:
    # The awaitables of an async generator, and coroutine.__await__(), are C objects that
    # show nothing; what they drive is the one coroutine or generator that they refer to.
    if type(awaitable).__name__ in _OPAQUE:
        for inner in gc.get_referents(awaitable):
            if isinstance(inner, _DRIVEN) or type(inner).__name__ in _OPAQUE:
                return inner
    return None


_DRIVEN = tuple(_NAMES)
_OPAQUE = frozenset(
    {"async_generator_asend", "async_generator_athrow", "coroutine_wrapper", "anext_awaitable"}
)


def learner_frames(chain: Iterable[FrameType]) -> list[FrameType]:
    """Keep the frames that are not the standard library's or the engine's."""
    return [frame for frame in chain if not is_library(frame.f_code.co_filename)]


def _library_tail(chain: list[FrameType]) -> FrameType | None:
    """Find the outermost library frame after the last learner's: the operation awaited."""
    tail = None
    for frame in reversed(chain):
        if not is_library(frame.f_code.co_filename):
            break
        tail = frame
    return tail


def pending(objects: Iterable[Any]) -> tuple[Any, ...]:
    """Keep the futures that are not done, and everything that is no future."""
    return tuple(o for o in objects if not (asyncio.isfuture(o) and o.done()))


def blocked_on(task: asyncio.Task[Any]) -> Future | None:
    """Return the future that a suspended task waits on; None if it is ready, or done."""
    future: Future | None = getattr(task, "_fut_waiter", None)
    return future


def read_wait(future: Future, chain: list[FrameType]) -> Reading:
    """Read what a task waits for from the future and the frames where it is suspended."""
    tail = _library_tail(chain)
    if tail is not None and (read := _OPERATIONS.get(tail.f_code.co_qualname)):
        return read(tail.f_locals, future)
    how, objects = _members(future)
    return Reading(how, "all", pending(objects))


def _members(future: Future) -> tuple[str, tuple[object, ...]]:
    """Name how a bare future is awaited, and what it stands for, gathers taken apart."""
    if is_task(future):
        return "await", (future,)
    if (children := getattr(future, "_children", None)) is not None:
        objects = tuple(o for child in children for o in _members(child)[1])
        return ("gather (return_exceptions)" if _tolerant(future) else "gather"), objects
    if (inner := _shielded(future)) is not None:
        return "shield", _members(inner)[1]
    return "await", (future,)


def _tolerant(gathering: Future) -> bool:
    """Whether a gather goes on when one of its children fails, as its callbacks on them know."""
    for child in getattr(gathering, "_children", ()):
        for callback, _ in getattr(child, "_callbacks", None) or ():
            code = getattr(callback, "__code__", None)
            if code is not None and code.co_qualname == "gather.<locals>._done_callback":
                known = dict(zip(code.co_freevars, callback.__closure__, strict=True))
                if known["outer"].cell_contents is gathering:
                    return bool(known["return_exceptions"].cell_contents)
    return False


def _shielded(outer: Future) -> Future | None:
    """Find the future that ``asyncio.shield`` protects, given the one it returned."""
    for callback, _ in getattr(outer, "_callbacks", None) or ():
        code = getattr(callback, "__code__", None)
        if code is not None and code.co_name == "_outer_done_callback":
            cell = callback.__closure__[code.co_freevars.index("inner")]
            inner: Future = cell.cell_contents
            return inner
    return None


def _sleep(local: dict[str, Any], future: Future) -> Reading:  # noqa: ARG001
    return Reading("sleep", "all", ())  # its timer ends it: it waits for nobody


def _resource(how: str) -> Callable[[dict[str, Any], Future], Reading]:
    def read(local: dict[str, Any], future: Future) -> Reading:
        return Reading(how, "all", (local.get("self", future),))

    return read


def _in_async_with(local: dict[str, Any], future: Future) -> Reading:
    primitive = local.get("self", future)
    primitive = getattr(primitive, "_lock", primitive)  # a Condition is entered by its lock
    kind = "Lock" if isinstance(primitive, asyncio.Lock) else "Semaphore"
    return Reading(f"{kind}.acquire", "all", (primitive,))


def _condition(local: dict[str, Any], future: Future) -> Reading:
    condition = local.get("self")
    if condition is not None and future in (condition._lock._waiters or ()):
        return Reading("Lock.acquire", "all", (condition._lock,))  # notified; wants its lock back
    return Reading("Condition.wait", "all", (condition or future,))


def _wait(local: dict[str, Any], future: Future) -> Reading:
    until = local.get("return_when")
    how = "wait (FIRST_EXCEPTION)" if until == asyncio.FIRST_EXCEPTION else "wait"
    mode: Mode = "any" if until == asyncio.FIRST_COMPLETED else "all"
    return Reading(how, mode, _each(local.get("fs", (future,))))


def _wait_for(local: dict[str, Any], future: Future) -> Reading:
    inner: Any = local.get("fut")
    inner = inner if asyncio.isfuture(inner) else future
    how = "shield" if _shielded(inner) else "wait_for"  # it matters more: no cancel goes through
    return Reading(how, "all", _each((inner,)))


def _as_completed(local: dict[str, Any], future: Future) -> Reading:
    if (iterator := local.get("self")) is not None:
        todo = iterator._todo
    else:  # until 3.12 only the callbacks of the tasks know what is still to do
        todo = {t for t in asyncio.all_tasks(future.get_loop()) if _completes(t, local["done"])}
    return Reading("as_completed", "any", _each(todo) or (future,))


def _completes(future: Future, queue: object) -> bool:
    """Whether a future will tell ``as_completed`` that it is done, by its queue."""
    for callback, _ in getattr(future, "_callbacks", None) or ():
        code = getattr(callback, "__code__", None)
        if code is not None and code.co_qualname == "as_completed.<locals>._on_completion":
            return callback.__closure__[code.co_freevars.index("done")].cell_contents is queue
    return False


def _task_group(local: dict[str, Any], future: Future) -> Reading:  # noqa: ARG001
    return Reading("TaskGroup", "all", _each(local["self"]._tasks))


def _each(futures: Iterable[Future]) -> tuple[object, ...]:
    found = pending(o for future in futures for o in _members(future)[1])
    return tuple(sorted(found, key=hash))  # sets of tasks: by ordinal, which is their hash


_OPERATIONS: dict[str, Callable[[dict[str, Any], Future], Reading]] = {
    "sleep": _sleep,
    "wait": _wait,
    "wait_for": _wait_for,
    "as_completed.<locals>._wait_for_one": _as_completed,
    "_AsCompletedIterator._wait_for_one": _as_completed,
    "_AsCompletedIterator.__anext__": _as_completed,
    "TaskGroup.__aexit__": _task_group,
    "TaskGroup._aexit": _task_group,
    "_ContextManagerMixin.__aenter__": _in_async_with,
    "_notes_lock.<locals>.noting_acquire": _resource("Lock.acquire"),
    "_notes_permit.<locals>.noting_acquire": _resource("Semaphore.acquire"),
    "Lock.acquire": _resource("Lock.acquire"),
    "Semaphore.acquire": _resource("Semaphore.acquire"),
    "Event.wait": _resource("Event.wait"),
    "Condition.wait": _condition,
    "Condition.wait_for": _condition,
    "Queue.get": _resource("Queue.get"),
    "Queue.put": _resource("Queue.put"),
    "Queue.join": _resource("Queue.join"),
    "Barrier.__aenter__": _resource("Barrier.wait"),
    "Barrier.wait": _resource("Barrier.wait"),
}
