"""The versions of a definition in service: what runs on each, which share of new starts it gets, and how far it is from running dry."""

from __future__ import annotations

from typing import Any

from flowledger.kernel.rollouts import newest_allowed
from flowledger.projections.queries import get_definition
from flowledger.projections.reader import Reader, Row, iso

#: versions that are told, the newest first
VERSIONS_MAX = 1_000
#: open instances of a version, the oldest first, of which it is told where they wait
WAITING_MAX = 1_000
#: elements that are told of a version
ELEMENTS_MAX = 100
OPEN = ("pending", "running", "suspended", "quarantined")
_WAITING = """
WITH open AS (SELECT id FROM workflow_instances WHERE tenant_id = %(tenant)s AND definition_id = %(key)s AND status = ANY(%(open)s)
    ORDER BY created_at, id LIMIT %(most)s),
at AS (
    SELECT definition_key AS element, workflow_instance_id AS i FROM tasks WHERE tenant_id = %(tenant)s AND workflow_instance_id IN (SELECT id FROM open)
        AND type <> 'sub_process' AND completed_at IS NULL AND cancelled_at IS NULL
        AND status IN ('created', 'assigned', 'started', 'in_progress', 'suspended', 'failed', 'timed_out')
    UNION SELECT element, workflow_instance_id FROM timers
        WHERE tenant_id = %(tenant)s AND workflow_instance_id IN (SELECT id FROM open) AND status = 'scheduled' AND element NOT LIKE '%%:%%'
    UNION SELECT element, workflow_instance_id FROM incidents
        WHERE tenant_id = %(tenant)s AND workflow_instance_id IN (SELECT id FROM open) AND status = 'open')
SELECT element, count(*)::int AS n FROM at WHERE element <> '' GROUP BY element
UNION ALL SELECT NULL, count(*)::int FROM open WHERE id NOT IN (SELECT i FROM at WHERE i IS NOT NULL)
ORDER BY 2 DESC, 1 LIMIT %(elements)s
"""


async def get_versions(r: Reader, tenant: str, key: int, counts: bool = True) -> Row | None:
    """Of the definition that has a version with this key. None: there is none. Without `counts` nothing is told of instances.

    `{definition_id, kind, default, pinned, ramp, changed_at, changed_by, reason, items, position}`; the newest version first.
    """
    known = await get_definition(r, tenant, str(key))
    if known is None or known.get("deleted_at"):
        return None
    kind, id = known["kind"], known["id"]
    versions = await r.rows(
        "SELECT id, version, version_tag, status, content_hash, resource, created_at FROM workflow_definitions "
        "WHERE tenant_id = %s AND kind = %s AND definition_id = %s AND deleted_at IS NULL ORDER BY version DESC LIMIT %s",
        (tenant, kind, id, VERSIONS_MAX),
    )
    found = await r.rows("SELECT * FROM rollouts WHERE tenant_id = %s AND kind = %s AND definition_id = %s", (tenant, kind, id))
    rollout: Row = found[0] if found else {}
    stopped = set(rollout.get("stopped") or ())
    numbers = {v["id"]: v["version"] for v in versions}
    pinned = await _pinned(r, tenant, rollout.get("default_key"), numbers)
    opened = {v["version"] for v in versions if v["status"] == "published" and v["id"] not in stopped}
    default = newest_allowed(opened, pinned, gone=rollout.get("default_key") not in numbers)
    ramp = numbers.get(rollout.get("ramp_key"))
    share = rollout.get("share", 0) / 100 if ramp in opened else 0.0
    counted = await _counts(r, tenant, list(numbers)) if kind == "process" and counts else {}
    items = []
    for v in versions:
        of_new = share if v["version"] == ramp else 100 - share if v["version"] == default else 0.0
        mine = counted.get(v["id"], {"instances": {}, "incidents": 0, "oldest": None})
        items.append({
            "id": str(v["id"]), "key": str(v["id"]), "version": v["version"], "version_tag": v["version_tag"], "status": v["status"],
            "content_hash": v["content_hash"], "resource": v["resource"], "created_at": iso(v["created_at"]), "default": v["version"] == default,
            "share": of_new, "stopped": v["id"] in stopped,
            "instances": mine["instances"], "incidents": mine["incidents"], "drain": await _drain(r, tenant, v, mine, of_new) if counts else None,
        })  # fmt: skip
    return {
        "definition_id": id, "kind": kind, "default": default, "pinned": numbers.get(rollout.get("default_key")),
        "ramp": {"version": ramp, "share": rollout["share"] / 100} if ramp is not None else None,
        "changed_at": iso(rollout["changed_at"]) if rollout else None, "changed_by": rollout.get("changed_by"), "reason": rollout.get("reason"),
        "items": items, "position": known["position"],
    }  # fmt: skip


async def _pinned(r: Reader, tenant: str, key: int | None, numbers: dict[int, int]) -> int | None:
    """Its number, also when it is deleted."""
    if key is None or key in numbers:
        return numbers.get(key) if key is not None else None
    rows = await r.rows("SELECT version FROM workflow_definitions WHERE tenant_id = %s AND id = %s", (tenant, key))
    return rows[0]["version"] if rows else None


async def _counts(r: Reader, tenant: str, keys: list[int]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {k: {"instances": {}, "incidents": 0, "oldest": None} for k in keys}
    rows = await r.rows(
        "SELECT definition_id, status, count(*)::int AS n, min(created_at) AS oldest FROM workflow_instances "
        "WHERE tenant_id = %s AND definition_id = ANY(%s) GROUP BY definition_id, status",
        (tenant, keys),
    )
    for row in rows:
        mine = found[row["definition_id"]]
        mine["instances"][row["status"]] = row["n"]
        if row["status"] in OPEN:
            mine["oldest"] = min(filter(None, (mine["oldest"], row["oldest"])))
    rows = await r.rows(
        "SELECT definition_id, count(*)::int AS n FROM incidents WHERE tenant_id = %s AND definition_id = ANY(%s) AND status = 'open' "
        "GROUP BY definition_id",
        (tenant, keys),
    )
    for row in rows:
        found[row["definition_id"]]["incidents"] = row["n"]
    return found


async def _drain(r: Reader, tenant: str, v: Row, mine: dict[str, Any], share: float) -> Row:
    """`in_service`: it gets new starts by id; draining: it gets none of them, and some still run; drained: none run."""
    left = sum(n for status, n in mine["instances"].items() if status in OPEN)
    waiting: list[Row] = []
    if left:
        values = {"tenant": tenant, "key": v["id"], "open": list(OPEN), "most": WAITING_MAX, "elements": ELEMENTS_MAX}
        waiting = [{"element": row["element"], "instances": row["n"]} for row in await r.rows(_WAITING, values) if row["n"]]
    status = "in_service" if share > 0 else "draining" if left else "drained"
    return {"status": status, "open": left, "oldest": iso(mine["oldest"]) if left else None, "waiting": waiting}
