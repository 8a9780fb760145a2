"""What leaves the console as a file: the drawing of an instance with the state of each element, and its page on paper."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from .conftest import ROOT, Served, until

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("APG-UI-002")]
BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
SVG = "{http://www.w3.org/2000/svg}"
#: what stands in the page's frame and nowhere else on it
FRAME = ("Designer", "Operations", "Insight", "Skip to", "Export", "Actions", "Try again")


def elements_of(*kinds: str) -> list[Any]:
    """Of the example, those whose kind ends so."""
    process = ET.parse(ROOT / "examples" / "order.bpmn").find(f"{BPMN}process")
    assert process is not None
    return [e for e in process.iter() if e.tag.startswith(BPMN) and e.tag.endswith(kinds)]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_drawing_as_a_file_has_each_element_and_its_state(
    server: Served, open_page: Callable[..., Any], tmp_path: Path, dark: bool
) -> None:
    key = server.stuck()
    until(lambda: server.call("GET", f"/v1/incidents?instance={key}&status=open")["items"])
    page = open_page(f"/instances/{key}", dark=dark)
    page.locator(".fl-badge-bad").wait_for()
    page.locator(".fl-done").first.wait_for()
    on_page = page.locator("[data-element-id=check] .djs-visual > :first-child").first.evaluate("(e) => getComputedStyle(e).stroke")
    with page.expect_download() as started:
        page.get_by_role("button", name="Save as SVG").click()
    file = tmp_path / "diagram.svg"
    started.value.save_as(file)
    root = ET.parse(file).getroot()
    groups = {g.get("data-element-id", ""): g for g in root.iter(f"{SVG}g") if g.get("data-element-id")}
    all_ = {e.get("id", "") for e in elements_of("Event", "Task", "Gateway", "subProcess", "sequenceFlow")}
    assert len(all_) > 30 and all_ - set(groups) == set()
    states = {i: g.get("data-state") for i, g in groups.items() if g.get("data-state")}
    [first] = [e.get("id", "") for e in elements_of("sequenceFlow") if e.get("sourceRef") == "received"]
    assert states == {"received": "done", first: "taken", "check": "incident"}
    badges = [(g.get("data-badge-of"), "".join(g.itertext())) for g in root.iter(f"{SVG}g") if g.get("data-badge-of")]
    assert badges == [("check", "! 1"), ("check", "1")]
    title = groups["check"].find(f"{SVG}title")
    assert title is not None and title.text is not None and title.text.startswith("Check order · incident")
    # a browser shows the file by itself as the page shows it
    page.goto(file.as_uri())
    alone = page.locator("[data-element-id=check] .djs-visual > :first-child").first.evaluate("(e) => getComputedStyle(e).stroke")
    assert alone == on_page


@pytest.mark.parametrize("tab", ["now", "incidents", "variables", "history"])
def test_the_page_on_paper_has_its_text_and_no_navigation(server: Served, open_page: Callable[..., Any], tmp_path: Path, tab: str) -> None:
    key = server.stuck()
    until(lambda: server.call("GET", f"/v1/incidents?instance={key}&status=open")["items"])
    page = open_page(f"/instances/{key}?tab={tab}")
    page.locator(".fl-badge-bad").wait_for()
    wanted = {"now": ["Check order"], "incidents": ["the stock is closed"], "variables": ["STUCK"], "history": ["Order received"]}[tab]
    for text in wanted:
        page.get_by_role("main").get_by_text(text).first.wait_for()
    page.pdf(path=str(tmp_path / "page.pdf"), format="A4", print_background=True)
    text = " ".join(" ".join(p.extract_text() for p in PdfReader(tmp_path / "page.pdf").pages).split())
    assert key in text and all(w in text for w in wanted), text
    assert [w for w in FRAME if w in text] == [], text
