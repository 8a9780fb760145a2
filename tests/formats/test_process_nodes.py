"""Processes in JSON as nodes and flows: what each event and sub-process does when it runs, and what is wrong with a text, with its line."""

import json

import pytest
from converted import codes, run

from flowledger.kernel.model.drawn import as_bpmn, as_json


def process(nodes, flows, **more):
    """`flows`: `a > b > c; b > d`."""
    pairs = [pair for chain in flows.split(";") for pair in zip(chain.split(">"), chain.split(">")[1:], strict=False)]
    return json.dumps({"id": "p", **more, "nodes": nodes, "flows": [{"from": a.strip(), "to": b.strip()} for a, b in pairs]})


S, E, A, B = {"id": "s", "type": "start"}, {"id": "e", "type": "end"}, {"id": "a"}, {"id": "b"}
CATCH = {"id": "c", "type": "catch"}


@pytest.mark.parametrize(
    ("nodes", "flows", "moves", "variables", "tasks"),
    [
        ([S, {**CATCH, "timeout": "5m"}, A, E], "s > c > a > e", "tick;complete a", {}, "a"),
        ([S, {**CATCH, "until": "= at"}, A, E], "s > c > a > e", "tick;complete a", {"at": "2027-01-01T00:00:00Z"}, "a"),
        ([S, {**CATCH, "message": "m", "key": "= k"}, A, E], "s > c > a > e", "message m 7;complete a", {"k": "7"}, "a"),
        ([S, {**CATCH, "signal": "go"}, A, E], "s > c > a > e", "signal go;complete a", {}, "a"),
        ([S, {**CATCH, "condition": "x > 1"}, A, E], "s > c > a > e", "set x=2;complete a", {"x": 1}, "a"),
        ([S, {"id": "t", "type": "throw", "link": "L"}, {**CATCH, "link": "L"}, A, E], "s > t;c > a > e", "complete a", {}, "a"),
        ([S, A, {"id": "t", "type": "throw", "compensate": True}, {**E, "terminate": True}], "s > a > t > e", "complete a", {}, "a"),
        ([S, A, {"id": "x", "type": "boundary", "on": "a", "error": "E"}, B, E], "s > a > e;x > b > e", "error a E;complete b", {}, "a b"),
        ([S, A, {"id": "x", "type": "boundary", "on": "a", "error": "*"}, B, E], "s > a > e;x > b > e", "error a Z;complete b", {}, "a b"),
        ([S, A, {"id": "x", "type": "boundary", "on": "a", "timeout": "1h", "interrupting": False}, B, E], "s > a > e;x > b > e",
         "tick;complete b;complete a", {}, "a b"),
        ([S, {**A, "timeout": "1h"}, E], "s > a > e", "complete a", {}, "a"),
        ([S, {"id": "u", "type": "scope", "nodes": [{"id": "i", "type": "start"}, A, {"id": "j", "type": "end"}],
              "flows": [{"from": "i", "to": "a"}, {"from": "a", "to": "j"}]}, B, E], "s > u > b > e", "complete a;complete b", {}, "a b"),
        ([S, {"id": "u", "type": "scope", "for_each": "= xs", "as": "x", "parallel": False, "collect": "all", "collect_from": "= x * 2",
              "nodes": [{"id": "i", "type": "start"}, A], "flows": [{"from": "i", "to": "a"}]}, B, E], "s > u > b > e",
         "complete a;complete a;complete b", {"xs": [1, 2]}, "a a b"),
        ([S, {"id": "u", "type": "scope", "nodes": [{"id": "i", "type": "start"}, A], "flows": [{"from": "i", "to": "a"}],
              "on": [{"error": "E", "do": [{"task": "b"}]}]}, E], "s > u > e", "error a E;complete b", {}, "a b"),
    ],
)  # fmt: skip
def test_what_nodes_do(nodes, flows, moves, variables, tasks):
    s = run(process(nodes, flows), moves, **variables)
    assert s.tasks == tasks and s.line.endswith("done") and s.empty


def test_variables_have_defaults_and_what_an_event_brings_is_mapped():
    s = run(process([S, A, E], "s > a > e", variables={"x": {"default": 5}}), "complete a")
    assert s.vars["x"] == 5
    assert run(process([S, A, E], "s > a > e", variables={"x": {"default": 5}}), "complete a", x=6).vars["x"] == 6
    nodes = [S, {"id": "u", "type": "scope", "for_each": "= xs", "as": "x", "collect": "all", "nodes": [{"id": "i", "type": "start"}, A],
                 "flows": [{"from": "i", "to": "a"}]}, E]  # fmt: skip
    assert run(process(nodes, "s > u > e"), "complete a;complete a", xs=[1, 2]).vars["all"] == [1, 2]


NODES = '{"id": "p", "nodes": [{"id": "s", "type": "start"}, {"id": "a"},\n %s], "flows": [%s]}'


@pytest.mark.parametrize(
    ("node", "flow", "found"),
    [
        ("5", "", ["PROCESS_TYPE_WRONG 2"]),
        ('{"type": "user"}', "", ["PROCESS_KEY_MISSING 2"]),
        ('{"id": "a"}', "", ["PROCESS_ID_DUPLICATE 2"]),
        ('{"id": "b", "type": "boundary", "on": "aa", "timeout": "1h"}', "", ["PROCESS_REFERENCE_MISSING 2"]),
        ('{"id": "b", "type": "exclusive", "job": "x"}', "", ["PROCESS_KEY_UNKNOWN 2"]),
        ('{"id": "b", "type": "scope", "nodes": [{"id": "a", "type": "start"}]}', "", ["PROCESS_ID_DUPLICATE 2"]),
        ('{"id": "b"}', "5", ["PROCESS_TYPE_WRONG 2"]),
        ('{"id": "b"}', '{"from": "s", "to": "a", "if": "x"}', ["PROCESS_KEY_UNKNOWN 2"]),
        ('{"id": "b"}', '{"from": "s"}', ["PROCESS_KEY_MISSING 2"]),
        ('{"id": "g", "type": "exclusive"}', '{"from": "s", "to": "g"}, {"from": "g", "to": "a", "default": true}, {"from": "g", "to": "a", "default": true}',
         ["PROCESS_DEFAULT_TWICE 2"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_nodes_and_flows(node, flow, found):
    assert [f for f in codes(NODES % (node, flow)) if f.startswith("PROCESS_")] == found


def test_nodes_need_a_start_and_have_it_as_a_node():
    assert "PROCESS_START_MISSING 1" in codes('{"id": "p", "nodes": [{"id": "a"}]}')
    assert "PROCESS_KEY_UNKNOWN 1" in codes('{"id": "p", "start": {}, "nodes": [{"id": "s", "type": "start"}]}')


def test_what_is_thrown_carries_its_input_and_is_written_back_with_it():
    caught = {**CATCH, "signal": "go", "output": {"told": "= x"}}
    for thrown in ({"type": "throw"}, {"type": "end"}):
        t = {"id": "t", "signal": "go", "input": {"x": "= v + 1"}, **thrown}
        text = process([S, {"id": "f", "type": "parallel"}, t, caught, A, B, E], "s > f > c > a > e;f > b > t")
        s = run(text, "complete b", v=6)
        assert s.i.vars == {"v": 6, "told": 7}
        written, _, same = as_json(as_bpmn(text.encode(), "p.json")[0], "p.bpmn")
        assert same and next(n for n in json.loads(written)["nodes"] if n["id"] == "t")["input"] == {"x": "= v + 1"}
    flow = {
        "id": "p",
        "flow": [
            {"parallel": [[{"wait": {"signal": "go"}}], [{"task": "b"}, {"throw": {"signal": "go", "input": {"x": "= v"}}}]]},
            {"task": "a"},
        ],
    }
    assert run(json.dumps(flow), "complete b", v=6).i.vars == {"v": 6, "x": 6}
    assert codes(process([S, {**CATCH, "signal": "go", "input": {"x": 1}}, E], "s > c > e")) == ["PROCESS_KEY_UNKNOWN 1"]
