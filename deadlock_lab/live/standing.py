"""``diagnose``: where the tasks of a running loop stand, asked from inside it or outside."""

import asyncio
import linecache
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from types import FrameType
from typing import Any

from ..engine.graph import WaitGraph
from ..engine.kinds import Diagnosis, Doubt
from ..engine.places import learner_frame, place_of
from ..engine.waits import blocked_on
from ..views.standing import explain_standing
from ..views.text import kind_lines
from .blocking import sync_over_async
from .snapshot import Snapshot, look

__all__ = ["Standing", "diagnose"]

_NOBODY = WaitGraph(infos=(), things=(), waiters={})


class Standing:
    """Where the tasks of a loop stood at one moment. ``print`` it, or read its parts."""

    def __init__(
        self, snapshot: Snapshot | None, blocked: str = "", kinds: tuple[Diagnosis, ...] = ()
    ) -> None:
        self._snapshot = snapshot
        self._kinds = kinds
        self.blocked = "\n".join((blocked, *kind_lines(kinds)))

    @property
    def waits(self) -> WaitGraph:
        """Who waits for whom: ``.tasks``, ``.resources``, ``.edges``, ``.cycles()``, ``.stuck``."""
        return self._snapshot.waits if self._snapshot else _NOBODY

    @property
    def stuck(self) -> tuple[str, ...]:
        """Names of the tasks that are sure never to go on, whatever the others do."""
        return self.waits.stuck

    @property
    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """What kind of deadlock it is: ``.kind``, ``.members``, ``.why``, ``.cure``, ``.sure``."""
        return self._snapshot.diagnoses if self._snapshot else self._kinds

    @property
    def doubt(self) -> Doubt | None:
        """Who is probably stuck: ``.waits``, ``.diagnoses``, and who or what may yet help."""
        return self._snapshot.doubt if self._snapshot else None

    def cycles(self) -> list[tuple[str, ...]]:
        """Find the cycles of stuck tasks, each with its first name repeated at the end."""
        return self.waits.cycles()

    def explain(self, *, others: bool = True) -> str:
        """Explain it in plain English.

        Args:
            others: whether to list the tasks, too, that something may still move.

        Returns:
            A text of a few lines; where the loop did not answer, at which line its
            thread is kept busy.
        """
        if self._snapshot is None:
            return self.blocked
        waits, trace, _, diagnoses, doubt = self._snapshot
        return explain_standing(waits, trace, diagnoses, doubt, others=others)

    def live_tasks(self, numbers: Iterable[int] | None = None) -> list[asyncio.Task[Any]]:
        """List the live tasks of the given numbers of ``waits``; by default the stuck ones."""
        if self._snapshot is None:
            return []
        return [
            self._snapshot.tasks[t] for t in (self.waits.stuck_ids if numbers is None else numbers)
        ]

    def positions(self) -> Mapping[int, object]:
        """Give the future that each task waits on: what is the same later has not moved."""
        tasks = self._snapshot.tasks.values() if self._snapshot else ()
        return {id(task): blocked_on(task) for task in tasks}

    def __str__(self) -> str:
        return self.explain()

    def __repr__(self) -> str:
        cycles = "; ".join(" → ".join(names) for names in self.cycles())
        return f"<Standing: {cycles or self.blocked or 'no deadlock that is sure'}>"


def diagnose(loop: asyncio.AbstractEventLoop | None = None, *, timeout: float = 1.0) -> Standing:
    """Say where the tasks of a loop stand, and which of them are sure never to go on.

    On a real loop anybody may yet set an event, a future or a queue, so only what is
    sure is called stuck: tasks that wait for one another, directly or through ``gather``,
    ``shield``, ``wait`` and task groups, and locks and permits whose holders all wait.

    Args:
        loop: asyncio's own loop, or uvloop's; by default the one that runs here. It may
            run in another thread.
        timeout: how many real seconds a loop in another thread has to answer.

    Returns:
        Who waits for whom. Of a loop that does not answer: where its thread is kept busy.

    Raises:
        RuntimeError: no loop was given, and none runs here.

    >>> import asyncio
    >>> async def main():
    ...     lock = asyncio.Lock()
    ...     async def enter():
    ...         async with lock:
    ...             async with lock: ...
    ...     again = asyncio.create_task(enter(), name="again")
    ...     await asyncio.sleep(0.01)
    ...     print(diagnose().cycles())
    ...     again.cancel()
    >>> asyncio.run(main())
    [('again', 'again')]
    """
    here = asyncio._get_running_loop()
    loop = loop or here
    if loop is None:
        raise RuntimeError(
            "no event loop runs in this thread: call diagnose() inside a coroutine or a "
            "callback, or hand in the loop, as in diagnose(loop)"
        )
    if loop is here or not loop.is_running():
        return Standing(look(loop))
    return _ask(loop, timeout)


def _ask(loop: asyncio.AbstractEventLoop, timeout: float) -> Standing:
    """Have a loop in another thread look at itself."""
    answer: Future[Snapshot] = Future()

    def look_here() -> None:
        if answer.set_running_or_notify_cancel():
            try:
                answer.set_result(look(loop))
            except BaseException as error:  # noqa: BLE001 (it is the asker's)
                answer.set_exception(error)

    loop.call_soon_threadsafe(look_here)
    try:
        return Standing(answer.result(timeout))
    except TimeoutError:
        answer.cancel()
        top = _frame_of(loop)
        return Standing(None, _blocked(top, timeout), sync_over_async(loop, top))


def _blocked(top: FrameType | None, timeout: float) -> str:
    frame = learner_frame(top)
    if frame is None:
        return f"The loop did not answer within {timeout:g} s, and no thread is seen to run it."
    place = place_of(frame.f_code, frame.f_lineno)
    code = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    return (
        f"Blocked: the loop did not answer within {timeout:g} s. Its thread stands at\n\n"
        f"  {place}: {code}\n\n"
        "No task can run before this step is over: a blocking call, or an endless loop "
        "without an await."
    )


def _frame_of(loop: asyncio.AbstractEventLoop) -> FrameType | None:
    """Find the innermost frame of the thread that runs a loop."""
    for top in sys._current_frames().values():
        frame: FrameType | None = top
        while frame is not None:
            if frame.f_code.co_name.startswith("run") and _has(frame, loop):
                return top
            frame = frame.f_back
    return None


def _has(frame: FrameType, loop: object) -> bool:
    me = frame.f_locals.get("self")
    return me is loop or getattr(me, "_loop", None) is loop
