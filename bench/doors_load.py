"""The clients of `bench doors`: a process of its own that drives one kind of work through one door, told by lines of JSON.

It reads an order from standard input ({door, address, work, under_way, seconds | rate}), answers with one line, and goes on until the input
ends. Closed loops keep so many instances under way; paced ones start `rate` a second, whatever is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from flowledger.bench.gateway import BPMN, model

#: work -> tasks of its process: a unit of the figures is a task where there are several
TASKS = {"w1": 1, "w2": 10, "w3": 0}
#: seconds that what is under way at the end of a loop may take
DRAIN_S = 60.0
#: pause of a caller that was refused (seconds)
REFUSED_S = 0.02


def fork() -> str:
    """W3: a condition on a variable, a fork into three branches with an expression each, a join. No worker."""
    script = '<bpmn:scriptTask id="s{0}"><bpmn:extensionElements><zeebe:script expression="=x + {0}" resultVariable="r{0}"/></bpmn:extensionElements></bpmn:scriptTask>'
    flows = [
        ("s", "x"),
        ("x", "other"),
        ("fork", "s1"),
        ("fork", "s2"),
        ("fork", "s3"),
        ("s1", "join"),
        ("s2", "join"),
        ("s3", "join"),
        ("join", "e"),
    ]
    body = '<bpmn:startEvent id="s"/><bpmn:exclusiveGateway id="x" default="f1"/><bpmn:endEvent id="other"/><bpmn:endEvent id="e"/>'
    body += '<bpmn:parallelGateway id="fork"/><bpmn:parallelGateway id="join"/>' + "".join(script.format(n) for n in (1, 2, 3))
    body += "".join(f'<bpmn:sequenceFlow id="f{n}" sourceRef="{a}" targetRef="{b}"/>' for n, (a, b) in enumerate(flows))
    body += '<bpmn:sequenceFlow id="many" sourceRef="x" targetRef="fork"><bpmn:conditionExpression>=x &gt; 10</bpmn:conditionExpression></bpmn:sequenceFlow>'
    return BPMN.format(id="w3", body=body)


def models() -> list[tuple[str, str]]:
    chains = [(id, model(id, n, id)) for id, n in (("w1", 1), ("w2", 10), ("s1", 1), ("s2", 10), ("glat", 1), ("slat", 1), ("park", 1))]
    return [(f"{id}.bpmn", text) for id, text in [*chains, ("w3", fork())]]


class Door(Protocol):
    """`run` makes one instance and waits until it has ended; `reached` has for `i` the moment when its worker got the task."""

    reached: dict[int, float]

    async def run(self, work: str, i: int) -> None: ...
    async def close(self) -> None: ...


class Gateway:
    """grpcio, one channel. An instance of tasks has ended when the completion of its last one is answered."""

    def __init__(self, address: str) -> None:
        from flowledger.sdk.zeebe_stubs import load

        self.pb = load()
        import grpc
        from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

        self._error = grpc.aio.AioRpcError
        self.channel = grpc.aio.insecure_channel(address)
        self.stub = GatewayStub(self.channel)
        self.reached: dict[int, float] = {}
        self._ends: dict[int, asyncio.Future[None]] = {}
        self._early: set[int] = set()
        self._completing: set[asyncio.Task[None]] = set()
        self._streams = [asyncio.create_task(self._work(type)) for type in ("w1", "w2", "glat")]

    async def _work(self, type: str) -> None:
        """A stream that is refused, or breaks, is asked for again."""
        request, last = self.pb.StreamActivatedJobsRequest(type=type, worker="bench", timeout=60_000), f"t{TASKS.get(type, 1) - 1}"
        while True:
            with contextlib.suppress(self._error):
                async for job in self.stub.StreamActivatedJobs(request):
                    if type == "glat":
                        self.reached[json.loads(job.variables)["i"]] = time.perf_counter()
                    task = asyncio.create_task(self._complete(job.key, job.processInstanceKey if job.elementId == last else 0))
                    self._completing.add(task)
                    task.add_done_callback(self._completing.discard)
            await asyncio.sleep(REFUSED_S)

    async def _complete(self, job: int, instance: int) -> None:
        """Until it counts; one that is gone was completed by a call before, whose answer was lost."""
        while True:
            try:
                await self.stub.CompleteJob(self.pb.CompleteJobRequest(jobKey=job))
                break
            except self._error as e:
                if e.code().name == "NOT_FOUND":
                    break
                await asyncio.sleep(REFUSED_S)
        if instance:
            end = self._ends.pop(instance, None)
            if end is None:
                self._early.add(instance)
            elif not end.done():
                end.set_result(None)

    async def run(self, work: str, i: int) -> None:
        pb = self.pb
        if work in ("w1", "w2"):
            answer = await self.stub.CreateProcessInstance(pb.CreateProcessInstanceRequest(bpmnProcessId=work, version=-1))
            key = answer.processInstanceKey
            if key in self._early:
                self._early.discard(key)
                return
            end = self._ends[key] = asyncio.get_running_loop().create_future()
            await end
            return
        variables, id = ({"x": 11}, "w3") if work == "w3" else ({"i": i}, "glat")
        request = pb.CreateProcessInstanceRequest(bpmnProcessId=id, version=-1, variables=json.dumps(variables))
        await self.stub.CreateProcessInstanceWithResult(pb.CreateProcessInstanceWithResultRequest(request=request, requestTimeout=30_000))

    async def close(self) -> None:
        for stream in self._streams:
            stream.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)
        await self.channel.close()


class Sdk:
    """Starts over HTTP that wait for the end, work over the job stream."""

    def __init__(self, address: str) -> None:
        from flowledger.sdk import Client, Worker

        self.client, self.worker = Client(address), Worker(address, name="bench", max_jobs=512, lease_s=60)
        self.reached: dict[int, float] = {}
        for type in ("s1", "s2"):
            self.worker.job(type, inline=True)(_nothing)

        @self.worker.job("slat")
        async def slat(i: int) -> None:
            self.reached[i] = time.perf_counter()

        self._working = asyncio.create_task(self.worker.run())

    async def run(self, work: str, i: int) -> None:
        id, variables = {"w1": ("s1", {}), "w2": ("s2", {}), "w3": ("w3", {"x": 11}), "park": ("park", {})}.get(work, ("slat", {"i": i}))
        await self.client.start(id, variables, wait_s=0 if work == "park" else 30)

    async def close(self) -> None:
        await self.worker.stop(5)
        await self._working
        await self.client.close()


def _nothing() -> None:
    pass


async def loop(one: Callable[[int], Awaitable[None]], under_way: int, seconds: float, count: int = 0) -> dict[str, Any]:
    """Keeps so many under way for so long, or until `count` have begun. `ended` counts all, `in_time` those that ended within the seconds."""
    ended = in_time = refused = begun = 0
    first_error = ""
    end = time.perf_counter() + seconds

    async def user() -> None:
        nonlocal ended, in_time, refused, first_error, begun
        while time.perf_counter() < end and not (count and begun >= count):
            begun += 1
            try:
                await one(begun)
            except Exception as e:  # noqa: BLE001 - a caller's answer: counted, said once, tried again
                refused += 1
                first_error = first_error or f"{type(e).__name__}: {e}"[:300]
                await asyncio.sleep(REFUSED_S)
                continue
            ended += 1
            in_time += time.perf_counter() <= end

    began = time.perf_counter()
    async with asyncio.timeout(seconds + DRAIN_S):
        await asyncio.gather(*(user() for _ in range(under_way)))
    took = time.perf_counter() - began
    return {"ended": ended, "in_time": in_time, "refused": refused, "error": first_error, "seconds": min(took, seconds), "took": took}


async def paced(door: Door, rate: float, seconds: float, base: int) -> dict[str, Any]:
    """Milliseconds from the call to the worker, and to the answer that tells of the end; the first tenth is left out."""
    n, began = max(1, int(rate * seconds)), time.perf_counter()
    at: dict[int, float] = {}
    done: dict[int, float] = {}

    async def one(i: int) -> None:
        at[i] = time.perf_counter()
        with contextlib.suppress(Exception):  # refused: it isn't among the samples
            await door.run("latency", i)
            done[i] = time.perf_counter()

    calls = []
    for i in range(base, base + n):
        await asyncio.sleep(max(0.0, began + (i - base) / rate - time.perf_counter()))
        calls.append(asyncio.create_task(one(i)))
    async with asyncio.timeout(DRAIN_S):
        await asyncio.gather(*calls)
    late = [i for i in range(base + n // 10, base + n) if i in done and i in door.reached]
    return {
        "begun": n,
        "ended": len(done),
        "seconds": time.perf_counter() - began,
        "to_worker_ms": sorted((door.reached[i] - at[i]) * 1e3 for i in late),
        "to_end_ms": sorted((done[i] - at[i]) * 1e3 for i in late),
    }


async def main() -> None:
    doors: dict[str, Door] = {}
    base = 0
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        if order["door"] not in doors:
            for other in doors.values():  # a worker of the other door would be idle work
                await other.close()
            doors = {order["door"]: (Gateway if order["door"] == "gateway" else Sdk)(order["address"])}
            await asyncio.sleep(0.5)
        door, work = doors[order["door"]], order["work"]
        if work == "latency":
            answer = await paced(door, order["rate"], order["seconds"], base)
            base += answer["begun"]
        else:
            answer = await loop(partial(door.run, work), order["under_way"], order["seconds"], order.get("count", 0))
        print(json.dumps(answer), flush=True)
    for door in doors.values():
        await door.close()


if __name__ == "__main__":
    asyncio.run(main())
