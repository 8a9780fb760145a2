"""Commands: wishes of callers, of other partitions and of the owner's shell. JSON on the `commands` topic.

Keys that name an instance, a task, an incident ... route by themselves (`partition = key >> 51`). Each command's answer is a
dict; `ANSWERS` in the docstrings says which keys. A command that can't be granted is answered by `Rejected`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.events import alerts, between, control, triggers, webhooks
from flowledger.events.base import Command


class Resource(msgspec.Struct, frozen=True):
    """A file to deploy. `content` is its text (BPMN, DMN, JSON, YAML, form ...)."""

    name: str
    content: str


class Deploy(Command, frozen=True):
    """All resources or none. To partition 0, which tells the others.

    Answered as `ChangeDefinition` is.

    Answer: `{deployment, definitions: [{key, id, kind, version, version_tag, name, hash, resource, duplicate}], profiles:
    [{name, version}]}`; MODEL_INVALID carries findings in `message` (JSON).
    """

    resources: list[Resource]
    #: draft: kept, but not startable until published
    status: str = "published"
    metadata: dict[str, Any] | None = None
    force: bool = False
    #: API profiles that go with the models: name -> record (`kernel/tasks/profiles.py`)
    profiles: dict[str, dict[str, Any]] | None = None


class DefineElsewhere(Command, frozen=True):
    """Partition 0 tells the others of definitions (the fields of `DefinitionCreated` without content) and rollouts (of `RolloutChanged`), up to `epoch`."""

    definitions: list[dict[str, Any]]
    epoch: int = 0
    rollouts: list[dict[str, Any]] = []


class ChangeDefinition(Command, frozen=True):
    """Life cycle: `move` is validate, publish, deprecate, archive, draft or delete; `content` edits a draft. Answer: `{key, status, waiting?}`.

    It is answered when all partitions have heard of it; after a bounded time with those that have not (`waiting`: they hear of it when they are back).
    """

    key: int
    move: str
    content: str = ""
    reason: str = ""
    #: that the caller saw; None: not compared
    row_version: int | None = None


class InstancesCounted(Command, frozen=True):
    """To partition 0, which is to delete `definition`: starts are closed here, and these of its instances are running (some of them)."""

    definition: int
    running: list[int]


class StartInstance(Command, frozen=True):
    """By `definition` key, or by process `id` with `version` (0: latest) or `version_tag`.

    Answer: `{key, definition, process, version, status}`; with `wait` the owner answers when the instance has ended, with `variables` added.
    """

    id: str = ""
    definition: int = 0
    version: int = 0
    version_tag: str = ""
    variables: dict[str, Any] | None = None
    business_key: str = ""
    priority: int = 40
    metadata: dict[str, Any] | None = None
    #: start before these elements instead of at the start event
    start_at: list[str] | None = None
    #: hold the answer until the instance has ended
    wait: bool = False
    #: of these variables only (with wait)
    fetch: list[str] | None = None
    # set by the engine: a call activity on another partition, a start by message or timer
    parent: int = 0
    parent_token: int = 0
    root: int = 0
    start_element: str = ""
    start_payload: dict[str, Any] | None = None
    #: set by a trigger: files that came with what starts it, `{name, uri, media_type, size, sha256}` each
    files: list[dict[str, Any]] | None = None


class CancelInstance(Command, frozen=True):
    """`row_version`, here and in all that changes a thing: that the caller saw; None: not compared; another than it has is STALE.

    What is active is withdrawn and what has completed is compensated; `force`: ended at once. Answer: `{key, status}`, the status is `cancelling`
    while compensation runs."""

    key: int
    reason: str = ""
    force: bool = False
    row_version: int | None = None


class ControlInstance(Command, frozen=True):
    """`move`: pause, unpause, suspend, resume. Called instances follow, unless `children` is false; each goes on as it was before."""

    key: int
    move: str
    reason: str = ""
    children: bool = True
    #: its caller was moved: of a called instance; `hold`: by which hold
    followed: bool = False
    hold: int = 0
    row_version: int | None = None


class ReleaseInstance(Command, frozen=True):
    """A quarantined instance goes on, after what broke it was repaired. Answer: `{key, status}`."""

    key: int
    reason: str = ""
    row_version: int | None = None


class SetVariables(Command, frozen=True):
    """In the scope of `key`: an instance key or a token key (`local`: there; else where the name is found, outwards)."""

    key: int
    variables: dict[str, Any]
    local: bool = False
    row_version: int | None = None
    reason: str = ""


class ActivateTasks(Command, frozen=True):
    """Lease up to `max` waiting tasks of `job_type` to `worker` for `timeout_ms`. Answer: `{jobs: [...]}` (interfaces.md, `/jobs/activate`)."""

    job_type: str
    worker: str
    max: int = 32
    timeout_ms: int = 300_000
    fetch: list[str] | None = None
    tenants: list[str] | None = None


class PeekTasks(Command, frozen=True):
    """What waits for workers of `job_type`, nothing is leased. Answer: `{waiting: [[priority, number] ...]}`, the most urgent first, at most `max`
    in all; long waiting counts as priority."""

    job_type: str
    max: int = 32
    tenants: list[str] | None = None


class CompleteTask(Command, frozen=True):
    """A task of any kind. `row_version`: that the caller saw; None: not compared. `fence` (0: not checked) is the fencing number of the lease; a
    stale one is refused.

    Answer: `{}`. Refused: NOT_FOUND (unknown, or already done), STALE (another holds it).
    """

    task: int
    variables: dict[str, Any] | None = None
    fence: int = 0
    status: str = "success"
    #: summary, artifacts, logs, metrics, next_assignee ...
    result: dict[str, Any] | None = None
    row_version: int | None = None


class FailTask(Command, frozen=True):
    """`retries` -1: the task's retries less one. `backoff_ms` -1: by the task's retry policy."""

    task: int
    retries: int = -1
    backoff_ms: int = -1
    message: str = ""
    code: str = ""
    variables: dict[str, Any] | None = None
    fence: int = 0
    details: dict[str, Any] | None = None
    row_version: int | None = None


class ThrowTaskError(Command, frozen=True):
    """A BPMN error at the element of the task."""

    task: int
    code: str
    message: str = ""
    variables: dict[str, Any] | None = None
    fence: int = 0


class ExtendLease(Command, frozen=True):
    task: int
    timeout_ms: int
    fence: int = 0


class ReturnTasks(Command, frozen=True):
    """Leases that reached nobody: the tasks can be handed out again, and it counts as no attempt. `fences[i]` is the number under which
    `tasks[i]` was leased; a task that somebody else holds since is left alone. All of one partition. Answer: `{returned: [task]}`.

    `deadlines`: ends of those leases, microseconds UTC. Who isn't sure that the lease is on the log names them too: the same number may
    have been given to another meanwhile.
    """

    tasks: list[int]
    fences: list[int]
    deadlines: list[int] | None = None


class UpdateRetries(Command, frozen=True):
    task: int
    retries: int


class MoveTask(Command, frozen=True):
    """A move of a person's (or agent's) task: `move` is a row of the table of moves (assign, claim, release, start, progress, suspend, resume,
    delegate, recall, transfer, escalate, comment, update, attach, draft, refuse, skip, cancel, retry). Answer: `{task, status, row_version}`."""

    task: int
    move: str
    reason: str = ""
    details: dict[str, Any] | None = None
    row_version: int | None = None


class CreateTask(Command, frozen=True):
    """A task without workflow. Answer: `{task}`; with `wait` the owner answers when it has ended, with `status` and `variables` added.

    `details.definition` names a reusable definition (registry `task_definition`), `details.settings` says assignment, clock and schemas.
    """

    type: str = "human_task"
    job_type: str = ""
    name: str = ""
    variables: dict[str, Any] | None = None
    headers: dict[str, str] | None = None
    details: dict[str, Any] | None = None
    retries: int = 3
    priority: int = 40
    wait: bool = False
    #: of the result's variables only (with wait)
    fetch: list[str] | None = None


class PublishMessage(Command, frozen=True):
    """To the partition of the correlation key. Answer: `{key}`; ALREADY_EXISTS when `message_id` is known for this name and key."""

    name: str
    correlation_key: str = ""
    variables: dict[str, Any] | None = None
    ttl_ms: int = 0
    message_id: str = ""


class BroadcastSignal(Command, frozen=True):
    """To any partition, which tells all. Answer: `{key}`."""

    name: str
    variables: dict[str, Any] | None = None
    #: set on the copies for the other partitions
    relayed: bool = False


class EvaluateConditions(Command, frozen=True):
    """Look at the conditional start events of processes (of one: `definition`) with these variables. To partition 0. Answer: `{instances: [keys]}`."""

    variables: dict[str, Any]
    definition: int = 0


class ResolveIncident(Command, frozen=True):
    key: int


class ReplayDeadLetter(Command, frozen=True):
    """Decide a dead letter anew, as it was kept or as `command` (JSON text of a record of `commands`). It acts for whoever asks, not for
    whom the record names. Answer: `{key, status, answer}`; `answer` is null where another partition decides, and refused there it is open again."""

    letter: int
    command: str = ""
    reason: str = ""


class DiscardDeadLetter(Command, frozen=True):
    """Answer: `{key, status}`."""

    letter: int
    reason: str = ""


class EvaluateDecision(Command, frozen=True):
    """Answer: `{decision, version, output, trace}`."""

    id: str = ""
    key: int = 0
    variables: dict[str, Any] | None = None


class StoreRecord(Command, frozen=True):
    """Put `value` (None: remove) under `name` in the registry; to partition 0, which tells the others."""

    registry: str
    name: str
    value: dict[str, Any] | None = None
    relayed: bool = False


class ListRecords(Command, frozen=True):
    """What stands in a registry of work (`directory`, `task_definition`, `limit`) or about targets (`breaker`, `history`), of names that begin
    with `prefix`, behind `after`. Any partition knows the registries; what is about targets each knows its own. `instance`: what open
    instances of the partition run, `prefix` being their keys with commas between. `recommendation`: whom the task with key `prefix` would best go
    to. Answer: `{records: [{name, value}]}`."""

    registry: str
    prefix: str = ""
    after: str = ""
    limit: int = 100


# commands of control are called by their names here, as all others are
ModifyInstance = control.ModifyInstance
MigrateInstance = control.MigrateInstance
RollBackInstance = control.RollBackInstance
RerunElement = control.RerunElement
NoteRefusal = control.NoteRefusal
Origin = control.Origin
Proof = control.Proof
PlaceHold = control.PlaceHold
ReleaseHold = control.ReleaseHold
SetHold = control.SetHold
HoldDone = control.HoldDone


class AdHocActivate(Command, frozen=True):
    """Start `elements` inside of the ad-hoc sub-process at `token`."""

    token: int
    elements: list[str]
    variables: dict[str, Any] | None = None


# --- from the owner's shell -------------------------------------------------------------------------------------------


class FireTimers(Command, frozen=True):
    """These timers are due. A bounded batch."""

    timers: list[int]


class ExpireLeases(Command, frozen=True):
    """The leases of these tasks ran out."""

    tasks: list[int]


class ReadyTasks(Command, frozen=True):
    """The back-off of these tasks is over."""

    tasks: list[int]


class ExpireMessages(Command, frozen=True):
    messages: list[int]


class Continue(Command, frozen=True):
    """Goes on where the step limit stopped the instance."""

    key: int


class Confirm(Command, frozen=True):
    """All sends to `to` up to `seq` have been appended there."""

    to: int
    seq: int


# --- between partitions: `events/between.py` --------------------------------------------------------------------------------------

AwaitMessage = between.AwaitMessage
UnawaitMessage = between.UnawaitMessage
Correlate = between.Correlate
CatchSignal = between.CatchSignal
MessageTaken = between.MessageTaken
ChildEnded = between.ChildEnded
AskPermits = between.AskPermits
GivePermits = between.GivePermits
ReturnPermits = between.ReturnPermits
ReportOutcomes = between.ReportOutcomes
SetBreaker = between.SetBreaker
DecideDeadLetter = between.DecideDeadLetter
DeadLetterRefused = between.DeadLetterRefused
SendRejected = between.SendRejected


#: one of all commands: what a request carries
AnyCommand = (
    Deploy | DefineElsewhere | ChangeDefinition | StartInstance | CancelInstance | ControlInstance | SetVariables | ActivateTasks | PeekTasks
    | CompleteTask | FailTask | ThrowTaskError | ExtendLease | ReturnTasks | UpdateRetries | MoveTask | CreateTask | PublishMessage | BroadcastSignal
    | ResolveIncident | EvaluateDecision | StoreRecord | ListRecords | ModifyInstance | MigrateInstance | RollBackInstance | RerunElement
    | AdHocActivate | FireTimers | ExpireLeases
    | ReadyTasks | EvaluateConditions | ExpireMessages | Continue | Confirm
    | InstancesCounted | ReleaseInstance | ReplayDeadLetter | DiscardDeadLetter
    | NoteRefusal
    | between.AnyBetween
    | control.AnyControl
    | triggers.AnyTrigger
    | webhooks.AnyWebhook
    | alerts.AnyAlert
)  # fmt: skip


#: in the place of a plan
DRY_RUN = "?"


class Request(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A command on its way: what stands in a record of `commands`.

    Attributes:
        id: the caller's id (`Idempotency-Key`); the same id gets the first answer again.
        time_us: when it was asked, microseconds UTC.
        reply_to: address of the waiting API node on the `replies` topic, `""` when nobody waits.
        instance, token: for a send between partitions: who caused it, 0: nobody that could repair it.
        sender, seq: for a send between partitions: from where and its number (sender -1: a caller).
        epoch: of definitions, that its partition must have heard of before it decides; 0: any (docs/decisions/0007).
        cause: why it is asked, where the log doesn't tell (`kernel/causes.py`).
        groups, rights: of the caller, by whoever signed it in (`kernel/access/rights.py`).
        origin: of an operation: from where it is asked. With it, what is asked stands in the log of operations whatever it is
            (`kernel/operations.py`).
        plan: `DRY_RUN`: only a question, the answer is a plan of what the command would do, and nothing happens; else the hash of a plan: STALE
            when the command would do something else by now.
    """

    command: AnyCommand
    id: str = ""
    time_us: int = 0
    tenant: str = ""
    actor: str = ""
    correlation: str = ""
    trace: str = ""
    reply_to: str = ""
    sender: int = -1
    seq: int = 0
    instance: int = 0
    token: int = 0
    groups: list[str] | None = None
    rights: list[str] | None = None
    cause: str = ""
    epoch: int = 0
    origin: Origin | None = None
    plan: str = ""

    @property
    def dry_run(self) -> bool:
        return self.plan == DRY_RUN


#: commands that need definitions on any partition: they carry the epoch that their sender knows of. Partition 0 always knows all.
BY_DEFINITION: frozenset[type[Command]] = frozenset({StartInstance, MigrateInstance, EvaluateDecision, PublishMessage, triggers.TakeItems})
#: commands that change definitions: they are answered when all partitions have heard of it
CHANGES: frozenset[type[Command]] = frozenset({Deploy, ChangeDefinition, control.ChangeRollout})


PARTITION_BITS = 51


def partition_of_key(key: int) -> int:
    """The partition whose owner made this key."""
    return key >> PARTITION_BITS


#: the hold of a server that starts in hold: the same on all partitions, at home on the first; no key that is given is as high
START_HOLD = (1 << PARTITION_BITS) - 1


def key_of_letter(partition: int, source: int) -> int:
    """The key of the dead letter whose record stood at offset `source` of a partition of `commands`; 0 is no key."""
    return partition << PARTITION_BITS | source + 1


def source_of_letter(key: int) -> int:
    return (key & ((1 << PARTITION_BITS) - 1)) - 1


def partition_of_text(correlation_key: str, partitions: int) -> int:
    """Where messages with this correlation key meet their subscriptions (FNV-1a, 32 bits: stable on any machine)."""
    h = 0x811C9DC5
    for byte in correlation_key.encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h % partitions
