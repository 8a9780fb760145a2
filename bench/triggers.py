"""What comes from outside, on a whole server over Kafka and PostgreSQL: how late webhooks are acknowledged, their first tasks begin, and schedules fire.

Each webhook is sent at its time whatever became of the ones before, and timed from then on, so that who waits to be sent counts. The senders are in this
process, the server in others. Schedules of one second: from that second until the last one has started its instance (the time of its event on the log).
"""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime
from typing import Any

from flowledger.bench.doors import Stack, _one, at, stack
from flowledger.bench.overload import _post

#: webhooks a second and for how long; the same for those whose first task is waited for; schedules of one second
RATE, SECONDS, SLOW_RATE, SLOW_SECONDS, SCHEDULES = 1_000, 10.0, 20, 20.0, 10_000
CONNECTIONS, A_DEPLOYMENT, PATIENCE_S = 200, 500, 60.0
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t"><process id="{id}" isExecutable="true">
<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="e"/><endEvent id="e"/></process></definitions>"""
HOOK = """format: flowledger/trigger@1
name: {id}
source: {{webhook: {{path: {id}, rate: 10000, authentication: {{type: none}}}}}}
start: {{process: {process}, variables: {{i: =payload.i}}}}
"""
SCHEDULE = """format: flowledger/trigger@1
name: s{n}
source: {{schedule: {{every: P1D, starting: "{at}"}}}}
start: {{process: due, business_key: '="s{n}"'}}
"""


class Sender:
    """Connections that are kept open; who finds none free waits for one."""

    def __init__(self, address: str, path: str) -> None:
        self._host, _, port = address.removeprefix("http://").partition(":")
        self._port, self._path = int(port), path
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        #: status -> how often
        self.statuses: dict[int, int] = {}
        self.took_ms: list[float] = []

    async def open(self, connections: int) -> None:
        for _ in range(connections):
            self._free.put_nowait(await asyncio.open_connection(self._host, self._port))

    def close(self) -> None:
        while not self._free.empty():
            self._free.get_nowait()[1].close()

    async def send(self, i: int, due: float) -> None:
        body = b'{"i": %d}' % i
        reader, writer = await self._free.get()
        writer.write(
            f"POST /hooks/{self._path} HTTP/1.1\r\nhost: {self._host}:{self._port}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        self._free.put_nowait((reader, writer))
        status = int(head[9:12])
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.took_ms.append((time.perf_counter() - due) * 1000)

    async def paced(self, rate: float, seconds: float, base: int = 0) -> dict[int, float]:
        """Sends, and returns when each was due."""
        began, going, due = time.perf_counter(), set(), {}
        for i in range(base, base + round(rate * seconds)):
            due[i] = began + (i - base) / rate
            if (left := due[i] - time.perf_counter()) > 0:
                await asyncio.sleep(left)
            going.add(task := asyncio.create_task(self.send(i, due[i])))
            task.add_done_callback(going.discard)
        await asyncio.gather(*going)
        return due


async def acknowledged(found: Stack, rate: float, seconds: float) -> list[dict[str, Any]]:
    sender = Sender(found.address["sdk"], "ended")
    await sender.open(CONNECTIONS)
    await sender.paced(min(rate, 100), 2.0)
    sender.took_ms, sender.statuses = [], {}
    began = time.perf_counter()
    await sender.paced(rate, seconds, 10_000_000)
    took_s = time.perf_counter() - began
    sender.close()
    sender.took_ms.sort()
    return [
        {"name": f"webhooks.ack.{name}", "value": round(at(sender.took_ms, share), 1), "unit": "ms", **({"goal": 50} if name == "p99" else {}),
         "asked_per_s": rate, "per_s": round(len(sender.took_ms) / took_s), "statuses": sender.statuses}
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ]  # fmt: skip


async def first_tasks(found: Stack, rate: float, seconds: float) -> list[dict[str, Any]]:
    """From when a webhook was due until a worker has the first task of what it started."""
    from flowledger.bench.doors_load import Sdk

    sender, sdk = Sender(found.address["sdk"], "tasks"), Sdk(found.address["sdk"])
    await sender.open(CONNECTIONS)
    await sender.paced(rate, 2.0)
    due = await sender.paced(rate, seconds, 1_000_000)
    end = time.monotonic() + PATIENCE_S
    while due.keys() - sdk.reached.keys() and time.monotonic() < end:
        await asyncio.sleep(0.05)
    took = sorted((sdk.reached[i] - due[i]) * 1000 for i in due if i in sdk.reached)
    sender.close()
    await sdk.close()
    if not took:
        raise RuntimeError(f"no worker has got a task; answers to the webhooks: {sender.statuses}")
    return [
        {"name": f"trigger_to_first_task.{name}", "value": round(at(took, share), 1), "unit": "ms", **({"goal": 100} if name == "p95" else {}),
         "rate": rate, "sent": len(due), "reached": len(took)}
        for name, share in (("p50", 0.5), ("p95", 0.95))
    ]  # fmt: skip


def schedules(found: Stack, count: int) -> list[dict[str, Any]]:
    """The second is chosen by how long a first deployment takes, so that all are deployed before it."""
    import psycopg

    address = found.address["sdk"]
    few = min(count, A_DEPLOYMENT)

    def deploy(numbers: range, starting: float) -> None:
        text = datetime.fromtimestamp(starting, UTC).isoformat().replace("+00:00", "Z")
        _post(
            f"{address}/v1/deployments",
            {"resources": [{"name": f"s{n}.trigger.yaml", "content": SCHEDULE.format(n=n, at=text)} for n in numbers]},
        )

    began = time.time()
    deploy(range(-few, 0), math.ceil(began) + 7 * 86_400)  # not due while this runs
    each_s = (time.time() - began) / few
    second = math.ceil(time.time() + 10 + 2 * each_s * count)
    for first in range(0, count, A_DEPLOYMENT):
        deploy(range(first, min(first + A_DEPLOYMENT, count)), second)
    early = second - time.time()
    if early <= 0:
        raise RuntimeError(f"the schedules were not all deployed before their second, {-early:.0f} s late: the server got slower meanwhile")
    time.sleep(early)
    started = "FROM flowledger.workflow_instances WHERE process_id = 'due'"
    with psycopg.connect(found.dsn, autocommit=True) as db:
        end = time.monotonic() + PATIENCE_S
        while _one(db, f"SELECT count(*) {started}") < count and time.monotonic() < end:
            time.sleep(0.2)
        time.sleep(1.0)  # one too many would come behind
        (instances, keys, last) = db.execute(f"SELECT count(*), count(DISTINCT business_key), max(started_at) {started}").fetchone() or (
            0,
            0,
            None,
        )
    late = (last.timestamp() - second) if last is not None else math.inf
    return [{
        "name": "schedules.last_started", "value": round(late, 2), "unit": "s", "goal": 5, "due": count, "started": instances, "of_schedules": keys,
        "deploy_ms_each": round(each_s * 1000, 2),
    }]  # fmt: skip


def run(rate: float = RATE, seconds: float = SECONDS, slow_seconds: float = SLOW_SECONDS, count: int = SCHEDULES) -> list[dict[str, Any]]:
    with stack(split=False) as found:
        models = {f"{id}.bpmn": MODEL.format(id=id) for id in ("ended", "due")}
        hooks = {f"{id}.trigger.yaml": HOOK.format(id=id, process=process) for id, process in (("ended", "ended"), ("tasks", "slat"))}
        _post(f"{found.address['sdk']}/v1/deployments", {"resources": [{"name": n, "content": t} for n, t in {**models, **hooks}.items()]})
        out = asyncio.run(first_tasks(found, SLOW_RATE, slow_seconds))
        out += asyncio.run(acknowledged(found, rate, seconds))
        return out + schedules(found, count)
