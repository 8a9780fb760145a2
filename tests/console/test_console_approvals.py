"""What needs a second person, in a real browser: asked for, found on a page, approved or refused by somebody else, carried out with what was typed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from .conftest import Served, dev, until
from .test_console_accessible import accessible, sound
from .test_console_subjects import SECRET, kept

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]
#: of each kind one: a plain act, a form, a task's move, several steps, a file as the answer, one looked at before, many at once
NAMED = "cancel_instance,complete_task,claim_task,set_variables,update_retries,resolve_incident,export_subject,change_rollout,create_batch,place_hold"


@pytest.fixture(scope="module")
def server(built: Path) -> Iterator[Served]:
    with dev(FLOWLEDGER_SECOND_PERSON=NAMED) as served:
        yield served


def decided(server: Served, operation: str, verdict: str = "approve", reason: str = "seen", by: str = "bob") -> str:
    """The one of that operation that waits is decided."""

    def one() -> Any:
        return [a for a in server.call("GET", "/v1/approvals")["items"] if (a["operation"], a["status"]) == (operation, "waiting")]

    [found] = until(one)
    server.call("POST", f"/v1/approvals/{found['id']}/{verdict}", {"reason": reason}, actor=by)
    return str(found["id"])


@pytest.mark.req("APG-UI-010")
def test_one_asks_another_approves_and_the_first_does_it(server: Served, open_page: Callable[..., Any]) -> None:
    instance = server.start("document-approval", document="d")
    ann = open_page(f"/instances/{instance}", actor="ann")
    tried: list[str] = []
    ann.on("request", lambda r: tried.append(urlsplit(r.url).path) if r.method == "POST" else None)
    ann.get_by_role("button", name="Actions").click()
    ann.get_by_role("menuitem", name="Cancel instance").click()
    dialog = ann.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("the customer, by phone")
    dialog.get_by_role("button", name="Cancel instance").click()
    dialog.get_by_text("It waits for a second person").wait_for()
    sound(ann)
    dialog.get_by_role("button", name="Cancel instance").click()  # once more is the same, and no second one
    dialog.locator("[data-loading]").wait_for(state="detached")
    dialog.get_by_role("link", name="Approvals").click()
    ann.wait_for_url("**/approvals?tab=mine")
    card = ann.get_by_role("group", name="cancel_instance")
    card.get_by_text("waiting", exact=True).wait_for()
    assert len(server.call("GET", "/v1/approvals")["items"]) == 1
    assert tried == [f"/v1/instances/{instance}/cancel"], "it was asked for once"
    assert card.get_by_role("button", name="Approve").count() == 0 and card.get_by_role("button", name="Carry out").count() == 0
    card.get_by_text("What was asked, as it was typed").click()
    card.get_by_text('"the customer, by phone"').wait_for()

    # the other one, by keyboard
    bob = open_page("/", actor="bob")
    link = bob.get_by_role("link", name="Approvals")
    link.get_by_label("1 wait for you").wait_for()
    link.focus()
    bob.keyboard.press("Enter")
    asked = bob.get_by_role("group", name="cancel_instance ann")
    asked.get_by_text("ann asked").wait_for()
    asked.get_by_text(": the customer, by phone").wait_for()
    assert asked.get_by_role("link", name=f"/v1/instances/{instance}/cancel").get_attribute("href") == f"/instances/{instance}"
    accessible(bob)
    bob.set_viewport_size({"width": 1440, "height": 900})
    asked.get_by_role("button", name="Approve").focus()
    bob.keyboard.press("Enter")
    bob.get_by_role("dialog").get_by_label("Reason").wait_for()
    bob.keyboard.type("I called them")
    sound(bob)
    bob.get_by_role("dialog").get_by_role("button", name="Approve").focus()
    bob.keyboard.press("Enter")
    bob.get_by_text("Nothing waits for you.").wait_for()
    assert server.call("GET", f"/v1/instances/{instance}")["status"] == "running", "approved is not done"

    ann.reload()  # nothing is lost with the page
    card.get_by_text("Approved by bob").wait_for()
    card.get_by_text("I called them").wait_for()
    accessible(ann)
    ann.set_viewport_size({"width": 1440, "height": 900})
    card.get_by_role("button", name="Carry out").click()
    card.get_by_text("carried out", exact=True).wait_for()
    until(lambda: server.call("GET", f"/v1/instances/{instance}")["status"] == "cancelled")
    assert card.get_by_role("button", name="Carry out").count() == 0, "once"


def test_what_is_carried_out_elsewhere_waits_no_more(server: Served, open_page: Callable[..., Any]) -> None:
    instance = server.start("document-approval", document="d")
    page = open_page(f"/instances/{instance}", actor="cara", language="de")
    page.get_by_role("button", name="Aktionen").click()
    page.get_by_role("menuitem", name="Instanz abbrechen").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Instanz abbrechen").click()
    dialog.get_by_text("Es wartet auf eine zweite Person").wait_for()
    approval = decided(server, "cancel_instance")
    dialog.get_by_text("bob hat es freigegeben").wait_for()
    [kept] = page.evaluate("JSON.parse(localStorage.getItem('flowledger.second'))")
    assert kept["approval"] == approval
    headers = {"X-Actor": "cara", "Content-Type": "application/json", "X-Approval": approval}
    answer = httpx2.request(kept["method"], f"{server.url}{kept['url']}", content=kept.get("body"), headers=headers)
    assert answer.status_code < 300, answer.text
    dialog.get_by_text("Es ist ausgeführt").wait_for()
    assert dialog.get_by_text("Es wartet").count() == 0


@pytest.mark.req("D-CMP-003")
def test_in_its_place_it_goes_on_when_somebody_has_approved_and_is_refused_with_a_reason(
    server: Served, open_page: Callable[..., Any]
) -> None:
    task = server.task_of(server.start("document-approval", document="the plan", author="ann"))
    page = open_page(f"/tasks/{task}", actor="rita")
    page.get_by_role("button", name="Claim").click()
    page.get_by_text("Somebody else has to approve it. You find it under Approvals.").wait_for()
    decided(server, "claim_task")
    page.get_by_role("button", name="Claim").click()
    page.get_by_role("button", name="Release").wait_for()
    page.get_by_label("reject").check()
    page.get_by_label("Comment", exact=True).fill("too short")
    page.get_by_role("button", name="Complete").click()
    page.get_by_role("status").get_by_text("It waits for a second person").wait_for()
    decided(server, "complete_task", "refuse", "read page 4 first")
    page.get_by_text("bob has refused it").wait_for()
    page.get_by_text("read page 4 first").wait_for()
    sound(page)
    assert page.get_by_label("Comment", exact=True).input_value() == "too short", "what was typed is there"
    page.get_by_label("Comment", exact=True).fill("too short, also page 4")
    page.get_by_role("button", name="Complete").click()
    page.get_by_role("status").get_by_text("It waits for a second person").wait_for()
    page.reload()
    until(lambda: page.get_by_label("Comment", exact=True).input_value() == "too short, also page 4")
    decided(server, "complete_task")
    page.get_by_role("button", name="Complete").click()
    page.wait_for_url("**/tasks**")
    until(lambda: server.call("GET", f"/v1/tasks/{task}")["status"] == "completed")
    assert server.call("GET", f"/v1/tasks/{task}")["output"]["comment"] == "too short, also page 4"


def test_several_steps_each_wait_and_none_is_done_twice(server: Served, open_page: Callable[..., Any]) -> None:
    stuck = server.stuck()
    page = open_page(f"/instances/{stuck}?tab=incidents", actor="olga")
    page.get_by_role("button", name="Repair the data").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Variables (JSON)").fill('{"note": "called them"}')
    dialog.get_by_label("Attempts").fill("2")
    for operation in ("set_variables", "update_retries", "resolve_incident"):
        dialog.get_by_role("button", name="Repair the data").click()
        dialog.get_by_text("It waits for a second person").wait_for()
        decided(server, operation)
        dialog.get_by_text("bob has approved it").wait_for()
    dialog.get_by_role("button", name="Repair the data").click()
    page.get_by_text("resolved", exact=True).first.wait_for()
    used = [a["operation"] for a in server.call("GET", "/v1/approvals")["items"] if a["by"] == "olga"]
    assert sorted(used) == ["resolve_incident", "set_variables", "update_retries"]
    assert server.call("GET", f"/v1/instances/{stuck}/variables")["variables"]["note"] == "called them"


def test_who_looks_needs_nobody_and_many_at_once_do(server: Served, open_page: Callable[..., Any]) -> None:
    key = f"K-{uuid.uuid4().hex[:8]}"
    server.start("document-approval", key, document="d")
    page = open_page(f"/instances?business_key={key}", actor="olga")
    page.get_by_role("button", name="Suspend").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("1 is found").or_(dialog.get_by_text(key)).first.wait_for()
    before = len(server.call("GET", "/v1/approvals")["items"])
    dialog.get_by_label("Reason").fill("a look")
    dialog.get_by_role("button", name="Suspend").click()
    dialog.get_by_text("It waits for a second person").wait_for()
    assert len(server.call("GET", "/v1/approvals")["items"]) == before + 1
    decided(server, "create_batch")
    dialog.get_by_text("bob has approved it").wait_for()
    dialog.get_by_role("button", name="Suspend").click()
    page.wait_for_url("**/operations?**batch=**")


def test_a_file_comes_where_it_is_carried_out(server: Served, open_page: Callable[..., Any]) -> None:
    ref, _ = kept(server)
    page = open_page(f"/operations/subjects?subject={ref}", actor="olga")
    page.get_by_role("region", name=f"Subject {ref}").get_by_role("button", name="Export").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("asked for on 3 May")
    dialog.get_by_role("button", name="Export").click()
    dialog.get_by_text("It waits for a second person").wait_for()
    decided(server, "export_subject")
    page.goto(f"{server.url}/approvals?tab=mine")
    with page.expect_download() as got:
        page.get_by_role("group", name="export_subject").get_by_role("button", name="Carry out").click()
    told = json.loads(Path(got.value.path()).read_text())
    assert [v["value"] for v in told["variables"]] == [SECRET]
    assert SECRET not in page.content() and SECRET not in page.evaluate("JSON.stringify(localStorage)")


def test_who_decides_can_hold_the_words_against_what_waits_and_another_browser_has_none(
    server: Served, open_page: Callable[..., Any]
) -> None:
    instance = server.start("document-approval", document="d")
    url, body = f"/v1/instances/{instance}/cancel", '{"reason":"ü"}'
    answer = httpx2.post(f"{server.url}{url}", content=body, headers={"X-Actor": "ann", "Content-Type": "application/json"})
    assert answer.json()["code"] == "APPROVAL_NEEDED"
    page = open_page("/approvals", actor="bob", language="de")
    page.get_by_role("button", name="Worte prüfen").click()
    field = page.get_by_label("Was man Ihnen geschickt hat")
    field.fill(json.dumps({"method": "POST", "url": url, "body": body}))
    page.get_by_text("Das sind die Worte von cancel_instance, gefragt von ann").wait_for()
    sound(page)
    field.fill(json.dumps({"method": "POST", "url": url, "body": body.replace("ü", "u")}))
    page.get_by_text("Nichts, was wartet, hat diese Worte.").wait_for()
    field.fill("something")
    page.get_by_text("Das ist nicht, was").wait_for()
    page = open_page("/approvals?tab=mine", actor="ann")
    page.get_by_text("It was asked for elsewhere").wait_for()


def test_who_has_no_name_is_told_to_give_one_and_nothing_is_asked(server: Served, open_page: Callable[..., Any]) -> None:
    instance = server.start("document-approval", document="d")
    page = open_page(f"/instances/{instance}")
    before = len(server.call("GET", "/v1/approvals")["items"])
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Cancel instance").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel instance").click()
    page.get_by_role("dialog").get_by_text("who asks has to say who they are").wait_for()
    assert len(server.call("GET", "/v1/approvals")["items"]) == before
