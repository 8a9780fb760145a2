"""How often a page asks: its data comes in one or two requests, and none is asked twice because news begin to be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from flowledger.api import console

from .conftest import Served

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
#: what each page asks at most, where that is not two. Those with more show several things of one, each of which comes, and is asked again, by itself:
MOST = {
    "": 1,
    "tasks/": 7,  # the task, what was said of it, what its process knows, its files, the drawing, which form, the form
    "instances/": 5,  # its row, where it stands, its history, the drawing, whether something is predicted
    "processes/": 5,  # its versions, the drawing, open tasks and incidents on it, what runs on each version
    "operations": 3,  # causes of incidents, saved views, what the watchdog has found
    "insight": 3,  # figures, the same in time, processes to choose from
    "designer/": 4,  # the draft, its versions, blocks, what is wrong with it
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
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def of(server: Served) -> dict[str, str]:
    instance = server.start("document-approval", document="plan", author="ann")
    drawn = {"name": "Asked", "content": (EXAMPLES / "order.bpmn").read_text()}
    return {"instance": instance, "task": server.task_of(instance), "draft": server.call("POST", "/v1/drafts", drawn)["id"]}


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


def test_what_nobody_told_of_is_asked_for(asked: Callable[..., Any], server: Served) -> None:
    """What happens after a page's first look, and before news are told, is there once they are."""
    page, found = asked("/instances", deaf=True)
    server.start("document-approval", "MISSED", document="plan", author="ann")
    before = sum(found.values())
    page.unroute("**/v1/events*")
    page.get_by_text("MISSED").first.wait_for()
    assert sum(found.values()) == before + 1
