"""Two people at one file of decisions, and at one form, in two browsers: each sees what the other writes, all of it stays, each undoes their own, and nothing is
lost when the server goes away in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, until
from .test_console_designer import tab
from .test_console_drawing import Restarted, unsent

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(600)]
FORM = (ROOT / "examples" / "forms" / "code-review.form").read_text()


@pytest.fixture(scope="module")
def server(built: Path) -> Iterator[Restarted]:
    with Restarted.served() as found:
        yield found


def decided(server: Restarted, open_page: Callable[..., Any], *names: str) -> tuple[str, list[Any]]:
    content = (ROOT / "examples" / "approval-level.dmn").read_text()
    draft = server.call("POST", "/v1/drafts", {"name": "Decided together", "kind": "decision", "content": content})["id"]
    pages = [open_page(f"/designer/{draft}", actor=name) for name in names]
    for page in pages:
        cell(page, "r1i1").wait_for()
    return draft, pages


def cell(page: Any, id: str) -> Any:
    return page.locator(f"td[data-element-id='{id}']")


def put(page: Any, id: str, text: str) -> None:
    cell(page, id).click()
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


def save(page: Any) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


@pytest.mark.req("APG-UI-007", "APG-CON-007")
def test_two_decide_at_once_and_both_see_all_of_it(server: Restarted, open_page: Callable[..., Any]) -> None:
    draft, (rita, olga) = decided(server, open_page, "rita", "olga")
    # two cells of one rule
    put(rita, "r1i1", "> 60000")
    put(olga, "r1o", '"board"')
    for page in (rita, olga):
        until(lambda page=page: "60000" in cell(page, "r1i1").inner_text() and "board" in cell(page, "r1o").inner_text())
    # who is there, and in which cell
    olga.get_by_role("group", name="Who else is here").get_by_role("button", name="rita").wait_for()
    until(lambda: "rita" in olga.evaluate("getComputedStyle(document.querySelector('td[data-element-id=r1i1]'), '::after').content"))
    # one adds a rule while the other is in a cell, and stays there
    cell(olga, "r2i1").click()
    rita.locator(".add-rule-add").first.click()
    until(lambda: olga.locator("td.rule-index").count() == 5)
    olga.keyboard.press("Control+A")
    olga.keyboard.type("> 20000")
    until(lambda: "20000" in cell(rita, "r2i1").inner_text())
    # each undoes their own
    until(lambda: not unsent(rita) and not unsent(olga))
    olga.get_by_role("button", name="Undo").click()
    until(lambda: "20000" not in cell(rita, "r2i1").inner_text())
    until(lambda: "60000" in cell(rita, "r1i1").inner_text())
    # one saves, and both are at that version
    until(lambda: not unsent(rita) and not unsent(olga))
    save(olga)
    for page in (rita, olga):
        page.get_by_text("v2 · saved").wait_for()
    content = server.call("GET", f"/v1/drafts/{draft}")["content"]
    assert "&gt; 60000" in content and '"board"' in content and content.count("rule id") == 5
    # a text that is saved by the API is in both tables
    server.call("PUT", f"/v1/drafts/{draft}", {"content": content.replace('"board"', '"council"')}, actor="robot")
    for page in (rita, olga):
        until(lambda page=page: "council" in cell(page, "r1o").inner_text())


@pytest.mark.req("APG-UI-007")
def test_a_column_beside_a_rule_and_the_server_goes_away_in_between(server: Restarted, open_page: Callable[..., Any]) -> None:
    draft, (rita, olga) = decided(server, open_page, "rita", "olga")
    server.down()
    for page in (rita, olga):
        page.get_by_text("There is no connection to the server").wait_for()
    # one puts a column first, the other adds a rule: neither knows of the other
    rita.locator(".add-input").first.click()
    rita.keyboard.press("Escape")
    olga.locator(".add-rule-add").first.click()
    put(olga, "r4o", '"clerk"')
    until(lambda: unsent(rita) == 1 and unsent(olga) == 1)
    server.up()
    for page in (rita, olga):
        page.get_by_text("There is no connection to the server").wait_for(state="detached")
        until(lambda page=page: page.locator("thead th.input-cell").count() == 3)
        until(lambda page=page: page.locator("td.rule-index").count() == 5)
        until(lambda page=page: "clerk" in cell(page, "r4o").inner_text())
    until(lambda: not unsent(rita) and not unsent(olga))
    save(rita)
    olga.get_by_text("v2 · saved").wait_for()
    content = server.call("GET", f"/v1/drafts/{draft}")["content"]
    rules = content.split("<dmn:rule ")[1:]
    assert len(rules) == 5 and all(r.count("<dmn:inputEntry ") == 3 and r.count("<dmn:outputEntry ") == 1 for r in rules)


def formed(server: Restarted, open_page: Callable[..., Any], *names: str) -> tuple[str, list[Any]]:
    draft = server.call("POST", "/v1/drafts", {"name": "Formed together", "kind": "form", "content": FORM})["id"]
    pages = [open_page(f"/designer/{draft}", actor=name) for name in names]
    for page in pages:
        field(page, "f_comment").wait_for()
        tab(page, "Properties")
    return draft, pages


def field(page: Any, id: str) -> Any:
    return page.locator(f".fjs-element[data-id='{id}']")


def labelled(page: Any, id: str, text: str) -> None:
    field(page, id).click(position={"x": 5, "y": 5})
    label = page.locator("#bio-properties-panel-label, #bio-properties-panel-label-label").first
    if not label.is_visible():
        page.locator(".bio-properties-panel-group-header-title", has_text="General").click()
    label.click()
    page.keyboard.press("Control+A")
    page.keyboard.type(text)


@pytest.mark.req("APG-UI-007", "APG-CON-007")
def test_two_at_one_form_and_the_server_goes_away_in_between(server: Restarted, open_page: Callable[..., Any]) -> None:
    draft, (rita, olga) = formed(server, open_page, "rita", "olga")
    labelled(rita, "f_decision", "What now")
    labelled(olga, "f_comment", "Say why")
    for page in (rita, olga):
        field(page, "f_decision").get_by_text("What now").wait_for()
        field(page, "f_comment").get_by_text("Say why").wait_for()
    until(
        lambda: "rita" in olga.evaluate("getComputedStyle(document.querySelector('.fjs-element[data-id=f_decision]'), '::after').content")
    )
    # what one has selected stays selected while the other adds a field
    rita.locator(".fjs-palette-field[data-field-type=number]").first.focus()
    rita.keyboard.press("Enter")
    olga.locator(".fjs-form-field-number").first.wait_for()
    olga.locator(".fjs-editor-selected[data-id='f_comment']").wait_for()
    until(lambda: not unsent(rita) and not unsent(olga))
    server.down()
    for page in (rita, olga):
        page.get_by_text("There is no connection to the server").wait_for()
    labelled(rita, "f_decision", "And now")
    olga.locator(".fjs-palette-field[data-field-type=checkbox]").first.focus()
    olga.keyboard.press("Enter")
    until(lambda: unsent(rita) == 1 and unsent(olga) == 1)
    server.up()
    for page in (rita, olga):
        field(page, "f_decision").get_by_text("And now").wait_for()
        page.locator(".fjs-form-field-checkbox").first.wait_for()
    until(lambda: not unsent(rita) and not unsent(olga))
    save(rita)
    olga.get_by_text("v2 · saved").wait_for()
    form = json.loads(server.call("GET", f"/v1/drafts/{draft}")["content"])
    by = {c["id"]: c for c in form["components"]}
    assert by["f_decision"]["label"] == "And now" and by["f_comment"]["label"] == "Say why"
    assert [v["value"] for v in by["f_decision"]["values"]] == ["again", "accept", "stop"]
    assert sorted(c["type"] for c in form["components"]) == ["checkbox", "number", "radio", "textarea"]
    # each undoes their own
    rita.get_by_role("button", name="Undo").click()
    field(olga, "f_decision").get_by_text("What now").wait_for()
    olga.locator(".fjs-form-field-checkbox").first.wait_for()
