"""Many at once: chosen instances, all that a filter finds, all incidents of one cause; seen before, watched, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Served, until

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def some(server: Served, key: str, count: int) -> list[str]:
    made = [server.start("order", key, order={"id": key, "items": [], "amount": 5}) for _ in range(count)]
    until(lambda: len(server.call("GET", f"/v1/instances?business_key={key}")["items"]) == count)
    return made


@pytest.mark.req("D-API-019")
def test_chosen_instances_are_suspended_and_all_that_are_found_go_on(server: Served, open_page: Callable[..., Any]) -> None:
    made = some(server, "MANY", 3)
    page = open_page("/instances?business_key=MANY", actor="olga")
    for key in made[:2]:
        page.get_by_label(f"Choose {key}").check()
    page.get_by_text("2 chosen").wait_for()
    many = page.get_by_role("group", name="For many instances")
    many.get_by_role("button", name="Suspend").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("2 in all").wait_for()
    dialog.get_by_label(re.compile("Reason")).fill("the target is down")
    dialog.get_by_role("button", name="Suspend").click()
    card = page.get_by_role("group", name=re.compile("^Suspend, batch")).first  # the newest, on the page of batches
    card.get_by_text("2 of 2").wait_for()
    card.get_by_text("completed", exact=True).wait_for()
    card.get_by_text("the target is down").wait_for()
    items = card.get_by_role("table", name="Items")
    items.get_by_text("succeeded").first.wait_for()
    assert items.get_by_text("succeeded").count() == 2

    page = open_page("/instances?business_key=MANY", actor="olga")
    page.get_by_text("All that are found:").wait_for()
    page.get_by_role("group", name="For many instances").get_by_role("button", name="Resume").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("2 in all").wait_for()
    dialog.get_by_role("button", name="Resume").click()
    page.get_by_role("group", name=re.compile("^Resume, batch")).first.get_by_text("completed", exact=True).wait_for()
    rows = server.call("GET", "/v1/instances?business_key=MANY")["items"]
    until(lambda: {i["status"] for i in server.call("GET", "/v1/instances?business_key=MANY")["items"]} == {"running"})
    assert len(rows) == 3


def test_incidents_of_one_cause_are_resolved_at_once(server: Served, open_page: Callable[..., Any]) -> None:
    for n in range(3):
        key = server.start("order", f"C{n}", order={"id": f"C{n}", "items": [], "amount": 5})
        server.work("order.check", error=f"customer {n} is unknown", instance=key)
    page = open_page("/operations?tab=incidents", actor="olga")
    group = page.get_by_role("alert").filter(has_text="customer # is unknown")
    group.get_by_text("3 in 3 instances").wait_for()
    group.get_by_role("button", name="Resolve all").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("3 in all").wait_for()
    dialog.get_by_label("Variables (JSON)").fill('{"known": true}')
    dialog.get_by_role("button", name="Resolve all").click()
    card = page.get_by_role("group", name=re.compile("^Resolve incidents, batch")).first
    card.get_by_text("3 of 3").wait_for()
    page.get_by_role("tab", name="Incidents").click()
    group.wait_for(state="detached")


def test_a_batch_is_paused_and_aborted(server: Served, open_page: Callable[..., Any]) -> None:
    ghosts = [str(700_000 + n) for n in range(400)]
    begun = server.call("POST", "/v1/batches", {"action": "cancel", "ids": ghosts, "rate": 1})
    page = open_page(f"/operations?tab=batches&batch={begun['id']}", actor="olga")
    card = page.get_by_role("group", name=f"Cancel, batch {begun['id']}")
    card.get_by_role("button", name="Pause the batch").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause the batch").click()
    card.get_by_text("paused", exact=True).wait_for()
    card.get_by_role("button", name="Go on").click()
    page.get_by_role("dialog").get_by_role("button", name="Go on").click()
    card.get_by_role("button", name="Abort").click()
    page.get_by_role("dialog").get_by_role("button", name="Abort").click()
    card.get_by_text("aborted", exact=True).first.wait_for()
    assert server.call("GET", f"/v1/batches/{begun['id']}")["status"] in ("aborting", "aborted")


def test_ended_ones_are_deleted_from_the_views_one_and_many(server: Served, open_page: Callable[..., Any]) -> None:
    made = some(server, "GONE", 3)
    for key in made:
        server.call("POST", f"/v1/instances/{key}/cancel", {})
    until(lambda: {i["status"] for i in server.call("GET", "/v1/instances?business_key=GONE")["items"]} == {"cancelled"})
    page = open_page(f"/instances/{made[0]}", actor="olga")
    page.get_by_role("button", name="Actions").click()
    page.get_by_role("menuitem", name="Delete from the views").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("The ledger keeps its events").wait_for()
    dialog.get_by_label(re.compile("Reason")).fill("the customer asked")
    dialog.get_by_role("button", name="Delete from the views").click()
    page.wait_for_url(re.compile(r"/instances$"))
    until(lambda: len(server.call("GET", "/v1/instances?business_key=GONE")["items"]) == 2)

    page = open_page("/instances?business_key=GONE", actor="olga")
    page.get_by_text("All that are found:").wait_for()
    page.get_by_role("group", name="For many instances").get_by_role("button", name="Delete from the views").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("2 in all").wait_for()
    dialog.get_by_role("button", name="Delete from the views").click()
    page.get_by_role("group", name=re.compile("^Delete from the views, batch")).first.get_by_text("completed", exact=True).wait_for()
    until(lambda: not server.call("GET", "/v1/instances?business_key=GONE")["items"])


def test_chosen_ones_are_rolled_back_by_steps(server: Served, open_page: Callable[..., Any]) -> None:
    made = [server.start("order", "BACK", customer="ann", amount=2000, items=[]) for _ in range(2)]
    left = {*made}

    def checked() -> bool:
        for job in server.call("POST", "/v1/jobs/activate", {"type": "order.check", "worker": "robot", "max": 50, "timeout_ms": 2_000})[
            "jobs"
        ]:
            if job["instance"] in left:
                server.call("POST", f"/v1/jobs/{job['key']}/complete", {"fence": job["fence"]})
                left.discard(job["instance"])
        return not left

    until(checked)
    until(lambda: all(_stands(server, key) == {"approve"} for key in made))
    page = open_page("/instances?business_key=BACK", actor="olga")
    for key in made:
        page.get_by_label(f"Choose {key}").check()
    page.get_by_role("group", name="For many instances").get_by_role("button", name="Roll back").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("2 in all").wait_for()
    dialog.get_by_label(re.compile("Steps back")).fill("1")
    dialog.get_by_role("button", name="Roll back").click()
    card = page.get_by_role("group", name=re.compile("^Roll back, batch")).first
    card.get_by_text("2 of 2").wait_for()
    card.get_by_text("completed", exact=True).wait_for()
    until(lambda: all(_stands(server, key) == {"check"} for key in made))


def _stands(server: Served, key: str) -> set[str]:
    return {t["element"] for t in server.call("GET", f"/v1/tasks?instance={key}&status=created")["items"]}
