"""Ten times more starts than it can do: what is let in is answered within a second, the rest hears when to come again, memory stays bounded.

A server of its own process on the embedded log, callers in another. First few of them that send again as soon as they are answered, to see
what it can do; then many that together offer ten times of it, and come again whatever they are told. One JSON line per figure.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

#: callers of the calm run, and times that the storm offers more than it did
FEW, TIMES = 16, 10
#: every so-manieth caller says that it is unimportant
LOW_EVERY = 5
#: so long after the end answers are waited for (seconds)
GIVE_UP_S = 30.0
SECONDS = float(os.environ.get("FLOWLEDGER_BENCH_OVERLOAD_S", "6"))
CALLERS = int(os.environ.get("FLOWLEDGER_BENCH_OVERLOAD_CALLERS", "1500"))
MODEL = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t"><process id="much" isExecutable="true">'
    '<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="e"/><endEvent id="e"/></process></definitions>'
)

_HEAD = "POST /v1/instances HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
#: by whether it is unimportant
REQUESTS = [
    f"{_HEAD}{more}content-length: {len(body)}\r\n\r\n{body}".encode()
    for more, body in (("", '{"definition": "much"}'), ("priority: u=6\r\n", '{"definition": "much", "priority": "low"}'))
]


class Counts:
    """What callers heard: (unimportant, status) -> latencies in seconds."""

    def __init__(self) -> None:
        self.by: dict[tuple[bool, int], list[float]] = {}
        self.hints = 0

    def of(self, status: int, low: bool | None = None) -> list[float]:
        return sorted(t for (l, s), found in self.by.items() if s == status and low in (None, l) for t in found)


class Callers:
    """Each keeps a connection and has one request at a time on it, sent `pace` seconds after the one before, or when that is answered.

    One thread, `epoll`, requests encoded once: on two cores the load must not take what it measures.
    """

    def __init__(self, port: int, callers: int) -> None:
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        for _ in range(callers):
            one = socket.create_connection(("127.0.0.1", port))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.setblocking(False)
            self._sockets[one.fileno()] = one
            self._poll.register(one, select.EPOLLIN)
        self._low = {fd for n, fd in enumerate(self._sockets) if n % LOW_EVERY == LOW_EVERY - 1}

    def run(self, seconds: float, pace: float) -> Counts:
        counts, clock = Counts(), time.perf_counter
        begin = clock()
        end = begin + seconds
        next_at = [(begin + i * pace / len(self._sockets), fd) for i, fd in enumerate(self._sockets)]  # sorted: a heap
        sent: dict[int, float] = {}
        parts: dict[int, bytes] = {}
        while sent or clock() < end:
            now = clock()
            while next_at and next_at[0][0] <= now < end:
                fd = heappop(next_at)[1]
                sent[fd] = clock()
                self._sockets[fd].send(REQUESTS[fd in self._low])
            if now > end + GIVE_UP_S:
                counts.by.setdefault((False, 0), []).extend(now - t for t in sent.values())
                break
            for fd, _ in self._poll.poll(max(0.0, min(0.05, next_at[0][0] - clock() if next_at else 0.05))):
                got = self._sockets[fd].recv(65_536)
                if not got and fd not in sent:  # it was silent for too long, behind the end
                    self._poll.unregister(fd)
                    continue
                data = parts.pop(fd, b"") + got
                head = data.find(b"\r\n\r\n")
                size = int(data[data.index(b"content-length: ") + 16 : head].split(b"\r", 1)[0]) if head > 0 else 0
                if head < 0 or len(data) < head + 4 + size:
                    if not got:
                        raise ConnectionResetError("the server has closed a connection")
                    parts[fd] = data
                    continue
                took = clock() - sent.pop(fd)
                counts.by.setdefault((fd in self._low, int(data[9:12])), []).append(took)
                counts.hints += b"retry-after" in data
                heappush(next_at, (clock() + max(0.0, pace - took), fd))
        return counts

    def close(self) -> None:
        for one in self._sockets.values():
            one.close()
        self._poll.close()


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
            few = Callers(port, FEW)
            few.run(1.0, 0.0)
            calm = few.run(seconds / 2, 0.0)
            few.close()
            can = len(calm.of(201)) / (seconds / 2)
            before = rss_mib(server.pid)
            many = Callers(port, callers)
            storm = many.run(seconds, callers / (TIMES * can))
            after = rss_mib(server.pid)
            many.close()
        finally:
            server.terminate()
            server.wait(30)
    return figures(calm, storm, can, seconds, callers, (before, after))


def figures(calm: Counts, storm: Counts, can: float, seconds: float, callers: int, mib: tuple[float, float]) -> list[dict[str, Any]]:
    admitted, refused = storm.of(201), storm.of(429)
    offered = sum(map(len, storm.by.values())) / seconds
    shares = {
        name: round(len(storm.of(201, low)) / max(1, len(storm.of(201, low)) + len(storm.of(429, low))), 3)
        for name, low in (("usual", False), ("low", True))
    }
    other = {status: len(storm.of(status)) for _, status in storm.by if status not in (201, 429)}
    return [
        {"name": "overload.can", "value": round(can), "unit": "starts/s", "callers": FEW, "p99_ms": p_ms(calm.of(201), 0.99)},
        {
            "name": "overload.admitted", "value": round(len(admitted) / seconds), "unit": "starts/s", "callers": callers,
            "p50_ms": p_ms(admitted, 0.5), "p99_ms": p_ms(admitted, 0.99), "admitted_of": shares,
        },
        {
            "name": "overload.refused", "value": len(refused), "unit": "requests", "with_retry_after": storm.hints,
            "offered_per_s": round(offered), "times": round(offered / can, 1), "p99_ms": p_ms(refused, 0.99), "other": other,
        },
        {"name": "overload.memory", "value": round(mib[1] - mib[0]), "unit": "MiB more", "before": round(mib[0]), "after": round(mib[1])},
    ]  # fmt: skip


def p_ms(found: list[float], share: float) -> int:
    """Of sorted seconds, in milliseconds."""
    return round(found[min(len(found) - 1, int(len(found) * share))] * 1000) if found else 0


if __name__ == "__main__":
    for each in run():
        print(json.dumps(each), flush=True)
