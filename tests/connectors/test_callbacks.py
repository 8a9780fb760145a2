"""One-time addresses: a connector gives one to whom it calls, and the job waits for whoever posts there; a worker has one made for its job."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from flowledger.api.app import create_app
from flowledger.api.services import Services
from flowledger.connectors.check import findings
from flowledger.connectors.serve import Connectors
from flowledger.events import commands as c
from flowledger.infra.callbacks import TOKEN_MAX, Callbacks, Expired, NoCallback, Target, callbacks_of
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.infra.settings import Settings, SettingsError
from flowledger.infra.telemetry import Telemetry
from flowledger.kernel.model import read
from flowledger.processors.engine import Engine

pytestmark = pytest.mark.req("APG-TRG-001")

KEY, OTHER = b"k" * 32, b"o" * 32
TARGET = Target(77, "acme", 2_000)

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<error id="no" name="no" errorCode="NO"/>
<process id="p" isExecutable="true"><startEvent id="s"/><serviceTask id="ask"><extensionElements><zeebe:taskDefinition type="TYPE" retries="2"/>
<zeebe:ioMapping><zeebe:input source="=address" target="url"/><zeebe:input source="POST" target="method"/>
<zeebe:input source="={answer_to: &quot;{{callback.url}}&quot;}" target="body"/><zeebe:input source="=said" target="headers.x-said"/>
<zeebe:output source="=offer.price" target="price"/></zeebe:ioMapping>
<zeebe:taskHeaders><zeebe:header key="callbackTimeout" value="WAIT"/><zeebe:header key="retryBackoff" value="PT0S"/></zeebe:taskHeaders></extensionElements></serviceTask>
<endEvent id="e"/><boundaryEvent id="b" attachedToRef="ask"><errorEventDefinition errorRef="no"/></boundaryEvent><endEvent id="refused"/>
<sequenceFlow id="f1" sourceRef="s" targetRef="ask"/><sequenceFlow id="f2" sourceRef="ask" targetRef="e"/><sequenceFlow id="f3" sourceRef="b" targetRef="refused"/>
</process></definitions>"""


# --- tokens


def token(callbacks: Callbacks, target: Target = TARGET) -> str:
    url = callbacks.url(target)
    assert url.startswith("https://flow.example/callbacks/") and len(url) < 200
    return url.rsplit("/", 1)[1]


def test_a_token_says_what_it_was_made_for_and_ends():
    callbacks = Callbacks([KEY], "https://flow.example/")
    assert callbacks.read(token(callbacks), 1_999.9) == TARGET
    with pytest.raises(Expired):
        callbacks.read(token(callbacks), 2_000)


def test_a_new_key_signs_and_the_old_one_is_believed_while_it_stands_there():
    old, both, new = (Callbacks(keys, "https://flow.example") for keys in ([OTHER], [KEY, OTHER], [KEY]))
    assert both.read(token(old), 0) == new.read(token(both), 0) == TARGET
    with pytest.raises(NoCallback):
        new.read(token(old), 0)


def test_every_changed_character_is_noticed():
    callbacks = Callbacks([KEY], "https://flow.example")
    good = token(callbacks)
    for n, ch in enumerate(good):
        with pytest.raises(NoCallback):
            callbacks.read(good[:n] + ("A" if ch != "A" else "B") + good[n + 1 :], 0)
    for wrong in ("", "a", good[:-2], good + "AA", "x" * (TOKEN_MAX + 1), "x" * TOKEN_MAX, "é" * 40, good + "=", "a b"):
        with pytest.raises(NoCallback):
            callbacks.read(wrong, 0)


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        ("ab" * 32 + "\n", 0o644, "chmod 600"),
        ("ab" * 31, 0o600, "32 bytes or more"),
        ("", 0o600, "1 to 20 keys"),
        ("\n".join(["ab" * 32] * 21), 0o600, "1 to 20 keys"),
        ("a key", 0o600, "hexadecimal"),
        (None, 0, "No such file"),
    ],
)
def test_a_key_file_that_will_not_do_is_an_error_of_the_settings(tmp_path, content, mode, why):
    path = tmp_path / "keys"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    with pytest.raises(SettingsError, match=why):
        callbacks_of(Settings(callback_key=str(path)))


def test_the_default_key_is_made_once_for_all_processes(tmp_path):
    first, second = (callbacks_of(Settings(data=tmp_path, callback_url="https://flow.example")) for _ in range(2))
    assert second.read(token(first), 0) == TARGET
    assert [p.name for p in (tmp_path / "keys").iterdir()] == ["callback.keys"]
    assert (tmp_path / "keys" / "callback.keys").stat().st_mode & 0o777 == 0o600


# --- a connector that waits


class World:
    """An engine, its connectors, and its HTTP door."""

    def __init__(self, engine: Engine, web: httpx2.AsyncClient) -> None:
        self.engine, self.web = engine, web

    async def start(self, target: Any, **variables: Any) -> asyncio.Future[Any]:
        command = c.StartInstance(id="p", variables={"address": f"{target.url}/ask", "said": "hello", **variables}, wait=True)
        return asyncio.ensure_future(self.engine.call(command, timeout_s=120))

    async def post(self, url: str, body: Any = None) -> httpx2.Response:
        assert url.startswith("http://flow.test/")
        return await self.web.post(url.removeprefix("http://flow.test"), json=body or {})


@asynccontextmanager
async def world(tmp_path: Any, wait: str, connectors: bool = True, job_type: str = "flowledger:http") -> AsyncIterator[World]:
    settings = Settings(
        access_log="all", data=tmp_path, egress_private=("127.0.0.1",), callback_url="http://flow.test", connector_tenants=()
    )
    engine = Engine(MemoryLog(MemoryStore(1)))
    await engine.start()
    services = Services(engine, None, settings, Telemetry.of(settings))  # type: ignore[arg-type]
    services.callbacks = callbacks_of(settings)
    work = asyncio.create_task(Connectors(engine, settings, Telemetry()).run()) if connectors else None
    try:
        model = MODEL.replace("WAIT", wait).replace("TYPE", job_type)
        assert isinstance(done := await engine.call(c.Deploy(resources=[c.Resource("p.bpmn", model)])), dict), done
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(create_app(services)), base_url="http://127.0.0.1") as web:
            yield World(engine, web)
    finally:
        if work is not None:
            work.cancel()
            await asyncio.wait({work})
        await engine.stop()


async def asked(target: Any, times: int = 1) -> list[str]:
    """The addresses that the other side was given."""
    async with asyncio.timeout(60):
        while len(target.seen) < times:
            await asyncio.sleep(0.01)
    return [json.loads(r.body)["answer_to"] for r in target.seen]


@pytest.fixture
async def called(target):
    target.routes["/ask"] = (202, {}, {"accepted": True})
    return target


async def test_the_answer_to_the_address_is_the_result_of_the_task_once(tmp_path, called, capfd):
    async with world(tmp_path, "PT1H") as w:
        waiting = await w.start(called, said="{{callback.url}}")
        (url,) = await asked(called)
        assert called.seen[0].headers["x-said"] == "{{callback.url}}", "what arrives as data is taken for no reference"
        await asyncio.sleep(0.3)
        assert not waiting.done()
        first = await w.post(url, {"offer": {"price": 7}})
        assert first.status_code == 200, first.text
        done = await waiting
        assert done["status"] == "completed" and done["variables"]["price"] == 7
        again = await w.post(url, {"offer": {"price": 7}})  # its sender had not heard the answer
        assert again.status_code == 200 and again.json() == first.json()
        other = await w.post(url, {"offer": {"price": 8}})
        assert (other.status_code, other.json()["code"]) == (410, "GONE")
        secret = url.rsplit("/", 1)[1].encode()
        async for batch in w.engine.log.read("events", 0, 0):
            assert not any(secret in r.value for r in batch)
            if any(b"callback" in r.value for r in batch):
                break
        assert len(called.seen) == 1
    told = capfd.readouterr().err
    assert "/callbacks/…" in told and secret.decode() not in told


async def test_what_is_refused_by_a_live_address_leaves_none_of_it_on_the_ledger(tmp_path, called):
    """The log of operations is told of refusals, with the path; this one still lets in whoever reads it."""
    async with world(tmp_path, "PT1H") as w:
        waiting = await w.start(called)
        (url,) = await asked(called)
        large = await w.post(url, {"offer": "x" * (w.engine.log.record_bytes_max - 500)})  # of the body there is room, on the log not
        assert large.status_code == 422, large.text
        secret, told = url.rsplit("/", 1)[1].encode(), False
        async with asyncio.timeout(60):
            async for batch in w.engine.log.read("events", 0, 0, follow=True):
                assert not any(secret in r.value for r in batch)
                if told := told or any(b"/callbacks/\xe2\x80\xa6" in r.value for r in batch):
                    break
        assert (await w.post(url, {"offer": {"price": 7}})).status_code == 200, "it is good for another answer"
        await waiting


async def test_the_other_side_says_a_bpmn_error(tmp_path, called):
    async with world(tmp_path, "PT1H") as w:
        waiting = await w.start(called)
        (url,) = await asked(called)
        assert (await w.post(f"{url}/error", {"message": "x"})).status_code == 400
        assert (await w.post(f"{url}/error", {"code": "NO", "message": "sold out"})).status_code == 200
        assert (await waiting)["status"] == "completed" and "price" not in (await waiting)["variables"]
        assert (await w.post(url, {"offer": {"price": 7}})).status_code == 410


async def test_nobody_answers_in_time_then_it_is_asked_again_with_the_same_key_and_then_it_is_an_incident(tmp_path, called):
    async with world(tmp_path, "PT1S") as w:
        waiting = await w.start(called)
        first, _ = await asked(called, 2)
        assert len({r.headers["idempotency-key"] for r in called.seen}) == 1
        async with asyncio.timeout(60):
            while not any(i.code != "" for i in w.engine.owners[0].state.incidents.values()):
                await asyncio.sleep(0.02)
        await asyncio.sleep(2.1)  # a second, rounded up
        late = await w.post(first, {"offer": {"price": 7}})
        assert late.status_code == 410 and "time of this address is over" in late.json()["detail"]
        waiting.cancel()


async def test_an_answer_that_comes_before_the_call_has_ended_counts(tmp_path, target):
    async with world(tmp_path, "PT1H") as w:
        answered: list[int] = []

        async def at_once(request: Any, writer: Any) -> None:
            answered.append((await w.post(json.loads(request.body)["answer_to"], {"offer": {"price": 3}})).status_code)
            writer.write(b"HTTP/1.1 202 Word\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()

        target.routes["/ask"] = at_once
        done = await (await w.start(target))
        assert done["status"] == "completed" and done["variables"]["price"] == 3 and answered == [200]


async def test_a_call_that_is_refused_does_not_wait(tmp_path, target):
    target.routes["/ask"] = (422, {}, {"why": "no"})
    async with world(tmp_path, "PT1H") as w:
        waiting = await w.start(target)
        async with asyncio.timeout(60):
            while not (found := list(w.engine.owners[0].state.incidents.values())):
                await asyncio.sleep(0.02)
        assert "422" in found[0].message
        waiting.cancel()


@pytest.mark.parametrize("path", ["/callbacks/abc", "/callbacks/abc/error", "/callbacks/" + "x" * 900])
async def test_an_address_that_nobody_gave_out_is_not_found(tmp_path, path):
    async with world(tmp_path, "PT1H", connectors=False) as w:
        found = await w.web.post(path, json={"code": "X"})
        assert (found.status_code, found.json()["code"]) == (404, "NOT_FOUND")
        assert (await w.web.get(path)).status_code in (404, 405)


# --- a worker's own


async def test_a_worker_has_an_address_made_for_the_job_that_it_holds(tmp_path, called):
    async with world(tmp_path, "PT1H", connectors=False, job_type="own") as w:
        waiting = await w.start(called)
        (job,) = await w.engine.activate("own", "w", 1, 60_000, 30_000)
        path = f"/v1/jobs/{job['key']}/callback"
        assert (await w.web.post(path, json={"fence": job["fence"] + 1})).status_code == 409
        assert (await w.web.post(path, json={}, headers={"x-tenant": "acme"})).status_code == 404
        assert (await w.web.post(path, json={"timeout_ms": 0})).status_code == 400
        made = await w.web.post(path, json={"fence": job["fence"], "timeout_ms": 600_000})
        assert made.status_code == 200 and made.json()["deadline"].endswith("Z")
        assert w.engine.owners[0].state.tasks[job["key"]].deadline_us > time.time() * 1e6 + 300e6
        assert (await w.post(made.json()["url"], {"offer": {"price": 1}})).status_code == 200
        assert (await waiting)["variables"]["price"] == 1


# --- what is said at deployment


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ("", ""),
        ('<zeebe:header key="resultExpression" value="={a: 1}"/>', "resultExpression has no answer to look at"),
        ('<zeebe:header key="resultVariable" value="r"/>', "resultVariable has no answer to look at"),
    ],
)
def test_a_result_of_the_first_answer_is_a_finding(headers, words):
    model = (
        MODEL.replace("TYPE", "flowledger:http").replace("WAIT", "PT1M").replace("</zeebe:taskHeaders>", headers + "</zeebe:taskHeaders>")
    )
    graph, found = read(model.encode(), "p.bpmn")
    assert not [f for f in found if f.severity == "error"], found
    assert [words in f.message for f in findings(graph, "p.bpmn")] == ([True] if words else [])


def test_a_time_limit_that_cannot_be_read_is_a_finding():
    graph, _ = read(MODEL.replace("TYPE", "flowledger:http").replace("WAIT", "soon").encode(), "p.bpmn")
    assert "callbackTimeout" in findings(graph, "p.bpmn")[0].message
