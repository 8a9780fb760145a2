"""Where signed heads are kept outside of the log, and the key that signs them."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from flowledger.events import commands as c
from flowledger.events.heads import Head, parse_head
from flowledger.infra import anchors as module
from flowledger.infra import signing
from flowledger.infra.anchors import Anchors, places
from flowledger.infra.heads import key_path, signing_of
from flowledger.infra.log_memory import MemoryLog, MemoryStore
from flowledger.infra.settings import SettingsError, load
from flowledger.processors.engine import Engine
from flowledger.processors.heads import Heads, Signing
from flowledger.processors.owner import Settings

pytestmark = pytest.mark.req("APG-CMP-001")
HEAD = Head(0, 1, 2, 3, "ab" * 32, 4, "k", "00")


class Sink:
    """An HTTP server that takes heads, or doesn't."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Head]] = []
        self.codes: list[int] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                code = sink.codes.pop(0) if sink.codes else 200
                if code == 200:
                    sink.got.append((self.headers.get("Authorization", ""), parse_head(body.decode())))
                self.send_response(code)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/heads"


@pytest.fixture
def sink():
    sink = Sink()
    yield sink
    sink.server.shutdown()


def until(look, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not look():
        assert time.monotonic() < deadline, "it didn't come in time"
        time.sleep(0.01)


def test_a_place_that_fails_is_tried_again_and_said(sink, monkeypatch):
    monkeypatch.setattr(module, "AGAIN_S", 0.05)
    sink.codes = [503, 500]
    seen: list[tuple[str, bool]] = []
    kept = Anchors(places([sink.url], "token"), lambda place, ok: seen.append((place, ok)))
    kept.put(HEAD)
    until(lambda: bool(kept.errors))
    assert "503" in kept.errors[0] or "500" in kept.errors[0]
    until(lambda: bool(sink.got))
    until(lambda: not kept.errors)
    assert sink.got == [("Bearer token", HEAD)] and [ok for _, ok in seen] == [False, False, True]
    kept.close()


def test_heads_of_a_place_that_stays_away_are_bounded_and_the_newest_stay(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "WAITING_MAX", 3)
    blocked = tmp_path / "file"
    blocked.write_text("")
    kept = Anchors(places([f"file:{blocked}/heads.jsonl"]))
    for number in range(10):
        kept.put(Head(0, 1, number, 3, "ab" * 32, 4, "k", "00"))
    until(lambda: bool(kept.errors))
    assert kept._keepers[0].queue.qsize() <= 3
    kept.close(0.1)


@pytest.mark.parametrize("wrong", ["file:", "ftp://x/y", "/tmp/x", ""])
def test_a_place_of_an_unknown_kind_is_refused(wrong):
    with pytest.raises(ValueError, match="file:PATH"):
        places([wrong])


class Taken:
    errors: list[str] = []

    def __init__(self) -> None:
        self.heads: list[Head] = []

    def put(self, head: Head) -> None:
        self.heads.append(head)


def test_when_a_head_is_due(tmp_path):
    """By groups, or by time; never for a group that holds heads alone; never for what is not acknowledged."""
    key, taken = signing.generate(tmp_path / "k.pem"), Taken()
    heads = Heads(Signing(key, taken, groups_max=3, seconds_max=10), 0, 1, 1, "")
    assert [type(e).__name__ for e in heads.collect(0)] == ["KeyIntroduced"] and heads.collect(10**12) == []
    for number in (2, 3):
        heads.sealed(0)
        heads.acked(number, number * 10, b"\x01" * 32, 100)
        assert heads.collect(100) == []
    heads.sealed(100)
    heads.acked(4, 40, b"\x02" * 32, 100)
    (event,) = heads.collect(100)
    assert (event.number, event.end) == (4, 40) and taken.heads[0].end == 40  # type: ignore[attr-defined]
    assert signing.check(key.public, bytes.fromhex(taken.heads[0].signature), taken.heads[0].message)
    heads.sealed(200)
    heads.acked(6, 60, b"\x03" * 32, 200)
    assert heads.collect(200) == [] and heads.at_us == 10_000_200
    assert len(heads.collect(10_000_200)) == 1
    heads.sealed(20_000_000)
    assert heads.collect(10**9) == [], "what is under way waits for its acknowledgement"


async def test_health_says_that_a_place_fails(tmp_path):
    (tmp_path / "file").write_text("")
    key = signing.generate(tmp_path / "k.pem")
    anchors = Anchors(places([f"file:{tmp_path}/file/x"]))
    engine = Engine(MemoryLog(MemoryStore(1)), partitions=1, settings=Settings(signing=Signing(key, anchors, 1, 0.05)))
    await engine.start()
    await engine.call(c.CreateTask(job_type="w"), id="a")
    for _ in range(200):
        if engine.health()["warnings"]:
            break
        await asyncio.sleep(0.02)
    health = engine.health()
    assert health["ready"] and "can't be anchored" in health["warnings"][0], health
    await engine.stop()
    anchors.close(0.1)


def test_the_key_of_an_installation(tmp_path):
    settings = load(environment={}, data=str(tmp_path / "data"))
    assert signing_of(settings) is not None
    path = key_path(settings)
    assert path is not None and path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    first = signing.KeyFile(path).id
    again = signing_of(settings)
    assert again is not None and again.signer.id == first
    assert signing_of(load(environment={}, data=str(tmp_path), kafka="k:1")) is None
    assert signing_of(load(environment={}, data=str(tmp_path), signing_key="none")) is None


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda p: p.chmod(0o644), "others may read it"),
        (lambda p: p.write_text("no key"), "expected an Ed25519 private key"),
        (lambda p: p.unlink(), "No such file"),
        (lambda p: p.with_name(p.name + ".keys").write_text("{"), "keys"),
        (lambda p: (p.unlink(), signing._write_key(p, signing.Ed25519PrivateKey.generate())), "bring back the file that goes with it"),
    ],
)
def test_a_key_that_cant_be_used_is_refused_with_what_to_do(tmp_path, harm, why):
    path = tmp_path / "k.pem"
    signing.generate(path)
    harm(path)
    with pytest.raises(SettingsError, match=why):
        signing_of(load(environment={}, data=str(tmp_path), signing_key=str(path)))


def test_a_rotation_that_was_cut_short_is_finished(tmp_path, monkeypatch):
    path = tmp_path / "k.pem"
    first = signing.generate(path)
    real = os.replace

    def cut(source: object, target: object) -> None:
        if str(target) == str(path):
            raise KeyboardInterrupt
        real(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr(signing.os, "replace", cut)
    with pytest.raises(KeyboardInterrupt):
        signing.rotate(path)
    monkeypatch.undo()
    found = signing.KeyFile(path)
    assert found.id != first.id and found.known[-1].by == first.id
    lines = [json.loads(x) for x in (tmp_path / "k.pem.keys").read_text().splitlines()]
    assert [x["id"] for x in lines] == [first.id, found.id]
