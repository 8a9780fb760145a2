"""Whole flows without a mouse: three steps are drawn, deployed and started. And what the slider says of the past: work and incidents are those of the moment."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served, until
from .test_console_designer import append, drawn

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("APG-UI-010", "APG-UI-002")]
#: what has the focus, as somebody hears it
HERE = "() => { const e = document.activeElement; return (e.getAttribute('aria-label') || e.innerText || e.getAttribute('placeholder') || e.tagName || '').trim() }"


def to(page: Any, what: str, key: str = "Tab", most: int = 60) -> None:
    """By Tab alone, until it has the focus, which is seen."""
    heard: list[str] = []
    for _ in range(most):
        page.keyboard.press(key)
        heard.append(page.evaluate(HERE))
        if re.fullmatch(what, heard[-1]):
            assert page.evaluate("document.activeElement.matches(':focus-visible')")
            return
    raise AssertionError(f"no {what!r} by {key}: {heard}")


@pytest.mark.req("APG-UI-003", "APG-UI-006")
def test_three_steps_are_drawn_deployed_and_started_by_keys_alone(server: Served, open_page: Callable[..., Any]) -> None:
    name = f"Keys {uuid.uuid4().hex[:6]}"
    page = open_page("/designer", actor="ann")
    page.get_by_role("button", name="New draft").first.wait_for()
    to(page, "New draft")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").wait_for()
    until(lambda: page.evaluate("document.activeElement.closest('[role=dialog]') !== null"))
    if page.evaluate("document.activeElement.tagName !== 'INPUT' || document.activeElement.type !== 'text'"):
        for _ in range(10):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.type === 'text'"):
                break
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/designer/[0-9a-f]{16}"))
    drawn(page)
    page.wait_for_timeout(500)  # the drawing is fitted to its place
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.djs-container > svg')"):
            break
    page.keyboard.press("Control+f")  # search leads to an element
    page.locator(".djs-search-open input:focus").wait_for()
    page.keyboard.type("start")
    page.locator(".djs-search-result-selected").wait_for()
    page.keyboard.press("Enter")
    page.locator("[data-element-id=start].selected").wait_for()
    page.locator(".djs-search-open").wait_for(state="detached")
    append(page, "User task", "Ask")
    append(page, "User task", "Approve")
    append(page, "End event")
    page.keyboard.press("Control+s")
    page.get_by_text("v2 · saved").wait_for()
    to(page, "Deploy", "Shift+Tab")
    page.keyboard.press("Enter")
    dialog.get_by_text("new: not deployed yet").wait_for()
    to(page, "Deploy")
    page.keyboard.press("Enter")
    dialog.get_by_text("is there as version 1.").wait_for()
    to(page, "Start")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/instances/\d+"))
    instance = page.url.rpartition("/")[2].partition("?")[0]
    assert server.call("GET", f"/v1/tasks/{server.task_of(instance)}")["name"] == "Ask"


def test_a_process_is_started_by_keys_alone_and_the_focus_comes_back(server: Served, open_page: Callable[..., Any]) -> None:
    page = open_page("/processes/document-approval", actor="ann")
    page.get_by_role("button", name="Start", exact=True).wait_for()
    to(page, "Start")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Business key").wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    until(lambda: page.evaluate("document.activeElement.innerText === 'Start'"))  # not lost with the dialog
    page.keyboard.press("Enter")
    dialog.get_by_label("Variables (JSON)").wait_for()
    for _ in range(10):
        if page.evaluate("document.activeElement.tagName === 'TEXTAREA'"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type('{"document": "plan", "author": "ann"}')
    to(page, "Start")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/instances/\d+"))


@pytest.mark.req("WSM-MON-003")
def test_work_and_incidents_of_the_past_are_those_of_the_moment(server: Served, open_page: Callable[..., Any]) -> None:
    key = server.stuck()
    until(lambda: server.call("GET", f"/v1/incidents?instance={key}&status=open")["items"])
    incident = server.call("GET", f"/v1/incidents?instance={key}&status=open")["items"][0]["id"]
    server.call("POST", f"/v1/incidents/{incident}/resolve", {"retries": 1}, actor="ann")
    server.work("order.check", {"checked": {"total": 5, "ok": True}}, instance=key)
    page = open_page(f"/instances/{key}?tab=incidents")
    page.get_by_text("Check order · JOB_NO_RETRIES").wait_for()  # by the element's name
    page.get_by_text("resolved", exact=True).wait_for()
    raised = next(e["id"] for e in server.call("GET", f"/v1/instances/{key}/events")["items"] if e["type"] == "incident.raised")
    page.goto(f"{server.url}/instances/{key}?tab=incidents&at={raised}")
    page.get_by_role("main").get_by_text("open", exact=True).wait_for()  # it was open then
    assert page.get_by_role("button", name="Try again").is_disabled(), "the past can't be repaired"
    page.get_by_role("tab", name="Work").click()
    row = page.get_by_role("row", name=re.compile("Check order"))
    row.get_by_text("(0 left)").wait_for()
    row.get_by_text("Incident").wait_for()
    page.get_by_role("button", name="To the start").click()
    page.get_by_text("It had had no work").wait_for()
    page.get_by_role("tab", name="Incidents").click()
    page.get_by_text("Nothing had come in its way by then.").wait_for()
    page.get_by_role("button", name="Back to now").click()
    page.get_by_text("resolved", exact=True).wait_for()
