"""KPIs, forecasts, what is unlike before and what if: in a real browser, from promises to their instances, from rows to bands, run and stopped."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from flowledger.sdk import Flow

from .conftest import Served, until
from .test_console_accessible import accessible, sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]
WEEKS, PLANTED = 9, 900


def process_of(server: Served, name: str) -> str:
    process = f"{name}-{uuid.uuid4().hex[:8]}"
    xml = Flow(process, name.title()).start("begin").user("look", name="Look at it").end("done").xml().decode()
    server.call("POST", "/v1/deployments", {"resources": [{"name": f"{process}.bpmn", "content": xml}]})
    return process


@pytest.fixture(scope="module")
def seasoned(server: Served) -> str:
    """Weeks of hours as the projection would have written them, with one three hours ago that is far off."""
    process = process_of(server, "seasoned")
    server.call("GET", f"/v1/measures?process={process}&measure=started")  # the tables are made
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rows = []
    for n in range(1, WEEKS * 168):
        at = now - timedelta(hours=n)
        usual = 20 + 15 * math.sin(at.hour / 24 * 2 * math.pi) + (10 if at.weekday() < 5 else 0) + (n * 7919 % 5)
        rows.append((process, at, PLANTED if n == 3 else max(1, round(usual))))
    with psycopg.connect(f"host={server.data / 'postgres'} user=postgres dbname=postgres", autocommit=True) as conn:
        insert = "INSERT INTO flowledger.measures_hour (process_id, at, definition_id, version, started, completed) VALUES (%s, %s, 1, 1, %s, %s)"
        with conn.cursor() as cursor:
            cursor.executemany(insert, [(*row, row[2]) for row in rows])
    return process


@pytest.mark.req("APG-UI-010")
def test_a_promise_is_made_seen_late_down_to_its_instance_changed_and_removed(server: Served, open_page: Callable[..., Any]) -> None:
    process = process_of(server, "promised")
    page = open_page("/insight", actor="olga")
    page.get_by_role("link", name="KPIs and promises").click()
    page.get_by_role("heading", name="KPIs and promises").wait_for()
    page.get_by_role("button", name="New KPI").first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("button", name="New KPI").is_disabled()
    dialog.get_by_label("Name").fill(process)
    dialog.get_by_label("Title").fill("Looked at in a second")
    dialog.get_by_role("combobox", name="Process").fill(process)
    page.get_by_role("option", name=process).click()
    dialog.get_by_label("Within").fill("soon")
    dialog.get_by_label("Goal, %").fill("120")
    dialog.get_by_text("A number above 0 up to 100 is expected.").wait_for()
    dialog.get_by_label("Within").fill("PT1S")
    dialog.get_by_label("Goal, %").fill("95")
    sound(page)
    dialog.get_by_role("button", name="New KPI").click()
    card = page.get_by_role("group", name="Looked at in a second")
    card.get_by_text("nothing yet").wait_for()
    assert server.call("GET", f"/v1/kpis/{process}")["goal"] == 0.95
    instance = server.start(process)
    card.get_by_role("button", name="1 late").wait_for()  # it is told by itself
    card.get_by_text("late", exact=True).wait_for()
    card.get_by_role("button", name="1 late").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("table", name="Open and late").get_by_role("link").get_attribute("href") == f"/instances/{instance}"
    accessible(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.reload()  # the address is the state
    page.get_by_role("table", name="Open and late").get_by_role("link", name=instance).wait_for()
    server.call("POST", f"/v1/tasks/{server.task_of(instance)}/complete", {}, actor="rita")
    card.get_by_role("button", name="1 broken").wait_for()
    card.get_by_text("goal of 95% missed").wait_for()
    card.get_by_text("at risk", exact=True).wait_for()
    card.get_by_role("button", name="1 broken").click()
    page.get_by_role("table", name="Ended too late").get_by_role("link", name=instance).wait_for()
    card.get_by_role("button", name="In time").click()
    page.get_by_role("img", name="Looked at in a second").locator("svg").wait_for()
    accessible(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    card.get_by_role("button", name="Change").click()
    dialog.get_by_label("Within").fill("P1D")
    dialog.get_by_role("button", name="Change").click()
    card.get_by_text("within 1 d").wait_for()
    record = server.call("GET", f"/v1/kpis/{process}")
    assert (record["within"], record["goal"], record["process"]) == ("P1D", 0.95, process)
    card.get_by_role("button", name="Remove").click()
    dialog.get_by_role("button", name="Remove").click()
    card.wait_for(state="detached")


@pytest.mark.req("APG-AI-011", "APG-AI-007")
def test_what_comes_has_its_band_and_what_is_unlike_before_leads_to_its_hour(
    server: Served, open_page: Callable[..., Any], seasoned: str
) -> None:
    told = server.call("GET", f"/v1/forecasts?process={seasoned}")
    assert told["by"] != "nothing"
    page = open_page(f"/insight?process={seasoned}&tab=forecast")
    page.get_by_role("img", name="Started").locator("svg").wait_for()
    page.locator("dl").filter(has_text="Weeks learned from").get_by_text(str(told["weeks"]), exact=True).wait_for()
    page.locator("dl").filter(has_text="Off by the mean").get_by_text("the last week alone").wait_for()
    page.get_by_text("The figures as a table").click()
    first = page.get_by_role("table", name="Started").get_by_role("row").nth(1)
    few = lambda n: f"{round(n, 1):g}"  # noqa: E731
    assert few(told["items"][0]["expected"]) in first.inner_text() and " – " in first.inner_text()
    page.get_by_role("combobox", name="Ahead").click()
    page.get_by_role("option", name="2 days", exact=True).click()
    page.wait_for_url("**ahead=2**")
    until(lambda: page.get_by_role("table", name="Started").get_by_role("row").count() == 49)  # two days of hours, and their names
    page.get_by_role("img", name="Started").locator("svg").wait_for()
    accessible(page)
    page = open_page(f"/insight?process={seasoned}&tab=anomalies&last=24h")
    row = page.get_by_role("table", name="What is unlike before").get_by_role("row").filter(has_text=str(PLANTED))
    row.get_by_role("link").wait_for()
    assert "started_from=" in row.get_by_role("link").get_attribute("href")
    accessible(page)
    page = open_page(f"/insight?process={process_of(server, 'young')}&tab=forecast", language="de")
    page.get_by_text("Noch ist zu wenig da, um zu lernen: 0 ganze Wochen.").wait_for()


@pytest.mark.req("APG-UI-010")
def test_scenarios_are_run_side_by_side_again_by_the_same_seed_and_stopped(server: Served, open_page: Callable[..., Any]) -> None:
    process = process_of(server, "queued")
    page = open_page(f"/insight?process={process}&tab=whatif", actor="olga")
    page.get_by_role("button", name="Run it").click()
    page.get_by_text("no instance of").wait_for()  # nothing was learned, nothing was given: what to do is said
    for _ in range(3):
        task = server.task_of(server.start(process))
        server.call("POST", f"/v1/tasks/{task}/claim", actor="rita")
        server.call("POST", f"/v1/tasks/{task}/complete", {}, actor="rita")
    until(lambda: server.call("GET", f"/v1/measures?process={process}&measure=completed")["items"][0]["completed"] == 3)
    page.get_by_role("button", name="Add an element").click()
    base = page.get_by_role("group", name="as it is")
    base.get_by_role("combobox", name="Element").click()
    page.get_by_role("option", name="Look at it").click()
    base.get_by_label("One comes every").fill("PT1S")
    base.get_by_label("Instances each").fill("300")
    base.get_by_label("Runs").fill("4")
    page.get_by_role("button", name="Add a scenario").focus()
    page.keyboard.press("Enter")
    more = page.get_by_role("group", name="Scenario 1")
    more.get_by_label("Name").fill("two of them")
    more.get_by_label("People: Look at it").fill("2")
    more.get_by_label("More changes").fill("{")
    assert page.get_by_role("button", name="Run it").is_disabled()
    more.get_by_label("More changes").fill("")
    page.get_by_role("button", name="Run it").click()
    table = page.get_by_role("table", name="Scenarios side by side")
    table.get_by_role("columnheader", name="two of them").wait_for()
    table.get_by_role("row").filter(has_text="Busy: Look at it").wait_for()
    page.get_by_role("img", name="Mean time").locator("svg").wait_for()
    before = table.inner_text()
    accessible(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.reload()  # what was asked stands in the address, and the same seed gives the same
    assert page.get_by_label("People: Look at it").input_value() == "2"
    page.get_by_role("button", name="Run it").click()
    table.wait_for()
    assert table.inner_text() == before
    # a long one (100,000 instances: half a minute at the best) is stopped, and the one place that there is becomes free
    base.get_by_label("Instances each").fill("2000")
    base.get_by_label("Runs").fill("25")
    page.get_by_role("button", name="Run it").click()
    page.get_by_role("progressbar").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("It was stopped.").wait_for()
    small, since = {"process": process, "plan": {"arrival": {"every": "PT5M"}, "instances": 20}, "runs": 1}, time.monotonic()
    assert server.call("POST", "/v1/simulations", small)["runs"] == 1
    assert time.monotonic() - since < 20
