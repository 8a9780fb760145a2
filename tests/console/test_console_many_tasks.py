"""Several tasks at once, in a real browser: chosen, looked at before, done as a batch, with what came of each."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served, until

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

MODEL = """<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="x">
<bpmn:process id="{id}" name="Sign" isExecutable="true"><bpmn:startEvent id="s"/><bpmn:sequenceFlow id="f1" sourceRef="s" targetRef="t"/>
<bpmn:userTask id="t" name="Sign"><bpmn:extensionElements><zeebe:userTask/>{form}</bpmn:extensionElements></bpmn:userTask>
<bpmn:sequenceFlow id="f2" sourceRef="t" targetRef="e"/><bpmn:endEvent id="e"/></bpmn:process></bpmn:definitions>"""
FORM = '<zeebe:formDefinition formId="approval"/>'


def choose(page: Any, *tasks: str) -> None:
    for task in tasks:
        page.get_by_label(f"Choose {task}", exact=True).check()


def begin(page: Any, action: str, **fields: str) -> Any:
    page.get_by_role("group", name="For the chosen tasks").get_by_role("button", name=action, exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text(re.compile(r"\d+ in all")).wait_for()
    for label, value in fields.items():
        dialog.get_by_label(label).fill(value)
    dialog.get_by_role("button", name=action, exact=True).click()
    page.wait_for_url(re.compile("tab=batches"))
    return page.get_by_role("group", name=re.compile(f"^{action}, batch")).first


@pytest.mark.req("APG-HUM-008", "APG-UI-002")
def test_several_are_claimed_released_assigned_and_completed(server: Served, open_page: Callable[..., Any]) -> None:
    mark = f"b{uuid.uuid4().hex[:6]}"
    for id, form in ((f"sign-{mark}", ""), (f"form-{mark}", FORM)):
        server.call("POST", "/v1/deployments", {"resources": [{"name": f"{id}.bpmn", "content": MODEL.format(id=id, form=form)}]})
    plain = [server.task_of(server.start(f"sign-{mark}")) for _ in range(3)]
    formed = server.task_of(server.start(f"form-{mark}"))

    def who() -> list[Any]:
        return [server.call("GET", f"/v1/tasks/{task}")["assignee"] for task in plain]

    address = f"/tasks?view=all&definition=sign-{mark}"
    page = open_page(address, actor=f"ann{mark}")
    choose(page, *plain[:2])
    page.get_by_text("2 chosen").wait_for()
    begin(page, "Claim").get_by_text("2 of 2").wait_for()
    until(lambda: who() == [f"ann{mark}", f"ann{mark}", None])
    page.goto(f"{server.url}{address}")
    page.get_by_label("Choose all that are shown").check()
    begin(page, "Release").get_by_text("3 of 3").wait_for()
    until(lambda: who() == [None, None, None])
    page.goto(f"{server.url}{address}")
    choose(page, plain[0])
    begin(page, "Assign", **{"To whom": f"bob{mark}"}).get_by_text("1 of 1").wait_for()
    until(lambda: who() == [f"bob{mark}", None, None])

    # one with a form stays, and says why
    server.call("POST", f"/v1/tasks/{plain[0]}/release", {}, actor=f"bob{mark}")
    phone = open_page("/tasks?view=all&sort=created", actor=f"ann{mark}", width=390, dark=True)
    choose(phone, *plain, formed)
    card = begin(phone, "Complete")
    card.get_by_text("4 of 4").wait_for()
    phone.get_by_text("it has a form").first.wait_for()
    assert [server.call("GET", f"/v1/tasks/{task}")["status"] for task in (*plain, formed)] == ["completed"] * 3 + ["created"]
