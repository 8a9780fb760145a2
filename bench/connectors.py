"""The HTTP connector against a local target in a process of its own: calls a second, and what a call costs beside its exchange.

A call here is a job from its inputs to its outcome (configuration, secret, gate, request, answer, result expression, record); leases and the log are
not in it: `bench gateway` has those. The overhead is the time of a call less that of the same exchange over a bare socket, one after the other.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import time
from typing import Any

CALLS, AT_ONCE, ONE_BY_ONE = 3_000, 32, 500
ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 28\r\n\r\n{"id": "Q1", "price": 12.50}'


class _Target(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self._transport, self._got = transport, b""

    def data_received(self, data: bytes) -> None:
        self._got += data
        while (end := self._got.find(b"\r\n\r\n")) >= 0:
            self._got = self._got[end + 4 :]
            self._transport.write(ANSWER)


def _serve(told: Any) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(_Target, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


async def _measured(port: int) -> list[dict[str, Any]]:
    from flowledger.connectors.catalogue import connectors
    from flowledger.connectors.runner import Runner
    from flowledger.infra.egress import Gate
    from flowledger.infra.secrets import Environment, Secrets
    from flowledger.infra.settings import Settings
    from flowledger.infra.telemetry import Telemetry
    from flowledger.sdk.frames import Job as Data
    from flowledger.sdk.job import Job

    settings = Settings.model_validate({"egress_private": ("127.0.0.1",), "log_level": "error"})
    runner, connector = Runner(settings, Gate.of(settings), Secrets([Environment()]), Telemetry.of(settings)), connectors()[0]
    auth = {"type": "bearer", "token": "{{secrets.BENCH}}"}
    variables = {"url": f"http://127.0.0.1:{port}/quotes"}
    headers = {"resultExpression": "= {price: response.body.price}", "flowledger:secrets": '{"authentication.token": ["BENCH"]}'}

    def job(n: int) -> Job:
        inputs = {**variables, "authentication": dict(auth)}
        return Job(Data(key=n, type=connector.job_type, variables=inputs, headers=headers, idempotency_key=str(n)), None)

    async def some(numbers: range) -> None:
        for n in numbers:
            await runner.run(connector, job(n))

    await some(range(50))
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(some(range(n, CALLS, AT_ONCE)) for n in range(AT_ONCE)))
    took, used = time.perf_counter() - began, time.process_time() - cpu
    ours, bare = [], []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for n in range(ONE_BY_ONE):
        at = time.perf_counter()
        await runner.run(connector, job(n))
        ours.append(time.perf_counter() - at)
        at = time.perf_counter()
        writer.write(b"GET /quotes HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readexactly(len(ANSWER))
        bare.append(time.perf_counter() - at)
    writer.close()
    await runner.close()
    return [
        {"figure": "calls_per_s", "value": round(CALLS / took), "at_once": AT_ONCE, "cpu_ms_per_call": round(used / CALLS * 1000, 3)},
        {
            "figure": "own_overhead_ms_p50", "value": round((statistics.median(ours) - statistics.median(bare)) * 1000, 2),
            "call_ms_p50": round(statistics.median(ours) * 1000, 2), "bare_ms_p50": round(statistics.median(bare) * 1000, 2),
        },
    ]  # fmt: skip


def run() -> list[dict[str, Any]]:
    os.environ.setdefault("FLOWLEDGER_SECRET_BENCH", "a-token-of-the-benchmark")
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    target = context.Process(target=_serve, args=(there,), daemon=True)
    target.start()
    try:
        return asyncio.run(_measured(here.recv()))
    finally:
        target.kill()
        target.join()
