"""Which rules of a decision's tables fired, by the evaluations that instances asked for (`decision.evaluated` in the histories)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import sql

from flowledger.projections import filters as fi
from flowledger.projections import lists
from flowledger.projections.reader import Reader, Row, iso

#: the newest evaluations that are looked through
EVALUATIONS_MAX = 10_000

_DEFINITION = (
    "SELECT id, version, name, content_hash FROM workflow_definitions WHERE tenant_id = %s AND kind = 'decision' AND definition_id = %s "
    "AND deleted_at IS NULL AND status <> 'draft' AND (%s::int IS NULL OR version = %s::int) ORDER BY version DESC LIMIT 1"
)
#: a decision is evaluated, too, when another of its file needs it
_TOGETHER = (
    "SELECT DISTINCT definition_id, version::text AS version FROM workflow_definitions WHERE tenant_id = %s AND kind = 'decision' AND content_hash = %s "
    "AND (content_hash <> '' OR id = %s)"
)
#: the same of every version of the decision
_TOGETHER_EVER = (
    "SELECT DISTINCT d.definition_id, d.version::text AS version FROM workflow_definitions d JOIN workflow_definitions v ON v.tenant_id = d.tenant_id "
    "AND v.kind = 'decision' AND v.definition_id = %s AND v.deleted_at IS NULL AND v.status <> 'draft' "
    "AND (d.id = v.id OR (d.content_hash = v.content_hash AND v.content_hash <> '')) WHERE d.tenant_id = %s AND d.kind = 'decision'"
)
#: one table's records, of which `hits` are the rules that fired
_RECORDS = sql.SQL(
    "evaluated AS MATERIALIZED (SELECT id, occurred_at, data FROM workflow_events WHERE {where} ORDER BY occurred_at DESC, id DESC LIMIT %s), "
    "records AS MATERIALIZED (SELECT e.id, e.occurred_at, d ->> 'id' AS node, t ->> 'id' AS of_table, t -> 'matched' AS hits FROM evaluated e "
    "CROSS JOIN LATERAL jsonb_path_query(e.data, 'lax $.trace[*]') d CROSS JOIN LATERAL jsonb_path_query(d, 'lax $.tables[*]') t)"
)
_COUNTED = sql.SQL(
    "WITH {records} "
    "SELECT NULL AS node, NULL AS of_table, NULL AS rule, count(*) AS n, 0::bigint AS without, min(occurred_at) AS first_at, "
    "max(occurred_at) AS last_at FROM evaluated "
    "UNION ALL SELECT node, of_table, NULL, count(*), count(*) FILTER (WHERE jsonb_array_length(hits) = 0), min(occurred_at), max(occurred_at) "
    "FROM records GROUP BY node, of_table "
    "UNION ALL SELECT node, of_table, {rule}, count(*), 0, min(occurred_at), max(occurred_at) "
    "FROM records CROSS JOIN LATERAL jsonb_array_elements(hits) h GROUP BY 1, 2, 3"
)


#: a rule is known by its number in its version; over versions by its id, where it has one
_NUMBER = sql.SQL("h ->> 'index'")
_ID = sql.SQL("coalesce(nullif(h ->> 'id', ''), h ->> 'index')")


async def fired(r: Reader, tenant: str, given: Mapping[str, str]) -> Row:
    """`tables`: (decision, table) -> how often it was evaluated, without a rule, and each rule that fired by its number. Filters: `decision`, `version` (the
    newest unless given), `together` (all versions count, rules by their ids), `from`, `to`. `key` null: there is no such decision."""
    position = await r.position()
    version = given.get("version")
    found = await r.rows(_DEFINITION, (tenant, given["decision"], version, version))
    if not found:
        return {"key": None, "position": position}
    definition = found[0]
    ever = given.get("together") == "true"
    asked = (given["decision"], tenant) if ever else (tenant, definition["content_hash"], definition["id"])
    together = await r.rows(_TOGETHER_EVER if ever else _TOGETHER, asked)
    w = fi.where(tenant, {k: v for k, v in given.items() if k in ("from", "to")}, lists.EVENTS)
    w.add("event_type = 'decision.evaluated'")
    any_of = sql.SQL(" OR ").join([sql.SQL("(data ->> 'decision' = %s AND data ->> 'version' = %s)")] * len(together))
    w.conditions.append(sql.SQL("({})").format(any_of))
    w.values += [value for row in together for value in (row["definition_id"], row["version"])]
    where, values = w.joined()
    counted = await r.rows(_COUNTED.format(records=_RECORDS.format(where=where), rule=_ID if ever else _NUMBER), [*values, EVALUATIONS_MAX])
    whole = next(row for row in counted if row["node"] is None)
    tables: dict[tuple[str, str], dict[str, Any]] = {}
    for row in counted:
        if row["node"] is None:
            continue
        table = tables.setdefault((row["node"], row["of_table"] or ""), {"evaluated": 0, "without": 0, "rules": {}})
        if row["rule"] is None:
            table["evaluated"], table["without"] = row["n"], row["without"]
        else:
            table["rules"][row["rule"]] = {"fired": row["n"], "last_at": iso(row["last_at"])}
    return {
        "key": str(definition["id"]), "together": ever,
        "versions": sorted(int(row["version"]) for row in together if row["definition_id"] == given["decision"]),
        "version": definition["version"], "name": definition["name"], "evaluations": whole["n"],
        "oldest_at": iso(whole["first_at"]) if whole["n"] else None, "newest_at": iso(whole["last_at"]) if whole["n"] else None,
        "complete": whole["n"] < EVALUATIONS_MAX, "tables": tables, "position": position,
    }  # fmt: skip
