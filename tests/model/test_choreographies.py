# ruff: noqa: E501 - models are lines
"""Choreographies, conversations and collaborations beside the tables of the standard: nothing valid is marked or refused, each fault is marked with its chapter.

Source: BPMN 2.0.2, chapters 9 and 11. Each file is one line, so that nothing hangs on lines.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from flowledger.kernel.model import read

pytestmark = pytest.mark.req("APG-MOD-005", "APG-MOD-006")
H = '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" id="d" targetNamespace="urn:t">%s</definitions>'
M = "".join(f'<message id="ms{n}" name="m{n}"/>' for n in range(4))
P = '<participant id="X" name="X"/><participant id="Y" name="Y"/><participant id="Z" name="Z"/>'
MF = '<messageFlow id="xy" sourceRef="X" targetRef="Y" messageRef="ms0"/><messageFlow id="yx" sourceRef="Y" targetRef="X" messageRef="ms1"/><messageFlow id="yz" sourceRef="Y" targetRef="Z" messageRef="ms2"/><messageFlow id="xz" sourceRef="X" targetRef="Z" messageRef="ms3"/><messageFlow id="zx" sourceRef="Z" targetRef="X" messageRef="ms3"/><messageFlow id="zy" sourceRef="Z" targetRef="Y" messageRef="ms3"/>'


def t(id: str, parts: str = "XY", flows: tuple[str, ...] = ("xy",), loop: str = "") -> str:
    """A choreography task; the first of `parts` initiates it."""
    refs = "".join(f"<participantRef>{p}</participantRef>" for p in parts) + "".join(f"<messageFlowRef>{f}</messageFlowRef>" for f in flows)
    return f'<choreographyTask id="{id}" name="{id}" initiatingParticipantRef="{parts[0]}"{loop}>{refs}</choreographyTask>'


_numbers = itertools.count(1)


def f(*ids: str, cond: str = "") -> str:
    """Flows from each to the next."""
    condition = f'<conditionExpression xsi:type="tFormalExpression">{cond}</conditionExpression>' if cond else ""
    return "".join(
        f'<sequenceFlow id="f{next(_numbers)}" sourceRef="{a}" targetRef="{b}">{condition}</sequenceFlow>'
        for a, b in itertools.pairwise(ids)
    )


S, E = '<startEvent id="s"/>', '<endEvent id="e"/>'


def ch(body: str, pools: str = P + MF, before: str = M, after: str = "", attrs: str = "") -> str:
    return H % (before + f'<choreography id="c"{attrs}>{pools}{body}</choreography>' + after)


BND = '<boundaryEvent id="b" attachedToRef="a">%s</boundaryEvent>'
VALID = {
"plain": ch(S+t("a")+E+f("s","a","e")),
"two messages": ch(S+t("a",flows=("xy","yx"))+E+f("s","a","e")),
"loops": ch(S+t("a",loop=' loopType="Standard"')+t("b",loop=' loopType="MultiInstanceParallel"')+t("g",loop=' loopType="MultiInstanceSequential"')+E+f("s","a","b","g","e")),
"closed": ch(S+t("a")+E+f("s","a","e"),attrs=' isClosed="true" name="n"'),
"timer start": ch('<startEvent id="s"><timerEventDefinition><timeDate xsi:type="tFormalExpression">2026-01-01T00:00:00Z</timeDate></timerEventDefinition></startEvent>'+t("a")+E+f("s","a","e")),
"signal start": ch('<startEvent id="s"><signalEventDefinition signalRef="sg"/></startEvent>'+t("a")+E+f("s","a","e"),before=M+'<signal id="sg" name="s"/>'),
"conditional start": ch('<startEvent id="s"><conditionalEventDefinition><condition xsi:type="tFormalExpression">a &gt; 1</condition></conditionalEventDefinition></startEvent>'+t("a")+E+f("s","a","e")),
"terminate": ch(S+t("a")+'<endEvent id="e"><terminateEventDefinition/></endEvent>'+f("s","a","e")),
"xor": ch(S+t("a")+'<exclusiveGateway id="g" default="fd"/>'+t("b")+t("b2",parts="YX",flows=("yx",))+E+'<endEvent id="e2"/>'+f("s","a","g")+f("g","b",cond="x &gt; 1")+'<sequenceFlow id="fd" sourceRef="g" targetRef="b2"/>'+f("b","e")+f("b2","e2")),
"parallel": ch(S+t("a")+'<parallelGateway id="g"/><parallelGateway id="j"/>'+t("b")+t("b2")+t("z")+E+f("s","a","g","b","j","z","e")+f("g","b2","j")),
"event gateway": ch(S+t("a")+'<eventBasedGateway id="g"/>'+t("b",parts="YX",flows=("yx",))+t("b2",parts="YX",flows=("yx",))+E+'<endEvent id="e2"/>'+f("s","a","g")+f("g","b","e")+f("g","b2","e2")),
"event gateway, timer": ch(S+t("a")+'<eventBasedGateway id="g"/>'+t("b",parts="YX",flows=("yx",))+'<intermediateCatchEvent id="i"><timerEventDefinition><timeDuration xsi:type="tFormalExpression">PT1H</timeDuration></timerEventDefinition></intermediateCatchEvent>'+E+'<endEvent id="e2"/>'+f("s","a","g")+f("g","b","e")+f("g","i","e2")),
"none intermediate": ch(S+t("a")+'<intermediateThrowEvent id="i"/>'+E+f("s","a","i","e")),
"link": ch(S+t("a")+'<intermediateThrowEvent id="i"><linkEventDefinition name="L"/></intermediateThrowEvent><intermediateCatchEvent id="k"><linkEventDefinition name="L"/></intermediateCatchEvent>'+t("b")+E+f("s","a","i")+f("k","b","e")),
"boundary timer": ch(S+t("a")+'<boundaryEvent id="b" attachedToRef="a"><timerEventDefinition><timeDuration xsi:type="tFormalExpression">PT1H</timeDuration></timerEventDefinition></boundaryEvent>'+t("k")+E+'<endEvent id="e2"/>'+f("s","a","e")+f("b","k","e2")),
"sub": ch(S+'<subChoreography id="sc" initiatingParticipantRef="X"><participantRef>X</participantRef><participantRef>Y</participantRef><participantRef>Z</participantRef><startEvent id="ss"/>'+t("a")+t("b",parts="YZ",flows=("yz",))+'<endEvent id="se"/>'+f("ss","a","b","se")+'</subChoreography>'+E+f("s","sc","e")),
"sub without start": ch(S+'<subChoreography id="sc" initiatingParticipantRef="X"><participantRef>X</participantRef><participantRef>Y</participantRef>'+t("a")+'</subChoreography>'+E+f("s","sc","e")),
"call choreography": ch(S+'<callChoreography id="cc" initiatingParticipantRef="X" calledChoreographyRef="c2"><participantRef>X</participantRef><participantRef>Y</participantRef><participantAssociation id="pa"><innerParticipantRef>I</innerParticipantRef><outerParticipantRef>X</outerParticipantRef></participantAssociation><participantAssociation id="pb"><innerParticipantRef>J</innerParticipantRef><outerParticipantRef>Y</outerParticipantRef></participantAssociation></callChoreography>'+E+f("s","cc","e"),after='<choreography id="c2"><participant id="I"/><participant id="J"/></choreography>'),
"call global task": ch(S+'<callChoreography id="cc" initiatingParticipantRef="X" calledChoreographyRef="gt"><participantRef>X</participantRef><participantRef>Y</participantRef><participantAssociation id="pa"><innerParticipantRef>I</innerParticipantRef><outerParticipantRef>X</outerParticipantRef></participantAssociation><participantAssociation id="pb"><innerParticipantRef>J</innerParticipantRef><outerParticipantRef>Y</outerParticipantRef></participantAssociation></callChoreography>'+E+f("s","cc","e"),after='<globalChoreographyTask id="gt" initiatingParticipantRef="I"><participant id="I"/><participant id="J"/><messageFlow id="ij" sourceRef="I" targetRef="J"/></globalChoreographyTask>'),
"annotation": ch(S+t("a")+E+f("s","a","e")+'<textAnnotation id="ta"><text>x</text></textAnnotation><association id="as" sourceRef="a" targetRef="ta"/>' ) ,
"multiplicity": ch(S+t("a")+E+f("s","a","e"),pools='<participant id="X"/><participant id="Y"><participantMultiplicity minimum="0" maximum="5"/></participant>'+'<messageFlow id="xy" sourceRef="X" targetRef="Y"/>'),
"correlation": ch(S+t("a")+E+f("s","a","e")),
"implicit start and end": ch(t("a")+t("b")+f("a","b")),
"inclusive": ch(S+t("a")+'<inclusiveGateway id="g"/><inclusiveGateway id="j"/>'+t("b")+t("b2")+t("z")+E+f("s","a")+f("a","g")+f("g","b",cond="a &gt; 1")+f("g","b2",cond="a &lt; 1")+f("b","j","z","e")+f("b2","j")),
"process beside": ch(S+t("a")+E+f("s","a","e"),after='<process id="p" isExecutable="true"><startEvent id="ps"/><endEvent id="pe"/><sequenceFlow id="pf" sourceRef="ps" targetRef="pe"/></process>'),
"three in conversation": H%(f'<collaboration id="co">{P}{MF}<conversation id="n" name="n"><participantRef>X</participantRef><participantRef>Y</participantRef><participantRef>Z</participantRef><messageFlowRef>xy</messageFlowRef></conversation><conversationLink id="l1" sourceRef="X" targetRef="n"/><conversationLink id="l2" sourceRef="n" targetRef="Y"/><conversationLink id="l3" sourceRef="Z" targetRef="n"/></collaboration>').replace('<collaboration',M+'<collaboration',1),
"sub conversation": H%(M+f'<collaboration id="co">{P}{MF}<subConversation id="n" name="n"><participantRef>X</participantRef><participantRef>Y</participantRef><conversation id="k"><participantRef>X</participantRef><participantRef>Y</participantRef></conversation></subConversation><conversationLink id="l1" sourceRef="X" targetRef="n"/><conversationLink id="l2" sourceRef="n" targetRef="Y"/></collaboration>'),
"call conversation": H%(M+f'<collaboration id="co">{P}{MF}<callConversation id="n" calledCollaborationRef="gc"><participantRef>X</participantRef><participantRef>Y</participantRef><participantAssociation id="pa"><innerParticipantRef>I</innerParticipantRef><outerParticipantRef>X</outerParticipantRef></participantAssociation></callConversation></collaboration><globalConversation id="gc"><participant id="I"/><participant id="J"/><messageFlow id="ij" sourceRef="I" targetRef="J"/></globalConversation>'),
"conversation association": H%(M+f'<collaboration id="co">{P}{MF}<conversation id="n"><participantRef>X</participantRef><participantRef>Y</participantRef></conversation></collaboration>'),
"partner roles": H%(M+'<partnerEntity id="pe" name="E"><participantRef>X</participantRef></partnerEntity><partnerRole id="pr" name="R"><participantRef>Y</participantRef></partnerRole>'+f'<collaboration id="co">{P}{MF}</collaboration>'),
"choreography in collaboration": H%(M+f'<collaboration id="co">{P}{MF}<choreographyRef>c</choreographyRef></collaboration><choreography id="c"><participant id="X2"/><participant id="Y2"/></choreography>'),
"message flow to activity": H%(M+'<collaboration id="co"><participant id="X" processRef="p"/><participant id="Y"/><messageFlow id="xy" sourceRef="k" targetRef="Y"/><messageFlow id="yx" sourceRef="Y" targetRef="k"/></collaboration><process id="p"><userTask id="k"/></process>'),
"first message by the other": ch(S+t("a",flows=("yx","xy"))+E+f("s","a","e")),
"sub names nobody inside": ch(S+'<subChoreography id="sc" initiatingParticipantRef="X"><participantRef>X</participantRef><participantRef>Y</participantRef><participantRef>Z</participantRef><startEvent id="ss"/>'+t("a")+'<endEvent id="se"/>'+f("ss","a","se")+'</subChoreography>'+E+f("s","sc","e")),
"initiator of sub isn't of its first": ch(S+'<subChoreography id="sc" initiatingParticipantRef="Y"><participantRef>X</participantRef><participantRef>Y</participantRef><startEvent id="ss"/>'+t("a")+'<endEvent id="se"/>'+f("ss","a","se")+'</subChoreography>'+E+f("s","sc","e")),
"call of nothing": ch(S+'<callChoreography id="cc" initiatingParticipantRef="X" calledChoreographyRef="nope"><participantRef>X</participantRef><participantRef>Y</participantRef></callChoreography>'+E+f("s","cc","e")),
"call of itself": ch(S+'<callChoreography id="cc" initiatingParticipantRef="X" calledChoreographyRef="c"><participantRef>X</participantRef><participantRef>Y</participantRef></callChoreography>'+E+f("s","cc","e")),
"error boundary": ch(S+t("a")+BND%'<errorEventDefinition/>'+t("k")+E+'<endEvent id="e2"/>'+f("s","a","e")+f("b","k","e2")),
"escalation boundary": ch(S+t("a")+BND%'<escalationEventDefinition/>'+t("k")+E+'<endEvent id="e2"/>'+f("s","a","e")+f("b","k","e2")),
"conversation foreign flow": H%(M+f'<collaboration id="co">{P}{MF}<conversation id="n"><participantRef>X</participantRef><participantRef>Y</participantRef><messageFlowRef>yz</messageFlowRef></conversation></collaboration>'),
"call conversation of nothing": H%(M+f'<collaboration id="co">{P}<callConversation id="n" calledCollaborationRef="nope"><participantRef>X</participantRef><participantRef>Y</participantRef></callConversation></collaboration>'),
"call conversation itself": H%(M+f'<collaboration id="co">{P}<callConversation id="n" calledCollaborationRef="co"><participantRef>X</participantRef><participantRef>Y</participantRef></callConversation></collaboration>'),
"participant of two pools process": H%('<collaboration id="co"><participant id="X" processRef="p"/><participant id="Y" processRef="p"/></collaboration><process id="p"/>'),
}  # fmt: skip
FORBIDDEN = {
"task with one participant": ch(S+t("a",parts="X")+E+f("s","a","e")),
"task with three": ch(S+t("a",parts="XYZ")+E+f("s","a","e")),
"initiator missing": ch(S+t("a").replace(' initiatingParticipantRef="X"','')+E+f("s","a","e")),
"no message flow": ch(S+t("a",flows=())+E+f("s","a","e")),
"three message flows": ch(S+t("a",flows=("xy","yx","xy"))+E+f("s","a","e")),
"foreign flow": ch(S+t("a",flows=("yz",))+E+f("s","a","e")),
"loop type": ch(S+t("a",loop=' loopType="Often"')+E+f("s","a","e")),
"sub with one participant": ch(S+'<subChoreography id="sc" initiatingParticipantRef="X"><participantRef>X</participantRef><startEvent id="ss"/>'+t("a")+'<endEvent id="se"/>'+f("ss","a","se")+'</subChoreography>'+E+f("s","sc","e")),
"call with one": ch(S+'<callChoreography id="cc" initiatingParticipantRef="X" calledChoreographyRef="c2"><participantRef>X</participantRef></callChoreography>'+E+f("s","cc","e"),after='<choreography id="c2"><participant id="I"/><participant id="J"/></choreography>'),
"call of a process": ch(S+'<callChoreography id="cc" initiatingParticipantRef="X" calledChoreographyRef="p"><participantRef>X</participantRef><participantRef>Y</participantRef></callChoreography>'+E+f("s","cc","e"),after='<process id="p"/>'),
"message start": ch('<startEvent id="s"><messageEventDefinition messageRef="ms0"/></startEvent>'+t("a")+E+f("s","a","e")),
"error start": ch('<startEvent id="s"><errorEventDefinition/></startEvent>'+t("a")+E+f("s","a","e")),
"compensate start": ch('<startEvent id="s"><compensateEventDefinition/></startEvent>'+t("a")+E+f("s","a","e")),
"signal end": ch(S+t("a")+'<endEvent id="e"><signalEventDefinition/></endEvent>'+f("s","a","e")),
"error end": ch(S+t("a")+'<endEvent id="e"><errorEventDefinition/></endEvent>'+f("s","a","e")),
"message throw": ch(S+t("a")+'<intermediateThrowEvent id="i"><messageEventDefinition messageRef="ms0"/></intermediateThrowEvent>'+E+f("s","a","i","e")),
"signal throw": ch(S+t("a")+'<intermediateThrowEvent id="i"><signalEventDefinition signalRef="sg"/></intermediateThrowEvent>'+E+f("s","a","i","e"),before=M+'<signal id="sg" name="s"/>'),
"sequence over gateway": ch(S+t("a")+'<exclusiveGateway id="g"/>'+t("b",parts="ZX",flows=("zx",))+t("b2")+E+'<endEvent id="e2"/>'+f("s","a","g")+f("g","b",cond="a &gt; 1")+f("g","b2",cond="a &lt; 1")+f("b","e")+f("b2","e2")),
"sequence over parallel": ch(S+t("a")+'<parallelGateway id="g"/><parallelGateway id="j"/>'+t("b",parts="ZX",flows=("zx",))+t("b2")+t("z")+E+f("s","a","g","b","j","z","e")+f("g","b2","j")),
"event gateway different both": ch(S+t("a")+'<eventBasedGateway id="g"/>'+t("b",parts="YX",flows=("yx",))+t("b2",parts="XZ",flows=("xz",))+E+'<endEvent id="e2"/>'+f("s","a","g")+f("g","b","e")+f("g","b2","e2")),
"event gateway to gateway": ch(S+t("a")+'<eventBasedGateway id="g"/><exclusiveGateway id="h"/>'+t("b",parts="YX",flows=("yx",))+t("b2",parts="YX",flows=("yx",))+E+'<endEvent id="e2"/>'+f("s","a","g")+f("g","b","e")+f("g","h")+f("h","b2","e2")+f("h","e2")),
"event gateway one way": ch(S+t("a")+'<eventBasedGateway id="g"/>'+t("b",parts="YX",flows=("yx",))+E+f("s","a","g","b","e")),
"event gateway condition": ch(S+t("a")+'<eventBasedGateway id="g"/>'+t("b",parts="YX",flows=("yx",))+t("b2",parts="YX",flows=("yx",))+E+'<endEvent id="e2"/>'+f("s","a","g")+f("g","b",cond="x &gt; 1")+f("b","e")+f("g","b2","e2")),
"parallel condition": ch(S+t("a")+'<parallelGateway id="g"/>'+t("b")+t("b2")+E+'<endEvent id="e2"/>'+f("s","a","g")+f("g","b",cond="x &gt; 1")+f("b","e")+f("g","b2","e2")),
"flow from end": ch(S+t("a")+E+f("s","a","e","a")),
"flow into start": ch(S+t("a")+E+f("s","a","e")+f("a","s")),
"flow out of the sub": ch(S+'<subChoreography id="sc" initiatingParticipantRef="X"><participantRef>X</participantRef><participantRef>Y</participantRef><startEvent id="ss"/>'+t("a")+'<endEvent id="se"/>'+f("ss","a","se")+'</subChoreography>'+E+f("s","sc","e")+f("a","e")),
"flow from event": ch(S.replace("/>","/>")+t("a")+E+f("s","a",cond="x &gt; 1")+f("a","e")),
"node without incoming": ch(S+t("a")+t("b")+E+f("s","a","e")+f("b","e")),
"node without outgoing": ch(S+t("a")+t("b")+E+f("s","a","e")+f("a","b")),
"start without end": ch(S+t("a")+f("s","a")),
"end without start": ch(t("a")+E+f("a","e")),
"boundary without flow": ch(S+t("a")+BND%'<timerEventDefinition><timeDuration xsi:type="tFormalExpression">PT1H</timeDuration></timerEventDefinition>'+E+f("s","a","e")),
"boundary of nothing": ch(S+t("a")+(BND%'<timerEventDefinition><timeDuration xsi:type="tFormalExpression">PT1H</timeDuration></timerEventDefinition>').replace('Ref="a"','Ref="e"')+t("k")+E+'<endEvent id="e2"/>'+f("s","a","e")+f("b","k","e2")),
"link alone": ch(S+t("a")+'<intermediateThrowEvent id="i"><linkEventDefinition name="L"/></intermediateThrowEvent>'+E+'<intermediateThrowEvent id="u"/>'+f("s","a","u","e")+f("a","i")),
"task": ch(S+t("a")+'<userTask id="u"/>'+E+f("s","a","u","e")),
"sub process": ch(S+t("a")+'<subProcess id="u"/>'+E+f("s","a","u","e")),
"lanes": ch(S+t("a")+E+f("s","a","e")+'<laneSet id="ls"/>'),
"data object": ch(S+t("a")+E+f("s","a","e")+'<dataObject id="do"/>'),
"choreography task in a process": H%(M+'<process id="p"><startEvent id="s"/>'+t("a").replace("X<","X<")+'<endEvent id="e"/>'+f("s","a","e")+'</process>'),
"global with three": ch(S+t("a")+E+f("s","a","e"),after='<globalChoreographyTask id="gt" initiatingParticipantRef="I"><participant id="I"/><participant id="J"/><participant id="K"/></globalChoreographyTask>'),
"default flow of a choreography task that has none": ch(S+t("a").replace('name="a"','name="a" default="nope"')+E+f("s","a","e")),
"message of a flow twice same direction": ch(S+t("a",flows=("xy","xy2"))+E+f("s","a","e"),pools=P+MF+'<messageFlow id="xy2" sourceRef="X" targetRef="Y"/>'),
"conversation one": H%(M+f'<collaboration id="co">{P}{MF}<conversation id="n"><participantRef>X</participantRef></conversation></collaboration>'),
"conversation twice the same": H%(M+f'<collaboration id="co">{P}{MF}<conversation id="n"><participantRef>X</participantRef><participantRef>X</participantRef></conversation></collaboration>'),
"conversation foreign participant": H%(M+f'<collaboration id="co">{P}{MF}<conversation id="n"><participantRef>X</participantRef><participantRef>Q</participantRef></conversation></collaboration><collaboration id="c9"><participant id="Q"/></collaboration>'),
"link to gateway": H%(M+'<collaboration id="co"><participant id="X" processRef="p"/><participant id="Y"/><conversation id="n"><participantRef>X</participantRef><participantRef>Y</participantRef></conversation><conversationLink id="l" sourceRef="g" targetRef="n"/></collaboration><process id="p"><exclusiveGateway id="g"/></process>'),
"link conv to conv": H%(M+f'<collaboration id="co">{P}<conversation id="n"><participantRef>X</participantRef><participantRef>Y</participantRef></conversation><conversation id="n2"><participantRef>X</participantRef><participantRef>Y</participantRef></conversation><conversationLink id="l" sourceRef="n" targetRef="n2"/></collaboration>'),
"link to nothing": H%(M+f'<collaboration id="co">{P}<conversation id="n"><participantRef>X</participantRef><participantRef>Y</participantRef></conversation><conversationLink id="l" sourceRef="n" targetRef="nope"/></collaboration>'),
"call conversation of a process": H%(M+f'<collaboration id="co">{P}<callConversation id="n" calledCollaborationRef="p"><participantRef>X</participantRef><participantRef>Y</participantRef></callConversation></collaboration><process id="p"/>'),
"sub conversation foreign inside": H%(M+f'<collaboration id="co">{P}{MF}<subConversation id="n"><participantRef>X</participantRef><participantRef>Y</participantRef><conversation id="k"><participantRef>X</participantRef><participantRef>Z</participantRef></conversation></subConversation></collaboration>'),
"global conversation with node": H%(M+f'<globalConversation id="gc">{P}<conversation id="k"><participantRef>X</participantRef><participantRef>Z</participantRef></conversation></globalConversation>'),
"partner role of nothing": H%('<partnerRole id="pr" name="R"><participantRef>nope</participantRef></partnerRole>'),
"choreographyRef to process": H%(M+f'<collaboration id="co">{P}<choreographyRef>p</choreographyRef></collaboration><process id="p"/>'),
"multiplicity": H%('<collaboration id="co"><participant id="X"><participantMultiplicity minimum="3" maximum="1"/></participant></collaboration>'),
"association of participants": H%(M+f'<collaboration id="co">{P}<callConversation id="n" calledCollaborationRef="gc"><participantRef>X</participantRef><participantRef>Y</participantRef><participantAssociation id="pa"><innerParticipantRef>X</innerParticipantRef><outerParticipantRef>I</outerParticipantRef></participantAssociation></callConversation></collaboration><globalConversation id="gc"><participant id="I"/><participant id="J"/></globalConversation>'),
"message flow associations": H%(M+f'<collaboration id="co">{P}{MF}<messageFlowAssociation id="mfa" innerMessageFlowRef="nope" outerMessageFlowRef="xy"/></collaboration>'),
"conversation association dangling": H%(M+f'<collaboration id="co">{P}{MF}<conversationAssociation id="ca" innerConversationNodeRef="nope" outerConversationNodeRef="nope2"/></collaboration>'),
}  # fmt: skip


def found(xml: str) -> list[Any]:
    return read(xml.encode(), "m.bpmn")[1]


@pytest.mark.parametrize("name", VALID)
def test_what_the_standard_allows(name: str) -> None:
    assert not [(x.code, x.message) for x in found(VALID[name]) if x.standard or x.severity == "error"]


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_the_standard_forbids(name: str) -> None:
    marked = [x for x in found(FORBIDDEN[name]) if x.standard]
    assert marked and all(x.chapter for x in marked)
    assert not [x for x in marked if x.severity == "error"], "it is drawn and checked, never run"
