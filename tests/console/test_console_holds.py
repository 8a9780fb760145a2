"""Holds in a real browser: seen before they are placed, placed, shown with what they hold, released."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served
from .test_console_accessible import sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("D-API-008", "D-API-009")]
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
 xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI" xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" targetNamespace="t">
<process id="to-be-held" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="t"/><userTask id="t" name="Look at it">
<extensionElements><zeebe:userTask/></extensionElements></userTask></process></definitions>"""


def test_a_process_is_held_seen_and_released(server: Served, open_page: Callable[..., Any]) -> None:
    made = server.call("POST", "/v1/deployments", {"resources": [{"name": "to-be-held.bpmn", "content": MODEL}]})
    keys = [server.call("POST", "/v1/instances", {"definition": "to-be-held"})["id"] for _ in range(2)]
    server.call("GET", f"/v1/instances/{keys[0]}?wait_for={made['position']}")
    task = server.task_of(keys[0])
    server.task_of(keys[1])
    page = open_page("/operations?tab=holds", actor="olga")
    page.get_by_role("button", name="Place a hold").click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("button", name="Place a hold").is_disabled(), "it needs a key and a reason"
    dialog.get_by_label("Which").fill("to-be-held")
    dialog.get_by_text("2 open instances").wait_for()
    dialog.get_by_label("Reason").fill("the bank is down")
    sound(page)
    dialog.get_by_role("button", name="Place a hold").click()
    page.get_by_role("dialog").wait_for(state="detached")
    card = page.get_by_role("alert").filter(has_text="to-be-held")
    card.get_by_text("the bank is down").wait_for()
    card.get_by_text("olga").first.wait_for()
    sound(page)
    for path in (f"/instances/{keys[0]}", f"/tasks/{task}"):
        shown = open_page(path, actor="olga")
        held = shown.get_by_role("alert").filter(has_text="the bank is down")
        held.wait_for()
        assert "Suspended" in held.inner_text() and "olga" in held.inner_text()
        held.get_by_role("link", name="Holds").wait_for()
    page = open_page("/operations?tab=holds", actor="olga")
    card = page.get_by_role("alert").filter(has_text="to-be-held")
    card.get_by_role("button", name="Release").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Instances a second").fill("100")
    dialog.get_by_label("Reason").fill("it is back")
    dialog.get_by_role("button", name="Release").click()
    page.get_by_role("dialog").wait_for(state="detached")
    deadline = time.monotonic() + 60
    while server.call("GET", "/v1/holds?status=held&status=resuming&key=to-be-held")["items"]:
        assert time.monotonic() < deadline, "it was not released"
        time.sleep(0.2)
    card.wait_for(state="detached")
    page.get_by_text("released", exact=True).click()
    page.get_by_role("alert").filter(has_text=re.compile("it is back")).wait_for()
    shown = open_page(f"/instances/{keys[0]}", actor="olga")
    shown.get_by_text(keys[0]).first.wait_for()
    assert shown.get_by_role("alert").filter(has_text="the bank is down").count() == 0
