"""Step 1 of the article: a set of the users at work is handed down, and stops a second visit.

Here the audit of a user processes other users, as ``audits`` says: ``{1: [2, 3]}`` means that the
audit of 1 processes 2 and 3. The article's own mistake is ``{1: [1]}``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["PathAndInFlight", "process_user_data"]

Audits = Mapping[int, Sequence[int]]


async def process_user_data(
    user_id: int,
    context: set[int] | None = None,
    *,
    audits: Audits,
    log: list[str] | None = None,
) -> dict[str, Any] | None:
    """Process a user and whoever its audit asks for, with one set shared by all calls.

    Claimed to prevent every circular call. It stops a user who is asked for again from below
    itself; but a set knows only *who was begun*, not *who waits for me*:

    * a diamond (1 asks 2 and 3, both ask 4) has no circle, and the second visit of 4 gives None;
    * nothing is ever taken out, so a set that serves a second request gives None for all of it.

    Neither is an error: the result has a hole, and a warning stands in a log.

    (``context=None`` and not ``context=set()``: JavaScript makes the default afresh on each call,
    Python once for all.)

    Parameters
    ----------
    user_id
        Whom to process.
    context
        The users begun so far; a new set unless given.
    audits
        Whom the audit of each user processes.
    log
        Receives the warnings.

    Returns
    -------
    ``{"user": …, "audit": [...]}``, or None for a user in the set.

    >>> asyncio.run(process_user_data(1, audits={1: [1]}))
    {'user': 1, 'audit': [None]}
    """
    context = set() if context is None else context
    if user_id in context:
        if log is not None:
            log.append(f"circular dependency detected for user {user_id}")
        return None
    context.add(user_id)
    await asyncio.sleep(0.01)  # fetch the user
    audit = await asyncio.gather(
        *(
            process_user_data(other, context, audits=audits, log=log)
            for other in audits.get(user_id, ())
        )
    )
    return {"user": user_id, "audit": audit}


class PathAndInFlight:
    """The path of ancestors in place of the set, and work in flight shared between requests.

    The path is right: a diamond keeps all its data and a circle is seen. Sharing is what any
    server does that will not do the same work twice. Together they freeze, and only under load: a
    path knows its own request's calls. If one request asks 6 → 7 while another asks 7 → 6, then
    each waits for the other's work in flight and finds no circle on its own path.

    Parameters
    ----------
    audits
        Whom the audit of each user processes.
    log
        Receives a line for each circle that was seen.

    Attributes
    ----------
    in_flight
        The task of each user who is being processed.

    >>> service = PathAndInFlight({6: [7], 7: [6]})
    >>> asyncio.run(service.process_user_data(6))
    {'user': 6, 'audit': [{'user': 7, 'audit': [None]}]}
    """

    def __init__(self, audits: Audits, log: list[str] | None = None) -> None:
        self.audits = audits
        self.log = [] if log is None else log
        self.in_flight: dict[int, asyncio.Task[dict[str, Any]]] = {}

    async def process_user_data(
        self, user_id: int, ancestors: tuple[int, ...] = ()
    ) -> dict[str, Any] | None:
        """Return the user's data, by the work in flight if there is some; None for an ancestor."""
        if user_id in ancestors:
            self.log.append(" → ".join(map(str, (*ancestors, user_id))))
            return None
        if user_id not in self.in_flight:
            self.in_flight[user_id] = asyncio.create_task(
                self._process(user_id, (*ancestors, user_id)), name=f"user {user_id}"
            )
        return await self.in_flight[user_id]

    async def _process(self, user_id: int, path: tuple[int, ...]) -> dict[str, Any]:
        try:
            await asyncio.sleep(0.01)  # fetch the user
            audit = [
                await self.process_user_data(other, path) for other in self.audits.get(user_id, ())
            ]
        finally:
            del self.in_flight[user_id]
        return {"user": user_id, "audit": audit}
