"""Choreographies and conversations, as far as a file carries them: they are drawn and checked, never run.

Source: BPMN 2.0.2, 9.5 (conversations) and chapter 11 (choreographies).
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.checks import choreography_flow, grammar
from flowledger.kernel.model.checks.common import declare, process_of, referenced, say

declare(
    {
        "CHOREOGRAPHY_PARTICIPANTS": (
            "warning",
            "A choreography activity has too few or too many participants, or foreign ones",
            "11.5, table 11.2",
            "two of the choreography's participants for a task",
        ),
        "CHOREOGRAPHY_INITIATOR": (
            "warning",
            "Who initiates a choreography activity is none of its participants",
            "11.5, table 11.2",
            "name one of its participantRefs",
        ),
        "CHOREOGRAPHY_MESSAGES": (
            "warning",
            "The messages of a choreography task don't go between its participants, the first one from who initiates it",
            "11.5.1",
            "one or two message flows, the second one back",
        ),
        "CHOREOGRAPHY_SEQUENCE": (
            "warning",
            "Who initiates a choreography activity had no part in the one before it",
            "11.4.1, 11.5",
            "only who took part knows that it is over",
        ),
        "CHOREOGRAPHY_EVENT_KIND": (
            "warning",
            "An event that a choreography can't have",
            "11.6, tables 11.6 to 11.8",
            "start: none, timer, condition, signal; caught in the flow: timer, condition, signal, link; thrown: none, link; end: none, terminate",
        ),
        "CHOREOGRAPHY_CONTENT": (
            "warning",
            "A choreography contains something of a process",
            "11.1, 11.3",
            "choreography activities, events, gateways and flows only",
        ),
        "CHOREOGRAPHY_FLOW": (
            "warning",
            "An event or gateway of a choreography is joined as it can't be",
            "10.5, 10.6, 11.6, 11.7",
            "join it as in a process",
        ),
        "CHOREOGRAPHY_IN_PROCESS": (
            "warning",
            "A process contains a choreography activity",
            "11.1, 10.2",
            "put it into a <choreography>",
        ),
        "CONVERSATION_PARTICIPANTS": (
            "warning",
            "A conversation has fewer than two participants",
            "9.5, table 9.13",
            "<participantRef> for each",
        ),
        "CONVERSATION_FOREIGN": (
            "warning",
            "A conversation names a participant or message flow that what is around it doesn't have",
            "9.5.1, table 9.13",
            "name one of the collaboration, and in a sub-conversation a participant of that",
        ),
        "CONVERSATION_LINK": (
            "warning",
            "A conversation link doesn't join a conversation and a participant",
            "9.5.6, table 9.18",
            "a conversation at one end, a pool, activity or event at the other",
        ),
        "PARTICIPANT_ASSOCIATION": (
            "warning",
            "An association of participants joins others than those of what calls and of what is called",
            "9.3, table 9.7",
            "innerParticipantRef of what is called, outerParticipantRef of what calls it",
        ),
        "GLOBAL_CONVERSATION_CONTENT": (
            "warning",
            "A global conversation contains conversations",
            "9.5.5",
            "it has participants, message flows and correlation keys only",
        ),
    }
)

_ACTIVITIES = ("choreographyTask", "subChoreography", "callChoreography")
_NODES = ("conversation", "subConversation", "callConversation")
_START = {"", "timer", "conditional", "signal"}
_END = {"", "terminate"}
#: in the flow, table 11.7: a message is what a choreography task is for, and what is thrown has nobody who throws it
_CAUGHT = frozenset({"timer", "conditional", "signal", "link"})
_THROWN = frozenset({"link"})


def check(r: Any) -> None:
    for tag in _ACTIVITIES:
        for activity in r.definitions.iter(x.B + tag):
            if process_of(activity) is not None:
                say(
                    r,
                    "CHOREOGRAPHY_IN_PROCESS",
                    activity,
                    f"process '{process_of(activity).get('id', '')}' contains {tag} '{activity.get('id', '')}'",
                )
    for tag in ("choreography", "globalChoreographyTask"):
        for choreography in r.definitions.iterchildren(x.B + tag):
            _choreography(r, choreography)
    for tag, attribute in (("callChoreography", "calledChoreographyRef"), ("callConversation", "calledCollaborationRef")):
        for call in r.definitions.iter(x.B + tag):
            _associations(r, call, referenced(r, call.get(attribute, "") or "?"))
    for tag in ("collaboration", "globalConversation", "choreography"):
        for collaboration in r.definitions.iterchildren(x.B + tag):
            _conversations(r, collaboration)


def _associations(r: Any, call: Any, called: Any) -> None:
    """What is called has the inner participant, what calls it the outer one."""
    root = call
    while root.getparent() is not None and root.getparent() is not r.definitions:
        root = root.getparent()
    for association in call.iterchildren(x.B + "participantAssociation"):
        for tag, owner in (("innerParticipantRef", called), ("outerParticipantRef", root)):
            found = referenced(r, x.text_of(x.child(association, tag)) or "?")
            if found is not None and owner is not None and x.local(found) == "participant" and found.getparent() is not owner:
                say(
                    r, "PARTICIPANT_ASSOCIATION", association, f"{tag} '{found.get('id', '')}' is no participant of '{owner.get('id', '')}'"
                )


def _refs(element: Any, tag: str = "participantRef") -> list[str]:
    return [x.text_of(e).rsplit(":", 1)[-1] for e in element.iterchildren(x.B + tag)]


def _choreography(r: Any, choreography: Any) -> None:
    id = choreography.get("id", "")
    mine = [p.get("id", "") for p in choreography.iterchildren(x.B + "participant")]
    if x.local(choreography) == "globalChoreographyTask":
        if len(mine) != 2:
            say(
                r, "CHOREOGRAPHY_PARTICIPANTS", choreography, f"global choreography task '{id}': expected 2 participants, found {len(mine)}"
            )
        initiator = choreography.get("initiatingParticipantRef", "").rsplit(":", 1)[-1]
        if initiator not in mine:
            say(r, "CHOREOGRAPHY_INITIATOR", choreography, f"initiatingParticipantRef '{initiator}' of '{id}' is none of its participants")
        for kid in x.bpmn_children(choreography):
            if grammar.is_a(x.local(kid), "flowElement"):
                say(r, "CHOREOGRAPHY_CONTENT", kid, f"global choreography task '{id}' contains a {x.local(kid)}")
        return
    _scope(r, choreography, set(mine))


def _scope(r: Any, scope: Any, known: set[str]) -> None:
    flows: list[tuple[Any, Any]] = []
    for kid in x.bpmn_children(scope):
        tag = x.local(kid)
        if tag in _ACTIVITIES:
            _activity(r, kid, known)
            if tag == "subChoreography":
                _scope(r, kid, set(_refs(kid)))
        elif tag == "sequenceFlow":
            ends = [referenced(r, kid.get(a, "") or "?") for a in ("sourceRef", "targetRef")]
            if ends[0] is not None and ends[1] is not None:
                flows.append((ends[0], ends[1]))
        elif grammar.is_a(tag, "activity") or tag in ("dataObject", "dataObjectReference", "dataStoreReference", "laneSet"):
            say(r, "CHOREOGRAPHY_CONTENT", kid, f"a choreography contains {tag} '{kid.get('id', '')}'")
    for kid in x.bpmn_children(scope):
        if grammar.is_a(x.local(kid), "event") or grammar.is_a(x.local(kid), "gateway"):
            _joined(r, kid, sum(b is kid for _, b in flows), sum(a is kid for a, _ in flows))
    choreography_flow.check(r, scope)


def _activity(r: Any, activity: Any, known: set[str]) -> None:
    id, tag, refs = activity.get("id", ""), x.local(activity), _refs(activity)
    if tag == "choreographyTask" and len(refs) != 2:
        say(r, "CHOREOGRAPHY_PARTICIPANTS", activity, f"choreography task '{id}': expected 2 participants, found {len(refs)}")
    if len(set(refs)) != len(refs):
        say(r, "CHOREOGRAPHY_PARTICIPANTS", activity, f"'{id}' names a participant twice")
    for ref in refs:
        if ref not in known:
            say(r, "CHOREOGRAPHY_PARTICIPANTS", activity, f"participant '{ref}' of '{id}' is none of what is around it")
    initiator = activity.get("initiatingParticipantRef", "").rsplit(":", 1)[-1]
    if initiator not in refs:
        say(r, "CHOREOGRAPHY_INITIATOR", activity, f"initiatingParticipantRef '{initiator}' of '{id}' is none of its participants")
    if tag != "choreographyTask":
        return
    ways = []
    for reference in _refs(activity, "messageFlowRef"):
        flow = referenced(r, reference)
        if flow is None or x.local(flow) != "messageFlow":
            continue
        way = tuple(flow.get(a, "").rsplit(":", 1)[-1] for a in ("sourceRef", "targetRef"))
        if not all(_is_participant(r, end) for end in way):
            return
        ways.append(way)
        if set(way) != set(refs):
            say(r, "CHOREOGRAPHY_MESSAGES", activity, f"message flow '{reference}' of '{id}' doesn't go between its participants")
            return
    if ways and initiator in refs and all(source != initiator for source, _ in ways):
        say(r, "CHOREOGRAPHY_MESSAGES", activity, f"no message of '{id}' comes from '{initiator}', which initiates it")
    elif len(ways) == 2 and ways[0] == ways[1]:
        say(r, "CHOREOGRAPHY_MESSAGES", activity, f"both messages of '{id}' go the same way")


def _is_participant(r: Any, id: str) -> bool:
    found = referenced(r, id or "?")
    return found is not None and x.local(found) == "participant"


def _joined(r: Any, node: Any, incoming: int, outgoing: int) -> None:
    tag, id = x.local(node), node.get("id", "")
    kinds = [x.local(k).removesuffix("EventDefinition") for k in x.bpmn_children(node) if x.local(k).endswith("EventDefinition")]
    wrong = ""
    if tag == "startEvent":
        wrong = "has an incoming flow" if incoming else "has no outgoing flow" if not outgoing else ""
        if any(kind not in _START for kind in kinds):
            say(r, "CHOREOGRAPHY_EVENT_KIND", node, f"start event '{id}' of a choreography is a {kinds[0]} event")
    elif tag == "endEvent":
        wrong = "has an outgoing flow" if outgoing else "has no incoming flow" if not incoming else ""
        if any(kind not in _END for kind in kinds):
            say(r, "CHOREOGRAPHY_EVENT_KIND", node, f"end event '{id}' of a choreography is a {kinds[0]} event")
    elif tag in ("intermediateCatchEvent", "intermediateThrowEvent"):
        wrong = (
            "has no incoming flow"
            if not incoming and "link" not in kinds
            else "has no outgoing flow"
            if not outgoing and "link" not in kinds
            else ""
        )
        if any(kind not in (_CAUGHT if tag == "intermediateCatchEvent" else _THROWN) for kind in kinds):
            say(r, "CHOREOGRAPHY_EVENT_KIND", node, f"intermediate event '{id}' of a choreography is a {kinds[0]} event")
    elif tag == "boundaryEvent":
        wrong = "has an incoming flow" if incoming else "has no outgoing flow" if not outgoing and "compensate" not in kinds else ""
        if not kinds or any(kind in ("link", "terminate") for kind in kinds):
            say(r, "CHOREOGRAPHY_EVENT_KIND", node, f"boundary event '{id}' of a choreography is a {kinds[0] if kinds else 'none'} event")
    elif grammar.is_a(tag, "gateway"):
        direction = node.get("gatewayDirection", "Unspecified")
        if incoming < 2 and outgoing < 2:
            wrong = "neither joins nor splits"
        elif (direction == "Converging" and (incoming < 2 or outgoing > 1)) or (
            direction == "Diverging" and (outgoing < 2 or incoming > 1)
        ):
            wrong = f"is {direction} with {incoming} incoming and {outgoing} outgoing flows"
        elif direction == "Mixed" and (incoming < 2 or outgoing < 2):
            wrong = f"is Mixed with {incoming} incoming and {outgoing} outgoing flows"
    if wrong:
        say(r, "CHOREOGRAPHY_FLOW", node, f"{tag} '{id}' of a choreography {wrong}")


def _conversations(r: Any, collaboration: Any) -> None:
    for tag in _NODES:
        for node in collaboration.iter(x.B + tag):
            if x.local(collaboration) == "globalConversation":
                say(
                    r,
                    "GLOBAL_CONVERSATION_CONTENT",
                    node,
                    f"global conversation '{collaboration.get('id', '')}' contains {tag} '{node.get('id', '')}'",
                )
            if len(set(_refs(node))) < 2:
                say(
                    r,
                    "CONVERSATION_PARTICIPANTS",
                    node,
                    f"{tag} '{node.get('id', '')}': expected 2 participants or more, found {len(set(_refs(node)))}",
                )
            _own(r, collaboration, node)
    for link in collaboration.iter(x.B + "conversationLink"):
        ends = [referenced(r, link.get(a, "") or "?") for a in ("sourceRef", "targetRef")]
        if all(e is not None for e in ends) and sum(x.local(e) in _NODES for e in ends) != 1:
            say(
                r,
                "CONVERSATION_LINK",
                link,
                f"conversation link '{link.get('id', '')}' joins a {x.local(ends[0])} and a {x.local(ends[1])}",
            )


def _own(r: Any, collaboration: Any, node: Any) -> None:
    outer = node.getparent()
    known = _refs(outer) if outer is not collaboration else [p.get("id", "") for p in collaboration.iterchildren(x.B + "participant")]
    foreign = [ref for ref in _refs(node) if ref not in known and _is_participant(r, ref)]
    for reference in _refs(node, "messageFlowRef"):
        flow = referenced(r, reference)
        if flow is not None and x.local(flow) == "messageFlow" and flow.getparent() is not collaboration:
            foreign.append(reference)
    if foreign:
        say(
            r,
            "CONVERSATION_FOREIGN",
            node,
            f"{x.local(node)} '{node.get('id', '')}' names '{foreign[0]}', which '{outer.get('id', '')}' doesn't have",
        )
