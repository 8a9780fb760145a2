"""Answers: registries, workers, and the server itself."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.api.answers.common import Json, Place, Time
from flowledger.api.answers.control import Incident
from flowledger.api.answers.instances import InstanceRow
from flowledger.api.answers.tasks import TaskRow


class Entry(msgspec.Struct, kw_only=True):
    """An entry of a registry: its name, and all that was stored under it."""

    name: str


class Stored(msgspec.Struct, kw_only=True):
    registry: str
    name: str
    position: str | None = None
    version: int | None = None


class TenantStored(msgspec.Struct, kw_only=True):
    """Bytes: of files that are kept beside the ledger, and of rows."""

    files: int
    rows: int


class TenantHas(msgspec.Struct, kw_only=True):
    instances: int
    tasks: int
    definitions: int
    storage: TenantStored | None = None


class Tenant(msgspec.Struct, kw_only=True):
    """`tenant`: what callers name (`X-Tenant`, empty for `default`). `status`: active, suspended. `jobs`: the limit of its work, as `GET /v1/limits` has it.
    `unknown`, of `default`: accept or refuse tenants that nobody has made. `has`: what may go on, where one tenant is asked for."""

    name: str
    tenant: str
    status: str
    title: str = ""
    metadata: Json = {}
    jobs: Json | None = None
    quotas: Json = {}
    unknown: str | None = None
    hold: str | None = None
    reason: str = ""
    created_at: Time | None = None
    updated_at: Time | None = None
    has: TenantHas | None = None
    position: str | None = None


class Breaker(msgspec.Struct, kw_only=True):
    partition: int
    target: str


class Load(msgspec.Struct, kw_only=True):
    partition: int
    assignee: str


class WorkerRow(msgspec.Struct, kw_only=True):
    """`holds`: up to a hundred of its jobs."""

    id: str
    worker: str
    transport: str
    address: str | None = None
    tenant: str | None = None
    types: list[str] = []
    since_us: int | None = None
    last_seen_us: int | None = None
    connected: bool | None = None
    completed: int | None = None
    failed: int | None = None
    holds_count: int | None = None
    holds: list[Json] = []


class Live(msgspec.Struct, kw_only=True):
    status: str
    uptime_s: float


class Health(msgspec.Struct, kw_only=True):
    """`status`: ready, degraded (commands are taken, something else is away) or not ready. `parts`: `owners` and `projections`, each with `ok`
    and `why`; and what they stand on, with its `kind` too: `events` (the log, which takes and gives all events), `threads` (histories for audit: the log and its
    rows), `postgres`, `cache` (none is needed) and `files`.

    `reasons`: all that is wrong; `warnings`: what should be looked at. `partitions`: epoch and position of those owned here."""

    status: str
    execution: bool
    queries: bool
    parts: dict[str, dict[str, Any]]
    reasons: list[str]
    warnings: list[str]
    partitions: dict[str, Any]


class Overview(msgspec.Struct, kw_only=True):
    """What a first look shows. A part that isn't told is null; `unseen`: part -> FORBIDDEN (its right lacks) or UNAVAILABLE (not now)."""

    health: Health
    tasks: list[TaskRow] | None = None
    incidents: list[Incident] | None = None
    instances: list[InstanceRow] | None = None
    #: how many the watchdog has
    findings: int | None = None
    unseen: dict[str, str] = {}
    #: all parts are at least as new as this
    position: Place | None = None


class GatheredRead(msgspec.Struct, kw_only=True):
    """One of several reads. `get`: its address, with what was named in it; `body`: what it answers, a problem included; a text where it isn't JSON."""

    get: str
    status: int
    body: Any


class Gathered(msgspec.Struct, kw_only=True):
    """Several reads in one, in the order asked for."""

    reads: list[GatheredRead]
    #: all of them are at least as new as this; null: queries can't be answered now
    position: Place | None = None


class Setting(msgspec.Struct, kw_only=True):
    """`variable`: its name in the environment."""

    name: str
    value: str
    changed: bool
    description: str
    variable: str
