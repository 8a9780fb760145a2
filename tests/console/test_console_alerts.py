"""Alerts in a real browser: made with checks, tried on the past, seen as they fire, silenced, deleted."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.sdk import Flow

from .conftest import Served, until
from .test_console_accessible import sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.req("APG-MON-005", "APG-UI-013")
def test_an_alert_from_its_page_until_it_fires(server: Served, open_page: Callable[..., Any]) -> None:
    process, name = f"watched-{uuid.uuid4().hex[:8]}", f"many-{uuid.uuid4().hex[:6]}"
    model = Flow(process).start().user("look").end().xml().decode()
    server.call("POST", "/v1/deployments", {"resources": [{"name": f"{process}.bpmn", "content": model}]})
    for n in range(3):
        server.start(process, f"W-{n}")
    until(lambda: server.call("GET", f"/v1/measures?process={process}&measure=started")["items"][0]["started"] == 3)
    page = open_page("/insight", actor="olga")
    page.get_by_role("link", name="Alerts", exact=True).click()
    page.get_by_role("button", name="New alert").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Make it").click()
    dialog.get_by_text("Expected 1 to 200 characters without a slash").wait_for()  # told at its field, before it is sent
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Title").fill("Many begin")
    dialog.get_by_role("combobox", name="Figure").click()
    page.get_by_role("option", name="Started", exact=True).click()
    dialog.get_by_role("textbox", name="Limit").fill("2")
    dialog.get_by_role("combobox", name="Process").click()
    page.get_by_role("option", name=process, exact=True).click()
    dialog.get_by_role("button", name="Try on the past").click()
    dialog.get_by_text("In the last 7 days it would have fired 1×.").wait_for()
    assert not [a for a in server.call("GET", "/v1/alerts")["items"] if a["name"] == name], "nothing is stored by a trial"
    sound(page)
    dialog.get_by_role("button", name="Make it").click()
    dialog.wait_for(state="detached")
    card = page.get_by_role("group", name=name)
    card.get_by_text("fires", exact=True).wait_for(timeout=60_000)  # as it comes, without a click
    card.get_by_role("button", name="When it fired").click()
    card.get_by_text("fired so far: 1").wait_for()
    card.get_by_text("3", exact=True).wait_for()
    sound(page)
    card.get_by_role("button", name="Silence for an hour").click()
    page.get_by_role("dialog").get_by_label("Reason").fill("moving house")
    page.get_by_role("dialog").get_by_role("button", name="Silence for an hour").click()
    card.get_by_text("silent until").wait_for()
    row = server.call("GET", f"/v1/alerts/{name}")
    assert (row["reason"], row["rule"]["above"], row["rule"]["process"]) == ("moving house", 2, process)
    card.get_by_role("button", name="Change").click()
    page.get_by_role("dialog").get_by_role("textbox", name="Limit").fill("100")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    until(lambda: server.call("GET", f"/v1/alerts/{name}")["firing"] == 0)
    card.get_by_text("active", exact=True).wait_for(timeout=60_000)
    card.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    card.wait_for(state="detached")


def test_what_an_alert_did_stands_beside_its_firing(server: Served, open_page: Callable[..., Any]) -> None:
    process, name = f"held-{uuid.uuid4().hex[:8]}", f"holds-{uuid.uuid4().hex[:6]}"
    model = Flow(process).start().user("look").end().xml().decode()
    server.call("POST", "/v1/deployments", {"resources": [{"name": f"{process}.bpmn", "content": model}]})
    server.start(process, "H-1")
    action = {"kind": "hold", "scope": "definition", "for": "PT30M", "enabled": True}
    server.call("PUT", f"/v1/alerts/{name}", {"measure": "started", "process": process, "above": 0, "action": action})
    until(lambda: [a for a in server.call("GET", "/v1/alerts")["items"] if a["name"] == name])
    until(lambda: [r for r in server.call("GET", f"/v1/alerts/{name}/firings")["items"] if r["action"] and r["action"]["hold"]])
    page = open_page("/insight/alerts", actor="olga")
    card = page.get_by_role("group", name=name)
    card.get_by_role("button", name="When it fired").click()
    card.get_by_text(f"held {process} until at the latest").wait_for()
    card.get_by_role("button", name="Try on the past").click()
    card.get_by_text("Its action would have held something 1×.").wait_for()
    sound(page)
    card.get_by_role("link", name=f"held {process}").click()
    page.get_by_text(f"alert {name}, firing 1").first.wait_for()
    server.call("DELETE", f"/v1/alerts/{name}")
    until(lambda: not [h for h in server.call("GET", "/v1/holds?status=held")["items"] if h["key"] == process])
