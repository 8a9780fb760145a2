"""Saved reports that are sent at set times, on both pairs of log and database: by mail and to an address, each time once, over a restart; what fails is told, and
sent when it is mended."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from test_outgoing_webhooks_by_api import SECRET, Receiver, flowledger, hook_server

from flowledger.connectors.webhooks import signing
from flowledger.sdk import Flow
from tests.connectors.test_mail_connector import Mailbox

WORK = Flow("order").start().service("t", job="w").end().xml().decode()
REPORT = {"measure": ["started", "completed"], "group": ["process"], "process": "order", "title": "Orders"}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"cron": "61 * * * *"}, "minute"), ({"zone": "Mars"}, "time zone"), ({"format": "pdf"}, "csv"), ({"mail": None}, "one of"), ({"colour": "red"}, "colour"),
    ({"webhook": {"url": "http://x"}}, "one of"), ({"mail": {"to": ["nobody"]}}, "addresses"), ({"mail": {"password": "hush"}}, "secrets.NAME"),
    ({"mail": {"password": "{{secrets.X}}"}}, "username"),
]  # fmt: skip
EXAMPLE = Path(__file__).parents[2] / "examples/reports/orders-by-week.schedule.yaml"


def table(content: bytes) -> list[tuple[str, float]]:
    return [(row["process"], float(row["started"])) for row in csv.DictReader(io.StringIO(content.decode()))]


@pytest.mark.req("D-ANA-008", "D-ANA-003")
@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(400)
async def test_a_report_is_sent_at_each_of_its_times_once(on, request, place, database, tmp_path):
    settings = hook_server(on, request, tmp_path, database, partitions=2)
    mailbox = Mailbox()
    port = await mailbox.start()
    mail = {
        "host": "127.0.0.1",
        "port": port,
        "security": "off",
        "from": "Reports <r@example.org>",
        "to": ["a@example.org", "B <b@example.org>"],
    }
    by_mail = {"cron": "*/2 * * * * *", "zone": "Europe/Berlin", "mail": mail}
    by_hook = {"cron": "* * * * * *", "catch_up": "none", "webhook": {"secret": "{{secrets.HOOK}}", "headers": {"X-From": "flows"}}}

    async def ask(http: Any, method: str, path: str, body: Any = None) -> Any:
        r = await http.request(method, f"/v1/saved-reports/{path}", json=body)
        return r.status_code, r.json()

    def sent() -> dict[str, Any]:
        return {m["Message-ID"]: m for _, m in mailbox.got}

    async def paused(http: Any, name: str, process: str) -> list[dict[str, Any]]:
        """All that was sent by it, once it is told to send no more and all has ended."""
        assert (await http.post(f"/v1/triggers/report:{name}/pause")).status_code == 200

        async def over() -> Any:
            items = (await http.get("/v1/instances", params={"definition": process, "limit": 200})).json()["items"]
            ran = (await http.get(f"/v1/triggers/report:{name}")).json()["ran"]
            return items if len(items) == ran and all(i["status"] == "completed" for i in items) else None

        return await place.until(over, 60)

    async with Receiver() as receiver:
        async with place.system(**settings) as (system, http):
            assert (await http.post("/v1/deployments", json={"resources": [{"name": "w.bpmn", "content": WORK}]})).status_code == 201
            assert (await ask(http, "PUT", "Aufträge/schedule", by_mail))[0] == 404
            for name in ("Aufträge", "hooked"):
                assert (await ask(http, "PUT", name, REPORT))[0] == 200
                assert (await ask(http, "GET", f"{name}/schedule"))[0] == 404
            for _ in range(3):
                assert (await http.post("/v1/instances", json={"definition": "order"})).status_code == 201
            # what can't be meant is said, and nothing is deployed
            for wrong, words in WRONG:
                if (own := wrong.get("mail")) is not None:
                    wrong = {"mail": mail | own}
                status, answer = await ask(http, "PUT", "Aufträge/schedule", by_mail | wrong)
                assert status in (400, 422) and words in json.dumps(answer) and "hush" not in json.dumps(answer), answer
            assert (await http.get("/v1/triggers")).json()["items"] == []

            by_hook["webhook"]["url"] = receiver.url
            file = tmp_path / "s.json"
            file.write_text(json.dumps(by_hook))
            await flowledger(system.url, "reports", "schedule", "hooked", str(file))
            status, made = await ask(http, "PUT", "Aufträge/schedule", by_mail)
            assert status == 200 and "report:Aufträge" in json.dumps(made, ensure_ascii=False)
            assert (await ask(http, "DELETE", "hooked"))[0] == 409, "it is sent"

            async def some() -> bool:
                return len(sent()) >= 3 and len(receiver.got) >= 3

            await place.until(some, 90)
            for message in list(sent().values()):
                (attached,) = message.iter_attachments()
                assert table(attached.get_content().encode()) == [("order", 3.0)] and attached.get_content_type() == "text/csv"
                assert message["Subject"] == "Orders" and message["To"] == "a@example.org, B <b@example.org>"
            for headers, body in list(receiver.got):
                assert table(body) == [("order", 3.0)] and headers["x-from"] == "flows" and headers["content-type"].startswith("text/csv")
                assert headers["flowledger-report"] == "hooked" and headers["idempotency-key"] == headers["webhook-id"]
                key = signing.key_of(SECRET)
                assert (
                    headers["webhook-signature"]
                    == signing.headers([key], headers["webhook-id"], int(headers["webhook-timestamp"]), body)["webhook-signature"]
                )
            found = (await ask(http, "GET", "Aufträge/schedule"))[1]
            assert found["schedule"] == by_mail | {"mail": found["schedule"]["mail"]} and found["schedule"]["mail"].items() >= mail.items()
            assert (
                found["status"] == "active"
                and found["next_at"]
                and found["sent"][0]["scheduled"].endswith(datetime.now(ZoneInfo("Europe/Berlin")).isoformat()[-6:])
            )
        # while it stood still some times went by: of one the last is made up for, of the other none
        await asyncio.sleep(5)
        before = set(sent())
        async with place.system(**settings) as (system, http):

            async def again() -> bool:
                return len(set(sent()) - before) >= 2

            await place.until(again, 90)
            shown = await flowledger(system.url, "reports", "schedule", "Aufträge")
            assert shown["skipped_from"], "two times and more went by"
            process = shown["process"]
            rows = await paused(http, "Aufträge", process)
            times = [datetime.fromisoformat(row["business_key"]) for row in rows]
            assert len(set(times)) == len(times) == len(sent()) == len(mailbox.got), "each time is one instance, and one mail"
            assert all(t.second % 2 == 0 for t in times) and max(times) - min(times) >= timedelta(seconds=8)
            hooked = await paused(http, "hooked", "report-hooked")
            assert len({h["webhook-id"] for h, _ in receiver.got}) == len(hooked) == len({row["business_key"] for row in hooked})

            # a server that takes nothing: an incident that says so; mended, it is sent
            mailbox.data_answer = "554 not today"
            started = await http.post("/v1/instances", json={"definition": process})
            assert started.status_code == 201

            async def failed() -> Any:
                sending = (await ask(http, "GET", "Aufträge/schedule"))[1]["sent"][0]
                return sending if sending["problem"] else None

            one = await place.until(failed, 60)
            assert "554" in one["problem"] and one["id"] == started.json()["id"], one
            mailbox.data_answer, count = "250 taken", len(sent())
            (incident,) = (await http.get("/v1/incidents", params={"instance": one["id"], "status": "open"})).json()["items"]
            assert (await http.post(f"/v1/incidents/{incident['id']}/resolve", json={"retries": 1})).status_code == 200

            async def mended() -> bool:
                return len(sent()) == count + 1

            await place.until(mended, 60)
            await flowledger(system.url, "reports", "schedule", "hooked", "--off")

            async def off() -> bool:  # the rows follow
                return bool((await ask(http, "GET", "hooked/schedule"))[0] == 404)

            await place.until(off, 60)
            assert (await ask(http, "DELETE", "hooked"))[0] == 200
            assert (await ask(http, "PUT", "Aufträge/schedule", by_mail | {"format": "xlsx", "cron": "0 7 * * MON"}))[0] == 200
            await flowledger(system.url, "reports", "schedule", "Aufträge", str(EXAMPLE))
    mailbox.close()
