"""Call activity: starts an instance of another process (or global task) and waits for it.

Source: BPMN 2.0.2, chapters 10.3.6 and 13.3.4; `zeebe:calledElement`. Binding: latest, deployment, versionTag.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.kernel import holding, limits, lookup, rollouts
from flowledger.kernel.expressions import Failure
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.graph import Behaviour, Node
from flowledger.kernel.moves.activity import close_activity


def enter(d: Any, i: Any, token: Any, node: Node) -> None:
    config = node.config
    id = d.text(config["process"], i, token.key, "called process")
    found = lookup.bound(d.state, i, "process", id, config["binding"], config["version_tag"])
    if d.state.rollouts and config["binding"] != "deployment":  # of the same deployment: else what runs could not end
        rollout = rollouts.of(d.state, i.tenant, "process", id)
        if rollout is not None and (found is None or found.key in rollout.stopped):
            raise Failure(
                "CALLED_ELEMENT_STOPPED", f"new starts of process '{id}' (binding {config['binding']}) are stopped by its rollout"
            )
    if found is None:
        raise Failure("CALLED_ELEMENT_NOT_FOUND", f"expected a deployed process '{id}' (binding {config['binding']}), found none")
    depth = 1 + (i.metadata or {}).get("$depth", 0)
    if depth > limits.CALL_DEPTH_MAX:
        raise Failure("CALL_DEPTH", f"instances call each other more than {limits.CALL_DEPTH_MAX} deep")
    # as they are now: it starts later, and what the caller's other branches set meanwhile is not its own
    variables = dict(d.kept(i, token.key) if config["all_in"] else token.vars or {})
    meta = d.state.meta
    d.record(fl.ElementActivated(key=i.key, token=token.key, scope=token.scope, element=node.id))
    to = (meta.partition + 1 + token.key) % meta.partitions if d.facts.spread or config["spread"] else meta.partition
    business_key = i.business_key
    if config["business_key"] is not None:
        business_key = d.text(config["business_key"], i, token.key, "business key")
    d.send(
        to,
        c.StartInstance(
            definition=found.key, variables=variables, business_key=business_key, priority=i.priority, parent=i.key, parent_token=token.key,
            root=i.root, metadata={"$depth": depth, holding.CALLERS: [*holding.callers(i), [i.definition, node.id]]},
        ),
    )  # fmt: skip


def read(node: Node, element: Any, r: Any) -> None:
    called = x.ext(element, "calledElement")
    plain = element.get("calledElement", "")
    attr = called.get if called is not None else (lambda name, default="": default)
    classic_in = x.classic_ext(element, "in")
    classic_out = x.classic_ext(element, "out")
    business_key = next((e.get("businessKey") for e in classic_in if e.get("businessKey")), "") or x.classic_attr(element, "businessKey")
    # Camunda 7 and its relatives pass what is named, and nothing else
    classic = called is None and (r.classic or bool(classic_in or classic_out))
    all_in = any(e.get("variables") == "all" for e in classic_in) or x.classic_attr(element, "inheritVariables") == "true"
    all_out = any(e.get("variables") == "all" for e in classic_out)
    node.config = {
        "process": r.expression(
            attr("processId", "") or plain.rsplit(":", 1)[-1] if not plain.startswith(("=", "$")) else plain, node, "called process"
        ),
        "binding": attr("bindingType", "") or x.classic_attr(element, "calledElementBinding") or "latest",
        "version_tag": attr("versionTag", "") or x.classic_attr(element, "calledElementVersionTag"),
        "all_in": all_in if classic else attr("propagateAllParentVariables", "true") != "false",
        "all_out": all_out if classic else attr("propagateAllChildVariables", "true" if not node.outputs else "false") != "false",
        "classic": classic,
        "spread": node.properties.get("flowledger:spread") == "true",
        "business_key": r.expression(business_key, node, "business key") if business_key else None,
    }
    from flowledger.kernel.model.graph import Mapping

    for e in classic_in:
        if e.get("target"):
            source = e.get("sourceExpression") or ("=" + e.get("source", "null"))
            node.inputs.append(Mapping(r.expression(source, node, "in"), e.get("target")))
    for e in (e for e in classic_out if e.get("target")):
        source = e.get("sourceExpression") or ("=" + e.get("source", "null"))
        node.outputs.append(Mapping(r.expression(source, node, "out"), e.get("target")))


def check(node: Node, r: Any) -> None:
    process = node.config["process"]
    if process.compiled is None and not process.static:
        r.finding(
            "CALL_WITHOUT_PROCESS", f"call activity '{node.id}' names no process", node, hint='<zeebe:calledElement processId="..."/>'
        )


BEHAVIOUR = Behaviour(enter, close_activity, read, check, activity=True)
