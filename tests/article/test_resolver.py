"""The resolver gets a diamond right, and is itself the deadlock on a circle."""

import asyncio
import gc
import sys

import pytest

import deadlock_lab as lab
from deadlock_lab.article.resolver import AsyncResolver, Dependency


def test_a_diamond_is_right_and_its_base_runs_once():
    runs = []

    async def base():
        runs.append("D")
        await asyncio.sleep(1)
        return "D"

    shared = Dependency("D", base)
    sides = [Dependency(key, lambda d, key=key: f"{key}({d})", [shared]) for key in "XY"]

    run = lab.run(lambda: AsyncResolver().resolve("top", lambda x, y: x + y, sides))

    assert run.result() == "X(D)Y(D)"
    assert runs == ["D"]


def circle():
    a, b = Dependency("A", lambda b: "a"), Dependency("B", lambda a: "b")
    a.dependencies.append(b)
    b.dependencies.append(a)
    return a


def test_a_circle_is_a_true_deadlock():
    a = circle()
    resolver = AsyncResolver()

    run = lab.run(lambda: resolver.resolve(a.key, a.resolver, a.dependencies))

    assert run.outcome == "deadlock"
    assert run.waits.cycles()
    assert resolver.resolution_cache == {}


def test_a_self_circle_is_a_true_deadlock():
    a = Dependency("A", lambda a: "a")
    a.dependencies.append(a)

    run = lab.run(lambda: AsyncResolver().resolve(a.key, a.resolver, a.dependencies))

    assert run.outcome == "deadlock"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in 3.12")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # the one it stopped at
def test_with_eager_tasks_a_circle_overflows_the_stack_as_in_javascript():
    a = circle()

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        await AsyncResolver().resolve(a.key, a.resolver, a.dependencies)

    run = lab.run(main)

    with pytest.raises(RecursionError):
        run.result()
    del run
    gc.collect()


def test_a_value_is_kept_for_ever_and_a_failure_is_not():
    answers = [ValueError("not yet"), "ready"]

    async def flaky():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def main():
        resolver = AsyncResolver()
        with pytest.raises(ValueError, match="not yet"):
            await resolver.resolve("A", flaky)
        return await resolver.resolve("A", flaky), await resolver.resolve("A", flaky)

    assert lab.run(main).result() == ("ready", "ready")
