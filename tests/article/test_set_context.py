"""One shared set stops the circle and loses innocent data; the path of ancestors does not."""

import asyncio

import pytest

import deadlock_lab as lab
from deadlock_lab.article.set_context import PathAndInFlight, process_user_data

DIAMOND = {1: [2, 3], 2: [4], 3: [4]}


def test_the_set_stops_a_user_who_asks_for_itself():
    log = []

    result = lab.run(lambda: process_user_data(1, audits={1: [1]}, log=log)).result()

    assert result == {"user": 1, "audit": [None]}
    assert log == ["circular dependency detected for user 1"]


def test_a_diamond_has_no_circle_and_loses_its_second_visit():
    log = []

    result = lab.run(lambda: process_user_data(1, audits=DIAMOND, log=log)).result()

    assert result == {
        "user": 1,
        "audit": [
            {"user": 2, "audit": [{"user": 4, "audit": []}]},
            {"user": 3, "audit": [None]},
        ],
    }
    assert log == ["circular dependency detected for user 4"]


def test_a_set_that_serves_a_second_request_loses_all_of_it():
    async def main():
        context = set()
        first = await process_user_data(1, context, audits=DIAMOND)
        return first["user"], await process_user_data(1, context, audits=DIAMOND)

    assert lab.run(main).result() == (1, None)


def test_the_path_of_ancestors_keeps_the_diamond_whole():
    service = PathAndInFlight(DIAMOND)

    result = lab.run(lambda: service.process_user_data(1)).result()

    assert [branch["audit"] for branch in result["audit"]] == [[{"user": 4, "audit": []}]] * 2
    assert service.log == []


@pytest.mark.parametrize(("first", "second"), [(6, 7), (7, 6)])
def test_one_request_at_a_time_finds_the_circle(first, second):
    service = PathAndInFlight({6: [7], 7: [6]})

    async def main():
        await service.process_user_data(first)
        await service.process_user_data(second)

    assert lab.run(main).outcome == "finished"
    assert service.log == [f"{first} → {second} → {first}", f"{second} → {first} → {second}"]
    assert service.in_flight == {}


def test_two_requests_that_start_together_freeze():
    service = PathAndInFlight({6: [7], 7: [6]})

    async def main():
        await asyncio.gather(service.process_user_data(6), service.process_user_data(7))

    run = lab.run(main)

    assert run.outcome == "deadlock"
    assert "user 6 → user 7 → user 6" in run.explain()
    assert service.log == []
