"""A thousand tenants that start what they need, and one that starts as much as it can: what the others notice of it.

A server of its own process on the embedded log, callers in another, the flood in a third. Slices without and with the flood take turns in one run, so that a
machine that is busy with something else is so for both. First as it is without a setting, then with FLOWLEDGER_RATE_PER_TENANT. One JSON line per figure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from flowledger.bench.callers import OK, REFUSED, USUAL, Callers, Counts
from flowledger.bench.overload import FEW, MODEL, _free, _ready, p_ms

TENANTS = int(os.environ.get("FLOWLEDGER_BENCH_TENANTS", "1000"))
#: of one slice, of which there are two by two
SECONDS = float(os.environ.get("FLOWLEDGER_BENCH_TENANTS_S", "4"))
SLICES = 3
#: connections of the one that floods, and how much of what the server can do the others ask for together
FLOOD, SHARE = 200, 0.25
#: starts a second that one tenant may do, where that is said: a hundred times what each of the others does
RATE = 25
#: what the others' p95 may be with the flood, over what it is without (requirements: APG-TEN-004)
TIMES = 2.0
FLOODER = "flood"


class Tenants(Callers):
    """Each caller is a tenant of its own, or all are one."""

    def __init__(self, port: int, callers: int, one: str = "") -> None:
        super().__init__(port, callers)
        self._does = dict.fromkeys(self._does, USUAL)
        self._requests = {fd: _start(one or f"t{n}") for n, fd in enumerate(self._does)}

    def request(self, fd: int, kind: str) -> bytes:
        return self._requests[fd]


def _start(tenant: str) -> bytes:
    body = '{"definition": "much"}'
    return (
        f"POST /v1/instances HTTP/1.1\r\nhost: 127.0.0.1\r\nx-tenant: {tenant}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _deploy(port: int, tenants: int) -> None:
    from http.client import HTTPConnection

    line, body = HTTPConnection("127.0.0.1", port, timeout=60), json.dumps({"resources": [{"name": "m.bpmn", "content": MODEL}]})
    for tenant in (FLOODER, *(f"t{n}" for n in range(tenants))):
        line.request("POST", "/v1/deployments", body, {"content-type": "application/json", "x-tenant": tenant})
        answer = line.getresponse()
        said = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f"deployment for {tenant}: {answer.status} {said[:300]!r}")
    line.close()


def run(seconds: float = SECONDS, tenants: int = TENANTS) -> list[dict[str, Any]]:
    from flowledger.infra import postgres_server

    out: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="flowledger-tenants-") as folder:
        os.chmod(folder, 0o755)
        dsn = os.environ.get("POSTGRES_URL") or postgres_server.start(Path(folder) / "postgres")
        for name, more in (("tenants", {}), ("tenants.limited", {"FLOWLEDGER_RATE_PER_TENANT": str(RATE)})):
            port = _free()
            env = {**os.environ, "FLOWLEDGER_LOG_LEVEL": "error", "FLOWLEDGER_POSTGRES": dsn, **more}
            data = f"{folder}/{name}"
            server = subprocess.Popen(
                [sys.executable, "-m", "flowledger", "serve", "--roles", "api,owner", "--data", data, "--port", str(port)], env=env
            )
            try:
                _ready(port, server)
                _deploy(port, tenants)
                out += turns(name, port, seconds, tenants)
            finally:
                server.terminate()
                server.wait(30)
    return out


def turns(name: str, port: int, seconds: float, tenants: int) -> list[dict[str, Any]]:
    few = Tenants(port, FEW)
    few.run(1.0, 0.0)
    can = len(few.run(seconds / 2, 0.0).of(OK, USUAL)) / (seconds / 2)
    few.close()
    others = Tenants(port, tenants)
    pace = tenants / (SHARE * can)
    calm, flooded, flood = Counts(), Counts(), Counts()
    for _ in range(SLICES):
        _more(calm, others.run(seconds, pace))
        beside = subprocess.Popen(
            [sys.executable, "-m", "flowledger.bench.tenants", "flood", str(port), str(seconds + 1)], stdout=subprocess.PIPE, text=True
        )
        assert beside.stdout is not None
        beside.stdout.readline()  # it has begun
        _more(flooded, others.run(seconds, pace))
        told = json.loads(beside.communicate(timeout=60)[0])
        for status, many in told.items():
            flood.by.setdefault((USUAL, int(status)), []).extend([0.0] * many)
    others.close()
    return figures(name, calm, flooded, flood, can, tenants, seconds * SLICES)


def _more(to: Counts, found: Counts) -> None:
    for key, times in found.by.items():
        to.by.setdefault(key, []).extend(times)


def figures(name: str, calm: Counts, flooded: Counts, flood: Counts, can: float, tenants: int, seconds: float) -> list[dict[str, Any]]:
    def row(what: str, counts: Counts) -> dict[str, Any]:
        done, away = counts.of(OK, USUAL), counts.of(REFUSED, USUAL)
        return {
            "name": f"{name}.{what}", "value": p_ms(done, 0.95), "unit": "ms (p95)", "p50_ms": p_ms(done, 0.5), "starts": len(done),
            "refused": len(away), "tenants": tenants, "other": {s: len(t) for (_, s), t in counts.by.items() if s not in (OK, REFUSED)},
        }  # fmt: skip

    without, beside = row("others.calm", calm), row("others.flooded", flooded)
    times = round(beside["value"] / max(1, without["value"]), 2)
    return [
        {"name": f"{name}.can", "value": round(can), "unit": "starts/s", "callers": FEW},
        without,
        beside,
        {"name": f"{name}.times", "value": times, "unit": "of p95 without the flood", "wanted": TIMES, "holds": times <= TIMES and not beside["refused"]},
        {
            "name": f"{name}.flood", "value": round(len(flood.of(OK, USUAL)) / seconds), "unit": "starts/s",
            "refused_per_s": round(len(flood.of(REFUSED, USUAL)) / seconds), "connections": FLOOD,
        },
    ]  # fmt: skip


def flooding(port: int, seconds: float) -> None:
    one = Tenants(port, FLOOD, FLOODER)
    one.run(0.3, 0.0)
    print("begun", flush=True)
    found = one.run(seconds, 0.0)
    one.close()
    counts: dict[int, int] = {}
    for (_, status), times in found.by.items():
        counts[status] = counts.get(status, 0) + len(times)
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["flood"]:
        flooding(int(sys.argv[2]), float(sys.argv[3]))
    else:
        for each in run():
            print(json.dumps(each), flush=True)
