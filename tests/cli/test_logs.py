"""Logs: one form for all who speak, a line that comes again and again is counted, and each request that was answered."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from flowledger import logs
from flowledger.api.grpc.gateway import Connection, Gateway, Method
from flowledger.api.grpc.status import NOT_FOUND, UNAVAILABLE, Refused
from flowledger.api.guard import Guard
from flowledger.infra.settings import Settings
from flowledger.infra.telemetry import Telemetry


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]):
    """The records written since the last call, as JSON says them."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    logs.configure("info", "json", "n1")
    yield read
    logs.configure("warning", "console")
    root.handlers[:], root.level = handlers, level


def test_all_who_speak_do_it_in_one_form(lines: Any):
    logs.log("owner").info("took over", partition=3)
    logging.getLogger("somebody.else").warning("it is %s", "late")
    logging.getLogger("somebody.else").log(25, "a level of its own")
    try:
        raise ValueError("x")
    except ValueError:
        logging.getLogger("somebody.else").exception("failed")
        logs.log("owner").exception("failed")
    logs.log("owner").debug("too much")
    found = [r for r in lines() if r["node"] == "n1"]  # what other tests left running speaks too
    assert [(r["component"], r["level"], r["event"], r["node"]) for r in found] == [
        ("owner", "info", "took over", "n1"), ("somebody.else", "warning", "it is late", "n1"),
        ("somebody.else", "info", "a level of its own", "n1"), ("somebody.else", "error", "failed", "n1"), ("owner", "error", "failed", "n1"),
    ]  # fmt: skip
    assert found[0]["partition"] == 3 and all("timestamp" in r for r in found) and all("ValueError: x" in r["exception"] for r in found[3:])


def test_a_console_shows_the_same(capsys: pytest.CaptureFixture[str], lines: Any):
    logs.configure("info", "console")
    logs.log("owner").warning("fenced", partition=3)
    said = capsys.readouterr().err
    assert "fenced" in said and "partition=3" in said and "component=owner" in said and said.count("\n") == 1


def test_a_line_that_comes_again_is_counted_not_repeated(lines: Any):
    for _ in range(1000):
        logs.log("owner").warning("not sent", why="away")
        logging.getLogger("lib").error("no answer")
    assert [r["event"] for r in lines()] == ["not sent", "no answer"]
    logs.log("owner").error("not sent", why="away")  # another level, another part, another text: other lines
    logs.log("tail").warning("not sent", why="away")
    logs.log("owner").warning("not read", why="away")
    assert len(lines()) == 3
    logs.end()
    assert [(r["event"], r["repeated"], r["level"], r["component"]) for r in lines()] == [
        ("not sent", 999, "warning", "owner"), ("no answer", 999, "error", "lib"),
    ]  # fmt: skip
    logs.end()
    logs.log("owner").warning("not sent", why="away")
    assert [r.get("repeated") for r in lines()] == [None]


def test_lines_that_differ_only_in_what_they_speak_of_are_limited_too(lines: Any):
    for n in range(logs.LINES_MAX + 480):
        logs.log("owner").warning("dead letter", offset=n)
        logging.getLogger("lib").warning("record %d is no job", n)
    found = lines()
    assert [r["event"] for r in found].count("dead letter") == logs.LINES_MAX == len(found) // 2
    logs.end()
    last = lines()
    assert last[0]["repeated"] == last[1]["repeated"] == 480 and last[0]["offset"] == logs.LINES_MAX + 479


def test_what_was_left_out_is_told_by_itself_and_after_its_window_a_line_passes_again(lines: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logs, "WINDOW_S", 0.2)
    logs.log("owner").warning("not sent")
    logs.log("owner").warning("not sent")
    assert len(lines()) == 1
    began, found = time.monotonic(), []
    while not found and time.monotonic() - began < 30:
        time.sleep(0.05)
        found = lines()
    assert [r["repeated"] for r in found] == [1]
    logs.log("owner").warning("not sent")
    assert len(lines()) == 1


def test_windows_end_by_the_clock_and_their_number_has_a_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logs, "TEXTS_MAX", 3)
    now, told = [0.0], []
    flood = logs.Flood(told.append, lambda: now[0])

    def passes(text: str) -> bool:
        try:
            return bool(flood(None, "info", {"event": text, "level": "info"}))
        except logs.structlog.DropEvent:
            return False

    assert [passes("a"), passes("a"), passes("a")] == [True, False, False]
    now[0] = logs.WINDOW_S - 0.01
    assert not passes("a") and not told
    now[0] = logs.WINDOW_S
    assert passes("a") and told == [{"event": "a", "level": "info", "repeated": 3}]
    assert not passes("a") and passes("b") and passes("c")
    assert passes("d") and told[1:] == [{"event": "a", "level": "info", "repeated": 1}], "no room: all windows end"
    assert passes("a")


@pytest.mark.parametrize(("which", "written"), [("none", []), ("errors", [14, 13]), ("all", [0, 5, 14, 13])])
async def test_a_call_of_the_gateway_is_logged_as_the_setting_says(which: str, written: list[int], lines: Any):
    gateway = Gateway(object(), access=logs.Access(which))  # type: ignore[arg-type]

    async def call(gateway: Any, request: Any, call: Any) -> str:
        if isinstance(request, Exception):
            raise request
        return "done"

    method = Method("gateway_protocol.Gateway", "Topology", None, None, call, None)
    for request in ("", Refused(NOT_FOUND, "no"), Refused(UNAVAILABLE, "no"), ValueError("a defect")):
        try:
            await gateway.unary(method, request, {"x-correlation-id": "c1"}, Connection("10.0.0.9:1"))
        except Refused:
            pass
    found = [r for r in lines() if r["component"] == "access"]
    assert [r["status"] for r in found] == written
    assert all(r["method"] == "Topology" and r["correlation"] == "c1" and r["client"] == "10.0.0.9:1" and r["ms"] >= 0 for r in found)


@pytest.mark.parametrize(("which", "written"), [("none", []), ("errors", [503]), ("all", [200, 404, 503])])
async def test_a_request_is_logged_as_the_setting_says_without_its_query(which: str, written: list[int], lines: Any):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": int(scope["path"][1:]), "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def nobody(message: Any = None) -> None:
        pass

    services: Any = SimpleNamespace(settings=Settings(), telemetry=Telemetry(access=logs.Access(which)))
    for status in (200, 404, 503):
        await Guard(app, services)(
            {"type": "http", "method": "GET", "path": f"/{status}", "query_string": b"name=bob", "client": ("10.0.0.9", 1),
             "headers": [(b"host", b"localhost"), (b"x-correlation-id", b"c1")]}, nobody, nobody,
        )  # type: ignore[arg-type] # fmt: skip
    found = lines()
    assert [r["status"] for r in found] == written and "bob" not in str(found)
    assert all((r["method"], r["path"], r["client"], r["correlation"]) == ("GET", f"/{r['status']}", "10.0.0.9", "c1") for r in found)


def test_with_all_no_request_is_counted_away(lines: Any):
    access = logs.Access("all")
    for _ in range(100):
        access.done(True, time.perf_counter(), status=503)
        access.done(False, time.perf_counter(), status=200)
    assert len(lines()) == 200
    for _ in range(100):
        logs.Access("errors").done(True, 0.0, status=503)
    assert len(lines()) <= logs.LINES_MAX


def test_a_server_does_not_load_what_only_draws_on_terminals():
    """`rich`, which structlog takes along, is 80 modules and 3.6 MB in each process. Who asks for it afterwards has it, and a failure is told in full."""
    program = """
import sys
import flowledger.system, flowledger.owners, flowledger.stores, flowledger.infra.heads, flowledger.infra.observer, flowledger.connectors.check
from flowledger import logs
assert not {"rich", "pygments"} & {name.partition(".")[0] for name in sys.modules}, "loaded"
logs.configure("info", "console")
try:
    raise ValueError("odd")
except ValueError as e:
    logs.log("x").error("it failed", exc_info=e)
import rich.console
print(rich.console.Console.__name__)
"""
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert said.stdout == "Console\n"
    assert "it failed" in said.stderr and "Traceback (most recent call last)" in said.stderr and "ValueError: odd" in said.stderr
