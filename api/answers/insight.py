"""Answers: figures and reports."""

from __future__ import annotations

import msgspec

from flowledger.api.answers.common import Key, Place, Time


class Times(msgspec.Struct, kw_only=True):
    """How long something took, of `count` that completed. Percentiles are off by 3.2 % at most; null by minute, of which they aren't kept. `min_ms` and `max_ms`
    are told of cycle times."""

    count: int
    mean_ms: float | None = None
    min_ms: float | None = None
    max_ms: float | None = None
    p50_ms: float | None = None
    p75_ms: float | None = None
    p90_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


class Measured(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """A group in a window: what it is grouped by, and the measures that were asked for."""

    from_: Time
    to: Time
    process: str | None = None
    version: int | None = None
    definition: Key | None = None
    element: str | None = None
    job_type: str | None = None
    started: int | None = None
    completed: int | None = None
    failed: int | None = None
    cancelled: int | None = None
    terminated: int | None = None
    ended: int | None = None
    #: completed in an hour
    throughput: float | None = None
    #: begun and not over at the end of the window
    wip: int | None = None
    #: share of what ended
    success_rate: float | None = None
    cycle_time: Times | None = None
    waiting_time: Times | None = None
    working_time: Times | None = None
    #: share of waiting and working
    working_share: float | None = None
    attempts: int | None = None
    retries: int | None = None
    errors: int | None = None
    #: share of attempts
    error_rate: float | None = None
    incidents: int | None = None
    reworked: int | None = None


class Measures(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """Group by group, the earliest window first."""

    items: list[Measured]
    window: str
    from_: Time
    to: Time
    group: list[str]
    measures: list[str]
    position: Place | None = None
