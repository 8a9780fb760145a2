"""The state of one partition: what the fold of its events is. Values only; who changes them is `kernel/fold.py`.

Written as JSON arrays for checkpoints (`encode_state`), so that exact decimals survive and any reader can look at it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from flowledger.kernel.nouns import Alert, AlertWatch, Batch, BatchItems, Trigger, TriggerKeys, TriggerLetter, Webhook
from flowledger.kernel.stored import State
from flowledger.kernel.undo import Step

# Where a token is in the life of its element.
ARRIVED = 0  #: it came here, and its element has not looked at it (or looked and waits for others: a join)
WAITING = 1  #: its element waits: for a task, a timer, a message, a child
READY = 2  #: what it waited for has come; its element is to look again


class Token(State):
    """A token at an element. `data` is what its element remembers; `vars` its local variables; `kids` the tokens in its scope."""

    key: int
    scope: int
    element: str
    flow: str = ""
    phase: int = ARRIVED
    index: int = 0
    vars: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    kids: list[int] | dict[int, None] | None = None
    #: keys of tasks, timers, subscriptions and incidents that it holds
    holds: list[int] | None = None
    incident: int = 0
    handler_of: int = 0
    #: results of the runs of a multi-instance body, by run from 1
    results: dict[int, Any] | None = None
    done: int = 0


class Task(State):
    """Work. `status` is a task status of the vocabulary; `fence` counts the leases; `row_version` each change."""

    key: int
    instance: int
    token: int
    element: str
    type: str
    job_type: str
    retries: int
    status: str = "created"
    priority: int = 40
    headers: dict[str, Any] | None = None
    details: dict[str, Any] | None = None
    worker: str = ""
    deadline_us: int = 0
    fence: int = 0
    retry_at_us: int = 0
    attempt: int = 0
    row_version: int = 0
    listener: str = ""
    created_us: int = 0
    incident: int = 0
    tenant: str = ""
    trace: str = ""
    #: variables of a task without workflow
    vars: dict[str, Any] | None = None
    #: timers of a task without workflow
    holds: list[int] | None = None


class Timer(State):
    key: int
    instance: int
    token: int
    element: str
    due_us: int
    repeat: str = ""
    left: int = 0
    definition: int = 0
    #: place of the event definition in an event that has several
    which: int = 0


class Subscription(State):
    """`kind` message, signal, condition; see `SubscriptionOpened`."""

    key: int
    instance: int
    token: int
    element: str
    kind: str
    name: str
    correlation: str = ""
    partition: int = 0
    interrupting: bool = True
    definition: int = 0
    #: a conditional event fires when it becomes true, not while it is
    armed: bool = True
    #: place of the event definition in an event that has several
    which: int = 0


class Incident(State):
    key: int
    instance: int
    token: int
    element: str
    code: str
    message: str
    task: int = 0
    created_us: int = 0


class Letter(State):
    """A dead letter that is open. `source`: its offset in `commands`; `command`: its first bytes, of `size` (-1: not kept)."""

    source: int
    tenant: str
    command: bytes
    size: int
    sender: int = -1


class Compensable(State):
    """A completed activity that can be compensated, with its local variables of that moment. What it kept inside stands under its `record`."""

    record: int
    element: str
    handler: str
    vars: dict[str, Any] | None = None


class Asker(State):
    """In whose name something is done, and why: as an envelope says it. All empty: nobody knows."""

    actor: str = ""
    cause: str = ""
    correlation: str = ""
    trace: str = ""


class Instance(State):
    """A run of a process. `vars` is the root scope; `kids` the tokens in it."""

    key: int
    process: str
    definition: int
    version: int
    business_key: str = ""
    status: str = "running"
    paused: bool = False
    priority: int = 40
    parent: int = 0
    parent_token: int = 0
    root: int = 0
    tenant: str = ""
    correlation: str = ""
    trace: str = ""
    started_us: int = 0
    vars: dict[str, Any] = {}
    tokens: dict[int, Token] = {}
    kids: list[int] | dict[int, None] | None = None
    #: scope (a token, the instance, or the record of a completed activity) -> what can be compensated there, oldest first
    compensable: dict[int, list[Compensable]] | None = None
    stores: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    #: for a pending one: the start request
    request: dict[str, Any] | None = None
    #: keys of timers and subscriptions of event sub-processes in the root scope
    holds: list[int] | None = None
    #: keys of incidents that are open
    incidents: list[int] | None = None
    #: multi-instance bodies that have not spawned all their runs yet
    spawning: list[int] | None = None
    #: while it is quarantined: its status before, and the incident that says so
    before: str = ""
    quarantine: int = 0
    #: commands that arrived while it was suspended, as JSON, oldest first
    kept: list[Any] | None = None
    #: changes of what its row shows (`events/versions.py`)
    row_version: int = 0
    #: who asked for each of `kept`, and why; a checkpoint of a release before this one doesn't say
    kept_for: list[Asker] | None = None
    #: that are attached (`WorkflowFilesChanged.files`)
    files: list[Any] | None = None


class Definition(State):
    key: int
    id: str
    kind: str
    version: int
    hash: str
    name: str = ""
    version_tag: str = ""
    resource: str = ""
    format: str = "bpmn"
    deployment: int = 0
    status: str = "published"
    metadata: dict[str, Any] | None = None
    deleted: bool = False
    tenant: str = ""
    row_version: int = 0
    #: what it protects: `{names: {variable or pattern: class}, subject}` (`kernel/protection.py`)
    protect: dict[str, Any] | None = None
    #: of a requirements graph; None: it was deployed by a release that did not write it down
    namespace: str | None = None
    #: decision models that it is bound to: namespace -> key of the requirements graph
    imports: dict[str, int] | None = None


class Rollout(State):
    """Which version new work is for, see `RolloutChanged`; versions by their keys, `share` in hundredths of a percent. Replaced, never changed."""

    tenant: str
    kind: str
    id: str
    default: int = 0
    ramp: int = 0
    share: int = 0
    stopped: list[int] = []

    @property
    def name(self) -> tuple[str, str, str]:
        return self.tenant, self.kind, self.id


class Message(State):
    """A buffered message. `taken_by` are process ids that have taken it (a process takes a message once)."""

    key: int
    name: str
    correlation: str
    vars: dict[str, Any] | None
    message_id: str
    expires_us: int
    taken_by: list[str] | None = None
    tenant: str = ""


class Awaited(State):
    """At the correlation key's partition: an instance's subscription. `message` is under way to it (0: none)."""

    subscription: int
    instance: int
    name: str
    correlation: str
    home: int
    process: str = ""
    once: bool = True
    message: int = 0
    tenant: str = ""


class Hold(State):
    """What keeps others from going on, see `HoldPlaced`. `tenant`: over whose things it stands (`""`: anybody's); `by`, `since_us`: who placed it, when."""

    id: int
    scope: str
    subject: str
    mode: str
    tenant: str = ""
    starts: str = "hold"
    children: bool = True
    since_us: int = 0
    until_us: int = 0
    reason: str = ""
    by: str = ""
    of: int = 0
    #: while it releases what it held: up to which key, as far as it has come, so many a second
    upto: int = 0
    cursor: int = 0
    rate: int = 0
    #: at its home: partitions that still release theirs
    others: list[int] = []


class Meta(State):
    """What the partition remembers beside its instances and registries."""

    partition: int = 0
    partitions: int = 1
    epoch: int = 0
    owner: str = ""
    counter: int = 0
    now_us: int = 0
    #: next seq to each partition, and the highest confirmed one
    sent: dict[int, int] = {}
    confirmed: dict[int, int] = {}
    #: highest seq taken of each partition
    taken: dict[int, int] = {}
    #: id of the key that signs the heads of this partition; `""`: none yet
    signer: str = ""
    #: the time of the last claim, and what the monotonic clock of which start of the machine said then
    claimed_us: int = 0
    boot: str = ""
    boot_us: int = 0
    #: how many answers were remembered so far, and the bytes of those that still are
    answered: int = 0
    answers_bytes: int = 0
    #: epoch of definitions that is known here
    definitions: int = 0


class InstanceImage(State):
    """One record of the `state` topic: an instance with all that it holds."""

    instance: Instance
    tasks: list[Task] = []
    timers: list[Timer] = []
    subscriptions: list[Subscription] = []
    incidents: list[Incident] = []


#: (tenant, job type): whose jobs of which type wait
Lane = tuple[str, str]


class Partition:
    """All that the owner of a partition knows, by fold alone, with the indexes that make decisions quick.

    Indexes (`by_...`, `ready`, `process_versions`) are made from the values and are no part of a checkpoint.
    """

    __slots__ = (
        "alert_names",
        "alert_watch",
        "alerts",
        "answers",
        "awaited",
        "batch_items",
        "batches",
        "by_assignee",
        "by_awaited",
        "by_condition",
        "by_correlation",
        "by_message",
        "by_message_id",
        "by_signal",
        "by_start",
        "changed",
        "definitions",
        "due",
        "freed",
        "guards",
        "holding",
        "holds",
        "incidents",
        "instances",
        "job_listener",
        "kept_back",
        "leases",
        "letters",
        "messages",
        "meta",
        "outbox",
        "packs",
        "parked",
        "pending",
        "process_versions",
        "protection",
        "quotas",
        "ready",
        "records",
        "releasing",
        "registry",
        "retrying",
        "rollouts",
        "subscriptions",
        "tasks",
        "timers",
        "trigger_chunks",
        "trigger_keys",
        "trigger_letters",
        "trigger_names",
        "trigger_seen",
        "triggers",
        "undo",
        "webhook_names",
        "webhooks",
        "weights",
        "unassigned",
        "unsettled",
        "unsettled_limits",
    )

    def __init__(self, partition: int = 0, partitions: int = 1) -> None:
        self.meta = Meta(partition=partition, partitions=partitions, sent={}, confirmed={}, taken={})
        self.instances: dict[int, Instance] = {}
        self.tasks: dict[int, Task] = {}
        self.timers: dict[int, Timer] = {}
        self.subscriptions: dict[int, Subscription] = {}
        self.incidents: dict[int, Incident] = {}
        self.definitions: dict[int, Definition] = {}
        #: (tenant, kind, id) -> rollout of those that have one
        self.rollouts: dict[tuple[str, str, str], Rollout] = {}
        self.messages: dict[int, Message] = {}
        self.awaited: dict[int, Awaited] = {}
        self.records: dict[tuple[str, str], Any] = {}
        #: offset in `commands` -> dead letter that is open
        self.letters: dict[int, Letter] = {}
        #: by their ids
        self.holds: dict[int, Hold] = {}
        self.batches: dict[int, Batch] = {}
        self.batch_items: dict[int, BatchItems] = {}
        #: those at home here
        self.triggers: dict[int, Trigger] = {}
        self.trigger_keys: dict[int, TriggerKeys] = {}
        self.trigger_letters: dict[int, TriggerLetter] = {}
        self.webhooks: dict[int, Webhook] = {}
        self.alerts: dict[int, Alert] = {}
        self.alert_watch: dict[int, AlertWatch] = {}
        #: caller's id -> answer, oldest first (`kernel/folds/answers.py`)
        self.answers: OrderedDict[str, Any] = OrderedDict()
        #: (to, seq) -> encoded command that is not confirmed yet
        self.outbox: dict[tuple[int, int], bytes] = {}
        #: instances that wait for a place, in order
        self.pending: dict[int, None] = {}
        #: what changed since the last checkpoint: (table, key)
        self.changed: set[tuple[str, Any]] = set()
        # --- indexes
        #: (tenant, job type) -> priority -> task keys in order (a dict as an ordered set)
        self.ready: dict[Lane, dict[int, dict[int, None]]] = {}
        #: lanes that got a ready task since the shell last looked
        self.job_listener: set[Lane] = set()
        #: heap of (due_us, timer key); entries of cancelled timers are passed over
        self.due: list[tuple[int, int]] = []
        #: heap of (deadline_us, task key, fence)
        self.leases: list[tuple[int, int, int]] = []
        #: heap of (retry_at_us, task key)
        self.retrying: list[tuple[int, int]] = []
        #: (tenant, name) -> trigger; trigger -> keys that it has seen and where each is kept; trigger -> its `trigger_keys`, oldest first
        self.trigger_names: dict[tuple[str, str], int] = {}
        self.trigger_seen: dict[int, dict[str, int]] = {}
        self.trigger_chunks: dict[int, dict[int, None]] = {}
        #: (tenant, name) -> webhook
        self.webhook_names: dict[tuple[str, str], int] = {}
        #: (tenant, name) -> alert
        self.alert_names: dict[tuple[str, str], int] = {}
        self.by_message: dict[tuple[str, str, str], dict[int, None]] = {}
        self.by_awaited: dict[tuple[str, str, str], dict[int, None]] = {}
        self.by_message_id: set[tuple[str, str, str, str]] = set()
        self.by_signal: dict[tuple[str, str], dict[int, None]] = {}
        self.by_start: dict[tuple[str, str, str], dict[int, None]] = {}
        #: instance -> its subscriptions to conditions
        self.by_condition: dict[int, dict[int, None]] = {}
        #: (tenant, process id + kind) -> {version: key}
        self.process_versions: dict[tuple[str, str, str], dict[int, int]] = {}
        #: tenant -> which variables are protected (`kernel/protection.py`); empty unless any are
        self.protection: dict[str, Any] = {}
        #: tenant -> its rule packs by name (`kernel/packs/`); empty unless there are any
        self.packs: dict[str, dict[str, None]] = {}
        #: registry -> name -> record, of those that decisions read (`kernel/tasks/index.py`)
        self.registry: dict[str, dict[str, Any]] = {}
        #: assignee -> its open tasks
        self.by_assignee: dict[str, dict[int, None]] = {}
        #: priority -> keys of tasks whose settings found nobody, the oldest first
        self.unassigned: dict[int, list[int]] = {}
        #: who has lost a task in this decision, at the least; no part of the state
        self.freed: set[str] = set()
        #: target -> limits and breaker that hold for it (`kernel/tasks/guards.py`); empty unless configured
        self.guards: dict[str, Any] = {}
        #: target -> quota of a tenant's instances (`kernel/tasks/quotas.py`); empty unless one has any
        self.quotas: dict[str, Any] = {}
        #: target whose breaker is open -> tasks that wait for it to close
        self.parked: dict[str, dict[int, None]] = {}
        #: what is held, by scope and subject (`kernel/holding.py`); empty unless something is
        self.holding: dict[str, dict[Any, Any]] = {}
        #: instance (task without one) -> tasks that a hold keeps from being handed out
        self.kept_back: dict[int, dict[int, None]] = {}
        #: hold that releases what it held -> what it still holds, in order of keys
        self.releasing: dict[int, dict[int, None]] = {}
        #: limited targets whose permits or outcomes are to be looked at when the decision ends (`kernel/tasks/permits.py`)
        self.unsettled_limits: set[str] = set()
        #: while a decision runs: how each change is taken back (`kernel/undo.py`)
        self.undo: list[Step] | None = None
        #: instance -> bytes of events since its state was last weighed; no part of a checkpoint
        self.weights: dict[int, int] = {}
        #: instances with tokens that are to be looked at (the step limit stopped them)
        #: True; or None when only further runs of a multi-instance body are to be made
        self.unsettled: dict[int, bool | None] = {}

    @property
    def open(self) -> int:
        """How many instances run."""
        return len(self.instances) - len(self.pending)
