"""Answers: what operators steer and look after: incidents, dead letters, operations, holds, batches."""

from __future__ import annotations

import msgspec

from flowledger.api.answers.common import Done, Json, Key


class Incident(msgspec.Struct, kw_only=True):
    id: Key
    status: str
    code: str
    message: str
    instance: str | None = None
    definition: str | None = None
    process: str | None = None
    task: str | None = None
    token: str | None = None
    element: str | None = None
    #: what it is called; null: it has no name
    element_name: str | None = None
    created_at: str | None = None
    resolved_at: str | None = None
    resolved_by: str | None = None
    position: str | None = None
    #: of one incident: the last failure of its task: `{code, message, details, at}`; `details.stack_trace` where it is kept
    error: Json | None = None


class IncidentGroup(msgspec.Struct, kw_only=True):
    """Incidents of one cause: the same process (of any version), element, code, and text but for its numbers, ids and what is quoted. `count` of them
    in `instances` instances, `open` of them not resolved. `examples`: the newest."""

    id: str
    code: str
    cause: str
    count: int
    open: int
    instances: int
    process: str = ""
    element: str = ""
    element_name: str | None = None
    definitions: list[Key] = []
    first_at: str | None = None
    last_at: str | None = None
    examples: list[Json] = []


class Chain(msgspec.Struct, kw_only=True):
    """From the root instance down to the one with the incident: `element` is where each waits for the next, of the last the incident's own."""

    incident: Json
    items: list[Json]
    position: str | None = None


class DeadLetter(msgspec.Struct, kw_only=True):
    """A record of `commands` that nobody could decide, `message` says why. `source`: `partition-offset` in `commands`. `command`: its first
    `kept` bytes of `size` (null: not known), by `encoding` as a text or in base64. `sender`: the partition whose send it was."""

    id: Key
    status: str
    message: str
    source: str
    partition: int
    command: str
    encoding: str
    size: int | None = None
    kept: int = 0
    sender: int | None = None
    instance: str | None = None
    token: str | None = None
    created_at: str | None = None
    closed_at: str | None = None
    closed_by: str | None = None
    reason: str | None = None
    replayed_as: str | None = None
    replayed_to: int | None = None
    position: str | None = None


class Replayed(Done, kw_only=True):
    answer: Json | None = None


class Operation(msgspec.Struct, kw_only=True):
    """Somebody asked for a change. `outcome`: granted, or refused with `code` and `message`. `kind` and `subject`: what it was about; `names`: the
    variables that it set, the files that it deployed; `details`: how it was asked. `door`, `address`, `agent`: from where; `roles`, `credential`
    (`session`, `key:ID`): as whom. `before`, `after`: positions, null where it was refused. `skipped`: refusals of before that were too many to be
    written down. `recorded`: `operation`, or `history` where it was read from an event of the instance, which doesn't say from where."""

    id: str
    position: str
    time: str
    actor: str
    operation: str
    kind: str
    subject: str
    instance: str | None = None
    outcome: str
    code: str = ""
    message: str = ""
    reason: str = ""
    names: list[str] | None = None
    details: Json | None = None
    door: str = ""
    address: str = ""
    agent: str = ""
    roles: list[str] | None = None
    credential: str = ""
    before: str | None = None
    after: str | None = None
    skipped: int = 0
    correlation_id: str = ""
    causation_id: str = ""
    trace: str = ""
    recorded: str = "operation"


class Hold(msgspec.Struct, kw_only=True):
    """What keeps others from going on. `key`: what it is over, in `scope`; `status`: held, resuming (it releases what it held) or released. `follows`: of a
    called instance, the hold of its caller. `released_why`: the reason of the release."""

    id: Key
    scope: str
    key: str
    mode: str
    status: str
    starts: str | None = None
    children: bool | None = None
    follows: str | None = None
    reason: str | None = None
    rate: int | None = None
    instance: str | None = None
    created_at: str | None = None
    created_by: str | None = None
    until: str | None = None
    released_at: str | None = None
    released_by: str | None = None
    released_why: str | None = None
    position: str | None = None


class Held(msgspec.Struct, kw_only=True):
    """How many open instances and tasks a hold would be over now; called instances, which follow, not counted."""

    instances: int
    tasks: int
    position: str | None = None


class RepairOf(msgspec.Struct, kw_only=True):
    """A word for `repair`, and what it does."""

    repair: str
    does: str


class WatchFinding(msgspec.Struct, kw_only=True):
    """Something that should hold of what runs, and doesn't. `says`: of this one; `explanation`: of its kind. `subject`: the key of the token, task, timer,
    subscription or instance, or the number of a partition. The first of `repairs` is done where none is named."""

    id: str
    kind: str
    partition: int
    subject: str
    says: str
    explanation: str
    repairs: list[RepairOf]
    since: str | None = None
    instance: str | None = None
    element: str = ""
    process: str = ""
    tenant: str = ""


class Watched(msgspec.Struct, kw_only=True):
    """How far the watchdog of a partition is: whole rounds since its owner took over, how long the last one took, things looked at."""

    partition: int
    silent: bool
    rounds: int | None = None
    round_s: float | None = None
    looked_at: int | None = None
    why: str | None = None


class Findings(msgspec.Struct, kw_only=True):
    """`found`: how many there are, `counts` by kind."""

    items: list[WatchFinding]
    found: int
    counts: dict[str, int]
    partitions: list[Watched]


class Repaired(msgspec.Struct, kw_only=True):
    id: str
    repair: str
    did: str
    position: str | None = None


class Batch(msgspec.Struct, kw_only=True):
    """One action for `total` items of the list `list`, by `filter` (null: by their keys). Of `total` items `sent` are begun; `succeeded`, `failed`
    and `skipped` have a result. `status` at its end: completed, partial (some failed), failed (some failed, none succeeded), aborted."""

    id: Key
    action: str
    status: str
    total: int
    list: str
    collected: int = 0
    sent: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    params: Json | None = None
    filter: Json | None = None
    rate: int = 0
    reason: str = ""
    created_by: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    ended_at: str | None = None
    #: who has paused, resumed or aborted it last, and why
    controlled_by: str | None = None
    note: str | None = None
    position: str | None = None


class BatchItem(msgspec.Struct, kw_only=True):
    """`status`: pending, succeeded, failed, skipped (so already, or not there), aborted. `code`, `message`: why it was not done."""

    number: int
    id: Key
    status: str
    code: str = ""
    message: str = ""
    done_at: str | None = None


class BatchBegun(msgspec.Struct, kw_only=True):
    """What has begun (`id`, `status`), or of a dry run: `count` items, some as `examples`, and what is to be given back as `confirm`."""

    action: str
    of: str
    count: int
    id: Key | None = None
    status: str | None = None
    dry_run: bool = False
    confirm: int | None = None
    examples: list[Json] | None = None
    filter: Json | None = None
    position: str | None = None
