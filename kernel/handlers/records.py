"""Registries that all partitions share, and confirmations of sends."""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.decision import Decision


def store(d: Decision, e: c.StoreRecord) -> Rejected | None:
    if not e.registry or not e.name:
        return Rejected(RejectionCode.INVALID_ARGUMENT, "expected a registry and a name")
    d.record(le.RecordStored(registry=e.registry, name=e.name, value=e.value))
    d.answer = {"registry": e.registry, "name": e.name}
    if not e.relayed:
        for to in range(d.state.meta.partitions):
            if to != d.state.meta.partition:
                d.send(to, c.StoreRecord(registry=e.registry, name=e.name, value=e.value, relayed=True))
    return None


def confirm(d: Decision, e: c.Confirm) -> Rejected | None:
    if e.seq > d.state.meta.confirmed.get(e.to, 0):
        d.record(le.OutboundConfirmed(to=e.to, seq=e.seq))
    return None
