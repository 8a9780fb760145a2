"""No English is left on a German screen: texts of a page that are the same in both languages are those of its data. And a list leaves the page no second scroll bar."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Served
from .test_console_connector_texts import GERMAN, SAME

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("APG-UI-002")]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
#: what is read and heard by people, but for code, drawings and what the author of a form wrote
SAID = """() => {
  const said = new Set();
  const skip = 'script, style, code, svg, pre, .fl-mono, .fjs-form-container';
  const keep = (text) => /[a-zA-Z]{3}/.test(text) && said.add(text);
  const walk = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) if (!walk.currentNode.parentElement.closest(skip)) keep(walk.currentNode.data.trim());
  for (const name of ['title', 'placeholder', 'aria-label'])
    for (const e of document.querySelectorAll(`main [${name}]`)) if (!e.closest(skip)) keep(e.getAttribute(name));
  return [...said];
}"""
#: words that are German too, or are said by standards
BOTH = {"Name", "Text", "Status", "Version", "Code", "Element", "Position", "Designer", "Variable", "BPMN", "BPML", "JSON", "Form", "Start"}


def said(page: Any) -> set[str]:
    page.get_by_role("main").locator(".mantine-Loader-root").first.wait_for(state="detached")
    page.wait_for_timeout(500)
    return set(page.evaluate(SAID)) - BOTH


def opened(page: Any) -> set[str]:
    """With all sections of the panel open."""
    shut = page.locator(".bio-properties-panel-group-header:not(.open):not(.empty)")
    page.locator(".bio-properties-panel-group-header").first.wait_for()
    while shut.count():
        shut.first.click()
        page.wait_for_timeout(50)
    return said(page)


def test_the_panel_of_a_process_and_of_a_form_speaks_german(server: Served, open_page: Callable[..., Any]) -> None:
    form = next((EXAMPLES / "forms").glob("incident*.form")).read_text()
    drafts = {
        kind: server.call("POST", "/v1/drafts", {"name": f"german {kind}", "kind": kind, "content": text}, actor="rita")["id"]
        for kind, text in (("process", (EXAMPLES / "order.bpmn").read_text()), ("form", form))
    }
    both: dict[str, list[set[str]]] = {"process": [], "form": []}
    for language in ("en", "de"):
        page = open_page(f"/designer/{drafts['process']}?tab=properties", language=language, actor="rita")
        page.locator(".bio-properties-panel-header-type").wait_for()
        page.wait_for_timeout(500)  # the drawing is fitted to its place
        page.locator("[data-element-id=check]").first.click()
        page.locator(".bio-properties-panel-header-type", has_text="Service" if language == "en" else "Dienst").wait_for()
        both["process"].append(opened(page))
        page = open_page(f"/designer/{drafts['form']}", language=language, actor="rita")
        page.locator(".fjs-palette-header").wait_for()
        page.locator(".fjs-form-container .fjs-element").nth(1).click()
        both["form"].append(opened(page))
    theirs = {
        "Check order",
        "Remind sales",
        "check",
        "order",
        "Order",
        "order.check",
        "Powered by bpmn.io",
        "german process",
        "german form",
        "amount",
        "checked",
        "customer",
        "items",
        "exponential",
        "fibonacci",
        "fixed",
        "linear",
    }
    values = {"critical", "high", "low", "medium", "Severity", "Kinds"}
    left = {kind: sorted((english & german) - theirs - values) for kind, (english, german) in both.items()}
    assert len(both["process"][0]) > 30 and len(both["form"][0]) > 40, "the panels were seen"
    # the designer's findings are the server's, in English
    left["process"] = [x for x in left["process"] if "error path" not in x and "error boundary" not in x and x != "TASK_WITHOUT_ERROR_PATH"]
    assert left == {"process": [], "form": []}


def test_building_blocks_and_connectors_speak_german(server: Served, open_page: Callable[..., Any]) -> None:
    draft = server.call(
        "POST", "/v1/drafts", {"name": "german blocks", "kind": "process", "content": (EXAMPLES / "order.bpmn").read_text()}, actor="rita"
    )["id"]
    gallery, panel, listed = [], [], []
    for language, take in (("en", "Use Mail (SMTP)"), ("de", "E-Mail (SMTP) nehmen")):
        page = open_page(f"/designer/{draft}?tab=blocks", language=language, actor="rita")
        page.get_by_role("button", name=take).wait_for()
        gallery.append(said(page))
        page.get_by_role("button", name=take).click()
        page.get_by_role("tab", name="Properties" if language == "en" else "Eigenschaften").click()
        page.locator(".bio-properties-panel-header-template-name, .bio-properties-panel-header-type").first.wait_for()
        panel.append(opened(page))
        page = open_page("/operations?tab=connectors", language=language)
        page.get_by_role("group", name="GraphQL").wait_for()
        listed.append(said(page))
    drawn = SAME | {"german blocks", "Remind sales", "Powered by bpmn.io", "Order", "TASK_WITHOUT_ERROR_PATH"}
    assert gallery[0] & gallery[1] <= drawn
    others = {"Carrier", "carrier"}  # of tests that were here before
    assert listed[0] & listed[1] <= SAME | {"Webhooks", "io.camunda:http-json:1"} | others
    assert len(panel[0] & GERMAN.keys()) > 20 and panel[1] & GERMAN.keys() <= drawn, "fields of the template"


def test_a_decision_speaks_german(server: Served, open_page: Callable[..., Any]) -> None:
    page = open_page("/decisions/approval-level", language="de")
    table = page.locator(".fl-dmn")
    table.get_by_text("Trefferregel:").wait_for()
    for word in ("Wenn", "Und", "Dann", "Anmerkungen", "Erste (First)"):
        assert table.get_by_text(word, exact=True).count(), word
    assert not table.get_by_text("Hit policy", exact=False).count()


def test_a_list_ends_with_the_window_whatever_stands_above_it(server: Served, open_page: Callable[..., Any]) -> None:
    for n in range(30):
        server.start("document-approval", f"LONG-{n}", document=f"d{n}", author="ann")
    where = "where=" + "+and+".join(f"a{n}+%21%3D+{n}" for n in range(4)) + "+or+run.status+in+%5B%22running%22%5D"
    for path in ("/instances", f"/instances?{where}", "/tasks?view=all"):
        page = open_page(path, actor="rita")
        page.locator("[data-row='3']").wait_for()
        page.wait_for_timeout(300)
        page.evaluate("new Promise(requestAnimationFrame)")
        over = page.evaluate("document.documentElement.scrollHeight - window.innerHeight")
        assert over <= 0 or page.locator(".mantine-ScrollArea-viewport").first.bounding_box()["height"] <= 290, (path, over)


def test_a_part_that_is_not_there_leads_to_the_first(open_page: Callable[..., Any]) -> None:
    page = open_page("/operations?tab=nothing-of-that-name")
    assert page.get_by_role("tab", name="Incidents").get_attribute("aria-selected") == "true"
    page = open_page("/operations?tab=nothing-of-that-name", width=390, height=844)
    page.get_by_label("Status").first.wait_for()


def test_findings_are_said_in_german_with_the_server_s_own_words_below(server: Served, open_page: Callable[..., Any]) -> None:
    text = (EXAMPLES / "order.bpmn").read_text().replace("</bpmn:process>", '<bpmn:parallelGateway id="lonely"/></bpmn:process>', 1)
    assert "lonely" in text
    found = server.call("POST", "/v1/models/check", {"name": "order.bpmn", "content": text})["findings"]
    lonely = {f["code"]: f["message"] for f in found if f["element"] == "lonely"}
    assert "GATEWAY_LEADS_NOWHERE" in lonely
    draft = server.call("POST", "/v1/drafts", {"name": "Befunde", "kind": "process", "content": text}, actor="rita")["id"]
    page = open_page(f"/designer/{draft}?tab=findings", language="de", actor="rita")
    row = page.get_by_role("listitem").filter(has_text="GATEWAY_LEADS_NOWHERE").filter(has_text="lonely")
    row.get_by_text("Ein Gateway hat keinen ausgehenden Fluss: seine Token enden dort").wait_for()
    assert "mit einem Endereignis verbinden" in row.inner_text()
    assert row.locator("[lang=en]").inner_text() == lonely["GATEWAY_LEADS_NOWHERE"]
    page = open_page(f"/designer/{draft}?tab=findings", actor="rita")
    row = page.get_by_role("listitem").filter(has_text="GATEWAY_LEADS_NOWHERE")
    row.get_by_text(lonely["GATEWAY_LEADS_NOWHERE"]).wait_for()
    assert row.locator("[lang=en]").count() == 0
