"""Events of capabilities as triggers: by name and type, of one tenant, once each, answered when the log has it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flowledger.api import capability_events
from flowledger.events import commands as c
from flowledger.events import triggers as tr
from flowledger.kernel.model import read
from tests.triggers.conftest import WORK, place_of

pytestmark = pytest.mark.req("APG-TRG-004", "APG-TRG-002")
NAME, STORED = "document_management", "document.stored"
RECORD = {"operations": {"store": {}}, "events": [STORED, "document.gone"]}
ON_STORED = f"""format: flowledger/trigger@1
name: archive
source: {{capability: {{name: {NAME}, events: [{STORED}]}}}}
filter: =event.data.document != "draft"
start: {{process: p, variables: {{document: =event.data.document, of: =event.capability, type: =event.type}}}}
"""
RINGS = ON_STORED.replace("archive", "rings").partition("start:")[0] + "signal: {name: stored}\n"


async def register(place: Any, tenant: str = "", record: dict[str, Any] = RECORD) -> None:
    name = f"{tenant}/{NAME}" if tenant else NAME
    answer = await place.call(c.StoreRecord(registry="capability", name=name, value=record), tenant)
    assert isinstance(answer, dict), answer


async def told(
    place: Any, id: str, document: str = "d", type: str = STORED, tenant: str = "", name: str = NAME, **more: Any
) -> tuple[int, Any]:
    event = {"id": id, "type": type, "data": {"document": document}, **more}
    answer = await place.web.post(f"/v1/capabilities/{name}/events", json=event, headers={"x-tenant": tenant} if tenant else {})
    return answer.status_code, answer.json()


async def test_an_event_starts_what_has_subscribed_to_it_once(place):
    await register(place)
    assert await told(place, "0") == (200, {"triggers": []}), "nobody has subscribed"
    assert "definitions" in await place.deploy(ON_STORED)
    assert "definitions" in await place.deploy(RINGS, "y.trigger.yaml")
    status, said = await told(
        place, "1", specversion="1.0", source="urn:docs", datacontenttype="application/json", time="2026-11-30T12:00:00Z"
    )
    found = {t["trigger"]: t for t in said["triggers"]}
    assert status == 200 and found["rings"] == {"trigger": "rings", "outcome": "signalled", "id": None}
    assert await place.started() == [{"document": "d", "of": NAME, "type": STORED}]
    instance = next(i for s in place.states() for i in s.instances.values())
    assert (found["archive"]["outcome"], found["archive"]["id"]) == ("started", str(instance.key))
    assert {t["outcome"] for t in (await told(place, "1"))[1]["triggers"]} == {"seen"}
    assert {t["outcome"] for t in (await told(place, "2", "draft"))[1]["triggers"]} == {"filtered"}
    assert await told(place, "3", type="document.gone") == (200, {"triggers": []})
    assert len(await place.started()) == 1


async def test_one_that_comes_many_times_at_once_counts_once(place):
    await register(place)
    await place.deploy(ON_STORED)
    answers = await asyncio.gather(*(told(place, f"e{i % 3}") for i in range(30)))
    outcomes = [t["outcome"] for status, said in answers for t in said["triggers"] if status == 200]
    assert sorted(outcomes) == ["seen"] * 27 + ["started"] * 3 and len(await place.started()) == 3


async def test_each_tenant_hears_its_own(place):
    for tenant in ("a", "b"):
        await register(place, tenant)
        await place.call(c.Deploy(resources=[c.Resource("p.bpmn", WORK)]), tenant)
        await place.deploy(ON_STORED, tenant=tenant)
    status, said = await told(place, "1", tenant="a")
    assert status == 200 and [t["outcome"] for t in said["triggers"]] == ["started"]
    assert [i.tenant for s in place.states() for i in s.instances.values()] == ["a"]
    assert (await told(place, "1", tenant="c"))[0] == 404, "it has no such capability"


async def test_what_can_not_be_used_is_parked_and_what_is_paused_is_sent_again(place):
    await register(place)
    await place.deploy(ON_STORED.replace("process: p,", "process: p, business_key: =event.data,"))
    await place.pause("archive")
    status, problem = await told(place, "1")
    assert status == 503 and "trigger 'archive' takes nothing now" in problem["detail"]
    await place.pause("archive", "resume")
    assert (await told(place, "1"))[1]["triggers"] == [{"trigger": "archive", "outcome": "parked", "id": None}]
    (letter,) = place.parked("archive")
    (parked,) = await place.events(tr.TriggerParked)
    assert letter.context["event"]["data"] == {"document": "d"} and "business_key: expected" in parked.reason


@pytest.mark.parametrize(
    ("event", "status", "words"),
    [
        ({"type": "document.eaten"}, 422, "expected one of the events that 'document_management' is registered with (document.stored, document.gone)"),
        ({"name": "nobody"}, 404, "expected a registered capability, found 'nobody'"),
        ({"id": ""}, 400, "id"), ({"id": "x" * 201}, 400, "id"), ({"specversion": "0.3"}, 400, "specversion"), ({"more": 1}, 400, "more"),
        ({"document": "x" * 1_100_000}, 413, "expected an event of at most"),
    ],
    ids=["type", "capability", "no id", "long id", "version of CloudEvents", "field", "size"],
)  # fmt: skip
async def test_what_is_no_event_is_refused(event, status, words, place):
    await register(place)
    found, problem = await told(place, **{"id": "1", **event})
    assert found == status and words in str(problem), problem
    assert await place.started() == []


async def test_one_without_events_and_a_server_that_hands_nothing_say_so(place, monkeypatch):
    await register(place, record={"operations": {"store": {}}})
    assert "it has none" in (await told(place, "1"))[1]["detail"]
    await register(place)
    monkeypatch.setattr(place.services, "hooks", None)
    assert (await told(place, "1"))[0] == 503


async def test_no_more_triggers_than_may_be(place, monkeypatch):
    monkeypatch.setattr(capability_events, "TRIGGERS_MAX", 1)
    await register(place)
    await place.deploy(ON_STORED)
    assert (await told(place, "1"))[0] == 200
    await place.deploy(RINGS, "y.trigger.yaml")
    status, problem = await told(place, "2")
    assert status == 422 and "expected at most 1 triggers on one event, found 2" in problem["detail"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{events: [a]}", "name: expected it"), ("{name: x}", "events: expected it"), ("{name: X, events: [a]}", "the name of a capability"),
        ("{name: x, events: a}", "a list"), ("{name: x, events: []}", "1 to"), ("{name: x, events: [a], more: 1}", "more"),
    ],
)  # fmt: skip
def test_a_trigger_that_says_it_wrongly_is_a_finding(source, words):
    text = f"format: flowledger/trigger@1\nname: t\nsource: {{capability: {source}}}\nsignal: {{name: s}}\n"
    _, found = read(text.encode(), "t.trigger.yaml")
    assert [f.code for f in found] == ["TRIGGER_SOURCE"] and words in found[0].message, found


async def test_one_partition_is_asked_who_has_subscribed_however_many_there_are(tmp_path, monkeypatch):
    """And a trigger that was deployed before an event hears of it, wherever it is at home; one that is gone doesn't."""
    async with place_of(tmp_path, partitions=4) as place:
        asked: list[int] = []
        call = place.engine.call

        async def seen(command: Any, *more: Any, **named: Any) -> Any:
            if isinstance(command, tr.ListTriggers):
                asked.append(named["partition"])
            return await call(command, *more, **named)

        monkeypatch.setattr(place.engine, "call", seen)
        monkeypatch.setattr(place.services.hooks.told, "_client", place.engine)
        await register(place)
        names = [f"t{n}" for n in range(6)]
        for n, name in enumerate(names):
            await place.deploy(ON_STORED.replace("archive", name), f"{name}.trigger.yaml")
            status, said = await told(place, f"{n}")
            assert status == 200 and [t["trigger"] for t in said["triggers"]] == names[: n + 1], said
            assert {t["outcome"] for t in said["triggers"]} == {"started"}
        homes = {s.meta.partition for s in place.states() if s.triggers}
        assert len(homes) > 1 and set(asked) == {0} and len(asked) == len(names)
        assert "definitions" in await place.deploy(ON_STORED.replace("archive", "t0").replace(STORED, "document.gone"), "t0.trigger.yaml")
        assert [t["trigger"] for t in (await told(place, "x"))[1]["triggers"]] == names[1:]
        assert [t["trigger"] for t in (await told(place, "y", type="document.gone"))[1]["triggers"]] == ["t0"]
        assert set(asked) == {0}
