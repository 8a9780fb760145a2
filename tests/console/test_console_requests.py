"""How often a page asks: its data comes in one or two requests, and none is asked twice because news begin to be told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from flowledger.api import console

from .conftest import Served

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
#: what each page asks at most, where that is not two: what shows several things of one gathers them (`GET /v1/gathered`), and its drawing is counted as
#: the second, though a browser that had it is told that it still holds
MOST = {
    "": 1,
    "account": 0,  # nobody signs in here
    "step-up/": 0,
}
#: which one is opened, of pages that show one thing
OF = {
    "tasks": "?view=all",
    "tasks/": "{task}",
    "processes/": "order",
    "instances/": "{instance}",
    "designer/": "{draft}",
    "decisions/": "approval-level",
}
#: who looks, asked by the door; the stream of news
SHELL = ("/v1/me", "/v1/events")
#: what differs when the same is asked again
MOVES = ("wait_for", "from", "to")
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PARTS = ROOT / "web" / "src" / "pages" / "operations" / "OperationsPage.tsx"


@pytest.fixture(scope="module")
def of(server: Served) -> dict[str, str]:
    instance = server.start("document-approval", "ASKED", document="plan", author="ann")
    at = server.call("GET", f"/v1/instances/{instance}/events?limit=3")["items"][2]["id"]
    drawn = {"name": "Asked", "content": (EXAMPLES / "order.bpmn").read_text()}
    return {"instance": instance, "at": at, "task": server.task_of(instance), "draft": server.call("POST", "/v1/drafts", drawn)["id"]}


@pytest.fixture
def asked(open_page: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    def opened(path: str, deaf: bool = False) -> tuple[Any, Counter[str]]:
        """The page, and what it has asked once it is quiet. `deaf`: nobody tells it of news."""
        page = open_page("/console/icon.svg")
        if deaf:
            page.route("**/v1/events*", lambda route: route.abort())
        found: Counter[str] = Counter()

        def seen(request: Any) -> None:
            at = urlsplit(request.url)
            query = urlencode([(name, value) for name, value in parse_qsl(at.query) if name not in MOVES])
            if at.path.startswith(("/v1/", "/health")) and at.path not in SHELL:
                found[f"{request.method} {at.path}?{query}".rstrip("?")] += 1

        page.on("request", seen)
        page.goto(page.url.replace("/console/icon.svg", path))
        page.get_by_role("main").locator("h1, h2, a").first.wait_for()
        before = -1
        while before != (before := sum(found.values())):
            page.wait_for_timeout(1_200)
        return page, found

    yield opened


@pytest.mark.parametrize("at", sorted(console.SHOWS))
def test_a_page_asks_once_or_twice(at: str, asked: Callable[..., Any], of: dict[str, str]) -> None:
    _, found = asked("/" + at + OF.get(at, "").format(**of))
    most = MOST.get(at, 2)
    assert bool(found) is bool(most) and sum(found.values()) <= most, dict(found)
    assert set(found.values()) <= {1}, f"nothing is asked twice: {dict(found)}"


@pytest.mark.parametrize(
    "address",
    [
        "processes/order?version=1",
        "instances/{instance}?at={at}",
        "instances/{instance}?tab=incidents",
        "instances/{instance}?tab=audit",
        "insight?process=order",
        "operations?by=each",
    ],
)
def test_an_address_that_says_more_asks_as_seldom(address: str, asked: Callable[..., Any], of: dict[str, str]) -> None:
    _, found = asked("/" + address.format(**of))
    assert 0 < sum(found.values()) <= 2, dict(found)


def test_each_part_of_operations_asks_as_seldom(asked: Callable[..., Any]) -> None:
    """Each is opened by its address; what stands above all of them (how many findings the watchdog has) is counted as well."""
    names = re.search(r"const TABS = {(.*?)}", PARTS.read_text(), re.S)
    assert names
    tabs = re.findall(r"(\w+): \w+", names[1])
    assert {"incidents", "connectors", "limits"} <= set(tabs)
    page, found = asked("/operations?tab=watchdog")
    often = {}
    for tab in tabs:
        found.clear()
        page.goto(page.url.partition("?")[0] + f"?tab={tab}")
        page.get_by_role("main").locator("h1, h2, a").first.wait_for()
        before = -1
        while before != (before := sum(found.values())):
            page.wait_for_timeout(1_200)
        if not 0 < len(found) <= 2:  # some ask again every few seconds
            often[tab] = dict(found)
    assert not often


def test_what_one_comes_to_by_a_click_is_gathered_too_and_news_ask_for_what_they_change_alone(
    asked: Callable[..., Any], server: Served, of: dict[str, str]
) -> None:
    page, found = asked("/instances")
    found.clear()
    page.get_by_text("ASKED").first.click()
    page.get_by_role("slider").first.wait_for()
    page.wait_for_timeout(2_500)
    mine = [at for at in found if at.startswith("GET /v1/gathered") or "/diagram" in at]
    assert len(mine) == 2 and sum(found.values()) == 2, dict(found)
    found.clear()
    server.call("POST", f"/v1/instances/{of['instance']}/comment", {"text": "told"})
    page.get_by_role("tab", name="Comments").get_by_text("1").wait_for()
    page.wait_for_timeout(2_500)
    parts = {at.partition("?")[0].removeprefix(f"GET /v1/instances/{of['instance']}") for at in found}
    assert "/events" in parts and parts <= {"", "/state", "/events", "/files"}, dict(found)


def test_a_step_of_the_slider_asks_for_that_moment_alone(asked: Callable[..., Any], of: dict[str, str]) -> None:
    """However long the history is: it stays as it was read, and back at a moment nothing is asked."""
    page, found = asked(f"/instances/{of['instance']}")
    found.clear()
    slider = page.get_by_role("slider")
    slider.focus()
    for key, new in (("ArrowLeft", 1), ("ArrowLeft", 1), ("ArrowRight", 0), ("Home", 1)):
        before = sum(found.values())
        page.keyboard.press(key)
        page.wait_for_timeout(1_500)
        assert sum(found.values()) == before + new, dict(found)
    assert all(at.startswith(f"GET /v1/instances/{of['instance']}/state?at=") for at in found), dict(found)


def test_what_nobody_told_of_is_asked_for(asked: Callable[..., Any], server: Served) -> None:
    """What happens after a page's first look, and before news are told, is there once they are."""
    page, found = asked("/instances", deaf=True)
    server.start("document-approval", "MISSED", document="plan", author="ann")
    before = sum(found.values())
    page.unroute("**/v1/events*")
    page.get_by_text("MISSED").first.wait_for()
    assert sum(found.values()) == before + 1
