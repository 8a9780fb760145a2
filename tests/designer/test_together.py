"""Several people at one draft: each hears what the others draw, what was acknowledged is there after a crash, and nothing is lost. The browsers are Yjs documents."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
import websockets
from pycrdt import Doc

from flowledger.api.app import create_app
from flowledger.api.services import Services
from flowledger.api.together import flat, merging, rooms
from flowledger.api.together import socket as door_module
from flowledger.api.together.socket import rooms_of
from flowledger.infra.settings import Settings
from tests.api.conftest import RowsInMemory, ScriptedClient

pytestmark = pytest.mark.postgres
DI = (
    'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI" '
    'xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" id="d" targetNamespace="t"'
)
DRAWN = (
    f'<definitions {DI}><process id="p"><startEvent id="s"/><task id="t" name="Do"/></process><bpmndi:BPMNDiagram id="dia"><bpmndi:BPMNPlane id="pl" '
    'bpmnElement="p"><bpmndi:BPMNShape id="s_di" bpmnElement="s"><dc:Bounds x="0" y="0" width="36" height="36"/></bpmndi:BPMNShape>'
    '<bpmndi:BPMNShape id="t_di" bpmnElement="t"><dc:Bounds x="90" y="0" width="100" height="80"/></bpmndi:BPMNShape>'
    "</bpmndi:BPMNPlane></bpmndi:BPMNDiagram></definitions>"
)


@asynccontextmanager
async def serving(services: Services) -> AsyncIterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(services), log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    work = asyncio.ensure_future(running.serve([listener]))
    while not running.started:
        await asyncio.sleep(0.01)
    yield f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/together"
    services.closing.set()
    running.should_exit = True
    await work


@pytest.fixture
async def door(services, desk) -> AsyncIterator[str]:
    async with serving(services) as url:
        yield url


async def begun(desk, content: str = DRAWN, kind: str = "process") -> str:
    made = await desk.post("/v1/drafts", json={"name": "d", "kind": kind, "content": content})
    return str(made.json()["id"])


class Peer:
    """What a browser does: a document of its own, its changes sent, others' taken."""

    def __init__(self, ws: Any, doc: Doc[Any] | None = None) -> None:
        self.ws, self.doc = ws, doc or Doc()
        self.sent = self.kept = 0
        self.told: list[Any] = []
        self.epoch = ""

    async def begin(self, epoch: str | None = None) -> Peer:
        await self.ws.send(json.dumps({"type": "have", "epoch": epoch, "state": base64.b64encode(self.doc.get_state()).decode()}))
        found = await self.next()
        assert found["type"] == "begin", found
        self.epoch = found["epoch"]
        self.doc.apply_update(base64.b64decode(found["update"]))
        lacks = self.doc.get_update(base64.b64decode(found["state"]))
        if epoch is not None and lacks != b"\x00\x00":
            await self.send(lacks)
        return self

    async def next(self) -> Any:
        return json.loads(await asyncio.wait_for(self.ws.recv(), 30))

    async def send(self, update: bytes) -> None:
        self.sent += 1
        await self.ws.send(json.dumps({"type": "edit", "n": self.sent, "update": base64.b64encode(update).decode()}))

    async def edit(self, **changes: Any) -> None:
        """`t_name="x"`: the entry `t|@name`."""
        await self.put({f"{k.partition('_')[0]}|@{k.partition('_')[2]}": v for k, v in changes.items()})

    async def put(self, changes: dict[str, Any]) -> None:
        before = self.doc.get_state()
        merging.put(self.doc, changes)
        await self.send(self.doc.get_update(before))

    async def until(self, look: Any) -> Any:
        """Takes what comes until `look()` holds."""
        while not look():
            told = await self.next()
            self.told.append(told)
            if told["type"] == "edit":
                self.doc.apply_update(base64.b64decode(told["update"]))
            elif told["type"] == "kept":
                self.kept = told["n"]

    def value(self, entry: str) -> Any:
        return merging.values(self.doc).get(entry)


@asynccontextmanager
async def peer(url: str, draft: str, name: str, doc: Doc[Any] | None = None, epoch: str | None = None) -> AsyncIterator[Peer]:
    async with websockets.connect(f"{url}?draft={draft}&name={name}", max_size=20_000_000) as ws:
        yield await Peer(ws, doc).begin(epoch)


async def empty(services: Services) -> None:
    async with asyncio.timeout(30):
        while rooms_of(services).of:
            await asyncio.sleep(0.01)


@pytest.mark.req("APG-UI-007")
@pytest.mark.req("APG-CON-007")
async def test_both_see_what_each_draws_and_both_changes_of_one_element_stay(door, desk):
    draft = await begun(desk)
    async with peer(door, draft, "ann") as ann, peer(door, draft, "bob") as bob:
        await ann.edit(t_name="Ann's")
        await bob.edit(t_camunda="bob's")
        await ann.until(lambda: ann.value("t|@camunda") and ann.kept == 1)
        await bob.until(lambda: bob.value("t|@name") == "Ann's" and bob.kept == 1)
        await bob.ws.send(json.dumps({"type": "save", "comment": "both"}))
        await ann.until(lambda: ann.told and ann.told[-1]["type"] == "saved")
        assert {k: ann.told[-1][k] for k in ("version", "by", "dirty")} == {"version": 2, "by": "bob", "dirty": False}
        found = (await desk.get(f"/v1/drafts/{draft}")).json()
        assert (found["newest"], found["saved_by"], found["comment"]) == (2, "bob", "both")
        assert 'name="Ann\'s"' in found["content"] and 'camunda="bob\'s"' in found["content"]
        # saved twice is saved once
        await bob.ws.send(json.dumps({"type": "save"}))
        await bob.until(lambda: sum(m["type"] == "saved" for m in bob.told) == 2)
        assert (await desk.get(f"/v1/drafts/{draft}")).json()["newest"] == 2


async def test_what_was_acknowledged_is_there_after_a_restart_and_what_was_not_comes_again(services, desk, drafts):
    draft = await begun(desk)
    async with serving(services) as url, peer(url, draft, "ann") as ann:
        await ann.edit(t_name="kept")
        await ann.until(lambda: ann.kept == 1)
        doc, epoch = ann.doc, ann.epoch
    merging.put(doc, {"s|@name": "drawn while it was down"})
    other = Services(ScriptedClient(), RowsInMemory(), Settings(body_bytes_max=2_000_000))  # type: ignore[arg-type]
    other.drafts = drafts
    async with serving(other) as url, peer(url, draft, "bob") as bob:
        assert bob.value("t|@name") == "kept" and bob.epoch == epoch
        async with peer(url, draft, "ann", doc, epoch) as ann:
            await ann.until(lambda: ann.kept == 1)
            await bob.until(lambda: bob.value("s|@name") == "drawn while it was down")
    assert (await desk.get(f"/v1/drafts/{draft}")).json()["newest"] == 1, "saved as a version by whom wants one"


async def test_two_nodes_at_one_draft_merge_what_their_people_draw(door, desk, drafts):
    draft = await begun(desk)
    other = Services(ScriptedClient(), RowsInMemory(), Settings(body_bytes_max=2_000_000))  # type: ignore[arg-type]
    other.drafts = drafts
    async with serving(other) as second, peer(door, draft, "ann") as ann, peer(second, draft, "bob") as bob:
        await ann.edit(t_name="one")
        await bob.edit(s_name="two")
        await ann.until(lambda: ann.value("s|@name") == "two" and ann.kept == 1)
        await bob.until(lambda: bob.value("t|@name") == "one" and bob.kept == 1)
        await ann.ws.send(json.dumps({"type": "save"}))
        await bob.until(lambda: any(m["type"] == "saved" and m["version"] == 2 for m in bob.told))


async def test_a_text_that_is_saved_as_a_whole_is_merged_with_what_is_drawn(door, services, desk):
    draft = await begun(desk)
    async with peer(door, draft, "ann") as ann:
        await ann.edit(s_name="drawn")
        await ann.until(lambda: ann.kept == 1)
        saved = await desk.put(f"/v1/drafts/{draft}", json={"content": DRAWN.replace('name="Do"', 'name="By the API"')})
        assert saved.status_code == 200 and "drawn" not in saved.json()["content"]
        await ann.until(lambda: ann.value("t|@name") == "By the API" and any(m["type"] == "saved" for m in ann.told))
        assert ann.value("s|@name") == "drawn"
        # no drawing any more: all come again, and are told why
        await desk.put(f"/v1/drafts/{draft}", json={"content": "a text"})
        with pytest.raises(websockets.ConnectionClosed):
            await ann.until(lambda: False)
    await empty(services)
    async with websockets.connect(f"{door}?draft={draft}") as ws:
        assert json.loads(await ws.recv())["code"] == "INVALID_ARGUMENT"


async def test_where_all_is_saved_the_next_begins_without_history_and_unsaved_it_goes_on(door, services, desk, drafts):
    draft = await begun(desk)
    async with peer(door, draft, "ann") as ann:
        first = ann.epoch
        await ann.edit(t_name="x")
        await ann.until(lambda: ann.kept == 1)
    await empty(services)
    async with peer(door, draft, "ann") as ann:
        assert ann.epoch == first and ann.value("t|@name") == "x"
        await ann.ws.send(json.dumps({"type": "save"}))
        await ann.until(lambda: ann.told and ann.told[-1]["type"] == "saved")
    await empty(services)
    assert (await drafts.shared("", draft) or {"epoch": None})["epoch"] is None
    async with peer(door, draft, "ann") as ann:
        assert ann.epoch != first and ann.value("t|@name") == "x"


async def test_what_is_no_drawing_and_what_is_another_tenants_is_not_drawn_together(door, desk):
    draft = await begun(desk)
    for url, headers, code in (
        (f"{door}?draft={draft}", {"X-Tenant": "other"}, "NOT_FOUND"),
        (f"{door}?draft=0123456789abcdef", {}, "NOT_FOUND"),
        (f"{door}?draft={await begun(desk, '{}', 'form')}", {}, "INVALID_ARGUMENT"),
        (f"{door}?draft={await begun(desk, '<roses are=')}", {}, "INVALID_ARGUMENT"),
        (f"{door}?draft={await begun(desk, DRAWN, 'decision')}", {}, "INVALID_ARGUMENT"),
        (f"{door}?draft={await begun(desk, DRAWN.replace('BPMNPlane', 'Other'))}", {}, "INVALID_ARGUMENT"),
    ):
        async with websockets.connect(url, additional_headers=headers) as ws:
            assert json.loads(await ws.recv())["code"] == code
            with pytest.raises(websockets.ConnectionClosed):
                await ws.recv()


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"], ['{"type":"edit","n":1,"update":"AAA="}'], ['{"type":"have"}', '{"type":"have"}'], ['{"type":"have"}', '{"type":"edit","n":1,"update":"!"}'],
        ['{"type":"have"}', '{"type":"edit","n":1,"update":"/////w=="}'],
        ['{"type":"have"}', '{"type":"edit","n":0,"update":"AAA="}'], ['{"type":"have"}', '{"type":"other"}'],
        ['{"type":"have","epoch":"EPOCH","state":"/////w=="}'],
    ],
)  # fmt: skip
async def test_what_is_no_word_ends_it_and_harms_nobody(door, desk, words):
    draft = await begun(desk)
    async with peer(door, draft, "bob") as bob:
        async with websockets.connect(f"{door}?draft={draft}&name=ann") as ann:
            for word in words:
                await ann.send(word.replace("EPOCH", bob.epoch))
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    told = json.loads(await asyncio.wait_for(ann.recv(), 30))
                    assert told["type"] == "begin" or told["code"] == "INVALID_ARGUMENT"
        await bob.edit(t_name="still")
        await bob.until(lambda: bob.kept == 1)


async def test_each_limit_at_its_edge(door, services, desk, monkeypatch):
    draft = await begun(desk)
    monkeypatch.setattr(rooms, "PEOPLE_MAX", 2)
    async with peer(door, draft, "ann") as ann, peer(door, draft, "bob"):
        async with websockets.connect(f"{door}?draft={draft}&name=eve") as eve:
            assert json.loads(await eve.recv())["code"] == "RESOURCE_EXHAUSTED"
        word = json.dumps({"type": "save", "comment": "c" * 3_000})
        monkeypatch.setattr(door_module, "MESSAGE_MAX", len(word))
        await ann.ws.send(word)
        await ann.until(lambda: ann.told and ann.told[-1]["type"] == "saved")
        await ann.ws.send(word + " ")
        with pytest.raises(websockets.ConnectionClosed):
            await ann.until(lambda: False)
        monkeypatch.undo()
    await empty(services)
    # a document that would be too large is not kept, and those who draw it are told
    async with peer(door, draft, "ann") as ann:
        size = len(ann.doc.get_update())
        await ann.edit(t_name="n" * 100)
        await ann.until(lambda: ann.kept == 1)
        monkeypatch.setattr(rooms, "STATE_MAX", len(ann.doc.get_update()))
        await ann.edit(t_name="m" * 100 + "m" * size)
        with pytest.raises(websockets.ConnectionClosed):
            await ann.until(lambda: False)
        assert ann.kept == 1 and ann.told[-1]["code"] == "RESOURCE_EXHAUSTED"
    monkeypatch.undo()
    await empty(services)
    async with peer(door, draft, "ann") as ann:
        assert ann.value("t|@name") == "n" * 100
    # who does not take what comes has to come again
    slow = rooms.Person("slow", True)
    for i in range(rooms.BEHIND_MAX):
        slow.tell({"n": i})
    assert not slow.behind.is_set()
    slow.tell({"n": -1})
    assert slow.behind.is_set()


class Scripted:
    """A socket that says its words one after the other, and then ends."""

    def __init__(self, *words: dict[str, Any]) -> None:
        self.words = [json.dumps(w) for w in words]

    async def receive_text(self) -> str:
        if not self.words:
            raise EOFError
        return self.words.pop(0)


class Noted:
    """A room that notes what it is told."""

    def __init__(self) -> None:
        self.edits: list[int] = []
        self.saves = 0

    def begin(self, told: Any) -> dict[str, Any]:
        return {"type": "begin"}

    def edit(self, person: Any, update: bytes, n: int) -> None:
        self.edits.append(n)

    async def save(self, person: Any, comment: str) -> None:
        self.saves += 1


@pytest.mark.req("APG-UI-007")
@pytest.mark.parametrize("word", [{"type": "edit", "n": 1, "update": "AAA="}, {"type": "save", "comment": "mine"}])
async def test_who_may_only_read_sees_and_is_refused_an_edit(word):
    room, eve = Noted(), rooms.Person("eve", False)
    identity = SimpleNamespace(roles=["viewer"])
    refused = await door_module._hear(Scripted({"type": "have"}, word), room, eve, identity)  # type: ignore[arg-type]
    assert refused is not None and refused.status == 403 and (room.edits, room.saves) == ([], 0)
    assert eve.out.get_nowait() == {"type": "begin", "may": False}, "what is drawn is hers to see"


async def test_the_rate_at_its_edge(monkeypatch):
    """As many changes as a second allows go through at once; each one more waits its share of a second, and none is lost."""
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(door_module, "time", SimpleNamespace(monotonic=lambda: 1.0))  # no time passes
    monkeypatch.setattr(door_module, "asyncio", SimpleNamespace(sleep=wait))
    edits = [{"type": "edit", "n": n, "update": "AAA="} for n in range(1, door_module.RATE + 3)]
    room = Noted()
    with pytest.raises(EOFError):
        await door_module._hear(Scripted({"type": "have"}, *edits), room, rooms.Person("ann", True), None)  # type: ignore[arg-type]
    assert room.edits == list(range(1, door_module.RATE + 3)), "each, in order"
    assert waited == [1 / door_module.RATE, 2 / door_module.RATE], "the first that is too many, and the next"


async def test_a_browser_that_floods_waits_and_loses_nothing(door, desk, monkeypatch):
    draft = await begun(desk)
    monkeypatch.setattr(door_module, "RATE", 20)
    async with peer(door, draft, "ann") as ann, peer(door, draft, "bob") as bob:
        for i in range(60):
            await ann.edit(t_name=f"n{i}")
        await ann.until(lambda: ann.kept == 60)
        await bob.until(lambda: bob.value("t|@name") == "n59")


@pytest.mark.req("APG-UI-007")
@pytest.mark.parametrize("seed", range(20))
def test_three_draw_at_random_and_all_have_the_same_and_no_edit_is_lost(seed: int) -> None:
    """Peers edit, exchange what they have in any order and any number of times. Each value of an element that nobody deleted is one that was written last by
    somebody who had seen no later one; fields that one alone has touched are as that one left them."""
    rng = random.Random(seed)
    first = merging.seeded(DRAWN, "process")
    peers = [merging.document(first) for _ in range(3)]
    mine: list[dict[str, Any]] = [{} for _ in peers]
    made: list[set[str]] = [set() for _ in peers]
    gone: set[str] = set()
    for step in range(120):
        i = rng.randrange(3)
        now = flat.fields(merging.values(peers[i]))
        what = rng.random()
        if what < 0.25:
            id = f"n{i}_{step}"
            new = {**now, id: {"<": "bpmn:task", "^": "p", "#": rng.random() * 9, "@id": id}}
            new[f"{id}_di"] = {"<": "bpmndi:BPMNShape", "^": "pl", "#": step, "@id": f"{id}_di", "@bpmnElement": id, "=": "1 2 3 4"}
            made[i].add(id)
        elif what < 0.35 and made[i] - gone:
            id = rng.choice(sorted(made[i] - gone))
            gone.add(id)
            new = {k: v for k, v in now.items() if k not in (id, f"{id}_di")}
        elif what < 0.7:
            # each has an attribute of its own at each element: nobody else writes it
            id = rng.choice(["s", "t", *sorted((set().union(*made) - gone) & set(now))])
            new = {k: dict(v) for k, v in now.items()}
            new[id][f"@own{i}"] = mine[i][id] = f"{step}"
        else:
            j = rng.randrange(3)
            peers[i].apply_update(peers[j].get_update(peers[i].get_state()))
            continue
        merging.put(peers[i], flat.changes(now, new, now))
    for a in peers:
        for b in peers:
            a.apply_update(b.get_update(a.get_state()))
    texts = [flat.write(flat.fields(merging.values(p))) for p in peers]
    assert texts[0] == texts[1] == texts[2]
    end = flat.read(texts[0])
    assert {k for k in end if k.startswith("n") and not k.endswith("_di")} == set().union(*made) - gone
    for i, of in enumerate(mine):
        for id, value in of.items():
            if id not in gone:
                assert end[id][f"@own{i}"] == value
