"""What becomes of an instance, on its page, and how good that is, on the insight page: in a real browser, learned from what was really done."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from flowledger.sdk import Flow

from .conftest import Served, until
from .test_console_accessible import accessible

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]


def unsigned(server: Served, process: str, signed: set[str]) -> list[str]:
    """Seventy tasks to be signed, when they are listed."""
    listed = server.call("GET", f"/v1/tasks?definition={process}&element=sign&open=true&limit=200")["items"]
    found = [i["id"] for i in listed if i["id"] not in signed]
    return found if len(found) == 70 else []


@pytest.fixture(scope="module")
def foretold(server: Served) -> tuple[str, str]:
    """A process of which enough has ended, and an instance that runs."""
    process = f"foretold-{uuid.uuid4().hex[:8]}"
    model = Flow(process, "Foretold").start("begin").service("weigh", job=process, name="Weigh it").user("sign", name="Sign it").end("done")
    server.call("POST", "/v1/deployments", {"resources": [{"name": f"{process}.bpmn", "content": model.xml().decode()}]})
    signed: set[str] = set()
    for _ in range(3):
        for _ in range(70):
            server.start(process)
        time.sleep(1.2)
        for job in server.call("POST", "/v1/jobs/activate", {"type": process, "worker": "w", "max": 70, "timeout_ms": 60_000})["jobs"]:
            server.call("POST", f"/v1/jobs/{job['key']}/complete", {})
        tasks = until(partial(unsigned, server, process, signed))
        time.sleep(1.2)
        for task in tasks:
            server.call("POST", f"/v1/tasks/{task}/complete", {"variables": {}}, actor="rita")
        signed |= {*tasks}
    until(lambda: server.call("GET", f"/v1/measures?process={process}&measure=completed")["items"][0]["completed"] == len(signed))
    return process, server.start(process, "F-1")


@pytest.mark.req("APG-AI-002", "APG-AI-005")
def test_it_is_learned_told_with_its_errors_and_an_earlier_one_is_chosen(
    server: Served, open_page: Callable[..., Any], foretold: tuple[str, str]
) -> None:
    process, instance = foretold
    page = open_page(f"/insight?process={process}&tab=predict", actor="rita")
    page.get_by_text("Nothing was learned yet.").wait_for()
    accessible(page)
    page = open_page(f"/insight?process={process}&tab=predict", actor="rita")
    learn = page.get_by_role("button", name="Learn anew")
    learn.click()
    page.locator("dl").filter(has_text="Off by the mean").first.wait_for()
    card = server.call("GET", f"/v1/predictions?process={process}")["items"][0]["card"]
    page.get_by_text(f"learned from {card['cases']['learned']} cases").wait_for()
    page.get_by_role("table", name="Errors by element").get_by_role("cell", name="sign", exact=False).first.wait_for()
    learn.click()
    page.get_by_role("button", name="Use model 1").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("as before")
    page.get_by_role("dialog").get_by_role("button", name="Use model 1").click()
    page.get_by_role("button", name="Use model 2").wait_for()
    told = server.call("GET", f"/v1/predictions?process={process}")
    assert [(i["number"], i["in_use"]) for i in told["items"]] == [(2, False), (1, True)]
    assert (told["choices"][0]["actor"], told["choices"][0]["reason"]) == ("rita", "as before")
    accessible(page)
    page = open_page(f"/instances/{instance}")
    said = page.get_by_role("group", name="What becomes of it")
    said.get_by_text("Still takes about").wait_for()
    found = server.call("GET", f"/v1/instances/{instance}/prediction")
    tells = {"": "Model 1, from", "beyond": "It has stood here longer"}  # it may, on a slow machine
    said.get_by_text(tells.get(found["why"], "The median of cases at these elements")).wait_for()
    accessible(page)


def test_in_german(open_page: Callable[..., Any], foretold: tuple[str, str]) -> None:
    process, instance = foretold
    page = open_page(f"/insight?process={process}&tab=predict", language="de")
    page.get_by_text("Im Mittel daneben").first.wait_for()
    page = open_page(f"/instances/{instance}", language="de")
    page.get_by_role("group", name="Was daraus wird").get_by_text("Dauert noch etwa").wait_for()
