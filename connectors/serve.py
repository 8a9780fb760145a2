"""The connectors of one process, a worker for each tenant, and its readers of triggers, over the client port."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

from flowledger.api.workers import Workers
from flowledger.connectors import bucket  # noqa: F401 - files may be kept there
from flowledger.connectors.capabilities import Capabilities
from flowledger.connectors.catalogue import connectors
from flowledger.connectors.direct import DirectTransport
from flowledger.connectors.files import Files
from flowledger.connectors.frame import Closing, Connector
from flowledger.connectors.inputs import fields_of, literal
from flowledger.connectors.profiles import Profiles
from flowledger.connectors.reports import Reports
from flowledger.connectors.runner import Runner
from flowledger.connectors.sources.catalogue import KINDS
from flowledger.connectors.sources.readers import Readers
from flowledger.infra.blobs import blobs_of
from flowledger.infra.egress import Gate
from flowledger.infra.secrets import secrets_of
from flowledger.infra.settings import Settings
from flowledger.infra.telemetry import Telemetry
from flowledger.processors.client import Client
from flowledger.sdk import Job, Result, Waits, Worker

#: of a job; heartbeats extend it, and after it the jobs of a process that died go to another
LEASE_S = 15.0
#: calls under way have so long to end when the process stops
GRACE_S = 5.0


class Connectors:
    """`run` until cancelled; calls under way are then finished for `GRACE_S`. Raises: SettingsError."""

    def __init__(self, client: Client, settings: Settings, telemetry: Telemetry, gate: Gate | None = None) -> None:
        gate, secrets = gate or Gate.of(settings), secrets_of(settings)
        blobs = blobs_of(settings)
        self.reports = Reports(client, settings)
        self.runner = Runner(settings, gate, secrets, telemetry, Files(client, blobs), Profiles(client, secrets), self.reports)
        self.settings = settings
        self.readers = Readers(client, settings, gate, secrets, KINDS, f"{settings.node}-{os.getpid()}", blobs)
        self._connectors = connectors()
        registry = Workers()
        tenants = list(dict.fromkeys(("", *settings.connector_tenants)))
        self.workers = [self._worker(client, registry, tenant) for tenant in tenants]
        self.capabilities = [Capabilities(client, registry, self.runner, tenant, LEASE_S, GRACE_S) for tenant in tenants]

    def _worker(self, client: Client, registry: Workers, tenant: str) -> Worker:
        worker = Worker(
            DirectTransport(client, registry), name=f"connectors-{self.settings.node}", max_jobs=self.settings.connector_calls,
            lease_s=LEASE_S, tenant=tenant, threads=1,
        )  # fmt: skip
        for connector in self._connectors:
            fetch = [name for name in fields_of(connector.config) if name not in literal(connector.config)]
            for job_type in (connector.job_type, *connector.aliases):
                worker.job(job_type, fetch=fetch)(_handler(self.runner, connector, tenant))
        return worker

    async def run(self) -> None:
        running = [asyncio.create_task(worker.run()) for worker in self.workers]
        running.append(asyncio.create_task(self.readers.run()))
        running += [asyncio.create_task(each.run()) for each in self.capabilities]
        try:
            ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        except asyncio.CancelledError:
            await asyncio.gather(*(worker.stop(GRACE_S) for worker in self.workers))
            raise
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            for connector in self._connectors:
                if isinstance(connector, Closing):
                    await connector.close()
            await self.runner.close()
            await self.reports.close()


def _handler(runner: Runner, connector: Connector, tenant: str) -> Callable[[Job], Any]:
    async def handle(job: Job) -> dict[str, Any] | Result | Waits:
        return await runner.run(connector, job, tenant)

    return handle
