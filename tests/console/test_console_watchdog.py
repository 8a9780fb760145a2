"""The watchdog in a real browser: what is stuck is shown with its number, why, and repaired."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served
from .test_console_accessible import sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("D-MON-005"), pytest.mark.timeout(300)]
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" targetNamespace="t">
<process id="never-joined" isExecutable="true"><startEvent id="s"/><exclusiveGateway id="g" default="f2"/><parallelGateway id="j"/><endEvent id="e"/>
<sequenceFlow id="f1" sourceRef="s" targetRef="g"/><sequenceFlow id="f2" sourceRef="g" targetRef="j"/><sequenceFlow id="f3" sourceRef="g" targetRef="j">
<conditionExpression xsi:type="tFormalExpression">=x = 1</conditionExpression></sequenceFlow>
<sequenceFlow id="f4" sourceRef="j" targetRef="e"/></process></definitions>"""


def test_what_is_stuck_is_seen_and_let_go(server: Served, open_page: Callable[..., Any]) -> None:
    server.call("POST", "/v1/deployments", {"resources": [{"name": "never-joined.bpmn", "content": MODEL}]})
    key = server.start("never-joined")
    deadline = time.monotonic() + 120
    while not server.call("GET", f"/v1/watchdog?instance={key}")["items"]:
        assert time.monotonic() < deadline, "it was not found"
        time.sleep(0.5)
    page = open_page("/", actor="olga")
    page.get_by_role("link", name="The watchdog has found").click()
    card = page.get_by_role("alert").filter(has_text="at join 'j'").filter(has=page.get_by_role("link", name="never-joined"))
    card.get_by_text("A token waits for nothing").wait_for()
    assert "nothing can come" in card.inner_text()
    card.get_by_role("link", name="never-joined").wait_for()
    sound(page)
    card.get_by_role("button", name="Repair").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("The join goes on with what has come.").wait_for()
    dialog.get_by_label("Reason").fill("it is only one")
    dialog.get_by_role("button", name="Repair").click()
    page.get_by_role("dialog").wait_for(state="detached")
    while server.call("GET", f"/v1/instances/{key}")["status"] != "completed":
        assert time.monotonic() < deadline, "it has not gone on"
        time.sleep(0.2)
    card.wait_for(state="detached", timeout=60_000)  # others' findings on this server may stay
    told = server.call("GET", "/v1/operations?operation=repair_finding")["items"]
    assert [(o["actor"], o["reason"], o["outcome"]) for o in told if o["instance"] == key] == [("olga", "it is only one", "granted")]
