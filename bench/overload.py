"""Ten times more starts than it can do: what is let in is answered within a second, the rest hears when to come again, memory stays bounded.

A server of its own process on the embedded log; callers that send again as soon as they are answered, from another process. First few of them,
to see what it can do; then as many as make ten times of it. One JSON line per figure.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FEW = 16
SECONDS = float(os.environ.get("FLOWLEDGER_BENCH_OVERLOAD_S", "6"))
CALLERS = int(os.environ.get("FLOWLEDGER_BENCH_OVERLOAD_CALLERS", "1500"))
MODEL = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t"><process id="much" isExecutable="true">'
    '<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="e"/><endEvent id="e"/></process></definitions>'
)


class Counts:
    """What callers heard: status -> latencies in seconds."""

    def __init__(self) -> None:
        self.by_status: dict[int, list[float]] = {}
        self.hints = 0

    def p(self, status: int, share: float) -> float:
        found = sorted(self.by_status.get(status, [0.0]))
        return found[min(len(found) - 1, int(len(found) * share))]


async def caller(port: int, end: float, counts: Counts, low: bool = False) -> None:
    """Keeps one connection, and starts instance after instance; who is refused comes again after a moment."""
    body = json.dumps({"definition": "much", "priority": "low"} if low else {"definition": "much"}).encode()
    head = f"POST /v1/instances HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < end:
            began = time.perf_counter()
            writer.write(head.encode() + body)
            status, length = int((await reader.readline()).split()[1]), 0
            while (line := await reader.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                elif name.lower() == b"retry-after":
                    counts.hints += 1
            await reader.readexactly(length)
            counts.by_status.setdefault(status, []).append(time.perf_counter() - began)
            if status == 429:
                await asyncio.sleep(0.1)  # far less patient than it was told
    finally:
        writer.close()


async def load(port: int, callers: int, seconds: float) -> Counts:
    counts = Counts()
    end = time.perf_counter() + seconds
    tasks = [asyncio.create_task(caller(port, end, counts)) for _ in range(callers)]
    done = await asyncio.gather(*tasks, return_exceptions=True)
    if failed := [e for e in done if isinstance(e, BaseException)]:
        counts.by_status.setdefault(0, []).extend(0.0 for _ in failed)
    return counts


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
    import socket

    from flowledger.infra import postgres_server

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="flowledger-overload-") as folder:
        os.chmod(folder, 0o755)
        dsn = os.environ.get("POSTGRES_URL") or postgres_server.start(Path(folder) / "postgres")
        env = {**os.environ, "FLOWLEDGER_LOG_LEVEL": "error", "FLOWLEDGER_POSTGRES": dsn}
        command = [sys.executable, "-m", "flowledger", "serve", "--roles", "api,owner", "--data", f"{folder}/data", "--port", str(port)]
        server = subprocess.Popen(command, env=env)
        try:
            _ready(port, server)
            _post(f"http://127.0.0.1:{port}/v1/deployments", {"resources": [{"name": "m.bpmn", "content": MODEL}]})
            asyncio.run(load(port, FEW, 1.0))
            calm = asyncio.run(load(port, FEW, seconds / 2))
            before = rss_mib(server.pid)
            storm = asyncio.run(load(port, callers, seconds))
            after = rss_mib(server.pid)
        finally:
            server.terminate()
            server.wait(30)
    can = len(calm.by_status.get(201, ())) / (seconds / 2)
    offered = sum(map(len, storm.by_status.values())) / seconds
    admitted = storm.by_status.get(201, [])
    return [
        {"name": "overload.can", "value": round(can), "unit": "starts/s", "callers": FEW, "p99_ms": round(calm.p(201, 0.99) * 1000)},
        {
            "name": "overload.admitted", "value": round(len(admitted) / seconds), "unit": "starts/s", "callers": callers,
            "p50_ms": round(storm.p(201, 0.5) * 1000), "p99_ms": round(storm.p(201, 0.99) * 1000),
        },
        {
            "name": "overload.refused", "value": len(storm.by_status.get(429, ())), "unit": "requests", "with_retry_after": storm.hints,
            "offered_per_s": round(offered), "p99_ms": round(storm.p(429, 0.99) * 1000),
            "other": {k: len(v) for k, v in storm.by_status.items() if k not in (201, 429)},
        },
        {"name": "overload.memory", "value": round(after - before), "unit": "MiB more", "before": round(before), "after": round(after)},
    ]  # fmt: skip


if __name__ == "__main__":
    for each in run():
        print(json.dumps(each), flush=True)
