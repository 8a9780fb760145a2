"""Models without a drawing: shown with tokens and counts, over time, compared, and opened by the designer. In a real browser."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
Opened = Callable[..., Any]


def bare(process: str, task: str = "Look") -> str:
    """Two processes in one file, neither drawn; the second is the one that matters."""
    return f"""<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t">
      <process id="{process}-first" isExecutable="true"><startEvent id="one"/><sequenceFlow id="g" sourceRef="one" targetRef="two"/><endEvent id="two"/></process>
      <process id="{process}" isExecutable="true"><startEvent id="start"/><sequenceFlow id="f" sourceRef="start" targetRef="look"/>
        <userTask id="look" name="{task}"/><sequenceFlow id="f2" sourceRef="look" targetRef="end"/><endEvent id="end"/></process></definitions>"""


def deploy(server: Served, name: str, content: str) -> None:
    server.call("POST", "/v1/deployments", {"resources": [{"name": name, "content": content}]})


@pytest.mark.req("APG-UI-002", "APG-ENG-012")
def test_a_model_without_a_drawing_is_shown_over_time_and_compared(open_page: Opened, server: Served) -> None:
    process = f"bare{uuid.uuid4().hex[:6]}"
    deploy(server, "bare.bpmn", bare(process))
    instance = server.start(process)
    server.task_of(instance)
    page = open_page(f"/processes/{process}")
    page.locator(".fl-diagram[data-shown] [data-element-id=look]").first.wait_for()
    assert page.locator(".fl-diagram [data-element-id=one]").count() == 0  # the other process of the file
    page.locator(".fl-badge-active").first.wait_for()

    page = open_page(f"/instances/{instance}", width=390)
    page.locator("[data-element-id=look].fl-active").first.wait_for()
    page.get_by_role("slider").first.press("Home")
    page.locator("[data-element-id=look].fl-active").first.wait_for(state="detached")

    deploy(server, "bare.bpmn", bare(process, "Look twice"))
    page = open_page(f"/processes/{process}?tab=compare")
    page.locator("[data-element-id=look].fl-changed").nth(1).wait_for()


@pytest.mark.req("APG-UI-003", "APG-UI-006")
def test_the_designer_opens_what_has_no_drawing(open_page: Opened, server: Served) -> None:
    process = f"bare{uuid.uuid4().hex[:6]}"
    draft = server.call("POST", "/v1/drafts", {"name": process, "content": bare(process)})["id"]
    page = open_page(f"/designer/{draft}", dark=True)
    page.get_by_text("It had no drawing and was laid out").wait_for()
    page.locator(".djs-palette.open").wait_for()
    page.get_by_text("v1 · not saved").wait_for()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("v2 · saved").wait_for()
    assert "BPMNShape" in server.call("GET", f"/v1/drafts/{draft}")["content"]


@pytest.mark.req("APG-UI-006")
def test_steps_that_were_deployed_are_shown_and_become_a_draft(open_page: Opened, server: Served) -> None:
    process = f"steps{uuid.uuid4().hex[:6]}"
    steps = {
        "id": process,
        "steps": [
            {"id": "ask", "name": "Ask", "type": "user"},
            {"id": "file", "name": "File", "type": "service", "job": f"{process}.file"},
        ],
    }
    deploy(server, "steps.json", json.dumps(steps))
    instance = server.start(process)
    server.task_of(instance)
    page = open_page(f"/instances/{instance}")
    page.locator("[data-element-id=ask].fl-active").first.wait_for()
    page = open_page(f"/processes/{process}")
    page.locator("[data-element-id=file]").first.wait_for()
    page.get_by_role("button", name="Edit in the designer").click()
    page.wait_for_url(re.compile(r"/designer/[0-9a-f]{16}"))
    page.locator("[data-element-id=file]").first.wait_for()

    text = server.call("POST", "/v1/drafts", {"name": process, "content": json.dumps(steps), "kind": "process"})["id"]
    page = open_page(f"/designer/{text}")
    page.get_by_role("button", name="Draw it").click()
    page.locator("[data-element-id=ask]").first.wait_for()
    page.get_by_text("v1 · not saved").wait_for()
