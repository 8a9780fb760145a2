"""Owners in several processes on a real Kafka: killed, frozen and woken up as zombies, the broker killed and stalled, all under load.

Each acknowledged start is on the log once, each instance completes once, the chain verifies, and folding gives an empty state.
FAULT_SECONDS: how long the load lasts; FAULT_SEED: who is hit and when.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from flowledger.events import avro  # noqa: E402
from flowledger.events import commands as c  # noqa: E402
from flowledger.events import group as rules  # noqa: E402
from flowledger.events.base import Rejected  # noqa: E402
from flowledger.events.workflow import WorkflowCompleted, WorkflowStarted  # noqa: E402
from flowledger.infra.kafka_broker import Broker  # noqa: E402
from flowledger.infra.log_kafka import KafkaLog  # noqa: E402
from flowledger.kernel import Partition, evolve  # noqa: E402
from flowledger.processors.engine import Engine  # noqa: E402
from flowledger.processors.log import EVENTS  # noqa: E402

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(280)]
HERE = Path(__file__).parent
SECONDS = float(os.environ.get("FAULT_SECONDS", "30"))
SEED = int(os.environ.get("FAULT_SEED", "7"))
NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="faults"'
MODEL = f"""<definitions {NS}><process id="w1" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>
<serviceTask id="t"><extensionElements><zeebe:taskDefinition type="w1"/></extensionElements></serviceTask>
<sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/></process></definitions>"""


class Owners:
    def __init__(self, bootstrap: str, prefix: str, logs: Path) -> None:
        self.bootstrap, self.prefix, self.logs, self.number = bootstrap, prefix, logs, 0
        self.running: list[subprocess.Popen[bytes]] = []
        self.frozen: dict[subprocess.Popen[bytes], float] = {}
        self.woken = 0

    def start(self) -> None:
        self.number += 1
        with (self.logs / f"owner{self.number}.log").open("wb") as log:
            self.running.append(
                subprocess.Popen(
                    [sys.executable, str(HERE / "owner_process.py"), self.bootstrap, self.prefix, f"owner{self.number}"],
                    stdout=subprocess.DEVNULL, stderr=log,
                )
            )  # fmt: skip

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        self.running.remove(process)
        process.kill()
        process.wait()

    def freeze(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGSTOP)
        self.frozen[process] = time.monotonic()

    def wake(self) -> None:
        for process in self.frozen:
            process.send_signal(signal.SIGCONT)
            self.woken += 1
        self.frozen.clear()

    def said(self, what: str) -> int:
        return sum(log.read_text(errors="replace").count(what) for log in self.logs.glob("owner*.log"))

    def stop(self) -> None:
        self.wake()
        for process in list(self.running):
            self.kill(process)


async def test_killed_frozen_and_restarted_nothing_is_lost_or_doubled(own_broker, tmp_path):
    broker = own_broker
    prefix = f"faults-{uuid.uuid4().hex[:8]}"
    address = broker.address
    owners = Owners(address, prefix, tmp_path)
    client = Engine(KafkaLog(address, prefix=prefix, timeout_s=5.0), partitions=3, owns=False)
    await client.start()
    acknowledged: dict[str, int] = {}
    counts = {"killed": 0, "frozen": 0, "broker killed": 0, "broker stalled": 0}
    stop_at = time.monotonic() + SECONDS
    try:
        for _ in range(3):
            owners.start()
        await insist(client, c.Deploy(resources=[c.Resource("w1.bpmn", MODEL)]), "deploy", 0)
        load = [asyncio.create_task(start_many(client, n, stop_at, acknowledged)) for n in range(6)]
        workers = [asyncio.create_task(work(client, n)) for n in range(2)]
        await asyncio.to_thread(chaos, owners, broker, stop_at, counts)
        await asyncio.gather(*load)
        owners.wake()
        while len(owners.running) < 2:
            owners.start()
        deadline = time.monotonic() + 120
        while (seen := await look(address, prefix)).left and time.monotonic() < deadline:
            await asyncio.sleep(1)
        for task in workers:
            task.cancel()
        begun, ended, left = seen.begun, seen.ended, seen.left
        assert left == 0, f"{left} instances are still open"
        assert len(acknowledged) > 50, "hardly any load: the test shows nothing"
        for id, key in acknowledged.items():
            assert begun.get(id) == [key], f"{id}: acknowledged as {key}, on the log {begun.get(id)}"
        assert sorted(ended) == sorted(k for keys in begun.values() for k in keys), "each instance completes once"
        print(
            f"\n{len(acknowledged)} starts acknowledged, {len(ended)} instances completed; {counts}; {owners.woken} woken as zombies; "
            f"{seen.claims} claims counted; {owners.said('fenced  ')} fenced; {seen.void} void records"
        )
        assert min(counts.values()) > 0 and owners.woken > 0, "each kind of fault is to happen: raise FAULT_SECONDS"
        assert seen.claims > 3 + counts["killed"], "hardly any partition moved: the test shows nothing"
    finally:
        owners.stop()
        await client.stop()


def chaos(owners: Owners, broker: Broker, stop_at: float, counts: dict[str, int]) -> None:
    rng = random.Random(SEED)
    stall_at, kill_at = stop_at - SECONDS * 0.6, stop_at - SECONDS * 0.4
    while time.monotonic() < stop_at:
        time.sleep(rng.uniform(1.0, 2.5))
        victims = [p for p in owners.running if p not in owners.frozen]
        if time.monotonic() > stall_at and not counts["broker stalled"]:
            counts["broker stalled"] += 1
            broker.pause()
            time.sleep(6.0)  # longer than the owners' patience with an append
            broker.resume()
        elif time.monotonic() > kill_at and not counts["broker killed"]:
            counts["broker killed"] += 1
            broker.kill()
            broker.up()
        elif rng.random() < 0.5 and len(victims) > 1:
            counts["killed"] += 1
            owners.kill(rng.choice(victims))
            owners.start()
        elif not owners.frozen and len(victims) > 1:
            counts["frozen"] += 1
            owners.freeze(rng.choice(victims))
        elif owners.frozen and min(owners.frozen.values()) < time.monotonic() - 3.5:  # its session has run out: others claimed
            owners.wake()


async def insist(client: Engine, command: c.Command, id: str, partition: int) -> dict:
    while True:
        answer = await client.call(command, id=id, partition=partition, timeout_s=5)
        if isinstance(answer, dict):
            return answer
        assert answer.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "NOT_FOUND"), answer
        await asyncio.sleep(0.1)


async def start_many(client: Engine, lane: int, stop_at: float, acknowledged: dict[str, int]) -> None:
    n = 0
    while time.monotonic() < stop_at:
        n += 1
        id = f"s-{lane}-{n}"
        answer = await insist(client, c.StartInstance(id="w1", variables={"n": n}), id, lane % 3)
        acknowledged[id] = answer["key"]


async def work(client: Engine, n: int) -> None:
    while True:
        try:
            jobs = await client.activate("w1", f"worker{n}", 50, 5_000, wait_ms=500)
        except Exception:
            await asyncio.sleep(0.2)
            continue
        answers = [client.call(c.CompleteTask(task=j["key"]), id=f"d-{j['key']}", timeout_s=3) for j in jobs]
        for answer in await asyncio.gather(*answers):
            if isinstance(answer, Rejected):
                assert answer.code in ("NOT_FOUND", "STALE", "UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"), answer


class Seen:
    """What the log says, by the fold rules."""

    def __init__(self) -> None:
        #: keys of instances by the id of the command that started them
        self.begun: dict[str, list[int]] = {}
        self.ended: list[int] = []
        self.left = self.claims = self.void = 0


async def look(address: str, prefix: str) -> Seen:
    log = KafkaLog(address, prefix=prefix)
    await log.open()
    seen = Seen()
    try:
        for p in range(3):
            reader, state, decoder = rules.GroupReader(), Partition(p, 3), avro.Decoder()
            async for batch in log.read(EVENTS, p, 0):
                for record in batch:
                    group = reader.feed(record.offset, record.value, record.headers)
                    for value in group.values if group else ():
                        assert group.computed == group.chain, f"the chain of partition {p} breaks at {group.offsets[0]}"
                        event, envelope = decoder.decode(value)
                        evolve(state, event, envelope)
                        if isinstance(event, WorkflowStarted):
                            seen.begun.setdefault(envelope.cause, []).append(event.key)
                        elif isinstance(event, WorkflowCompleted):
                            seen.ended.append(event.key)
            seen.left += len(state.instances)
            seen.claims += reader.epoch
            seen.void += reader.void
    finally:
        await log.close()
    return seen
