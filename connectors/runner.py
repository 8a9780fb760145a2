"""One job of a connector from its inputs to its outcome, recorded as log line, span and figures; nothing of it shows a secret."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import Any

import httpx2

from flowledger import __version__
from flowledger.connectors import results
from flowledger.connectors.files import Files
from flowledger.connectors.frame import Answering, Call, Choosing, Connector, Failed, Turn
from flowledger.connectors.inputs import take
from flowledger.connectors.outcomes import failed
from flowledger.connectors.profiles import Profiles
from flowledger.connectors.reports import Reports
from flowledger.infra.callbacks import DAYS_MAX, Target, callbacks_of
from flowledger.infra.egress import Gate
from flowledger.infra.egress_transport import client_of
from flowledger.infra.secrets import Secrets
from flowledger.infra.secrets.mask import Mask
from flowledger.infra.settings import Settings, SettingsError
from flowledger.infra.telemetry import Telemetry
from flowledger.kernel.values import clean
from flowledger.logs import log
from flowledger.sdk.job import BpmnError, Job, JobFailed, Result, Waits

#: targets that have figures of their own; the others share one
TARGETS_MAX = 200
MESSAGE_MAX = 2_000
#: for who was called to answer by the job's one-time address, where the task doesn't say (seconds)
WAIT_S = 3_600.0
AGENT = f"flowledger/{__version__}"


class Runner:
    """Works on the jobs of connectors, in one process."""

    def __init__(
        self,
        settings: Settings,
        gate: Gate,
        secrets: Secrets,
        telemetry: Telemetry,
        files: Files | None = None,
        profiles: Profiles | None = None,
        reports: Reports | None = None,
    ) -> None:
        self.settings, self.gate, self.secrets, self.telemetry = settings, gate, secrets, telemetry
        self.files, self.profiles, self.reports = files, profiles, reports
        self.client: httpx2.AsyncClient = client_of(gate)
        self._targets: set[str] = set()

    async def close(self) -> None:
        await self.client.aclose()

    async def run(self, connector: Connector, job: Job, tenant: str = "") -> dict[str, Any] | Result | Waits:
        """The variables that the call leaves, or what it chose; or the job waits for who was called. Raises: BpmnError, JobFailed."""
        began = time.perf_counter()
        mask, headers = Mask(), job.headers
        waits: list[Waits] = []
        s = self.settings
        with self.telemetry.tracer.span(f"connector {connector.name}", job.trace) as span:
            call = Call(
                key=job.idempotency_key, trace=span.traceparent, gate=self.gate, client=self.client, mask=mask,
                answer_bytes_max=s.connector_answer_bytes_max, seconds_max=s.connector_timeout_s, user_agent=AGENT,
                own_topics=s.prefix, keep=partial(self.files.keep, job, tenant) if self.files is not None else None,
                kept=partial(self.files.kept, tenant) if self.files is not None else None, file_bytes_max=s.blob_bytes_max,
                profile=partial(self.profiles.of, tenant, mask=mask) if self.profiles is not None else None,
                report=partial(self.reports.of, tenant) if self.reports is not None else None,
            )  # fmt: skip
            answer, failure = None, None
            turn: Turn | None = None
            outcome = "done"
            try:
                try:
                    config = await take(
                        job.variables, headers, connector.config, self.secrets, mask, partial(self._address, job, tenant, waits)
                    )
                    async with asyncio.timeout(s.connector_timeout_s):
                        answer = await connector.call(config, call)
                    if isinstance(answer, Turn):
                        turn, answer = _masked_turn(answer, mask), answer.answer
                        if not turn.done:
                            outcome = "chosen"
                            return _result(turn, turn.variables)
                    answer = mask.value(answer)
                except (asyncio.CancelledError, BpmnError, JobFailed):
                    outcome = "cancelled"
                    raise
                except Exception as e:  # noqa: BLE001 - whatever a call ends with is its outcome
                    failure = self._masked(failed(e) or self._defect(connector, e), mask)
                try:
                    ignored = results.judged(headers, answer, failure, job.retries)
                    if ignored is not None:
                        outcome = "ignored"
                        return ignored if not isinstance(connector, Choosing) else Result(ignored, fulfilled=True, cancel_remaining=True)
                    if failure is None and waits:
                        outcome = "waits"
                        return waits[0]
                    if failure is None and turn is not None:
                        return _result(turn, results.variables_of(headers, answer))
                    if failure is None:
                        if isinstance(connector, Answering) and not results.told(headers):
                            return connector.variables(answer)
                        return results.variables_of(headers, answer)
                except Failed as wrong:  # of the model's own expressions
                    failure = self._masked(wrong, mask)
                except BpmnError:
                    outcome = "error"
                    raise
                except JobFailed:
                    outcome = "failed"
                    raise
                outcome = "retried" if failure.again and job.retries > 1 else "incident"
                raise self._job_failed(failure, headers, mask)
            finally:
                code = failure.code if failure is not None else ""
                self._record(connector, job, call, outcome, code, time.perf_counter() - began, span)

    def _address(self, job: Job, tenant: str, waits: list[Waits]) -> str:
        """The job's one-time address; `waits` gets for how long. Raises: Failed."""
        wait_s = results.seconds(job.headers.get("callbackTimeout"), "the header callbackTimeout")
        wait_s = WAIT_S if wait_s is None else wait_s
        if not 1 <= wait_s <= DAYS_MAX * 86_400:
            raise Failed("CONFIGURATION", f"expected 1 second to {DAYS_MAX} days as the header callbackTimeout")
        try:
            callbacks = callbacks_of(self.settings)
        except SettingsError as e:
            raise Failed("CONFIGURATION", str(e)) from None
        waits.append(Waits(wait_s))
        return callbacks.url(Target(job.key, tenant, int(time.time() + wait_s) + 1))

    @staticmethod
    def _defect(connector: Connector, e: Exception) -> Failed:
        log("connectors").error("a connector failed", connector=connector.name, exc_info=e)
        return Failed("DEFECT", f"the connector failed: {type(e).__name__}", again=True)

    @staticmethod
    def _masked(failure: Failed, mask: Mask) -> Failed:
        return Failed(
            failure.code, mask.text(clean(failure.message, MESSAGE_MAX)), again=failure.again, after_s=failure.after_s,
            response=mask.value(failure.response),
        )  # fmt: skip

    @staticmethod
    def _job_failed(failure: Failed, headers: dict[str, Any], mask: Mask) -> JobFailed:
        """What can't be mended by another attempt is an incident at once."""
        try:
            own = results.seconds(headers.get("retryBackoff"), "the header retryBackoff")
        except Failed as wrong:
            failure, own = wrong, None
        waits = [w for w in (own, failure.after_s) if w is not None]
        text = f"{mask.text(failure.message)} ({failure.code})"
        return JobFailed(
            text, code=failure.code, retries=None if failure.again else 0, backoff_s=max(waits) if waits and failure.again else None
        )

    def _record(self, connector: Connector, job: Job, call: Call, outcome: str, code: str, seconds: float, span: Any) -> None:
        target = call.mask.text(call.target)
        log("connectors").info(
            "call", connector=connector.name, target=target, status=call.status, outcome=outcome, ms=round(seconds * 1000, 1), job=job.key,
            instance=job.instance, element=job.element, attempt=job.attempt, each=True, **({"code": code} if code else {}), **call.notes,
        )  # fmt: skip
        if target not in self._targets:
            if len(self._targets) < TARGETS_MAX:
                self._targets.add(target)
            else:
                target = "others"
        m = self.telemetry.metrics
        m.connector_calls.labels(connector.name, target, outcome).inc()
        m.connector_seconds.labels(connector.name).observe(seconds)
        span.set(
            **{
                "flowledger.connector": connector.name, "server.address": target, "flowledger.outcome": outcome, "flowledger.status": call.status,
                "flowledger.instance": job.instance, "flowledger.element": job.element, "flowledger.job.key": job.key,
            }
        )  # fmt: skip


def _masked_turn(turn: Turn, mask: Mask) -> Turn:
    return replace(
        turn,
        variables=mask.value(turn.variables),
        activate=[(e, mask.value(own)) for e, own in turn.activate],
        summary=mask.text(turn.summary),
    )


def _result(turn: Turn, variables: dict[str, Any]) -> Result:
    return Result(
        variables, summary=turn.summary, metrics=turn.metrics, activate=turn.activate, fulfilled=turn.done, cancel_remaining=turn.done
    )
