"""Error: ends the innermost scope that has a handler for its code; without one it is an incident.

Source: BPMN 2.0.2, chapter 10.5.5 and 13.5.7. A handler without code catches all; one with the code wins over it at the same place.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import flow as fl
from flowledger.kernel import business
from flowledger.kernel.elements import events
from flowledger.kernel.expressions import Failure, literal
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Node


def read(event: Any, xml: Any, node: Node, r: Any) -> None:
    reference = xml.get("errorRef", "")
    for name in ("errorCodeVariable", "errorMessageVariable"):
        if variable := x.classic_attr(xml, name):
            node.properties = {**node.properties, name: variable}
    if reference:
        found = r.root(reference, "error", node)
        code = (found.get("errorCode") or found.get("name") or found.get("id", "")) if found is not None else reference
        event.ref = reference
        event.name = r.expression(code, node, "error code")
    elif node.kind == "endEvent":
        r.finding(
            "ERROR_MISSING",
            f"error end event '{node.id}' names no error: its id is the code",
            node,
            severity="warning",
            hint='errorRef="..." of an <error errorCode="...">',
        )
        event.name = literal(node.id)


def throw(d: Any, i: Any, token: Any, node: Node, event: Any) -> bool:
    throw_code(d, i, token, d.text(event.name, i, token.key, f"error code of {node.id}"), "", dict(token.vars or {}))
    return False


def _fails(d: Any, i: Any, token: Any) -> bool:
    """An instance that nobody called ends `failed` where its model says so: the end event, or the process for all errors that nothing catches."""
    process = d.process(i)
    fails: bool = (
        process.properties.get("flowledger:uncaughtError") == "fail"
        or process.nodes[token.element].properties.get("flowledger:fails") == "true"
    )
    return fails


def throw_code(d: Any, i: Any, token: Any, code: str, message: str, variables: dict[str, Any] | None = None) -> None:
    """Find the handler from `token` outwards and let it catch. Raises: Failure UNHANDLED_ERROR_EVENT."""
    found = events.find_handler(d, i, token, "error", code)
    if found is None and (i.parent or _fails(d, i, token)):
        d.record(fl.ErrorOccurred(key=i.key, token=token.key, element=token.element, code=code, message=message, variables=variables))
        events.end_instance_with_error(d, i, code, message, variables)
        return
    if found is None:
        raise Failure(
            "UNHANDLED_ERROR_EVENT",
            f"expected a handler for error '{code}' thrown at {token.element}, found none" + (f": {message}" if message else ""),
        )
    holder, handler = found
    process = d.process(i)
    if process.states is not None:
        business.failed(d, i, process.nodes[token.element], process.states, handler)
    d.record(
        fl.ErrorOccurred(
            key=i.key, token=token.key, element=token.element, code=code, message=message, caught_by=handler.id, variables=variables
        )
    )
    payload = dict(variables or {})
    names = handler.properties
    if names.get("errorCodeVariable"):
        payload[names["errorCodeVariable"]] = code
    if names.get("errorMessageVariable"):
        payload[names["errorMessageVariable"]] = message
    events.fire(d, i, holder, handler, payload, interrupting=True)
