"""Large answers become files of the instance: streamed, bounded, in one place however often they are fetched; what goes wrong is told."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import AsyncIterator

import pytest

from flowledger.events import commands as c
from flowledger.infra import blobs as b
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.infra.settings import Settings
from flowledger.processors.client import Caller
from flowledger.processors.engine import Engine
from tests.connectors.conftest import running

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="p" isExecutable="true"><startEvent id="s"/><serviceTask id="call"><extensionElements><zeebe:taskDefinition type="flowledger:http" retries="2"/>
<zeebe:ioMapping><zeebe:input source="=address" target="url"/><zeebe:input source="=true" target="storeResponse"/>{more}</zeebe:ioMapping><zeebe:taskHeaders>
<zeebe:header key="retryBackoff" value="PT0S"/><zeebe:header key="resultVariable" value="r"/></zeebe:taskHeaders>
</extensionElements></serviceTask><userTask id="u"/><endEvent id="e"/><sequenceFlow id="a" sourceRef="s" targetRef="call"/><sequenceFlow id="b" sourceRef="call"
 targetRef="u"/><sequenceFlow id="d" sourceRef="u" targetRef="e"/></process></definitions>"""
NAMED = '<zeebe:input source="report.pdf" target="fileName"/>'


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    made = Engine(MemoryLog(MemoryStore(1)))
    await made.start()
    for tenant, more in (("", NAMED), ("acme", "")):
        done = await made.call(c.Deploy(resources=[c.Resource("p.bpmn", MODEL.replace("{more}", more))]), Caller(tenant=tenant))
        assert isinstance(done, dict), done
    yield made
    await made.stop()


async def until(look) -> object:
    import asyncio

    async with asyncio.timeout(60):
        while not (found := look()):
            await asyncio.sleep(0.02)
    return found


@pytest.mark.req("D-DAT-019", "APG-CON-015")
@pytest.mark.parametrize("tenant", ["", "acme"])
async def test_an_answer_of_megabytes_is_a_file_and_a_reference(engine, target, tmp_path, tenant):
    data = os.urandom(5_000_000)
    tries = []

    def answer(request):
        tries.append(1)
        return (
            (503, {"retry-after": "0"}, b"")
            if len(tries) == 1
            else (200, {"content-type": "application/pdf", "content-encoding": "gzip"}, gzip.compress(data))
        )

    target.routes["/report"] = answer
    async with running(engine, data=tmp_path, connector_tenants=("acme",)):
        made = await engine.call(c.StartInstance(id="p", variables={"address": f"{target.url}/report"}), Caller(tenant=tenant))
        instance = engine.owners[0].state.instances[made["key"]]
        await until(lambda: any(t.element == "u" for t in instance.tokens.values()))
    document = instance.vars["r"]["document"]
    assert instance.vars["r"]["body"] is None and instance.vars["r"]["status"] == 200
    assert (document["size"], document["sha256"], document["mediaType"]) == (len(data), hashlib.sha256(data).hexdigest(), "application/pdf")
    [file] = instance.files
    assert (
        file["name"] == document["name"]
        and (file["name"] == "report.pdf" if not tenant else file["name"].startswith("call-"))
        and file["by"] == "connectors"
    )
    kept = b.blobs_of(Settings(data=tmp_path))
    assert b"".join([p async for p in kept.read(tenant, document["sha256"])]) == data


@pytest.mark.req("D-DAT-019")
@pytest.mark.parametrize(
    ("how", "code"), [("large", "ANSWER_TOO_LARGE"), ("bomb", "ANSWER_TOO_LARGE"), ("cut", "CUT"), ("refused", "404"), ("full", "FILES_FULL"), ("away", "FILES_AWAY")]
)  # fmt: skip
async def test_what_goes_wrong_leaves_no_file(engine, target, tmp_path, how, code):
    async def cut(request, writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"x" * 400)
        await writer.drain()
        writer.close()

    target.routes |= {
        "/large": (200, {}, b"x" * 20_001), "/bomb": (200, {"content-encoding": "gzip"}, gzip.compress(b"0" * 20_000_000)), "/cut": cut,
        "/refused": (404, {}, b"no"), "/full": (200, {}, b"x"), "/away": (200, {}, b"x"),
    }  # fmt: skip
    more = {}
    if how == "full":
        more["blobs_max"] = 1
        kept = b.blobs_of(Settings(data=tmp_path))

        async def one() -> AsyncIterator[bytes]:
            yield b"there"

        await kept.put("", one())
    if how == "away":
        (tmp_path / "blobs").write_text("no folder")
    async with running(engine, data=tmp_path, blob_bytes_max=20_000, **more):
        made = await engine.call(c.StartInstance(id="p", variables={"address": f"{target.url}/{how}"}))
        state = engine.owners[0].state
        incident = await until(lambda: next(iter(state.incidents.values()), None))
    assert f"({code})" in incident.message, incident.message
    assert state.instances[made["key"]].files is None
    if how != "away":
        assert len([p for p in (tmp_path / "blobs").rglob("*") if len(p.name) == 64]) == (how == "full")
