"""What models can call, what is installed beside the server, and who shares it: connectors, capabilities, plug-ins and tenants in a real browser."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, Served, until
from .test_console_accessible import accessible

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]
EXAMPLES = ROOT / "examples" / "connectors"


def test_a_connector_is_looked_at(server: Served, open_page: Callable[..., Any], tmp_path: Path) -> None:
    server.deploy(EXAMPLES / "book-transport.bpmn", EXAMPLES / "bill-order.bpmn")
    # an address that nobody listens at, and that may not be called: an incident, which the page shows
    key = server.start("book-transport", carrier="http://127.0.0.1:1", from_town="A", to_town="B", weight=2)
    until(lambda: server.call("GET", f"/v1/incidents?instance={key}")["items"])
    page = open_page("/operations?tab=connectors")
    card = page.get_by_role("group", name="HTTP/REST")
    card.get_by_role("button", name="Uses and calls").click()
    page.wait_for_url(re.compile("connector=http"))
    uses = card.get_by_role("table", name="Where it is used")
    uses.get_by_role("row").filter(has_text="book-transport").filter(has_text="CARRIER_TOKEN").first.wait_for()
    card.get_by_text("It asks for the secrets CARRIER_TOKEN").wait_for()
    call = card.get_by_role("table", name="The newest calls").get_by_role("row").filter(has_text="incident").first
    call.wait_for()
    with page.expect_download() as started:
        card.get_by_role("button", name="Element template").click()
    started.value.save_as(tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text()) == server.call("GET", "/v1/connectors/http/template")
    call.get_by_role("link").click()
    page.wait_for_url(re.compile(r"/instances/\d+\?tab=incidents"))


@pytest.mark.req("APG-CON-002")
def test_a_capability_is_registered_changed_and_removed(server: Served, open_page: Callable[..., Any]) -> None:
    name = f"weather_{uuid.uuid4().hex[:6]}"
    page = open_page("/operations?tab=capabilities", actor="olga")
    page.get_by_text("No plug-in is installed.").or_(page.get_by_role("table", name="Plug-ins")).wait_for()
    page.get_by_role("button", name="Register one").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    record = {
        "title": "Weather", "endpoint": "https://weather.example", "authentication": {"type": "bearer", "token": "clear text"},
        "operations": {"tell": {"description": "How it will be"}},
    }  # fmt: skip
    dialog.get_by_label("What it offers (JSON)").fill(json.dumps(record))
    dialog.get_by_role("button", name="Register one").click()
    dialog.get_by_role("alert").wait_for()  # clear text is refused in the server's words, and nothing is lost
    record["authentication"] = {"type": "bearer", "token": "{{secrets.WEATHER}}"}
    dialog.get_by_label("What it offers (JSON)").fill(json.dumps(record))
    dialog.get_by_role("button", name="Register one").click()
    dialog.wait_for(state="detached")
    card = page.get_by_role("group", name=name)
    card.get_by_text("Secrets by name: WEATHER").wait_for()
    assert f"{name}.tell" in card.inner_text() and "called by the connectors" in card.inner_text()
    card.get_by_role("button", name="Change").click()
    changed = {k: v for k, v in record.items() if k not in ("endpoint", "authentication")}
    page.get_by_role("dialog").get_by_label("What it offers (JSON)").fill(json.dumps(changed))
    page.get_by_role("dialog").get_by_role("button", name="Change").click()
    card.get_by_text("done by workers").wait_for()
    card.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_text(f"Models that call {name} fail from now on").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    card.wait_for(state="detached")
    assert name not in json.dumps(server.call("GET", "/v1/capabilities?limit=1000"))


def test_a_tenant_from_its_making_to_its_end(server: Served, open_page: Callable[..., Any]) -> None:
    name = f"acme-{uuid.uuid4().hex[:6]}"
    page = open_page("/operations?tab=tenants", actor="olga")
    page.get_by_role("group", name="default").get_by_text("unknown tenants are accepted").wait_for()
    page.get_by_role("button", name="New tenant").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Title").fill("Acme Ltd")
    dialog.get_by_label("Instances at once").fill("0")
    dialog.get_by_text("Expected a whole number from 1").wait_for()
    assert dialog.get_by_role("button", name="New tenant").is_disabled()
    dialog.get_by_label("Instances at once").fill("7")
    dialog.get_by_label("Jobs a second").fill("200")
    dialog.get_by_role("button", name="New tenant").click()
    dialog.wait_for(state="detached")
    card = page.get_by_role("group", name=name)
    card.get_by_text("7 instances at once").wait_for()
    found = server.call("GET", f"/v1/tenants/{name}")
    assert found["quotas"]["instances"] == 7 and found["jobs"]["rate"] == {"max": 200, "per_ms": 1000}

    choose(page, card, "Change")
    dialog.get_by_label("Jobs a second").and_(page.locator("[value='200']")).wait_for()  # what lists don't have is asked for
    dialog.get_by_label("Starts a second").fill("50")
    dialog.get_by_role("button", name="Change").click()
    dialog.wait_for(state="detached")
    found = server.call("GET", f"/v1/tenants/{name}")
    assert found["quotas"] | {} == {**found["quotas"], "instances": 7, "starts": {"max": 50, "per_ms": 1000}}
    assert found["jobs"]["rate"] == {"max": 200, "per_ms": 1000}

    of_tenant(
        server,
        name,
        "POST",
        "/v1/deployments",
        {"resources": [{"name": "d.bpmn", "content": (ROOT / "examples" / "order.bpmn").read_text()}]},
    )
    until(lambda: server.call("GET", f"/v1/tenants/{name}")["has"]["definitions"] == 1)
    choose(page, card, "Suspend")
    assert dialog.get_by_role("button", name="Suspend").is_disabled(), "whoever is refused hears why"
    dialog.get_by_label("Reason").fill("invoice 12 is open")
    dialog.get_by_role("button", name="Suspend").click()
    dialog.wait_for(state="detached")
    card.get_by_text("invoice 12 is open").wait_for()
    choose(page, card, "Remove")
    dialog.get_by_text("one published definition").wait_for()  # what it has, before it is removed
    assert dialog.get_by_role("button", name="Remove").is_disabled()
    dialog.get_by_role("button", name="Cancel").click()
    dialog.wait_for(state="detached")
    choose(page, card, "Resume")
    dialog.get_by_role("button", name="Resume").click()
    dialog.wait_for(state="detached")
    card.get_by_text("active", exact=True).wait_for()
    choose(page, card, "Suspend")
    dialog.get_by_label("Reason").fill("they leave")
    dialog.get_by_role("button", name="Suspend").click()
    dialog.wait_for(state="detached")
    card.get_by_text("they leave").wait_for()
    choose(page, card, "Remove")
    dialog.get_by_label("Leave it standing still").check()
    dialog.get_by_role("button", name="Remove").click()
    dialog.wait_for(state="detached")
    card.wait_for(state="detached")
    page.get_by_role("radiogroup", name="Which are shown").get_by_text("removed").click()
    card.wait_for()


def choose(page: Any, card: Any, what: str) -> None:
    card.get_by_role("button", name="Change").click()
    page.get_by_role("menuitem", name=what).click()
    page.get_by_role("dialog").get_by_role("button", name=what).wait_for()


def of_tenant(server: Served, tenant: str, method: str, path: str, body: Any) -> Any:
    import urllib.request

    request = urllib.request.Request(f"{server.url}{path}", method=method, data=json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("X-Tenant", tenant)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


@pytest.mark.req("APG-UI-010", "APG-UI-008")
@pytest.mark.parametrize("tab", ["connectors&connector=http", "capabilities", "tenants"])
def test_axe_finds_nothing(server: Served, open_page: Callable[..., Any], tab: str) -> None:
    server.deploy(EXAMPLES / "book-transport.bpmn")
    server.call("PUT", "/v1/capabilities/post", {"title": "Post", "operations": {"send": {"description": "Send it", "errors": ["LOST"]}}})
    server.call("PUT", "/v1/profiles/carrier", {"title": "Carrier", "base_url": "https://api.example", "limits": {"concurrency": 2}})
    page = open_page(f"/operations?tab={tab}")
    if tab.startswith("connectors"):
        page.get_by_role("group", name="carrier", exact=True).wait_for()
    page.locator("main [role=group]").first.wait_for()
    accessible(page)


@pytest.mark.req("D-CON-005")
def test_an_api_profile_is_made_changed_and_removed(server: Served, open_page: Callable[..., Any]) -> None:
    name = f"carrier-{uuid.uuid4().hex[:6]}"
    page = open_page("/operations?tab=connectors", actor="olga")
    page.get_by_role("button", name="New profile").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    record: dict[str, Any] = {
        "title": "Carrier",
        "base_url": "https://api.example",
        "authentication": {"type": "bearer", "token": "clear text"},
    }
    dialog.get_by_label("How it is called (JSON)").fill(json.dumps(record))
    dialog.get_by_role("button", name="New profile").click()
    dialog.get_by_role("alert").wait_for()  # clear text is refused in the server's words, and nothing is lost
    record["authentication"]["token"] = "{{secrets.CARRIER}}"
    dialog.get_by_label("How it is called (JSON)").fill(json.dumps(record))
    dialog.get_by_role("button", name="New profile").click()
    dialog.wait_for(state="detached")
    card = page.get_by_role("group", name=name)
    card.get_by_text("Secrets by name: CARRIER").wait_for()
    card.get_by_text("version 1").wait_for()
    card.get_by_role("button", name="Change").click()
    page.get_by_role("dialog").get_by_label("How it is called (JSON)").fill(
        json.dumps(record | {"limits": {"rate": {"max": 5}, "concurrency": 2}})
    )
    page.get_by_role("dialog").get_by_role("button", name="Change").click()
    card.get_by_text("Limits, over all nodes: rate 5 / 1000 ms, concurrency 2").wait_for()
    card.get_by_text("version 2").wait_for()
    card.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_text(f"Tasks that name {name} fail from now on").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    card.wait_for(state="detached")
    assert name not in json.dumps(server.call("GET", "/v1/profiles?limit=1000"))
