"""Operations of registered capabilities (`kernel/tasks/capabilities.py`): what stands at an endpoint is called with what a task gives, checked by the schemas of both.

A call is a POST of the input to `ENDPOINT/PATH` (`/OPERATION` where there is no path) with the idempotency key; the answer is an object. An answer of 400 to 499 whose
`code` is one of the operation's `errors` is a BPMN error of that code.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from pydantic import ConfigDict, Field, ValidationError, create_model

from flowledger.api.workers import Workers
from flowledger.connectors.direct import LOOK_BY_LOG_S, DirectTransport, Looking
from flowledger.connectors.frame import Call, Config, Failed
from flowledger.connectors.http.config import HttpConfig
from flowledger.connectors.http.connector import HttpConnector
from flowledger.connectors.inputs import problems
from flowledger.connectors.runner import Runner
from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.secrets import SecretError, Secrets
from flowledger.kernel.model.connectors import REFERENCE
from flowledger.kernel.tasks import clock, schemas
from flowledger.logs import log
from flowledger.processors.client import ENGINE, Caller, Client
from flowledger.sdk import BpmnError, Job, Result, Waits, Worker

#: how often the registry is looked at, and health asked for (seconds)
LOOK_S, HEALTH_S, ASK_S = 2.0, 30.0, 10.0
#: endpoints that are asked for their health at once, and how long each has (seconds)
AT_ONCE, WELL_S = 20, 5.0
#: records of one tenant that are served
CAPABILITIES_MAX = 1_000
TIMEOUT_S = 60.0
#: of a task without an input schema, the variable that is the input
INPUT = "input"


class _Given(Config):
    """Names are those of the operation's input, as they are."""

    model_config = ConfigDict(extra="forbid", alias_generator=None, populate_by_name=False)


class Operation:
    """One operation, as a connector."""

    aliases: tuple[str, ...] = ()

    def __init__(self, capability: str, name: str, record: dict[str, Any], http: HttpConnector, secrets: Secrets) -> None:
        self.name, self.job_type = "capability", f"{capability}.{name}"
        self._record, self._row, self._http, self._secrets = record, record["operations"][name], http, secrets
        self._url = record["endpoint"].rstrip("/") + (self._row.get("path") or f"/{name}")
        timeout = self._row.get("timeout")
        self._timeout = clock.span_us(timeout) / 1e6 if timeout else TIMEOUT_S
        schema = self._row.get("input")
        fields = list(schema.get("properties") or ()) if isinstance(schema, dict) else []
        #: it names no fields: one variable is all of it
        self._whole = not fields
        fields = fields or [INPUT]
        self._names = {f"f{i}": field for i, field in enumerate(fields)}
        made: dict[str, Any] = {f: (Any, Field(None, alias=field)) for f, field in self._names.items()}
        self.config: type[Config] = create_model(
            f"{capability}.{name}", __base__=_Given, __doc__=self._row.get("description") or self.job_type, **made
        )

    async def call(self, config: Any, call: Call) -> Any:
        """Raises: Failed, BpmnError, and what httpx2 and the gate raise."""
        given: Any = {self._names[f]: getattr(config, f) for f in config.model_fields_set}
        if self._whole:
            given = given.get(INPUT, {})
        schema = self._row.get("input")
        if schema is not None and (wrong := schemas.check(schema, given)):
            raise Failed("INPUT", f"{self.job_type}: {_told(wrong)}")
        raw = {
            "method": "POST",
            "url": self._url,
            "body": given,
            "headers": self._record.get("headers") or {},
            "timeoutInSeconds": self._timeout,
        }
        if self._record.get("authentication"):
            raw["authentication"] = await self._resolved(self._record["authentication"], call)
        try:
            request = HttpConfig.model_validate(raw)
        except ValidationError as e:
            raise Failed("CONFIGURATION", f"the capability can't be called so: {problems(e)}") from None
        try:
            answer = (await self._http.call(request, call))["body"]
        except Failed as e:
            body = (e.response or {}).get("body")
            code = body.get("code") if isinstance(body, dict) else None
            if e.code.startswith("4") and isinstance(body, dict) and code in (self._row.get("errors") or ()):
                more = body.get("variables")
                raise BpmnError(str(code), str(body.get("message") or ""), more if isinstance(more, dict) else None) from None
            raise
        schema = self._row.get("output")
        if schema is not None and (wrong := schemas.check(schema, answer)):
            raise Failed("OUTPUT", f"the answer of {self.job_type} isn't what its schema says: {_told(wrong)}")
        return answer

    def variables(self, answer: Any) -> dict[str, Any]:
        return answer if isinstance(answer, dict) else {"result": answer}

    async def _resolved(self, authentication: dict[str, Any], call: Call) -> dict[str, Any]:
        """Raises: Failed."""
        names = {m[1] for v in authentication.values() if isinstance(v, str) and (m := REFERENCE.fullmatch(v))}
        try:
            values = await self._secrets.resolve(sorted(names))
        except SecretError as e:
            raise Failed(e.code, e.message, again=e.again) from None
        call.mask.add(*values.values())
        return {k: values[m[1]] if isinstance(v, str) and (m := REFERENCE.fullmatch(v)) else v for k, v in authentication.items()}


def _told(wrong: list[Any]) -> str:
    return "; ".join(str(w) for w in wrong[:5])


class Capabilities:
    """Those of one tenant that have an endpoint: a worker on their operations, made anew when they change."""

    def __init__(self, client: Client, registry: Workers, runner: Runner, tenant: str, lease_s: float, grace_s: float) -> None:
        self._client, self._registry, self._runner, self._tenant = client, registry, runner, tenant
        self._lease_s, self._grace_s = lease_s, grace_s
        self._http = HttpConnector()
        self._worker: Worker | None = None
        self._running: asyncio.Task[None] | None = None
        self._known: bytes = b""
        self._next_health = 0.0
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self.served: dict[str, dict[str, Any]] = {}

    async def run(self) -> None:
        try:
            while True:
                try:
                    await self._look()
                except Exception as e:  # noqa: BLE001 - it is looked for again
                    log("connectors").error("capabilities can't be looked for", tenant=self._tenant, exc_info=e)
                if time.monotonic() >= self._next_health:
                    self._next_health = time.monotonic() + HEALTH_S
                    await asyncio.gather(*(self._health(name, record) for name, record in self.served.items()))
                await asyncio.sleep(LOOK_BY_LOG_S if isinstance(self._client, Looking) else LOOK_S)
        finally:
            await self._stop()

    async def _look(self) -> None:
        found: dict[str, dict[str, Any]] = {}
        after = ""
        while len(found) < CAPABILITIES_MAX:
            command = c.ListRecords(registry="capability", after=after, limit=CAPABILITIES_MAX)
            answer = await self._client.call(command, Caller(actor=ENGINE.actor, tenant=self._tenant), partition=0, timeout_s=ASK_S)
            if isinstance(answer, Rejected):
                return
            records = answer["records"]
            found |= {r["name"]: r["value"] for r in records if r["value"].get("endpoint")}
            if not answer["more"] or not records:
                break
            after = records[-1]["name"]
        known = msgspec.json.encode(found, order="deterministic")
        if known == self._known:
            return
        await self._stop()
        for name in self.served.keys() - found.keys():
            with suppress(KeyError):  # its health was not asked for yet
                self._runner.telemetry.metrics.capability_up.remove(self._tenant, name)
        self.served, self._known, self._next_health = found, known, 0.0
        operations = [
            Operation(name, o, record, self._http, self._runner.secrets) for name, record in found.items() for o in record["operations"]
        ]
        if operations:
            self._start(operations)
            log("connectors").info("capabilities are served", tenant=self._tenant, count=len(found), operations=len(operations))

    def _start(self, operations: list[Operation]) -> None:
        s = self._runner.settings
        worker = self._worker = Worker(
            DirectTransport(self._client, self._registry), name=f"capabilities-{s.node}", max_jobs=s.connector_calls, lease_s=self._lease_s,
            tenant=self._tenant, threads=1,
        )  # fmt: skip
        for operation in operations:
            fetch = [field.alias or name for name, field in operation.config.model_fields.items()]
            worker.job(operation.job_type, fetch=fetch)(self._handler(operation))
        self._running = asyncio.create_task(worker.run(), name="capabilities")

    def _handler(self, operation: Operation) -> Callable[[Job], Any]:
        async def handle(job: Job) -> dict[str, Any] | Result | Waits:
            return await self._runner.run(operation, job, self._tenant)

        return handle

    async def _stop(self) -> None:
        if self._worker is None or self._running is None:
            return
        await self._worker.stop(self._grace_s)
        self._running.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._running
        self._worker = self._running = None

    async def _health(self, name: str, record: dict[str, Any]) -> None:
        """Whether its endpoint says that it is well, as a figure."""
        if not record.get("health"):
            return
        try:
            url = self._runner.gate.url(record["endpoint"].rstrip("/") + record["health"])
            async with self._at_once:
                well = (await self._runner.client.get(url, timeout=WELL_S)).status_code < 400
        except Exception:  # noqa: BLE001 - whatever it is, it isn't well
            well = False
        self._runner.telemetry.metrics.capability_up.labels(self._tenant, name).set(well)
