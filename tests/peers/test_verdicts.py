"""The verdict beside those of others, on the same programs; ``make peers`` prints the table."""

import pytest

from tests.peers.contenders import PEERS, Answer, ask, installed, ours
from tests.peers.programs import ROWS, Row
from tests.peers.table import HANGS, answers_of

NAMED = {row.name: row for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=list(NAMED))
def test_each_deadlock_is_found_with_its_cycle_and_nothing_else_is(row: Row) -> None:
    """Stuck, partial, masked or harmless, on a virtual loop or, with threads, a real one."""
    assert ask(ours, row) == Answer(row.truth != "harmless", (row.cycle,) if row.cycle else ())


def test_the_table_holds_every_truth_many_times_over() -> None:
    truths = [row.truth for row in ROWS]
    counts = [truths.count(truth) for truth in ("stuck", "partial", "masked", "harmless")]
    assert len(ROWS) == len(NAMED) == sum(counts)
    assert all(count >= least for count, least in zip(counts, (17, 2, 2, 7), strict=True))


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_is_really_asked_and_given_up_where_it_hangs(peer: str) -> None:
    """What it answers is its own affair, but the plain cases none of them gets wrong."""
    if not installed(peer):
        pytest.skip(f"{peer} is not installed: pip install 'deadlock-lab[peers]'")
    names = ("a_heartbeat_beside_a_stuck_pair", "two_locks_in_both_orders", "a_permit_handed_on")
    beside, stuck, harmless = answers_of(peer, [NAMED[name] for name in names], limit=3)
    assert not beside.deadlock
    assert beside.otherwise
    assert stuck.deadlock
    assert harmless == Answer(False)


def test_a_peer_that_says_nothing_in_time_is_said_to_hang() -> None:
    row = NAMED["a_permit_handed_on"]
    assert answers_of("asyncio-without-a-watch", [row]) == [HANGS]
