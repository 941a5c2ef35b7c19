"""The function that took the article's server down: its audit asks for it again."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["audit_user", "enrich_user", "fetch_user", "process_user_data", "validate_user"]

User = dict[str, Any]


async def fetch_user(user_id: int) -> User:
    """Read a user from the database; it takes 10 ms."""
    await asyncio.sleep(0.01)
    return {"id": user_id}


async def enrich_user(user: User) -> User:
    """Look up what else is known; it takes 10 ms."""
    await asyncio.sleep(0.01)
    return {**user, "name": f"user {user['id']}"}


async def validate_user(user: User) -> bool:
    """Check the fields; it takes 10 ms."""
    await asyncio.sleep(0.01)
    return "id" in user


async def audit_user(user: User, log: list[int] | None = None) -> Any:
    """Process the same user once more: the mistake."""
    return await process_user_data(user["id"], log)


async def process_user_data(user_id: int, log: list[int] | None = None) -> tuple[User, bool, Any]:
    """Fetch a user, then enrich, validate and audit it side by side.

    Claimed to be a chain of promises that never resolves: a deadlock. It never resolves, and is
    none: each audit fetches the user again, so there is always a timer running. Three new tasks
    every 10 ms, for ever, while every loop monitor says "busy". No recursion limit ends it, since
    ``gather`` makes a task of each call.

    Parameters
    ----------
    user_id
        Whom to process.
    log
        Receives the id each time the function is called.

    Returns
    -------
    Nothing, ever.
    """
    if log is not None:
        log.append(user_id)
    user = await fetch_user(user_id)
    return await asyncio.gather(enrich_user(user), validate_user(user), audit_user(user, log))
