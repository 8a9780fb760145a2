"""The connector of notifications against stubs of webhooks: the form of each service, what data can't do in it, and what services answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flowledger.connectors.notify import CHARS
from tests.connectors.conftest import Request, Target
from tests.connectors.contract import OUT, SECRET, Contract, Rig
from tests.connectors.test_connector_checks import said
from tests.connectors.test_http_connector import failure


class NotifyRig(Rig):
    connector = "notify"
    secret_at = "url"
    wrong_code = "404"

    def __init__(self, target: Target) -> None:
        self.to, self.target = ("127.0.0.1", target.port), target
        self.opened(SECRET)

    def opened(self, key: str) -> None:
        self.target.routes = {f"/hook/{key}": (200, {"content-type": "text/plain"}, b"ok")}

    def call(self, host: str, port: int, tls: bool = False) -> dict[str, Any]:
        return {"url": f"http{'s' if tls else ''}://{host}:{port}/hook/{{{{secrets.KEY}}}}", "text": "booked"}

    def checked(self, answer: Any) -> None:
        assert answer == {"status": 200}

    async def rotate(self, value: str) -> None:
        self.opened(value)

    async def effects(self) -> list[str]:
        return [r.headers["idempotency-key"] for r in self.target.seen]


class TestContract(Contract):
    @pytest.fixture
    async def rig(self, target: Target) -> Rig:
        return NotifyRig(target)


async def sent(target: Target, bench: Any, **more: Any) -> dict[str, Any]:
    target.routes["/hook"] = lambda request: (200, {"content-type": "text/plain"}, b"ok")
    assert (await bench("notify")({"url": f"{target.url}/hook", **more}, OUT))["out"] == {"status": 200}
    request: Request = target.seen[-1]
    assert request.headers["content-type"] == "application/json"
    found: dict[str, Any] = json.loads(request.body)
    return found


MESSAGE = {
    "title": "Order 7",
    "text": "It is late & <sorry>",
    "facts": {"weight": 7.5, "who": "Ann", "none": None},
    "link": "https://flows.example/i/7",
}


@pytest.mark.req("APG-CON-008")
@pytest.mark.parametrize(
    ("service", "whole"),
    [
        (
            "slack",
            {"text": "*Order 7*\nIt is late &amp; &lt;sorry&gt;\n*weight*: 7.5\n*who*: Ann\n<https://flows.example/i/7>", "mrkdwn": True},
        ),
        ("googleChat", {"text": "*Order 7*\nIt is late &amp; &lt;sorry&gt;\n*weight*: 7.5\n*who*: Ann\n<https://flows.example/i/7>"}),
        (
            "discord",
            {
                "content": "**Order 7**\nIt is late & <sorry\\>\n**weight**: 7\\.5\n**who**: Ann\nhttps://flows.example/i/7",
                "allowed_mentions": {"parse": []},
            },
        ),
    ],
)
async def test_what_services_get(target: Target, bench, service: str, whole: dict[str, Any]):
    assert await sent(target, bench, service=service, **MESSAGE) == whole


@pytest.mark.req("APG-CON-008")
async def test_teams_gets_a_card(target: Target, bench):
    found = await sent(target, bench, service="teams", **MESSAGE)
    (one,) = found["attachments"]
    card = one["content"]
    assert (found["type"], one["contentType"], card["type"], card["version"]) == (
        "message",
        "application/vnd.microsoft.card.adaptive",
        "AdaptiveCard",
        "1.4",
    )
    texts = ["".join(i["text"] for i in block["inlines"]) for block in card["body"]]
    assert texts == ["Order 7", "It is late & <sorry>", "weight: 7.5", "who: Ann"]
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": MESSAGE["link"], "url": MESSAGE["link"]}]


async def test_data_calls_nobody_and_forms_nothing(target: Target, bench):
    nasty = "<!channel> <@U1> <http://evil|click> *bold* @everyone [a](http://evil)"
    text = (await sent(target, bench, text=nasty))["text"]
    assert "<" not in text and "*bold" not in text
    found = await sent(target, bench, service="discord", text=nasty)
    assert found["allowed_mentions"] == {"parse": []} and "\\*bold\\*" in found["content"] and "](" not in found["content"]


@pytest.mark.parametrize("service", CHARS)
async def test_long_texts_are_cut_off(target: Target, bench, service: str):
    found = json.dumps(await sent(target, bench, service=service, text="x" * 60_000))
    assert found.count("x") <= CHARS[service] + 10 and "\\u2026" in found


@pytest.mark.parametrize(
    ("answer", "code", "again"),
    [
        ((400, {}, b"invalid_payload"), "400", False),
        ((403, {}, b"x"), "403", False),
        ((410, {}, b"channel_is_archived"), "410", False),
        ((500, {}, b"x"), "500", True),
    ],
)
async def test_what_services_refuse(target: Target, bench, answer, code: str, again: bool):
    target.routes["/hook"] = answer
    found = await failure(bench("notify")({"url": f"{target.url}/hook", "text": "x"}))
    assert (found.code, found.retries is None) == (code, again)


async def test_too_many_are_sent_later(target: Target, bench):
    target.routes["/hook"] = (429, {"retry-after": "30"}, b"x")
    assert (await failure(bench("notify")({"url": f"{target.url}/hook", "text": "x"}))).backoff_s == 30.0


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"url": "{{secrets.HOOK}}", "text": "= t"}, ""),
        ({"url": "{{secrets.HOOK}}"}, "text"),
        ({"url": "{{secrets.HOOK}}", "text": "a", "service": "fax"}, "service"),
        ({"url": "{{secrets.HOOK}}", "text": "a", "link": "javascript:x"}, "link"),
    ],
)
def test_findings(inputs, words: str):
    found = said(inputs, {}, "flowledger:notify")
    assert bool(found) == bool(words) and (not words or words in found[0][2]), found
