"""Step 3 of the article: a register of the operations at work, asked before each one begins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

__all__ = ["AsyncDependencyTracker"]


class AsyncDependencyTracker:
    """Refuse an operation that would depend on itself.

    Claimed to catch circular dependencies before they become deadlocks. It looks one step far, and
    only at what was declared, so of all circles it catches those of two:

    * a circle of three passes, and so does an operation that depends on itself;
    * the article's own example declares ``fetch-user-42`` for ``process-user-42``, never the audit
      that asks for it again, and is let through each time round;
    * two operations of one id share one entry: the first to end takes out the second's.

    Attributes
    ----------
    active_operations
        For each id at work, the loop's time at its start and its declared dependencies.
    dependency_graph
        Empty. The article declares it and never writes to it.
    """

    def __init__(self) -> None:
        self.active_operations: dict[str, dict[str, Any]] = {}
        self.dependency_graph: dict[str, Any] = {}

    async def track_operation(
        self,
        operation_id: str,
        operation: Callable[[], Awaitable[Any]],
        dependencies: Sequence[str] = (),
    ) -> Any:
        """Run ``operation`` under an id; return what it returns.

        Raises
        ------
        Exception
            If `would_create_cycle` says so. The operation has not been started.
        """
        if self.would_create_cycle(operation_id, dependencies):
            raise Exception(  # noqa: TRY002 — as published
                f"Circular dependency detected: {operation_id}"
            )
        self.active_operations[operation_id] = {
            "start_time": asyncio.get_running_loop().time(),
            "dependencies": dependencies,
        }
        try:
            return await operation()
        finally:
            # JavaScript's Map.delete does not mind that the entry has gone already.
            self.active_operations.pop(operation_id, None)

    def would_create_cycle(self, new_operation: str, dependencies: Sequence[str]) -> bool:
        """Tell whether a dependency at work depends on the new operation, itself and declared."""
        return any(
            new_operation in self.active_operations[dependency]["dependencies"]
            for dependency in dependencies
            if dependency in self.active_operations
        )
