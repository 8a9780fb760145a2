"""One tenant floods a real server, others send one request each: where on the ledger theirs stand. Positions are counted, no time is measured."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from asking import Caller

from flowledger.api import queue
from flowledger.processors import admission

MODEL = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t"><process id="much" isExecutable="true">'
    '<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="e"/><endEvent id="e"/></process></definitions>'
)
#: connections of the flood, half of which send before the others, half behind them
FLOOD, OTHERS = 400, 10


def start(tenant: str) -> bytes:
    body = '{"definition": "much"}'
    head = f"POST /v1/instances HTTP/1.1\r\nhost: 127.0.0.1\r\nx-tenant: {tenant}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return (head + body).encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return int(head[9:12]), json.loads(await reader.readexactly(size))


@pytest.mark.req("APG-TEN-004")
@pytest.mark.timeout(120)
async def test_others_stand_near_the_front_on_the_ledger_however_much_one_sends(place, database, tmp_path, monkeypatch):
    for kind in queue.LIMITS_S:  # nobody is refused for the time, which is this machine's
        monkeypatch.setitem(queue.LIMITS_S, kind, 1e6)
    monkeypatch.setattr(admission, "LIMITS_S", (1e6,) * 3)
    async with place.system(data=tmp_path, postgres=database, partitions=1, roles=("api", "owner")) as (system, http):
        w = Caller(http, place)
        others = [f"t{n}" for n in range(OTHERS)]
        for tenant in ("flood", *others):
            await w.ok("POST", "deployments", {"resources": [{"name": "m.bpmn", "content": MODEL}]}, tenant=tenant)
        port = int(system.url.rsplit(":", 1)[1])
        senders = ["flood"] * (FLOOD // 2) + others + ["flood"] * (FLOOD // 2)
        lines = [await asyncio.open_connection("127.0.0.1", port) for _ in senders]
        for (reader, writer), tenant in zip(lines, senders, strict=True):  # each connection is known to be its tenant's
            writer.write(start(tenant))
            assert (await answer(reader))[0] == 201
        for (_, writer), tenant in zip(lines, senders, strict=True):  # all in one turn of this loop
            writer.write(start(tenant))
        found: dict[int, str] = {}
        for (reader, writer), tenant in zip(lines, senders, strict=True):
            status, body = await answer(reader)
            assert status == 201, body
            found[int(body["position"].rsplit("-", 1)[1])] = tenant
            writer.close()
    order = [found[at] for at in sorted(found)]
    last = max(n for n, tenant in enumerate(order) if tenant != "flood")
    assert len(order) == FLOOD + OTHERS, "all are served, since there is nothing else to do"
    assert last < FLOOD / 2, f"the last of the others is number {last} of {len(order)}"
