"""Values in a few characters: bounded, the same everywhere, and no code of theirs runs."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from deadlock_lab.engine.values import brief


class Wild:
    """Whatever one may ask it, it raises."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"asked for {name}")

    def __repr__(self) -> str:
        raise AssertionError("asked for its repr")

    __hash__ = __eq__ = __len__ = __iter__ = __bool__ = __repr__  # type: ignore[assignment]


class WildMeta(type):
    def __hash__(cls) -> int:
        raise AssertionError("asked for the hash of a class")

    def __eq__(cls, other: object) -> bool:
        raise AssertionError("asked whether a class is another")

    @property
    def __name__(cls) -> str:
        raise AssertionError("asked for the name of a class")


class Wilder(metaclass=WildMeta):
    pass


class MyList(list[int]):
    def __iter__(self) -> Any:
        raise AssertionError("asked for its items")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "None"),
        (True, "True"),
        (-7, "-7"),
        (0.1, "0.1"),
        ("it's", '"it\'s"'),
        (b"\x00", "b'\\x00'"),
        ([], "[]"),
        ((1,), "(1,)"),
        ({"a": [1, 2]}, "{'a': [1, 2]}"),
        (set(), "set()"),
        ({10, 9, 1}, "{1, 9, 10}"),
        (frozenset("ba"), "{'a', 'b'}"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, … 100 items]"),
        (set(range(100)), "{… 100 items}"),
        ([[[[1]]]], "[[[[… 1 items]]]]"),
        ("x" * 1000, f"'{'x' * 40}'… (1,000 long)"),
        (object(), "<object>"),
        (Wild, "<class Wild>"),
        (brief, "<function brief>"),
        (asyncio, "<module>"),
    ],
)
def test_a_value_in_short(value: object, expected: str) -> None:
    assert brief(value) == expected


WILD: dict[str, Callable[[], object]] = {
    "object": Wild,
    "of a wild class": lambda: Wilder(),
    "class": lambda: Wilder,
    "list": lambda: MyList([1]),
}


@pytest.mark.parametrize("name", WILD)
def test_no_code_of_a_value_is_run(name: str) -> None:
    value = WILD[name]()
    for told in (brief(value), brief([value]), brief({"key": (value,)})):
        assert "<" in told


def test_a_number_that_python_would_not_write_is_told_by_its_size() -> None:
    assert brief(1 << 1_000_000) == "<int of 1,000,001 bits>"


def test_a_list_that_holds_itself_is_no_trouble() -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    assert brief(ring).startswith("[1, [1, [1, ")


def test_no_text_is_longer_than_a_line() -> None:
    deep: Any = "é" * 100
    for _ in range(10):
        deep = [deep] * 100
    assert len(brief(deep)) <= 80
    assert len(brief({str(n) * 99: deep for n in range(99)})) <= 80
    assert len(brief([sys.maxsize] * 9)) <= 80


def test_what_tasks_wait_with_is_told_by_name() -> None:
    assert brief([asyncio.Lock(), object()], lambda _: "gate") == "[<Lock gate>, <object>]"
    assert brief(asyncio.Event(), lambda _: None) == "<Event>"
