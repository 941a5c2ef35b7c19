"""Refusing by name what cannot be explored, before anything runs."""

import inspect
from typing import Any

__all__ = ["check_count", "check_function", "check_program"]


def check_function(who: str, main: Any) -> None:
    """See that a program can be run many times, or say what to write."""
    if not callable(main):
        raise TypeError(
            f"lab.{who} runs a program many times and needs the async function itself, but is "
            f"given {main!r}; write lab.{who}(main), not lab.{who}(main())"
        )


def check_program(who: str, main: Any) -> None:
    """See that a program is an async function without parameters, or say what to write."""
    check_function(who, main)
    name = getattr(main, "__name__", repr(main))
    try:
        inspect.signature(main).bind()
    except TypeError as error:
        raise TypeError(
            f"lab.{who} calls {name}() without arguments ({error}); give it some, as in "
            f"lab.{who}(lambda: {name}(1, 2))"
        ) from None
    coro = main()
    if not inspect.iscoroutine(coro):
        raise TypeError(
            f"lab.{who} needs an async function, but {name}() returned {coro!r}; write "
            f"`async def {name}(): ...`"
        )
    coro.close()  # before it began: nothing was run


def check_count(name: str, value: Any, *, least: int) -> None:
    """See that a number is whole and large enough, or say which one is not."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, but is {value!r}")
    if value < least:
        raise ValueError(f"{name} must be {least} or more, but is {value!r}")
