"""Repair, look back, decide, compare, run: what operators and analysts do, in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, Served
from .test_console_accessible import accessible

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def test_an_incident_is_repaired_where_it_stands(server: Served, open_page: Callable[..., Any]) -> None:
    stuck = server.stuck()
    page = open_page(f"/instances/{stuck}?tab=incidents", actor="olga")
    page.get_by_text("JOB_NO_RETRIES").or_(page.get_by_text("the stock is closed")).first.wait_for()
    page.get_by_role("button", name="Repair the data").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Variables (JSON)").fill('{"note": "called them"}')
    dialog.get_by_label("Attempts").fill("2")
    dialog.get_by_role("button", name="Repair the data").click()
    page.get_by_text("resolved", exact=True).first.wait_for()
    page.get_by_role("tab", name="Work").click()
    page.get_by_text("(2 left)").wait_for()
    page.get_by_role("button", name=re.compile("Check order")).click()
    page.get_by_text("the stock is closed").first.wait_for()  # the attempt, with its error
    assert server.call("GET", f"/v1/instances/{stuck}/variables")["variables"]["note"] == "called them"


@pytest.mark.req("WOS-ENG-004")
def test_a_dead_letter_is_edited_and_replayed_and_another_is_discarded(server: Served, open_page: Callable[..., Any]) -> None:
    server.dead_letter('{"command": {"$": "CreateTask", "name": 7}}')
    server.dead_letter("nonsense")
    page = open_page("/operations?tab=letters", actor="olga")
    bad = page.get_by_role("alert").filter(has_text="CreateTask")
    bad.wait_for()
    bad.get_by_role("button", name="Replay").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Replay").click()
    dialog.get_by_text(
        re.compile("Expected `str`|expected", re.IGNORECASE)
    ).first.wait_for()  # as it is it can't be read: it stays, with the server's words
    dialog.get_by_label("Command (JSON)").fill('{"command": {"$": "CreateTask", "name": "looked after"}}')
    dialog.get_by_label("Reason").fill("the name was a number")
    dialog.get_by_role("button", name="Replay").click()
    page.get_by_role("dialog").wait_for(state="detached")
    bad.wait_for(state="detached")
    other = page.get_by_role("alert").filter(has_text="nonsense")
    other.get_by_role("button", name="Discard").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    other.wait_for(state="detached")
    page.get_by_text("replayed", exact=True).click()
    page.get_by_role("alert").filter(has_text="the name was a number").get_by_text("olga").wait_for()
    assert [t["name"] for t in server.call("GET", "/v1/tasks?open=true&limit=500")["items"]].count("looked after") == 1


@pytest.mark.req("APG-DAT-006", "APG-CMP-002")
def test_who_asked_for_what_and_how_it_was_before(server: Served, open_page: Callable[..., Any]) -> None:
    key = server.start("document-approval", document="plan", author="ann")
    server.call("POST", f"/v1/instances/{key}/suspend", {"reason": "a question is open"}, actor="olga")
    page = open_page("/operations?tab=log", actor="rita")
    page.get_by_label("Who").fill("olga")
    page.get_by_label("Instance").fill(key)
    row = page.get_by_role("row").filter(has_text="suspend_instance")
    row.wait_for()
    assert "olga" in row.inner_text() and "granted" in row.inner_text() and "a question is open" in row.inner_text()
    page.wait_for_url(re.compile(rf"instance={key}"))  # the filters stand in the address
    row.click()
    page.get_by_role("link", name="How it was before").click()
    page.wait_for_url(re.compile(rf"/instances/{key}\?.*at="))
    page.get_by_text("You look at a past moment").wait_for()
    page.get_by_role("tab", name="Who did what").click()
    table = page.get_by_role("table", name="Operation log")
    table.get_by_text("suspend_instance").click()
    page.get_by_role("button", name="How it was after").click()
    page.get_by_text("suspended", exact=True).first.wait_for()


def test_why_it_went_this_way(server: Served, open_page: Callable[..., Any]) -> None:
    page = open_page(f"/instances/{server.decided()}?tab=why")
    page.get_by_text("= vendor_valid and compliant").first.wait_for()
    page.get_by_text(re.compile("vendor_valid = true")).first.wait_for()  # what it was at that moment
    page.get_by_role("button", name="What it came of").last.click()
    page.get_by_text(re.compile(r"^request:")).first.wait_for()
    page.get_by_role("button", name="Show that moment").last.click()
    page.get_by_text("You look at a past moment").wait_for()
    page.get_by_role("tab", name="Decisions").click()
    page.get_by_role("button", name="Back to now").click()
    page.get_by_text("Rule 2").wait_for()


def test_an_instance_is_a_file(server: Served, open_page: Callable[..., Any]) -> None:
    key = server.decided()
    page = open_page(f"/instances/{key}")
    page.locator(".fl-diagram[data-shown]").wait_for()
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as got:
        page.get_by_role("menuitem", name="JSON").click()
    file = json.loads(Path(got.value.path()).read_text())
    assert file["instance"]["id"] == key and file["events"][0]["type"] == "workflow.started"
    with page.expect_download() as got:
        page.get_by_role("button", name="Save as SVG").click()
    assert Path(got.value.path()).read_text().startswith("<?xml")


def test_a_decision_is_tried_and_its_past_is_seen(server: Served, open_page: Callable[..., Any]) -> None:
    server.decided()
    page = open_page("/decisions")
    page.get_by_role("link", name="Approval level").click()
    page.locator(".fl-dmn[data-shown]").wait_for()
    page.get_by_text("Hit policy").or_(page.locator(".fl-dmn .hit-policy")).first.wait_for()
    page.get_by_label("Inputs (JSON)").fill('{"amount": 20000, "risk": "low"}')
    page.get_by_role("button", name="Evaluate").click()
    page.get_by_text('Output: "director"').wait_for()
    page.locator("tr.fl-fired").first.wait_for()  # the rule that fired, in the table itself
    page.get_by_role("tab", name="History").click()
    page.locator("summary").first.click()
    page.get_by_role("link", name=re.compile("at level")).first.click()
    page.wait_for_url(re.compile(r"/instances/\d+\?.*tab=decisions"))


@pytest.mark.req("APG-MOD-007")
def test_two_versions_are_compared(server: Served, open_page: Callable[..., Any]) -> None:
    model = (
        (ROOT / "examples" / "document-approval.bpmn")
        .read_text()
        .replace('id="document-approval"', 'id="two-versions"')
        .replace('bpmnElement="document-approval"', 'bpmnElement="two-versions"')
    )
    for text in (model, model.replace('name="Review document"', 'name="Read it"')):
        made = server.call("POST", "/v1/deployments", {"resources": [{"name": "two.bpmn", "content": text}]})
    server.call("GET", f"/v1/definitions?definition_id=two-versions&wait_for={made['position']}")
    page = open_page("/processes/two-versions")
    page.get_by_role("tab", name="Compare").click()
    page.locator(".fl-changed").nth(1).wait_for()  # on both diagrams
    row = page.get_by_role("row").filter(has_text="@name")
    assert "Review document" in row.inner_text() and "Read it" in row.inner_text()
    page.get_by_text("Text", exact=True).click()
    page.locator(".fl-line-added").filter(has_text="Read it").wait_for()


@pytest.mark.req("APG-HUM-004")
def test_a_process_is_started_with_its_form(server: Served, open_page: Callable[..., Any]) -> None:
    form = {
        "id": "begin",
        "type": "default",
        "components": [{"key": "town", "label": "Town", "type": "textfield", "validate": {"required": True}}],
    }
    model = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
      <process id="with-form" isExecutable="true"><startEvent id="s"><extensionElements><zeebe:formDefinition formId="begin"/></extensionElements></startEvent>
      <sequenceFlow id="f" sourceRef="s" targetRef="t"/><userTask id="t"/></process></definitions>"""
    resources = [{"name": "begin.form", "content": json.dumps(form)}, {"name": "with-form.bpmn", "content": model}]
    server.call("POST", "/v1/deployments", {"resources": resources})
    page = open_page("/processes/with-form")
    page.get_by_role("button", name="Start", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Town").wait_for()
    dialog.get_by_role("button", name="Start", exact=True).click()
    dialog.get_by_text("Field is required.").wait_for()
    dialog.get_by_label("Town").fill("Ulm")
    dialog.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"/instances/\d+"))
    key = page.url.rsplit("/", 1)[1].partition("?")[0]
    assert server.call("GET", f"/v1/instances/{key}/variables")["variables"] == {"town": "Ulm"}


def test_those_who_run_it_see_its_parts(server: Served, open_page: Callable[..., Any]) -> None:
    server.call("POST", "/v1/jobs/activate", {"type": "none", "worker": "wanda", "max": 1, "timeout_ms": 1000})
    page = open_page("/operations?tab=workers")
    page.get_by_text("wanda").wait_for()
    page.get_by_role("tab", name="Partitions").click()
    page.get_by_text("All is well").wait_for()
    assert page.get_by_role("row").count() == 1 + 4
    page.get_by_role("tab", name="Limits").click()
    page.get_by_text("Nothing is limited").wait_for()
    page.get_by_role("button", name="Set a limit").click()
    page.get_by_label("Target").fill("job:mail")
    page.get_by_role("dialog").get_by_role("button", name="Set a limit").click()
    page.get_by_role("cell", name="job:mail").wait_for()
    page.get_by_role("button", name="Take away").click()
    page.get_by_role("dialog").get_by_role("button", name="Take away").click()
    page.get_by_text("Nothing is limited").wait_for()
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("only what is not the default").check(force=True)
    page.get_by_text("FLOWLEDGER_").or_(page.get_by_title("FLOWLEDGER_PORT")).first.wait_for()
    assert page.get_by_title("FLOWLEDGER_PAGE_MAX").count() == 0


def test_the_api_is_a_page_to_try(server: Served, open_page: Callable[..., Any]) -> None:
    page = open_page("/api")
    page.get_by_role("link", name="openapi.json").wait_for()
    page.locator(".swagger-ui .opblock-tag").first.wait_for()
    page.locator("#operations-tag-settings, [data-tag='settings']").first.click()
    page.locator(".opblock").filter(has_text="/v1/settings").first.click()
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table").get_by_text("200").first.wait_for()


@pytest.mark.req("APG-UI-010")
def test_on_a_phone_the_parts_are_chosen_from_groups(open_page: Callable[..., Any]) -> None:
    page = open_page("/operations", width=390, actor="olga")
    part = page.get_by_label("Which part")
    part.wait_for()
    assert page.get_by_role("tab").count() == 0
    assert part.locator("optgroup").evaluate_all("(groups) => groups.map((g) => g.label)")[:3] == ["Stuck", "In hand", "With the outside"]
    part.select_option("partitions")
    page.wait_for_url("**/operations?tab=partitions")
    page.get_by_text("Owners (they decide)").wait_for()
    accessible(page)
