"""A running `flowledger serve` is told by a signal to look at the settings of its logs again: level, requests, form and where they go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowledger import logs
from flowledger.infra.settings import Settings, SettingsError
from flowledger.infra.telemetry import Telemetry

from .conftest import until

pytestmark = pytest.mark.timeout(180)


class Server:
    def __init__(self, folder: Path) -> None:
        self.folder, self.settings = folder, folder / "settings.toml"
        self.say(log_level="warning", access_log="none")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flowledger", "serve", "--roles", "owner", "--config", str(self.settings)],
            env={k: v for k, v in os.environ.items() if not k.startswith("FLOWLEDGER_")}, cwd=folder, stderr=(folder / "stderr").open("wb"),
        )  # fmt: skip

    def say(self, **told: Any) -> None:
        given = {"data": str(self.folder / "data"), "port": 0, "partitions": 1, "log_format": "json", "durability": "normal", **told}
        self.settings.write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in given.items()))

    def told(self, **settings: Any) -> None:
        self.say(**settings)
        self.process.send_signal(signal.SIGUSR1)

    def lines(self, file: str = "stderr") -> list[dict[str, Any]]:
        path = self.folder / file
        return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")] if path.exists() else []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path)
    try:
        until((tmp_path / "data" / "log.sqlite3").exists)
        until(lambda: (tmp_path / "data" / "run").exists() or found.process.poll() is not None)
        yield found
    finally:
        found.process.terminate()
        found.process.wait(60)


def said(lines: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == event]


@pytest.mark.req("WOS-CFG-005")
def test_level_requests_and_place_are_changed_while_it_runs(server: Server) -> None:
    time.sleep(1)  # `warning`: nothing of what it does when it starts is said
    assert said(server.lines(), "ready") == [] and said(server.lines(), "took over") == []
    server.told(log_level="info", access_log="all")
    anew = until(lambda: said(server.lines(), "logs are written anew"))
    assert (anew[0]["log_level"], anew[0]["access_log"]) == ("info", "all")

    server.told(log_level="info", access_log="none", log_file="server.log")
    until(lambda: said(server.lines("server.log"), "logs are written anew"))
    before = len(server.lines())
    (server.folder / "server.log").rename(server.folder / "server.log.1")
    server.told(log_level="info", access_log="all", log_file="server.log")
    until(lambda: said(server.lines("server.log"), "logs are written anew"))
    until(lambda: [line for line in said(server.lines("server.log"), "logs are written anew") if line["access_log"] == "all"])
    assert len(server.lines()) == before and len(said(server.lines("server.log.1"), "logs are written anew")) == 1, "in the new file alone"

    # the owners are a process of their own: it is told, too
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(60)
    assert said(server.lines("server.log"), "going down")
    assert {line["component"] for line in server.lines("server.log")} >= {"system", "link"}, "the link is of the owners"


def test_what_is_wrong_leaves_all_as_it_was(server: Server) -> None:
    server.told(log_level="info")
    until(lambda: said(server.lines(), "logs are written anew"))
    for wrong, why in (({"log_level": "loud"}, "log_level"), ({"log_level": "info", "log_file": "nowhere/x.log"}, "nowhere/x.log")):
        before = len(said(server.lines(), "logs are written as before"))
        server.told(**wrong)
        told = until(lambda n=before: said(server.lines(), "logs are written as before")[n:])
        assert why in told[0]["why"] and server.process.poll() is None


def test_requests_are_written_as_was_said_last(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        logs.configure("info", "json", "n")
        access = logs.Access("none")
        for which in ("none", "all", "errors", "none"):
            access.write(which)
            for failed in (False, True):
                access.done(failed, time.perf_counter(), path=f"/{which}/{failed}")
        told = [json.loads(line)["path"] for line in capsys.readouterr().err.splitlines() if '"request"' in line]
        assert told == ["/all/False", "/all/True", "/errors/True"]
    finally:
        logs.configure("warning", "console")


def test_a_file_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="setting log_file: expected a file that can be written to, found .*nowhere"):
        Telemetry.of(Settings(log_file=str(tmp_path / "nowhere" / "x.log")))


def test_no_password_is_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    try:
        logs.configure("info", "auto", "n", str(file))
        logs.log("system").info("connected", to="postgresql://ann:geheim@db/x")
        told = json.loads(file.read_text())
        assert told["event"] == "connected" and "geheim" not in file.read_text()
    finally:
        logs.configure("warning", "console")
