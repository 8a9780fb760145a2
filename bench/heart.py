"""The heart's figures: throughput of W1 (start, service task, end), latency, take-over, memory of parked instances, parsing.

Each is the median of three runs in one process; W1 stands beside a bare append loop on the same log in the same run, so that a ratio is left
when the machine is noisy. Kafka: KAFKA_BOOTSTRAP, else a one-node broker for the time of the run. W1 with the projector is in
`bench/projections.py`, through the gateway and the SDK in `bench/gateway.py`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowledger import collector, logs
from flowledger.bench import log as bare
from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.kafka_broker import Broker, BrokerUnavailable
from flowledger.infra.log_kafka import KafkaLog
from flowledger.infra.log_sqlite import SqliteLog
from flowledger.processors.engine import Engine
from flowledger.processors.log import Log
from flowledger.processors.owner import Settings

RUNS = 3
INSTANCES = 15_000
PARKED = 100_000
#: starts, and completions, that this caller has in hand at once: few enough to be admitted, enough to fill groups
WINDOW = 200
NS = 'xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="bench"'
W1 = f"""<definitions {NS}><process id="w1" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/>
<serviceTask id="t"><extensionElements><zeebe:taskDefinition type="w1"/></extensionElements></serviceTask>
<sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/></process></definitions>"""


def line(name: str, value: float, unit: str, **more: Any) -> dict[str, Any]:
    return {"name": f"heart.{name}", "value": round(value, 4), "unit": unit, **more}


async def deployed(log: Log, settings: Settings | None = None) -> Engine:
    engine = Engine(log, partitions=1, settings=settings)
    await engine.start()
    answer = await engine.call(c.Deploy(resources=[c.Resource("w1.bpmn", W1)]))
    assert isinstance(answer, dict), answer
    return engine


async def accepted(engine: Engine, commands: list[c.AnyCommand]) -> None:
    """All of them are answered; what is refused because there is too much comes again when it was told to."""
    while commands:
        answers = [(command, engine.submit(command)) for command in commands]
        refused, after = [], 0
        for command, future in answers:
            answer = await future
            if isinstance(answer, Rejected) and answer.code == "RESOURCE_EXHAUSTED":
                refused.append(command)
                after = max(after, answer.retry_after_ms)
            else:
                assert isinstance(answer, dict), answer
        if commands := refused:
            await asyncio.sleep(after / 1000)


async def throughput(engine: Engine, instances: int) -> float:
    """W1 instances a second, started and worked on in this process."""
    stream = engine.stream("w1", "bench", 60_000, credit=WINDOW)
    done = 0
    finished = asyncio.Event()

    async def work() -> None:
        nonlocal done
        async for jobs in stream:
            await accepted(engine, [c.CompleteTask(task=j["key"], fence=j["fence"]) for j in jobs])
            done += len(jobs)
            stream.credit(len(jobs))
            if done >= instances:
                finished.set()

    worker = asyncio.create_task(work())
    start = time.perf_counter()
    started = 0
    while started < instances:
        some = min(WINDOW, instances - started)
        started += some
        await accepted(engine, [c.StartInstance(id="w1") for _ in range(some)])
        while started - done > 4_000:
            await asyncio.sleep(0.001)
    await finished.wait()
    seconds = time.perf_counter() - start
    await stream.close()
    worker.cancel()
    return instances / seconds


async def latency(engine: Engine, rate: int = 100, seconds: float = 5.0) -> dict[str, list[float]]:
    """At `rate` instances a second: start to job in hand, and completion sent to acknowledged; milliseconds, sorted."""
    stream = engine.stream("w1", "bench", 60_000, credit=100)
    begun: dict[int, float] = {}
    handed: list[float] = []
    acknowledged: list[float] = []

    async def work() -> None:
        async for jobs in stream:
            now = time.perf_counter()
            for job in jobs:
                handed.append((now - begun[int(job["variables"]["n"])]) * 1e3)
                sent = time.perf_counter()
                assert isinstance(await engine.call(c.CompleteTask(task=job["key"], fence=job["fence"])), dict)
                acknowledged.append((time.perf_counter() - sent) * 1e3)
            stream.credit(len(jobs))

    worker = asyncio.create_task(work())
    for n in range(int(rate * seconds)):
        begun[n] = time.perf_counter()
        engine.submit(c.StartInstance(id="w1", variables={"n": n}))
        await asyncio.sleep(1 / rate)
    while len(acknowledged) < len(begun):
        await asyncio.sleep(0.01)
    await stream.close()
    worker.cancel()
    return {"handed": sorted(handed), "acknowledged": sorted(acknowledged)}


async def parked(make: Callable[[], Log], count: int) -> tuple[float, float, float]:
    """(bytes of memory per parked instance, seconds of a take-over after a kill at 1,000,000 events, seconds to complete them all)."""
    engine = await deployed(make(), Settings(checkpoint_changes=50_000))
    gc.collect()
    before = _rss()
    for _ in range(0, count, 1000):
        await accepted(engine, [c.StartInstance(id="w1") for _ in range(1000)])
    gc.collect()
    each = (_rss() - before) / count
    while engine.owners[0].acked < 1_000_000:  # history beside the parked ones
        await throughput_of_done(engine, 5_000)
    await engine.kill()
    engine = Engine(make(), partitions=1)
    start = time.perf_counter()
    await engine.start()
    recovered = time.perf_counter() - start
    assert engine.owners[0].state.open >= count, "instances were lost"
    start = time.perf_counter()
    left = engine.owners[0].state.open
    while left:
        jobs = await engine.activate("w1", "bench", 2_000, 60_000, 1_000)
        await accepted(engine, [c.CompleteTask(task=j["key"]) for j in jobs])
        left -= len(jobs)
    assert engine.owners[0].state.open == 0
    completed = time.perf_counter() - start
    await engine.stop()
    return each, recovered, completed


async def throughput_of_done(engine: Engine, count: int) -> None:
    """Instances that come and go: variables set and set again make events that leave nothing behind."""
    answer = await engine.call(c.StartInstance(id="w1"))
    assert isinstance(answer, dict)
    await accepted(engine, [c.SetVariables(key=answer["key"], variables={"n": n}) for n in range(count)])
    await engine.call(c.CancelInstance(key=answer["key"]))


def _rss() -> int:
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def large_model(elements: int) -> bytes:
    """A chain of gateways, tasks and merges."""
    parts = ['<startEvent id="s"/>', '<sequenceFlow id="f0" sourceRef="s" targetRef="g0"/>']
    blocks = elements // 5
    for n in range(blocks):
        nxt = f"g{n + 1}" if n + 1 < blocks else "e"
        parts.append(
            f'<exclusiveGateway id="g{n}" default="d{n}"/><serviceTask id="a{n}" name="Task {n}"><extensionElements><zeebe:taskDefinition type="t{n % 9}"/>'
            f'<zeebe:ioMapping><zeebe:input source="= amount + {n}" target="x"/></zeebe:ioMapping></extensionElements></serviceTask><userTask id="b{n}"/>'
            f'<exclusiveGateway id="m{n}"/><scriptTask id="z{n}"><extensionElements>'
            f'<zeebe:script expression="= {n} * 2" resultVariable="r"/></extensionElements></scriptTask>'
            f'<sequenceFlow id="c{n}" sourceRef="g{n}" targetRef="a{n}"><conditionExpression>= amount &gt; {n}</conditionExpression></sequenceFlow>'
            f'<sequenceFlow id="d{n}" sourceRef="g{n}" targetRef="b{n}"/><sequenceFlow id="p{n}" sourceRef="a{n}" targetRef="m{n}"/>'
            f'<sequenceFlow id="q{n}" sourceRef="b{n}" targetRef="m{n}"/><sequenceFlow id="r{n}" sourceRef="m{n}" targetRef="z{n}"/>'
            f'<sequenceFlow id="u{n}" sourceRef="z{n}" targetRef="{nxt}"/>'
        )
    parts.append('<endEvent id="e"/>')
    return f'<definitions {NS}><process id="large" isExecutable="true">{"".join(parts)}</process></definitions>'.encode()


def parse_ms(elements: int) -> float:
    from flowledger.kernel import model

    data = large_model(elements)
    best = []
    for _ in range(5):
        start = time.perf_counter()
        graph, findings = model.read(data, "large.bpmn")
        best.append((time.perf_counter() - start) * 1e3)
        assert graph is not None and not [f for f in findings if f.severity == "error"], findings[:3]
    return statistics.median(best)


def condition_us() -> float:
    from flowledger.kernel.expressions import feel_expression

    e = feel_expression('amount > 1000 and status = "open"')
    variables = {"amount": 1200, "status": "open", **{f"v{n}": n for n in range(8)}}
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(20_000):
            e(variables, None)
        times.append((time.perf_counter() - start) / 20_000 * 1e6)
    return statistics.median(times)


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def on_log(name: str, make: Callable[[], Log], pid: int = 0) -> list[dict[str, Any]]:
    found, ratios, cpu, bares = [], [], [], []
    for _ in range(RUNS):
        engine = await deployed(make())
        collector.rest()  # as in a process that serves
        before = time.process_time() + (_cpu_of(pid) if pid else 0)
        found.append(await throughput(engine, INSTANCES))
        cpu.append((time.process_time() + (_cpu_of(pid) if pid else 0) - before) / INSTANCES * 1e3)
        await engine.stop()
        log = make()
        await log.open()
        await log.create_topics(1)
        bares.append(await bare.appended(log, 200, 500))
        await log.close()
        ratios.append(found[-1] * 6 / bares[-1])
    engine = await deployed(make())
    late = await latency(engine)
    await engine.stop()

    def at(xs: list[float], q: float) -> float:
        return xs[min(len(xs) - 1, int(len(xs) * q))]

    return [
        line(f"w1.{name}", statistics.median(found), "instances/s", runs=[round(x) for x in found]),
        line(f"w1.{name}.cpu", statistics.median(cpu), "ms/instance", broker_included=bool(pid)),
        line(f"w1.{name}.bare_append", statistics.median(bares), "records/s"),
        line(f"w1.{name}.share_of_bare", statistics.median(ratios), "events/s per bare record/s"),
        line(f"latency.{name}.start_to_job.p50", at(late["handed"], 0.5), "ms"),
        line(f"latency.{name}.start_to_job.p99", at(late["handed"], 0.99), "ms"),
        line(f"latency.{name}.complete_to_ack.p50", at(late["acknowledged"], 0.5), "ms"),
    ]


async def main() -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        out += await on_log("sqlite", lambda: SqliteLog(Path(folder) / f"{uuid.uuid4().hex}.sqlite3"))
        same = Path(folder) / "parked.sqlite3"
        each, recovered, completed = await parked(lambda: SqliteLog(same), PARKED)
        out += [
            line("parked.memory", each, "bytes/instance", instances=PARKED),
            line("recovery", recovered, "s", events=1_000_000, parked=PARKED, log="sqlite"),
            line("parked.complete_all", completed, "s", instances=PARKED),
        ]
        broker = None
        address = os.environ.get("KAFKA_BOOTSTRAP", "")
        try:
            if not address:
                broker = Broker(Path(folder) / "kafka")
                address = broker.up()
        except BrokerUnavailable as e:
            out.append(line("w1.kafka", 0, "instances/s", skipped=str(e)))
        try:
            if address:
                pid = broker.pid or 0 if broker is not None else 0
                out += await on_log("kafka", lambda: KafkaLog(address, prefix=f"bench-{uuid.uuid4().hex[:8]}"), pid)
        finally:
            if broker is not None:
                broker.down()
    out += [
        line("parse.500", parse_ms(500), "ms"), line("parse.5000", parse_ms(5000), "ms"), line("condition", condition_us(), "us"),
    ]  # fmt: skip
    return out


def run() -> list[dict[str, Any]]:
    """All figures; takes about two minutes."""
    logs.configure("error")
    try:
        import uvloop

        return uvloop.run(main())
    except ImportError:
        return asyncio.run(main())


if __name__ == "__main__":
    for each in run():
        print(json.dumps(each), flush=True)
