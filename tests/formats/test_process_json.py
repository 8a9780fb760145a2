"""The simplified JSON: what each block does when it runs, nodes and flows, the extended form, findings."""

import json

import pytest
from converted import codes, run, xml

from flowledger.kernel import model


def process(*flow, **more):
    return json.dumps({"id": "p", **more, "flow": list(flow)})


def task(id, **more):
    return {"task": id, **more}


A, B, C, D = task("a"), task("b"), task("c"), task("d")


@pytest.mark.parametrize(
    ("flow", "moves", "variables", "tasks"),
    [
        ([A, B], "complete a;complete b", {}, "a b"),
        ([{"if": "x > 1", "then": [A], "else": [B]}, C], "complete a;complete c", {"x": 2}, "a c"),
        ([{"if": "x > 1", "then": [A], "else": [B]}, C], "complete b;complete c", {"x": 1}, "b c"),
        ([{"if": "x > 1", "then": [A]}, C], "complete c", {"x": 1}, "c"),
        ([{"switch": [{"when": "x = 1", "do": [A]}, {"when": "x = 2", "do": [B]}, {"do": [C]}]}], "complete b", {"x": 2}, "b"),
        ([{"switch": [{"when": "x = 1", "do": [A]}, {"do": [C]}]}, D], "complete c;complete d", {"x": 2}, "c d"),
        ([{"parallel": [[A, B], C]}, D], "complete a;complete c;complete b;complete d", {}, "a c b d"),
        ([{"parallel": {"left": [A], "right": [{"if": "x", "then": [B]}]}}, D], "complete a;complete d", {"x": False}, "a d"),
        ([{"if": "x", "then": [A]}, {"parallel": [[B], [C]]}], "complete a;complete b;complete c", {"x": True}, "a b c"),
        ([{"inclusive": [{"when": "x > 0", "do": [A]}, {"when": "x > 1", "do": [B]}, {"do": [C]}]}, D], "complete a;complete b;complete d", {"x": 2},
         "a b d"),
        ([{"while": "n < 2", "do": [task("a", output={"n": "= n + 1"})]}, B], "complete a;complete a;complete b", {"n": 0}, "a a b"),
        ([{"repeat": [task("a", output={"n": "= n + 1"})], "until": "n > 1"}, B], "complete a;complete a;complete b", {"n": 0}, "a a b"),
        ([{"for_each": "= xs", "as": "x", "parallel": False, "do": [A]}, B], "complete a;complete a;complete b", {"xs": [1, 2]}, "a a b"),
        ([{"wait": "5m"}, A], "tick;complete a", {}, "a"),
        ([{"wait": {"message": "m", "key": "= k"}}, A], "message m 7;complete a", {"k": "7"}, "a"),
        ([{"first_of": [{"wait": {"message": "m", "key": "= k"}, "do": [A]}, {"wait": "5m", "do": [B]}]}, C], "tick;complete b;complete c", {"k": "7"},
         "b c"),
        ([{"scope": [A], "id": "s", "on": [{"error": "E", "do": [B]}]}, C], "error a E;complete b;complete c", {}, "a b c"),
        ([{"scope": [A, {"throw": {"error": "E"}}], "id": "s", "on": [{"error": "*", "do": [B, {"end": "bad"}]}]}, C], "complete a;complete b", {}, "a b"),
        ([A, B, {"if": "again", "then": [{"go": "a"}]}], "complete a;complete b again=true;complete a;complete b again=false", {}, "a b a b"),
        ([{"parallel": [[A], [B]], "id": "f"}, {"if": "again", "then": [{"go": "f"}]}],
         "complete a again=true;complete b;complete a again=false;complete b", {}, "a b a b"),
        ([task("a", on=[{"timeout": "1h", "interrupting": False, "do": [B]}]), C], "tick;complete b;complete a;complete c", {}, "a b c"),
        ([task("a", on=[{"timeout": "1h", "do": [B]}]), C], "tick;complete b;complete c", {}, "a b c"),
        ([task("a", skip_unless="x"), C], "complete c", {"x": False}, "c"),
        ([A, {"end": "Over"}], "complete a", {}, "a"),
        ([task("a", undo=[task("u")]), {"throw": {"compensate": True}}, C], "complete a;complete u;complete c", {}, "a u c"),
        ([task("a", for_each="= xs", **{"as": "x"}), C], "complete a;complete a;complete c", {"xs": [1, 2]}, "a a c"),
    ],
)  # fmt: skip
def test_blocks(flow, moves, variables, tasks):
    s = run(process(*flow), moves, **variables)
    assert s.tasks == tasks
    assert s.line.endswith("done") and s.empty


def test_defaults_start_and_deadline():
    text = process(A, variables={"x": {"default": 5}}, sla="P1D", on_late=[B])
    s = run(text, "tick;complete b")
    assert s.vars["x"] == 5 and s.tasks == "a b" and not s.empty
    assert run(text, "complete a", x=6).vars["x"] == 6
    s = run(process(A, on=[{"message": "stop", "key": "= k", "do": [B]}]), "message stop 1;complete b", k="1")
    assert s.tasks == "a b" and s.empty


NODES = {
    "id": "p",
    "nodes": [
        {"id": "s", "type": "start"},
        {"id": "a", "type": "user", "assignee": "ann"},
        {"id": "g", "type": "exclusive"},
        {"id": "b", "job": "work", "retries": 4},
        {"id": "late", "type": "boundary", "on": "b", "timeout": "1h", "interrupting": False},
        {"id": "e", "type": "end"},
        {"id": "e2", "type": "end"},
    ],
    "flows": [
        {"from": "s", "to": "a"}, {"from": "a", "to": "g"}, {"from": "g", "to": "b", "when": "x"}, {"from": "g", "to": "e", "default": True},
        {"from": "b", "to": "e"}, {"from": "late", "to": "e2"},
    ],
}  # fmt: skip


def shape(graph):
    p = graph.processes["p"]
    return {
        n.id: (n.kind, sorted((f.target.id, f.condition.text if f.condition else "", f is n.default) for f in n.outgoing))
        for n in p.nodes.values()
    }


@pytest.mark.req("APG-MOD-002", "APG-ELM-003", "APG-POS-007")
def test_the_same_graph_from_three_notations():
    data = json.dumps(NODES)
    direct, findings = model.read(data.encode())
    assert not findings
    again, findings = model.read(xml(data).encode(), "p.bpmn")
    assert not [f for f in findings if f.severity != "info"]
    blocks, _ = model.read(process(
        {"task": "a", "type": "user", "assignee": "ann"},
        {"if": "x", "id": "g", "then": [{"task": "b", "job": "work", "on": [{"timeout": "1h", "id": "late", "interrupting": False, "do": []}]}]},
    ).encode())  # fmt: skip
    assert shape(direct) == shape(again)
    kinds = sorted(kind for kind, _ in shape(direct).values())
    assert [k for k in sorted(kind for kind, _ in shape(blocks).values()) if k != "exclusiveGateway"] == [
        k for k in kinds if k != "exclusiveGateway"
    ]


def test_nodes_run():
    assert run(json.dumps(NODES), "complete a x=true;tick;complete b").tasks == "a b"
    assert run(json.dumps(NODES), "complete a x=false").empty


EXTENDED = """{
 "format": "flowledger/extended@1", "id": "p",
 "capabilities": {"ai": {"operations": ["classify"], "version": "2"}%s},
 "flow": [{"task": "a", "type": "capability", "capability": "%s",
   "operation": "%s", "parameters": {"text": "= t"}, "output": {"r": "= r"}}]
}"""


def test_capability_tasks_are_jobs_of_their_name():
    s = run(EXTENDED % ("", "ai", "classify"), "complete a r=1", t="x")
    assert s.vars["r"] == 1 and s.empty
    text = xml(EXTENDED % ("", "ai", "classify"))
    assert 'type="ai.classify"' in text and '<flowledger:capability name="ai" version="2" operations="classify" required="true"/>' in text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (EXTENDED % ("", "al", "classify"), ["EXTENDED_CAPABILITY_UNUSED 3", "EXTENDED_CAPABILITY_UNDECLARED 4"]),
        (EXTENDED % ("", "ai", "guess"), ["EXTENDED_OPERATION_UNDECLARED 5"]),
        (EXTENDED % (', "x": {}', "ai", "classify"), ["EXTENDED_CAPABILITY_UNUSED 3"]),
        ('{"id": "p", "flow": [{"task": "a"},\n {"task": "a"}]}', ["PROCESS_ID_DUPLICATE 2"]),
        ('{"id": "p", "flow": [\n{"tusk": "a"}]}', ["PROCESS_BLOCK_UNKNOWN 2"]),
        ('{"id": "p", "flow": [{"task": "a",\n "candidate_groups": []}]}', ["PROCESS_KEY_UNKNOWN 2"]),
        ('{"id": "p", "flow": [{"go":\n "a"}]}', ["PROCESS_REFERENCE_MISSING 1"]),
        ('{"id": "p", "flow": [{"parallel": [[]]}]}', ["PROCESS_BRANCHES_MISSING 1"]),
        ('{"id": "p", "flow": [{"if": 5, "then": []}]}', ["PROCESS_TYPE_WRONG 1"]),
        ('{"id": "p", "flow": [{"wait":\n "never"}]}', ["PROCESS_DURATION_INVALID 2"]),
        ('{"id": "p", "flow": [{"wait": {"message": "m"}}]}', ["PROCESS_KEY_MISSING 1"]),
        ('{"id": "p", "flow": [{"task": "a", "on": [{"timeout": "1h", "error": "E"}]}]}', ["PROCESS_TRIGGER 1"]),
        ('{"id": "p", "flow": [{"task": "a", "on": [{"error": "E", "interrupting": false}]}]}', ["PROCESS_ERROR_INTERRUPTS 1"]),
        ('{"id": "p", "flow": [], "nodes": []}', ["PROCESS_BODY 1"]),
        ('{"id": "p", "nodes": [{"id": "s", "type": "start"}], "flows": [\n{"from": "s", "to": "x"}]}', ["PROCESS_REFERENCE_MISSING 2"]),
        ('{"id": "p", "nodes": [{"id": "a"}]}', ["PROCESS_START_MISSING 1"]),
        ('{"id": "p", "nodes": [{"id": "s", "type": "start"},\n {"id": "b", "type": "boundary", "on": "s"}]}', ["PROCESS_TRIGGER 2"]),
        ('{"id": "p", "flow": [{"task": "a", "input": {"x": "= 1 +"}}]}', ["PROCESS_EXPRESSION_INVALID 1"]),
        ('{"id": "p", "flow": [{"task": "a", "priority": "huge"}]}', ["PROCESS_VALUE_INVALID 1"]),
        ('{"id": "p", "flow": [{"task": "a", "type": "user", "priority": "huge"}]}', ["PROCESS_VALUE_INVALID 1"]),
        ('{"id": "p", "flow": [{"end": "x"},\n {"task": "a"}]}', ["PROCESS_UNREACHABLE 2"]),
        ('{"flow": []}', ["PROCESS_KEY_MISSING 1"]),
        ('{"flow": [}', ["PROCESS_TEXT_INVALID 1"]),
    ],
)
def test_findings_with_their_lines(text, found):
    assert [f for f in codes(text) if f.startswith(("PROCESS_", "EXTENDED_"))] == found
