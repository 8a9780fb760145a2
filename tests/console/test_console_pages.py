"""Pages in a real browser against a real server with real data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from flowledger.sdk import Flow

from .conftest import Served, until

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.mark.req("APG-UI-002")
def test_from_the_start_page_to_what_runs(server: Served, open_page: Callable[..., Any]) -> None:
    server.start("order", "C-1", order={"id": "C-1", "items": [], "amount": 5})
    page = open_page("/")
    page.get_by_text("All is well").wait_for()
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Processes").click()
    page.get_by_role("link", name=re.compile("^order", re.I)).first.click()
    page.locator(".fl-diagram[data-shown]").wait_for()
    page.locator(".fl-badge-active").first.wait_for()


#: when an element of the drawing is first marked as the one where a token stands, by the page's clock
WATCH = """(element) => { window.seen ??= {}; new MutationObserver(() => {
  if (document.querySelector(`.fl-diagram g[data-element-id="${element}"].fl-active`)) window.seen[element] ??= Date.now();
}).observe(document.querySelector(".fl-diagram"), { subtree: true, attributes: true, attributeFilter: ["class"] }) }"""


@pytest.mark.req("APG-UI-011", "WSM-UI-001")
def test_the_token_moves_on_the_open_drawing_as_it_happens(server: Served, open_page: Callable[..., Any]) -> None:
    """Each move, without a click; the quickest of several within a second of its event (the others are the machine's)."""
    took: list[float] = []
    for n in range(4):
        key = server.start("order", f"M-{n}", order_id=f"M-{n}", customer="c", items=[], amount=5)
        page = open_page(f"/instances/{key}")
        page.locator('.fl-diagram g[data-element-id="check"].fl-active').wait_for()
        page.evaluate(WATCH, "reserve")
        server.work("order.check", {"checked": True}, instance=key)
        page.locator('.fl-diagram g[data-element-id="reserve"].fl-active').wait_for()
        page.locator('.fl-diagram g[data-element-id="check"].fl-active').wait_for(state="detached")
        events = server.call("GET", f"/v1/instances/{key}/events?limit=1000")["items"]
        [arrived] = [e["time"] for e in events if e["type"] == "task.created" and e["data"]["element"] == "reserve"]
        took.append(page.evaluate("window.seen.reserve") / 1000 - datetime.fromisoformat(arrived).timestamp())
        if took[-1] < 1:
            break
    assert min(took) < 1, took


#: the elements of the drawing that are marked, by the mark
MARKED = """(mark) => [...document.querySelectorAll(`.fl-diagram g.djs-shape.${mark}[data-element-id]`)].map((g) => g.dataset.elementId).sort()"""


@pytest.mark.req("WSM-MON-002")
def test_the_status_call_and_the_console_say_the_same_at_every_step(server: Served, open_page: Callable[..., Any]) -> None:
    flow = Flow("watched").start().service("a", job="watched.a").parallel("fork")
    flow.at("fork").service("b", job="watched.b").to("join")
    flow.at("fork").service("c", job="watched.c").parallel("join").service("d", job="watched.d").end()
    server.call("POST", "/v1/deployments", {"resources": [{"name": "w.bpmn", "content": flow.xml().decode()}]})
    key = server.start("watched", "W-1")
    page = open_page(f"/instances/{key}")

    def agree(word: str, pending: list[str], completed: list[str]) -> None:
        """The call says so, and the page the same."""

        def same() -> bool:
            told = server.call("GET", f"/v1/instances/{key}/status")
            shown = [sorted({"a", "b", "c", "d"} & set(page.evaluate(MARKED, mark))) for mark in ("fl-active", "fl-done")]
            said = "paused" if told["paused"] else told["status"]
            badges = {*page.locator(".mantine-Badge-root").all_inner_texts()} & {"running", "paused", "completed"}
            steps = [sorted(told["pending_steps"]), sorted(told["completed_steps"])]
            return bool(
                steps == shown == [pending, completed] and said == word and said in badges and (said == "paused" or badges == {said})
            )

        until(same)

    agree("running", ["a"], [])
    server.work("watched.a", instance=key)
    agree("running", ["b", "c"], ["a"])
    server.call("POST", f"/v1/instances/{key}/pause", {"reason": "a look at the books"})
    agree("paused", ["b", "c"], ["a"])
    server.call("POST", f"/v1/instances/{key}/unpause", {})
    server.work("watched.b", instance=key)
    agree("running", ["c"], ["a", "b"])
    server.work("watched.c", instance=key)
    agree("running", ["d"], ["a", "b", "c"])
    server.work("watched.d", instance=key)
    agree("completed", [], ["a", "b", "c", "d"])


def test_a_process_is_started_from_its_page(server: Served, open_page: Callable[..., Any]) -> None:
    page = open_page("/processes/document-approval")
    page.get_by_role("button", name="Start", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Business key").fill("D-7")
    dialog.get_by_label("Variables (JSON)").fill('{"document": "plan", "author": "ann"')
    dialog.get_by_role("button", name="Start", exact=True).click()
    dialog.get_by_text("Expected a JSON object").wait_for()  # what isn't JSON is told before it is sent
    dialog.get_by_label("Variables (JSON)").fill('{"document": "plan", "author": "ann"}')
    dialog.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"/instances/\d+"))
    page.get_by_role("heading", name=re.compile("D-7")).wait_for()


def test_the_address_is_the_filter(server: Served, open_page: Callable[..., Any]) -> None:
    server.start("order", "F-1", order={"id": "F-1", "items": [], "amount": 5}, colour="red")
    server.start("order", "F-2", order={"id": "F-2", "items": [], "amount": 5}, colour="blue")
    page = open_page("/instances")
    page.get_by_label("Variable").first.fill("colour")
    page.get_by_label("Value").fill("red")
    page.get_by_label("Value").press("Enter")
    page.get_by_text("F-1").wait_for()
    page.get_by_text("F-2").wait_for(state="detached")
    again = open_page(page.url.removeprefix(server.url))
    again.get_by_text("F-1").wait_for()
    assert again.get_by_text("F-2").count() == 0


@pytest.mark.req("APG-ENG-012", "APG-ENG-008", "APG-ENG-011")
def test_time_goes_back_and_forth(server: Served, open_page: Callable[..., Any]) -> None:
    """The slider shows tokens, variables and history of any moment; from the past nothing can be done but go back to it."""
    key = server.start("order", "T-1", order={"id": "T-1", "items": [], "amount": 5})
    page = open_page(f"/instances/{key}")
    page.locator(".fl-diagram[data-shown]").wait_for()
    page.locator(".fl-badge-active").first.wait_for()
    page.locator(".djs-element.fl-done").first.wait_for()  # what it has passed
    server.call("PATCH", f"/v1/instances/{key}/variables", {"variables": {"note": "late"}})
    page.get_by_role("tab", name="Variables").click()
    page.get_by_text("late").wait_for()  # news come by themselves
    page.get_by_role("button", name="To the start").click()
    page.get_by_text("You look at a past moment").wait_for()
    page.get_by_text("late").wait_for(state="detached")
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Roll back").wait_for()
    assert page.get_by_role("menuitem").count() == 1, "in the past one can only go back to it"
    page.keyboard.press("Escape")
    page.get_by_role("menuitem").first.wait_for(state="detached")
    assert re.search(r"at=\d+-\d+", page.url)
    page.get_by_role("button", name="Back to now").click()
    page.get_by_text("late").wait_for()
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Cancel instance").wait_for()


def test_an_instance_is_cancelled_with_a_reason(server: Served, open_page: Callable[..., Any]) -> None:
    key = server.start("order", "X-1", order={"id": "X-1", "items": [], "amount": 5})
    page = open_page(f"/instances/{key}", actor="olga")
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Cancel instance").click()
    page.get_by_label("Reason").fill("ordered twice")
    page.get_by_role("dialog").get_by_role("button", name="Cancel instance").click()
    page.get_by_text("cancelled", exact=True).first.wait_for()
    events = server.call("GET", f"/v1/instances/{key}/events?limit=200")["items"]
    assert any("ordered twice" in json.dumps(e) and e["actor"] == "olga" for e in events)


@pytest.mark.req("APG-UI-014")
@pytest.mark.parametrize(
    "path", ["/", "/tasks", "/processes", "/processes/order", "/instances", "/decisions/approval-level", "/operations", "/api"]
)
def test_nothing_is_wider_than_a_phone(open_page: Callable[..., Any], path: str) -> None:
    page = open_page(path, width=390)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_it_speaks_german(open_page: Callable[..., Any]) -> None:
    page = open_page("/", language="de")
    page.get_by_role("link", name="Prozesse").wait_for()
    assert page.locator("html").get_attribute("lang") == "de"


def test_what_does_not_exist_is_said_with_a_way_back(open_page: Callable[..., Any]) -> None:
    page = open_page("/instances/99")
    page.get_by_role("alert").get_by_text("Not found").wait_for()
