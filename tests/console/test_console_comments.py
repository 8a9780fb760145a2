"""What people say of an instance, in a real browser: seen by others at once, in its audit, of an element, and after its end."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served, until

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.mark.req("APG-HUM-005", "APG-UI-002")
def test_comments_on_an_instance(server: Served, open_page: Callable[..., Any]) -> None:
    mark = uuid.uuid4().hex[:6]
    instance = server.start("document-approval", f"C{mark}", document="plan", author="ann")
    task = server.task_of(instance)
    other = open_page(f"/instances/{instance}?tab=comments", actor="bob", width=390, dark=True, language="de")
    other.get_by_text("Niemand hat etwas gesagt.").wait_for()
    page = open_page(f"/instances/{instance}?tab=comments", actor="ann")
    page.get_by_label("Write a comment").fill(f"called the author {mark}")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text(f"called the author {mark}").wait_for()
    other.get_by_text(f"called the author {mark}").wait_for()
    server.call("POST", f"/v1/tasks/{task}/comment", {"text": f"of the task {mark}"}, actor="rita")
    page.get_by_text(f"of the task {mark}").wait_for()
    page.get_by_role("link", name="on a task").wait_for()
    page.get_by_role("tab", name="Who did what").click()
    page.get_by_role("grid").or_(page.get_by_role("table")).first.get_by_text(f"called the author {mark}").wait_for()

    server.call("POST", f"/v1/instances/{instance}/cancel", {"force": True})
    page = open_page(f"/instances/{instance}?tab=comments", actor="ann")
    page.get_by_label("Write a comment").fill("it was a test")
    page.get_by_role("button", name="Add", exact=True).click()
    found = until(lambda: len(f := server.call("GET", f"/v1/instances/{instance}/events?type=workflow.commented")["items"]) == 2 and f)
    assert [(e["actor"], e["data"]["text"]) for e in found] == [("ann", f"called the author {mark}"), ("ann", "it was a test")]
