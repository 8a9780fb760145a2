"""Tenants over HTTP and the command line, on several partitions and a real PostgreSQL: made, suspended, resumed, removed."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import pytest
from asking import Caller

from flowledger.infra.cli.main import app
from flowledger.sdk import Flow

MODEL = Flow("order").start().service("pack", job="pack").end().xml().decode()


@pytest.mark.req("APG-TEN-001", "APG-TEN-002", "WOS-CMP-001", "APG-POS-011", "APG-POS-023")
@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(240)
async def test_a_tenant_from_its_making_to_its_end(on, request, place, database, tmp_path):
    more = {"kafka": request.getfixturevalue("kafka_bootstrap"), "prefix": f"te-{uuid.uuid4().hex[:8]}"} if on == "kafka" else {}
    async with place.system(data=tmp_path, postgres=database, partitions=3, **more) as (_, http):
        w = Caller(http, place)

        async def starts(tenant: str, count: int = 9) -> list[tuple[int, Any]]:
            return [await w.ask("POST", "instances", {"definition": "order"}, tenant=tenant, key=uuid.uuid4().hex) for _ in range(count)]

        async def jobs(tenant: str) -> list[Any]:
            return (await w.ok("POST", "jobs/activate", {"type": "pack", "worker": "w", "max": 99, "timeout_ms": 60_000}, tenant=tenant))[
                "jobs"
            ]

        for tenant in ("acme", "zeta"):  # nobody has made them: they are named, as ever
            await w.ok("POST", "deployments", {"resources": [{"name": "order.bpmn", "content": MODEL}]}, tenant=tenant)
        assert [status for status, _ in await starts("acme")] == [201] * 9
        assert [t["name"] for t in (await w.ok("GET", "tenants"))["items"]] == ["default"]
        made = await w.ok("POST", "tenants", {"name": "acme", "title": "Acme Ltd", "jobs": {"concurrency": 4}, "reason": "contract 7"})
        assert (made["status"], made["tenant"], made["title"]) == ("active", "acme", "Acme Ltd")

        async def counted() -> Any:
            seen = await w.ok("GET", "tenants/acme")
            kept = {name: many for name, many in seen["has"].items() if name != "storage"}
            return seen["jobs"] == {"concurrency": 4} and kept == {"instances": 9, "tasks": 9, "definitions": 1}

        await place.until(counted, 20)
        assert (await w.ask("POST", "tenants", {"name": "acme"}))[0] == 409
        assert (await w.ask("GET", "tenants/zeta"))[0] == 404

        # unknown ones are refused only when the operator says so
        await w.ok("PATCH", "tenants/default", {"unknown": "refuse", "reason": "all are known by now"})

        async def refused_everywhere() -> Any:
            return {status for status, _ in await starts("zeta")} == {403}

        await place.until(refused_everywhere, 20)
        await w.ok("POST", "tenants", {"name": "zeta"})

        async def taken_everywhere() -> Any:
            return {status for status, _ in await starts("zeta")} == {201}

        await place.until(taken_everywhere, 20)

        # its jobs: no more at once than it may, over all partitions
        out: list[Any] = []
        for _ in range(20):
            out += await jobs("acme")
            await asyncio.sleep(0.05)
        assert len(out) == 4

        # its instances: others wait, and begin in their turn
        now = {"instances": 12, "waiting": 50}
        assert (await w.ok("PATCH", "tenants/acme", {"quotas": now}))["quotas"] == now
        assert (await w.ok("GET", "tenants/acme"))["jobs"] == {"concurrency": 4}, "what isn't said stays"

        async def waiting() -> Any:
            await starts("acme", 3)
            return (await w.ok("GET", "instances", tenant="acme", status="pending"))["items"]

        await place.until(waiting, 20)
        assert len((await w.ok("GET", "instances", tenant="acme", status="running", limit=100))["items"]) <= 12
        assert {told["status"] for _, told in await starts("zeta")} == {"running"}
        await w.ok("PATCH", "tenants/acme", {"quotas": {}})

        async def none_waiting() -> Any:
            return not (await w.ok("GET", "instances", tenant="acme", status="pending"))["items"]

        await place.until(none_waiting, 20)

        # suspended: nothing begins, nothing is lost
        await w.ok("POST", "tenants/acme/suspend", {"reason": "invoice 12 is open"})

        async def stopped_everywhere() -> Any:
            answers = await starts("acme")
            return {status for status, _ in answers} == {409} and all("invoice 12" in told["detail"] for _, told in answers)

        await place.until(stopped_everywhere, 20)
        for job in out:
            await w.ok("POST", f"jobs/{job['key']}/complete", {"variables": {"done": True}}, tenant="acme")
        assert (await w.ask("DELETE", "tenants/acme"))[0] == 409
        held = (await w.ok("GET", "instances", tenant="acme", limit=100))["items"]
        assert {(i["status"], i["held"]) for i in held if i["status"] != "completed"} == {("running", "suspend")}
        assert (await w.ok("GET", "instances", tenant="zeta", limit=1))["items"][0]["held"] is None, "the others don't notice"
        await w.ok("POST", "tenants/acme/resume", {})

        async def gone_on() -> Any:
            rows = (await w.ok("GET", "instances", tenant="acme", limit=100, status="completed"))["items"]
            return {i["id"] for i in rows} == {j["instance"] for j in out}

        await place.until(gone_on, 20)

        # removed: only with nothing that may go on, or by an explicit word
        await w.ok("POST", "tenants/acme/suspend", {"reason": "it ends"})
        status, told = await w.ask("DELETE", "tenants/acme")
        assert status == 409 and told["has"]["definitions"] == 1 and told["has"]["instances"] > 0
        assert (await w.ok("DELETE", "tenants/acme", leave="true", reason="they have left"))["status"] == "removed"
        assert (await w.ask("GET", "tenants/acme"))[0] == 404
        assert [t["name"] for t in (await w.ok("GET", "tenants", status="removed"))["items"]] == ["acme"]
        assert {status for status, _ in await starts("acme", 3)} == {403} and await jobs("acme") == []
        assert (await w.ok("GET", "instances", tenant="acme", limit=1))["items"], "history stays"
        await w.ok("POST", "tenants", {"name": "acme"})

        async def again() -> Any:
            return await jobs("acme")

        await place.until(again, 20)

        # one with nothing goes without
        await w.ok("POST", "tenants", {"name": "empty"})
        await w.ok("POST", "tenants/empty/suspend", {"reason": "never used"})
        assert (await w.ok("DELETE", "tenants/empty"))["hold"] is None
        asked = (await w.ok("GET", "operations", kind="tenant", limit=100))["items"]
        assert {o["operation"] for o in asked} == {"create_tenant", "change_tenant", "suspend_tenant", "resume_tenant", "remove_tenant"}
        assert {o["actor"] for o in asked} == {"ann"}


async def test_tenants_by_the_command_line(place, database, tmp_path):
    from typer.testing import CliRunner

    async with place.system(data=tmp_path, postgres=database) as (_, http):
        url = str(http.base_url).rstrip("/")

        async def run(*words: str, ok: bool = True) -> str:
            found = await asyncio.to_thread(CliRunner().invoke, app, ["tenants", *words, "--server", url])
            assert (found.exit_code == 0) == ok, (found.output, found.exception)
            return found.output or str(found.exception)

        assert "acme is made" in await run(
            "make",
            "acme",
            "--title",
            "Acme",
            "--concurrency",
            "3",
            "--rate",
            "10/500",
            "--instances",
            "9",
            "--starts",
            "5",
            "--reason",
            "new",
        )
        row = json.loads(await run("show", "acme", "--json"))
        assert row["jobs"] == {"concurrency": 3, "rate": {"max": 10, "per_ms": 500}} and row["reason"] == "new"
        assert row["quotas"] == {"instances": 9, "starts": {"max": 5, "per_ms": 1000}}
        await run("change", "acme", "--no-limit")
        assert "suspended" in await run("suspend", "acme", "--reason", "why not")
        assert "Acme" in await run("list") and "acme" not in await run("list", "--status", "active")
        await run("resume", "acme")
        assert "suspended" in await run("rm", "acme", "--yes", ok=False)
        await run("suspend", "acme", "--reason", "gone")
        await run("rm", "acme", "--yes")
        await run("change", "default", "--unknown", "refuse")
        assert json.loads(await run("list", "--json"))[0]["name"] == "default"
