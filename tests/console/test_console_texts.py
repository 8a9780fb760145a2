"""The same process as text beside its drawing, in a real browser: as it is drawn, and what gets lost."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, Served
from .test_console_accessible import sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.mark.req("APG-UI-005", "APG-MOD-004")
def test_the_drawing_as_json_and_what_it_has_no_words_for(server: Served, open_page: Callable[..., Any], tmp_path: Path) -> None:
    content = (ROOT / "examples" / "order.bpmn").read_text()
    draft = server.call("POST", "/v1/drafts", {"name": f"Texts {uuid.uuid4().hex[:6]}", "kind": "process", "content": content})["id"]
    page = open_page(f"/designer/{draft}")
    page.locator(".djs-palette.open").wait_for()
    page.get_by_role("tab", name="Text", exact=True).click()
    page.get_by_text("Does the same as the drawing").wait_for()
    with page.expect_download() as started:
        page.get_by_role("tabpanel", name="Text").get_by_role("button", name="Export as a file").click()
    started.value.save_as(tmp_path / "order.json")
    written = json.loads((tmp_path / "order.json").read_text())
    assert written["id"] == "order" and {n["id"] for n in written["nodes"]} >= {"check", "ship"}
    # what was written is a model: it is drawn again
    assert server.call("POST", "/v1/models/check", {"name": "order.json", "content": json.dumps(written)})["format"] == "process-json"
    page.get_by_role("radiogroup", name="Written as").get_by_text("Steps").click()
    page.get_by_text(re.compile("'ship': a step leaves its result in a variable of its name")).first.wait_for()
    page.get_by_role("radiogroup", name="Written as").get_by_text("BPMN").click()
    page.locator("pre").get_by_text("bpmn:definitions").first.wait_for()

    listener = (
        '<zeebe:executionListeners><zeebe:executionListener eventType="start" type="l"/></zeebe:executionListeners><zeebe:taskDefinition'
    )
    lossy = content.replace("<zeebe:taskDefinition", listener, 1)
    draft = server.call("POST", "/v1/drafts", {"name": f"Lossy {uuid.uuid4().hex[:6]}", "kind": "process", "content": lossy})["id"]
    page = open_page(f"/designer/{draft}?tab=texts", width=390, dark=True, language="de")
    page.get_by_text("Tut nicht dasselbe wie die Zeichnung").wait_for()
    page.get_by_text("zeebe:executionListeners").first.wait_for()


@pytest.mark.req("APG-UI-005", "APG-MOD-004")
def test_the_drawing_of_steps_as_steps_again(server: Served, open_page: Callable[..., Any], tmp_path: Path) -> None:
    steps = (ROOT / "examples" / "pipeline.yaml").read_text()
    drawn = server.call("POST", "/v1/models/convert", {"name": "pipeline.yaml", "content": steps})["content"]
    draft = server.call("POST", "/v1/drafts", {"name": f"Steps {uuid.uuid4().hex[:6]}", "kind": "process", "content": drawn})["id"]
    page = open_page(f"/designer/{draft}?tab=texts")
    page.get_by_role("radiogroup", name="Written as").get_by_text("Steps").click()
    page.get_by_text("Does the same as the drawing").wait_for()
    with page.expect_download() as started:
        page.get_by_role("tabpanel", name="Text").get_by_role("button", name="Export as a file").click()
    started.value.save_as(tmp_path / "pipeline.json")
    written = json.loads((tmp_path / "pipeline.json").read_text())
    assert {s["id"] for s in written["steps"]} == {"analysis", "generation", "review", "validation", "publish"}
    assert written["steps"][0]["id"] == "analysis", "the first is where it begins"
    assert written["states"]["initial"] == "CREATED" and written["timeout"] == "P3D"
    sound(page)


@pytest.mark.req("APG-UI-005", "APG-MOD-004")
def test_the_drawing_as_bpml(server: Served, open_page: Callable[..., Any]) -> None:
    content = (ROOT / "examples" / "place-order.bpml").read_text()
    drawn = server.call("POST", "/v1/models/convert", {"name": "place-order.bpml", "content": content})["content"]
    draft = server.call("POST", "/v1/drafts", {"name": f"BPML {uuid.uuid4().hex[:6]}", "kind": "process", "content": drawn})["id"]
    page = open_page(f"/designer/{draft}?tab=texts")
    page.get_by_role("radiogroup", name="Written as").get_by_text("BPML").click()
    page.get_by_text("Does the same as the drawing").wait_for()
    page.locator("pre").get_by_text('<compensate name="cancelled_compensate_1" process="tns:ReserveStock"/>').wait_for()
    sound(page)
