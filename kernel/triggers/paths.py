"""Paths of webhooks: each is one trigger's on the whole server, whatever its tenant, as who posts there names none. Partition 0, which decides
deployments, remembers whose (registries `hook`, `hook_of`)."""

from __future__ import annotations

from flowledger.events import ledger as le
from flowledger.kernel import lookup
from flowledger.kernel.decision import Decision
from flowledger.kernel.state import Partition

HOOK = "webhook"
_BY_PATH, _BY_NAME = "hook", "hook_of"


def taken_by(p: Partition, path: str) -> tuple[str, str] | None:
    """(tenant, name) of the trigger that has it."""
    found = p.records.get((_BY_PATH, path))
    return (found["tenant"], found["trigger"]) if found is not None else None


def settle(d: Decision, tenant: str, name: str) -> None:
    """At partition 0, when versions of a trigger have changed."""
    p = d.state
    if p.meta.partition:
        return
    newest = lookup.latest(p, tenant, "trigger", name)
    model = d.facts.triggers[newest.key] if newest is not None else None
    path = str(model.config["path"]) if model is not None and model.source == HOOK else ""
    before = (p.records.get((_BY_NAME, f"{tenant}/{name}")) or {"path": ""})["path"]
    if path == before or (path and taken_by(p, path)):
        return
    if before:
        d.record(le.RecordStored(registry=_BY_PATH, name=before, value=None))
    if path:
        d.record(le.RecordStored(registry=_BY_PATH, name=path, value={"tenant": tenant, "trigger": name}))
    if path or before:
        d.record(le.RecordStored(registry=_BY_NAME, name=f"{tenant}/{name}", value={"path": path} if path else None))
