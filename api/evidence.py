"""Evidence for auditors, as JSON, CSV and a page to be printed: what was asked for in a period, conflicts of duties, who may do what."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get
from litestar.params import Parameter

from flowledger.analytics.sheets import cell
from flowledger.api.access.rights import RIGHTS, rights_of
from flowledger.api.edge import TEXT_MAX, ApiRequest, Moment, encode, reply
from flowledger.api.operations import Since, Until
from flowledger.api.problems import senseless
from flowledger.api.services import Services, services_of
from flowledger.kernel.model import xml as x

GIVES = ("application/json", "text/csv", "text/html", "application/problem+json")
As = Annotated[Literal["json", "csv", "html"], Parameter(description="csv: the rows alone; html: a page, to be printed")]
Who = Annotated[str, Parameter(max_length=TEXT_MAX, description="One actor")]
Of = Annotated[str, Parameter(max_length=TEXT_MAX, description="One process, by its id")]
Pair = Annotated[
    str,
    Parameter(max_length=2 * TEXT_MAX + 1, description="Two elements of `definition` with a comma between, beside those that models name"),
]
#: without a time: this many days back; who has asked for nothing for so long is unused
DAYS, UNUSED_DAYS = 30, 90
#: definitions whose models are looked at for separations of duties
DEFINITIONS_MAX = 1_000
#: rights that one person better has not both, and why
CONFLICTS: tuple[tuple[str, str, str], ...] = (
    ("definitions:write", "tasks:work", "writes the process and works on its tasks"),
    ("definitions:write", "subjects:erase", "writes what is protected and destroys it"),
    ("users:write", "tasks:work", "says who may do what and works on tasks"),
    ("users:write", "operations:read", "says who may do what and looks after who did"),
    ("retention:write", "subjects:read", "says how long things are kept and looks after holds"),
)


class EvidenceActor(msgspec.Struct, kw_only=True):
    """`readings`: of protected values in clear text."""

    actor: str
    granted: int
    refused: int
    readings: int
    last_at: Moment | None


class EvidenceCount(EvidenceActor, kw_only=True):
    actor: str = ""
    operation: str
    kind: str


class EvidenceRow(msgspec.Struct, kw_only=True):
    time: Moment
    actor: str
    operation: str
    kind: str
    subject: str
    instance: str | None
    outcome: str
    code: str
    reason: str
    names: list[str] | None
    door: str
    address: str
    credential: str
    roles: list[str] | None
    position: str


class EvidenceReport(msgspec.Struct, kw_only=True):
    """`cut`: there are more than the 10,000 of `items`; counts are of all."""

    since: Moment
    until: Moment
    actors: list[EvidenceActor]
    operations: list[EvidenceCount]
    items: list[EvidenceRow]
    cut: bool
    position: str | None


class DutyConflict(msgspec.Struct, kw_only=True):
    """One person did both."""

    definition: str
    first: str
    second: str
    instance: str
    actor: str
    first_task: str
    second_task: str
    first_at: Moment
    second_at: Moment


class RightsConflict(msgspec.Struct, kw_only=True):
    account: str
    kind: str
    first: str
    second: str
    why: str


class EvidenceDuties(msgspec.Struct, kw_only=True):
    """`pairs`: (definition, element, element) that was looked for: what models name by `notBy`, and what was asked for. `rights`: accounts with two that one better has
    not both."""

    since: Moment
    until: Moment
    pairs: list[list[str]]
    did: list[DutyConflict]
    rights: list[RightsConflict]
    cut: bool


class EvidenceAccount(msgspec.Struct, kw_only=True):
    """`kind`: user or key. `remarks`: administrator, suspended, revoked, expired, never_used, unused (for 90 days), conflicting_rights."""

    account: str
    kind: str
    actor: str
    active: bool
    roles: list[str]
    rights: list[str]
    tenants: list[str]
    created_at: Moment | None
    created_by: str
    used_at: Moment | None
    expires_at: Moment | None
    last_operation: str | None
    last_operation_at: Moment | None
    operations: int
    remarks: list[str]


class EvidenceAccess(msgspec.Struct, kw_only=True):
    at: Moment
    items: list[EvidenceAccount]


class RuleCount(msgspec.Struct, kw_only=True):
    pack: str
    rule: str
    severity: str
    violated: int
    broken: int
    held: int
    refused: int
    last_at: Moment | None


class RuleVerdict(msgspec.Struct, kw_only=True):
    """`version`: of the pack that decided. `instance`: null of a start that was refused. `moment`: start, complete, assign or skip."""

    time: Moment
    actor: str
    pack: str
    version: int
    rule: str
    severity: str
    outcome: str
    refused: bool
    moment: str
    process: str
    instance: str | None
    task: str | None
    element: str
    message: str
    why: str
    position: str


class EvidenceRules(msgspec.Struct, kw_only=True):
    """`cut`: there are more than the 10,000 of `items`; counts are of all."""

    since: Moment
    until: Moment
    rules: list[RuleCount]
    items: list[RuleVerdict]
    cut: bool
    position: str | None


def _period(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    end = _utc(until) if until else datetime.now(UTC)
    begin = _utc(since) if since else end - timedelta(days=DAYS)
    if begin >= end:
        raise senseless("a time before `until` was expected", "query since")
    return begin, end


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@get("/evidence/report", summary="Who asked for what in a period", gives=GIVES)
async def get_evidence_report(
    request: ApiRequest, since: Since = None, until: Until = None, actor: Who = "", definition: Of = "", format: As = "json"
) -> Response[EvidenceReport]:
    """Every change that somebody asked for, refusals, and each reading of protected values: who, what, why, from where, as whom. By person and process;
    30 days without a time."""
    s = services_of(request)
    begin, end = _period(since, until)
    found = await s.reads.evidence("report", s.identify(request).tenant, since=begin, until=end, actor=actor, definition=definition)
    told = {"since": begin, "until": end, **found}
    title = f"What was asked for, {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    return _given(
        told,
        format,
        "report",
        title,
        [("By person", found["actors"]), ("By operation", found["operations"]), ("All", found["items"])],
        found["items"],
    )


@get("/evidence/duties", summary="Conflicts of duties", gives=GIVES)
async def get_evidence_duties(
    request: ApiRequest, since: Since = None, until: Until = None, definition: Of = "", pair: Pair = "", format: As = "json"
) -> Response[EvidenceDuties]:
    """Who did both of two tasks in one instance that a model keeps apart (`notBy`), also where that version did not yet; or of any `pair`. And accounts whose rights
    better belong to two."""
    s = services_of(request)
    begin, end = _period(since, until)
    tenant = s.identify(request).tenant
    pairs = await _pairs(s, tenant, definition)
    if pair:
        two = [p.strip() for p in pair.split(",")]
        if not definition or len(two) != 2 or not all(two):
            raise senseless("two elements with a comma between, and a definition, were expected", "query pair")
        pairs.append((definition, two[0], two[1]))
    found = await s.reads.evidence("both", tenant, since=begin, until=end, pairs=pairs)
    did = found[:10_000]
    rights = [
        {"account": a["account"], "kind": a["kind"], "first": one, "second": other, "why": why}
        for a in await _accounts(s, tenant)
        for one, other, why in CONFLICTS
        if a["active"] and one in a["rights"] and other in a["rights"]
    ]
    told = {
        "since": begin,
        "until": end,
        "pairs": [list(p) for p in pairs],
        "did": did,
        "rights": rights,
        "cut": len(found) > len(did),
    }
    title = f"Conflicts of duties, {begin:%Y-%m-%d} to {end:%Y-%m-%d}"
    looked = [{"definition": p, "element": a, "not_by": b} for p, b, a in pairs]
    return _given(
        told,
        format,
        "duties",
        title,
        [("Did both", did), ("Rights that better belong to two", rights), ("What was looked for", looked)],
        [*did, *rights],
    )


async def _pairs(s: Services, tenant: str, definition: str) -> list[tuple[str, str, str]]:
    """(process, one, other) of what the newest models keep apart."""
    found: dict[tuple[str, str, str], None] = {}
    filters = {"latest": "true", **({"id": definition} if definition else {})}
    cursor = ""
    for _ in range(DEFINITIONS_MAX // 200):
        page = await s.reads.list("definitions", filters, 200, cursor, tenant)
        for row in page["items"]:
            source = await s.reads.source(str(row["key"]), tenant)
            content: Any = (source or {}).get("content") or b""
            content = content.encode() if isinstance(content, str) else content
            if b"notBy" not in content:
                continue
            for process in x.parse(content).iter(f"{x.B}process"):
                for task in process.iter(f"{x.OWN}task"):
                    element = task.getparent().getparent()
                    for name in x.names_in(task.get("notBy", "")):
                        found[str(process.get("id")), name, str(element.get("id"))] = None
        if not (cursor := page["cursor"]):
            break
    return list(found)


@get("/evidence/rules", summary="What rule packs said in a period", gives=GIVES)
async def get_evidence_rules(
    request: ApiRequest, since: Since = None, until: Until = None, pack: Of = "", actor: Who = "", definition: Of = "", format: As = "json"
) -> Response[EvidenceRules]:
    """Each verdict of a rule on an instance or a task: which version of the pack, what was refused, who had asked. What rules said of models stands with
    the definitions."""
    s = services_of(request)
    begin, end = _period(since, until)
    tenant = s.identify(request).tenant
    found = await s.reads.evidence("verdicts", tenant, since=begin, until=end, pack=pack, actor=actor, definition=definition)
    told = {"since": begin, "until": end, **found}
    title = f"What rule packs said, {begin:%Y-%m-%d} to {end:%Y-%m-%d}"
    return _given(told, format, "rules", title, [("By rule", found["rules"]), ("Verdicts", found["items"])], found["items"])


@get("/evidence/access", summary="Who may do what, and when they did", gives=GIVES)
async def get_evidence_access(request: ApiRequest, format: As = "json") -> Response[EvidenceAccess]:
    """Users and API keys with roles, rights, tenants and when they were last used; for the review of who needs what. Without sign-in there are none."""
    s = services_of(request)
    now = datetime.now(UTC)
    tenant = s.identify(request).tenant
    seen = await s.reads.evidence("last_seen", tenant, since=now - timedelta(days=366))
    rows = await _accounts(s, tenant)
    for row in rows:
        last = seen.get(row["actor"]) or {}
        row["last_operation"], row["last_operation_at"] = last.get("last_operation"), last.get("last_at")
        row["operations"] = last.get("operations", 0)
        row["remarks"] = _remarks(row, now)
    told = {"at": now, "items": rows}
    shown = [{k: v for k, v in row.items() if k != "rights"} | {"rights": len(row["rights"])} for row in rows]
    return _given(told, format, "access", f"Who may do what, {now:%Y-%m-%d %H:%M} UTC", [("Accounts", shown)], rows)


async def _accounts(s: Services, tenant: str) -> list[dict[str, Any]]:
    """Those who may act for the tenant; the operator, who has none, sees all."""
    if s.accounts is None:
        return []
    users_, keys_ = await s.accounts.known.as_of_now()
    users: list[dict[str, Any]] = [
        {"account": u.name, "kind": "user", "actor": u.name, "active": u.active, "roles": u.roles, "tenants": u.tenants, "created_us": u.created_us,
         "created_by": u.created_by, "used_us": u.signed_in_us, "expires_us": 0}
        for u in users_
    ]  # fmt: skip
    keys: list[dict[str, Any]] = [
        {"account": k.id, "kind": "key", "actor": k.actor, "active": not k.revoked_us, "roles": k.roles, "tenants": [k.tenant], "created_us": k.created_us,
         "created_by": k.created_by, "used_us": k.used_us, "expires_us": k.expires_us}
        for k in keys_
    ]  # fmt: skip
    rows = [row for row in (*users, *keys) if not tenant or tenant in row["tenants"]]
    for row in rows:
        rights = rights_of(row["roles"])
        row["rights"] = [r for r in RIGHTS if r in rights]
        for field in ("created", "used", "expires"):
            us = row.pop(f"{field}_us")
            row[f"{field}_at"] = datetime.fromtimestamp(us / 1e6, UTC) if us else None
    return sorted(rows, key=lambda row: (row["kind"] != "user", row["account"]))


def _remarks(row: dict[str, Any], now: datetime) -> list[str]:
    expired = row["expires_at"] is not None and row["expires_at"] < now
    unused = row["used_at"] is not None and row["used_at"] < now - timedelta(days=UNUSED_DAYS)
    found: dict[str, bool] = {
        "administrator": "users:write" in row["rights"], "suspended": not row["active"] and row["kind"] == "user",
        "revoked": not row["active"] and row["kind"] == "key", "expired": expired, "never_used": row["used_at"] is None, "unused": unused,
        "conflicting_rights": any(a in row["rights"] and b in row["rights"] for a, b, _ in CONFLICTS),
    }  # fmt: skip
    return [name for name, so in found.items() if so]


# --- as what it goes out -----------------------------------------------------------------------------------------------------


def _given(told: dict[str, Any], format: str, name: str, title: str, tables: list[tuple[str, list[Any]]], rows: list[Any]) -> Response[Any]:
    if format == "json":
        return reply(told)
    if format == "csv":
        headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        return Response(_csv(rows), media_type="text/csv", headers=headers)
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox", "Cache-Control": "no-store"}
    return Response(_page(title, tables, bool(told.get("cut"))), media_type="text/html", headers=headers)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return value if isinstance(value, str) else encode(value).decode()


def _columns(rows: list[Any]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _csv(rows: list[Any]) -> bytes:
    out = io.StringIO()
    columns = _columns(rows)
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(_text(row.get(name))) for name in columns])
    return out.getvalue().encode()


_STYLE = (
    "body{font:13px/1.4 system-ui,sans-serif;margin:2rem;color:#111;background:#fff}table{border-collapse:collapse;margin:0 0 1.5rem}"
    "td,th{border:1px solid #999;padding:3px 6px;text-align:left;vertical-align:top;white-space:nowrap}"
    "td.long{white-space:normal;overflow-wrap:anywhere;min-width:14em}th{background:#eee}thead{display:table-header-group}"
    "@page{size:A4 landscape;margin:12mm}@media print{body{margin:0;font-size:9px}tr{break-inside:avoid}h2{break-after:avoid}}"
)


#: characters that stay on one line
_SHORT = 32
_FRACTION = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\.\d+Z")


def _cell(value: Any) -> str:
    text = _FRACTION.sub(r"\1 \2Z", _text(value))  # to be read by people; the other forms have it to the microsecond
    return f"<td{'' if len(text) <= _SHORT else ' class=long'}>{escape(text)}</td>"


def _page(title: str, tables: list[tuple[str, list[Any]]], cut: bool) -> bytes:
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>"
    ]
    if cut:
        parts.append("<p>There are more than these rows: choose a shorter period.</p>")
    for name, rows in tables:
        parts.append(f"<h2>{escape(name)} ({len(rows)})</h2>")
        if rows:
            columns = [c for c in _columns(rows) if any(_text(row.get(c)) for row in rows)]
            head = "".join(f"<th scope=col>{escape(c.replace('_', ' '))}</th>" for c in columns)
            body = "".join("<tr>" + "".join(_cell(row.get(c)) for c in columns) + "</tr>" for row in rows)
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        else:
            parts.append("<p>None.</p>")
    return "".join(parts).encode()


HANDLERS: list[Any] = [get_evidence_report, get_evidence_duties, get_evidence_rules, get_evidence_access]
