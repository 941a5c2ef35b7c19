"""A pytest plugin: a test that deadlocks fails at once, with the explanation.

Off unless asked for: by ``-p deadlock_lab.live.pytest_plugin`` on the command line, or by
``deadlock_lab = true`` in pytest's configuration. It works beside pytest-asyncio and
anyio's plugin, and for tests that call ``asyncio.run`` themselves.
"""

import inspect
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import CodeType
from typing import Any

import pytest

from ..engine.waits import await_chain
from .every_loop import attended, end, on_every_loop
from .snapshot import is_main
from .standing import Standing

__all__ = ["pytest_addoption", "pytest_runtest_protocol"]

_INTERVAL = 0.1


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the line of the configuration that turns the plugin on."""
    parser.addini("deadlock_lab", "fail a test that deadlocks at once", type="bool", default=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[Any]:
    """Watch every loop that a test, or one of its fixtures, runs."""
    if not _asked_for(item.config):
        return (yield)
    with on_every_loop(_watched_for(item)):
        return (yield)


def _asked_for(config: pytest.Config) -> bool:
    return bool(config.getini("deadlock_lab")) or __name__ in config.option.plugins


def _watched_for(item: pytest.Item) -> Any:
    function: Any = getattr(item, "obj", None)
    code = getattr(inspect.unwrap(function), "__code__", None)

    def tell(standing: Standing) -> None:
        """End the test if it is its own task that is stuck: it would hang."""
        for task in standing.live_tasks():
            if is_main(task) or _runs(task, code):
                end(standing, task)
                return

    def attend(loop: Any) -> AbstractContextManager[None]:
        return attended(loop, _INTERVAL, tell)

    return attend


def _runs(task: Any, code: CodeType | None) -> bool:
    """Whether a task is inside of a function: anyio runs all tests of a module in one task."""
    return any(frame.f_code is code for frame in await_chain(task.get_coro()))
