"""What CPython itself shows of a program that stands still, beside what we say of it."""

import pytest

import deadlock_lab as lab
from tests.peers.call_graph import BESIDE, BUILT_IN, call_graph, pstree
from tests.peers.programs import Row

pytestmark = pytest.mark.skipif(not BUILT_IN, reason="asyncio shows call graphs from 3.14 on")


@pytest.mark.parametrize("row", BESIDE, ids=[row.name for row in BESIDE])
def test_pstree_names_a_cycle_of_tasks_and_we_name_those_through_locks_and_queues(row: Row) -> None:
    _, seen = pstree(row)
    run = lab.run(row.program)
    print(seen, call_graph(row), run, sep="\n\n")
    if "insufficient permissions" in seen:
        pytest.skip("pstree may not attach to another process here")
    assert all(name in seen for name in row.cycle)
    assert ("cycle: " in seen) == (row.name == "three_tasks_in_a_ring")
    assert [tuple(sorted(cycle[1:])) for cycle in run.waits.cycles()] == [row.cycle]
