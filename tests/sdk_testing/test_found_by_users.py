"""What users of engines reported and each of them held for a small thing: one example of each kind, on the kernel as the test kit has it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from flowledger.events import commands as c
from flowledger.sdk.testing import Engine, Refused

HEAD = (
    'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="urn:u" id="d"'
)
LOOP = (
    "<multiInstanceLoopCharacteristics><extensionElements>"
    '<zeebe:loopCharacteristics inputCollection="=[1, 2]" inputElement="x"/></extensionElements></multiInstanceLoopCharacteristics>'
)


def model(body: str, *flows: str, id: str = "p", before: str = "", named: bool = True, spaces: str = "") -> str:
    """`flows`: `a b c` leads from one to the next. `named`: sequence flows have ids."""
    steps = [pair for flow in flows for pair in pairwise(flow.split())]
    drawn = "".join(f'<sequenceFlow {f"""id="{a}_{b}" """ if named else ""}sourceRef="{a}" targetRef="{b}"/>' for a, b in steps)
    return f'<definitions {HEAD} {spaces}>{before}<process id="{id}" isExecutable="true"><startEvent id="s"/>{body}<endEvent id="e"/>{drawn}</process></definitions>'


def more(text: str) -> str:
    return f"<extensionElements>{text}</extensionElements>"


def job(id: str, mappings: str = "") -> str:
    return f'<serviceTask id="{id}">{more(f"""<zeebe:taskDefinition type="{id}"/>{mappings}""")}</serviceTask>'


def sub(id: str, body: str, *flows: str, loop: str = "") -> str:
    steps = [pair for flow in flows for pair in pairwise(flow.split())]
    drawn = "".join(f'<sequenceFlow id="{a}_{b}" sourceRef="{a}" targetRef="{b}"/>' for a, b in steps)
    return f'<subProcess id="{id}">{loop}<startEvent id="{id}_s"/>{body}{drawn}</subProcess>'


def deployed(**models: str) -> Engine:
    engine = Engine()
    engine.deploy({f"{name}.bpmn": text for name, text in models.items()})
    return engine


def test_flows_without_ids_meet_at_a_join() -> None:
    both = '<parallelGateway id="f"/><task id="a"/><task id="b"/><parallelGateway id="j"/>'
    instance = deployed(m=model(both, "s f a j e", "f b j", named=False)).start("p")
    assert instance.status == "completed"


def test_a_namespace_whose_name_is_no_uri_is_read() -> None:
    """Namespaces in XML 1.0 says what a name should be; what isn't is well-formed all the same."""
    assert deployed(m=model("", "s e", spaces='xmlns:x="http://a/with blanks/in it"')).start("p").status == "completed"


def test_an_assertion_of_a_mapping_is_an_incident() -> None:
    mapping = '<zeebe:ioMapping><zeebe:input source="=assert(gone, gone != null, &quot;no gone&quot;)" target="x"/></zeebe:ioMapping>'
    instance = deployed(m=model(job("w", mapping), "s w e")).start("p")
    assert [(i.code, "no gone" in i.message) for i in instance.open_incidents] == [("ASSERTION_FAILED", True)]


def test_an_output_into_a_part_keeps_the_other_parts() -> None:
    mapping = '<zeebe:ioMapping><zeebe:output source="=x" target="a.b"/><zeebe:output source="=x" target="a.d.e"/></zeebe:ioMapping>'
    engine = deployed(m=model(job("w", mapping), "s w e"))
    engine.on_job("w", {"x": 2})
    assert engine.start("p", {"a": {"c": 1, "d": {"f": 3}}}).variables["a"] == {"c": 1, "b": 2, "d": {"f": 3, "e": 2}}


def test_one_instance_for_a_key_and_the_next_when_it_ends() -> None:
    text = model(job("w"), "s w e", before='<message id="m" name="m"/>')
    engine = deployed(m=text.replace('<startEvent id="s"/>', '<startEvent id="s"><messageEventDefinition messageRef="m"/></startEvent>'))
    for n in (1, 2):
        engine.publish("m", "k", {"n": n}, ttl="PT1H")
    assert len(engine.instances) == 1
    engine.instances[0].job("w").complete()
    assert [i.variables["n"] for i in engine.instances] == [1, 2]
    for _ in range(2):  # without a key each begins one
        engine.publish("m")
    assert len(engine.instances) == 4


def test_nothing_begins_in_the_body_of_a_loop_that_does_not_run() -> None:
    text = model(sub("sp", job("a") + job("b"), "sp_s a b", loop=LOOP), "s sp e")
    with pytest.raises(Refused, match="of which nothing runs"):
        deployed(m=text).start("p", start_at=["b"])
    engine = deployed(m=model(job("w") + sub("sp", job("a") + job("b"), "sp_s a b", loop=LOOP), "s w sp e"))
    instance = engine.start("p")
    with pytest.raises(Refused):
        engine.do(c.ModifyInstance(key=instance.key, activate=[{"element": "b"}]))
    assert instance.waiting == ["w"]


def test_who_ends_the_only_token_of_a_scope_ends_the_scope() -> None:
    engine = deployed(m=model(sub("sp", job("a"), "sp_s a") + job("b"), "s sp b e"))
    instance = engine.start("p")
    engine.do(c.ModifyInstance(key=instance.key, terminate=[instance._tokens_at("a")[0].key]))
    assert (instance.status, instance.waiting) == ("terminated", [])


def test_a_listener_at_the_end_of_a_call_sees_what_the_child_has() -> None:
    script = f'<scriptTask id="t">{more("""<zeebe:script expression="=5" resultVariable="made"/>""")}</scriptTask>'
    listener = '<zeebe:executionListeners><zeebe:executionListener eventType="end" type="heard"/></zeebe:executionListeners>'
    called = more(f'<zeebe:calledElement processId="child" propagateAllChildVariables="false"/>{listener}')
    engine = deployed(m=model(f'<callActivity id="ca">{called}</callActivity>', "s ca e"), child=model(script, "s t e", id="child"))
    heard = engine.on_job("heard", {})
    instance = engine.start("p")
    assert (instance.status, heard.calls[0].variables["made"], "made" in instance.variables) == ("completed", 5, False)


def test_a_parallel_join_within_an_ad_hoc_sub_process() -> None:
    offered = more('<zeebe:adHoc activeElementsCollection="=[&quot;a&quot;, &quot;b&quot;]"/>')
    flows = "".join(f'<sequenceFlow id="{a}_{b}" sourceRef="{a}" targetRef="{b}"/>' for a, b in (("a", "j"), ("b", "j"), ("j", "w")))
    body = f'<adHocSubProcess id="ah">{offered}<task id="a"/><task id="b"/><parallelGateway id="j"/>{job("w")}{flows}</adHocSubProcess>'
    instance = deployed(m=model(body, "s ah e")).start("p")
    assert instance.waiting == ["w"]
    instance.job("w").complete()
    assert instance.status == "completed"


@pytest.mark.parametrize(
    ("thrown", "waiting"),
    [("before", ["w"]), ("inside", ["caught"])],  # a boundary that opens after the throw hears nothing of it; one that waits does
)
def test_a_signal_is_heard_by_what_waits_when_it_is_thrown(thrown: str, waiting: list[str]) -> None:
    signal = '<signal id="g" name="g"/>'
    throw = '<intermediateThrowEvent id="t"><signalEventDefinition signalRef="g"/></intermediateThrowEvent>'
    boundary = '<boundaryEvent id="b" attachedToRef="{}"><signalEventDefinition signalRef="g"/></boundaryEvent>'
    if thrown == "before":
        text = model(throw + job("w") + boundary.format("w") + job("caught"), "s t w e", "b caught", before=signal)
    else:
        inner = sub("sp", throw + job("w"), "sp_s t w")
        text = model(inner + boundary.format("sp") + job("caught"), "s sp e", "b caught", before=signal)
    assert deployed(m=text).start("p").waiting == waiting
