"""Backup, restore and upgrade as docs/operations.md has them: each line is run by a shell, beside real servers."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(420), pytest.mark.postgres]
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d" targetNamespace="t">
<process id="kept" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="a"/>
<serviceTask id="a"><extensionElements><zeebe:taskDefinition type="work"/></extensionElements></serviceTask>
<sequenceFlow id="g" sourceRef="a" targetRef="e"/><endEvent id="e"/></process></definitions>"""


class Shell:
    """A folder in which the lines of the page are run, with its server on a port of our own."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        programs = folder / "programs"
        programs.mkdir()
        for name, body in (
            ("flowledger", f'exec "{sys.executable}" -m flowledger "$@"'),
            ("pip", 'test "$*" = "install --upgrade flowledger"'),
        ):
            (programs / name).write_text(f"#!/bin/sh\n{body}\n")
            (programs / name).chmod(0o755)
        own = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "FLOWLEDGER_PORT": str(self.port),
            "FLOWLEDGER_GRPC_PORT": "0",
            "FLOWLEDGER_PARTITIONS": "2",
        }
        self.env = {**os.environ, **own, **env}
        self.http = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def run(self, script: str) -> None:
        if "&\n" in script:  # a server: what is its number
            script += "\necho $! > pid\n"
        with (self.folder / "said.txt").open("a") as said:
            done = subprocess.run(
                ["bash", "-ec", script.replace(":8080", f":{self.port}")], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=said,
                stderr=said, timeout=200,
            )  # fmt: skip
        assert done.returncode == 0, (self.folder / "said.txt").read_text()[-4000:]

    def page(self, title: str) -> None:
        """The block of the page that begins with `# title`."""
        [block] = [b for b in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL) if b.startswith(f"# {title}")]
        self.run(block)

    def start(self, words: str, before: str = "") -> None:
        self.run(f"{before}flowledger dev {words} &\nuntil curl -sf http://127.0.0.1:8080/health/ready; do sleep 0.3; done")

    def stop(self) -> None:
        self.run("[ ! -e pid ] || { kill $(cat pid); while kill -0 $(cat pid) 2>/dev/null; do sleep 0.2; done; rm pid; }")

    def begin(self, count: int) -> None:
        for _ in range(count):
            answer = self.http.post("/v1/instances", json={"definition": "kept"})
            assert answer.status_code == 201, answer.text

    def work(self, count: int) -> None:
        job = {"type": "work", "worker": "w", "max": count, "timeout_ms": 60_000}
        jobs = self.http.post("/v1/jobs/activate", json=job).json()["jobs"]
        assert len(jobs) == count
        for one in jobs:
            assert self.http.post(f"/v1/jobs/{one['key']}/complete", json={"fence": one["fence"]}).status_code < 300

    def statuses(self, completed: int, running: int) -> None:
        wanted, end = sorted(["completed"] * completed + ["running"] * running), time.monotonic() + 30
        while True:
            answer = self.http.get("/v1/instances")
            found = sorted(i["status"] for i in answer.json()["items"]) if answer.status_code == 200 else answer.text
            if found == wanted:
                return
            assert time.monotonic() < end, found
            time.sleep(0.2)

    def deploy(self) -> None:
        assert self.http.post("/v1/deployments", json={"resources": [{"name": "m.bpmn", "content": MODEL}]}).status_code == 201


@pytest.mark.req("D-HA-001", "APG-HA-005")
def test_backup_restore_and_upgrade_of_one_server(tmp_path):
    shell = Shell(tmp_path)
    shell.start("--data data")
    try:
        shell.deploy()
        shell.begin(3)
        shell.env["MOMENT"] = datetime.now(UTC).isoformat()
        shell.work(1)
        shell.page("backup: ")
        shell.begin(1)  # later than the copy
        shell.page("upgrade of one server")
        shell.statuses(1, 3)
        shell.work(3)
        shell.statuses(4, 0)
    finally:
        shell.stop()
    shell.page("restore: ")
    try:
        shell.statuses(1, 2)
        shell.work(2)
        shell.statuses(3, 0)
    finally:
        shell.stop()
    shell.page("restore to a moment")
    try:
        shell.statuses(0, 3)
        shell.work(3)
        shell.statuses(3, 0)
    finally:
        shell.stop()


@pytest.mark.kafka
@pytest.mark.req("D-HA-001")
def test_backup_and_restore_of_topics(tmp_path, kafka_bootstrap):
    """Prefixes of the page get a part of their own: the broker is shared."""
    mark = uuid.uuid4().hex[:8]
    shell = Shell(tmp_path, KAFKA=kafka_bootstrap)
    run = shell.run
    shell.run = lambda script: run(re.sub(r"(--prefix |_PREFIX=)(\w+)", rf"\1pages-{mark}-\2", script))  # type: ignore[method-assign]
    shell.start('--kafka "$KAFKA" --data data', "FLOWLEDGER_PREFIX=flowledger ")
    try:
        shell.deploy()
        shell.begin(3)
        shell.work(1)
        shell.page("backup of topics")
    finally:
        shell.stop()
    shell.page("restore of topics")
    try:
        shell.statuses(1, 2)
        shell.work(2)
        shell.statuses(3, 0)
    finally:
        shell.stop()
