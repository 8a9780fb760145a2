"""Webhooks over HTTP and by the command line, on both pairs of log and database, sent by the process of the connectors: put, tried, sent, killed in the middle,
paused, dead letters, redelivered, deleted; a restart between."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from flowledger.infra.cli.main import __name__ as cli
from flowledger.sdk import Flow

WORK = Flow("report").start().service("t", job="w").end().xml().decode()
SECRET = "whsec_c2VjcmV0LW9mLXRoaXMtdGVzdC0h"


async def flowledger(url: str, *arguments: str, code: int = 0) -> Any:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"import sys; from {cli} import run; run(sys.argv[1:])", *arguments, "--server", url, "--json",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == code, out
    return json.loads(out)


class Receiver:
    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.pause_s = 0.0

    async def __aenter__(self) -> Receiver:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/in"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.got.append((headers, body))
                await asyncio.sleep(self.pause_s)
                writer.write(f"HTTP/1.1 {self.status} x\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


def hook_server(on: str, request: Any, tmp_path: Path, database: str, partitions: int = 3) -> dict[str, Any]:
    """Settings of a server that may call this machine, and has the secret of a receiver."""
    kafka = {"kafka": request.getfixturevalue("kafka_bootstrap"), "prefix": f"wh-{uuid.uuid4().hex[:8]}"} if on == "kafka" else {}
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "HOOK").write_text(SECRET)
    return dict(
        data=tmp_path / "data", postgres=database, partitions=partitions, egress_private=("127.0.0.1",), secrets=(f"folder:{tmp_path / 'secrets'}",),
        roles=("api", "owner", "projector", "connectors"), **kafka,
    )  # fmt: skip


@pytest.mark.req("APG-EVT-001", "APG-EVT-002", "APG-EVT-003")
@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(240)
async def test_a_webhook_from_its_record_to_its_receiver(on, request, place, database, tmp_path):
    settings = hook_server(on, request, tmp_path, database)
    async with Receiver() as receiver, place.system(**settings) as (system, http):

        async def ask(method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
            r = await http.request(method, f"/v1/webhooks{path}", json=body, params=query)
            return r.status_code, r.json()

        async def start(count: int) -> list[str]:
            found = [await http.post("/v1/instances", json={"definition": "report", "variables": {"api_key": "x"}}) for _ in range(count)]
            return [r.json()["id"] for r in found]

        async def row(**wanted: Any) -> Any:
            found = (await ask("GET", "/h"))[1]
            return found if all(found.get(k) == v for k, v in wanted.items()) else None

        body = {"url": receiver.url, "secrets": ["{{secrets.HOOK}}"], "types": ["workflow.started", "workflow_cancelled"]}
        for wrong in ({"secrets": [SECRET]}, {"types": ["nonsense"]}, {"filter": "= 1 +"}, {"url": "file:///etc"}, {"position": "9-1"}):
            status, answer = await ask("PUT", "/h", {**body, **wrong})
            assert status in (400, 422) and SECRET not in json.dumps(answer), (wrong, answer)
        assert (await ask("GET", "/h"))[0] == (await ask("POST", "/h/pause"))[0] == (await ask("DELETE", "/h"))[0] == 404
        assert (await http.post("/v1/deployments", json={"resources": [{"name": "r.bpmn", "content": WORK}]})).status_code == 201
        before = await start(2)
        assert (await ask("PUT", "/h", body))[1]["created"] is True
        again = await flowledger(
            system.url,
            "webhooks",
            "put",
            "h",
            "--url",
            receiver.url,
            "--secret",
            "HOOK",
            "--type",
            "workflow.started",
            "--type",
            "workflow_cancelled",
        )
        assert not again["created"] and not again["changed"]
        assert (await flowledger(system.url, "webhooks", "test", "h"))["outcome"] == "delivered"
        assert receiver.bodies[0]["type"] == "webhook.test"
        receiver.got.clear()
        # what is under way when its sender is killed is sent again, with the same ids
        receiver.pause_s = 1.0
        starting = asyncio.create_task(start(30))
        async with asyncio.timeout(60):
            while len(receiver.got) < 5:
                await asyncio.sleep(0.01)
        os.kill(system.connectors.process.pid, signal.SIGKILL)
        receiver.pause_s = 0.0
        keys = await starting
        async with asyncio.timeout(120):
            while {b["instance"] for b in receiver.bodies} != set(keys):
                await asyncio.sleep(0.05)
        ids = {b["id"]: h["webhook-id"] for (h, _), b in zip(receiver.got, receiver.bodies, strict=True)}
        assert len(receiver.got) > 30 == len(set(ids.values())) == len(ids), "some came again, with the id that they had"
        assert not {b["instance"] for b in receiver.bodies} & set(before)
        assert all(Webhook(SECRET).verify(content, headers)["process"] == "report" for headers, content in receiver.got)
        assert receiver.bodies[0]["data"]["variables"] == {"api_key": "***"}
        # what isn't taken waits, as the log of deliveries says
        receiver.status = 500
        (failing,) = await start(1)

        async def waits() -> Any:
            return (await ask("GET", "/h/deliveries", outcome="waits", instance=failing))[1]["items"]

        (attempt, *_) = await place.until(waits, 60)
        assert (
            attempt["code"] == "500"
            and attempt["status"] == 500
            and attempt["next_at"] > attempt["created_at"]
            and attempt["process"] == "report"
        )
        receiver.status = 410
        await http.post(f"/v1/instances/{failing}/cancel", json={})
        gone = await place.until(lambda: row(status="disabled"))
        assert (
            "410" in gone["reason"]
            and gone["secrets"] == ["{{secrets.HOOK}}"]
            and gone["types"] == body["types"]
            and gone["delivered"] >= 31
        )
        receiver.status = 200
        assert (await ask("POST", "/h/redeliver", {"ids": [attempt["event"]]}))[1]["outcomes"] == {attempt["event"]: "redelivered"}
        assert (await ask("POST", "/h/redeliver", {}))[0] == 422 and (await ask("POST", "/h/discard", {"ids": ["nothing"]}))[0] == 400
        assert (await ask("POST", "/h/discard", {"ids": ["0-1"]}))[0] == 404
        assert (await ask("GET", "/h/dead-letters"))[1]["items"] == []
        await flowledger(system.url, "webhooks", "resume", "h")

        async def told() -> Any:
            found = [(b["type"], b["instance"]) for b in receiver.bodies]
            return ("workflow.cancelled", failing) in found and (await row(status="active"))

        await place.until(told)
        assert receiver.got[-1][0]["webhook-id"].startswith(gone["id"])
        tenant = {"X-Tenant": "acme"}
        assert (await http.get("/v1/webhooks/h", headers=tenant)).status_code == 404
        assert (await http.post("/v1/webhooks/h/test", headers=tenant)).status_code == 404
        assert (await http.get("/v1/webhooks", headers=tenant)).json()["items"] == []
    async with place.system(**settings) as (system, http):
        async with asyncio.timeout(30):
            while not (await http.get("/v1/webhooks")).json()["items"]:
                await asyncio.sleep(0.1)
        listed = await flowledger(system.url, "webhooks", "list")
        assert [w["name"] for w in listed] == ["h"] and listed[0]["cursors"]
        assert (await ask("POST", "/h/pause", {"reason": "enough"}))[0] == 200 and (await ask("POST", "/h/test"))[0] == 409
        assert (await place.until(lambda: row(status="paused")))["reason"] == "enough"
        await flowledger(system.url, "webhooks", "delete", "h")

        async def none() -> bool:
            return (await ask("GET", "/h"))[0] == 404

        await place.until(none)
