"""Registries that all partitions share, and confirmations of sends."""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import advice, kpis, saved_reports, tenants
from flowledger.kernel.access.rights import ANY_TENANT, may
from flowledger.kernel.decision import Decision
from flowledger.kernel.tasks import advised, approvals, index, privacy, registry, saved_views


def store(d: Decision, e: c.StoreRecord) -> Rejected | None:
    if not e.registry or not e.name:
        return Rejected(RejectionCode.INVALID_ARGUMENT, "expected a registry and a name")
    if e.registry == tenants.REGISTRY and not e.relayed:
        return Rejected(RejectionCode.INVALID_ARGUMENT, "expected ControlTenant for a tenant")
    if not e.relayed and (wrong := registry.problems(e.registry, e.name, e.value)):
        return Rejected(RejectionCode.INVALID_ARGUMENT, "; ".join(wrong))
    if why := privacy.held(d.state, e.registry, e.name, e.value) or privacy.too_many(d.state, e.registry, e.name, e.value):
        return Rejected(RejectionCode.INVALID_STATE, why)
    if why := approvals.refused(d.state, e.registry, e.name, e.value, d.envelope.actor, d.facts.now_us):
        return Rejected(RejectionCode.INVALID_STATE, why)
    if e.registry == advice.REGISTRY and (why := advice.decided((d.state.registry.get(e.registry) or {}).get(e.name), e.value)):
        return Rejected(RejectionCode.INVALID_STATE, why)
    d.answer = {"registry": e.registry, "name": e.name}
    first = put(d, e)
    if first is not None and e.registry in registry.VERSIONED and "version" in first:
        d.answer["version"] = first["version"]
    return None


def put(d: Decision, e: c.StoreRecord) -> dict[str, Any] | None:
    """Here and, where others look at it, at all partitions. What holds under the record's own name then."""
    rows = [(e.name, e.value)] if e.relayed else registry.stored_as(d.state, e.registry, e.name, e.value, d.facts.now_us)
    for name, value in rows:
        d.record(le.RecordStored(registry=e.registry, name=name, value=value))
        for to in range(0 if e.relayed or e.registry in HERE else d.state.meta.partitions):
            if to != d.state.meta.partition:
                d.send(to, c.StoreRecord(registry=e.registry, name=name, value=value, relayed=True))
    return rows[0][1]


#: registries that no decision looks at: they are told to nobody else
HERE = frozenset(
    {
        "identity",
        saved_views.REGISTRY,
        saved_reports.REGISTRY,
        advice.REGISTRY,
        privacy.ERASURES,
        privacy.HOLDS,
        privacy.RETENTION,
        approvals.REGISTRY,
    }
)
#: registries without records for all: what has no tenant in its name is the operator's
APART = HERE | {privacy.CONSENTS}
#: registries that may be read from outside
READABLE = frozenset(
    {
        "directory",
        "task_definition",
        "limit",
        "capability",
        "profile",
        saved_views.REGISTRY,
        privacy.ERASURES,
        privacy.HOLDS,
        privacy.CONSENTS,
        kpis.REGISTRY,
        saved_reports.REGISTRY,
        advice.REGISTRY,
        privacy.RETENTION,
        approvals.REGISTRY,
        tenants.REGISTRY,
        "breaker",
        "history",
        "round_robin",
    }
)
LIST_MAX = 1_000
#: no registry: which definition the open instances of this partition run, asked by keys with commas between (`prefix`)
INSTANCES = "instance"
#: no registry either: whom an open task of this partition, whose key is `prefix`, would best go to
RECOMMENDATIONS = "recommendation"


def listing(d: Decision, e: c.ListRecords) -> Rejected | None:
    """In order of name. The tenant sees its own records, and those for all."""
    if e.registry == INSTANCES:
        d.answer = {"records": _instances(d, e.prefix), "more": False}
        return None
    if e.registry == RECOMMENDATIONS:
        return _recommended(d, e.prefix)
    if e.registry not in READABLE:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected one of {', '.join(sorted(READABLE))}, found '{e.registry}'")
    if not 1 <= e.limit <= LIST_MAX:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected a limit from 1 to {LIST_MAX}, found {e.limit}")
    own, table = f"{d.envelope.tenant}/", d.state.registry.get(e.registry)
    if table is None:
        table = {name: value for (registry, name), value in d.state.records.items() if registry == e.registry}
    all_tenants = not d.envelope.tenant or (d.request is not None and may(d.request, ANY_TENANT))
    found: dict[str, object] = {}
    if e.registry == tenants.REGISTRY:
        found = {n: v for n, v in table.items() if all_tenants or n == d.envelope.tenant}
        if all_tenants:
            found.setdefault(tenants.DEFAULT, {"status": tenants.ACTIVE})
    for name in table if e.registry in index.REGISTRIES and e.registry != tenants.REGISTRY else ():
        if e.registry == "limit":
            if all_tenants or not name.startswith("tenant:") or name == f"tenant:{d.envelope.tenant}":
                found[name] = table[name]
        elif "/" not in name:
            if "@" in name and d.envelope.tenant and f"{own}{name.partition('@')[0]}" in table:
                continue  # a version of that for all is none of the tenant's own
            if e.registry not in APART or not d.envelope.tenant:  # such a record is of one tenant, or of nobody's
                found.setdefault(name, table[name])  # a tenant's own goes before
        elif d.envelope.tenant and name.startswith(own):
            found[name[len(own) :]] = table[name]
    if (
        e.registry not in index.REGISTRIES and all_tenants
    ):  # what the engine keeps of people and targets of all tenants is the operator's to see
        found = dict(table)
    names = sorted(n for n in found if n.startswith(e.prefix) and n > e.after)
    d.answer = {"records": [{"name": n, "value": found[n]} for n in names[: e.limit]], "more": len(names) > e.limit}
    return None


def _recommended(d: Decision, key: str) -> Rejected | None:
    task = d.state.tasks.get(int(key)) if key.isdecimal() and len(key) < 20 else None
    if task is None or task.tenant != d.envelope.tenant:
        return Rejected(RejectionCode.NOT_FOUND, f"expected an open task, found none with key {key[:20]}")
    d.answer = {"records": [{"name": key, "value": advised.ranked(d.state, task, d.facts.now_us)}], "more": False}
    return None


def _instances(d: Decision, keys: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for text in keys.split(",")[:LIST_MAX]:
        i = d.state.instances.get(int(text)) if text.isdecimal() and len(text) < 20 else None
        if i is not None and i.tenant == d.envelope.tenant:
            found.append({"name": text, "value": {"definition": i.definition, "process": i.process}})
    return found


def confirm(d: Decision, e: c.Confirm) -> Rejected | None:
    if e.to == d.state.meta.partition:  # what it sends to itself is confirmed by being taken
        return None
    sent = d.state.meta.sent.get(e.to, 0)
    if e.seq > sent:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected the number of a send to partition {e.to}, {sent} at most, found {e.seq}")
    if e.seq > d.state.meta.confirmed.get(e.to, 0):
        d.record(le.OutboundConfirmed(to=e.to, seq=e.seq))
    return None
