"""Ten times more starts than it can do: what is let in is answered within a second, the rest hears when to come again, work on what runs
goes on, memory stays bounded.

Over HTTP, then over gRPC. A server of its own process on the embedded log, callers in another. First few of them that send again as soon as they are answered, to see
what it can do; then many that together offer ten times of it, and come again whatever they are told. One JSON line per figure.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from flowledger.bench.callers import LOW, OK, REFUSED, RUNNING, USUAL, Callers, Counts, GrpcCallers

#: callers of the calm run, and times that the storm offers more than it did
FEW, TIMES = 16, 10
SECONDS = float(os.environ.get("FLOWLEDGER_BENCH_OVERLOAD_S", "6"))
CALLERS = int(os.environ.get("FLOWLEDGER_BENCH_OVERLOAD_CALLERS", "1500"))
MODEL = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t"><process id="much" isExecutable="true">'
    '<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="e"/><endEvent id="e"/></process></definitions>'
)


def rss_mib(pid: int) -> float:
    """Of a process and its children, MiB."""
    total = 0.0
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in (str(pid), *children):
        for line in Path(f"/proc/{each}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                total += int(line.split()[1]) / 1024
    return total


def _post(url: str, body: Any) -> None:
    from urllib.request import Request, urlopen

    urlopen(Request(url, json.dumps(body).encode(), {"content-type": "application/json"}), timeout=30).read()


def _ready(port: int, server: subprocess.Popen[bytes]) -> None:
    from urllib.error import URLError
    from urllib.request import urlopen

    end = time.monotonic() + 90
    while time.monotonic() < end:
        if server.poll() is not None:
            raise RuntimeError("the server ended")
        try:
            if urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5).status == 200:
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError("the server did not become ready")


def run(seconds: float = SECONDS, callers: int = CALLERS) -> list[dict[str, Any]]:
    from flowledger.infra import postgres_server

    with tempfile.TemporaryDirectory(prefix="flowledger-overload-") as folder:
        os.chmod(folder, 0o755)
        dsn = os.environ.get("POSTGRES_URL") or postgres_server.start(Path(folder) / "postgres")
        port, grpc_port = _free(), _free()
        env = {**os.environ, "FLOWLEDGER_LOG_LEVEL": "error", "FLOWLEDGER_POSTGRES": dsn, "FLOWLEDGER_GRPC_PORT": str(grpc_port)}
        command = [
            sys.executable,
            "-m",
            "flowledger",
            "serve",
            "--roles",
            "api,owner,grpc",
            "--data",
            f"{folder}/data",
            "--port",
            str(port),
        ]
        server = subprocess.Popen(command, env=env)
        try:
            _ready(port, server)
            _post(f"http://127.0.0.1:{port}/v1/deployments", {"resources": [{"name": "m.bpmn", "content": MODEL}]})
            out = storm("overload", Callers, port, server.pid, seconds, callers)
            return out + storm("overload.grpc", GrpcCallers, grpc_port, server.pid, seconds, callers)
        finally:
            server.terminate()
            server.wait(30)


def storm(name: str, kind: type[Callers], port: int, pid: int, seconds: float, callers: int) -> list[dict[str, Any]]:
    few = kind(port, FEW)
    few.run(1.0, 0.0)
    calm = few.run(seconds / 2, 0.0)
    few.close()
    can = len(calm.of(OK, USUAL, LOW)) / (seconds / 2)
    before = rss_mib(pid)
    many = kind(port, callers)
    many.some_run()
    found = many.run(seconds, callers / (TIMES * can))
    after = rss_mib(pid)
    many.close()
    return figures(name, calm, found, can, seconds, callers, (before, after))


def _free() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def figures(
    name: str, calm: Counts, storm: Counts, can: float, seconds: float, callers: int, mib: tuple[float, float]
) -> list[dict[str, Any]]:
    starts = (USUAL, LOW)
    admitted, refused = storm.of(OK, *starts), storm.of(REFUSED, *starts)
    running, kept_out = storm.of(OK, RUNNING), storm.of(REFUSED, RUNNING)
    offered = sum(map(len, storm.by.values())) / seconds
    shares = {kind: round(len(storm.of(OK, kind)) / max(1, len(storm.of(OK, kind)) + len(storm.of(REFUSED, kind))), 3) for kind in starts}
    other = {status: len(found) for (_, status), found in storm.by.items() if status not in (OK, REFUSED)}
    return [
        {"name": f"{name}.can", "value": round(can), "unit": "starts/s", "callers": FEW, "p99_ms": p_ms(calm.of(OK, *starts), 0.99)},
        {
            "name": f"{name}.admitted", "value": round(len(admitted) / seconds), "unit": "starts/s", "callers": callers,
            "p50_ms": p_ms(admitted, 0.5), "p99_ms": p_ms(admitted, 0.99), "admitted_of": shares,
        },
        {
            "name": f"{name}.refused", "value": len(refused), "unit": "requests", "with_retry_after": sum(storm.hints[kind] for kind in starts),
            "offered_per_s": round(offered), "times": round(offered / can, 1), "p99_ms": p_ms(refused, 0.99), "other": other,
        },
        {
            "name": f"{name}.running", "value": round(len(running) / seconds), "unit": "calls/s", "share": round(len(running) / max(1, len(running) + len(kept_out)), 3),
            "p50_ms": p_ms(running, 0.5), "p99_ms": p_ms(running, 0.99),
        },
        {"name": f"{name}.memory", "value": round(mib[1] - mib[0]), "unit": "MiB more", "before": round(mib[0]), "after": round(mib[1])},
    ]  # fmt: skip


def p_ms(found: list[float], share: float) -> int:
    """Of sorted seconds, in milliseconds."""
    return round(found[min(len(found) - 1, int(len(found) * share))] * 1000) if found else 0


if __name__ == "__main__":
    for each in run():
        print(json.dumps(each), flush=True)
