"""Retention and evidence in a real browser: rules with what would go before they hold, certificates; who asked for what, also as CSV and to print."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowledger.sdk import Flow

from .conftest import Served, until
from .test_console_accessible import accessible, sound

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
 xmlns:flowledger="urn:flowledger:bpmn:1" id="d" targetNamespace="u"><process id="{id}" isExecutable="true"><startEvent id="s"/>
<sequenceFlow id="a" sourceRef="s" targetRef="ask"/><userTask id="ask"><extensionElements><zeebe:userTask/></extensionElements></userTask>
<sequenceFlow id="b" sourceRef="ask" targetRef="approve"/><userTask id="approve"><extensionElements><zeebe:userTask/></extensionElements></userTask>
<sequenceFlow id="c" sourceRef="approve" targetRef="e"/><endEvent id="e"/></process></definitions>"""


@pytest.mark.req("D-CMP-006")
def test_a_rule_is_made_after_a_look_applied_certified_and_removed(server: Served, open_page: Callable[..., Any]) -> None:
    process = f"short-{uuid.uuid4().hex[:8]}"
    xml = Flow(process, "Short").start("begin").end("done").xml().decode()
    server.call("POST", "/v1/deployments", {"resources": [{"name": f"{process}.bpmn", "content": xml}]})
    ended = [server.start(process) for _ in range(2)]
    until(lambda: all(server.call("GET", f"/v1/instances/{key}")["status"] == "completed" for key in ended))
    page = open_page("/operations", actor="olga")
    page.get_by_role("link", name="Retention").click()
    page.get_by_text("Everything is kept for ever.").wait_for()
    accessible(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_role("button", name="New rule").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Two Words")
    dialog.get_by_text("It begins with a small letter").wait_for()
    dialog.get_by_label("Name").fill(process)
    dialog.get_by_label("Kept for").fill("P1Y6M")
    dialog.get_by_text("1 year, 6 months").wait_for()
    dialog.get_by_role("combobox", name="Process").fill(process)
    page.get_by_role("option", name=process).click()
    dialog.get_by_text("Nothing would go now").wait_for()
    dialog.get_by_label("Kept for").fill("PT1S")
    dialog.get_by_text("2 instances and 0 keys would go").wait_for()
    dialog.get_by_role("link", name=ended[0]).wait_for()
    assert dialog.get_by_role("button", name="New rule").is_disabled(), "not without a reason"
    dialog.get_by_label("Reason").fill("our policy")
    sound(page)
    dialog.get_by_role("button", name="New rule").click()
    rule = page.get_by_role("group", name=process, exact=True)
    rule.get_by_text("1 second").wait_for()
    rule.get_by_text("olga").wait_for()
    rule.get_by_role("button", name="What would go").click()
    dialog.get_by_text("2 instances and 0 keys would go").wait_for()
    dialog.get_by_role("button", name="Close").last.click()
    page.get_by_role("button", name="Apply now").click()
    dialog.get_by_role("button", name="Apply now").click()
    page.get_by_text("2 things have gone.").wait_for()
    run = page.get_by_role("region", name="What has gone").get_by_role("group", name=process)
    until(lambda: [o for o in server.call("GET", "/v1/operations?operation=apply_retention")["items"] if o["subject"] == process])
    page.reload()  # the log of operations is told a little later
    run.get_by_text("Instances: 2, keys: 0").wait_for()
    with page.expect_download() as got:
        run.get_by_role("button", name="Save the certificate").click()
    certificate = json.loads(Path(got.value.path()).read_text())
    assert sorted(map(str, certificate["instances"])) == sorted(ended) and certificate["reason"] == "our policy"
    accessible(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    rule.get_by_role("button", name="Remove").click()
    dialog.get_by_role("button", name="Remove").click()
    rule.wait_for(state="detached")
    assert server.call("GET", "/v1/retention")["items"] == []


@pytest.mark.req("D-CMP-007")
def test_who_asked_for_what_by_person_as_csv_and_to_print(server: Served, open_page: Callable[..., Any]) -> None:
    process, who = f"duty-{uuid.uuid4().hex[:8]}", f"eve{uuid.uuid4().hex[:6]}"
    server.call("POST", "/v1/deployments", {"resources": [{"name": f"{process}.bpmn", "content": MODEL.format(id=process)}]})
    instance = server.start(process)
    for element in ("ask", "approve"):
        [task] = until(
            lambda e=element: [
                t["id"] for t in server.call("GET", f"/v1/tasks?instance={instance}&open=true")["items"] if t["element"] == e
            ]
        )
        server.call("POST", f"/v1/tasks/{task}/complete", {}, actor=who)
    until(lambda: server.call("GET", f"/v1/instances/{instance}")["status"] == "completed")
    until(lambda: len(server.call("GET", f"/v1/evidence/report?actor={who}")["items"]) >= 2)
    page = open_page("/operations", actor="olga")
    page.get_by_role("link", name="Evidence").click()
    page.get_by_role("table", name="By person").get_by_role("button", name=who).click()
    page.wait_for_url(f"**actor={who}**")
    by = page.get_by_role("table", name="By operation")
    by.get_by_role("row").filter(has_text="complete_task").wait_for()
    rows = page.get_by_role("table", name="Each of them")
    until(lambda: rows.get_by_role("link").first.get_attribute("href") == f"/instances/{instance}")  # no more of all
    accessible(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    with page.expect_download() as got:
        page.get_by_role("button", name="CSV").click()
    told = list(csv.DictReader(io.StringIO(Path(got.value.path()).read_text())))
    assert {r["actor"] for r in told} == {who} and [r["operation"] for r in told].count("complete_task") == 2
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Page to print").click()
    opened.value.get_by_role("heading", name="By operation").wait_for()
    assert who in opened.value.content() and opened.value.evaluate("getComputedStyle(document.querySelector('td')).borderTopWidth") != "0px"
    opened.value.close()
    # two tasks that nobody keeps apart in the model are asked for all the same
    page.get_by_role("tab", name="Conflicts of duties").click()
    page.get_by_role("combobox", name="Process").fill(process)
    page.get_by_role("option", name=process).click()
    page.get_by_text("Nobody did both of two tasks").wait_for()
    page.get_by_label("Two elements beside those of the model").fill("ask, approve")
    page.keyboard.press("Enter")
    did = page.get_by_role("table", name="Did both").get_by_role("row").filter(has_text=who)
    assert did.get_by_role("link").get_attribute("href") == f"/instances/{instance}?tab=work"
    accessible(page)
    page = open_page("/operations/evidence?tab=access", language="de")
    page.get_by_text("Es gibt keine Konten.").wait_for()


@pytest.mark.req("D-CMP-004", "D-CMP-007")
def test_what_rule_packs_said_by_rule_and_of_whom(server: Served, open_page: Callable[..., Any]) -> None:
    process, who = f"ruled-{uuid.uuid4().hex[:8]}", f"eve-{uuid.uuid4().hex[:6]}"
    rule = {"id": "small", "on": "instance", "severity": "refuse", "holds": "variables.amount < 100", "message": "large ones go by post"}
    noted = {"id": "noted", "on": "instance", "severity": "warn", "holds": "business_key != null", "message": "it has a key"}
    pack = {"format": "flowledger/rules@1", "name": process, "title": "House", "applies": {"definitions": process}, "rules": [rule, noted]}
    files = [
        {"name": f"{process}.bpmn", "content": MODEL.format(id=process)},
        {"name": f"{process}.rules.json", "content": json.dumps(pack)},
    ]
    server.call("POST", "/v1/deployments", {"resources": files})
    with pytest.raises(AssertionError, match="403.*FORBIDDEN"):
        server.call("POST", "/v1/instances", {"definition": process, "variables": {"amount": 200}}, actor=who)
    made = server.call("POST", "/v1/instances", {"definition": process, "variables": {"amount": 2}}, actor=who)["id"]
    until(lambda: len(server.call("GET", f"/v1/evidence/rules?actor={who}")["items"]) >= 3)
    page = open_page(f"/operations/evidence?tab=rules&actor={who}", actor="olga")
    by = page.get_by_role("table", name="By rule")
    by.get_by_role("row").filter(has_text="small").filter(has_text="refuses").wait_for()
    said = page.get_by_role("table", name="Verdicts")
    said.get_by_role("row").filter(has_text="violated, refused").filter(has_text="start").wait_for()
    assert said.get_by_role("link").first.get_attribute("href") == f"/instances/{made}"
    accessible(page)
    page.set_viewport_size({"width": 1440, "height": 900})
    with page.expect_download() as got:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(got.value.path()).read_text())))
    assert [r["rule"] for r in rows] == ["small", "noted", "noted"] and rows[0]["refused"] == "true"
    page.goto(page.url.replace(who, "nobody"))
    page.get_by_text("No rule pack said anything in this time.").wait_for()
