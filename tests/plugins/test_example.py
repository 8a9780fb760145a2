"""The template of a plug-in, as its users do: installed beside the server, checked, and each of its parts at work in a running server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from flowledger.doors import bind

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "plugin"
MODEL = EXAMPLE / "transfer.yaml.example"
TASK = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="line" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="e"/><endEvent id="e"/></process></definitions>"""
TRIGGER = """format: flowledger/trigger@1
name: lines
source:
  lines:
    file: {file}
start:
  process: line
  variables:
    text: =payload
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Where the plug-in is installed, with another one beside it that can't be taken."""
    place = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--disable-pip-version-check",
        "--target",
        str(place),
        str(EXAMPLE),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    broken = place / "broken-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (broken / "entry_points.txt").write_text("[flowledger.feel]\nbroken = nowhere_at_all:PART\n")
    return place


def environment(place: Path, **more: str) -> dict[str, str]:
    return {**{k: v for k, v in os.environ.items() if not k.startswith("FLOWLEDGER_")}, "PYTHONPATH": str(place), **more}


def flowledger(place: Path, *arguments: str, code: int = 0, **more: str) -> str:
    command = [sys.executable, "-m", "flowledger", *arguments]
    done = subprocess.run(command, env=environment(place, **more), capture_output=True, text=True, timeout=120, cwd=place)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.req("APG-CON-020", "WSM-CFG-001")
def test_it_is_found_with_all_its_parts_and_the_broken_one_is_told(installed):
    rows = json.loads(flowledger(installed, "plugins", "list", "--json", code=1))
    bank = {r["group"]: r["provides"] for r in rows if r["distribution"] == "flowledger-bank"}
    assert bank == {
        "flowledger.assignment": ["nearest"], "flowledger.connectors": ["bank"], "flowledger.feel": ["iban_valid", "iban_country"],
        "flowledger.secrets": ["netrc"], "flowledger.steps": ["transfer"], "flowledger.triggers": ["lines"],
        "flowledger.blobs": ["archive"],
    }  # fmt: skip
    [broken] = [r for r in rows if r["distribution"] == "broken"]
    assert "No module named 'nowhere_at_all'" in broken["error"]


def test_its_parts_keep_to_the_contract(installed):
    assert "nothing to object to" in flowledger(installed, "plugins", "check", FLOWLEDGER_PLUGINS="flowledger-bank")
    [row] = json.loads(flowledger(installed, "plugins", "check", "--json", code=1))
    assert row["plugin"] == "broken"


def test_its_own_tests_pass(installed):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(EXAMPLE / "tests")]
    done = subprocess.run(command, env=environment(installed), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "8 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(("which", "code"), [("all", 0), ("flowledger-bank", 0), ("none", 1), ("another", 1)])
def test_a_workflow_that_uses_it_needs_it(which, code, installed, tmp_path):
    model = tmp_path / "transfer.yaml"
    model.write_text(MODEL.read_text())
    said = flowledger(installed, "validate", str(model), code=code, FLOWLEDGER_PLUGINS=which)
    assert ("warning: the plug-in broken" in said) == (which == "all")


class Bank:
    """Takes what has the right password."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
                self.got.append((headers, json.loads(await reader.readexactly(int(headers["content-length"])))))
                right = headers["authorization"] == "Bearer of-the-shop"
                body = b'{"receipt": 1}' if right else b"{}"
                status = "200 OK" if right else "401 Unauthorized"
                writer.write(f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


class Server:
    """`flowledger serve` of the environment that has the plug-in."""

    def __init__(self, place: Path, data: Path, database: str, netrc: Path) -> None:
        self.port = _free()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = environment(
            place, FLOWLEDGER_POSTGRES=database, FLOWLEDGER_SECRETS=f"env,netrc:{netrc}", FLOWLEDGER_EGRESS_PRIVATE="127.0.0.1", FLOWLEDGER_PARTITIONS="2",
            FLOWLEDGER_DURABILITY="normal", FLOWLEDGER_BLOBS=f"archive:{data}/archive",
        )  # fmt: skip
        self.command = [
            sys.executable,
            "-m",
            "flowledger",
            "serve",
            "--roles",
            "api,owner,projector,connectors",
            "--port",
            str(self.port),
            "--data",
            str(data),
        ]

    async def __aenter__(self) -> Server:
        self.process = subprocess.Popen(self.command, env=self.env)
        self.http = httpx2.AsyncClient(base_url=self.url, timeout=60)
        await self.until(self._ready, 90)
        return self

    async def _ready(self) -> bool:
        assert self.process.poll() is None, "the server ended"
        try:
            return (await self.http.get("/health/ready")).status_code == 200
        except httpx2.TransportError:
            return False

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()
        self.process.terminate()
        await asyncio.to_thread(self.process.wait, 60)

    @staticmethod
    async def until(look: Any, seconds: float = 60) -> Any:
        end = time.monotonic() + seconds
        while not (found := await look()):
            assert time.monotonic() < end, "it did not come about in time"
            await asyncio.sleep(0.1)
        return found

    async def post(self, path: str, body: Any, code: int = 201) -> Any:
        answer = await self.http.post(f"/v1/{path}", json=body)
        assert answer.status_code == code, answer.text
        return answer.json()

    async def instances(self, **query: Any) -> list[dict[str, Any]]:
        answer = await self.http.get("/v1/instances", params=query)
        if answer.status_code == 503:  # its views are being made
            return []
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]


def _free() -> int:
    with bind("127.0.0.1", 0, "") as found:
        return found.getsockname()[1]


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(280)
@pytest.mark.req("APG-CON-020", "WSM-CFG-001", "APG-POS-027")
async def test_each_part_at_work_in_a_server(installed, database, tmp_path):
    netrc, lines = tmp_path / "netrc", tmp_path / "lines.txt"
    netrc.write_text("machine shop login x password of-the-shop\n")
    netrc.chmod(0o600)
    lines.write_text("one\ntwo\nhalf")
    bank = Bank()
    listener = await asyncio.start_server(bank.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/transfers"

    async with Server(installed, tmp_path / "data", database, netrc) as server:
        health = (await server.http.get("/health/ready")).json()
        assert any("the plug-in broken of broken (flowledger.feel) isn't used" in text for text in health["warnings"]), health
        # a type of step, a function, a connector and a secret
        await server.post("deployments", {"resources": [{"name": "transfer.yaml", "content": MODEL.read_text()}]})
        good = {"bank": url, "iban": "GB82 WEST 1234 5698 7654 32", "amount": 12.5}
        await server.post("instances", {"definition": "pay-supplier", "variables": good})
        await server.post("instances", {"definition": "pay-supplier", "variables": {**good, "iban": "GB00"}})

        async def ended() -> bool:
            return len(await server.instances(definition="pay-supplier", status="completed")) == 2

        await server.until(ended)
        [(headers, body)] = bank.got
        assert body == {"to": "GB82 WEST 1234 5698 7654 32", "amount": "12.5"} and headers["idempotency-key"]
        templates = (await server.http.get("/v1/connectors/bank/template")).json()
        assert templates["name"] == "Bank transfer"
        # a strategy
        for name, km in (("bob", 2), ("ann", 9)):
            put = await server.http.put(f"/v1/directory/users/{name}", json={"metadata": {"distance_km": km}})
            assert put.status_code in (200, 201), put.text
        assignment = {"strategy": "nearest", "users": ["ann", "bob"]}
        made = await server.post("tasks", {"name": "look", "assignment": assignment})

        async def task() -> Any:
            found = (await server.http.get(f"/v1/tasks/{made['task']}")).json()
            return found if found.get("assignee") else None

        found = await server.until(task)
        assert found["assignee"] == "bob"
        # a store of files
        path, text = f"/v1/tasks/{made['task']}/files/letter.txt", b"Dear bank, " * 1000
        put = await server.http.put(path, content=text)
        assert put.status_code == 201, put.text
        assert (await server.http.get(path, params={"wait_for": put.json()["position"]})).content == text
        [kept] = (tmp_path / "data" / "archive").rglob("*.z")
        assert kept.stem == put.json()["sha256"] and kept.stat().st_size < len(text) / 10
        # a source of triggers: whole lines, each once
        await server.post(
            "deployments",
            {"resources": [{"name": "l.bpmn", "content": TASK}, {"name": "l.trigger.yaml", "content": TRIGGER.format(file=lines)}]},
        )

        async def two() -> bool:
            return len(await server.instances(definition="line")) == 2

        await server.until(two)
    with lines.open("a") as file:
        file.write(" done\nthree\n")
    async with Server(installed, tmp_path / "data", database, netrc) as server:

        async def four() -> bool:
            return len(await server.instances(definition="line")) == 4

        await server.until(four)
        await asyncio.sleep(1.0)
        assert len(await server.instances(definition="line")) == 4
    listener.close()
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            assert b"of-the-shop" not in path.read_bytes(), path
