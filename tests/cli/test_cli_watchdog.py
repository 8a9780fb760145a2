"""The watchdog on the command line and over HTTP, at a real server in processes of its own: a model whose join waits for what can't come is found, and let go."""

from __future__ import annotations

import json

import httpx2
import pytest

from tests.cli.conftest import until

pytestmark = pytest.mark.req("D-MON-005", "WSM-ENG-003")
STUCK = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" targetNamespace="t"><process id="stuck" isExecutable="true"><startEvent id="s"/>
<exclusiveGateway id="g" default="f2"/><parallelGateway id="j"/><endEvent id="e"/><sequenceFlow id="f1" sourceRef="s" targetRef="g"/>
<sequenceFlow id="f2" sourceRef="g" targetRef="j"/><sequenceFlow id="f3" sourceRef="g" targetRef="j">
<conditionExpression xsi:type="tFormalExpression">=x = 1</conditionExpression></sequenceFlow>
<sequenceFlow id="f4" sourceRef="j" targetRef="e"/></process></definitions>"""


@pytest.mark.timeout(300)
def test_what_is_stuck_is_listed_asked_about_and_repaired(done, server, tmp_path):
    (tmp_path / "stuck.bpmn").write_text(STUCK)
    done("deploy", tmp_path / "stuck.bpmn")
    one, two = done("start", "stuck").strip(), done("start", "stuck").strip()

    def mine(*more: str):
        found = json.loads(done("watchdog", "list", "--json", *more))
        return [f for f in found["items"] if f["instance"] in (one, two)]

    until(lambda: len(mine()) == 2)
    [f] = mine("--instance", one, "--kind", "token_stuck")
    assert f["element"] == "j" and f["process"] == "stuck" and "nothing can come" in f["says"]
    assert [r["repair"] for r in f["repairs"]] == ["let_go", "withdraw", "incident"]
    assert not mine("--kind", "timer_overdue")
    shown = done("watchdog")
    assert f["id"] in shown and f["explanation"].split(":")[0] in " ".join(shown.split())
    assert json.loads(done("watchdog", "--json"))["counts"]["token_stuck"] >= 2
    plan = json.loads(done("watchdog", "repair", f["id"], "--dry-run", "--json"))
    assert plan["dry_run"] and plan["ended"] and mine("--instance", one), "nothing has happened"
    seen = done("watchdog", "repair", f["id"], "--repair", "withdraw", "--dry-run")
    assert "Would be withdrawn" in seen and "plan" in seen
    assert "expected one of" in done("watchdog", "repair", f["id"], "--repair", "fire", "--yes", expect=1)
    assert "is repaired" in done("watchdog", "repair", f["id"], "--reason", "let it go", "--yes")
    repaired = json.loads(done("watchdog", "repair", mine("--instance", two)[0]["id"], "--repair", "withdraw", "--yes", "--json"))
    assert repaired["repair"] == "withdraw" and repaired["position"]
    until(lambda: not mine())
    assert "that still holds" in done("watchdog", "repair", f["id"], "--yes", expect=1)
    status = [httpx2.get(f"{server.url}/v1/instances/{i}", params={"wait_for": repaired["position"]}).json()["status"] for i in (one, two)]
    assert status == ["completed", "terminated"], "the end was reached, or all that was left is withdrawn"
    figures = httpx2.get(f"{server.url}/metrics").text
    assert 'flowledger_watchdog_findings{kind="token_stuck"}' in figures and 'flowledger_watchdog_round_seconds{partition="0"}' in figures
    told = json.loads(done("operations", "--json", "--operation", "repair_finding"))
    assert {(o["subject"], o["outcome"], o["reason"]) for o in told} >= {(f["id"], "granted", "let it go")}
