"""What comes through the front door: one whole server (doors, owner, projector) on Kafka and PostgreSQL, clients in a process of their own.

W1 is a start, a task done by a worker, an end; W2 ten tasks in a row; W3 a condition, a fork of three scripts and a join, its start answered with
the result. Through the Zeebe gateway (grpcio) and through the SDK. Beside each rate stands the CPU of each process for a unit (an instance; for
W2 a task), from the first start until the projections have all of it: on a machine that others use too, that is the figure to compare.
Figures are medians of the rounds. With py-spy installed, flame graphs of W1 through the gateway go into the output folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowledger.bench.doors_load import TASKS, models
from flowledger.bench.overload import _free, _post, _ready
from flowledger.bench.processes import Parts, busy_s, disk_mib, flames

ROUNDS = 3
#: door -> instances under way
UNDER_WAY = {"gateway": 64, "sdk": 128}
#: so long positions stand still before the rows are counted (seconds)
RESTS_S = 0.4
#: so long the projections may take to have what the doors have answered (seconds)
BEHIND_S = 120.0


@dataclass(frozen=True)
class Size:
    """Seconds of a loop, of its warm-up, of a paced run and of an idle look; starts a second when paced; instances to park; what the loops do."""

    window_s: float = 8.0
    warm_s: float = 3.0
    paced_s: float = 15.0
    idle_s: float = 8.0
    rate: float = 20.0
    parked: int = 5_000
    works: tuple[str, ...] = tuple(TASKS)


SHORT = Size(window_s=0.5, warm_s=0.1, paced_s=1.0, idle_s=0.5, parked=50)


class Stack:
    """The servers, and the clients' process. `split`: the projector is a process of its own, so that its CPU is told apart from the doors'."""

    def __init__(self, folder: Path, dsn: str, postgres: int, kafka: str, broker: int, split: bool) -> None:
        self.folder, self.dsn, self._ended = folder, dsn, 0
        port, grpc = _free(), _free()
        self.address = {"gateway": f"127.0.0.1:{grpc}", "sdk": f"http://127.0.0.1:{port}"}
        env = {
            **os.environ, "FLOWLEDGER_LOG_LEVEL": "error", "FLOWLEDGER_POSTGRES": dsn, "FLOWLEDGER_KAFKA": kafka,
            "FLOWLEDGER_PARTITIONS": "1", "FLOWLEDGER_GRPC_PORT": str(grpc), "FLOWLEDGER_DATA": str(folder / "data"),
        }  # fmt: skip
        self._running: list[subprocess.Popen[bytes]] = []
        try:
            began = time.monotonic()
            server = self._serve("api,owner,grpc" if split else "api,owner,grpc,projector", port, env)
            _ready(port, server)
            pids = {"door": server.pid, "owner": _child(server.pid), "postgres": postgres, "broker": broker}
            if split:
                port = _free()
                projector = self._serve("projector", port, env)
                _ready(port, projector)
                pids["projector"] = projector.pid
            self.ready_s = time.monotonic() - began
            self.clients = subprocess.Popen(
                [sys.executable, "-m", "flowledger.bench.doors_load"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            self._running.append(self.clients)
            self.server = Parts(pids)
            self.parts = Parts({**pids, "client": self.clients.pid})
            _post(f"{self.address['sdk']}/v1/deployments", {"resources": [{"name": n, "content": text} for n, text in models()]})
        except BaseException:
            self.close()
            raise

    def _serve(self, roles: str, port: int, env: dict[str, str]) -> subprocess.Popen[bytes]:
        server = subprocess.Popen([sys.executable, "-m", "flowledger", "serve", "--roles", roles, "--port", str(port)], env=env)
        self._running.append(server)
        return server

    def close(self) -> None:
        """Clients first."""
        for process in reversed(self._running):
            if process.stdin is not None:
                process.stdin.close()
            else:
                process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()

    def order(self, **what: Any) -> dict[str, Any]:
        """One order to the clients. Raises: RuntimeError: their process has ended."""
        assert self.clients.stdin is not None and self.clients.stdout is not None
        self.clients.stdin.write(json.dumps({**what, "address": self.address[what["door"]]}).encode() + b"\n")
        self.clients.stdin.flush()
        if not (line := self.clients.stdout.readline()):
            raise RuntimeError("the clients' process has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def projected(self, ended: int) -> float:
        """Waits until the projections have the ends of all that the clients saw end, and rest. Returns the seconds. Raises: TimeoutError."""
        import psycopg

        self._ended += ended
        began = moved = time.monotonic()
        before = -1
        with psycopg.connect(self.dsn, autocommit=True) as db:
            while time.monotonic() < began + BEHIND_S:
                position = _one(db, "SELECT min(next_offset) FROM flowledger.positions")
                if position != before:
                    before, moved = position, time.monotonic()
                elif time.monotonic() - moved > RESTS_S:
                    if _one(db, "SELECT count(*) FROM flowledger.workflow_instances WHERE status = 'completed'") >= self._ended:
                        return max(0.0, moved - began)
                    moved = time.monotonic()
                time.sleep(0.05)
        raise TimeoutError(f"the projections did not reach the end of the log within {BEHIND_S:.0f} s")

    def measured(self, **what: Any) -> dict[str, Any]:
        """An order, and what each process used for it until the projections had all of it, seconds of CPU."""
        before, busy = self.parts.cpu_s(), busy_s()
        answer = self.order(**what)
        behind = self.projected(answer["ended"])
        after = self.parts.cpu_s()
        used = {name: after[name] - before[name] for name in after}
        return {**answer, "behind_s": behind, "cpu_s": used, "others_s": busy_s() - busy - sum(used.values())}


def _one(db: Any, query: str) -> int:
    """A number; 0 as well where there is no table yet."""
    import psycopg

    with contextlib.suppress(psycopg.errors.UndefinedTable):
        (value,) = db.execute(query).fetchone()
        return int(value or 0)
    return 0


def _child(pid: int) -> int:
    """The process of owners below a server: it has one while it has no connectors."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


@contextlib.contextmanager
def stack(split: bool) -> Iterator[Stack]:
    """On servers of its own, whose CPU is nobody else's."""
    from flowledger.infra import postgres_server
    from flowledger.infra.kafka_broker import Broker

    with tempfile.TemporaryDirectory(prefix="flowledger-doors-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        broker, postgres = Broker(folder / "kafka"), folder / "postgres"
        try:
            dsn = postgres_server.start(postgres)
            address = broker.up(progress=lambda text: None)
            pid = int((postgres / "postmaster.pid").read_text().split("\n", 1)[0])
            with contextlib.closing(Stack(folder, dsn, pid, address, broker.pid or 0, split)) as found:
                yield found
        finally:
            broker.down()
            postgres_server.stop(postgres)


def loops(found: Stack, size: Size, rounds: int) -> list[dict[str, Any]]:
    """W1, W2 and W3 through each door, in turns: what the machine does beside hits all alike."""
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for n in range(rounds):
        for door, under_way in UNDER_WAY.items():
            for work in size.works:
                if n == 0:
                    warm = found.order(door=door, work=work, under_way=under_way, seconds=size.warm_s)
                    found.projected(warm["ended"])
                runs.setdefault((work, door), []).append(found.measured(door=door, work=work, under_way=under_way, seconds=size.window_s))
    out = []
    for (work, door), each in runs.items():
        per = max(1, TASKS[work])
        units = [max(1, run["ended"] * per) for run in each]
        cpu = {
            name: round(statistics.median(run["cpu_s"][name] / n * 1e6 for run, n in zip(each, units, strict=True)))
            for name in each[0]["cpu_s"]
        }
        rates = [run["in_time"] * per / run["seconds"] for run in each]
        out.append(
            {
                "name": f"doors.{work}.{door}", "value": round(statistics.median(rates)), "unit": "tasks/s" if per > 1 else "instances/s",
                "rounds": [round(rate) for rate in rates], "under_way": UNDER_WAY[door], "refused": sum(run["refused"] for run in each),
                "cpu_us": cpu, "server_cpu_us": sum(cpu.values()) - cpu["client"],
                "behind_s": round(statistics.median(run["behind_s"] for run in each), 2),
                "other_cores": round(statistics.median(run["others_s"] / (run["took"] + run["behind_s"]) for run in each), 2),
                **({"error": error} if (error := next((run["error"] for run in each if run["error"]), "")) else {}),
            }
        )  # fmt: skip
    return out


def latencies(found: Stack, size: Size, rounds: int) -> list[dict[str, Any]]:
    out = []
    for door in UNDER_WAY:
        runs = [found.measured(door=door, work="latency", rate=size.rate, seconds=size.paced_s) for _ in range(rounds)]
        cores = round(statistics.median(sum(v for n, v in r["cpu_s"].items() if n != "client") / r["seconds"] for r in runs), 3)
        for name, key in (("start_to_worker", "to_worker_ms"), ("start_to_end", "to_end_ms")):
            found_ms = [(at(run[key], 0.5), at(run[key], 0.99)) for run in runs]
            out.append(
                {
                    "name": f"doors.{name}.{door}", "value": statistics.median(p50 for p50, _ in found_ms), "unit": "ms",
                    "p99": statistics.median(p99 for _, p99 in found_ms), "rate": size.rate, "server_cores": cores,
                    "samples": sum(len(run[key]) for run in runs),
                }
            )  # fmt: skip
    return out


def at(values: list[float], share: float) -> float:
    """Of sorted ones."""
    return round(values[min(len(values) - 1, int(len(values) * share))], 1) if values else 0.0


def resting(found: Stack, size: Size) -> list[dict[str, Any]]:
    """Idle CPU and memory, with nothing parked and with some."""
    out = []
    data = found.folder
    time.sleep(size.idle_s / 2)
    memory, disk = found.server.memory_mib(), disk_mib(data)
    out += _idle(found, size, "idle", memory, {"ready_s": round(found.ready_s, 1)})
    parked = found.order(door="sdk", work="park", under_way=UNDER_WAY["sdk"], seconds=BEHIND_S, count=size.parked)
    found.projected(0)
    time.sleep(size.idle_s / 4)
    after, n = found.server.memory_mib(), max(1, parked["ended"])
    grown = {
        "kib_memory": round((sum(after.values()) - sum(memory.values())) * 1024 / n, 2),
        "kib_disk": round((disk_mib(data) - disk) * 1024 / n, 2),
    }
    return out + _idle(found, size, "parked", after, {"instances": n, **grown})


def _idle(found: Stack, size: Size, name: str, memory: dict[str, float], more: dict[str, Any]) -> list[dict[str, Any]]:
    before = found.server.cpu_s()
    time.sleep(size.idle_s)
    cores = {part: round((s - before[part]) / size.idle_s, 4) for part, s in found.server.cpu_s().items()}
    return [
        {"name": f"doors.{name}.cpu", "value": round(sum(cores.values()), 4), "unit": "cores", "by": cores},
        {"name": f"doors.{name}.memory", "value": round(sum(memory.values()), 1), "unit": "MiB", "by": memory, **more},
    ]


def graphs(found: Stack, size: Size, output: Path) -> list[dict[str, Any]]:
    """Of a further W1 through the gateway, which no figure counts."""
    seconds = max(1, round(size.window_s))
    recording = flames(
        {name: found.server.pids[name] for name in ("door", "owner", "projector") if name in found.server.pids}, output, seconds
    )
    if not recording:
        return [{"name": "doors.flames", "value": 0, "unit": "files", "skipped": "py-spy is not installed: pip install py-spy"}]
    found.order(door="gateway", work="w1", under_way=UNDER_WAY["gateway"], seconds=seconds + 1)
    for process in recording:
        process.wait(60)
    return [{"name": "doors.flames", "value": len(list(output.glob("flame-*.svg"))), "unit": "files", "folder": str(output)}]


def run(rounds: int = ROUNDS, output: Path | None = None, split: bool = False, size: Size | None = None) -> list[dict[str, Any]]:
    """`split`: the projector in a process of its own. Takes some four minutes, half as long with one round."""
    size = size or Size()
    with stack(split) as found:
        out = resting(found, size)
        out += loops(found, size, rounds)
        out += latencies(found, size, rounds)
        if output is not None:
            out += graphs(found, size, output)
    for each in out:
        each["layout"] = "split" if split else "whole"
    return out


if __name__ == "__main__":
    for each in run():
        print(json.dumps(each), flush=True)
