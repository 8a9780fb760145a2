"""Histories as files: XES, OCEL 2.0 and CSV tell the planned work, case by case, and hold together."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter

import pytest
from lxml import etree
from test_measure_rows import START_US, Drawn, History, at, caught_up, running

from flowledger.projections import event_logs
from flowledger.projections.reader import Reader, Senseless

pytestmark = pytest.mark.postgres
SPAN = {"from": at(START_US), "to": at(START_US + 9 * 86_400_000_000), "process": "order"}
XES = "{http://www.xes-standard.org/}"


def stamp(us: int) -> str:
    return at(us) if us % 1_000_000 else at(us).replace("Z", ".000000Z")


async def test_each_format_has_the_planned_work_and_nothing_of_another_tenant(db, dsn, schema, monkeypatch):
    log = Drawn(History(31, 150, 3))
    async with running(log, dsn, schema, (0,)) as runner:
        await caught_up(log, runner)
    cases = [c for c in log.history.truth if c.tenant == "acme"]
    planned = Counter((str(c.key), w[0], stamp(w[3])) for c in cases for w in c.work)
    made = Counter((str(c.key), e, stamp(m)) for c in cases for e, _, m in c.jobs)
    async with Reader(dsn, schema) as reader:
        found = await event_logs.export(reader, "acme", {**SPAN, "format": "xes"})
        root = etree.fromstring(found["content"].encode())
        traces = {t.find(f"{XES}string[@key='concept:name']").get("value"): t for t in root.iter(f"{XES}trace")}
        assert {*traces} == {str(c.key) for c in cases} and found["media_type"] == "application/xml"

        def of_xes(lifecycle: str) -> Counter:
            told = Counter()
            for case, trace in traces.items():
                for event in trace.iter(f"{XES}event"):
                    a = {x.get("key"): x.get("value") for x in event}
                    told[case, a["flowledger:element"], a["time:timestamp"]] += a["lifecycle:transition"] == lifecycle
            return +told

        assert of_xes("complete") == planned and made <= of_xes("schedule")
        for c in cases:
            a = {x.get("key"): x.get("value") for x in traces[str(c.key)] if x.tag != f"{XES}event"}
            assert (a["flowledger:version"], a["flowledger:outcome"]) == (str(c.version), c.outcome or "running")
            assert (a.get("flowledger:ended"), a["flowledger:started"]) == (stamp(c.ended) if c.outcome else None, stamp(c.started))

        told = json.loads((await event_logs.export(reader, "acme", {**SPAN, "format": "ocel"}))["content"])
        objects = {o["id"]: o for o in told["objects"]}
        assert len(objects) == len(told["objects"]) and len({e["id"] for e in told["events"]}) == len(told["events"])
        types, kinds = {t["name"] for t in told["eventTypes"]}, {t["name"] for t in told["objectTypes"]}
        assert all(e["type"] in types and {r["objectId"] for r in e["relationships"]} <= {*objects} for e in told["events"])
        assert {o["type"] for o in objects.values()} == kinds == {"order", "task"}
        assert Counter(
            (e["relationships"][0]["objectId"], e["type"], e["time"])
            for e in told["events"]
            if {"name": "lifecycle", "value": "complete"} in e["attributes"]
        ) == Counter(planned)

        rows = list(csv.DictReader(io.StringIO((await event_logs.export(reader, "acme", {**SPAN, "format": "csv"}))["content"])))
        assert Counter((r["case"], r["element"], r["time"]) for r in rows if r["lifecycle"] == "complete") == planned
        assert len(rows) == len(told["events"]) == sum(len(list(t.iter(f"{XES}event"))) for t in traces.values())

        monkeypatch.setattr(event_logs, "CASES_MAX", 10)
        with pytest.raises(Senseless, match="expected a time in which 10 instances"):
            await event_logs.export(reader, "acme", SPAN)


def test_what_would_be_a_formula_or_no_xml_is_told_as_a_text():
    from datetime import UTC, datetime

    now = datetime(2026, 1, 5, tzinfo=UTC)
    case = event_logs.Case("1", 1, now, None, "")
    step = event_logs.Step("1", "2", "=e", '=HYPERLINK("x")\x01&<', "complete", now)
    assert "'=HYPERLINK" in event_logs.table("p", [case], [step])
    root = etree.fromstring(event_logs.xes('a"b', [case], [step]).encode())
    assert [e.get("value") for e in root.iter(f"{XES}string") if e.get("key") == "concept:name"][2:] == [
        'a"b',
        "1",
        '=HYPERLINK("x")\ufffd&<',
    ]
