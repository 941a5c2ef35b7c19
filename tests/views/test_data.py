"""The verdict in the languages of other programs: JSON, Mermaid, Graphviz."""

import asyncio
import json
import re

import deadlock_lab as lab
from deadlock_lab.engine.graph import Waiter, WaitGraph
from deadlock_lab.engine.recording import Recording
from deadlock_lab.engine.trace import Resource, TaskInfo, Wait
from deadlock_lab.views.data import to_dict

EVIL = 'a"]; B --> C\n%%{init}%% <b>`x`</b> \\" #quot;'


async def two_locks() -> None:
    lock_a, lock_b = asyncio.Lock(), asyncio.Lock()

    async def take(first: asyncio.Lock, second: asyncio.Lock) -> None:
        async with first:
            await asyncio.sleep(1)
            async with second:
                pass

    async with asyncio.TaskGroup() as group:
        group.create_task(take(lock_a, lock_b), name="forth")
        group.create_task(take(lock_b, lock_a), name="back")


def evil() -> WaitGraph:
    return WaitGraph(
        infos=(TaskInfo(EVIL, -1, 0),),
        things=(Resource(EVIL, "Event"),),
        waiters={0: Waiter(Wait("Event.wait", "all", (~0,)), 0)},
        setters={0: (0,)},
        stuck_ids=(0,),
    )


def test_every_verdict_is_data_that_json_takes(any_recording: Recording) -> None:
    data = to_dict(any_recording)
    assert json.loads(json.dumps(data)) == data


def test_the_data_says_what_the_explanation_says() -> None:
    data = lab.run(two_locks).to_dict()
    first = two_locks.__code__.co_firstlineno
    assert (data["outcome"], data["seconds"], data["stuck"]) == (
        "deadlock",
        1.0,
        ["main", "forth", "back"],
    )
    assert data["cycles"] == [{"members": ["forth", "back", "forth"], "sure": True}]
    assert data["tasks"][1] == {
        "name": "forth",
        "stuck": True,
        "how": "Lock.acquire",
        "mode": "all",
        "waits_for": ["lock_b (Lock)"],
        "holds": ["lock_a (Lock)"],
        "place": {"file": "tests/views/test_data.py", "line": first + 6, "function": "take"},
    }
    assert data["edges"][0] == {"waiter": "main", "target": "forth", "sure": True}
    assert data["diagnoses"][0]["kind"] == "lock ordering"


def test_a_value_that_is_no_data_is_told_by_its_repr() -> None:
    async def main() -> object:
        return object

    assert lab.run(main).to_dict()["value"] == "<class 'object'>"


def test_a_graph_is_written_for_mermaid() -> None:
    assert lab.run(two_locks).waits.to_mermaid() == (
        "flowchart LR\n"
        '    t0["main"]\n'
        '    t1["forth"]\n'
        '    t2["back"]\n'
        '    r0(["lock_a #40;Lock#41;"])\n'
        '    r1(["lock_b #40;Lock#41;"])\n'
        "    t0 --> t1\n"
        "    t0 --> t2\n"
        "    t1 --> r1\n"
        "    t2 --> r0\n"
        "    r0 --> t1\n"
        "    r1 --> t2\n"
        "    classDef stuck stroke:#c00,stroke-width:3px\n"
        "    class t0,t1,t2 stuck\n"
    )


def test_a_graph_is_written_for_graphviz() -> None:
    dot = lab.run(two_locks).waits.to_graphviz()
    assert dot.startswith("digraph waits {\n    rankdir=LR;\n")
    assert '    t1 [label="forth", shape=box, color="#cc0000", penwidth=3];\n' in dot
    assert '    r0 [label="lock_a (Lock)", shape=ellipse];\n' in dot
    assert dot.endswith("    r1 -> t2;\n}\n")


def test_no_name_breaks_out_of_its_mermaid_label() -> None:
    text = evil().to_mermaid()
    labels = re.findall(r'^    \w+\(?\["(.*)"\]\)?$', text, re.MULTILINE)
    assert len(labels) == 2
    assert not any(re.search(r'["<>`\n]', label) for label in labels)
    assert text.count("\n") == len(text.splitlines()) == 7
    assert "    r0 -.-> t0\n" in text


def test_no_name_breaks_out_of_its_graphviz_label() -> None:
    text = evil().to_graphviz()
    strings = re.findall(r'label="((?:[^"\\\n]|\\.)*)", shape', text)
    assert len(strings) == 2
    assert "    r0 -> t0 [style=dashed];\n" in text
    assert len(text.splitlines()) == 7
