"""Trying a draft as its author does: variables that an expression can read, what goes wrong and the way out of it, the clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import ROOT, Served, until

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def drafted(server: Served, name: str) -> str:
    content = (ROOT / "examples" / f"{name}.bpmn").read_text()
    return str(server.call("POST", "/v1/drafts", {"name": f"Tried {name}", "kind": "process", "content": content}, actor="rita")["id"])


def test_a_run_goes_on_after_an_incident_and_its_clock_is_moved(server: Served, open_page: Callable[..., Any]) -> None:
    page = open_page(f"/designer/{drafted(server, 'order')}?tab=try", actor="rita")
    page.locator(".djs-palette.open").wait_for()
    page.get_by_label("Variables to start with").fill('{"order": {"id": "1"}}')
    page.get_by_role("button", name="Start", exact=True).click()
    waits = page.get_by_role("region", name="Waits for")
    waits.get_by_role("button", name="Check order").wait_for()
    waits.get_by_text("order.check").wait_for()
    waits.get_by_role("button", name="Complete").click()
    # nothing has set the amount: said as it would be of an instance, and put right here
    waits.get_by_role("button", name="Large order?").wait_for()
    waits.get_by_text("no variable 'amount'").wait_for()
    page.get_by_label("Set variables").fill('{"amount": 5000}')
    page.get_by_role("button", name="Set", exact=True).click()
    page.get_by_text('set {"amount":5000}').wait_for()
    waits.get_by_role("button", name="Go on").click()
    waits.get_by_role("button", name="After 4 hours").wait_for()
    waits.get_by_text("2026-01-05 12:00 UTC").wait_for()
    clock = page.get_by_label("Clock")
    clock.fill("2 hours")
    page.get_by_role("button", name="Move on").click()
    page.get_by_role("alert").get_by_text("'2 hours' is no ISO 8601 duration").wait_for()
    clock.fill("PT3H59M")
    page.get_by_role("button", name="Move on").click()
    page.get_by_text("2026-01-05 11:59 UTC").wait_for()
    assert page.get_by_role("alert").count() == 0
    waits.get_by_role("button", name="After 4 hours").wait_for()
    clock.fill("PT1M")
    page.get_by_role("button", name="Move on").click()
    waits.get_by_role("button", name="Remind sales").wait_for()
    assert waits.get_by_role("button", name="After 4 hours").count() == 0
    page.get_by_role("button", name="Step back").click()
    waits.get_by_role("button", name="After 4 hours").wait_for()
    assert waits.get_by_role("button", name="Remind sales").count() == 0


def test_an_expression_is_offered_the_variables_in_scope(server: Served, open_page: Callable[..., Any]) -> None:
    page = open_page(f"/designer/{drafted(server, 'purchase-order-approval')}?tab=properties", actor="rita")
    page.locator(".djs-palette.open").wait_for()
    page.locator(".bio-properties-panel-header-type").wait_for()
    page.wait_for_timeout(500)  # the drawing is fitted to its place
    page.locator("[data-element-id=checks_passed_label]").first.click()
    page.locator(".bio-properties-panel-header-type", has_text="Sequence flow").wait_for()
    page.locator(".bio-properties-panel-group-header", has_text="Condition").click()
    field = page.locator("[data-group-id*=ondition] .cm-content")
    field.click()
    page.keyboard.press("Control+A")
    page.keyboard.type("vendor")
    offered = page.locator(".cm-tooltip-autocomplete li")
    offered.filter(has_text="vendor_valid").wait_for()
    offered.filter(has_text="vendor_valid").click()
    until(lambda: field.inner_text().strip() == "vendor_valid")


def test_what_a_draft_calls_is_there_as_it_is_deployed(server: Served, open_page: Callable[..., Any]) -> None:
    """A decision, and the model that it imports; the draft brings neither."""
    space = "https://www.omg.org/spec/DMN/20230324/MODEL/"
    head = f'<definitions xmlns="{space}" id="tried_{{0}}" name="{{0}}" namespace="urn:tried:{{0}}">'
    said = '<decision id="tried_{0}_d" name="{0}"><variable name="{0}"/>{1}<literalExpression><text>{2}</text></literalExpression></decision></definitions>'
    low = (head + said).format("low", "", "2")
    needs = '<informationRequirement><requiredDecision href="urn:tried:low#tried_low_d"/></informationRequirement>'
    imports = f'<import name="low" namespace="urn:tried:low" importType="{space}"/>'
    top = (head + imports + said).format("top", needs, "low.low * 150")
    server.call(
        "POST", "/v1/deployments", {"resources": [{"name": "low.dmn", "content": low}, {"name": "top.dmn", "content": top}]}, actor="rita"
    )
    draft = (
        '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d" targetNamespace="t">'
        '<process id="tried_calls" isExecutable="true"><startEvent id="s"/><sequenceFlow id="a" sourceRef="s" targetRef="r"/><businessRuleTask id="r">'
        '<extensionElements><zeebe:calledDecision decisionId="tried_top_d" resultVariable="level"/></extensionElements></businessRuleTask></process></definitions>'
    )
    id = server.call("POST", "/v1/drafts", {"name": "Calls", "kind": "process", "content": draft}, actor="rita")["id"]
    page = open_page(f"/designer/{id}?tab=try", actor="rita")
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("tried_calls#1").wait_for()
    until(lambda: '"level": 300' in page.inner_text("body") or ("level" in page.inner_text("body") and "300" in page.inner_text("body")))
