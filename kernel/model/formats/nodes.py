"""`nodes` and `flows` of the simplified JSON: the graph written as it is. Sub-processes nest (`nodes` within a node)."""

from __future__ import annotations

import difflib
from typing import Any

from flowledger.kernel.model.formats import blocks, build, work
from flowledger.kernel.model.formats.source import Value

_GATEWAYS = {
    "exclusive": "exclusiveGateway", "exclusiveGateway": "exclusiveGateway", "gateway": "exclusiveGateway", "xor": "exclusiveGateway",
    "parallel": "parallelGateway", "parallelGateway": "parallelGateway", "and": "parallelGateway",
    "inclusive": "inclusiveGateway", "inclusiveGateway": "inclusiveGateway", "or": "inclusiveGateway",
    "event_gateway": "eventBasedGateway", "eventBasedGateway": "eventBasedGateway",
}  # fmt: skip
_EVENTS = {"start": "startEvent", "startEvent": "startEvent", "end": "endEvent", "endEvent": "endEvent", "catch": "intermediateCatchEvent",
           "throw": "intermediateThrowEvent", "boundary": "boundaryEvent"}  # fmt: skip
_EVENT_KEYS = {"id", "name", "type", "description", "message", "key", "signal", "error", "escalation", "condition", "timeout", "until", "every", "cron",
               "terminate", "interrupting", "on", "input", "output", "job", "link", "compensate", "form"}  # fmt: skip
_SUB_KEYS = {"id", "name", "type", "description", "nodes", "flows", "input", "output", "event", "for_each", "as", "parallel", "collect", "collect_from",
             "until_done", "on"}  # fmt: skip


def body(r: Any, scope: build.Scope, top: Value) -> None:
    made = _nodes(r, scope, top)
    if not any(str(e.tag).endswith("}startEvent") for e in made.values()) and made:
        r.find("START_MISSING", "expected a node of type 'start', found none", top.get("nodes"), hint='{"id": "start", "type": "start"}')
    for key in ("start", "variables"):
        if key == "start" and key in top:
            r.find("KEY_UNKNOWN", "with 'nodes', the start is a node of type 'start'", top.get("start"))
    if "variables" in top:
        _defaults(r, top, next((e for e in made.values() if str(e.tag).endswith("}startEvent")), None))
    blocks.handlers(r, scope, r.sequence(top, "on"))


def _defaults(r: Any, top: Value, start: Any) -> None:
    variables = r.mapping(top, "variables")
    for name, value in variables.items() if variables is not None and start is not None else ():
        if (default := value.get("default")) is not None:
            build.mapping(start, "output", f"= if {name} = null then {build.feel_value(default.plain())} else {name}", name)


def _nodes(r: Any, scope: build.Scope, holder: Value) -> dict[str, Any]:
    made: dict[str, Any] = {}
    boundaries: list[tuple[Value, Any]] = []
    for value in r.sequence(holder, "nodes", required=True, what="the process"):
        if not isinstance(value.data, dict):
            r.find("TYPE_WRONG", f"expected a node (an object), found {value.kind()}", value)
            continue
        id = r.text(value, "id", required=True, what="a node")
        if not id:
            continue
        if id in made or id in scope.draft._ids:
            r.find("ID_DUPLICATE", f"the id '{id}' is used twice", value.get("id"), element=id, hint="ids are unique in a file")
            continue
        kind = r.text(value, "type", "service")
        if kind in _EVENTS:
            made[id] = _event(r, scope, value, id, _EVENTS[kind])
            if _EVENTS[kind] == "boundaryEvent":
                boundaries.append((value, made[id]))
        elif kind in _GATEWAYS:
            r.known(value, {"id", "name", "type", "description"}, f"the gateway '{id}'", id)
            made[id] = scope.node(_GATEWAYS[kind], id, r.text(value, "name"), value)
        elif kind in ("subprocess", "subProcess", "sub_process", "scope"):
            made[id] = _sub(r, scope, value, id)
        else:
            made[id] = work.task(r, scope, value, id, {"undo"})
            if "capability" in value:
                r.uses(value, id)
            if timeout := work.timeout_of(r, value, id):
                event = scope.boundary(made[id], f"{id}_timeout", "timer", timeout, "", value)
                end = scope.node("endEvent", f"{id}_timed_out", "", value)
                scope.event(end, "error", "TIMEOUT")
                scope.flow(event, end)
    for value, element in boundaries:
        host = r.text(value, "on", required=True, what=f"the boundary event '{value.get('id').data}'")  # type: ignore[union-attr]
        if _reference(r, host, made, value.get("on"), "on"):
            element.set("attachedToRef", build.ncname(host))
    _flows(r, scope, holder, made)
    return made


def _reference(r: Any, id: str, made: dict[str, Any], at: Any, what: str) -> bool:
    if id in made:
        return True
    close = difflib.get_close_matches(id, list(made), 1)
    r.find(
        "REFERENCE_MISSING",
        f"'{what}' names '{id}', which is no node of this scope",
        at,
        hint=f"did you mean '{close[0]}'?" if close else "",
    )
    return False


def _flows(r: Any, scope: build.Scope, holder: Value, made: dict[str, Any]) -> None:
    for value in r.sequence(holder, "flows"):
        if not isinstance(value.data, dict):
            r.find("TYPE_WRONG", f"expected a flow (an object with 'from' and 'to'), found {value.kind()}", value)
            continue
        r.known(value, {"id", "name", "from", "to", "when", "default"}, "a flow")
        source, target = (r.text(value, end, required=True, what="a flow") for end in ("from", "to"))
        good = [_reference(r, id, made, value.get(end), end) for id, end in ((source, "from"), (target, "to")) if id]
        if len(good) < 2 or not all(good):
            continue
        flow = scope.flow(made[source], made[target], r.condition(value, "when"), r.text(value, "name"), value, r.text(value, "id"))
        if r.flag(value, "default"):
            if made[source].get("default"):
                r.find("DEFAULT_TWICE", f"'{source}' has two default flows", value, element=source)
            made[source].set("default", flow.get("id"))


def _event(r: Any, scope: build.Scope, value: Value, id: str, tag: str) -> Any:
    r.known(value, _EVENT_KEYS, f"the event '{id}'", id)
    node = scope.node(tag, id, r.text(value, "name"), value)
    build.document(node, r.text(value, "description"))
    if tag == "boundaryEvent" and not r.flag(value, "interrupting", True):
        node.set("cancelActivity", "false")
    if tag == "startEvent" and not r.flag(value, "interrupting", True):
        node.set("isInterrupting", "false")
    if form := r.text(value, "form"):
        build.extension(node, "zeebe", "formDefinition", formId=form)
    if tag in ("endEvent", "intermediateThrowEvent"):
        work.inputs(r, node, value, id)
    elif "input" in value:
        r.find(
            "KEY_UNKNOWN", f"'input' is what a throw or an end carries; '{id}' is neither", value.get("input"), element=id, hint="output"
        )
    work.map_outputs(r, node, value)
    if "timeout" in value:
        scope.event(node, "timer", r.duration(value, "timeout"), value)
    elif "every" in value:
        scope.event(node, "cycle", "R/" + r.duration(value, "every"), value)
    elif "condition" in value:
        scope.event(node, "conditional", r.condition(value, "condition") or "= false", value)
    else:
        for key, kind in (("until", "date"), ("cron", "cycle"), ("message", "message"), ("signal", "signal"), ("error", "error"),
                          ("escalation", "escalation"), ("link", "link"), ("terminate", "terminate"), ("compensate", "compensate")):  # fmt: skip
            if key in value:
                text = "" if key in ("terminate", "compensate") else r.text(value, key)
                scope.event(node, kind, "" if text == "*" else text, value, r.text(value, "key"))
                if kind == "message" and tag in ("endEvent", "intermediateThrowEvent"):
                    build.job(node, r.text(value, "job") or f"send.{text}")
                return node
        if tag in ("boundaryEvent", "intermediateCatchEvent"):
            r.find("TRIGGER", f"the event '{id}' says nothing that it waits for", value, element=id,
                   hint="one of timeout, until, message, signal, error, escalation, condition")  # fmt: skip
    return node


def _sub(r: Any, scope: build.Scope, value: Value, id: str) -> Any:
    r.known(value, _SUB_KEYS, f"the sub-process '{id}'", id)
    sub = scope.sub(id, r.text(value, "name"), value, event=r.flag(value, "event"))
    work.inputs(r, sub.element, value, id)
    work.map_outputs(r, sub.element, value)
    _nodes(r, sub, value)
    blocks.handlers(r, sub, r.sequence(value, "on"))
    if "for_each" in value:
        items = r.text(value, "for_each")
        r.checked(items, value.get("for_each"), "for_each")
        collect = r.text(value, "collect")
        build.each(scope.draft, sub.element, items, r.text(value, "as", "item"), r.flag(value, "parallel", True), collect,
                   r.text(value, "collect_from") or ("= " + r.text(value, "as", "item") if collect else ""), r.condition(value, "until_done") or "",
                   value)  # fmt: skip
    return sub.element
