"""The article's advanced pattern: values that depend on values, each computed once."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["AsyncResolver", "Dependency"]


@dataclass
class Dependency:
    """What the article writes as ``{key, resolver, dependencies}``.

    The list may be filled after the fact; that is how two of them come to need each other.
    """

    key: str
    resolver: Callable[..., Any]
    dependencies: list[Dependency] = field(default_factory=list)


class AsyncResolver:
    """Resolve a key after its dependencies, share what is under way, keep what is done.

    Claimed to eliminate complex deadlocks. For a diamond it works: the shared dependency runs once.
    For A that needs B that needs A it *is* the deadlock. A asks for B, B asks for A, A is pending,
    and whoever finds a key pending waits for it, whatever it may itself be needed for.

    In JavaScript the same code overflows the stack: there, the work begins before its promise is
    written down as pending, so the second A does not find the first. A Python task begins at the
    next step of the loop, after it was written down. (With an eager task factory, Python overflows
    as well.)

    Attributes
    ----------
    resolution_cache
        The value of each key that was resolved. It grows for ever.
    pending_resolutions
        The task of each key under way.

    >>> base = Dependency("D", lambda: "d")
    >>> left, right = (Dependency(key, lambda d, key=key: key + d, [base]) for key in "XY")
    >>> asyncio.run(AsyncResolver().resolve("top", lambda x, y: x + y, [left, right]))
    'XdYd'
    """

    def __init__(self) -> None:
        self.resolution_cache: dict[str, Any] = {}
        self.pending_resolutions: dict[str, asyncio.Task[Any]] = {}

    async def resolve(
        self, key: str, resolver: Callable[..., Any], dependencies: Sequence[Dependency] = ()
    ) -> Any:
        """Return the value of ``key``: the cached one, the pending one, or a new one.

        Parameters
        ----------
        key
            What to resolve.
        resolver
            Called with the values of the dependencies, in order; may be async.
        dependencies
            What must be resolved before.
        """
        if key in self.resolution_cache:
            return self.resolution_cache[key]
        if key in self.pending_resolutions:
            return await self.pending_resolutions[key]
        pending = asyncio.create_task(
            self.perform_resolution(key, resolver, dependencies), name=key
        )
        self.pending_resolutions[key] = pending
        try:
            result = await pending
            self.resolution_cache[key] = result
            return result
        finally:
            self.pending_resolutions.pop(key, None)

    async def perform_resolution(
        self,
        key: str,  # noqa: ARG002 — the article passes it and does not read it
        resolver: Callable[..., Any],
        dependencies: Sequence[Dependency],
    ) -> Any:
        """Resolve the dependencies side by side, then call the resolver with their values."""
        values = await asyncio.gather(
            *(self.resolve(each.key, each.resolver, each.dependencies) for each in dependencies)
        )
        result = resolver(*values)
        return await result if inspect.isawaitable(result) else result
