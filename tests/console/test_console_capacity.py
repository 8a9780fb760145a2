"""Capacity in a real browser: what is full when, the chart with its band, what to change, as a table for spreadsheets; and the same from the command line."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from flowledger.analytics.capacity import HOUR_US

sys.path.insert(0, str(Path(__file__).parents[1] / "analytics"))
from full_press import HANDS, MEAN_S, pressed

from .conftest import Served
from .test_console_accessible import accessible

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def full(server: Served) -> str:
    """Weeks of a job type whose four hands are full by day, and that grows: as the projection would have written them."""
    job = f"press-{uuid.uuid4().hex[:8]}"
    server.call("GET", "/v1/measures?measure=started")  # the tables are made
    hours, days = [], {}
    for at, came, done, work_us in pressed(datetime.now(UTC)):
        hours.append((job, at, came, done, done, work_us))
        day = days.setdefault(at.replace(hour=0), [0, 0, 0, 0])
        days[at.replace(hour=0)] = [a + b for a, b in zip(day, hours[-1][2:], strict=True)]
    columns = "(process_id, element, definition_id, version, job_type, at, started, completed, worked, work_us) VALUES ('press', 'press', 1, 1, %s, %s, %s, %s, %s, %s)"
    with (
        psycopg.connect(f"host={server.data / 'postgres'} user=postgres dbname=postgres", autocommit=True) as conn,
        conn.cursor() as cursor,
    ):
        cursor.executemany(f"INSERT INTO flowledger.measures_hour {columns}", hours)
        cursor.executemany(f"INSERT INTO flowledger.measures_day {columns}", [(job, at, *sums) for at, sums in days.items()])
    return job


@pytest.mark.req("D-ANA-001", "D-ANA-007", "D-AI-002")
def test_what_is_full_when_is_seen_with_its_band_and_what_to_change(server: Served, open_page: Callable[..., Any], full: str) -> None:
    told = next(i for i in server.call("GET", "/v1/reports/capacity")["items"] if i["name"] == full)
    assert told["by"] == "measured" and abs(told["hands"]["value"] - HANDS) < 0.3 and told["mean_work_ms"] == MEAN_S * 1000
    assert told["full"]["from"] <= told["full"]["at"] <= told["full"]["to"] and told["advice"]["proposed"] > HANDS
    page = open_page("/insight")
    page.get_by_role("link", name="Capacity").click()
    page.get_by_role("heading", name="Capacity").wait_for()
    row = page.get_by_role("table", name="What is carried").get_by_role("row").filter(has_text=full)

    row.get_by_text("measured").wait_for()
    row.get_by_text(f"→ {told['advice']['proposed']}").wait_for()
    row.get_by_role("button", name=full).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**of=**")
    page.get_by_role("heading", name=full).wait_for()
    page.get_by_role("img", name="What comes in a week, and what can be done").locator("svg").wait_for()
    page.get_by_role("img", name="What will wait in the next seven days").locator("svg").wait_for()
    page.get_by_text("The figures as a table").first.click()
    first = page.get_by_role("table", name="What comes in a week, and what can be done").get_by_role("row").nth(1)
    assert " – " in first.inner_text(), "the band stands in the table, too"
    page.get_by_role("heading", name="The server").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    mine = next(r for r in rows if r["name"] == full)
    again = next(i for i in server.call("GET", "/v1/reports/capacity")["items"] if i["name"] == full)  # an hour may have ended meanwhile
    assert (mine["came"], mine["proposed"], mine["full"]) in [
        (str(i["came"]), str(i["advice"]["proposed"]), i["full"]["at"]) for i in (told, again)
    ]
    accessible(page)


@pytest.mark.req("D-ANA-001")
def test_the_command_line_tells_the_same(server: Served, full: str) -> None:
    def ran(*more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "flowledger", "analytics", "capacity", "--server", server.url, *more],
            capture_output=True, text=True, timeout=60, check=True, env={**os.environ, "COLUMNS": "300"},
        )  # fmt: skip
        return done.stdout + done.stderr

    found = json.loads(ran("--json", "--steps", "2000"))
    item = next(i for i in found["items"] if i["name"] == full)
    assert (found["server"]["by"], found["server"]["carries_s"]) == ("given", 2000)
    assert item["carries"]["value"] == pytest.approx(item["hands"]["value"] * 168 * HOUR_US / 1e3 / item["mean_work_ms"], rel=0.01)
    row = next(r for r in csv.DictReader(io.StringIO(ran("--csv"))) if r["name"] == full)
    assert row["came a week"] == str(item["came"]) and f"to {item['advice']['proposed']} by" in row["change"]
    assert f"{full}: workers' hands" in ran()
