"""Owner processes under load on a real Kafka, and what the log says of it afterwards. For `test_kafka_*.py`."""

from __future__ import annotations

import asyncio
import glob
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import group as rules
from flowledger.events.base import Rejected
from flowledger.events.workflow import WorkflowCompleted, WorkflowStarted
from flowledger.infra.log_kafka import KafkaLog
from flowledger.kernel import Partition, evolve
from flowledger.processors.engine import Engine
from flowledger.processors.log import EVENTS

HERE = Path(__file__).parent
#: Debian: `apt-get install libfaketime`
FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), "")
NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="faults"'
MODEL = f"""<definitions {NS}><process id="w1" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>
<serviceTask id="t"><extensionElements><zeebe:taskDefinition type="w1" retries="1000"/></extensionElements></serviceTask>
<sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/></process></definitions>"""


class Owners:
    def __init__(self, bootstrap: str, prefix: str, logs: Path) -> None:
        self.bootstrap, self.prefix, self.logs, self.number = bootstrap, prefix, logs, 0
        self.running: list[subprocess.Popen[bytes]] = []
        self.frozen: dict[subprocess.Popen[bytes], float] = {}
        self.woken = 0
        #: of each, the file that says how far its wall clock is off, and how far in seconds
        self.clocks: dict[subprocess.Popen[bytes], tuple[Path, int]] = {}

    def start(self) -> None:
        self.number += 1
        name = f"owner{self.number}"
        file = self.logs / f"{name}.clock"
        file.write_text("+0s\n")
        clock = {
            "LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip
        with (self.logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(HERE / "owner_process.py"), self.bootstrap, self.prefix, name],
                stdout=subprocess.DEVNULL, stderr=log, env={**os.environ, **(clock if FAKETIME else {})},
            )  # fmt: skip
        self.clocks[process] = file, 0
        self.running.append(process)

    def step(self, process: subprocess.Popen[bytes], seconds: int) -> None:
        """Its wall clock, and no other."""
        file, skew = self.clocks[process]
        self.clocks[process] = file, skew + seconds
        new = file.with_suffix(".new")
        new.write_text(f"{skew + seconds:+d}s\n")
        new.replace(file)

    def leave(self, process: subprocess.Popen[bytes]) -> None:
        """In order: a checkpoint, then out of the group."""
        self.running.remove(process)
        process.terminate()
        process.wait(30)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        self.running.remove(process)
        process.kill()
        process.wait()

    def freeze(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGSTOP)
        self.frozen[process] = time.monotonic()

    def wake(self, after_s: float = 0.0) -> None:
        """Those that have been frozen for so long."""
        for process, since in list(self.frozen.items()):
            if time.monotonic() - since >= after_s:
                process.send_signal(signal.SIGCONT)
                self.woken += 1
                del self.frozen[process]

    def said(self, what: str) -> int:
        return sum(log.read_text(errors="replace").count(what) for log in self.logs.glob("owner*.log"))

    def stop(self) -> None:
        self.wake()
        for process in list(self.running):
            self.kill(process)


async def insist(client: Engine, command: c.AnyCommand, id: str, partition: int) -> dict:
    while True:
        answer = await client.call(command, id=id, partition=partition, timeout_s=5)
        if isinstance(answer, dict):
            return answer
        assert answer.code in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "NOT_FOUND"), answer
        await asyncio.sleep(0.1)


async def start_many(client: Engine, lane: int, stop: asyncio.Event, acknowledged: dict[str, int]) -> None:
    n = 0
    while not stop.is_set():
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
        #: tasks that are not done
        self.open: list[str] = []
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
                    group = reader.feed(record)
                    for value in group.values if group else ():
                        assert group.computed == group.chain, f"the chain of partition {p} breaks at {group.offsets[0]}"
                        event, envelope = decoder.decode(value)
                        evolve(state, event, envelope)
                        if isinstance(event, WorkflowStarted):
                            seen.begun.setdefault(envelope.cause.removeprefix("request:"), []).append(event.key)
                        elif isinstance(event, WorkflowCompleted):
                            seen.ended.append(event.key)
            seen.left += len(state.instances)
            seen.open += [f"partition {p}: {task}" for task in state.tasks.values()]
            seen.claims += reader.epoch
            seen.void += reader.void
    finally:
        await log.close()
    return seen
