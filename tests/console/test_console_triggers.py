"""Triggers in a real browser: what each did, what it could not use, tried, paused and resumed, replayed after a change."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from flowledger.sdk import Flow

from .conftest import Served, until
from .test_console_accessible import sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.req("D-TRG-001")]
NAME, PROCESS = "every-second", "begun-by-time"


def resource(**more: Any) -> str:
    every = {"format": "flowledger/trigger@1", "name": NAME, "source": {"schedule": {"every": "PT1S", "catch_up": "none"}}}
    return json.dumps({**every, "start": {"process": PROCESS, "variables": {"at": "=scheduled"}}, **more})


def test_what_a_trigger_does_and_could_not_use(server: Served, open_page: Callable[..., Any]) -> None:
    trigger = f"/v1/triggers/{NAME}"
    server.call("PUT", trigger, {"content": resource()})
    until(
        lambda: [t for t in server.call("GET", "/v1/triggers")["items"] if t["name"] == NAME and t["parked"] >= 2]
    )  # the process isn't there
    page = open_page("/operations?tab=triggers", actor="olga")
    card = page.get_by_role("group", name=NAME)
    card.get_by_text("parked").first.wait_for()
    card.get_by_role("button", name="Pause").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("its process is missing")
    dialog.get_by_role("button", name="Pause").click()
    card.get_by_text("olga: its process is missing").wait_for()
    card.get_by_text("paused", exact=True).wait_for()

    card.get_by_role("button", name="Parked").click()
    card.get_by_role("alert").filter(has_text=PROCESS).first.wait_for()
    sound(page)
    server.call(
        "POST",
        "/v1/deployments",
        {"resources": [{"name": "p.bpmn", "content": Flow(PROCESS).start().service("do", job=f"{PROCESS}.do").end().xml().decode()}]},
    )
    card.get_by_role("button", name="Replay these").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("it is there now")
    dialog.get_by_role("button", name="Replay", exact=True).click()
    dialog.wait_for(state="detached")
    card.get_by_text("Nothing is parked.").wait_for()
    made = until(lambda: server.call("GET", f"/v1/instances?definition={PROCESS}")["items"])
    assert len(made) >= 2

    card.get_by_role("button", name="What it did").click()
    table = card.get_by_role("table", name="What it did")
    table.get_by_text(f"started {PROCESS}").first.wait_for()
    table.get_by_role("link", name=made[0]["id"]).wait_for()
    sound(page)

    card.get_by_role("button", name="Try it").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Try it").click()
    dialog.get_by_text("It would do this").wait_for()
    dialog.get_by_text("Its next times:").wait_for()
    sound(page)
    dialog.get_by_role("button", name="Close").last.click()
    assert server.call("GET", trigger)["status"] == "paused"

    card.get_by_role("button", name="Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    card.get_by_text("active", exact=True).wait_for()
    count = server.call("GET", trigger)["ran"]
    until(lambda: server.call("GET", trigger)["ran"] > count)
    server.call("DELETE", trigger)
    card.wait_for(state="detached")


def test_without_triggers_it_says_what_they_are(open_page: Callable[..., Any]) -> None:
    page = open_page("/operations?tab=triggers", width=390)
    page.get_by_text("No trigger is deployed.").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
