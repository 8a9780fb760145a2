"""Answers about KPIs: figures by group and window, and how promises are kept: in a time, and by now of what is open. What they mean: docs/insight.md."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg import sql

from flowledger.analytics.terms import MICRO, Kpi, applying, own
from flowledger.events.avro import decode_json
from flowledger.kernel import kpis
from flowledger.kernel.tasks import calendars
from flowledger.projections import measures as me
from flowledger.projections.reader import Reader, Row, Senseless, iso

#: groups in their order -> column
GROUPS = {"process": "process_id", "version": "version", "element": "element", "value": "value"}
#: of a promise: instances or work that are told, each of the broken ones, of those that are late and of those that soon will be
LISTED, LISTED_MAX = 50, 1_000
#: of the time that is promised, from which on what is open is told to be at risk
AT_RISK = 0.8
#: kinds whose figures are times
TIMES = ("sla", "time")


async def terms(r: Reader, tenant: str) -> dict[tuple[str, str], Row]:
    """(registry, name) -> record, as one partition's log told last."""
    query = (
        "SELECT registry, name, record FROM kpi_terms WHERE tenant_id = ANY(%s) AND record IS NOT NULL "
        "AND partition = (SELECT min(partition) FROM kpi_terms)"
    )
    return {(row["registry"], row["name"]): row["record"] for row in await r.rows(query, (["", tenant],))}


async def record_of(r: Reader, tenant: str, name: str) -> Row:
    """Raises: Senseless."""
    return await _one(r, tenant, {"name": name})


async def _one(r: Reader, tenant: str, given: Mapping[str, str]) -> Row:
    """Its record, where it isn't given as JSON. Raises: Senseless."""
    name = given["name"]
    if given.get("record"):
        found: Row | None = decode_json(given["record"])
        return found or {}
    if name == kpis.DUE:
        return {"kind": "sla", "title": "Work by when it is due"}
    found = dict(own(await terms(r, tenant), tenant, kpis.REGISTRY)).get(name)
    if found is None:
        raise Senseless(f"name: expected the name of a KPI, found {name[:100]!r}")
    return found


async def figures(r: Reader, tenant: str, given: Mapping[str, str]) -> Row:
    """`{items, name, kind, unit, window, from, to, group, position}`: of one KPI. A group has items for windows in which it has a figure."""
    name = given["name"]
    record = await _one(r, tenant, given)
    asked = me.read({k: given[k] for k in ("window", "from", "to", "process", "version") if given.get(k)}, datetime.now(UTC))
    wanted = [g.strip() for g in given["group"].split(",")] if given.get("group") else []
    for g in wanted:
        if g not in GROUPS:
            raise Senseless(f"group: expected {', '.join(GROUPS)}, found {g[:40]!r}")
    groups = [g for g in GROUPS if g in wanted]
    if "version" in groups and "process" not in groups:
        groups.insert(0, "process")
    where: list[sql.Composable] = [sql.SQL("tenant_id = %s AND name = %s AND at >= %s AND at < %s")]
    values: list[Any] = [tenant, name, asked.start, asked.end]
    for key, column, value in (
        ("process", "process_id", asked.filters.get("process")), ("version", "version", asked.filters.get("version")),
        ("element", "element", given.get("element")), ("value", "value", given.get("value")),
    ):  # fmt: skip
        if value not in (None, ""):
            where.append(sql.SQL("{} = %s").format(sql.Identifier(column)))
            values.append(value)
        elif key == "element" and record["kind"] == "cost":  # of work and of instances: never both together
            where.append(sql.SQL("element <> ''" if "element" in groups else "element = ''"))
    columns = sql.SQL("").join(sql.SQL("{}, ").format(sql.Identifier(GROUPS[g])) for g in groups)
    position = await r.position()
    query = sql.SQL(
        "SELECT {}{} AS window_at, sum(n)::bigint AS n, sum(kept)::bigint AS kept, sum(total) AS total, min(least) AS least, max(most) AS most "
        "FROM {} WHERE {} GROUP BY {}window_at ORDER BY {}window_at LIMIT %s"
    ).format(columns, me.at_of(asked), sql.Identifier(f"kpis_{asked.grain}"), sql.SQL(" AND ").join(where), columns, columns)
    rows = await r.rows(query, [*values, me.ITEMS_MAX + 1])
    if len(rows) > me.ITEMS_MAX:
        raise Senseless(f"group: expected {me.ITEMS_MAX} items at most, found more: ask for less")
    ends = dict(me.windows(asked)) if asked.window != "all" else {asked.start: asked.end}
    items = [
        {
            "from": iso(row["window_at"]), "to": iso(ends.get(row["window_at"], asked.end)), **{g: row[GROUPS[g]] for g in groups},
            **_told(record["kind"], row),
        }
        for row in rows
    ]  # fmt: skip
    return {
        "items": items, "name": name, "kind": record["kind"], "title": record.get("title") or name, "unit": _unit(record), "window": asked.window,
        "from": iso(asked.start), "to": iso(asked.end), "group": groups, "position": position,
    }  # fmt: skip


def _unit(record: Row) -> str:
    return "ms" if record["kind"] in TIMES else str(record.get("unit", ""))


def _told(kind: str, row: Row) -> Row:
    """Times in milliseconds, all else as it is; money and values are exact up to six places."""
    unit = 1000 if kind in TIMES else MICRO
    n = row["n"]
    out: Row = {
        "count": n, "total": _number(row["total"], unit), "mean": _number(row["total"] / n, unit) if n else None, "min": _number(row["least"], unit),
        "max": _number(row["most"], unit),
    }  # fmt: skip
    if kind == "sla":
        out |= {"kept": row["kept"], "broken": n - row["kept"], "kept_share": round(row["kept"] / n, 6) if n else None}
    return out


def _number(value: Any, unit: int) -> float | None:
    return None if value is None else round(float(Decimal(value) / unit), 6)


async def promises(r: Reader, tenant: str, given: Mapping[str, str]) -> Row:
    """`{items, from, to, position}`: each SLA with what ended in the time, and what is open by now: late, at risk, in time."""
    start, end = me.span_of(given, datetime.now(UTC))
    position = await r.position()
    records = await terms(r, tenant)
    known = dict(own(records, tenant, kpis.REGISTRY))
    asked = {"from": iso(start), "to": iso(end), **({"process": given["process"]} if given.get("process") else {})}
    items = []
    due = await figures(r, tenant, {"name": kpis.DUE, **asked})
    if due["items"] and not given.get("name"):
        items.append({"name": kpis.DUE, "title": due["title"], **_ended(due), **_nothing_open()})
    for k in applying(records, tenant, given.get("process", "")):
        if k.kind != "sla" or (given.get("name") and k.name != given["name"]):
            continue
        record = known[k.name]
        whole = await figures(r, tenant, {"name": k.name, **asked})
        goal = None if "goal" not in record else float(record["goal"])
        ended = _ended(whole)
        met = None if goal is None or ended["kept_share"] is None else ended["kept_share"] >= goal
        items.append({
            "name": k.name, "title": record.get("title") or k.name, "process": record.get("process", ""), "element": k.element,
            "within_ms": k.within_us // 1000, **ended, "goal": goal, "met": met, **await _open(r, tenant, k, record, given),
        })  # fmt: skip
    return {"items": items, "from": iso(start), "to": iso(end), "position": position}


def _ended(found: Row) -> Row:
    item = found["items"][0] if found["items"] else {"count": 0, "kept": 0, "broken": 0, "kept_share": None}
    return {k: item[k] for k in ("count", "kept", "broken", "kept_share")}


def _nothing_open() -> Row:
    return {"process": "", "element": "", "within_ms": None, "goal": None, "met": None, "open": None, "late": None, "at_risk": None}


def cutoffs(k: Kpi, record: Row, now_us: int) -> tuple[int, int]:
    """What began at the first or before is late by now, what began at the second or before is at risk."""
    share = Decimal(str(record.get("at_risk", AT_RISK)))
    return calendars.before(k.calendar, now_us, k.within_us + 1), calendars.before(k.calendar, now_us, int(k.within_us * share))


def _moment(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def _open_query(k: Kpi, tenant: str, given: Mapping[str, str]) -> tuple[sql.Composable, list[Any]] | None:
    """What is open and began when, as `(instance, element, process, version, began)`. None: it isn't known while it is open (working time, conditions)."""
    if k.of == "working" or (k.of == "waiting" and not k.element) or k.when is not None:
        return None
    process = given.get("process") or ""
    if not k.element:
        return sql.SQL(
            "SELECT id AS instance, '' AS element, process_id AS process, version, started_at AS began FROM traces "
            "WHERE tenant_id = %s AND outcome = '' AND (%s = '' OR process_id = %s) AND (%s = '' OR process_id = %s)"
        ), [tenant, process, process, k.process, k.process]
    waiting = sql.SQL(" AND t.started_at IS NULL" if k.of == "waiting" else "")
    return sql.SQL(
        "SELECT t.workflow_instance_id AS instance, t.definition_key AS element, i.process_id AS process, i.version, t.created_at AS began FROM tasks t "
        "JOIN workflow_instances i ON i.tenant_id = t.tenant_id AND i.id = t.workflow_instance_id "
        "WHERE t.tenant_id = %s AND t.definition_key = %s AND i.process_id = %s AND t.status NOT IN ('completed', 'cancelled', 'skipped', 'failed')"
    ) + waiting, [tenant, k.element, k.process]


async def _open(r: Reader, tenant: str, k: Kpi, record: Row, given: Mapping[str, str]) -> Row:
    query = _open_query(k, tenant, given)
    if query is None:
        return {"open": None, "late": None, "at_risk": None}
    late, risk = (_moment(us) for us in cutoffs(k, record, _now_us()))
    text = sql.SQL(
        "SELECT count(*)::bigint AS open, count(*) FILTER (WHERE began <= %s)::bigint AS late, "
        "count(*) FILTER (WHERE began > %s AND began <= %s)::bigint AS at_risk FROM ({}) o"
    ).format(query[0])
    (row,) = await r.rows(text, [late, late, risk, *query[1]])
    return {name: row[name] for name in ("open", "late", "at_risk")}


def _now_us() -> int:
    return int(datetime.now(UTC).timestamp() * 1_000_000)


async def promised(r: Reader, tenant: str, given: Mapping[str, str]) -> Row:
    """`{items, position}` of one SLA: those that were broken in the time (`which` broken), or by now are late or at_risk; the worst first."""
    name, which = given["name"], given.get("which") or "broken"
    limit = min(LISTED_MAX, int(given.get("limit") or LISTED))
    record = await _one(r, tenant, given)
    if record["kind"] != "sla":
        raise Senseless(f"name: expected the name of an SLA, found a KPI of kind {record['kind']}")
    position = await r.position()
    if which == "broken":
        start, end = me.span_of(given, datetime.now(UTC))
        rows = await r.rows(
            "SELECT instance_id AS instance, process_id AS process, version, element, at, over_us FROM kpis_broken WHERE tenant_id = %s AND name = %s "
            "AND at >= %s AND at < %s AND (%s = '' OR process_id = %s) ORDER BY over_us DESC, at, instance_id LIMIT %s",
            (tenant, name, start, end, given.get("process", ""), given.get("process", ""), limit),
        )
        items = [
            {"instance": str(x["instance"]), **{c: x[c] for c in ("process", "version", "element")}, "began": None, "ended": iso(x["at"]), "over_ms": x["over_us"] / 1000}
            for x in rows
        ]  # fmt: skip
        return {"items": items, "position": position}
    k = next((k for k in applying(await terms(r, tenant), tenant) if k.name == name), None)
    query = None if k is None else _open_query(k, tenant, given)
    if k is None or query is None:
        return {"items": [], "position": position}
    now = _now_us()
    late, risk = (_moment(us) for us in cutoffs(k, record, now))
    bounds = ("began <= %s", [late]) if which == "late" else ("began > %s AND began <= %s", [late, risk])
    text = sql.SQL("SELECT * FROM ({}) o WHERE {} ORDER BY began, instance LIMIT %s").format(query[0], sql.SQL(bounds[0]))
    items = []
    for x in await r.rows(text, [*query[1], *bounds[1], limit]):
        lasted = k.lasted(int(x["began"].timestamp() * 1_000_000), now)
        items.append({
            "instance": str(x["instance"]), **{c: x[c] for c in ("process", "version", "element")}, "began": iso(x["began"]), "ended": None,
            "over_ms": (lasted - k.within_us) / 1000,
        })  # fmt: skip
    return {"items": items, "position": position}
