"""Saved reports for connectors: run over the rows, once these have all that the log had when they were asked for."""

from __future__ import annotations

import asyncio

from flowledger.api.problems import Problem
from flowledger.api.reads import SqlReads
from flowledger.connectors.frame import Failed, Report
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events.avro import encode_json
from flowledger.events.base import Rejected
from flowledger.infra.settings import Settings
from flowledger.kernel.saved_reports import REGISTRY
from flowledger.processors.client import ENGINE, Caller, Client
from flowledger.projections.reader import Reader

#: how long a partition may take to answer, and the rows to come after the log (seconds)
ASK_S, ROWS_S = 10.0, 20.0


class Reports:
    """Opens the database with the first report that is asked for."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client, self._settings = client, settings
        self._reader: Reader | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        if self._reader is not None:
            await self._reader.close()

    async def _reads(self) -> SqlReads:
        """Raises: Failed."""
        if not self._settings.postgres:
            raise Failed("CONFIGURATION", "there are no rows here: expected the setting postgres beside the role connectors")
        async with self._opening:
            if self._reader is None:
                reader = Reader(self._settings.postgres, wall=self._settings.row_security)
                await reader.open()
                self._reader = reader
        return SqlReads(self._reader)

    async def of(self, tenant: str, name: str, form: str, until: str) -> Report:
        """Raises: Failed."""
        reads = await self._reads()
        report = await self._record(tenant, name)
        try:
            ends = await self._ends()
            if not await reads.wait_for(ends, ROWS_S):
                raise Failed("ROWS_BEHIND", "the rows are behind the log: what they tell would be too small", again=True)
            given = {"report": encode_json(report).decode(), "name": name, "format": form, **({"to": until} if until else {})}
            found = await reads.insight("saved_report", given, tenant)
        except Problem as p:
            raise Failed("REPORT", f"the report '{name}' can't be run: {p.detail}", again=p.status == 503) from None
        content = found["content"]
        return Report(
            found["title"], content.encode() if isinstance(content, str) else content, found["media_type"], found["rows"], found["from"], found["to"]
        )  # fmt: skip

    async def _call(self, command: c.AnyCommand, tenant: str, partition: int) -> dict[str, object]:
        """Raises: Failed."""
        try:
            answer = await self._client.call(command, Caller(actor=ENGINE.actor, tenant=tenant), partition=partition, timeout_s=ASK_S)
        except (ConnectionError, TimeoutError):
            answer = None
        if not isinstance(answer, dict):
            words = answer.message if isinstance(answer, Rejected) else "no answer"
            raise Failed("ENGINE_AWAY", f"partition {partition} can't be asked now: {words}", again=True)
        return answer

    async def _ends(self) -> dict[int, int]:
        """The last offset of each partition that has any."""
        found = {}
        for p in range(self._client.partitions):
            end = (await self._call(co.ListFindings(), "", p))["end"]
            assert isinstance(end, int)
            if end > 0:
                found[p] = end - 1
        return found

    async def _record(self, tenant: str, name: str) -> dict[str, object]:
        answer = await self._call(c.ListRecords(registry=REGISTRY, prefix=name, limit=1), tenant, 0)
        rows = answer["records"]
        assert isinstance(rows, list)
        for row in rows:
            if row["name"] == name:
                value: dict[str, object] = row["value"]
                return value
        raise Failed("REPORT", f"there is no saved report '{name}'")
