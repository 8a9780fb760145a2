"""`EvaluateDecision`: our trace of an evaluation, told as Zeebe tells it."""

from __future__ import annotations

from typing import Any

from flowledger.api.grpc.calls import ask, pb, variables_of
from flowledger.api.grpc.gateway import Call, Gateway
from flowledger.api.grpc.status import Intent, invalid
from flowledger.api.grpc.tenants import for_tenant, tenant_name
from flowledger.events import commands as c
from flowledger.events.avro import encode_json

EVALUATE = Intent("EVALUATE", "Expected to evaluate decision '{0}', but no decision found for id '{0}'")
EVALUATE_KEY = Intent("EVALUATE", "Expected to evaluate decision with key '{0}', but no decision found for key '{0}'")


def matched_rule(hit: dict[str, Any]) -> Any:
    ids = hit.get("output_ids") or list(hit["outputs"])
    outputs = [
        pb.EvaluatedDecisionOutput(outputId=id, outputName=name, outputValue=encode_json(value))
        for id, (name, value) in zip(ids, hit["outputs"].items(), strict=False)
    ]
    return pb.MatchedDecisionRule(ruleId=hit.get("id") or "", ruleIndex=hit["index"], evaluatedOutputs=outputs)


def evaluated(entry: dict[str, Any], version: int, key: int, tenant: str) -> Any:
    """A decision of the trace, with its table's inputs and matched rules."""
    tables = entry.get("tables") or ()
    inputs = [
        pb.EvaluatedDecisionInput(inputId=i.get("id") or "", inputName=i.get("label") or "", inputValue=encode_json(i["value"]))
        for table in tables
        for i in table["inputs"]
    ]
    return pb.EvaluatedDecision(
        decisionKey=key,
        decisionId=entry["id"] or "",
        decisionName=entry["name"] or "",
        decisionVersion=version,
        decisionType="CONTEXT" if entry.get("entries") else "DECISION_TABLE" if tables else "LITERAL_EXPRESSION",
        decisionOutput=encode_json(entry["value"]),
        matchedRules=[matched_rule(hit) for table in tables for hit in table["matched"]],
        evaluatedInputs=inputs,
        tenantId=tenant,
    )


def _with_key(entry: dict[str, Any], family: dict[str, Any], version: int, key: int, top: dict[str, Any], tenant: str) -> Any:
    """Required decisions have keys and versions of their own."""
    found = family.get(entry["id"] or entry["name"]) or {}
    return evaluated(entry, found.get("version") or version, found.get("key") or (key if entry is top else 0), tenant)


async def evaluate_decision(g: Gateway, r: Any, call: Call) -> Any:
    caller = for_tenant(call.caller, r.tenantId)
    if r.decisionKey > 0 and r.decisionId:
        raise invalid(
            "EVALUATE", f"Expected either a decision id or a decision key, but both '{r.decisionId}' and '{r.decisionKey}' were provided"
        )
    if r.decisionKey > 0:
        intent, subject = EVALUATE_KEY, str(r.decisionKey)
    elif r.decisionId:
        intent, subject = EVALUATE, r.decisionId
    else:
        raise invalid(
            "EVALUATE",
            "Expected either a decision id or a valid decision key, but none provided",
        )
    command = c.EvaluateDecision(
        id="" if r.decisionKey > 0 else r.decisionId, key=max(r.decisionKey, 0), variables=variables_of(r.variables)
    )
    a = await ask(g, command, caller, intent, subject)
    tenant = tenant_name(caller.tenant)
    trace = [t for t in (a.get("trace") or ()) if t.get("kind", "decision") == "decision" and not t.get("given")]
    decision = str(a.get("decision") or r.decisionId)
    version = a.get("version") or 0
    key = a.get("key") or r.decisionKey
    family = a.get("decisions") or {}
    known = (g.client.definition(key) if key else None) or {}
    top = next((t for t in reversed(trace) if decision in (t["id"], t["name"])), trace[-1] if trace else {"id": decision, "name": decision})
    return pb.EvaluateDecisionResponse(
        decisionKey=max(key, 0),
        decisionId=top["id"] or decision,
        decisionName=top["name"] or known.get("name") or "",
        decisionVersion=version,
        decisionRequirementsId=str(a.get("drg") or known.get("drg") or ""),
        decisionRequirementsKey=a.get("drg_key") or known.get("drg_key") or 0,
        decisionOutput=encode_json(a.get("output")),
        evaluatedDecisions=[_with_key(t, family, version, key, top, tenant) for t in trace],
        failedDecisionId=str(a.get("failed") or ""),
        failureMessage=str(a.get("failure") or ""),
        tenantId=tenant,
        decisionInstanceKey=a.get("instance") or 0,
    )
