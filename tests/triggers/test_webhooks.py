"""Webhooks over HTTP: answered when the log has it, once by its key, refused without a word, within their limits; changes of the trigger between."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from decimal import Decimal
from typing import Any

import pytest

from flowledger.api.hooks import door, known
from flowledger.events import triggers as tr
from flowledger.kernel.model.trigger_webhook import BYTES

pytestmark = pytest.mark.req("APG-TRG-005", "APG-TRG-008")
OPEN = """format: flowledger/trigger@1
name: orders
source: {webhook: {path: shop/orders, authentication: {type: none}, id: X-Delivery}}
filter: =payload.total > 0
start: {process: p, business_key: =payload.id, variables: {order: =payload, from: '=get value(headers, "x-shop")', q: =query.q}}
"""
SIGNED = """format: flowledger/trigger@1
name: signed
source: {webhook: {path: signed, authentication: {type: hmac, scheme: stripe, secret: "{{secrets.SHOP}}"}}}
signal: {name: rang}
"""


def sent(body: bytes, secret: str = "shared-secret", at: float = 0) -> dict[str, Any]:
    t = int(at or time.time())
    signature = hmac.new(secret.encode(), f"{t}.".encode() + body, hashlib.sha256).hexdigest()
    return {"content": body, "headers": {"stripe-signature": f"t={t},v1={signature}", "content-type": "application/json"}}


async def posted(place: Any, path: str, json: Any = None, **more: Any) -> tuple[int, Any]:
    answer = await place.web.post(f"/hooks/{path}", **({"json": json} if json is not None else {}), **more)
    return answer.status_code, answer.json()


async def test_what_comes_starts_an_instance_once_and_is_on_the_log_when_it_is_answered(place):
    assert "definitions" in await place.deploy(OPEN)
    order = {"id": 7, "total": 3}
    status, said = await posted(place, "shop/orders?q=a&q=b", order, headers={"x-shop": "west", "x-delivery": "d1", "cookie": "c=1"})
    assert status == 200 and said["outcome"] == "started"
    assert await place.started() == [{"order": order, "from": "west", "q": ["a", "b"]}]
    instance = next(i for s in place.states() for i in s.instances.values())
    assert str(instance.key) == said["id"] and instance.business_key == "7"
    assert await posted(place, "shop/orders", order, headers={"x-delivery": "d1"}) == (200, {"outcome": "seen"})
    assert (await posted(place, "shop/orders", order, headers={"x-delivery": "d2"}))[1]["outcome"] == "started"
    assert await posted(place, "shop/orders", {"total": 0}) == (200, {"outcome": "filtered"})
    assert await posted(place, "shop/orders", {"total": 1}) == (200, {"outcome": "parked"})
    (letter,) = place.parked("orders")
    assert letter.context["payload"] == {"total": 1} and "cookie" not in letter.context["headers"]


async def test_the_same_at_once_counts_once(place):
    await place.deploy(OPEN)
    both = await asyncio.gather(
        *(posted(place, "shop/orders", {"id": 1, "total": 1}, headers={"x-delivery": str(n % 5)}) for n in range(40))
    )
    assert sorted(said["outcome"] for _, said in both) == ["seen"] * 35 + ["started"] * 5
    assert len(await place.started()) == 5


async def test_a_signed_request_is_taken_once_and_an_old_or_changed_one_never(place):
    place.secret("SHOP", "shared-secret")
    await place.deploy(SIGNED)
    body = b'{"a": 1,  "b":[2]}'
    first = sent(body)
    assert await posted(place, "signed", **first) == (200, {"outcome": "signalled"})
    assert await posted(place, "signed", **first) == (200, {"outcome": "seen"}), "a replay does nothing"
    for wrong in (sent(body, "another"), sent(body, at=time.time() - 301), {**first, "content": body + b" "}, {"content": body}):
        status, said = await posted(place, "signed", **wrong)
        assert (status, said["code"], said["detail"]) == (401, "UNAUTHENTICATED", "expected the sender that this webhook knows")
    assert sum(t.seen for t in await place.events(tr.TriggerTaken)) == 0, "what came again changes nothing on the log"
    place.secret("SHOP", "a new one!")
    assert (await posted(place, "signed", **sent(body)))[0] == 401, "a rotated secret holds from now on"
    assert (await posted(place, "signed", **sent(body, "a new one!")))[0] == 200


async def test_nothing_of_who_is_refused_is_written(place, capfd):
    place.secret("SHOP", "shared-secret")
    await place.deploy(SIGNED)
    before = len(await place.events())
    assert (await posted(place, "signed", **sent(b'{"hostile": true}', "wrong")))[0] == 401
    assert (await posted(place, "nowhere/to/be/found", {"hostile": True}))[0] == 404
    await asyncio.sleep(0.1)
    assert len(await place.events()) == before
    told = capfd.readouterr().err
    assert "the signature is not good" in told and "shared-secret" not in told and "hostile" not in told


async def test_a_missing_secret_lets_nobody_in(place):
    await place.deploy(SIGNED)
    status, said = await posted(place, "signed", **sent(b"{}"))
    assert status == 503 and "SHOP" not in json.dumps(said)


async def test_bodies(place):
    await place.deploy(OPEN.replace("filter: =payload.total > 0\n", "").replace("business_key: =payload.id, ", ""))

    async def order(content: bytes, kind: str, status: int = 200) -> Any:
        found = await place.web.post("/hooks/shop/orders", content=content, headers={"content-type": kind} if kind else {})
        assert found.status_code == status, found.text
        return (await place.started())[-1]["order"] if status == 200 else found.json()["code"]

    assert await order(b'{"a": 1.10}', "application/cloudevents+json; charset=UTF-8") == {"a": Decimal("1.10")}
    assert await order(b"[1]", "") == [1]
    assert await order(b"", "") is None
    assert await order(b"a=1&b=%C3%A9&b=&c", "application/x-www-form-urlencoded") == {"a": "1", "b": ["é", ""], "c": ""}
    assert await order("grüße".encode(), "text/plain") == "grüße"
    assert await order(b"<a/>", "application/xml") == "<a/>"
    assert await order(b"{", "application/json", 400) == "MALFORMED"
    assert await order(b'{"a":1,"a":2}', "application/json", 400) == "MALFORMED"
    assert await order(b"[" * 101 + b"]" * 101, "application/json", 400) == "MALFORMED"
    assert await order(b"\xff", "text/plain", 400) == "MALFORMED"
    assert await order(b"a=%FF", "application/x-www-form-urlencoded", 400) == "MALFORMED"
    assert await order(b"&".join([b"a=1"] * 1_001), "application/x-www-form-urlencoded", 400) == "MALFORMED"
    assert await order(b"\0", "application/octet-stream", 415) == "UNSUPPORTED_MEDIA_TYPE"
    assert await order(b"{}", "application/json; charset=utf-16", 415) == "UNSUPPORTED_MEDIA_TYPE"
    packed = await place.web.post("/hooks/shop/orders", content=b"x", headers={"content-encoding": "gzip"})
    assert packed.status_code == 415


async def test_a_body_is_bounded_whether_it_says_its_length_or_not(place):
    await place.deploy(OPEN.replace("id: X-Delivery", "bytes: 100"))
    exact = json.dumps({"id": 1, "total": 1, "x": "x" * 70}).encode()
    assert len(exact) == 100
    kind = {"content-type": "application/json"}
    assert (await posted(place, "shop/orders", content=exact, headers=kind))[0] == 200
    status, said = await posted(place, "shop/orders", content=exact + b" ", headers=kind)
    assert (status, said["code"]) == (413, "BODY_TOO_LARGE")

    async def parts() -> Any:
        for _ in range(11):
            yield b" " * 10

    assert (await posted(place, "shop/orders", content=parts(), headers=kind))[0] == 413
    await place.deploy(OPEN)
    assert (await posted(place, "shop/orders", content=b" " * (BYTES + 1), headers=kind))[0] == 413


async def test_more_than_its_rate_is_refused_for_a_moment(place):
    await place.deploy(OPEN.replace("id: X-Delivery", "rate: 3"))
    answers = [await place.web.post("/hooks/shop/orders", json={"id": n, "total": 1}) for n in range(8)]
    refused = [a for a in answers if a.status_code == 429]
    assert 3 <= len(refused) <= 5 and all(a.headers["retry-after"] == "1" for a in refused)
    await asyncio.sleep(0.5)
    assert (await posted(place, "shop/orders", {"id": 9, "total": 1}))[0] == 200


async def test_who_guesses_again_and_again_is_not_looked_at_any_more(place):
    place.secret("SHOP", "shared-secret")
    await place.deploy(OPEN.replace("{type: none}", "{type: bearer, token: '{{secrets.SHOP}}'}"))
    found = [(await posted(place, "shop/orders", {}, headers={"authorization": f"Bearer guess{n}"}))[0] for n in range(30)]
    assert found[:20] == [401] * 20 and found[-1] == 429
    await asyncio.sleep(0.2)
    assert (await posted(place, "shop/orders", {"id": 1, "total": 1}, headers={"authorization": "Bearer shared-secret"}))[0] == 200


async def test_a_forger_does_not_shut_out_who_signs_through_the_same_proxy(place):
    place.secret("SHOP", "shared-secret")
    await place.deploy(SIGNED)
    for _ in range(30):
        assert (await posted(place, "signed", **sent(b"{}", "wrong")))[0] == 401
    assert (await posted(place, "signed", **sent(b"{}")))[0] == 200


async def test_too_many_under_way_are_refused(place, monkeypatch):
    await place.deploy(OPEN)
    monkeypatch.setattr(door, "UNDER_WAY_MAX", 0)
    assert (await posted(place, "shop/orders", {"id": 1, "total": 1}))[0] == 429


async def test_a_new_version_counts_at_once_whatever_this_node_knows(place):
    """What it asks of senders too: the home takes nothing that was looked at by another version."""
    place.secret("SHOP", "shared-secret")
    await place.deploy(OPEN)
    assert (await posted(place, "shop/orders", {"id": 1, "total": 1}))[0] == 200
    await place.deploy(OPEN.replace("{type: none}", "{type: bearer, token: '{{secrets.SHOP}}'}"))
    assert (await posted(place, "shop/orders", {"id": 2, "total": 1}))[0] == 401
    assert (await posted(place, "shop/orders", {"id": 2, "total": 1}, headers={"authorization": "Bearer shared-secret"}))[0] == 200
    await place.deploy(OPEN.replace("shop/orders", "moved"))
    assert (await posted(place, "shop/orders", {"id": 3, "total": 1}))[0] in (401, 404)
    assert (await posted(place, "moved", {"id": 3, "total": 1}))[0] == 200
    assert (await posted(place, "shop/orders", {"id": 3, "total": 1}, headers={"authorization": "Bearer shared-secret"}))[0] == 404


async def test_a_paused_webhook_says_so_and_goes_on(place):
    await place.deploy(OPEN)
    await posted(place, "shop/orders", {"id": 1, "total": 1}, headers={"x-delivery": "1"})
    await place.pause("orders")
    answer = await place.web.post("/hooks/shop/orders", json={"id": 2, "total": 1})
    assert answer.status_code == 503 and answer.headers["retry-after"] == "10"
    await place.pause("orders", "resume")
    assert await posted(place, "shop/orders", {"id": 1, "total": 1}, headers={"x-delivery": "1"}) == (200, {"outcome": "seen"})


async def test_what_it_starts_belongs_to_the_tenant_of_the_trigger(place):
    from flowledger.events import commands as c
    from flowledger.processors.client import Caller
    from tests.triggers.conftest import WORK

    await place.engine.call(c.Deploy(resources=[c.Resource("p.bpmn", WORK)]), Caller(tenant="acme"))
    assert "definitions" in await place.deploy(OPEN, tenant="acme")
    refused = await place.deploy(OPEN.replace("name: orders", "name: others"))
    assert refused.code == "MODEL_INVALID" and "TRIGGER_PATH" in refused.message and "'orders'" not in refused.message
    status, said = await posted(place, "shop/orders", {"id": 1, "total": 1}, headers={"x-tenant": "other"})
    assert status == 200
    (instance,) = (i for s in place.states() for i in s.instances.values())
    assert str(instance.key) == said["id"] and instance.tenant == "acme"


async def test_the_last_payload_is_shown_without_its_secrets(place):
    await place.deploy(OPEN)
    await posted(place, "shop/orders", {"id": 1, "total": 1, "api_key": "geheim"}, headers={"authorization": "Bearer geheim"})
    (taken,) = await place.events(tr.TriggerTaken)
    assert taken.sample["payload"] == {"id": 1, "total": 1, "api_key": "***"} and "geheim" not in str(taken.sample)


async def test_strangers_who_ask_for_what_is_not_there_cost_little(place, monkeypatch):
    asked = []
    ask = known.Known._ask
    monkeypatch.setattr(known.Known, "_ask", lambda self: asked.append(1) or ask(self))
    found = await asyncio.gather(*(posted(place, f"nowhere/{n}", {}) for n in range(100)))
    assert {status for status, _ in found} == {404} and len(asked) <= 3


async def test_an_engine_that_is_away_is_told_as_such(place):
    await place.deploy(OPEN)
    await place.engine.stop()
    status, said = await posted(place, "shop/orders", {"id": 1, "total": 1})
    assert (status, said["code"]) == (503, "UNAVAILABLE")
