"""What tenants have stored, and who has no room left: files beside the ledger, and rows in PostgreSQL.

A door looks at those that have a quota (`quotas.storage` of a tenant's record) every half a minute, and at the size of each file that it takes; nothing is
looked at where nobody has one. Without room nothing new begins and no file is attached; what runs goes on, so that nothing is lost.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from flowledger.api.problems import Problem
from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.tasks.quotas import tenant_of
from flowledger.kernel.tenants import BEGINS, REGISTRY, REMOVED
from flowledger.logs import log

log_ = log("api")

#: how often doors look (seconds)
LOOK_S = 30.0
#: what a tenant without room may not ask for
ADDS: frozenset[type[c.AnyCommand]] = BEGINS | {c.PublishMessage}


class Stored(NamedTuple):
    """Bytes."""

    files: int
    rows: int


class Storage:
    """Of one door. `limits`: tenant -> bytes that it may store; `full`: who has stored that much, and what they are told."""

    def __init__(self, services: Any) -> None:
        self._services = services
        self.limits: dict[str, int] = {}
        self.full: dict[str, str] = {}
        self._used: dict[str, int] = {}

    async def measure(self, tenant: str) -> Stored:
        s = self._services
        return Stored(0 if s.blobs is None else await s.blobs.used(tenant), await s.reads.stored(tenant))

    async def look(self) -> None:
        """Raises: Problem, OSError."""
        limits: dict[str, int] = {}
        after, more = "", True
        while more:
            found = await self._services.client.call(c.ListRecords(registry=REGISTRY, after=after, limit=1_000), partition=0)
            if isinstance(found, Rejected):
                raise Problem(found.code, found.message)
            rows = found.get("records") or []
            for row in rows:
                value = row["value"]
                if (most := (value.get("quotas") or {}).get("storage")) and value.get("status") != REMOVED:
                    limits[tenant_of(row["name"])] = int(most)
            more = bool(found.get("more") and rows)
            after = rows[-1]["name"] if rows else after
        used = {tenant: sum(await self.measure(tenant)) for tenant in limits}
        self.limits, self._used = limits, used
        self.full = {t: self._told(t) for t, most in limits.items() if used[t] >= most}

    def _told(self, tenant: str) -> str:
        return f"tenant '{tenant or 'default'}' has stored {self._used[tenant]} bytes, {self.limits[tenant]} is its quota: remove what is not needed"

    def refused(self, command: object, tenant: str) -> Rejected | None:
        """Why it may not begin something new; asked only where somebody is full."""
        if type(command) not in ADDS or (why := self.full.get(tenant)) is None:
            return None
        return Rejected(RejectionCode.RESOURCE_EXHAUSTED, why, int(LOOK_S * 1000))

    def room(self, tenant: str) -> int | None:
        """Bytes that a tenant may still store; None: as many as it likes."""
        most = self.limits.get(tenant)
        return None if most is None else most - self._used[tenant]

    def took(self, tenant: str, size: int) -> None:
        """A file was taken."""
        if tenant in self.limits:
            self._used[tenant] += size
            if self._used[tenant] >= self.limits[tenant]:
                self.full[tenant] = self._told(tenant)

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.look()
            except (Problem, OSError) as e:
                log_.warning("what tenants have stored can't be looked at", why=str(e))
            await asyncio.sleep(LOOK_S)
