"""Who else is at a draft: told from socket to socket, bounded, of the tenant alone, and kept nowhere."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
import websockets

from flowledger.api import presence
from flowledger.api.app import create_app

pytestmark = pytest.mark.postgres


@pytest.fixture
async def door(services, desk) -> AsyncIterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(services), log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    serving = asyncio.ensure_future(running.serve([listener]))
    while not running.started:
        await asyncio.sleep(0.01)
    yield f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/presence"
    running.should_exit = True
    await serving


async def heard(ws: Any) -> Any:
    return json.loads(await asyncio.wait_for(ws.recv(), 20))


async def begun(desk) -> str:
    made = await desk.post("/v1/drafts", json={"name": "d", "kind": "process", "content": "x"})
    return str(made.json()["id"])


async def test_each_hears_of_the_others_and_nothing_stays(door, desk):
    draft = await begun(desk)
    async with websockets.connect(f"{door}?draft={draft}&name=ann") as ann:
        assert (await heard(ann)) == {"type": "others", "me": 0, "others": []}
        async with websockets.connect(f"{door}?draft={draft}&name=bob") as bob:
            first = await heard(bob)
            assert first["me"] == 1 and [(p["name"], p["colour"], p["x"], p["selected"]) for p in first["others"]] == [("ann", 0, None, [])]
            assert (await heard(ann))["type"] == "here"
            await bob.send(json.dumps({"x": 1.5, "y": -2, "selected": ["check"]}))
            said = await heard(ann)
            assert (said["name"], said["x"], said["y"], said["selected"]) == ("bob", 1.5, -2, ["check"])
            await bob.send(json.dumps({"x": None, "y": None, "selected": ["check"], "saved": 7}))
            assert await heard(ann) == {"type": "saved", "id": said["id"], "name": "bob", "version": 7}
            assert (await heard(ann))["x"] is None
        assert await heard(ann) == {"type": "gone", "id": said["id"]}
    async with asyncio.timeout(20):
        while presence.ROOMS.of:
            await asyncio.sleep(0.01)


async def test_other_drafts_and_other_tenants_hear_nothing(door, desk):
    one, two = await begun(desk), await begun(desk)
    async with websockets.connect(f"{door}?draft={one}&name=ann") as ann, websockets.connect(f"{door}?draft={two}&name=bob") as bob:
        await heard(ann)
        await heard(bob)
        await bob.send(json.dumps({"x": 1, "y": 1}))
        async with websockets.connect(f"{door}?draft={one}", additional_headers={"X-Tenant": "other"}) as stranger:
            told = await heard(stranger)
            assert told["code"] == "NOT_FOUND"
            with pytest.raises(websockets.ConnectionClosed):
                await heard(stranger)
        async with websockets.connect(f"{door}?draft={one}&name=eve"):
            assert (await heard(ann))["name"] == "eve", "the first that ann hears of anybody"


async def test_what_is_no_word_ends_it_and_a_room_is_bounded(door, desk, monkeypatch):
    draft = await begun(desk)
    for wrong in ("nonsense", json.dumps({"x": "left"}), json.dumps({"selected": ["e" * 5_000]})):
        async with websockets.connect(f"{door}?draft={draft}&name=ann") as ann:
            await heard(ann)
            await ann.send(wrong)
            with pytest.raises(websockets.ConnectionClosed):
                await heard(ann)
    monkeypatch.setattr(presence, "ROOM_MAX", 1)
    async with websockets.connect(f"{door}?draft={draft}&name=ann") as ann:
        await heard(ann)
        async with websockets.connect(f"{door}?draft={draft}&name=bob") as bob:
            assert (await heard(bob))["code"] == "RESOURCE_EXHAUSTED"
