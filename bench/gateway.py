"""Workers over the wire: the Zeebe gateway with a real pyzeebe worker, and the SDK's own stream. Server and client are two processes.

Figures: W1 (one-task instances a second: start, hand out, complete), W2 (ten tasks in a row: tasks a second), and the time from the event
that created a job to the handler of a streaming worker at 200 jobs a second. Beside each the server's CPU per task. All clocks are of one
machine. The CPU figures are those of the whole process meanwhile, the worker's start and imports included: upper bounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

BPMN = """<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0"
  targetNamespace="bench" id="d_{id}"><bpmn:process id="{id}" isExecutable="true">{body}</bpmn:process></bpmn:definitions>"""


def model(id: str, tasks: int, type: str) -> str:
    """A start, `tasks` service tasks in a row, an end."""
    nodes = ["s", *(f"t{n}" for n in range(tasks)), "e"]
    body = '<bpmn:startEvent id="s"/><bpmn:endEvent id="e"/>'
    for n in range(tasks):
        body += (
            f'<bpmn:serviceTask id="t{n}"><bpmn:extensionElements><zeebe:taskDefinition type="{type}"/></bpmn:extensionElements>'
            "</bpmn:serviceTask>"
        )
    for n, (a, b) in enumerate(itertools.pairwise(nodes)):
        body += f'<bpmn:sequenceFlow id="f{n}" sourceRef="{a}" targetRef="{b}"/>'
    return BPMN.format(id=id, body=body)


#: one process for all starts
STARTERS = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# --- the server's process -------------------------------------------------------------------------------------------------------


async def make_log(kind: str, data: str, bootstrap: str) -> Any:
    if kind == "memory":
        from flowledger.infra.log_memory import MemoryLog

        return MemoryLog()
    if kind == "sqlite":
        from flowledger.infra.log_sqlite import SqliteLog

        return SqliteLog(Path(data) / "ledger.db")
    from flowledger.infra.log_kafka import KafkaLog

    return KafkaLog(bootstrap, prefix=f"bench{os.getpid()}")


async def created(log: Any) -> dict[int, int]:
    """Task key -> time stamp (microseconds UTC) of the event that created it, read from the log."""
    from flowledger.events.task import TaskCreated
    from flowledger.processors.owner import counted

    found = {}
    async for batch in counted(log, 0, 0, follow=False):
        found.update({r.event.task: r.envelope.time_us for r in batch if type(r.event) is TaskCreated and r.event.job_type == "lat"})
    return found


def serve(kind: str, data: str, bootstrap: str, pipe: Any) -> None:
    import uvloop

    async def main() -> None:
        from flowledger.api import job_stream
        from flowledger.api.grpc.gateway import Gateway
        from flowledger.api.grpc.http2 import listen
        from flowledger.api.workers import Workers
        from flowledger.events.commands import Deploy, Resource
        from flowledger.processors.engine import Engine

        engine = Engine(await make_log(kind, data, bootstrap), partitions=1)
        await engine.start()
        resources = [
            Resource(name=f"{id}.bpmn", content=model(id, n, type))
            for id, n, type in (
                ("w1", 1, "w1"),
                ("w2", 10, "w2"),
                ("lat", 1, "lat"),
                ("s1", 1, "s1"),
                ("s2", 10, "s2"),
                ("idle", 1, "idle"),
            )
        ]
        answer = await engine.call(Deploy(resources=resources))
        assert isinstance(answer, dict), answer
        workers = Workers()
        gateway = Gateway(engine, workers)
        grpc_server = await listen(gateway, port=0)
        stream_server = await job_stream.serve(engine, workers)
        stream_port = next(iter(stream_server.sockets)).getsockname()[1]
        await asyncio.to_thread(pipe.send, (gateway.port, stream_port))
        idle = 0
        while (asked := await asyncio.to_thread(pipe.recv)) != "stop":
            if asked == "cpu":
                pipe.send(cpu_s())
            elif asked == "left":
                pipe.send(sum(len(owner.state.instances) for owner in engine.owners.values()) - idle)
            elif asked == "idle":  # what is open now is not of the next measurement
                idle = sum(len(owner.state.instances) for owner in engine.owners.values())
                pipe.send(idle)
            else:
                pipe.send(await created(engine.log))
        stream_server.close()
        await grpc_server.close(0.2)
        await engine.kill()

    uvloop.run(main())


@contextlib.asynccontextmanager
async def server(kind: str, bootstrap: str = "") -> Any:
    """Yields (gateway port, stream port, ask("cpu" or "created")) of a server in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as data:
        process = context.Process(target=serve, args=(kind, data, bootstrap, theirs), daemon=True)
        process.start()

        def ask(what: str) -> Any:
            ours.send(what)
            return ours.recv()

        try:
            if not await asyncio.to_thread(ours.poll, 60):
                raise TimeoutError("the server did not start within 60 s")
            ports = ours.recv()
            yield (*ports, ask)
        finally:
            with contextlib.suppress(OSError):
                ours.send("stop")
            await asyncio.to_thread(process.join, 10)
            if process.is_alive():
                process.kill()


# --- the client's side ----------------------------------------------------------------------------------------------------------


#: a question to the server's process: cpu, left, idle, created
Ask = Callable[[str], Any]


class Count:
    """Counts up to a number and tells when it is reached."""

    def __init__(self, n: int) -> None:
        self.left, self.reached = n, asyncio.Event()

    def one(self) -> None:
        self.left -= 1
        if self.left <= 0:
            self.reached.set()


async def start_many(port: int, process: str, n: int, parallel: int) -> None:
    from flowledger.sdk.zeebe_stubs import load

    load()
    from pyzeebe import ZeebeClient, create_insecure_channel

    channel = create_insecure_channel(grpc_address=f"127.0.0.1:{port}")
    client = ZeebeClient(channel)
    todo = iter(range(n))

    async def some() -> None:
        for i in todo:
            await client.run_process(process, {"i": i})

    await asyncio.gather(*(some() for _ in range(parallel)))
    await channel.close()


def start_many_here(port: int, process: str, n: int, parallel: int) -> None:
    asyncio.run(start_many(port, process, n, parallel))


async def start_elsewhere(port: int, process: str, n: int, parallel: int) -> None:
    """Who starts and who works are two applications. The first import takes a while, so it is done before the clock starts."""
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(STARTERS, start_many_here, port, process, n, parallel)


async def all_ended(ask: Ask) -> None:
    """Until no instance is left at the server: a handler that ran says nothing of its answer."""
    while await asyncio.to_thread(ask, "left") > 0:
        await asyncio.sleep(0.01)


async def with_pyzeebe(ask: Ask, port: int, process: str, instances: int, tasks: int, parallel: int) -> float:
    """Seconds for all, starts included, with one streaming pyzeebe worker."""
    from pyzeebe import ZeebeWorker, create_insecure_channel

    channel = create_insecure_channel(grpc_address=f"127.0.0.1:{port}")
    worker = ZeebeWorker(channel, "bench", request_timeout=5000, stream_enabled=True, poll_retry_delay=1)
    count = Count(instances * tasks)

    @worker.task(process, max_jobs_to_activate=1000, max_running_jobs=100_000, timeout_ms=600_000)  # type: ignore[arg-type]
    async def handle() -> dict[str, Any]:
        count.one()
        return {}

    work = asyncio.create_task(worker.work())
    await start_elsewhere(port, "idle", 1, 1)
    await asyncio.to_thread(ask, "idle")
    started = time.perf_counter()
    await start_elsewhere(port, process, instances, parallel)
    await asyncio.wait_for(count.reached.wait(), 120)
    await asyncio.wait_for(all_ended(ask), 120)
    seconds = time.perf_counter() - started
    await asyncio.sleep(0.3)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await channel.close()
    return seconds


async def with_sdk(ask: Ask, ports: tuple[int, int], process: str, instances: int, tasks: int, parallel: int) -> float:
    """Seconds from the first start to the end of the last instance, with one SDK worker on the stream."""
    from flowledger.sdk import Worker

    worker = Worker(f"http://127.0.0.1:{ports[1]}", name="bench", max_jobs=2000, lease_s=600)
    count = Count(instances * tasks)

    @worker.job(process)
    async def handle() -> None:
        count.one()

    work = asyncio.create_task(worker.run())
    await start_elsewhere(ports[0], "idle", 1, 1)
    await asyncio.to_thread(ask, "idle")
    started = time.perf_counter()
    await start_elsewhere(ports[0], process, instances, parallel)
    await asyncio.wait_for(count.reached.wait(), 120)
    await asyncio.wait_for(all_ended(ask), 120)
    seconds = time.perf_counter() - started
    await worker.stop(5)
    await work
    return seconds


async def backlog_with_sdk(ask: Ask, ports: tuple[int, int], process: str, instances: int, tasks: int) -> float:
    """As `with_sdk`, but the instances are there already: what handing out and completing alone cost."""
    from flowledger.sdk import Worker

    await asyncio.to_thread(ask, "idle")
    await start_many(ports[0], process, instances, 64)
    worker = Worker(f"http://127.0.0.1:{ports[1]}", name="bench", max_jobs=2000, lease_s=600)
    count = Count(instances * tasks)

    @worker.job(process)
    async def handle() -> None:
        count.one()

    started = time.perf_counter()
    work = asyncio.create_task(worker.run())
    await asyncio.wait_for(count.reached.wait(), 120)
    await asyncio.wait_for(all_ended(ask), 120)
    seconds = time.perf_counter() - started
    await worker.stop(5)
    await work
    return seconds


async def latency(port: int, created: Callable[[], dict[int, int]], rate: float, seconds: float) -> dict[str, list[float]]:
    """Milliseconds until a streaming client has the job of an instance that it starts.

    `request`: from just before the start is sent. `event`: from the time stamp of the event that created the job, as it stands on the
    log: the moment of the decision, so both appends (event and lease) are in it. The answer to the start would be no reference: event
    and lease are often one group, and then the job can be at the client before that answer.
    """
    from flowledger.sdk.zeebe_stubs import load

    pb = load()
    import grpc
    from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

    sent: dict[int, float] = {}
    arrived: dict[int, tuple[int, float]] = {}
    n = int(rate * seconds)
    done = asyncio.Event()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = GatewayStub(channel)

        async def receive() -> None:
            async for job in stub.StreamActivatedJobs(pb.StreamActivatedJobsRequest(type="lat", worker="lat", timeout=600_000)):
                arrived[job.processInstanceKey] = (job.key, time.time())
                if len(arrived) >= n:
                    done.set()
                spawn(stub.CompleteJob(pb.CompleteJobRequest(jobKey=job.key)))

        async def start() -> None:
            at = time.time()
            answer = await stub.CreateProcessInstance(pb.CreateProcessInstanceRequest(bpmnProcessId="lat", version=-1))
            sent[answer.processInstanceKey] = at

        running: set[asyncio.Future[Any]] = set()

        def spawn(work: Any) -> None:
            task = asyncio.ensure_future(work)
            running.add(task)
            task.add_done_callback(running.discard)

        reader = asyncio.create_task(receive())
        await asyncio.sleep(0.3)
        first = time.perf_counter()
        for i in range(n):
            await asyncio.sleep(max(0.0, first + i / rate - time.perf_counter()))
            spawn(start())
        await asyncio.wait_for(done.wait(), 30)
        await asyncio.gather(*running)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
    made = await asyncio.to_thread(created)
    return {
        "request": sorted((arrived[k][1] - at) * 1000 for k, at in sent.items()),
        "event": sorted((at - made[key] / 1e6) * 1000 for key, at in arrived.values()),
    }


async def measure(kind: str, bootstrap: str, scale: float, only: str = "") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    async with server(kind, bootstrap) as (gateway_port, stream_port, ask):
        ports = (gateway_port, stream_port)

        async def one(name: str, n: int, unit: str, target: float, tasks: int, work: Callable[[], Coroutine[Any, Any, float]]) -> None:
            if not name.startswith(only):
                return
            before, mine = await asyncio.to_thread(ask, "cpu"), cpu_s()
            seconds = await work()
            mine = cpu_s() - mine
            used = await asyncio.to_thread(ask, "cpu") - before
            rows.append(
                {
                    "bench": "gateway",
                    "name": name,
                    "log": kind,
                    "value": round(n / seconds, 1),
                    "unit": unit,
                    "target": target,
                    "server_cpu_us_per_task": round(used / tasks * 1e6, 1),
                    "worker_cpu_us_per_task": round(mine / tasks * 1e6, 1),
                }
            )

        def of(n: int) -> int:
            return max(50, int(n * scale))

        a, b, d, e = of(4000), of(800), of(8000), of(3000)
        await one("W1, pyzeebe", a, "instances/s", 1000, a, lambda: with_pyzeebe(ask, gateway_port, "w1", a, 1, 64))
        await one("W2, pyzeebe", b * 10, "tasks/s", 2500, b * 10, lambda: with_pyzeebe(ask, gateway_port, "w2", b, 10, 64))
        await one("W1, SDK stream", d, "instances/s", 1000, d, lambda: with_sdk(ask, ports, "s1", d, 1, 64))
        await one("W2, SDK stream", e * 10, "tasks/s", 10_000, e * 10, lambda: backlog_with_sdk(ask, ports, "s2", e, 10))
        if only:
            return rows
        times = await latency(gateway_port, lambda: ask("created"), 200, max(1.0, 5 * scale))
        for since in ("event", "request"):
            for name, share, target in (("p50", 0.5, 5), ("p99", 0.99, 25)):
                found = times[since]
                rows.append(
                    {
                        "bench": "gateway",
                        "name": f"{since} to streaming worker at 200/s, {name}",
                        "log": kind,
                        "value": round(found[min(int(len(found) * share), len(found) - 1)], 2),
                        "unit": "ms",
                        "target": target if since == "event" else None,
                    }
                )
    return rows


def run(log: str = "sqlite", bootstrap: str = "", scale: float = 1.0, only: str = "") -> list[dict[str, Any]]:
    """One row per figure.

    Args:
        log: memory, sqlite or kafka (then `bootstrap` is the broker's address).
        scale: share of the full number of instances.
        only: the figures whose names begin so.
    """
    import uvloop

    return uvloop.run(measure(log, bootstrap, scale, only))


if __name__ == "__main__":
    import json
    import sys

    given = [*sys.argv[1:3], "", ""]
    for row in run(given[0] or "sqlite", given[1], scale=float(os.environ.get("BENCH_SCALE", "1")), only=os.environ.get("BENCH_ONLY", "")):
        print(json.dumps(row))
