"""Paths of webhooks: each is one trigger's of a tenant. Partition 0, which decides deployments, remembers whose (registries `hook`, `hook_of`)."""

from __future__ import annotations

from flowledger.events import ledger as le
from flowledger.kernel import lookup
from flowledger.kernel.decision import Decision
from flowledger.kernel.state import Partition

_BY_PATH, _BY_NAME = "hook", "hook_of"


def taken_by(p: Partition, tenant: str, path: str) -> str:
    """The name of the trigger that has it; `""`: nobody."""
    found = p.records.get((_BY_PATH, f"{tenant}/{path}"))
    return found["trigger"] if found is not None else ""


def settle(d: Decision, tenant: str, name: str) -> None:
    """At partition 0, when versions of a trigger have changed."""
    p = d.state
    if p.meta.partition:
        return
    newest = lookup.newest(p, tenant, "trigger", name)
    path = str(d.facts.triggers[newest.key].config.get("path", "")) if newest is not None else ""
    before = (p.records.get((_BY_NAME, f"{tenant}/{name}")) or {"path": ""})["path"]
    if path == before or (path and taken_by(p, tenant, path)):
        return
    if before:
        d.record(le.RecordStored(registry=_BY_PATH, name=f"{tenant}/{before}", value=None))
    if path:
        d.record(le.RecordStored(registry=_BY_PATH, name=f"{tenant}/{path}", value={"trigger": name}))
    if path or before:
        d.record(le.RecordStored(registry=_BY_NAME, name=f"{tenant}/{name}", value={"path": path} if path else None))
