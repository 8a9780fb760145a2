"""Folds of `workflow.*` and `variable.set`."""

from __future__ import annotations

from heapq import heappush
from typing import Any

from flowledger.events import workflow as wf
from flowledger.events.base import Envelope
from flowledger.kernel.folds import control
from flowledger.kernel.folds.holds import offer, tasks_of, withhold
from flowledger.kernel.folds.tokens import add_token, drop_held, holder_of, kid_added, move_token, seen_key, spawned
from flowledger.kernel.state import Compensable, Instance, Partition, Token
from flowledger.kernel.stored import from_json
from flowledger.kernel.tasks import quotas
from flowledger.kernel.undo import drop, drop_queued, keep, new, put, update


def workflow_created(p: Partition, e: wf.WorkflowCreated, v: Envelope) -> None:
    seen_key(p, e.key)
    i = Instance(
        key=e.key, process=e.process, definition=e.definition, version=e.version, business_key=e.business_key, status="pending",
        priority=e.priority, vars=dict(e.variables or {}), tokens={}, tenant=v.tenant, correlation=v.correlation, trace=v.trace,
        request=e.request, root=e.key,
    )  # fmt: skip
    put(p, p.instances, e.key, i)
    put(p, p.pending, e.key, None)
    if p.quotas:
        quotas.created(p, i)


def workflow_started(p: Partition, e: wf.WorkflowStarted, v: Envelope) -> None:
    seen_key(p, e.key)
    if p.pending:
        drop_queued(p, p.pending, e.key)
    key, variables, token = e.key, e.variables, e.token
    before = p.instances.get(key)
    # with more than 15 keywords CPython makes a dict of them first, which costs three times as much as the rest
    i = Instance(
        key=key, process=e.process, definition=e.definition, version=e.version, business_key=e.business_key, priority=e.priority,
        root=e.root or key, tenant=v.tenant, correlation=v.correlation, trace=v.trace, started_us=v.time_us,
        vars=dict(variables) if variables else {}, tokens={token: Token(key=token, scope=key, element=e.element)} if token else {},
        kids=[token] if token else None, metadata=e.metadata,
    )  # fmt: skip
    if e.parent or e.parent_token:
        i.parent, i.parent_token = e.parent, e.parent_token
    if token:
        seen_key(p, token)
    if before is not None:  # it was pending: what was attached meanwhile is its own
        i.row_version, i.files = before.row_version + 1, before.files
        put(p, p.instances, key, i)
    else:
        new(p, p.instances, key, i)
    if p.quotas:
        quotas.began(p, i)


def workflow_ended(p: Partition, e: Any, v: Envelope) -> None:
    i = drop(p, p.instances, e.key)
    if i is None:
        return
    tokens = i.tokens
    if p.undo is not None:
        p.undo.append((_unended, i, tokens, i.kids))
    i.tokens, i.kids = {}, None
    for token in tokens.values():
        for held in token.holds or ():
            drop_held(p, i, held)
    for held in i.holds or ():
        drop_held(p, i, held)
    if p.unsettled:
        drop(p, p.unsettled, e.key)
    if p.holding:
        control.ended(p, i)
    p.weights.pop(e.key, None)
    if i.status == "pending":
        drop_queued(p, p.pending, e.key)
    if p.quotas:
        quotas.ended(p, i)


def _unended(i: Instance, tokens: dict[int, Token], kids: Any) -> None:
    i.tokens, i.kids = tokens, kids


def workflow_paused(p: Partition, e: Any, v: Envelope) -> None:
    i = p.instances[e.key]
    keep(p, i)
    i.paused = True
    for task in tasks_of(p, i):
        withhold(p, task)


def workflow_unpaused(p: Partition, e: Any, v: Envelope) -> None:
    i = p.instances[e.key]
    keep(p, i)
    i.paused = False
    for task in tasks_of(p, i):
        offer(p, task)


def workflow_suspended(p: Partition, e: Any, v: Envelope) -> None:
    i = p.instances[e.key]
    keep(p, i)
    if i.status == "quarantined":
        i.before = "suspended"
    else:
        i.status = "suspended"
    control.still(p, i)
    for task in tasks_of(p, i):
        withhold(p, task)


def workflow_kept(p: Partition, e: wf.WorkflowKept, v: Envelope) -> None:
    control.kept(p, p.instances[e.key], e.command, v)


def workflow_resumed(p: Partition, e: wf.WorkflowResumed, v: Envelope) -> None:
    i = p.instances[e.key]
    keep(p, i)
    if i.status == "quarantined":
        i.before = "running"
    else:
        i.status = "running"
    if not e.drains:
        i.kept = i.kept_for = None
    control.still(p, i)
    for task in tasks_of(p, i):
        offer(p, task)


def workflow_quarantined(p: Partition, e: wf.WorkflowQuarantined, v: Envelope) -> None:
    i = p.instances[e.key]
    for task in tasks_of(p, i):
        withhold(p, task)
    keep(p, i)
    i.before, i.status, i.quarantine = i.status, "quarantined", e.incident
    control.still(p, i)


def workflow_released(p: Partition, e: wf.WorkflowReleased, v: Envelope) -> None:
    """What came due meanwhile is due now."""
    i = p.instances[e.key]
    keep(p, i)
    i.status, i.before, i.quarantine = e.status, "", 0
    if e.status == "running" and not e.drains:
        i.kept = i.kept_for = None
    control.still(p, i)
    for task in tasks_of(p, i):
        offer(p, task)
    holders: list[Instance | Token] = [i, *i.tokens.values()]
    for holder in holders:
        for key in holder.holds or ():
            if (timer := p.timers.get(key)) is not None:
                heappush(p.due, (timer.due_us, key))


def workflow_migrated(p: Partition, e: wf.WorkflowMigrated, v: Envelope) -> None:
    i = p.instances[e.key]
    keep(p, i)
    i.definition, i.process, i.version = e.definition, e.process, e.version
    renamed = e.elements or {}
    holders: list[Any] = [i, *i.tokens.values()]
    for token in i.tokens.values():
        keep(p, token)
        token.element = renamed.get(token.element, token.element)
        token.flow = renamed.get(token.flow, token.flow)
    for holder in holders:
        for held in holder.holds or ():
            for table in (p.tasks, p.timers, p.subscriptions, p.incidents):
                if held in table:
                    keep(p, table[held])
                    table[held].element = renamed.get(table[held].element, table[held].element)
    for kept in (i.compensable or {}).values():
        for c in kept:
            keep(p, c)
            c.element, c.handler = renamed.get(c.element, c.element), renamed.get(c.handler, c.handler)
    for key, scope, element in e.opened or ():
        seen_key(p, key)
        add_token(p, i, Token(key=key, scope=scope, element=element))
    for text, scope in (e.moved or {}).items():
        move_token(p, i, int(text), scope)
    for key, index, data, spawns in e.loops or ():
        _looped(p, i, i.tokens[key], index, data, spawns)


def _looped(p: Partition, i: Instance, token: Token, index: int, data: Any, spawns: bool) -> None:
    keep(p, token)
    token.index = index
    spawned(p, i, token.key)
    if data is not None:
        token.data, token.results = {**(token.data or {}), **data}, token.results or {}
    if spawns:
        keep(p, i)
        i.spawning = [*(i.spawning or ()), token.key]


def workflow_rolled_back(p: Partition, e: wf.WorkflowRolledBack, v: Envelope) -> None:
    """Tokens that stay keep what they hold; those that don't were withdrawn before."""
    i = p.instances[e.key]
    keep(p, i)
    before, i.tokens, i.kids = i.tokens, {}, None
    i.definition, i.process, i.version = e.definition, e.process, e.version
    i.vars, i.stores = dict(e.variables or {}), e.stores
    i.compensable = {int(k): from_json(kept, list[Compensable]) for k, kept in (e.compensable or {}).items()} or None
    i.spawning = list(e.spawning) or None
    for token in sorted(from_json(e.tokens, list[Token]), key=lambda t: t.key):
        seen_key(p, token.key)
        if (stays := before.get(token.key)) is not None:
            token.holds = stays.holds
        i.tokens[token.key] = token
    for token in i.tokens.values():
        kid_added(p, holder_of(i, token.scope), token.key)


def workflow_modified(p: Partition, e: wf.WorkflowModified, v: Envelope) -> None:
    """Says why; the tokens' events follow."""


def workflow_files_changed(p: Partition, e: wf.WorkflowFilesChanged, v: Envelope) -> None:
    if (i := p.instances.get(e.key)) is not None:
        keep(p, i)
        i.files = e.files or None


def variable_set(p: Partition, e: wf.VariableSet, v: Envelope) -> None:
    i = p.instances.get(e.key)
    if i is None:
        return
    if e.scope == i.key:
        update(p, i.vars, e.variables)
    elif (token := i.tokens.get(e.scope)) is not None:
        if token.vars is None:
            keep(p, token)
            token.vars = dict(e.variables)
        else:
            update(p, token.vars, e.variables)
