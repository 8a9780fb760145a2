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
    recovered_share: float | None = None
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


class Heat(msgspec.Struct, kw_only=True):
    """From 0 to 1, the hottest element of the answer."""

    frequency: float
    duration: float
    waiting: float
    errors: float


class Heated(Measured, kw_only=True):
    """An element; `type` is null of events and gateways."""

    name: str
    type: str | None = None
    heat: Heat


class Heatmap(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    items: list[Heated]
    from_: Time
    to: Time
    position: Place | None = None


class Bottleneck(msgspec.Struct, kw_only=True):
    """An element that is waited for: `waited_ms` together, `share` of all waiting. `kind`: work that nobody had in hand, or a wait (for a timer, a message, a
    branch). `change`: of the mean against the time before."""

    rank: int
    process: str
    element: str
    name: str
    type: str | None = None
    kind: str
    waited_ms: float
    share: float
    count: int
    mean_ms: float
    p95_ms: float | None = None
    wip: int
    errors: int
    retries: int
    reworked: int
    change: float | None = None
    says: str


class Bottlenecks(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    items: list[Bottleneck]
    waited_ms: float
    from_: Time
    to: Time
    position: Place | None = None


class Variant(msgspec.Struct, kw_only=True):
    """A way that instances went: elements in the order in which tokens arrived; `more`: elements beyond those that are told."""

    process: str
    variant: str
    path: list[str]
    more: int
    versions: list[int]
    count: int
    share: float
    #: share of this and all before
    cumulated: float
    completed: int
    failed: int
    cancelled: int
    terminated: int
    cycle_time: Times


class Variants(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """`variants`: how many there are; `instances`: how many went them."""

    items: list[Variant]
    variants: int
    instances: int
    from_: Time
    to: Time
    position: Place | None = None


class Side(msgspec.Struct, kw_only=True):
    version: int
    started: int
    completed: int
    failed: int
    cancelled: int
    terminated: int
    cycle_time: Times


class Difference(msgspec.Struct, kw_only=True):
    """`change` of the median; `longer`: of all pairs the share in which the one after took longer; `p_value` by the rank test. `verdict`: faster, slower or same
    (p not below 0.05). All null: one side has none."""

    change: float | None = None
    longer: float | None = None
    p_value: float | None = None
    verdict: str | None = None


class ElementDifference(Difference, kw_only=True):
    """`p_value` is adjusted for so many elements (Benjamini and Hochberg)."""

    element: str
    name: str
    measure: str
    before: Times
    after: Times


class Success(msgspec.Struct, kw_only=True):
    """Shares of what ended. `verdict`: better, worse or same."""

    before: float | None = None
    after: float | None = None
    p_value: float | None = None
    verdict: str | None = None


class Comparison(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    process: str
    before: Side
    after: Side
    cycle_time: Difference
    success_rate: Success
    items: list[ElementDifference]
    from_: Time
    to: Time
    position: Place | None = None


class KpiFigure(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """A group in a window. `total`, `mean`, `min`, `max`: of times in milliseconds, else as the KPI has them. `value`: what the figure is told by. Of an SLA also
    how many kept it."""

    from_: Time
    to: Time
    process: str | None = None
    version: int | None = None
    element: str | None = None
    value: str | None = None
    count: int
    total: float | None = None
    mean: float | None = None
    min: float | None = None
    max: float | None = None
    kept: int | None = None
    broken: int | None = None
    kept_share: float | None = None


class KpiFigures(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """`unit`: ms of times, else as the KPI says."""

    items: list[KpiFigure]
    name: str
    kind: str
    title: str
    unit: str
    window: str
    from_: Time
    to: Time
    group: list[str]
    position: Place | None = None


class Promise(msgspec.Struct, kw_only=True):
    """An SLA. Of what ended in the time: `count`, `kept`, `broken`, `kept_share`; `met`: whether that reaches its `goal`. Of what is open by now: how many, and how
    many are late or at risk; null: it isn't known of what is open."""

    name: str
    title: str
    process: str
    element: str
    within_ms: int | None = None
    count: int
    kept: int
    broken: int
    kept_share: float | None = None
    goal: float | None = None
    met: bool | None = None
    open: int | None = None
    late: int | None = None
    at_risk: int | None = None


class Promises(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    items: list[Promise]
    from_: Time
    to: Time
    position: Place | None = None


class Promised(msgspec.Struct, kw_only=True):
    """An instance, or its stay at an element. `over_ms`: by how much it was, or is, too late; below 0: so much is left."""

    instance: Key
    process: str
    version: int
    element: str
    began: Time | None = None
    ended: Time | None = None
    over_ms: float


class PromisedOnes(msgspec.Struct, kw_only=True):
    items: list[Promised]
    position: Place | None = None
