"""Registries that all partitions share, and confirmations of sends."""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.decision import Decision
from flowledger.kernel.tasks import registry


def store(d: Decision, e: c.StoreRecord) -> Rejected | None:
    if not e.registry or not e.name:
        return Rejected(RejectionCode.INVALID_ARGUMENT, "expected a registry and a name")
    if not e.relayed and (wrong := registry.problems(e.registry, e.name, e.value)):
        return Rejected(RejectionCode.INVALID_ARGUMENT, "; ".join(wrong))
    d.answer = {"registry": e.registry, "name": e.name}
    rows = [(e.name, e.value)] if e.relayed else registry.stored_as(d.state, e.registry, e.name, e.value, d.facts.now_us)
    if rows[0][1] is not None and "version" in rows[0][1] and len(rows) > 1:
        d.answer["version"] = rows[0][1]["version"]
    for name, value in rows:
        d.record(le.RecordStored(registry=e.registry, name=name, value=value))
        for to in range(0 if e.relayed else d.state.meta.partitions):
            if to != d.state.meta.partition:
                d.send(to, c.StoreRecord(registry=e.registry, name=name, value=value, relayed=True))
    return None


def confirm(d: Decision, e: c.Confirm) -> Rejected | None:
    if e.seq > d.state.meta.confirmed.get(e.to, 0):
        d.record(le.OutboundConfirmed(to=e.to, seq=e.seq))
    return None
