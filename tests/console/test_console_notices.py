"""Notices of new tasks: only after a click, and only of one's own; and from a value to the instances that have it, too."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served, until

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
#: what the browser would show, written down
FAKE = """() => {
  window.told = []; window.asked = 0;
  class Fake { static permission = "default";
    static requestPermission() { window.asked++; Fake.permission = "granted"; return Promise.resolve("granted"); }
    constructor(title, more) { window.told.push(title + " / " + more.body); } close() {} }
  window.Notification = Fake;
}"""


def assigned(server: Served, name: str, actor: str) -> None:
    server.call("POST", "/v1/tasks", {"name": name, "details": {"assignee": actor}})


def test_new_tasks_are_told_after_a_click_and_not_before(server: Served, open_page: Callable[..., Any]) -> None:
    ann = f"ann{uuid.uuid4().hex[:6]}"
    assigned(server, "An old one", ann)
    page = open_page("/tasks", actor=ann)
    page.evaluate(FAKE)
    page.get_by_text("An old one").first.wait_for()
    button = page.get_by_role("button", name="Tell me of new tasks")
    assert button.get_attribute("aria-pressed") == "false" and page.evaluate("window.asked") == 0
    with page.expect_response(lambda r: "assignee=" in r.url and "sort=created" in r.url):
        button.click()
    page.get_by_text("This browser tells you of new tasks").wait_for()
    assert page.evaluate("window.asked") == 1
    assigned(server, "Somebody else's", f"bob{ann}")
    assigned(server, "Sign it", ann)
    until(lambda: page.evaluate("window.told").count("New task: Sign it / ") == 1 or page.wait_for_timeout(200))
    assert page.evaluate("window.told") == ["New task: Sign it / "], "what was there is no news, others' isn't mine"
    button.click()
    page.locator("button[aria-pressed=false]", has_text="Tell me of new tasks").wait_for()


@pytest.mark.req("APG-UI-002")
def test_the_same_value_is_found_elsewhere(server: Served, open_page: Callable[..., Any]) -> None:
    mark = uuid.uuid4().hex[:6]
    for key in ("one", "two"):
        instance = server.start("order", f"{key}{mark}", order={"id": key, "items": [], "amount": 5}, colour=mark)
    server.start("order", f"three{mark}", order={"id": "x", "items": [], "amount": 5}, colour="another")
    page = open_page(f"/instances/{instance}?tab=variables")
    page.get_by_role("link", name="elsewhere: instances with the same value of colour").click()
    page.get_by_text(f"one{mark}").wait_for()
    page.get_by_text(f"two{mark}").wait_for()
    assert page.get_by_text(f"three{mark}").count() == 0
