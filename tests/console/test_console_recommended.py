"""Whom a task would best go to: shown where it is assigned, with reasons; taking somebody else is recorded with who was advised, who was chosen and why, and shown."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served, until
from .test_console_accessible import accessible

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.req("APG-AI-003", "APG-AI-009")
def test_who_is_recommended_is_shown_and_an_override_is_recorded_and_told(server: Served, open_page: Callable[..., Any]) -> None:
    group = f"desk-{uuid.uuid4().hex[:6]}"
    swift, slow = f"swift-{group}", f"slow-{group}"
    for name in (swift, slow):
        server.call("PUT", f"/v1/directory/users/{name}", {"groups": [group]})

    def made() -> str:
        return str(server.call("POST", "/v1/tasks", {"name": "Look at it", "details": {"candidate_groups": [group]}})["task"])

    tasks = [made() for _ in range(12)]
    for task in tasks:  # the load that is compared is that of a task's partition: each has some of theirs
        server.call("POST", f"/v1/tasks/{task}/assign", {"assignee": slow})
    task = made()
    told = server.call("GET", f"/v1/tasks/{task}/recommendations")
    assert {i["name"] for i in told["items"]} == {swift, slow} and told["considered"] == 2
    assert told["items"][0]["name"] == swift and told["items"][0]["open"] == 0 < told["items"][1]["open"]
    page = open_page(f"/tasks/{task}", actor="olga")
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Assign", exact=True).click()
    dialog = page.get_by_role("dialog")
    listed = dialog.get_by_role("list", name="Recommended")
    listed.get_by_role("listitem").first.get_by_role("button", name=swift).wait_for()
    assert "0 open" in listed.get_by_role("listitem").first.inner_text()
    listed.get_by_role("button", name=slow).focus()
    page.keyboard.press("Enter")
    dialog.get_by_role("status").get_by_text(f"{swift} is recommended").wait_for()
    dialog.get_by_label("Reason").fill("knows the customer")
    dialog.get_by_role("button", name="Assign").click()
    page.get_by_role("row").filter(has_text="Recommended was").get_by_text(f"{swift} · knows the customer").wait_for()

    def recorded() -> bool:
        last = (server.call("GET", f"/v1/tasks/{task}")["assignments"] or [{}])[-1]
        how = last.get("constraints") or {}
        return (last.get("assignee"), last.get("assigned_by"), last.get("reason"), how.get("recommended"), how.get("override")) == (
            slow, "olga", "knows the customer", swift, True,
        )  # fmt: skip

    until(recorded)
    assert any(
        ((e["data"].get("details") or {}).get("assignment") or {}).get("override")
        for e in server.call("GET", f"/v1/tasks/{task}/events")["items"]
    )
    accessible(page)
