"""Instances: start, end, control, variables, changes by operators."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.events import ledger as le
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import business, holding, limits, lookup, rollouts, undo
from flowledger.kernel.decision import Decision
from flowledger.kernel.elements import conditional, events, loops, placing, start_event
from flowledger.kernel.elements.triggers import error, escalation
from flowledger.kernel.expressions import Failure
from flowledger.kernel.folds import answers
from flowledger.kernel.handlers import holds, keeping
from flowledger.kernel.model.graph import Node, Process, implicit_starts
from flowledger.kernel.moves.activity import apply_mappings
from flowledger.kernel.packs import gate, judge
from flowledger.kernel.packs.judge import Verdict
from flowledger.kernel.protection import KEYS_AWAY
from flowledger.kernel.state import Definition, Instance
from flowledger.kernel.tasks import forms, quotas
from flowledger.kernel.undo import drop


def not_found(what: str, key: object) -> Rejected:
    return Rejected(RejectionCode.NOT_FOUND, f"expected {what} {key}, found none")


def find_definition(d: Decision, s: c.StartInstance) -> Definition | Rejected:
    p, tenant = d.state, d.envelope.tenant
    if s.definition:
        found = p.definitions.get(s.definition)
        if found is None or found.kind != "process" or (found.tenant != tenant and found.tenant):
            return not_found("a process definition with key", s.definition)
    elif s.version:
        found = lookup.of_version(p, tenant, "process", s.id, s.version)
        if found is None:
            return not_found("a process with id and version", f"'{s.id}', {s.version}")
    elif s.version_tag:
        found = lookup.of_tag(p, tenant, "process", s.id, s.version_tag)
        if found is None:
            return not_found("a process with id and version tag", f"'{s.id}', '{s.version_tag}'")
    else:
        found = lookup.newest(p, tenant, "process", s.id)
        if found is None:
            return not_found("a published process with id", f"'{s.id}'")
    if found.deleted or (found.status == "deleting" and s.parent):
        return not_found("a process definition with key", found.key)
    if found.status != "published" and not s.parent:
        return Rejected(
            RejectionCode.INVALID_STATE, f"expected a published definition, found '{found.id}' version {found.version} {found.status}"
        )
    return found if not p.rollouts else rollouts.at_start(p, s, found, _who(d, s))


def _who(d: Decision, s: c.StartInstance) -> str:
    """By what a new root start is on one side of a ramp; the key is the one that it will get."""
    meta = d.state.meta
    return s.business_key or (d.request.id if d.request is not None else "") or str(meta.partition << c.PARTITION_BITS | meta.counter + 1)


def start(d: Decision, s: c.StartInstance) -> Rejected | None:
    found = find_definition(d, s)
    if isinstance(found, Rejected):
        if s.parent:  # the caller waits: it must hear of it
            d.send(
                c.partition_of_key(s.parent),
                c.ChildEnded(parent=s.parent, parent_token=s.parent_token, child=0, status="refused", message=found.message),
            )
            return None
        return found
    if (wide := _too_wide(s.metadata)) is not None:
        return wide
    process = d.facts.processes[found.key]
    starts = process.by_hand
    at: list[Node] = []
    if s.start_element:
        at = [process.nodes[s.start_element]]
    elif s.start_at:
        nothing = Instance(key=0, process=process.id, definition=found.key, version=found.version)
        for element in s.start_at:
            scope = placing.problem(process, element) or placing.scope_of(nothing, process.nodes[element], 0)
            if isinstance(scope, str):
                return Rejected(RejectionCode.INVALID_ARGUMENT, f"can't start at '{element}': {scope}")
    else:
        at = starts or implicit_starts(process.root)
        if process.root.starts and not starts:
            return Rejected(
                RejectionCode.INVALID_STATE,
                f"expected process '{process.id}' to have a none start event, found only events that start it: {_kinds(process)}",
            )
        if not at:
            return Rejected(RejectionCode.INVALID_STATE, f"process '{process.id}' has nothing to start with")
    if not s.start_element and not s.parent:
        for node in at:
            if start_event.FORM in node.properties:
                if (refused := _form_refused(d, s, found, at)) is not None:
                    return refused
                break
    if who := [n.properties[start_event.INITIATOR] for n in at if start_event.INITIATOR in n.properties]:
        s = msgspec.structs.replace(s, variables={**(s.variables or {}), **dict.fromkeys(who, d.envelope.actor or None)})
    held = holding.of_start(d.state, d.envelope.tenant, found) if d.state.holding else None
    if held is not None and held.starts == "refuse" and not s.parent:
        return Rejected(RejectionCode.INVALID_STATE, f"new instances of '{found.id}' are refused: {holding.why(held)}")
    waits = bool(d.state.quotas) and not s.parent and quotas.waits(d.state, d.envelope.tenant, d.facts.now_us)
    if waits and not s.start_element and (full := quotas.full(d.state, d.envelope.tenant)) is not None:
        return full
    judged: list[Verdict] = []
    if d.state.packs and (judged := gate.at_start(d, s, found, process)):
        refused = judge.refusal(judged, gate.events(judged, "start", 0, found.id))
        if refused is not None:
            return _refused_by_rule(d, s, refused)
    key = d.key()
    answer = {"key": key, "definition": found.key, "process": found.id, "version": found.version, "status": "running"}
    if held is not None or waits or (d.facts.instances_max and d.state.open >= d.facts.instances_max and not s.parent):
        d.record(
            wf.WorkflowCreated(
                key=key, process=found.id, definition=found.key, version=found.version, business_key=s.business_key, variables=s.variables,
                priority=s.priority, request=msgspec.to_builtins(s),
            )
        )  # fmt: skip
        d.answer = {**answer, "status": "pending"}
    else:
        d.answer = answer
        i = begin(d, key, found, process, s, at)
        if d.state.packs:
            gate.note_start(d, i)
    for event in gate.events(judged, "start", key, found.id) if judged else ():
        d.record(event)
    return None


def _refused_by_rule(d: Decision, s: c.StartInstance, refused: judge.Refused) -> Rejected | None:
    """Who asks hears of it; a caller that waits elsewhere does, too; an event that starts instances starts none. Of these the log is told here."""
    if not s.parent and not s.start_element:
        return refused
    for event in refused.verdicts:
        d.record(event)
    if s.parent:
        answer = c.ChildEnded(parent=s.parent, parent_token=s.parent_token, child=0, status="refused", message=refused.message)
        d.send(c.partition_of_key(s.parent), answer)
    return None


def _form_refused(d: Decision, s: c.StartInstance, found: Definition, at: list[Node]) -> Rejected | None:
    """The form of the start event, when somebody starts the process by hand."""
    said = next(form for n in at if (form := n.properties.get(start_event.FORM)) is not None)
    nothing = Instance(key=0, process=found.id, definition=found.key, version=found.version, tenant=found.tenant)
    return forms.refused(d, nothing, said, s.variables or {}, {}, f"the start form of '{found.id}'")


def start_by_event(d: Decision, by: Any, payload: dict[str, Any] | None, business_key: str = "") -> int:
    """An event that starts instances has occurred (`by`: its subscription or timer). Returns the new instance's key, 0 when there is none.

    A start event with several definitions of which all must occur gathers them first; per business key where messages carry one.
    """
    node = d.facts.processes[by.definition].nodes[by.element]
    if len(node.events) > 1 and isinstance(node.config, dict) and node.config.get("parallel"):
        name = f"{by.definition}/{by.element}/{business_key}"
        before = d.state.records.get(("parallel_start", name)) or {"which": [], "variables": {}}
        seen = sorted({*before["which"], by.which})
        payload = {**before["variables"], **(payload or {})}
        complete = len(seen) == len(node.events)
        d.record(le.RecordStored(registry="parallel_start", name=name, value=None if complete else {"which": seen, "variables": payload}))
        if not complete:
            return 0
    d.answer = {}
    start(d, c.StartInstance(definition=by.definition, start_element=by.element, start_payload=payload or None, business_key=business_key))
    return int(d.answer.get("key", 0))


def _started_within(d: Decision, i: Instance, token: int, node: Node) -> None:
    """What started the instance is no start event: it has occurred already. Behind a parallel event gateway the others are still to occur."""
    d.record(fl.TokenNoted(key=i.key, token=token, data={"received": True, "ready": True}))
    gateway = node.incoming[0].source if node.incoming else None
    if gateway is not None and gateway.kind == "eventBasedGateway" and gateway.config["type"] == "Parallel":
        for flow in gateway.outgoing:
            if flow.target is not node:
                kid = d.key()
                d.record(fl.ElementActivated(key=i.key, token=kid, scope=i.key, element=flow.target.id))
                d.push(i, kid)


def _too_wide(metadata: Any) -> Rejected | None:
    """What an instance is called is never cut."""
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or len(name) <= limits.TITLE_MAX:
        return None
    return Rejected(RejectionCode.INVALID_ARGUMENT, f"metadata.name: expected at most {limits.TITLE_MAX} characters, found {len(name)}")


def _kinds(process: Process) -> str:
    return ", ".join(f"{n.id} ({n.events[0].kind})" for n in process.root.starts if n.events)


def begin(d: Decision, key: int, found: Definition, process: Process, s: c.StartInstance, at: list[Node]) -> Instance:
    token = d.key() if len(at) == 1 else 0
    d.record(
        wf.WorkflowStarted(
            key=key, process=found.id, definition=found.key, version=found.version, business_key=s.business_key, variables=s.variables,
            priority=s.priority, parent=s.parent, parent_token=s.parent_token, root=s.root, token=token, element=at[0].id if token else "",
            metadata=s.metadata if not s.wait else asked_by(d, s.metadata, s.fetch),
        )
    )  # fmt: skip
    i = d.state.instances[key]
    for file in s.files or ():
        files = [*(i.files or ()), {**file, "by": d.envelope.actor, "at_us": d.facts.now_us}]
        d.record(wf.WorkflowFilesChanged(key=key, name=file["name"], files=files))
    if process.states is not None:
        business.start(d, i, process)
    if s.parent:
        _tell_parent(d, s, key)
    if token:
        d.push(i, token)
        if s.start_payload:
            d.set_variables(i, token, s.start_payload, local=True)
        if s.start_element and at[0].kind != "startEvent":
            _started_within(d, i, token, at[0])
    else:
        for node in at:
            kid = d.key()
            d.record(fl.ElementActivated(key=key, token=kid, scope=key, element=node.id))
            d.push(i, kid)
    if process.root.event_subs:
        try:
            if token and s.start_payload:  # what starts the instance is there when its event sub-processes begin to wait
                told = apply_mappings(d, i, token, at[0].outputs, key) if at[0].outputs else s.start_payload
                d.set_variables(i, key, told, local=True)
            events.open_event_subs(d, i, key, process.root)
        except Failure as failure:
            first = next(iter(i.tokens.values()), None)
            if first is not None:
                d.incident(i, first, failure)
    for element in s.start_at or ():
        placing.place(d, i, process.nodes[element], {})
    if s.start_at:
        placing.changed(d, i)
    if process.conditional:
        conditional.watch(d)
    return i


def asked_by(d: Decision, metadata: dict[str, Any] | None, fetch: list[str] | None) -> dict[str, Any] | None:
    """A caller waits for the end: its id is kept, so that it can ask again."""
    if d.request is None or not d.request.id:
        return metadata
    return {**(metadata or {}), "$request": asked(d.request, fetch)}


def asked(request: c.Request, fetch: list[str] | None) -> dict[str, Any]:
    return {"id": request.id, "digest": answers.digest(request).hex(), **({"fetch": fetch} if fetch else {})}


def _tell_parent(d: Decision, s: c.StartInstance, key: int) -> None:
    d.send(c.partition_of_key(s.parent), c.ChildEnded(parent=s.parent, parent_token=s.parent_token, child=key, status="started"))


def child_ended(d: Decision, e: c.ChildEnded) -> Rejected | None:
    i = d.state.instances.get(e.parent)
    token = i.tokens.get(e.parent_token) if i is not None else None
    if i is None or token is None:
        if e.status == "started":
            d.send(c.partition_of_key(e.child), c.CancelInstance(key=e.child, reason="its caller is gone", force=True))
            return None
        return not_found("a waiting call activity", e.parent_token)
    node = d.process(i).nodes[token.element]
    if e.status == "started":
        d.record(fl.TokenNoted(key=i.key, token=token.key, data={"child": e.child}))
        if d.state.holding:  # it was on its way when its caller was stopped
            holds.tell_called(d, i, e.child)
    elif d.state.holding and keeping.keep(d, i, e, token.key):
        return None
    elif e.status == "escalated":
        escalation.throw_code(d, i, token, token.element, e.error, e.variables)
    elif e.status == "completed":
        d.record(fl.TokenNoted(key=i.key, token=token.key, data={"child": None, "ready": True}))
        config = node.config if isinstance(node.config, dict) else {}
        if e.variables and config.get("all_out", True):
            if config.get("classic"):  # what was passed in is no local variable of the call there
                d.set_variables(i, token.scope, e.variables)
            if node.outputs:
                d.set_variables(i, token.key, e.variables, local=True)
            elif not config.get("classic"):
                d.set_variables(i, token.key, e.variables)
        elif e.variables and (node.outputs or node.listeners):  # mappings and end listeners see them
            d.set_variables(i, token.key, e.variables, local=True)
        d.push(i, token.key)
    else:
        d.record(fl.TokenNoted(key=i.key, token=token.key, data={"child": None}))
        try:
            if not e.error:
                raise Failure("CALLED_INSTANCE_ENDED", f"the called instance {e.child or ''} was {e.status}: {e.message}".rstrip(": "))
            error.throw_code(d, i, token, e.error, e.message, e.variables)
        except Failure as failure:
            d.incident(i, token, failure)
    return None


def go_on(d: Decision, e: c.Continue) -> Rejected | None:
    i = d.state.instances.get(e.key)
    if i is None:
        return not_found("an instance with key", e.key)
    if i.status == "pending":
        if d.facts.instances_max and d.state.open >= d.facts.instances_max:
            return Rejected(RejectionCode.RESOURCE_EXHAUSTED, "no place is free")
        if not holding.may_begin(d.state, e.key, d.facts.now_us):
            if (quota := quotas.of(d.state, i.tenant)) is not None:  # what was free for it is another's
                undo.add(d.state, d.state.unsettled_limits, quota.target)
            d.let_next_in()
            return None
        s = msgspec.convert(i.request or {}, c.StartInstance)
        found = d.state.definitions[i.definition]
        process = d.facts.processes[found.key]
        at = [n for n in process.root.starts if not n.events] or implicit_starts(process.root)
        begin(d, e.key, found, process, s, [process.nodes[s.start_element]] if s.start_element else [] if s.start_at else at)
        d.let_next_in()
        return None
    stopped = d.state.unsettled.get(i.key, True)
    drop(d.state, d.state.unsettled, i.key)
    if i.status == "running" and not (d.state.holding and holding.frozen(d.state, i)):
        loops.spawn_more(d, i)
        if stopped:
            d.settle(i)
        if i.kept:
            d.run()
            keeping.drain(d, i)
    return None


def set_variables(d: Decision, e: c.SetVariables) -> Rejected | None:
    i, scope = lookup.holder(d.state, e.key), e.key
    if i is None:
        return not_found("a running instance or token with key", e.key)
    try:
        d.set_variables(i, scope, e.variables, local=e.local or scope == i.key, reason=e.reason)
    except Failure as failure:
        if failure.code == KEYS_AWAY:  # no fault of the variables: it may be asked again as it is
            raise
        return Rejected(RejectionCode.INVALID_STATE, failure.message)
    d.answer = {"key": scope}
    process = d.process(i)
    if process.conditional:
        conditional.watch(d)
    return None


def activate_ad_hoc(d: Decision, e: c.AdHocActivate) -> Rejected | None:
    i = lookup.holder(d.state, e.token)
    if i is None or e.token not in i.tokens:
        return not_found("an ad-hoc sub-process with key", e.token)
    from flowledger.kernel.elements import ad_hoc_sub_process

    return ad_hoc_sub_process.activate(d, i, i.tokens[e.token], e)


def inbound(d: Decision) -> None:
    assert d.request is not None
    d.record(le.Inbound(sender=d.request.sender, seq=d.request.seq))
