"""``make peers``: the same programs given to each contender, and what each says of them."""

import deadlock_lab as lab
from tests.peers.call_graph import BESIDE, BUILT_IN, answers_of_pstree, call_graph, pstree
from tests.peers.contenders import PEERS, installed
from tests.peers.table import HEAD, answers_of, our_answers, score


def main() -> None:
    say("peer", HEAD)
    say("deadlock_lab", score(our_answers()))
    for peer in PEERS:
        say(peer, score(answers_of(peer)) if installed(peer) else "not installed")
    say("asyncio pstree", score(answers_of_pstree()) if BUILT_IN else "from Python 3.14 on")
    for row in BESIDE if BUILT_IN else ():
        headed(f"{row.name}: python -m asyncio pstree", pstree(row)[-1])
        headed(f"{row.name}: asyncio.format_call_graph", call_graph(row))
        headed(f"{row.name}: lab.run", str(lab.run(row.program)))


def say(peer: str, told: object) -> None:
    print(f"{peer:16} | {told}", flush=True)


def headed(title: str, text: str) -> None:
    print(f"\n== {title}\n{text}", flush=True)


if __name__ == "__main__":
    main()
