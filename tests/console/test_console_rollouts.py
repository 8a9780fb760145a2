"""Versions in service in a real browser: seen with what runs on each, ramped, stopped and rolled back after a look at what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served
from .test_console_accessible import sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("APG-HA-012", "APG-MOD-007")]
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
 xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI" xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" targetNamespace="t">
<process id="rolled" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="t{0}"/><userTask id="t{0}" name="Look at it">
<extensionElements><zeebe:userTask/></extensionElements></userTask></process></definitions>"""


def test_a_version_is_ramped_and_rolled_back(server: Served, open_page: Callable[..., Any]) -> None:
    for n in (1, 2):
        made = server.call("POST", "/v1/deployments", {"resources": [{"name": "rolled.bpmn", "content": MODEL.format(n)}]})
    begun = server.call("POST", "/v1/instances", {"definition": "rolled", "version": 1})
    server.task_of(begun["id"])
    server.call("GET", f"/v1/definitions?definition_id=rolled&wait_for={made['position']}")
    page = open_page("/processes/rolled", actor="olga")
    table = page.get_by_role("table", name="Versions")
    second, first = (
        table.get_by_role("row").filter(has=page.get_by_role("link", name="v2")),
        table.get_by_role("row").filter(has=page.get_by_role("link", name="v1")),
    )
    second.get_by_text("default", exact=True).wait_for()
    first.get_by_text("draining").wait_for()
    first.get_by_text("t1 1").wait_for()
    sound(page)

    second.get_by_role("button", name="Share: v2").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Share").fill("12.5")
    dialog.get_by_text("12.5 % of new starts go to version 2, the rest to version 1").wait_for()
    dialog.get_by_label("Reason").fill("slowly")
    sound(page)
    dialog.get_by_role("button", name="Share").click()
    dialog.wait_for(state="detached")
    second.get_by_text("12.5 %").wait_for()
    first.get_by_text("87.5 %").wait_for()
    page.get_by_text("slowly").wait_for()

    second.get_by_role("button", name="Stop starts: v2").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("the default gets them").wait_for()
    dialog.get_by_role("button", name="Stop starts").click()
    dialog.wait_for(state="detached")
    second.get_by_text("no new starts").wait_for()
    second.get_by_role("button", name="Open starts: v2").wait_for()
    first.get_by_role("button", name="Make default: v1").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("the share of version 2 ends").wait_for()
    dialog.get_by_role("button", name="Make default").click()
    dialog.wait_for(state="detached")
    first.get_by_text("100 %").wait_for()
    told = server.call("GET", "/v1/definitions/rolled/versions")
    assert (told["default"], told["pinned"], told["ramp"], [v["stopped"] for v in told["items"]]) == (1, 1, None, [True, False])
