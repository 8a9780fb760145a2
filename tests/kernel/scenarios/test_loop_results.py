# ruff: noqa: E501 - models are lines
"""What a run of a multi-instance activity gives back: its results are its own, whatever kind of activity it is, and nothing of it stays behind."""

import pytest
from scenario import play

LOOP = '.<multiInstanceLoopCharacteristics{}><extensionElements><zeebe:loopCharacteristics inputCollection="= [1, 2]" inputElement="x" outputCollection="rs" outputElement="= {}"/></extensionElements></multiInstanceLoopCharacteristics>'
TO_R = '\n<zeebe:ioMapping><zeebe:output source="= t" target="r"/></zeebe:ioMapping>'
MESSAGE = 'receiveTask a messageRef=msg_M\n^<message id="msg_M" name="M"><extensionElements><zeebe:subscription correlationKey="= x"/></extensionElements></message>'
SUB = "subProcess a {\nstartEvent i\nserviceTask w\nendEvent ie\ni > w > ie\n}"
CALLED = "process q {\nstartEvent qs\nserviceTask w\nendEvent qe\nqs > w > qe\n}"
#: activity, the first and the second run's move, output element
KINDS = {
    "script": ('scriptTask a\n<zeebe:script expression="= x + 6" resultVariable="r"/>', "", "", "r"),
    "script, mapped": ('scriptTask a\n<zeebe:script expression="= x + 6" resultVariable="t"/>' + TO_R, "", "", "r"),
    "script into the item": ('scriptTask a\n<zeebe:script expression="= x + 6" resultVariable="x"/>', "", "", "x"),
    "service": ("serviceTask a", "complete a r=7", "complete a r=8", "r"),
    "service, mapped": ("serviceTask a" + TO_R, "complete a t=7", "complete a t=8", "r"),
    "service into the item": ("serviceTask a", "complete a x=7", "complete a x=8", "x"),
    "user": ("userTask a\n<zeebe:userTask/>", "complete a r=7", "complete a r=8", "r"),
    "user, mapped": ("userTask a\n<zeebe:userTask/>" + TO_R, "complete a t=7", "complete a t=8", "r"),
    "receive": (MESSAGE, "message M 1 r=7", "message M 2 r=8", "r"),
    "receive, mapped": (MESSAGE + TO_R, "message M 1 t=7", "message M 2 t=8", "r"),
    "sub-process": (SUB, "complete w r=7", "complete w r=8", "r"),
    "sub-process, mapped": (SUB + '\n<zeebe:ioMapping><zeebe:input source="= 0" target="t"/><zeebe:output source="= t" target="r"/></zeebe:ioMapping>', "complete w t=7", "complete w t=8", "r"),
    "call": ('callActivity a\n<zeebe:calledElement processId="q"/>', "complete w r=7", "complete w r=8", "r"),
    "call, mapped": ('callActivity a\n<zeebe:calledElement processId="q"/>' + TO_R, "complete w t=7", "complete w t=8", "r"),
    "input and output": ('serviceTask a\n<zeebe:ioMapping><zeebe:input source="= x" target="r"/><zeebe:output source="= t" target="r"/></zeebe:ioMapping>', "complete a t=7", "complete a t=8", "r"),
    "into a context of its own": ('serviceTask a\n<zeebe:ioMapping><zeebe:input source="= {k: x}" target="r"/><zeebe:output source="= t" target="r.v"/></zeebe:ioMapping>', "complete a t=7", "complete a t=8", "r.v"),
}  # fmt: skip


@pytest.mark.parametrize("sequential", ["", ' isSequential="true"'], ids=["parallel", "sequential"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_run_has_its_own_result(kind, sequential):
    activity, first, second, output = KINDS[kind]
    s = play(
        [f"startEvent s\n{activity}\n{LOOP.format(sequential, output)}\nserviceTask after\ns > a > after", CALLED], f"{first};{second}"
    )
    assert s.vars == {"rs": [7, 8]} and s.at == "after"


def test_an_output_that_is_nothing_of_the_run_goes_outwards():
    model = "startEvent s\nserviceTask a\n<zeebe:ioMapping><zeebe:output source='= total + x' target='total'/></zeebe:ioMapping>\n"
    model += (
        LOOP.format(' isSequential="true"', "x").replace(' outputCollection="rs" outputElement="= x"', "")
        + "\nserviceTask after\ns > a > after"
    )
    assert play(model, "complete a;complete a", total=10).vars == {"total": 13}
