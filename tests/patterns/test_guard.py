"""The re-entry guard: a circle is told, wherever it closes, and nothing else is."""

import asyncio
import contextvars
import gc
import inspect
import pickle
import tracemalloc

import pytest

import deadlock_lab as lab
from deadlock_lab.patterns.errors import CircularDependencyError
from deadlock_lab.patterns.guard import GuardedCall, Path, guard


def by_first(*arguments):
    return arguments[0]


# --- the error -------------------------------------------------------------------------------


def test_the_error_carries_and_prints_the_whole_cycle():
    error = CircularDependencyError(["A", "B", "C", "A"])

    assert error.cycle == ("A", "B", "C", "A")
    assert "A → B → C → A" in str(error)


def test_the_error_survives_pickling_with_its_hint_and_notes():
    error = CircularDependencyError([1, 2, 1], hint="ask once")
    error.add_note("seen in production")

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301

    assert (copy.cycle, copy.hint, copy.__notes__) == (
        (1, 2, 1),
        "ask once",
        ["seen in production"],
    )


@pytest.mark.parametrize("nodes", [["A", "B"], ["A"], []])
def test_a_cycle_that_does_not_close_is_refused(nodes):
    with pytest.raises(ValueError, match="ends with the node it begins with"):
        CircularDependencyError(nodes)


def test_one_string_is_not_taken_for_a_cycle_of_letters():
    with pytest.raises(TypeError, match="one string 'ABA'"):
        CircularDependencyError("ABA")


# --- the path, handed down by hand -----------------------------------------------------------


def test_a_path_is_a_value_that_entering_does_not_change():
    start = Path()
    left, right = start.enter("left"), start.enter("right")

    assert (list(start), list(left), list(right)) == ([], ["left"], ["right"])
    assert "left" not in right
    assert len(left.enter("leaf")) == 2


def test_entering_a_key_twice_names_the_circle_and_not_the_way_to_it():
    path = Path().enter("door").enter("A").enter("B")

    with pytest.raises(CircularDependencyError) as caught:
        path.enter("A")

    assert caught.value.cycle == ("A", "B", "A")


def test_a_path_of_ten_thousand_keys_still_knows_them_all():
    path = Path()
    for key in range(10_000):
        path = path.enter(f"key {key}")

    assert "key 0" in path
    assert "key 10000" not in path
    assert len(path.cycle_to("key 9000")) == 1001


def test_none_is_a_key_like_any_other():
    assert None not in Path()
    assert None in Path().enter(None)


def test_an_unhashable_key_is_named_with_what_to_use_instead():
    with pytest.raises(TypeError, match=r"got \['Ada'\] \(list\); use a string, a number"):
        Path().enter(["Ada"])


# --- the decorator ---------------------------------------------------------------------------


def test_a_call_that_comes_back_through_gather_is_a_circle():
    @guard(key=by_first)
    async def process_user_data(user):
        return await asyncio.gather(asyncio.sleep(0.1), audit_user(user))

    async def audit_user(user):
        await asyncio.sleep(0.1)
        return await process_user_data(user)

    with pytest.raises(CircularDependencyError) as caught:
        lab.run(lambda: process_user_data(42)).result()

    assert "process_user_data(42) → process_user_data(42)" in str(caught.value)


def test_a_circle_names_each_function_with_its_key():
    @guard(key=by_first)
    async def process(user):
        return await asyncio.create_task(audit(user, dry=True))

    @guard()
    async def audit(user, *, dry):
        async with asyncio.TaskGroup() as group:
            return await group.create_task(process(user))

    run = lab.run(lambda: process(7))

    with pytest.raises(ExceptionGroup) as caught:
        run.result()
    (error,) = caught.value.exceptions
    assert error.cycle == (
        GuardedCall("process", (7,)),
        GuardedCall("audit", (7,), (("dry", True),)),
        GuardedCall("process", (7,)),
    )
    assert "process(7) → audit(7, dry=True) → process(7)" in str(error)
    assert pickle.loads(pickle.dumps(error)).cycle == error.cycle  # noqa: S301


def test_a_diamond_is_visited_twice_and_loses_nothing():
    audits = {1: [2, 3], 2: [4], 3: [4], 4: []}

    @guard(key=by_first)
    async def process(user):
        await asyncio.sleep(0.1)
        return {user: await asyncio.gather(*map(process, audits[user]))}

    assert lab.run(lambda: process(1)).result() == {1: [{2: [{4: []}]}, {3: [{4: []}]}]}


def test_siblings_and_repeated_calls_with_one_key_are_no_circle():
    @guard(key=by_first)
    async def leaf(key):
        await asyncio.sleep(0.1)
        return key

    @guard(key=by_first)
    async def root(key):
        side_by_side = await asyncio.gather(leaf(key), leaf(key))
        return [*side_by_side, await leaf(key), await leaf(key)]

    async def main():
        return await asyncio.gather(root(1), root(1))

    assert lab.run(main).result() == [[1] * 4, [1] * 4]


def test_two_functions_of_one_name_with_one_key_are_not_confused():
    def make(inner):
        @guard(key=by_first)
        async def handler(key):
            return await inner(key) if inner else "reached"

        return handler

    assert asyncio.run(make(make(None))(1)) == "reached"


def test_two_instances_are_told_apart_by_a_key_with_self():
    class Node:
        def __init__(self, following=None):
            self.following = following

        @guard(key=lambda self, user: (self, user))
        async def visit(self, user):
            return await self.following.visit(user) if self.following else user

    assert asyncio.run(Node(Node(Node())).visit(1)) == 1


def test_a_fallback_stands_in_for_the_call_that_would_close_the_circle():
    @guard(key=by_first, fallback=None)
    async def by_value(key):
        return [key, await by_value(key)]

    @guard(key=by_first, fallback=lambda error: len(error.cycle))
    async def by_function(key):
        return [key, await by_function(key)]

    assert asyncio.run(by_value(1)) == [1, None]
    assert asyncio.run(by_function(1)) == [1, 2]


def test_without_a_key_function_all_arguments_are_the_key():
    @guard()
    async def countdown(number, *, by=1):
        return await countdown(number - by, by=by) if number else "lift-off"

    @guard()
    async def forever():
        return await forever()

    assert asyncio.run(countdown(9, by=3)) == "lift-off"
    with pytest.raises(CircularDependencyError, match=r"forever\(\) → forever\(\)"):
        asyncio.run(forever())


@pytest.mark.parametrize("ending", [ValueError("no such user"), asyncio.CancelledError()])
def test_nothing_is_left_behind_by_a_call_that_failed_or_was_cancelled(ending):
    endings = [ending]

    @guard(key=by_first)
    async def process(user):
        if endings:
            raise endings.pop()
        return user

    async def main():
        with pytest.raises(type(ending)):
            await process(1)
        return await process(1)

    assert lab.run(main).result() == 1


def test_a_task_left_behind_may_call_its_starter_again_once_that_has_ended():
    @guard(key=by_first)
    async def serve(request):
        return asyncio.create_task(later(request)) if request == "first" else request

    @guard(key=by_first)
    async def later(request):
        await asyncio.sleep(1)
        return await serve(request), await serve("second")

    async def main():
        task = await serve("first")
        again, second = await task
        return (await again)[1], second  # `again` left a task behind in its turn

    assert lab.run(main).result() == ("second", "second")


def test_a_fresh_context_begins_a_fresh_path():
    @guard(key=by_first)
    async def process(user, depth=0):
        if depth == 2:
            return "done"
        again = process(user, depth + 1)
        return await asyncio.create_task(again, context=contextvars.Context())

    assert asyncio.run(process(1)) == "done"


def test_a_task_that_starts_the_next_and_ends_drags_no_list_behind_it():
    """Each generation is inside the one before only as long as that one runs."""

    @guard(key=by_first)
    async def generation(number):
        following = asyncio.create_task(generation(number + 1)) if number < 20_000 else None
        await asyncio.sleep(0)
        if number == 1_000:
            tracemalloc.start()
        if number == 20_000:
            gc.collect()
            grown.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.stop()
            done.set_result(None)
        return following is None

    async def main():
        nonlocal done
        done = asyncio.get_running_loop().create_future()
        first = asyncio.create_task(generation(0))
        await done
        await first

    done, grown = None, []
    asyncio.run(main())

    assert grown[0] < 200_000


def test_an_abandoned_coroutine_may_be_collected_in_another_context():
    @guard(key=by_first)
    async def process(user):
        await asyncio.sleep(0)

    async def main():
        abandoned = process(1)
        contextvars.copy_context().run(abandoned.send, None)
        abandoned.close()
        await process(1)

    asyncio.run(main())


def test_the_decorated_function_keeps_its_name_its_signature_and_its_nature():
    @guard()
    async def process_user_data(user: int) -> int:
        """Process."""
        return user

    assert process_user_data.__name__ == "process_user_data"
    assert process_user_data.__doc__ == "Process."
    assert inspect.iscoroutinefunction(process_user_data)


# --- bad input -------------------------------------------------------------------------------


def test_a_sync_function_is_refused_when_decorated():
    with pytest.raises(TypeError, match="decorates an async function, and load is not one"):

        @guard()
        def load():
            """Nothing to wait for."""


def test_a_forgotten_pair_of_brackets_is_refused_when_decorated():
    with pytest.raises(TypeError, match="positional argument"):

        @guard
        async def load():
            """Written as @guard, without ()."""


def test_an_async_key_function_or_fallback_is_refused_when_decorated():
    async def asks(*_):
        """Answer in its own time."""

    with pytest.raises(TypeError, match=r"key must be a plain function, and .*asks is async"):
        guard(key=asks)
    with pytest.raises(TypeError, match="fallback must be a plain function"):
        guard(fallback=asks)
    with pytest.raises(TypeError, match="key must be a function; got 'user'"):
        guard(key="user")


def test_an_unhashable_key_names_the_function():
    @guard(key=by_first)
    async def process(user):
        """Never reached."""

    with pytest.raises(TypeError, match=r"guard on .*process needs a hashable key.*\{'id': 1\}"):
        asyncio.run(process({"id": 1}))


def test_an_error_in_the_key_function_says_where_it_comes_from():
    @guard(key=lambda user: user["id"])
    async def process(user):
        """Never reached."""

    with pytest.raises(KeyError) as caught:
        asyncio.run(process({}))

    assert caught.value.__notes__ == ["raised by the key function of the guard on process"]
