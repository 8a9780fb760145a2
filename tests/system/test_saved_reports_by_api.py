"""Saved reports over HTTP and by the command line: from a file to a table and a spreadsheet; one's tenant's, and nobody else's."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from asking import latest
from test_outgoing_webhooks_by_api import flowledger

from flowledger.api import saved_reports
from flowledger.sdk import Flow

EXAMPLE = Path(__file__).parents[2] / "examples/reports/orders-by-week.report.yaml"


@pytest.mark.req("D-ANA-008")
async def test_a_report_from_its_file_to_a_table_and_a_spreadsheet(place, database, tmp_path, monkeypatch):
    work = Flow("order").start().service("t", job="w").end().xml().decode()
    async with place.system(data=tmp_path / "data", postgres=database, partitions=2) as (system, http):

        async def ask(method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
            r = await http.request(method, f"/v1/saved-reports{path}", json=body, **more)
            return r.status_code, r.json()

        assert (await http.post("/v1/deployments", json={"resources": [{"name": "w.bpmn", "content": work}]})).status_code == 201
        made = [(await http.post("/v1/instances", json={"definition": "order"})).json() for _ in range(3)]
        stored = await flowledger(system.url, "deploy", str(EXAMPLE))
        assert [r["name"] for r in stored["reports"]] == ["orders-by-week"]
        assert [r["name"] for r in await flowledger(system.url, "reports", "list")] == ["orders-by-week"]
        report = {"measure": ["started", "completed"], "group": ["process"], "chart": "bar"}
        assert (await ask("PUT", "/mine", report))[0] == 200
        assert (await ask("GET", "/mine"))[1] | report == (await ask("GET", "/mine"))[1]
        status, told = await ask("GET", "/mine/run", params={"wait_for": latest(m["position"] for m in made)})
        assert status == 200 and told["items"][0] | {"process": "order", "started": 3, "completed": 0} == told["items"][0]
        assert (await ask("POST", "/try", {"report": report}))[1]["items"][0]["started"] == 3
        found = await http.get("/v1/saved-reports/mine/export", params={"format": "csv"})
        assert found.headers["content-type"].startswith("text/csv") and 'filename="mine.csv"' in found.headers["content-disposition"]
        assert [(r["process"], float(r["started"])) for r in csv.DictReader(io.StringIO(found.text))] == [("order", 3.0)]
        out = tmp_path / "week.xlsx"
        await flowledger(system.url, "reports", "run", "orders-by-week", "--out", str(out))
        assert out.read_bytes()[:2] == b"PK"
        assert (await flowledger(system.url, "reports", "run", str(EXAMPLE)))["columns"] == ["started", "completed", "cycle_time"]
        # what can't be meant is said, and stores nothing
        for wrong in ({"measure": "speed"}, {"measure": "wip", "chart": "line"}, {}, {"measure": "wip", "colour": "red"}):
            for method, path, body in (("PUT", "/wrong", wrong), ("POST", "/try", {"report": wrong})):
                status, answer = await ask(method, path, body)
                assert status in (400, 422) and "expected" in answer["detail"], answer
        assert (await ask("GET", "/wrong"))[0] == (await ask("GET", "/wrong/run"))[0] == (await ask("DELETE", "/wrong"))[0] == 404
        assert (await ask("GET", "/mine/export", params={"format": "pdf"}))[0] == 400
        # of one's tenant
        acme = {"headers": {"X-Tenant": "acme"}}
        assert (await ask("GET", "/mine", **acme))[0] == 404 and (await ask("GET", "", **acme))[1]["items"] == []
        assert (await ask("PUT", "/mine", {"measure": "failed"}, **acme))[0] == 200
        assert (await ask("GET", "/mine"))[1]["measure"] == ["started", "completed"]
        # no more than so many
        monkeypatch.setattr(saved_reports.sr, "REPORTS_MAX", 2)
        assert (await ask("PUT", "/third", report))[0] == 429 and (await ask("PUT", "/mine", report))[0] == 200
        await flowledger(system.url, "reports", "delete", "orders-by-week")
        assert (await ask("PUT", "/third", report))[0] == 200
