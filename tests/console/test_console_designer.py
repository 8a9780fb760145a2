"""The designer in a real browser: draw, check, save, try, deploy, run; two people in one draft; files that are none; nothing lost."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowledger.kernel.model.drawn import as_bpmn
from flowledger.sdk import Flow

from .conftest import ROOT, Served
from .test_console_accessible import accessible

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
Opened = Callable[..., Any]


def begin(page: Any, name: str, kind: str = "") -> str:
    """A new draft, as somebody begins one; its id."""
    page.get_by_role("button", name="New draft").first.click()
    dialog = page.get_by_role("dialog")
    if kind:
        dialog.get_by_text(kind, exact=True).click()
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_role("button", name="Begin").click()
    page.wait_for_url(re.compile(r"/designer/[0-9a-f]{16}"))
    return str(page.url.rpartition("/")[2].partition("?")[0])


def drawn(page: Any) -> None:
    page.locator(".djs-palette.open").wait_for()
    page.locator("[data-element-id=start]").first.wait_for()


def append(page: Any, what: str, name: str = "") -> None:
    """By the keyboard: `a`, the kind, its name. The drawing gets the focus back a moment after a name or a menu is done."""
    page.locator(".djs-container > svg:focus").wait_for()
    page.keyboard.press("a")
    page.locator(".djs-popup-search input:focus").wait_for()
    page.keyboard.type(what)
    page.locator(".djs-popup-results .entry.selected", has_text=re.compile(f"^{what}$", re.I)).wait_for()
    page.keyboard.press("Enter")
    page.locator(".djs-popup-search input").wait_for(state="detached")
    if name:
        page.locator(".djs-direct-editing-content:focus").wait_for()
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        page.locator(".djs-direct-editing-content").wait_for(state="detached")
        page.locator(".djs-element", has_text=name).first.wait_for()


def tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=re.compile(f"^{name}")).click()


def saved(page: Any, version: int) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text(f"v{version} · saved").wait_for()


@pytest.mark.req("APG-UI-001", "APG-UI-003", "APG-UI-006", "APG-UI-005")
def test_a_first_time_user_draws_saves_tries_deploys_and_runs(open_page: Opened, server: Served) -> None:
    page = open_page("/", actor="ann")
    page.get_by_role("link", name="Designer").click()
    name = f"Leave {uuid.uuid4().hex[:6]}"
    draft = begin(page, name)
    drawn(page)
    hint = page.get_by_text("The process starts at the circle.")
    hint.wait_for()
    page.locator("[data-element-id=start] .djs-hit").first.click()
    append(page, "User task", "Ask")
    hint.wait_for(state="detached")
    append(page, "User task", "Approve")
    append(page, "End event")
    page.get_by_text("v1 · not saved").wait_for()
    saved(page, 2)
    kept = server.call("GET", f"/v1/drafts/{draft}")
    assert kept["content"].count("<bpmn:userTask") == 2 and kept["content"].count("<bpmndi:BPMNEdge") == 3

    tab(page, "Try")
    page.get_by_role("button", name="Start", exact=True).click()
    for task in ("Ask", "Approve"):
        card = page.locator("[data-waits]", has_text=task)
        card.wait_for()
        page.locator(".djs-element.fl-active", has_text=task).first.wait_for()
        card.get_by_role("button", name="Complete").click()
    page.get_by_text("100 %").wait_for()
    page.locator(".djs-element.fl-done", has_text="Approve").first.wait_for()
    with page.expect_download() as got:
        page.get_by_role("button", name="Save as a test").click()
    test = json.loads(Path(got.value.path()).read_text())
    assert [next(iter(s)) for s in test["tests"][0]["steps"]] == ["start", "complete", "complete", "expect"]

    page.get_by_role("button", name="Deploy", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("new: not deployed yet").wait_for()
    dialog.get_by_role("button", name="Deploy").click()
    dialog.get_by_text("is there as version 1.").wait_for()
    dialog.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile(r"/instances/\d+"))
    instance = page.url.rpartition("/")[2].partition("?")[0]
    assert server.call("GET", f"/v1/tasks/{server.task_of(instance)}")["name"] == "Ask"


@pytest.mark.req("APG-ASG-003")
def test_who_gets_a_task_and_what_happens_when_it_waits_is_set_on_the_diagram(open_page: Opened, server: Served) -> None:
    process = f"late{uuid.uuid4().hex[:6]}"
    content, _ = as_bpmn(Flow(process).start().user("ask", name="Ask").end().xml(), "late.bpmn")
    assert content is not None
    draft = server.call("POST", "/v1/drafts", {"name": process, "content": content.decode()})["id"]
    page = open_page(f"/designer/{draft}")
    drawn(page)
    page.locator("[data-element-id=ask] .djs-hit").first.click()
    page.locator("[data-element-id=ask].selected").first.wait_for()
    tab(page, "Properties")

    def opened(group: str) -> Any:
        found = page.locator(f"[data-group-id=group-flowledger-{group}]")
        found.locator(".bio-properties-panel-group-header-title").first.click()
        return found

    people = opened("people")
    people.get_by_label("Strategy").select_option("least_loaded")
    people.get_by_label("Groups").fill("clerks")
    for group, fields in (
        ("reminders", {"Before it is due": "PT1H"}),
        ("escalations", {"After it was created": "PT4H", "Handed to": "group:leads"}),
        ("escalations", {"After it was due": "PT0S", "Told to": "boss", "Escalation code": "LATE"}),
    ):
        listed = page.locator(f"[data-group-id=group-flowledger-{group}]")
        before = listed.locator(".bio-properties-panel-list-item").count()
        listed.locator(".bio-properties-panel-add-entry").click()
        item = listed.locator(".bio-properties-panel-list-item").nth(before)
        item.wait_for()
        if not item.get_by_label(next(iter(fields))).is_visible():
            item.locator(".bio-properties-panel-collapsible-entry-header-title").click()
        for label, value in fields.items():
            item.get_by_label(label).fill(value)
            item.get_by_label(label).press("Tab")
    page.get_by_text("v1 · not saved").wait_for()
    saved(page, 2)
    kept = server.call("GET", f"/v1/drafts/{draft}")["content"]
    assert re.findall(r"<flowledger:(?:reminder|escalation) [^>]*>", kept) == [
        '<flowledger:reminder before="PT1H" />',
        '<flowledger:escalation after="PT4H" to="group:leads" />',
        '<flowledger:escalation afterDue="PT0S" code="LATE" notify="boss" />',
    ]
    reminder = page.locator("[data-group-id=group-flowledger-reminders] .bio-properties-panel-list-item")
    reminder.hover()  # what takes it away is seen by who points at it
    reminder.locator(".bio-properties-panel-remove-entry").click()
    reminder.wait_for(state="detached")
    saved(page, 3)
    kept = server.call("GET", f"/v1/drafts/{draft}")["content"]
    assert "<flowledger:reminder" not in kept and kept.count("<flowledger:escalation") == 2 and 'groups="clerks"' in kept
    server.call("POST", "/v1/deployments", {"resources": [{"name": "late.bpmn", "content": kept}]})
    assert 'strategy="least_loaded"' in kept and server.task_of(server.start(process, "L-1"))
    accessible(page)


@pytest.mark.req("APG-UI-006", "D-MOD-005")
def test_what_would_have_become_of_past_instances_stands_on_the_diagram(open_page: Opened, server: Served) -> None:
    process = f"past{uuid.uuid4().hex[:6]}"

    def model(limit: int) -> str:
        text = f"""<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t"><process id="{process}" isExecutable="true">
          <startEvent id="start"/><sequenceFlow id="f" sourceRef="start" targetRef="large"/><exclusiveGateway id="large" default="small"/>
          <sequenceFlow id="big" sourceRef="large" targetRef="a"><conditionExpression>amount &gt; {limit}</conditionExpression></sequenceFlow>
          <userTask id="a" name="Approve"/><sequenceFlow id="f2" sourceRef="a" targetRef="e"/><sequenceFlow id="small" sourceRef="large" targetRef="e"/>
          <endEvent id="e"/></process></definitions>"""
        found, _ = as_bpmn(text.encode(), "past.bpmn")
        assert found is not None
        return found.decode()

    draft = server.call("POST", "/v1/drafts", {"name": process, "content": model(15)})["id"]
    page = open_page(f"/designer/{draft}?tab=histories")
    drawn(page)
    page.get_by_role("button", name="Run histories").click()
    page.get_by_text("No version of this process is deployed").wait_for()
    server.call("POST", "/v1/deployments", {"resources": [{"name": "past.bpmn", "content": model(100)}]})
    made = [server.call("POST", "/v1/instances", {"definition": process, "variables": {"amount": n}}) for n in (10, 20, 30)]
    server.call("GET", f"/v1/instances?definition={process}&wait_for={','.join(m['position'] for m in made)}")
    page.get_by_role("button", name="Run histories").click()
    page.get_by_text("2 another way").first.wait_for()
    page.get_by_text("1 the same way").first.wait_for()
    page.locator("[data-element-id=large].fl-active").first.wait_for()
    page.locator(".fl-badge-active", has_text="2").first.wait_for()
    page.get_by_text("amount 30 · waits at a").first.wait_for()
    page.get_by_role("button", name="Show large").click()
    page.locator("[data-element-id=large].selected").first.wait_for()
    page.get_by_role("link", name=made[2]["id"]).click()
    page.wait_for_url(re.compile(rf"/instances/{made[2]['id']}"))


@pytest.mark.req("APG-MOD-006")
def test_findings_stand_on_the_element_as_one_draws_and_go_when_it_is_mended(open_page: Opened, server: Served) -> None:
    page = open_page("/designer")
    begin(page, "Findings")
    drawn(page)
    page.locator("[data-element-id=start] .djs-hit").first.click()
    append(page, "Service task", "Charge")
    page.locator(".fl-finding-warning").first.wait_for()
    page.locator(".fl-modeler svg").first.click(position={"x": 400, "y": 20})
    tab(page, "Findings")
    found = page.get_by_role("listitem").filter(has_text="SERVICE_WITHOUT_TYPE")
    found.filter(has_text="Charge Activity_").get_by_role("button").click()  # by its name, its id beside
    page.locator(".djs-element.selected", has_text="Charge").first.wait_for()
    tab(page, "Properties")
    page.locator(".bio-properties-panel-group-header-title", has_text="Task definition").click()
    page.locator("#bio-properties-panel-taskDefinitionType").click()
    page.keyboard.type("charge-card")
    page.locator(".fl-finding-warning").first.wait_for(state="detached")

    page.locator(".fl-modeler").click(position={"x": 500, "y": 600})
    page.locator(".djs-element.djs-shape", has_text="Charge").locator(".djs-hit").first.click()
    page.locator(".djs-element.selected", has_text="Charge").first.wait_for()
    append(page, "Call activity")
    page.locator(".fl-finding-error").first.wait_for()
    page.get_by_role("button", name="Deploy", exact=True).click()
    page.get_by_role("dialog").get_by_text("must be mended first").wait_for()
    assert page.get_by_role("dialog").get_by_role("button", name="Deploy").is_disabled()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Undo").click()
    page.locator(".fl-finding-error").first.wait_for(state="detached")
    page.get_by_role("button", name="Redo").click()
    page.locator(".fl-finding-error").first.wait_for()


def test_made_anew_for_the_dark_or_another_language_it_keeps_its_findings(open_page: Opened, server: Served) -> None:
    """The editor that was there a moment ago is told nothing more: the page once ended with that."""
    content = Flow("again").start().user("charge").end().xml().decode()
    draft = server.call("POST", "/v1/drafts", {"name": "Again", "kind": "process", "content": content})["id"]
    for _ in range(3):
        page = open_page(f"/designer/{draft}", dark=True, language="de")
        page.locator(".fl-finding").first.wait_for()
        assert page.get_by_role("alert").count() == 0, page.get_by_role("alert").all_inner_texts()
        page.context.close()
    page = open_page(f"/designer/{draft}")
    for scheme in ("dark", "light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(300)
        page.locator(".fl-finding").first.wait_for()
        assert page.get_by_role("alert").count() == 0, page.get_by_role("alert").all_inner_texts()


@pytest.mark.req("APG-UI-007")
def test_two_people_in_one_draft_and_no_edit_is_lost(open_page: Opened, server: Served) -> None:
    """What is edited alone (a text that can't be drawn) and has been saved by somebody else meanwhile: one is asked, and both are kept."""
    made = server.call("POST", "/v1/drafts", {"name": "Ours", "kind": "form", "content": '{"components": ['})
    path = f"/v1/drafts/{made['id']}"
    page = open_page(f"/designer/{made['id']}", actor="ann")
    page.get_by_label("Text of Ours").fill('{"components": [{"type": "textfield"')
    page.get_by_text("v1 · not saved").wait_for()
    theirs = '{"components": [{'
    server.call("PUT", path, {"content": theirs}, actor="bob")
    page.get_by_role("button", name="Save", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("bob has saved version 2").wait_for()
    dialog.get_by_role("button", name="Save mine as the newest").click()
    page.get_by_text("v3 · saved").wait_for()
    assert server.call("GET", f"{path}?version=2")["content"] == theirs
    assert "textfield" in server.call("GET", path)["content"]
    tab(page, "Versions")
    page.get_by_text("saved on top of version 2 by bob").wait_for()


def test_a_reload_keeps_what_was_not_saved(open_page: Opened, server: Served) -> None:
    page = open_page("/designer")
    draft = begin(page, "Kept")
    drawn(page)
    page.locator("[data-element-id=start] .djs-hit").first.click()
    append(page, "User task", "Still here")
    # the server has it, saved as a version or not; and what it had not acknowledged yet, this browser
    page.reload()
    page.locator(".djs-element", has_text="Still here").first.wait_for()
    page.get_by_text("v1 · not saved").wait_for()
    assert server.call("GET", f"/v1/drafts/{draft}")["version"] == 1
    saved(page, 2)
    assert "Still here" in server.call("GET", f"/v1/drafts/{draft}")["content"]


def test_a_reload_keeps_a_form_that_was_not_saved(open_page: Opened, server: Served) -> None:
    page = open_page("/designer")
    draft = begin(page, "Kept form", "Form")
    page.locator(".fjs-palette-field[data-field-type=textfield]").first.focus()
    page.keyboard.press("Enter")
    page.locator(".fjs-form-field-textfield").first.wait_for()
    page.reload()
    page.locator(".fjs-form-field-textfield").first.wait_for()
    page.get_by_text("v1 · not saved").wait_for()
    assert server.call("GET", f"/v1/drafts/{draft}")["version"] == 1
    saved(page, 2)


def test_a_save_that_does_not_reach_the_server_is_told_and_made_good(open_page: Opened, server: Served) -> None:
    page = open_page("/designer")
    draft = begin(page, "Offline")
    drawn(page)
    page.locator("[data-element-id=start] .djs-hit").first.click()
    append(page, "User task", "Alone")
    page.context.set_offline(True)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("is kept in this browser").wait_for()
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").first.click()
    page.get_by_text("v2 · saved").wait_for()
    assert "Alone" in server.call("GET", f"/v1/drafts/{draft}")["content"]


def test_files_become_drafts_and_what_is_none_is_told(open_page: Opened, server: Served, tmp_path: Path) -> None:
    page = open_page("/designer")
    bad = tmp_path / "poem.bpmn"
    bad.write_text("<roses are='red'")
    page.locator("input[type=file]").set_input_files(str(bad))
    page.get_by_role("alert").get_by_text("poem.bpmn can't be drawn").wait_for()
    page.locator("input[type=file]").set_input_files(str(ROOT / "examples" / "pipeline.yaml"))
    page.wait_for_url(re.compile(r"/designer/[0-9a-f]{16}"))
    page.locator(".djs-palette.open").wait_for()
    page.get_by_role("heading", name="pipeline").wait_for()
    # a draft that can't be drawn is mended as text
    made = server.call(
        "POST", "/v1/drafts", {"name": "Broken", "content": (ROOT / "examples" / "order.bpmn").read_text().replace("</bpmn:process>", "")}
    )
    page.goto(f"{server.url}/designer/{made['id']}")
    page.get_by_text("This can't be drawn").wait_for()
    box = page.get_by_label("Text of Broken")
    box.fill((ROOT / "examples" / "order.bpmn").read_text())
    saved(page, 2)
    page.reload()
    page.locator(".djs-palette.open").wait_for()


@pytest.mark.req("APG-UI-004")
def test_a_block_of_a_connector_becomes_a_task(open_page: Opened, server: Served) -> None:
    page = open_page("/designer")
    begin(page, "Blocks")
    drawn(page)
    tab(page, "Blocks")
    page.get_by_role("button", name="Use HTTP/REST").click()
    tab(page, "Properties")
    page.get_by_text("Authentication", exact=True).first.wait_for()
    saved_text = page.locator(".djs-element[data-element-id^=Activity]")
    assert saved_text.count() == 1


@pytest.mark.parametrize(("kind", "ready"), [("Decision", ".dmn-decision-table-container"), ("Form", ".fjs-palette-container")])
def test_decisions_and_forms_are_drawn_with_the_same_drafts(open_page: Opened, server: Served, kind: str, ready: str) -> None:
    page = open_page("/designer")
    draft = begin(page, f"My {kind}", kind)
    page.locator(ready).first.wait_for()
    if kind == "Decision":
        page.locator(".add-rule-add").first.click()
        page.locator("tbody tr[data-row-id], tbody td[data-row-id]").first.wait_for()
    else:
        page.locator(".fjs-palette-field[data-field-type=textfield]").first.focus()
        page.keyboard.press("Enter")
        page.locator(".fjs-form-field-textfield").first.wait_for()
    page.get_by_text("v1 · not saved").wait_for()
    saved(page, 2)
    content = server.call("GET", f"/v1/drafts/{draft}")["content"]
    assert ("<dmn:rule" if kind == "Decision" else '"textfield"') in content


@pytest.mark.req("APG-MOD-006", "APG-ELM-002")
def test_a_decision_is_checked_with_what_it_imports_of_what_is_deployed(open_page: Opened, server: Served) -> None:
    space = "https://www.omg.org/spec/DMN/20230324/MODEL/"

    def model(name: str, text: str, told: str = "", needs: str = "") -> str:
        inside = f'<decision id="{name}" name="{name}"><variable name="{name}"/>{needs}<literalExpression><text>{text}</text></literalExpression></decision>'
        return f'<definitions xmlns="{space}" id="d_{name}" name="{name}" namespace="urn:drawn:{name}">{told}{inside}</definitions>'

    told = f'<import name="rates" namespace="urn:drawn:rates" importType="{space}"/>'
    needs = '<informationRequirement><requiredDecision href="urn:drawn:rates#rates"/></informationRequirement>'
    top = model("price", "rates.rates * 2", told, needs)
    draft = server.call("POST", "/v1/drafts", {"name": "price", "kind": "decision", "content": top}, actor="rita")["id"]
    page = open_page(f"/designer/{draft}")
    page.get_by_text("IMPORT_MISSING").first.wait_for()
    server.call("POST", "/v1/deployments", {"resources": [{"name": "rates.dmn", "content": model("rates", "21")}]})
    page = open_page(f"/designer/{draft}")
    page.get_by_text("Nothing is wrong.").first.wait_for()
    assert page.get_by_text("IMPORT_MISSING").count() == 0


def test_comments_names_and_the_end_of_a_draft(open_page: Opened, server: Served) -> None:
    name = f"Talk {uuid.uuid4().hex[:6]}"
    page = open_page("/designer", actor="ann")
    begin(page, name)
    drawn(page)
    tab(page, "Comments")
    page.locator("[data-element-id=start] .djs-hit").first.click()
    page.get_by_label("Comment", exact=True).fill("Why here?")
    page.get_by_role("button", name="Comment", exact=True).click()
    page.get_by_text("Why here?").first.wait_for()
    page.get_by_role("button", name="start", exact=True).wait_for()
    page.get_by_role("link", name="Designer").first.click()
    page.get_by_role("button", name=f"More for {name}").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.get_by_role("dialog").get_by_label("Name").fill(f"{name} anew")
    page.get_by_role("dialog").get_by_role("button", name="Rename").click()
    page.get_by_role("link", name=f"{name} anew").wait_for()
    page.get_by_role("button", name=f"More for {name} anew").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_role("link", name=f"{name} anew").wait_for(state="detached")
