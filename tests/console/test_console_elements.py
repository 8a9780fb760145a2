"""What can be done at one element, on the drawing itself: by mouse, by the other mouse button and by keys alone; with the same look before it is done."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served, until
from .test_console_accessible import sound
from .test_console_changes import clicked, opened, waits_at

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("APG-ENG-002", "APG-UI-010")]


def entries(page: Any) -> list[str]:
    return [x.strip() for x in page.get_by_role("menuitem").all_inner_texts()]


def test_what_is_offered_at_an_element_is_looked_at_and_done(server: Served, open_page: Callable[..., Any]) -> None:
    key = server.start("order", "HERE", order={"id": "HERE", "items": [], "amount": 5})
    server.task_of(key)
    page = opened(open_page, key)
    clicked(page, "check")
    page.get_by_role("button", name="What can be done at Check order").click()
    page.get_by_role("menuitem", name="Withdraw what is here").wait_for()
    offered = entries(page)
    assert {"Start here…", "Move what is here to…", "Hold at this element…", "Why it came here"} <= set(offered)
    assert "Run again…" not in offered, "it was not done yet"
    sound(page)
    page.get_by_role("menuitem", name="Move what is here to").click()
    panel = page.get_by_role("region", name="Change what runs")
    panel.get_by_text("Where to from Check order?").wait_for()
    clicked(page, "approve")
    panel.get_by_text("Move from Check order to Approve large order").wait_for()
    panel.get_by_text(re.compile(r"Then it stands at:.*[Aa]pprove.* \(.*task", re.S)).wait_for()
    # one step more, at another element, by the other mouse button
    page.locator('.fl-diagram g[data-element-id="ship"] .djs-hit').first.click(force=True, button="right")
    page.get_by_role("menuitem", name="Start here").wait_for()
    assert "Withdraw what is here…" not in entries(page), "nothing stands there"
    page.get_by_role("menuitem", name="Start here").click()
    panel.get_by_text(re.compile("Start Ship")).wait_for()
    assert waits_at(server, key) == ["check"], "nothing has happened yet"
    panel.get_by_label("Reason").fill("twice as fast")
    panel.get_by_role("button", name="Apply 2 steps").click()
    panel.wait_for(state="detached")
    page.locator('.fl-diagram g[data-element-id="approve"].fl-active').wait_for()
    until(lambda: "approve" in waits_at(server, key))
    # a person's task is opened from its element
    clicked(page, "approve")
    page.get_by_role("button", name="What can be done at Approve large order").click()
    page.get_by_role("menuitem", name="Open the task").click()
    page.wait_for_url(re.compile("/tasks/"))


def test_the_way_out_of_an_incident_by_keys_alone(server: Served, open_page: Callable[..., Any]) -> None:
    key = server.stuck()
    until(lambda: server.call("GET", f"/v1/incidents?instance={key}&status=open")["items"])
    page = opened(open_page, key)
    page.locator('.fl-diagram g[data-element-id="check"].fl-incident').wait_for()
    page.get_by_role("group", name=re.compile("diagram", re.I)).focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
        if "element=check" in page.url:
            break
        page.wait_for_timeout(100)
    page.get_by_text("Check order, 1 active, 1 incident").wait_for(state="attached")
    page.get_by_role("button", name="What can be done at Check order").wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="Try again").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("menu").wait_for(state="detached")
    page.keyboard.press("Enter")  # the focus came back to the drawing
    page.get_by_role("menuitem", name="Try again").press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Attempts").wait_for()
    dialog.get_by_text(re.compile("incident")).first.wait_for()  # what would happen, by a dry run
    sound(page)
    dialog.get_by_role("button", name="Try again").press("Enter")
    dialog.wait_for(state="detached")
    until(lambda: not server.call("GET", f"/v1/incidents?instance={key}&status=open")["items"])
    page.locator('.fl-diagram g[data-element-id="check"].fl-incident').wait_for(state="detached")


def test_an_element_is_held_from_its_place(server: Served, open_page: Callable[..., Any]) -> None:
    key = server.start("order", "HOLD", order={"id": "HOLD", "items": [], "amount": 5})
    server.task_of(key)
    page = opened(open_page, key, width=390, dark=True, language="de")
    clicked(page, "check")
    page.get_by_role("button", name="Was bei Check order getan werden kann").click()
    sound(page)
    page.get_by_role("menuitem", name="An diesem Element anhalten").click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_label("Welches").input_value() == "order/check"
    dialog.get_by_text(re.compile(r"\d+ offene Instanz")).wait_for()
    sound(page)
    dialog.get_by_role("textbox", name="Grund").fill("the tariff changes")
    dialog.get_by_role("button", name="Sperre setzen").click()
    dialog.wait_for(state="detached")
    placed = until(lambda: server.call("GET", "/v1/holds?status=held&key=order/check")["items"])
    server.call("POST", f"/v1/holds/{placed[0]['id']}/release", {"reason": "it has changed"})
    until(lambda: not server.call("GET", "/v1/holds?status=held&status=resuming&key=order/check")["items"])


def test_in_the_past_one_can_only_look_and_go_back(server: Served, open_page: Callable[..., Any]) -> None:
    key = server.start("order", "PAST", order={"id": "PAST", "items": [], "amount": 5})
    server.work("order.check", {"checked": True}, instance=key)
    until(lambda: "check" not in waits_at(server, key))
    events = server.call("GET", f"/v1/instances/{key}/events?limit=200")["items"]
    left = next(e["id"] for e in events if e["type"] == "flow.taken" and e["data"]["source"] == "check")
    page = opened(open_page, key)
    page.goto(f"{server.url}/instances/{key}?at={left}&element=check")
    page.locator(".fl-diagram[data-shown]").wait_for()
    page.get_by_role("button", name="What can be done at Check order").click()
    page.get_by_role("menuitem", name="Roll back to before this").wait_for()
    assert entries(page) == [
        "Roll back to before this…",
        "What it waits for",
        "Variables",
        "Jobs and attempts",
        "Why it came here",
        "Comments",
    ]
    page.get_by_role("menuitem", name="Jobs and attempts").click()
    page.get_by_role("tab", name="Work", selected=True).wait_for()
