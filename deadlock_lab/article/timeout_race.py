"""Step 2 of the article: a race between the work and a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

__all__ = ["race", "safe_process_user_data", "with_timeout"]


async def race(*awaitables: Awaitable[Any]) -> Any:
    """Return what the first one to settle returns, or raise what it raises: ``Promise.race``.

    The others run on. What becomes of them is dropped without a word, as JavaScript drops it.
    """
    runners = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    for runner in runners:
        runner.add_done_callback(_look_away)
    await asyncio.wait(runners, return_when=asyncio.FIRST_COMPLETED)
    return next(runner for runner in runners if runner.done()).result()


def _look_away(runner: asyncio.Future[Any]) -> None:
    if not runner.cancelled():
        runner.exception()


async def with_timeout(awaitable: Awaitable[Any], seconds: float = 5.0) -> Any:
    """Let the work race a timer.

    Claimed to guard against hanging. The caller is indeed free on time, and that is all of it:

    * the loser runs on. Work that timed out still holds its lock and its connection, and still
      writes; the caller who tries again has two of them;
    * the timer runs on, too: after work of 1 ms there is a task asleep for the rest of ``seconds``;
    * the error is a bare Exception, which only its text tells from any other.

    Parameters
    ----------
    awaitable
        The work.
    seconds
        How long to wait for it.

    Raises
    ------
    Exception
        ``Operation timed out after …s``.

    >>> asyncio.run(with_timeout(asyncio.sleep(0.01, "done"), 1))
    'done'
    """
    return await race(awaitable, _reject_after(seconds))


async def _reject_after(seconds: float) -> NoReturn:
    await asyncio.sleep(seconds)
    raise Exception(f"Operation timed out after {seconds}s")  # noqa: TRY002 — the specimen's fault


async def safe_process_user_data(
    user_id: int,
    process_user_data: Callable[[int], Awaitable[Any]],
    *,
    seconds: float = 10.0,
    log: list[str] | None = None,
) -> Any:
    """Process a user, and answer with a substitute if it takes too long.

    Claimed to keep the application alive. It looks for two words in the text of the error, so a
    database that says "connection timed out" after 1 ms passes for a timeout of this function, and
    an error on which someone rewords the text is no timeout any more.

    Parameters
    ----------
    user_id
        Whom to process.
    process_user_data
        The work.
    seconds
        How long to wait for it.
    log
        Receives a line for each timeout.

    Returns
    -------
    What the work returns, or ``{"error": "Processing timeout", "user_id": …}``.
    """
    try:
        return await with_timeout(process_user_data(user_id), seconds)
    except Exception as error:
        if "timed out" not in str(error):
            raise
        if log is not None:
            log.append(f"user processing timeout: {user_id}")
        return {"error": "Processing timeout", "user_id": user_id}
