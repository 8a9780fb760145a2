"""Definitions: deployment, life cycle, decisions evaluated on request."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events import definition as de
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import decisions, described, lookup
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import outline
from flowledger.kernel.findings import Finding
from flowledger.kernel.handlers import arming, deployable, imports, records, removal, rollouts, spreading, triggers
from flowledger.kernel.model import canonical, protect
from flowledger.kernel.model.graph import contents
from flowledger.kernel.packs import gate
from flowledger.kernel.packs.judge import Look
from flowledger.kernel.state import Definition
from flowledger.kernel.tasks import capabilities, profiles, registry

#: API profiles of one deployment
PROFILES_MAX = 100


def deploy(d: Decision, e: c.Deploy) -> Rejected | None:
    """All or none: every resource is read first; an error in any refuses the deployment, with all findings."""
    if not e.resources:
        return Rejected(RejectionCode.INVALID_ARGUMENT, "expected at least one resource, found none")
    if wrong := described.problems(e.metadata):
        return Rejected(RejectionCode.INVALID_ARGUMENT, "; ".join(wrong))
    metadata = described.normal(e.metadata)
    graphs, findings = [], _profiles_wrong(d, e.profiles or {})
    #: what was found in each file
    told_of: dict[str, list[Any]] = {}
    #: path of a webhook -> whose it is, in this deployment
    hooks: dict[str, str] = {}
    read = [deployable.read(d, resource.name, resource.content) for resource in e.resources]
    if any(graph is not None and graph.format == "rules" for graph, _ in read) and (refused := gate.strange(d)) is not None:
        return refused
    links = imports.linked(d, e.resources, [graph for graph, _ in read])
    packs, look = gate.with_new(d, d.envelope.tenant, [graph for graph, _ in read], e.status), Look(d.facts)
    if why := gate.too_many(d, d.envelope.tenant, [graph for graph, _ in read]):
        findings.append(deployable.error("RULES_TOO_MANY", why, ""))
    for n, resource in enumerate(e.resources):
        graph, found = read[n]
        if n in links:
            found = list(links[n].findings)
        for process in graph.processes.values() if graph is not None and graph.format not in ("dmn", "form", "trigger", "rules") else ():
            if process.executable:
                found += deployable.starts(d, process, arming.start_nodes(process), resource.name)
        if graph is not None and graph.format == "trigger":
            found += triggers.findings(d, graph.trigger, resource.name, hooks)
        if packs and graph is not None and not any(f.severity == "error" for f in found):
            for process in graph.processes.values():
                if process.executable:
                    found += gate.findings(d, look, packs, process, e.metadata, resource.name, e.status == "published")
        found += capabilities.findings(d.state, d.envelope.tenant, graph, resource.name)
        found += profiles.findings(d.state, d.envelope.tenant, graph, resource.name, e.profiles or ())
        found += deployable.protects(d, graph, resource.name) + deployable.too_wide(graph, resource.name)
        findings += found
        told_of[resource.name] = found
        graphs.append((resource, graph))
        if graph is None and not any(f.severity == "error" for f in found):
            return Rejected(RejectionCode.INVALID_ARGUMENT, f"'{resource.name}' is nothing that can be deployed")
    if (refused := deployable.refused(findings)) is not None:
        return refused
    # what is imported stands before what imports it
    order = [*(n for n in range(len(graphs)) if n not in links), *links]
    wanted = [(n, *graphs[n], *row) for n in order for row in contents(graphs[n][1])]
    seen: dict[tuple[str, str], str] = {}
    for _, resource, _, kind, id, *_ in wanted:
        if (kind, id) in seen:
            return Rejected(RejectionCode.INVALID_ARGUMENT, f"{kind} '{id}' stands in '{seen[(kind, id)]}' and in '{resource.name}'")
        seen[(kind, id)] = resource.name
    if not wanted and any(f.code == "PROCESS_NOT_RUN" for f in findings):
        return Rejected(RejectionCode.MODEL_INVALID, msgspec.json.encode(findings).decode())
    if not wanted:
        return Rejected(
            RejectionCode.INVALID_ARGUMENT, "expected an executable process, a decision, a form, a trigger or a rule pack, found none"
        )
    p, tenant = d.state, d.envelope.tenant
    deployment = 0  # a key is made when an event carries it
    #: (kind, id) -> its highest version, deleted ones too: a number is never given twice
    numbers: dict[tuple[str, str], int] = {}
    for known in p.definitions.values():
        if (known.kind, known.id) in seen and known.tenant == tenant:
            numbers[known.kind, known.id] = max(known.version, numbers.get((known.kind, known.id), 0))
    answers: list[tuple[int, dict[str, Any]]] = []
    fresh: list[dict[str, Any]] = []
    written: set[str] = set()
    same: dict[tuple[str, str], Definition] = {}
    #: number of a resource -> its requirements graph
    drgs: dict[int, Definition] = {}
    for n, resource, graph, kind, id, *_ in wanted:
        newest = _same(d, e, resource.name, graph.hash, kind, id)
        if newest is not None and (n not in links or (newest.imports or {}) == imports.keys(links[n], drgs)):
            same[kind, id] = newest
            if kind == "drg":
                drgs[n] = newest
    if any((kind, id) not in same and deployable.binds_together(resource.content) for _, resource, _, kind, id, *_ in wanted):
        same, drgs = {}, {}  # what is bound to its own deployment finds the others there only when they are of it
    for n, resource, graph, kind, id, name, version_tag in wanted:
        if (old := same.get((kind, id))) is not None:
            answers.append((n, {**lookup.fields(old), "duplicate": True}))
            continue
        more = about(graph, kind, id, imports.bound(d, links.get(n), drgs))
        content = "" if graph.hash in written else resource.content
        written.add(graph.hash)
        deployment = deployment or d.key()
        event = de.DefinitionCreated(
            key=d.key(), id=id, kind=kind, version=numbers.get((kind, id), 0) + 1,
            hash=graph.hash, name=name, version_tag=version_tag, resource=resource.name, format=graph.format, deployment=deployment,
            status=e.status, content=content, metadata=metadata, validation=deployable.validation(told_of[resource.name]),
            **more,
        )  # fmt: skip
        d.record(event)
        fields = lookup.fields(p.definitions[event.key])
        answers.append((n, {**fields, "duplicate": False}))
        fresh.append({**fields, "metadata": metadata, **more})
        if kind == "drg":
            drgs[n] = p.definitions[event.key]
        if kind == "process" and e.status == "published":
            arming.open_starts(d, p.definitions[event.key])
        elif kind == "trigger":
            triggers.changed(d, tenant, id)
    # before the models are told of: whoever knows a model knows its profiles
    stored = {name: records.put(d, _profile(d, name, value)) or {} for name, value in (e.profiles or {}).items()}
    spreading.tell_others(d, fresh)
    told = [answer for _, answer in sorted(answers, key=lambda one: one[0])]  # in the order of the resources
    d.answer = {"deployment": deployment or told[0]["deployment"], "definitions": told, "findings": msgspec.to_builtins(findings)}
    if stored:
        d.answer["profiles"] = [{"name": name, "version": value["version"]} for name, value in stored.items()]
    return None


def _profile(d: Decision, name: str, value: dict[str, Any]) -> c.StoreRecord:
    tenant = d.envelope.tenant
    return c.StoreRecord(registry=profiles.REGISTRY, name=f"{tenant}/{name}" if tenant else name, value=value)


def _profiles_wrong(d: Decision, given: dict[str, dict[str, Any]]) -> list[Finding]:
    """They are the deployment's, so what is wrong with one is told with what is wrong with models, and refuses all."""
    if len(given) > PROFILES_MAX:
        return [deployable.error("PROFILE_INVALID", f"expected at most {PROFILES_MAX} API profiles, found {len(given)}", "")]
    found = []
    for name, value in given.items():
        wrong = ["expected a name without /"] if "/" in name else registry.problems(profiles.REGISTRY, _profile(d, name, value).name, value)
        found += [deployable.error("PROFILE_INVALID", f"API profile '{name[:100]}': {text}", "") for text in wrong]
    return found


def _same(d: Decision, e: c.Deploy, name: str, hash: str, kind: str, id: str) -> Definition | None:
    """The newest version, when it says the same."""
    versions = d.state.process_versions.get((d.envelope.tenant, kind, id))
    newest = d.state.definitions[versions[max(versions)]] if versions else None
    if newest is None or e.force or (newest.hash, newest.resource, newest.status) != (hash, name, e.status):
        return None
    return newest


def about(graph: Any, kind: str, id: str, bound: dict[str, Definition] | None = None) -> dict[str, Any]:
    """What the events of a definition tell of its graph. `bound`: what a decision model imports."""
    if kind in ("drg", "decision"):
        outlined = imports.told(graph, kind, bound or {})
        return {"outline": outlined} if outlined is not None else {}
    if kind == "form" and (names := protect.of_form(graph.form)):
        return {"outline": {"": {"protect": {"names": names}}}}
    if kind != "process":
        return {}
    process = graph.processes[id]
    return {"graph_hash": canonical.graph_hash(process), "outline": outline.outline(process)}


def define_elsewhere(d: Decision, e: c.DefineElsewhere) -> Rejected | None:
    for fields in e.definitions:
        known = d.state.definitions.get(fields["key"])
        if known is None:
            d.record(de.DefinitionCreated(**fields))
        elif fields.get("deleted"):
            removal.forget(d, known, "")
            continue
        else:
            # the same text can be bound to other decision models
            if known.hash != fields["hash"] or (known.kind in ("drg", "decision") and "outline" in fields):
                graph = {name: fields[name] for name in ("graph_hash", "outline") if name in fields}
                d.record(de.DefinitionUpdated(key=known.key, hash=fields["hash"], name=fields.get("name", ""), **graph))
            if known.status != fields["status"]:
                d.record(de.DefinitionStatusChanged(key=known.key, status=fields["status"]))
        found = d.state.definitions[fields["key"]]
        if found.kind == "process":
            if found.status == removal.DELETING:
                arming.close_starts(d, found.key)
            else:
                arming.open_starts(d, found)
        elif found.kind == "trigger":
            triggers.changed(d, found.tenant, found.id)
        if found.status == removal.DELETING:
            removal.count(d, found)
    for fields in e.rollouts:
        rollouts.apply(d, de.RolloutChanged(**fields))
    if e.epoch > d.state.meta.definitions:
        d.record(de.EpochReached(epoch=e.epoch))
    return None


# --- life cycle -------------------------------------------------------------------------------------------------------

#: move -> (allowed from, status after); requirements, section 2
MOVES: dict[str, tuple[frozenset[str], str]] = {
    "validate": (frozenset({"draft"}), "validated"),
    "draft": (frozenset({"validated"}), "draft"),
    "publish": (frozenset({"validated", "deprecated", "draft"}), "published"),
    "deprecate": (frozenset({"published"}), "deprecated"),
    "archive": (frozenset({"deprecated", "draft"}), "archived"),
}


def change(d: Decision, e: c.ChangeDefinition) -> Rejected | None:
    p = d.state
    found = p.definitions.get(e.key)
    if found is None or found.deleted:
        return Rejected(RejectionCode.NOT_FOUND, f"expected a definition with key {e.key}, found none")
    if found.kind == "rules" and (refused := gate.strange(d)) is not None:
        return refused
    if e.content:
        return _edit(d, e, found)
    if e.move == "delete":
        return removal.begin(d, found, e.reason)
    row = MOVES.get(e.move)
    if row is None:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected one of {', '.join(MOVES)}, found '{e.move}'")
    allowed, status = row
    if found.status not in allowed:
        return Rejected(
            RejectionCode.INVALID_STATE, f"can't {e.move} definition {e.key}: it is {found.status}, expected {' or '.join(sorted(allowed))}"
        )
    if status == "published" and found.kind == "process" and (refused := _unfit(d, found)) is not None:
        return refused
    d.record(de.DefinitionStatusChanged(key=e.key, status=status, reason=e.reason))
    if found.kind == "process":
        arming.open_starts(d, found)  # of whichever version is in force now
    elif found.kind == "trigger":
        triggers.changed(d, found.tenant, found.id)
    spreading.told(d, found)
    d.answer = {"key": e.key, "status": status}
    return None


def _unfit(d: Decision, found: Definition) -> Rejected | None:
    """What rule packs say of a draft that is to be published, or of a version that is to come back."""
    packs = gate.in_force(d, found.tenant) if d.state.packs else []
    if not packs:
        return None
    process = d.facts.processes[found.key]
    return deployable.refused(gate.findings(d, Look(d.facts), packs, process, found.metadata, found.resource))


def _edit(d: Decision, e: c.ChangeDefinition, found: Definition) -> Rejected | None:
    if found.status not in ("draft", "validated"):
        return Rejected(
            RejectionCode.INVALID_STATE, f"only drafts are edited; definition {e.key} is {found.status}: deploy the next version"
        )
    if (refused := imports.still_used(d, found, "edit")) is not None:
        return refused
    graph, findings = deployable.read(d, found.resource, e.content)
    if (linked := imports.linked(d, [c.Resource(found.resource, e.content)], [graph]).get(0)) is not None:
        findings = list(linked.findings)
    defined = [(kind, id) for kind, id, *_ in contents(graph)]
    if graph is not None and (found.kind, found.id) not in defined:
        others = ", ".join(f"{kind} '{id}'" for kind, id in defined) or "nothing that can be deployed"
        findings.append(
            deployable.error("DEFINITION_OTHER", f"expected {found.kind} '{found.id}' in the new content, found {others}", found.resource)
        )
    elif graph is not None and found.kind == "process":
        process = graph.processes[found.id]
        findings += deployable.starts(d, process, arming.start_nodes(process), found.resource)
    findings += deployable.protects(d, graph, found.resource) + deployable.too_wide(graph, found.resource)
    if d.state.packs and graph is not None and found.kind == "process" and found.id in graph.processes:
        packs, process = gate.in_force(d, found.tenant), graph.processes[found.id]
        findings += gate.findings(d, Look(d.facts), packs, process, found.metadata, found.resource, refuse=False)
    if (refused := deployable.refused(findings)) is not None:
        return refused
    more = about(graph, found.kind, found.id, imports.bound(d, linked, {}))
    if found.kind == "decision":
        more.setdefault("outline", {"": {}})  # it imports nothing any more
    found_in = deployable.validation(findings)
    d.record(
        de.DefinitionUpdated(key=e.key, hash=graph.hash, name=found.name, content=e.content, validation=found_in, reason=e.reason, **more)
    )
    if found.status == "validated":
        d.record(de.DefinitionStatusChanged(key=e.key, status="draft", reason="edited"))
    spreading.told(d, found, more)
    d.answer = {"key": e.key, "status": found.status, "findings": msgspec.to_builtins(findings)}
    return None


def evaluate(d: Decision, e: c.EvaluateDecision) -> Rejected | None:
    p, tenant = d.state, d.envelope.tenant
    found = p.definitions.get(e.key) if e.key else lookup.latest(p, tenant, "decision", e.id)
    if found is None or found.kind != "decision" or found.deleted:
        return Rejected(RejectionCode.NOT_FOUND, f"expected a decision {e.id or e.key}, found none")
    evaluation, output = decisions.evaluate(d.facts.decisions[found.key], found.id, e.variables or {}, d.facts)
    graph = next(iter(spreading.family(d, found, "drg")), None)
    d.answer = {
        **lookup.fields(found), "decision": found.id, "drg": graph.id if graph else "", "drg_key": graph.key if graph else 0,
        "decisions": {x.id: {"key": x.key, "version": x.version} for x in spreading.family(d, found, "decision")}, "output": output, "trace": evaluation.trace,
        "warnings": [str(getattr(w, "message", w)) for w in evaluation.warnings], "evaluation_key": (p.meta.partition << c.PARTITION_BITS) | p.meta.counter + 1,
    }  # fmt: skip
    return None
