"""Reports in a real browser: built with the answer beside, saved, shown, exported, down to its instances, sent by schedule and deleted; in German, and by a link."""

from __future__ import annotations

import csv
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from flowledger.sdk import Flow

from .conftest import Served, until
from .test_console_accessible import accessible, sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.req("D-ANA-008", "D-ANA-003", "APG-UI-010")
def test_a_report_is_built_saved_shown_exported_sent_and_deleted(server: Served, open_page: Callable[..., Any], tmp_path: Path) -> None:
    process = f"sold-{uuid.uuid4().hex[:8]}"
    xml = Flow(process, "Sold").start("begin").user("look", name="Look at it").end("done").xml().decode()
    server.call("POST", "/v1/deployments", {"resources": [{"name": f"{process}.bpmn", "content": xml}]})
    instances = {server.start(process) for _ in range(2)}
    until(lambda: server.call("GET", f"/v1/measures?process={process}&measure=started")["items"][0]["started"] == 2)
    page = open_page("/insight", actor="olga")
    page.get_by_role("link", name="Reports").click()
    page.get_by_role("button", name="New report").first.focus()
    page.keyboard.press("Enter")
    form = page.get_by_role("form", name="Build a report")
    preview = page.get_by_role("region", name="Preview")
    preview.get_by_role("img", name="Preview").locator("svg").wait_for()  # a good one is there from the beginning
    form.get_by_role("combobox", name="Process").fill(process)
    page.get_by_role("option", name=process).click()
    # what can't be drawn is told where it is chosen, and nothing is asked
    form.get_by_role("combobox", name="Chart").click()
    page.get_by_role("option", name="One number").click()
    form.get_by_text("It shows one measure of the whole time.").wait_for()
    assert form.get_by_role("button", name="Save").is_disabled()
    form.get_by_role("combobox", name="Chart").click()
    page.get_by_role("option", name="Bars").click()
    row = preview.get_by_role("table", name="Table: Preview").get_by_role("row").last
    until(lambda: row.get_by_role("cell").all_inner_texts()[1:] == ["2", "0"])
    form.get_by_label("Title").fill("What is sold")
    form.get_by_label("Name").fill(process)
    sound(page)
    page.reload()  # the address has what is being built; its name is given when it is saved
    preview.get_by_role("table", name="Table: What is sold").wait_for()
    assert form.get_by_role("combobox", name="Process").input_value() == process
    form.get_by_label("Name").fill(process)
    form.get_by_role("button", name="Save").click()
    shown = page.get_by_role("region", name="What is sold")
    shown.get_by_role("img", name="What is sold").locator("svg").wait_for()
    stored = server.call("GET", f"/v1/saved-reports/{process}")
    assert (stored["measure"], stored["process"], stored["chart"], stored["window"]) == (["started", "completed"], process, "bar", "day")
    with page.expect_download() as loaded:
        shown.get_by_role("button", name="Export").click()
        page.get_by_role("menuitem", name="CSV").click()
    loaded.value.save_as(tmp_path / "r.csv")
    assert [float(r["started"]) for r in csv.DictReader((tmp_path / "r.csv").open())][-1] == 2
    # sent by schedule: what is missing is told, then it is due; once now, and why it could not be sent
    shown.get_by_role("button", name="Send by schedule").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("To, separated by ;").wait_for()
    dialog.get_by_role("button", name="Save").click()
    assert dialog.get_by_text("It is needed.").count() == 3
    dialog.get_by_role("combobox", name="By", exact=True).click()
    page.get_by_role("option", name="a POST to an address").click()
    dialog.get_by_label("Address", exact=True).fill("http://127.0.0.1:1/in")
    dialog.get_by_label("At", exact=True).fill("05:30")
    sound(page)
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="detached")
    planned = server.call("GET", f"/v1/saved-reports/{process}/schedule")
    assert planned["schedule"]["cron"] == "30 5 * * MON" and planned["schedule"]["webhook"]["url"] == "http://127.0.0.1:1/in"
    shown.get_by_role("button", name="Send by schedule").click()
    dialog.get_by_role("button", name="Send once now").click()
    sent = dialog.get_by_role("table", name="What was sent")
    sent.get_by_text("isn't allowed").or_(sent.get_by_text("EGRESS_REFUSED")).or_(
        sent.get_by_text("tried without success")
    ).first.wait_for()
    dialog.get_by_role("button", name="Send no more").click()
    dialog.wait_for(state="detached")
    # down to the instances
    shown.get_by_role("table", name="Table: What is sold").get_by_role("link").last.click()
    page.wait_for_url(f"**/instances?definition={process}&started_from=**")
    for instance in instances:
        page.locator(f"a[href*='{instance}']").first.wait_for()
    page = open_page(f"/insight/reports?report={process}", actor="olga", language="de")
    page.get_by_role("button", name="Löschen").click()
    page.get_by_role("dialog").get_by_role("button", name="Löschen").click()
    page.get_by_text("Der Bericht ist gelöscht.").wait_for()
    build = quote('{"measure":"started","group":["process"],"chart":"pie","title":"Anteile"}')
    page = open_page(f"/insight/reports?build={build}", language="de")
    page.get_by_role("img", name="Anteile").locator("svg").wait_for()
    accessible(page)
