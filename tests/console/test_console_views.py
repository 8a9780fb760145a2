"""Filters that are saved, shared and found again, in a real browser; the address stays the state."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def views(page: Any, name: str = "Views") -> None:
    page.get_by_role("button", name=name, exact=True).click()
    page.get_by_role("menuitem", name="Save as a view").wait_for()


@pytest.mark.req("APG-UI-002")
def test_a_view_is_saved_shared_changed_and_removed(server: Served, open_page: Callable[..., Any]) -> None:
    mark = uuid.uuid4().hex[:6]
    server.call("PUT", f"/v1/directory/users/bob{mark}", {"groups": [f"clerks{mark}"]})
    page = open_page("/instances?status=running&has_incident=true", actor=f"ann{mark}")
    views(page)
    page.get_by_role("menuitem", name="Save as a view").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(f"Stuck {mark}")
    dialog.get_by_text("has_incident = true").wait_for()
    dialog.get_by_label("Me and these groups").check()
    assert dialog.get_by_role("button", name="Save").is_disabled()
    dialog.get_by_label("Groups").last.fill(f"clerks{mark}")
    dialog.get_by_role("button", name="Save").click()
    page.get_by_role("button", name=f"Stuck {mark}").wait_for()

    other = open_page("/instances", actor=f"bob{mark}", width=390)
    views(other)
    other.get_by_role("menuitem", name=re.compile(f"Stuck {mark} · ann")).click()
    other.wait_for_url(re.compile("status=running.*has_incident=true|has_incident=true.*status=running"))
    views(other, f"Stuck {mark}")
    assert other.get_by_role("menuitem", name=re.compile("Remove")).count() == 1  # nobody signs in here: everybody may
    other.keyboard.press("Escape")
    third = open_page("/instances", actor=f"cyd{mark}")
    views(third)
    assert third.get_by_role("menuitem", name=re.compile(mark)).count() == 0

    views(page, f"Stuck {mark}")
    page.get_by_role("menuitem", name=re.compile("^Remove")).click()
    page.get_by_role("dialog").get_by_role("button", name="Remove the view").click()
    page.get_by_role("button", name="Views", exact=True).wait_for()
    assert server.call("GET", "/v1/saved-views", actor=f"bob{mark}")["items"] == []


def test_tasks_have_views_of_their_own(server: Served, open_page: Callable[..., Any]) -> None:
    mark = uuid.uuid4().hex[:6]
    body = {"name": f"Late {mark}", "page": "tasks", "query": {"view": "all", "overdue": "true", "sort": "priority"}}
    server.call("POST", "/v1/saved-views", body, actor=f"ann{mark}")
    page = open_page("/tasks", actor=f"ann{mark}", dark=True, language="de")
    page.get_by_role("button", name="Ansichten").click()
    page.get_by_role("menuitem", name=f"Late {mark}", exact=True).click()
    page.wait_for_url(re.compile("overdue=true"))
    assert page.get_by_role("switch", name=re.compile("über|spät", re.I)).first.is_checked()
