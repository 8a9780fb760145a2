"""Advice in a real browser: looked for, read with its figures, one taken as a setting and one refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served, until
from .test_console_accessible import accessible

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(400)]
PROCESS, CASES = "seen-over", 205
MODEL = f"""<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="{PROCESS}" name="Seen over" isExecutable="true"><startEvent id="start"/>
<serviceTask id="check"><extensionElements><zeebe:taskDefinition type="{PROCESS}-see"/></extensionElements></serviceTask>
<exclusiveGateway id="fine" default="yes"/><endEvent id="end"/><endEvent id="bad"/>
<sequenceFlow id="a" sourceRef="start" targetRef="check"/><sequenceFlow id="b" sourceRef="check" targetRef="fine"/>
<sequenceFlow id="yes" sourceRef="fine" targetRef="end"/>
<sequenceFlow id="no" sourceRef="fine" targetRef="bad"><conditionExpression>=bad = true</conditionExpression></sequenceFlow></process></definitions>"""


@pytest.fixture(scope="module")
def history(server: Served) -> str:
    server.call("POST", "/v1/deployments", {"resources": [{"name": f"{PROCESS}.bpmn", "content": MODEL}]})
    server.call("PUT", f"/v1/limits?target=job:{PROCESS}-see", {"concurrency": 1})
    for _ in range(CASES):
        server.call("POST", "/v1/instances", {"definition": PROCESS})
    done = 0
    while done < CASES:
        wish = {"type": f"{PROCESS}-see", "worker": "w", "max": 1, "timeout_ms": 60_000, "wait_ms": 2_000}
        for job in server.call("POST", "/v1/jobs/activate", wish)["jobs"]:
            server.call("POST", f"/v1/jobs/{job['key']}/complete", {"variables": {"bad": False}})
            done += 1
    until(lambda: server.call("GET", f"/v1/measures?process={PROCESS}&measure=completed")["items"][0]["completed"] == CASES)
    return PROCESS


@pytest.mark.req("D-AI-005")
def test_advice_is_looked_for_read_taken_and_refused(server: Served, history: str, open_page: Callable[..., Any]) -> None:
    page = open_page(f"/insight?process={history}&tab=advice", actor="olga")
    page.get_by_text("No advice yet.").wait_for()
    page.get_by_role("button", name="Look now").click()
    limit = page.get_by_role("region", name="Raise the limit")
    limit.wait_for(timeout=150_000)
    assert "At most 1 at a time are let through" in limit.inner_text() and "by simulation" in limit.inner_text()
    check = page.get_by_role("region", name="Leave out a check")
    assert f"0 of {CASES} went another way" in check.inner_text() and "a rule of law" in check.inner_text()
    accessible(page)
    limit.get_by_role("button", name="Apply").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("they wait")
    page.get_by_role("dialog").get_by_role("button", name="Apply").click()
    limit.get_by_text("applied by olga").wait_for()
    assert server.call("GET", "/v1/limits")["items"][-1]["concurrency"] == 2
    check.get_by_role("button", name="Refuse").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("the auditor wants it")
    page.get_by_role("dialog").get_by_role("button", name="Refuse").click()
    check.get_by_text("refused by olga").wait_for()
    assert "the auditor wants it" in check.inner_text()
    assert {i["kind"]: i["state"] for i in server.call("GET", f"/v1/advice?process={history}")["items"]} == {
        "limit": "applied",
        "check": "refused",
    }
    page = open_page(f"/insight?process={history}&tab=advice", language="de")
    page.get_by_text("Die Grenze anheben").wait_for()
