# ruff: noqa: E501 - a row is a model
"""What mappings give to whatever is thrown, and what of it arrives: at each throwing event, and through a call."""

import pytest

from flowledger.sdk.testing import Engine

HEAD = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d" targetNamespace="t">'
    '<message id="M" name="M"/><signal id="S" name="S"/><error id="R" name="R" errorCode="r"/><escalation id="C" name="C" escalationCode="c"/>'
)
IO = '<extensionElements>{}<zeebe:ioMapping><zeebe:input source="= v + 1" target="w"/><zeebe:output source="= {}" target="z"/></zeebe:ioMapping></extensionElements>'
DEFINITIONS = {
    "none": "", "message": '<messageEventDefinition messageRef="M"/>', "signal": '<signalEventDefinition signalRef="S"/>', "terminate": "<terminateEventDefinition/>",
    "error": '<errorEventDefinition errorRef="R"/>', "escalation": '<escalationEventDefinition escalationRef="C"/>', "compensation": "<compensateEventDefinition/>",
}  # fmt: skip


def process(id: str, *inside: str) -> str:
    return f'<process id="{id}" isExecutable="true">{"".join(inside)}</process>'


def flows(*pairs: str) -> str:
    return "".join(
        f'<sequenceFlow id="{p.replace(">", "-")}" sourceRef="{p.partition(">")[0]}" targetRef="{p.partition(">")[2]}"/>' for p in pairs
    )


def thrower(event: str, kind: str, job: str = "", result: str = "w") -> str:
    behind = '<endEvent id="e"/>' + flows("t>e") if event == "intermediateThrowEvent" else ""
    return f'<startEvent id="s"/><{event} id="t">{IO.format(job, result)}{DEFINITIONS[kind]}</{event}>{behind}{flows("s>t")}'


def started(*processes: str, answer: dict | None = None):
    engine = Engine()
    engine.deploy({f"{n}.bpmn": HEAD + text + "</definitions>" for n, text in enumerate(processes) if text})
    seen = []
    engine.on_job("send", lambda job: (seen.append(dict(job.variables)), answer)[1])
    return engine, engine.start("p", {"v": 7}), seen


EVENTS = [
    (e, k)
    for e in ("intermediateThrowEvent", "endEvent")
    for k in DEFINITIONS
    if not (e == "intermediateThrowEvent" and k in ("terminate", "error"))
]


@pytest.mark.req("D-EVT-005")
@pytest.mark.parametrize(("event", "kind"), EVENTS)
def test_each_throwing_event_has_inputs_and_outputs(event, kind):
    """Inputs are what it carries and are gone with it; outputs go to its scope. An error's event never completes, so it has no outputs."""
    engine, instance, _ = started(process("p", thrower(event, kind)))
    if kind == "error":
        assert [i.code for i in instance.open_incidents] == ["UNHANDLED_ERROR_EVENT"]
        return
    assert instance.status == "completed" and instance.variables == {"v": 7, "z": 8}
    assert [t.variables for t in (*engine.messages, *engine.signals)] == ([{"w": 8}] if kind in ("message", "signal") else [])


@pytest.mark.parametrize("event", ["intermediateThrowEvent", "endEvent"])
def test_a_message_that_a_worker_sends_has_its_inputs(event):
    _, instance, seen = started(
        process("p", thrower(event, "message", '<zeebe:taskDefinition type="send"/>', "receipt")), answer={"receipt": 5}
    )
    assert seen == [{"v": 7, "w": 8}]
    assert instance.status == "completed" and instance.variables == {"v": 7, "z": 5}


CATCH = '<boundaryEvent id="b" attachedToRef="c">{}</boundaryEvent><userTask id="u"/>' + flows("b>u")


@pytest.mark.req("D-EVT-005")
@pytest.mark.parametrize(("kind", "event"), [("error", "endEvent"), ("escalation", "endEvent"), ("escalation", "intermediateThrowEvent")])
@pytest.mark.parametrize("all_out", ["true", "false"])
def test_what_an_error_or_escalation_carries_arrives_through_a_call_and_nothing_else_does(kind, event, all_out):
    """The called instance has not completed: its own variables stay its own, whatever the call says of those of completed ones."""
    call = f'<callActivity id="c"><extensionElements><zeebe:calledElement processId="q" propagateAllChildVariables="{all_out}" propagateAllParentVariables="true"/></extensionElements></callActivity>'
    inner = (
        f'<startEvent id="s"/><scriptTask id="own"><extensionElements><zeebe:script expression="= 1" resultVariable="private"/></extensionElements></scriptTask><{event} id="t">{IO.format("", "w")}{DEFINITIONS[kind]}</{event}>'
        + flows("s>own", "own>t")
    )
    _, instance, _ = started(process("p", '<startEvent id="s"/>', call, flows("s>c"), CATCH.format(DEFINITIONS[kind])), process("q", inner))
    assert instance.active == ["u"] and instance.variables == {"v": 7, "w": 8}


@pytest.mark.parametrize("levels", [1, 2])
def test_an_error_of_a_worker_arrives_with_its_variables_through_calls(levels):
    call = (
        '<startEvent id="s"/><callActivity id="c"><extensionElements><zeebe:calledElement processId="{}" propagateAllChildVariables="false"/></extensionElements></callActivity>'
        + flows("s>c")
    )
    work = process(
        "q",
        '<startEvent id="s"/><serviceTask id="w"><extensionElements><zeebe:taskDefinition type="x"/></extensionElements></serviceTask>'
        + flows("s>w"),
    )
    between = process("m", call.format("q")) if levels == 2 else ""
    engine, instance, _ = started(process("p", call.format("m" if levels == 2 else "q"), CATCH.format(DEFINITIONS["error"])), between, work)
    engine.instances[-1].job("w").throw("r", "no", {"why": "because"})
    assert instance.active == ["u"] and instance.variables == {"v": 7, "why": "because"}


THROWN = '<startEvent id="s"/>{}<endEvent id="e"/>' + flows("s>t", "t>e")
CARRIES = (
    '<extensionElements><zeebe:properties><zeebe:property name="flowledger:carries" value="{}"/></zeebe:properties></extensionElements>'
)


@pytest.mark.req("D-EVT-005")
@pytest.mark.parametrize("kind", ["message", "signal"])
@pytest.mark.parametrize(
    ("event", "of_process", "carried"),
    [("", "", {}), ("inputs", "all", {}), ("all", "", {"v": 7, "w": 8}), ("", "all", {"v": 7, "w": 8})],
)
def test_what_is_thrown_without_inputs_carries_nothing_unless_it_is_to_carry_all(kind, event, of_process, carried):
    """As in Zeebe and Camunda 7: who listens to a name learns only what the thrower tells."""
    thrown = f'<intermediateThrowEvent id="t">{CARRIES.format(event) if event else ""}{DEFINITIONS[kind]}</intermediateThrowEvent>'
    engine = Engine()
    of = CARRIES.format(of_process) if of_process else ""
    engine.deploy({"p.bpmn": f"{HEAD}{process('p', of, THROWN.format(thrown))}</definitions>"})
    engine.start("p", {"v": 7, "w": 8})
    assert [t.variables for t in (*engine.messages, *engine.signals)] == [carried]
