"""Agents in the kernel: what their jobs are told of tools, when a job is made, and what is wrong with a model."""

import json

import pytest
from notation import bpmn
from scenario import play

from flowledger.events import commands as c
from flowledger.kernel.elements.agents import PARAMETERS_MAX, TOOLS_MAX
from flowledger.kernel.model import bpmn as reader

MODEL = """
startEvent s
adHocSubProcess ah {attrs} {{
  serviceTask a
  .<documentation>Does  a thing</documentation>
  {inputs}
  serviceTask b
  serviceTask b2
  b > b2
  boundaryEvent late on=a : timer PT1H
  task after
  late > after
}}
<zeebe:taskDefinition type="{type}"/>
{more}
endEvent e
s > ah > e
"""


def model(inputs: str = "", type: str = "flowledger:agent", attrs: str = "", more: str = "") -> str:
    return MODEL.format(inputs=inputs, type=type, attrs=attrs, more=more)


def given(*sources: str) -> str:
    return "<zeebe:ioMapping>" + "".join(f"<zeebe:input source='{s}' target='x{n}'/>" for n, s in enumerate(sources)) + "</zeebe:ioMapping>"


def tools(text: str) -> tuple[list, list[str]]:
    graph, found = reader.read(bpmn(text).encode(), "m.bpmn")
    work = graph.processes["p"].nodes["ah"].config.work
    return json.loads(work.headers["tools"]) if "tools" in (work.headers or {}) else [], [f.code for f in found if f.severity == "error"]


def test_what_a_job_is_told_of_its_tools():
    found, wrong = tools(model(given(
        '= fromAi(toolCall.town, "Where")', '= "q=" + fromAi(value: toolCall.n, type: "integer", schema: {minimum: -1, enum: [1, 2]}) + "!"',
        '= if fromAi(toolCall.hot, null, "boolean", null, {required: false}) then 1 else fromAi(toolCall.town, "Where")', "= other", "text",
    )))  # fmt: skip
    assert wrong == []
    assert [t["id"] for t in found] == ["a", "b"]  # neither what follows another, nor a boundary event
    assert found[0]["description"] == "Does a thing" and found[1] == {
        "id": "b", "description": "b", "schema": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
    }  # fmt: skip
    assert found[0]["schema"] == {
        "type": "object", "required": ["town", "n"], "additionalProperties": False,
        "properties": {"town": {"type": "string", "description": "Where"}, "n": {"type": "integer", "minimum": -1, "enum": [1, 2]}, "hot": {"type": "boolean"}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("= fromAi(town)", "AGENT_PARAMETER"), ("= fromAi(toolCall.a.b)", "AGENT_PARAMETER"), ('= fromAi(toolCall.a, "x" + y)', "AGENT_PARAMETER"),
        ('= fromAi(toolCall.a, "x", "text")', "AGENT_PARAMETER"), ('= fromAi(toolCall.a, "x", "string", {pattern: "("})', "AGENT_PARAMETER"),
        ('= fromAi(toolCall.a, "x", "string", [1])', "AGENT_PARAMETER"), ('= fromAi(toolCall.a, "x") + fromAi(toolCall.a, "y")', "AGENT_PARAMETER_TWICE"),
    ],
)  # fmt: skip
def test_parameters_that_say_nothing(source: str, code: str):
    assert tools(model(given(source)))[1] == [code]


def test_limits_of_what_a_job_is_told():
    for n, code in ((PARAMETERS_MAX, []), (PARAMETERS_MAX + 1, ["AGENT_PARAMETERS_MANY"])):
        assert tools(model(given(*(f"= fromAi(toolCall.p{i})" for i in range(n)))))[1] == code
    for n, code in ((TOOLS_MAX - 2, []), (TOOLS_MAX - 1, ["AGENT_TOOLS_MANY"])):
        found, wrong = tools(model().replace("  serviceTask b\n", "".join(f"  task t{i}\n" for i in range(n)) + "  serviceTask b\n"))
        assert (wrong, len(found)) == (code, 0 if code else n + 2)


def test_an_output_of_its_own():
    kept = '<zeebe:adHoc outputCollection="{0}" outputElement="= {{id: toolCall._meta.id, content: 1}}"/>'
    assert tools(model(more=kept.format("toolCallResults")))[1] == [] and tools(model(more=kept.format("mine")))[1] == ["AGENT_OUTPUT"]


def choose(s, *elements: str) -> None:
    (task,) = [t for t in s.p.tasks.values() if t.type == "ad_hoc_sub_process"]
    wanted = [{"elementId": e, "variables": {"toolCall": {"_meta": {"id": f"{e}1", "name": e}}, "toolCallResult": None}} for e in elements]
    s.do(c.CompleteTask(task=task.key, result={"activateElements": wanted}))


def asked(s) -> int:
    return sum(t.type == "ad_hoc_sub_process" for t in s.p.tasks.values())


@pytest.mark.parametrize("crash", [False, True])
def test_an_agent_is_asked_when_all_have_ended(crash: bool):
    s = play(model(), "", crash=crash)
    choose(s, "a", "b")
    assert asked(s) == 0
    s.move("complete b")
    s.move("complete a toolCallResult=7")
    assert asked(s) == 0  # the choice of b isn't at its end
    s.move("complete b2 toolCallResult=8")
    scope = s.i.tokens[next(t.token for t in s.p.tasks.values())]
    assert asked(s) == 1 and scope.vars["toolCallResults"] == [
        {"id": "a1", "name": "a", "content": 7}, {"id": "b1", "name": "b", "content": 8},
    ]  # fmt: skip
    choose(s)  # it calls nothing and isn't done: what it wanted could not be had
    assert asked(s) == 1
    (task,) = s.p.tasks.values()
    s.do(c.CompleteTask(task=task.key, result={"isCompletionConditionFulfilled": True}))
    assert s.empty and not {"toolCallResults", "toolCallResult", "agentMemory"} & set(s.vars)


def test_one_at_a_time():
    s = play(model(attrs="ordering=Sequential"), "")
    choose(s, "a", "b")
    assert s.tasks.split() == ["ah", "a"] and asked(s) == 0
    s.move("complete a")
    assert s.tasks.split() == ["ah", "a", "b"] and asked(s) == 0
    s.moves("complete b", "complete b2")
    assert asked(s) == 1


def test_what_ends_while_it_is_asked_is_not_forgotten():
    """Somebody else begins an activity, and it ends while a job is in work: another job comes after that one. So for any worker that chooses."""
    for type, at_once in (("flowledger:agent", 0), ("chooser", 1)):
        s = play(model(type=type), "")
        s.do(c.AdHocActivate(token=next(t.token for t in s.p.tasks.values()), elements=["a"]))
        s.move("complete a")
        assert asked(s) == 1
        choose(s, "b")
        assert asked(s) == at_once, type
        s.moves("complete b", "complete b2")
        assert asked(s) == 1
