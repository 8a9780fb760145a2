"""Where decisions ask what rule packs say: at the deployment of a model, the start of an instance, the completion, hand-over or skipping of a task.

Asked only of tenants that have packs. What a rule refuses is rejected as a whole, and its verdicts are told beside the refusal; all other verdicts are
events of the decision. Where nobody hears of a refusal (a start by an event), they are, too.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.events.base import Rejected, RejectionCode
from flowledger.events.rules import RuleJudged
from flowledger.kernel import lookup, protection
from flowledger.kernel.access.rights import RULES, SIGNED_IN, may
from flowledger.kernel.findings import Finding
from flowledger.kernel.model.graph import Graph, Process
from flowledger.kernel.packs import contexts, judge
from flowledger.kernel.packs.judge import InForce, Look, Refused, Verdict
from flowledger.kernel.state import Definition, Instance, Task
from flowledger.kernel.tasks import duties, privacy

#: packs of one tenant
PACKS_MAX = 20
#: what a rule reads, for which it is noted who does what
_NOTES = frozenset(("done_by", "earlier", "started_by"))
_SEVERITY = {"info": "info", "warn": "warning", "refuse": "error"}


def in_force(d: Any, tenant: str) -> list[InForce]:
    """By name. Raises: NotAtHand."""
    found = []
    for name in sorted(d.state.packs.get(tenant) or ()):
        definition = lookup.latest(d.state, tenant, "rules", name)
        if definition is not None:
            found.append(InForce(d.facts.rules[definition.key], definition.version, definition.key))
    return found


def strange(d: Any) -> Rejected | None:
    """Why the caller may not change rule packs, when they may change other definitions: whom a rule binds doesn't take it away."""
    request = d.request
    if request is None or request.sender >= 0 or not may(request, SIGNED_IN) or may(request, RULES):
        return None
    return Rejected(RejectionCode.FORBIDDEN, "the right rules:write was expected, to deploy, change or delete a rule pack")


# --- models --------------------------------------------------------------------------------------------------------------------------------


def with_new(d: Any, tenant: str, graphs: list[Graph | None], status: str) -> list[InForce]:
    """Those in force once these files are deployed."""
    packs = {one.pack.name: one for one in in_force(d, tenant)}
    if status == "published":
        now = {d.state.definitions[one.definition].hash for one in packs.values()}
        packs |= {g.rules.name: InForce(g.rules) for g in graphs if g is not None and g.format == "rules" and g.hash not in now}
    return [packs[name] for name in sorted(packs)]


def too_many(d: Any, tenant: str, graphs: list[Graph | None]) -> str:
    """Why there may be no more packs; empty: there may."""
    names = {*(d.state.packs.get(tenant) or ()), *(g.rules.name for g in graphs if g is not None and g.format == "rules")}
    return f"expected at most {PACKS_MAX} rule packs, found {len(names)}" if len(names) > PACKS_MAX else ""


def findings(d: Any, look: Look, packs: list[InForce], process: Process, metadata: Any, file: str, refuse: bool = True) -> list[Finding]:
    """What packs say of a model, as findings. `refuse` False (of a draft): what would refuse it is a warning, since it can't be started yet."""
    sees = contexts.model(process, contexts.tags(metadata, process))
    retention = contexts.retention(d.state.registry.get(privacy.RETENTION) or {}, d.envelope.tenant)
    out = []
    for verdict in judge.of_model(look, packs, sees, retention):
        severity = "error" if verdict.refuses else _SEVERITY[verdict.rule.severity] if verdict.outcome == judge.VIOLATED else "info"
        if verdict.outcome == judge.BROKEN and not verdict.refuses:
            severity = "warning"
        elif severity == "error" and not refuse:
            severity = "warning"
        node = process.nodes.get(verdict.element)
        code = {judge.BROKEN: "RULE_BROKEN", judge.HELD: "RULE_HELD"}.get(verdict.outcome, "RULE_VIOLATED")
        text = (
            f"process '{process.id}': {verdict.text}" if verdict.outcome != judge.HELD else f"process '{process.id}' keeps: {verdict.text}"
        )
        out.append(Finding(
            code, text, severity, verdict.element or process.id, node.line if node else process.line, node.column if node else 1,
            "docs/rules.md; `flowledger rules show` has the rule", file,
        ))  # fmt: skip
    return out


# --- instances -----------------------------------------------------------------------------------------------------------------------------


def at_start(d: Any, s: c.StartInstance, found: Definition, process: Process) -> list[Verdict]:
    """Raises: Failure KEYS_AWAY; Heavy, NotAtHand."""
    packs = in_force(d, d.envelope.tenant)
    if not packs:
        return []
    variables: Any = {**(s.variables or {}), **(s.start_payload or {})}
    if d.state.protection and any("variables" in r.reads for p in packs for r in p.pack.rules if r.on == "instance"):
        variables = protection.opened_values(d, variables)
    sees = {
        "process": _process(found, process), "actor": d.envelope.actor or None, "business_key": s.business_key or None, "called": bool(s.parent),
        "variables": variables,
    }  # fmt: skip
    return list(judge.of_instance(Look(d.facts), packs, sees))


def events(found: list[Verdict], at: str, key: int, process: str, task: int = 0) -> list[RuleJudged]:
    return [v.event(at, key, process, task) for v in found]


def note_start(d: Any, i: Instance) -> None:
    """Who started it, where a rule wants to know."""
    if d.envelope.actor and notes(d, i):
        d.record(fl.TokenNoted(key=i.key, token=i.key, data={duties.NOTED: [contexts.bare(d.envelope.actor)]}))


def notes(d: Any, i: Instance) -> bool:
    """Whether who does what is to be noted of this instance."""
    found = d.state.definitions[i.definition]
    tags = contexts.tags(found.metadata, d.facts.processes[i.definition])
    return any(
        rule.on == "task" and not _NOTES.isdisjoint(rule.reads) and rule.about(i.process, tags)
        for one in in_force(d, i.tenant)
        for rule in one.pack.rules
    )


def _process(found: Definition, process: Process) -> dict[str, Any]:
    return contexts.process(found.id, found.name, found.version, found.version_tag, contexts.tags(found.metadata, process))


# --- tasks ---------------------------------------------------------------------------------------------------------------------------------


def on_task(d: Any, task: Task, at: str, assignee: str, result: dict[str, Any] | None = None) -> Refused | None:
    """Why not; None: it may be, and what rules say beside is recorded. `assignee`: who has it, or is to have it.

    Raises: Failure KEYS_AWAY; Heavy, NotAtHand.
    """
    packs = in_force(d, task.tenant)
    if not packs:
        return None
    i = d.state.instances.get(task.instance)
    found = d.state.definitions[i.definition] if i is not None else None
    graph = d.facts.processes[i.definition] if i is not None else None
    process = _process(found, graph) if found is not None and graph is not None else contexts.process("", "", 0, "", [])
    node = graph.nodes.get(task.element) if graph is not None else None
    rules = judge.rules_of_task(packs, process, task.element, (node.kind if node is not None else "", task.type), at)
    if not rules:
        return None
    done = contexts.done_by(i.stores if i is not None else None)
    sees = {
        "process": process, "instance_key": str(i.key) if i is not None else None, "business_key": (i.business_key or None) if i is not None else None,
        "task": task_seen(task, node.name if node is not None else "", node.kind if node is not None else ""), "actor": contexts.bare(d.envelope.actor) or None,
        "assignee": contexts.bare(assignee) or None, "at": at, "done_by": {k: v for k, v in done.items() if k}, "earlier": contexts.earlier(done, task.element),
        "started_by": next(iter(done.get("", ())), None), "variables": {}, "result": result or {},
    }  # fmt: skip
    if any("variables" in rule.reads for _, rule in rules):
        seen = d.variables(i, task.token) if i is not None else protection.opened_values(d, task.vars or {})
        sees["variables"] = {**seen, **(result or {})}
    verdicts = list(judge.of_task(Look(d.facts), rules, sees))
    said = events(verdicts, at, task.instance, process["id"], task.key)
    if (refused := judge.refusal(verdicts, said)) is not None:
        return refused
    for event in said:
        d.record(event)
    return None


def task_seen(task: Task, name: str, kind: str) -> dict[str, Any]:
    details = task.details or {}
    return {
        "key": str(task.key), "element": task.element, "name": details.get("name") or name, "type": task.type, "kind": kind, "job_type": task.job_type,
        "priority": task.priority, "candidate_groups": details.get("candidate_groups") or [], "candidate_users": details.get("candidate_users") or [],
        "created_us": task.created_us,
    }  # fmt: skip


def assignee_of(task: Task) -> str:
    return str((task.details or {}).get("assignee") or "")


#: moves of tasks that rules look at -> the moment
MOVES = {**dict.fromkeys(duties.GIVING, "assign"), "skip": "skip"}
