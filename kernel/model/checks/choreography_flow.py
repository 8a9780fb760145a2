"""How the activities of a choreography follow one another: who can know that it is their turn, and what may stand between.

Source: BPMN 2.0.2, 11.4.1 to 11.7, and for what holds in every flow 8.4.13, 10.5 and 10.6.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.checks import grammar
from flowledger.kernel.model.checks.common import declare, referenced, say

declare(
    {
        "CHOREOGRAPHY_GATEWAY": (
            "warning",
            "What stands behind an event-based gateway of a choreography can't be told apart by who waits there",
            "11.7.2",
            "choreography activities with the same sender or the same receiver, timers or signals; two ways or more, without conditions",
        ),
    }
)

_ACTIVITIES = ("choreographyTask", "subChoreography", "callChoreography")
#: what a flow with a condition can't come from
_UNCONDITIONAL = ("eventBasedGateway", "parallelGateway")


class Scope:
    """A choreography, or a sub-choreography. `flows`: those between its own elements."""

    def __init__(self, r: Any, element: Any) -> None:
        self.r, self.element = r, element
        self.nodes = [kid for kid in x.bpmn_children(element) if grammar.is_a(x.local(kid), "flowNode")]
        self.flows: list[tuple[Any, Any, Any]] = []
        for kid in element.iterchildren(x.B + "sequenceFlow"):
            ends = [referenced(r, kid.get(a, "") or "?") for a in ("sourceRef", "targetRef")]
            if any(end is not None and end.getparent() is not element for end in ends):
                say(r, "CHOREOGRAPHY_FLOW", kid, f"sequence flow '{kid.get('id', '')}' leads into or out of another choreography")
            elif ends[0] is not None and ends[1] is not None:
                self.flows.append((ends[0], ends[1], kid))

    def before(self, node: Any) -> list[Any]:
        return [a for a, b, _ in self.flows if b is node]

    def behind(self, node: Any) -> list[Any]:
        return [b for a, b, _ in self.flows if a is node]

    def upstream(self, node: Any) -> list[Any]:
        """Choreography activities from which a way leads to it."""
        seen: list[Any] = []
        ahead = self.before(node)
        while ahead:
            one = ahead.pop()
            if not any(one is other for other in seen):
                seen.append(one)
                host = referenced(self.r, one.get("attachedToRef", "") or "?")
                ahead += [host] if host is not None else self.before(one)
                if x.local(one) == "intermediateCatchEvent" and "link" in kinds_of(one):  # it goes on from who throws to it
                    ahead += [n for n in self.nodes if x.local(n) == "intermediateThrowEvent" and "link" in kinds_of(n)]
        return [one for one in seen if x.local(one) in _ACTIVITIES]


def kinds_of(event: Any) -> list[str]:
    return [x.local(k).removesuffix("EventDefinition") for k in x.bpmn_children(event) if x.local(k).endswith("EventDefinition")]


def initiator_of(activity: Any) -> str:
    return str(activity.get("initiatingParticipantRef", "")).rsplit(":", 1)[-1]


def refs_of(activity: Any) -> list[str]:
    return [x.text_of(e).rsplit(":", 1)[-1] for e in activity.iterchildren(x.B + "participantRef")]


def check(r: Any, element: Any) -> None:
    scope = Scope(r, element)
    _ends(scope)
    for a, _, flow in scope.flows:
        tag = x.local(a)
        if x.child(flow, "conditionExpression") is not None and (tag in _UNCONDITIONAL or grammar.is_a(tag, "event")):
            say(
                r,
                "CHOREOGRAPHY_FLOW",
                flow,
                f"sequence flow '{flow.get('id', '')}' has a condition, and comes from {tag} '{a.get('id', '')}'",
            )
    for node in scope.nodes:
        if x.local(node) == "intermediateThrowEvent" and (name := _link(node)) is not None:
            if not any(x.local(n) == "intermediateCatchEvent" and _link(n) == name for n in scope.nodes):
                say(r, "CHOREOGRAPHY_FLOW", node, f"link '{name}' of '{node.get('id', '')}' leads to nothing")
        elif x.local(node) in _ACTIVITIES:
            _turn(scope, node)
        elif x.local(node) == "eventBasedGateway":
            _event_gateway(scope, node)


def _link(event: Any) -> str | None:
    definition = x.child(event, "linkEventDefinition")
    return definition.get("name", "") if definition is not None else None


def _ends(scope: Scope) -> None:
    """With a start event nothing else begins, with an end event nothing else ends, and neither stands alone (10.5.2, 10.5.3)."""
    starts = [n for n in scope.nodes if x.local(n) == "startEvent"]
    ends = [n for n in scope.nodes if x.local(n) == "endEvent"]
    if bool(starts) != bool(ends):
        there, missing = ("start", "end") if starts else ("end", "start")
        say(
            scope.r,
            "CHOREOGRAPHY_FLOW",
            (starts or ends)[0],
            f"a choreography with {there} event '{(starts or ends)[0].get('id', '')}' has no {missing} event",
        )
    for node in scope.nodes:
        if x.local(node) not in _ACTIVITIES:
            continue
        for event, near, word in ((starts, scope.before(node), "incoming"), (ends, scope.behind(node), "outgoing")):
            if event and not near:
                say(scope.r, "CHOREOGRAPHY_FLOW", node, f"'{node.get('id', '')}' has no {word} flow beside '{event[0].get('id', '')}'")


def _turn(scope: Scope, activity: Any) -> None:
    """Who initiates it has had a part: in the activity right before it, or behind gateways and events in one of those before."""
    initiator, near = initiator_of(activity), scope.before(activity)
    if not near or initiator not in refs_of(activity):
        return
    for one in near:
        if x.local(one) in _ACTIVITIES and initiator not in refs_of(one):
            text = f"'{initiator}' initiates '{activity.get('id', '')}', but has no part in '{one.get('id', '')}'"
            say(scope.r, "CHOREOGRAPHY_SEQUENCE", activity, text)
            return
    before = scope.upstream(activity)
    if before and all(initiator not in refs_of(one) for one in before):
        text = f"'{initiator}' initiates '{activity.get('id', '')}', but has no part in anything before it"
        say(scope.r, "CHOREOGRAPHY_SEQUENCE", activity, text)


def _event_gateway(scope: Scope, gateway: Any) -> None:
    id, targets = gateway.get("id", ""), scope.behind(gateway)
    tasks = [t for t in targets if x.local(t) in _ACTIVITIES]
    for t in targets:
        kinds = kinds_of(t) if x.local(t) == "intermediateCatchEvent" else []
        if x.local(t) not in _ACTIVITIES and not (kinds and set(kinds) <= {"timer", "signal"}):
            say(
                scope.r,
                "CHOREOGRAPHY_GATEWAY",
                gateway,
                f"'{t.get('id', '')}' behind event-based gateway '{id}' is no choreography activity, timer or signal",
            )
            return
    senders = {initiator_of(t) for t in tasks}
    receivers = {ref for t in tasks for ref in refs_of(t) if ref != initiator_of(t)}
    if len(senders) > 1 and len(receivers) > 1 and all(x.local(t) == "choreographyTask" and len(refs_of(t)) == 2 for t in tasks):
        text = f"the activities behind event-based gateway '{id}' have neither one sender ({', '.join(sorted(senders))}) nor one receiver"
        say(scope.r, "CHOREOGRAPHY_GATEWAY", gateway, text)
    before = scope.before(gateway)
    if len(before) == 1 and x.local(before[0]) in _ACTIVITIES and any("timer" in kinds_of(t) for t in targets):
        known = set(refs_of(before[0]))
        if foreign := sorted({ref for t in tasks for ref in refs_of(t)} - known):
            text = f"'{foreign[0]}' waits for a timer behind event-based gateway '{id}', but has no part in '{before[0].get('id', '')}'"
            say(scope.r, "CHOREOGRAPHY_GATEWAY", gateway, text)
