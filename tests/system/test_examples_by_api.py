"""Examples that ship, as their users run them: deployed to a server, worked on by people and machines, and looked at afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from asking import Caller

from flowledger.infra import bundle

TOOL = Path(__file__).parents[2] / "tools" / "verify_bundle.py"
ALERT = {"id": "A-1", "text": "malware on a host", "personal_data": True}
#: severity -> the teams whose tasks are open beside one another
TEAMS = {"medium": {"fix"}, "high": {"contain"}, "critical": {"contain", "forensics", "communicate"}}


@pytest.fixture
async def x(place, database, tmp_path) -> AsyncIterator[Asker]:
    async with place.system(data=tmp_path, postgres=database, partitions=2) as (system, http):
        yield Asker(http, place, system)


class Asker(Caller):
    def __init__(self, http: Any, place: Any, system: Any) -> None:
        super().__init__(http, place)
        self.system = system


async def deploy(x: Asker, *names: str, **changed: str) -> None:
    files = [{"name": n, "content": (x.place.examples / n).read_text()} for n in names]
    files += [{"name": f"{n}.bpmn", "content": text} for n, text in changed.items()]
    told = await x.ok("POST", "deployments", {"resources": files})
    await x.ok("GET", "definitions", wait_for=told["position"])


async def work(x: Asker, type: str, **variables: Any) -> str:
    """The next job of this type is done. -> the key of its task"""
    [job] = (await x.ok("POST", "jobs/activate", {"type": type, "worker": "robot", "max": 1, "wait_ms": 20_000}))["jobs"]
    said = await x.ok("POST", f"jobs/{job['key']}/complete", {"variables": variables, "fence": job["fence"]})
    await x.ok("GET", "tasks", wait_for=said["position"])
    return str(job["key"])


async def open_tasks(x: Asker, instance: str) -> dict[str, dict[str, Any]]:
    rows = (await x.ok("GET", "tasks", instance=instance, open="true", type="user_task"))["items"]
    return {row["element"]: row for row in rows}


async def decide(x: Asker, task: str, **variables: Any) -> None:
    said = await x.ok("POST", f"tasks/{task}/complete", {"variables": variables})
    await x.ok("GET", "tasks", wait_for=said["position"])


async def ended(x: Asker, instance: str) -> str:
    """Where it ended."""

    async def over() -> Any:
        return (await x.ok("GET", f"instances/{instance}"))["status"] == "completed"

    await x.place.until(over)
    rows = (await x.ok("GET", f"instances/{instance}/events", limit=500))["items"]
    return str(rows[-1]["data"]["element"])


@pytest.mark.req("APG-EXM-030")
async def test_a_document_is_approved_or_rejected_and_one_that_waits_too_long_shows_as_breached(x):
    text = (x.place.examples / "document-approval.bpmn").read_text()
    assert text.count("P2D") == 3, "the due date, the promise, and when the author is told"
    ends = {}
    for decision, model in (("approve", text), ("reject", text.replace("P2D", "PT0.5S"))):
        await deploy(x, "forms/document-review.form", model=model)
        [key] = await x.start("document-approval", 1, variables={"document": "lease.pdf", "author": "ann"})
        task = (await open_tasks(x, key))["review"]
        if decision == "reject":

            async def late(id: str = task["id"]) -> Any:
                row = await x.ok("GET", f"tasks/{id}")
                return row if "sla" in (row["metadata"] or {}) else None

            row = await x.place.until(late)
            assert row["status"] == "created" and row["metadata"]["sla"]["breached_us"] > 0, "it stays open, and shows as breached"
            kinds = [e["type"] for e in (await x.ok("GET", f"tasks/{task['id']}/events"))["items"]]
            assert "sla.breached" in kinds
            await work(x, "notification_engine.send")
        await decide(x, task["id"], decision=decision, comment="seen")
        ends[decision] = await ended(x, key)
    assert ends == {"approve": "approved", "reject": "rejected"}


@pytest.mark.req("APG-EXM-029", "APG-MOD-003")
async def test_the_severity_of_an_incident_picks_the_teams_and_its_export_has_every_step(x, tmp_path):
    await deploy(x, "incident-response.json", "forms/incident-severity.form")
    keys = {}
    for severity, teams in TEAMS.items():
        [key] = await x.start("incident-response", 1, variables={"alert": ALERT})
        keys[severity] = key
        await work(x, "audit_compliance.record")
        await work(x, "ai_orchestration.classify", severity=severity, kinds=[])
        await work(x, "real_time_collaboration.open_room", room="room-1")
        tasks = await open_tasks(x, key)
        assert set(tasks) == teams, "these, and all of them at the same time"
        for task in tasks.values():
            await decide(x, task["id"])
        await work(x, "audit_compliance.check", must_report=True)
        await decide(x, (await open_tasks(x, key))["report"]["id"])
        for job, gives in (
            ("ai_orchestration.summarise", {"summary": "mended"}),
            ("real_time_collaboration.close_room", {}),
            ("audit_compliance.report", {}),
        ):
            await work(x, job, **gives)

        async def over(of: str = key) -> Any:
            return (await x.ok("GET", f"instances/{of}"))["status"] == "completed"

        await x.place.until(over)
    folder = tmp_path / "audit"
    await bundle.export(x.system.log, folder, ())
    checked = subprocess.run([sys.executable, TOOL, folder], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for severity, key in keys.items():
        told = (await x.ok("GET", f"instances/{key}/events", limit=1000))["items"]
        done = [e["data"]["element"] for e in told if e["type"] == "task.completed"]
        common = ["log_alert", "classify", "open_room", "regulation", "report", "summary", "close_room", "audit_report"]
        assert sorted(done) == sorted([*common, *TEAMS[severity]])
        assert {e["actor"] for e in told if e["type"] == "task.completed"} == {"ann"} and all(e["time"] for e in told)
        # leases name many tasks at once, and stand under nobody's key
        own = [e["id"] for e in told if e["type"] != "task.leased"]
        assert own == exported(folder, key), "the export has each, in its order, and no other of this instance"


def exported(folder: Path, instance: str) -> list[str]:
    """Positions of all that a bundle has under the key of an instance."""
    lines = [(p, json.loads(line)) for p in (0, 1) for line in (folder / f"partition-{p}.jsonl").read_text().splitlines()]
    return [f"{p}-{offset}" for p, (offset, _, key, *_) in lines if key and int.from_bytes(b64decode(key)) == int(instance)]
