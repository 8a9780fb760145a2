"""Histories as files for other tools: XES (IEEE 1849), OCEL 2.0 as JSON, CSV, XLSX and Parquet, of the same events. No person is named in them.

A case is an instance, an event a step in the life of a piece of work at it: schedule, start, complete, ate_abort (it was withdrawn). The words are those of
the lifecycle extension of XES.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import quoteattr

from flowledger.analytics.sheets import cell
from flowledger.events.avro import encode_json
from flowledger.projections import event_files
from flowledger.projections.event_files import Case, Step
from flowledger.projections.measures import span_of
from flowledger.projections.reader import Reader, Row, Senseless

#: instances of one file
CASES_MAX = 5_000
#: what XML can't hold
_BAD = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_EXTENSIONS = (("Concept", "concept"), ("Time", "time"), ("Lifecycle", "lifecycle"))
_COLUMNS = ("case", "process", "version", "activity", "element", "lifecycle", "time", "work")


def steps_of(row: dict[str, Any]) -> Iterator[Step]:
    """Of a row of `tasks`, in the order in which they were."""
    ends = [("complete", row["completed_at"]), ("ate_abort", row["cancelled_at"])]
    for lifecycle, at in (("schedule", row["created_at"]), ("start", row["started_at"]), *ends):
        if at is not None:
            element = row["definition_key"]
            yield Step(str(row["workflow_instance_id"]), str(row["id"]), element, row["name"] or element, lifecycle, at)


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def xes(process: str, cases: Sequence[Case], steps: Sequence[Step]) -> str:
    by_case: dict[str, list[Step]] = {c.id: [] for c in cases}
    for step in steps:
        by_case[step.case].append(step)
    out = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<log xes.version="1849-2016" xes.features="nested-attributes" xmlns="http://www.xes-standard.org/">',
    ]
    out += [f'<extension name="{n}" prefix="{p}" uri="http://www.xes-standard.org/{p}.xesext"/>' for n, p in _EXTENSIONS]
    out.append('<global scope="trace"><string key="concept:name" value=""/></global>')
    out.append(
        '<global scope="event"><string key="concept:name" value=""/><date key="time:timestamp" value="1970-01-01T00:00:00Z"/>'
        '<string key="lifecycle:transition" value="complete"/></global>'
    )
    out.append(
        '<classifier name="Activity" keys="concept:name"/><classifier name="Activity and lifecycle" keys="concept:name lifecycle:transition"/>'
    )
    out.append(_attribute("string", "concept:name", process))
    out.append(_attribute("string", "lifecycle:model", "standard"))
    for c in cases:
        ended = [_attribute("date", "flowledger:ended", _time(c.ended))] if c.ended is not None else []
        out += ["<trace>", _attribute("string", "concept:name", c.id), _attribute("int", "flowledger:version", str(c.version))]
        out += [
            _attribute("string", "flowledger:outcome", c.outcome or "running"),
            _attribute("date", "flowledger:started", _time(c.started)),
            *ended,
        ]
        for s in by_case[c.id]:
            out.append(
                "<event>" + _attribute("string", "concept:name", s.name) + _attribute("string", "lifecycle:transition", s.lifecycle)
                + _attribute("date", "time:timestamp", _time(s.at)) + _attribute("string", "concept:instance", s.work)
                + _attribute("string", "flowledger:element", s.element) + "</event>"
            )  # fmt: skip
        out.append("</trace>")
    out.append("</log>")
    return "\n".join(out) + "\n"


def _attribute(kind: str, key: str, value: str) -> str:
    held = quoteattr(_BAD.sub("\ufffd", value))
    return f'<{kind} key="{key}" value={held}/>'


def ocel(process: str, cases: Sequence[Case], steps: Sequence[Step]) -> dict[str, Any]:
    """Objects are instances (of a type that is named as the process) and tasks; an event has both."""
    begin = "1970-01-01T00:00:00Z"
    kind, task = process if process != "task" else "process task", "task"
    objects = [
        {"id": c.id, "type": kind, "attributes": [
            {"name": "version", "time": begin, "value": c.version}, {"name": "outcome", "time": _time(c.ended) if c.ended else begin, "value": c.outcome or "running"},
        ]}
        for c in cases
    ]  # fmt: skip
    works: dict[str, Step] = {}
    for s in steps:
        works.setdefault(s.work, s)
    objects += [
        {"id": f"task-{s.work}", "type": task, "attributes": [{"name": "element", "time": begin, "value": s.element}],
         "relationships": [{"objectId": s.case, "qualifier": "of"}]}
        for s in works.values()
    ]  # fmt: skip
    events = [
        {"id": f"{s.work}-{s.lifecycle}", "type": s.name, "time": _time(s.at), "attributes": [{"name": "lifecycle", "value": s.lifecycle}],
         "relationships": [{"objectId": s.case, "qualifier": "case"}, {"objectId": f"task-{s.work}", "qualifier": "work"}]}
        for s in steps
    ]  # fmt: skip
    return {
        "objectTypes": [
            {"name": kind, "attributes": [{"name": "version", "type": "integer"}, {"name": "outcome", "type": "string"}]},
            {"name": task, "attributes": [{"name": "element", "type": "string"}]},
        ],
        "eventTypes": [{"name": name, "attributes": [{"name": "lifecycle", "type": "string"}]} for name in sorted({s.name for s in steps})],
        "objects": objects, "events": events,
    }  # fmt: skip


def table(process: str, cases: Sequence[Case], steps: Sequence[Step]) -> str:
    versions = {c.id: c.version for c in cases}
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for s in steps:
        writer.writerow([cell(v) for v in (s.case, process, versions[s.case], s.name, s.element, s.lifecycle, _time(s.at), s.work)])
    return out.getvalue()


def instances(process: str, cases: Sequence[Case], steps: Sequence[Step]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(event_files.INSTANCES)
    for row in event_files.instances_of(process, cases):
        writer.writerow([cell(_time(v) if isinstance(v, datetime) else v) for v in row])
    return out.getvalue()


Write = Callable[[str, Sequence[Case], Sequence[Step]], str | bytes]
PARQUET = "application/vnd.apache.parquet"
FORMATS: dict[str, tuple[str, Write]] = {
    "xes": ("application/xml", xes),
    "ocel": ("application/json", lambda *given: encode_json(ocel(*given)).decode()),
    "csv": ("text/csv", table),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", event_files.xlsx),
    "parquet": (PARQUET, event_files.parquet_of("steps")),
}
#: formats of one table, as a list of the instances
LISTS: dict[str, tuple[str, Write]] = {"csv": ("text/csv", instances), "parquet": (PARQUET, event_files.parquet_of("instances"))}


async def export(r: Reader, tenant: str, given: Mapping[str, str]) -> Row:
    """`{content, media_type}`, the content as text or bytes: the instances of a process that were made in the time, with the work in them. Raises: Senseless."""
    process, (start, end) = given["process"], span_of(given, datetime.now(UTC))
    formats = LISTS if given.get("what") == "instances" else FORMATS
    wanted = given.get("format") or "xes"
    if wanted not in formats:
        raise Senseless(f"format: expected {' or '.join(formats)} for a list of instances, found {wanted}")
    media_type, write = formats[wanted]
    rows = await r.rows(
        "SELECT id, version, coalesce(started_at, created_at) AS started, coalesce(completed_at, cancelled_at) AS ended, status FROM workflow_instances "
        "WHERE tenant_id = %s AND process_id = %s AND created_at >= %s AND created_at < %s ORDER BY created_at, id LIMIT %s",
        (tenant, process, start, end, CASES_MAX + 1),
    )
    if len(rows) > CASES_MAX:
        raise Senseless(f"from: expected a time in which {CASES_MAX} instances were made at most, found more: ask for less")
    cases = [Case(str(x["id"]), x["version"], x["started"], x["ended"], x["status"]) for x in rows]
    work = await r.rows(
        "SELECT id, workflow_instance_id, definition_key, name, created_at, started_at, completed_at, cancelled_at FROM tasks "
        "WHERE tenant_id = %s AND workflow_instance_id = ANY(%s) ORDER BY workflow_instance_id, id",
        (tenant, [x["id"] for x in rows]),
    )
    order = {c.id: n for n, c in enumerate(cases)}
    steps = sorted((s for row in work for s in steps_of(row)), key=lambda s: (order[s.case], s.at))
    # what takes long is done aside: others are answered meanwhile
    return {"content": await asyncio.to_thread(write, process, cases, steps), "media_type": media_type}
