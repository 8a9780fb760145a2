"""Tenants that an operator has made (docs/security.md#tenants): records of registry `tenant`, which every partition knows.

A tenant needs no record: whoever names one may, until the operator says otherwise (`unknown` of the tenant `default`, whose name on the wire is the empty
text). What a record adds is a status and quotas. Suspension is a hold over the tenant (docs/decisions/0009), which keeps all that it has; here is only what a
hold doesn't say: who comes from outside begins nothing new meanwhile, and what comes for what runs is kept. Pure.
"""

from __future__ import annotations

from typing import Any, Final

from flowledger.events import alerts as al
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import triggers as tr
from flowledger.events import webhooks as wh
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.state import Partition

REGISTRY: Final = "tenant"
#: the name of the tenant without name: it is always there
DEFAULT: Final = "default"
ACTIVE, SUSPENDED, REMOVED = "active", "suspended", "removed"
#: what becomes of callers who name a tenant that nobody has made
UNKNOWN = ("accept", "refuse")
#: records, those of removed ones included
TENANTS_MAX = 10_000
NAME_MAX = 200
TITLE_MAX = 255
METADATA_MAX = 50
#: the most shares that one has
SHARE_MAX = 100
#: what begins something: nobody may for a tenant that is suspended
BEGINS: frozenset[type[c.AnyCommand]] = frozenset({c.Deploy, c.StartInstance, c.CreateTask})
#: what leaves something of a tenant: nobody may for one that isn't there
LEAVES: frozenset[type[c.AnyCommand]] = BEGINS | {
    c.PublishMessage, c.BroadcastSignal, c.EvaluateConditions, c.StoreRecord, co.CreateBatch, tr.TakeItems, wh.PutWebhook,
    al.PutAlert,
}  # fmt: skip


def of(p: Partition, name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (p.registry.get(REGISTRY) or {}).get(name)
    return found


def share(p: Partition, name: str) -> int:
    """Of what a partition can do, next to what the others get who want something at the time: 1 unless its record says more (`quotas.share`)."""
    found = (p.registry.get(REGISTRY) or {}).get(name or DEFAULT)
    return int(((found or {}).get("quotas") or {}).get("share") or 1)


def refused(table: dict[str, Any], kind: type[c.AnyCommand], tenant: str) -> Rejected | None:
    """Why a caller may not do it for this tenant by now; `table`: the registry."""
    if kind not in LEAVES or not tenant:
        return None
    found = table.get(tenant)
    status = found["status"] if found is not None else ""
    if status == ACTIVE or (status == SUSPENDED and kind not in BEGINS):
        return None
    if status == SUSPENDED:
        return Rejected(RejectionCode.INVALID_STATE, f"tenant '{tenant}' is suspended, and begins nothing new: {found['reason']}")  # type: ignore[index]
    if status == REMOVED:
        return Rejected(RejectionCode.FORBIDDEN, f"tenant '{tenant}' has been removed")
    if (table.get(DEFAULT) or {}).get("unknown") == "refuse":
        return Rejected(RejectionCode.FORBIDDEN, f"tenant '{tenant}' is not known here: an administrator makes it (POST /v1/tenants)")
    return None
