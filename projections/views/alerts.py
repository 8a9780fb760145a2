"""Alerts and their last firings: tables `alerts`, `alert_firings`."""

from __future__ import annotations

from typing import Any

from flowledger.events import alerts as al
from flowledger.kernel import limits
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table, stamp

VERSION = 2
TABLE = Table(
    "alerts",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "name": "varchar(255)", "status": "varchar(20)", "rule": "jsonb", "silenced_until": "timestamptz",
        "firing_count": "integer", "fired_count": "bigint", "error": "text", "last_at": "timestamptz", "reason": "text", "changed_by": "varchar(255)",
        "created_at": "timestamptz",
    },
)  # fmt: skip
FIRINGS = Table(
    "alert_firings",
    {
        "tenant_id": "varchar(255)", "alert_id": "bigint", "slot": "integer", "id": "bigint", "status": "varchar(20)", "severity": "varchar(20)",
        "grouped": "jsonb", "value": "double precision", "cases": "bigint", "created_at": "timestamptz", "resolved_at": "timestamptz",
        "resolved_value": "double precision", "why": "varchar(20)", "action": "jsonb",
    },
    key=("tenant_id", "alert_id", "slot"),
)  # fmt: skip
NAME = TABLE.name


def _update(f: Fold, alert: int, columns: dict[str, Any]) -> None:
    f.changes.update(NAME, alert, (f.tenant, alert), columns)


def put(f: Fold, e: al.AlertPut) -> None:
    rule = e.rule if isinstance(e.rule, dict) else {}
    own = {"rule": rule, "status": "active" if rule.get("enabled", True) else "off", "changed_by": f.env.actor}
    if not e.created:
        _update(f, e.alert, own)
        return
    f.changes.insert(NAME, e.alert, {
        "tenant_id": f.tenant, "id": e.alert, "name": e.name, "firing_count": 0, "fired_count": 0, "error": "", "reason": "", "created_at": f.now, **own,
    })  # fmt: skip


def deleted(f: Fold, e: al.AlertDeleted) -> None:
    _update(f, e.alert, {"status": "deleted", "reason": e.reason, "changed_by": f.env.actor})


def silenced(f: Fold, e: al.AlertSilenced) -> None:
    until = stamp(e.until_us) if e.until_us else None
    _update(f, e.alert, {"silenced_until": until, "reason": e.reason, "changed_by": f.env.actor})


def fired(f: Fold, e: al.AlertFired) -> None:
    rows = al.groups(e.groups)
    for n, row in enumerate(rows, e.first):
        slot = n % limits.ALERT_LOG_MAX
        f.changes.upsert(FIRINGS.name, (e.alert, slot), {
            "tenant_id": f.tenant, "alert_id": e.alert, "slot": slot, "id": n, "status": "firing", "severity": e.severity,
            "grouped": row.get("group") or {}, "value": _number(row.get("value")), "cases": int(row.get("cases") or 0), "created_at": stamp(e.at_us or f.us),
            "resolved_at": None, "resolved_value": None, "why": "", "action": None,
        })  # fmt: skip
    _update(f, e.alert, {"last_at": f.now})
    f.changes.add(NAME, e.alert, (f.tenant, e.alert), "firing_count", len(rows))
    f.changes.add(NAME, e.alert, (f.tenant, e.alert), "fired_count", len(rows))


def resolved(f: Fold, e: al.AlertResolved) -> None:
    rows = al.groups(e.groups)
    for row in rows:
        slot = int(row.get("number") or 0) % limits.ALERT_LOG_MAX
        columns = {"status": "resolved", "resolved_at": stamp(e.at_us or f.us), "resolved_value": _number(row.get("value")), "why": e.why}
        f.changes.update(FIRINGS.name, (e.alert, slot), (f.tenant, e.alert, slot), columns)
    _update(f, e.alert, {"last_at": f.now})
    f.changes.add(NAME, e.alert, (f.tenant, e.alert), "firing_count", -len(rows))


def acted(f: Fold, e: al.AlertActed) -> None:
    for row in al.groups(e.rows):
        slot = int(row.get("number") or 0) % limits.ALERT_LOG_MAX
        done = {"kind": e.kind, "scope": e.scope, **{k: row.get(k) for k in ("subject", "until_us", "hold", "refused")}}
        f.changes.update(FIRINGS.name, (e.alert, slot), (f.tenant, e.alert, slot), {"action": done})


def noted(f: Fold, e: al.AlertNoted) -> None:
    _update(f, e.alert, {"error": e.error})


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


VIEW = View(
    "alerts",
    VERSION,
    "093_alerts.sql",
    (TABLE, FIRINGS),
    {
        al.AlertPut: put, al.AlertDeleted: deleted, al.AlertSilenced: silenced, al.AlertFired: fired, al.AlertResolved: resolved, al.AlertNoted: noted,
        al.AlertActed: acted,
    },
)  # fmt: skip
