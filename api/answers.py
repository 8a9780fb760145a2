"""What the API answers with, as types: the OpenAPI document is made of them, and a client can decode into them.

Rows may have more fields than these (a later release adds some); what stands here keeps its name and its kind. A key is a text; a time is
RFC 3339 in UTC; null: there is none.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

Key = Annotated[str, Meta(description="A key: a 64-bit integer, as a text", examples=["2251799813685249"])]
Time = Annotated[str, Meta(description="RFC 3339, in UTC", examples=["2026-11-21T13:00:00.000000Z"])]
Place = Annotated[str, Meta(description="`partition-offset`, several separated by commas; to be given as `wait_for`", examples=["0-41"])]
T = TypeVar("T")
Json = dict[str, Any]


class Page(msgspec.Struct, Generic[T], kw_only=True):
    """A page of a list, the newest first unless it says otherwise. `cursor`: to be given back for the next page; null: this is the last."""

    items: list[T]
    cursor: str | None = None
    #: the answer is at least as new as this
    position: str | None = None


class Done(msgspec.Struct, kw_only=True):
    """A command is on the log. `position` is that of its last event; empty: it changed nothing."""

    position: str | None = None
    id: str | None = None
    status: str | None = None
    #: of an instance, after the command
    row_version: int | None = None


class Plan(msgspec.Struct, kw_only=True):
    """What a command would do (`?dry_run=true`); nothing of it has happened. `plan` is its hash: sent as `?plan=` with the command it makes that one
    refused (STALE) where it would do something else by now.

    `cancelled`: what is withdrawn; `ended`: what has done its work; `created`, `armed` (timers, subscriptions): what is made; `moved`: tokens that go to
    another element; `changed`: all else, `[before, after]`; `told`: what other partitions are asked; `left`: where each token stands afterwards and what it
    waits for. New things have the keys `+1`, `+2` ... `counts` are of the whole lists, of which 1,000 entries each are told. `events`: how many of which
    type. `outcome`: what the command itself would answer. `continues`: more follows in later steps, which a dry run doesn't show.
    """

    dry_run: bool
    plan: str
    cancelled: list[Json] = []
    ended: list[Json] = []
    created: list[Json] = []
    armed: list[Json] = []
    moved: list[Json] = []
    changed: list[Json] = []
    told: list[Json] = []
    left: list[Json] = []
    counts: dict[str, int] = {}
    events: dict[str, int] = {}
    warnings: list[str] = []
    outcome: Json = {}
    continues: bool = False


class Finding(msgspec.Struct, kw_only=True):
    """What is wrong with a model, or odd."""

    code: str
    message: str
    severity: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    element: str | None = None
    hint: str | None = None
    #: whether the standard forbids it, be it runnable or not, and the chapter that does
    standard: bool = False
    chapter: str = ""


class Definition(msgspec.Struct, kw_only=True):
    """A version of a process, a decision, a requirements graph or a form. `id` (the same as `key`) is what `/definitions/{id}` takes;
    `definition_id` is its id in the model, which all versions share; `process` is the same where it is a process."""

    id: Key
    key: Key
    definition_id: str
    kind: str
    version: int
    process: str | None = None
    name: str | None = None
    status: str | None = None
    version_tag: str | None = None
    resource: str | None = None
    format: str | None = None
    deployment: str | None = None


class Version(msgspec.Struct, kw_only=True):
    id: Key
    key: Key
    version: int
    status: str
    version_tag: str | None = None
    created_at: str | None = None


class DefinitionDetail(Definition, kw_only=True):
    """With all its versions, the newest first."""

    description: str | None = None
    content_hash: str | None = None
    #: of what the process does, whatever it is written in; null: no process, or deployed by a release that did not make it
    graph_hash: str | None = None
    notation: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    created_by: str | None = None
    deleted_at: str | None = None
    validation_result: Any = None
    metadata: Any = None
    versions: list[Version] = []
    position: str | None = None


class Deployed(Definition, kw_only=True):
    """`duplicate`: the same content was there already, nothing is new."""

    duplicate: bool = False


class Deployment(msgspec.Struct, kw_only=True):
    deployment: str | None = None
    definitions: list[Deployed] = []
    #: warnings and hints of the models
    findings: list[Finding] = []
    position: str | None = None
    #: of definitions: all partitions know of this change and all before, but for those that wait
    epoch: int = 0
    #: partitions that have not heard of it yet, and will when they are back
    waiting: list[int] = []


class Moved(Done, kw_only=True):
    """A definition after a move. `epoch` and `waiting` are as in `Deployment`."""

    findings: list[Finding] = []
    epoch: int = 0
    waiting: list[int] = []


class Diff(msgspec.Struct, kw_only=True):
    """`from` and `to` are keys; `text` is a unified difference."""

    from_: str = msgspec.field(name="from")
    to: str
    added: list[Json]
    removed: list[Json]
    changed: list[Json]
    changes: list[Any]
    text: str


class MappingRow(msgspec.Struct, kw_only=True):
    """`by`: id, name or place (empty: nothing was found). `note`: what doesn't fit."""

    from_: str = msgspec.field(name="from")
    to: str
    kind: str
    name: str = ""
    by: str = ""
    note: str = ""


class MigrationPlan(msgspec.Struct, kw_only=True):
    """`mapping`: what a migration takes. `rows`: each element, and each flow into a join, with how it was found."""

    from_: Key = msgspec.field(name="from")
    to: Key
    mapping: dict[str, str]
    rows: list[MappingRow] = []


class Started(msgspec.Struct, kw_only=True):
    """With `wait_ms`: how it ended, and its variables."""

    id: Key
    status: str | None = None
    definition: str | None = None
    process: str | None = None
    version: int | None = None
    position: str | None = None
    variables: Json | None = None


class InstanceRow(msgspec.Struct, kw_only=True):
    """`definition` is the key of its definition, `process` the id in the model."""

    id: Key
    status: str
    definition: str | None = None
    process: str | None = None
    version: int | None = None
    name: str | None = None
    business_key: str | None = None
    paused: bool | None = None
    has_incident: bool | None = None
    incidents: int | None = None
    priority: str | None = None
    priority_value: int | None = None
    initiator: str | None = None
    created_at: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    cancelled_at: str | None = None
    parent: str | None = None
    root: str | None = None
    row_version: int | None = None
    #: pause or suspend, while something holds all of it, and all that holds it or its work
    held: str | None = None
    holds: list[Json] = []


class Instance(InstanceRow, kw_only=True):
    """`output`: the variables at the end, null before. `execution_context`, `tasks` and `events` are counts and links; the whole is `/context`."""

    description: str | None = None
    execution_context: Json | None = None
    tasks: Json | None = None
    events: Json | None = None
    input: Any = None
    output: Any = None
    variables: Any = None
    metadata: Any = None
    error_code: str | None = None
    error_message: str | None = None
    reason: str | None = None
    correlation_id: str | None = None
    position: str | None = None


class Variable(msgspec.Struct, kw_only=True):
    scope_key: str
    name: str
    value: Any = None
    scope: str | None = None
    type: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


class Variables(msgspec.Struct, kw_only=True):
    """`variables`: those of the instance by name; `items`: those of all scopes."""

    instance: Key
    variables: Json
    items: list[Variable]
    position: str | None = None


class Progress(msgspec.Struct, kw_only=True):
    id: Key
    status: str | None = None
    paused: bool | None = None
    incidents: int | None = None
    progress: float | None = None
    active_tasks: list[Json] = []
    tasks: dict[str, int] = {}
    completed: int | None = None
    failed: int | None = None
    started_at: str | None = None
    estimated_end: str | None = None
    bottlenecks: list[Json] = []
    position: str | None = None


class ElementTimes(msgspec.Struct, kw_only=True):
    """`activity`: the engine does it itself."""

    element: str
    activity: bool = False
    tasks: int
    attempts: int | None = None
    failed: int | None = None
    wait_ms: float | None = None
    work_ms: float | None = None


class InstanceMetrics(msgspec.Struct, kw_only=True):
    id: Key
    status: str | None = None
    duration_ms: float | None = None
    wait_ms: float | None = None
    work_ms: float | None = None
    elements: list[ElementTimes] = []
    position: str | None = None


class Tree(msgspec.Struct, kw_only=True):
    """`children` have the same fields, and their own children."""

    id: Key
    status: str | None = None
    definition: str | None = None
    process: str | None = None
    version: int | None = None
    parent: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    children: list[Json] = []
    truncated: bool | None = None
    position: str | None = None


class Event(msgspec.Struct, kw_only=True):
    """`id` is its position. `data` is by `type`: see the Avro schemas of that name."""

    id: str
    type: str
    time: str | None = None
    instance: str | None = None
    tenant: str | None = None
    actor: str | None = None
    cause: str | None = None
    correlation: str | None = None
    trace: str | None = None
    data: Json = {}


class State(msgspec.Struct, kw_only=True):
    """An instance as it was after the event at `position`."""

    instance: Key
    status: str
    events: int
    position: str | None = None
    time: str | None = None
    process: str | None = None
    definition: str | None = None
    version: int | None = None
    business_key: str | None = None
    paused: bool | None = None
    variables: Any = None
    tokens: list[Json] = []
    tasks: list[Json] = []
    timers: list[Json] = []
    subscriptions: list[Json] = []
    incidents: list[Json] = []


class WorkflowState(msgspec.Struct, kw_only=True):
    """`current`: the elements at which it stands. Each of `tokens` says what it `waits_for`."""

    current: list[str]
    tokens: list[Json]
    waiting_events: list[Json]
    boundary_events: list[Json]
    escalations: list[Json]
    variables: Any = None


class TaskState(msgspec.Struct, kw_only=True):
    counts: dict[str, int]
    active: list[Json] = []
    completed: list[Json] = []
    failed: list[Json] = []
    cancelled: list[Json] = []


class Runtime(msgspec.Struct, kw_only=True):
    """`execution_path`: the elements in the order in which tokens came to them; `steps`: how many in all."""

    execution_path: list[Json]
    steps: int
    resource_usage: Json
    performance: Json


class Errors(msgspec.Struct, kw_only=True):
    """`history`: errors, incidents, failed and timed out attempts, in order; `open`: incidents that wait to be resolved."""

    history: list[Json]
    count: int
    open: list[Json]


class Context(msgspec.Struct, kw_only=True):
    instance: Key
    status: str
    position: str | None = None
    time: str | None = None
    workflow_state: WorkflowState
    task_state: TaskState
    runtime: Runtime
    errors: Errors


class TaskRow(msgspec.Struct, kw_only=True):
    id: Key
    status: str
    type: str | None = None
    name: str | None = None
    instance: str | None = None
    definition: str | None = None
    process: str | None = None
    element: str | None = None
    job_type: str | None = None
    category: str | None = None
    priority: str | None = None
    priority_value: int | None = None
    created_at: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    cancelled_at: str | None = None
    updated_at: str | None = None
    due_at: str | None = None
    follow_up_at: str | None = None
    assignee: str | None = None
    candidate_groups: list[str] | None = None
    candidate_users: list[str] | None = None
    worker: str | None = None
    attempts: int | None = None
    retries: int | None = None
    incident: str | None = None
    row_version: int | None = None
    #: the row of the activity around it (sub-process, loop)
    parent: str | None = None
    #: place in its instance, from 1; null without one
    sequence_number: int | None = None
    #: how the last attempt ended: success or partial_success
    result_status: str | None = None
    duration_ms: int | None = None
    #: pause or suspend, while something holds it, and what does
    held: str | None = None
    holds: list[Json] = []


class Task(TaskRow, kw_only=True):
    """With who had it (`assignments`) and its attempts (`results`), the oldest first.

    `input`: the variables that it saw when it was made. `dependencies`: the activities before it. `parallel_group`: the gateway at which its branch
    split off. `estimated_duration_ms`: by the model, else the mean of earlier runs.
    """

    description: str | None = None
    dependencies: list[str] = []
    parallel_group: str | None = None
    estimated_duration_ms: int | None = None
    execution_config: Json | None = None
    retry_config: Json | None = None
    input: Any = None
    output: Any = None
    form: Any = None
    progress: Any = None
    metadata: Any = None
    error_code: str | None = None
    error_message: str | None = None
    assignments: list[Json] = []
    results: list[Json] = []
    position: str | None = None


class TaskMoved(msgspec.Struct, kw_only=True):
    task: str | None = None
    status: str | None = None
    row_version: int | None = None
    assignee: str | None = None
    position: str | None = None


class TaskMetrics(msgspec.Struct, kw_only=True):
    id: Key
    attempts: int | None = None
    retries: int | None = None
    duration_ms: float | None = None
    wait_ms: float | None = None
    work_ms: float | None = None
    results: list[Json] = []
    metrics: list[Json] = []
    position: str | None = None


class Job(msgspec.Struct, kw_only=True):
    """`fence` goes back with the answer. `idempotency_key` is the same for each delivery."""

    key: Key
    type: str
    worker: str | None = None
    instance: str | None = None
    definition: str | None = None
    element: str | None = None
    headers: Any = None
    variables: Any = None
    attempt: int | None = None
    retries: int | None = None
    deadline: str | None = None
    fence: int | None = None
    idempotency_key: str | None = None
    trace: str | None = None


class Jobs(msgspec.Struct, kw_only=True):
    jobs: list[Job]


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
    created_at: str | None = None
    resolved_at: str | None = None
    resolved_by: str | None = None
    position: str | None = None


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


class Replayed(Done, kw_only=True):
    answer: Json | None = None


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


class Conditions(msgspec.Struct, kw_only=True):
    """`instances`: keys of those that were started."""

    instances: list[Key]
    position: str | None = None


class Decision(msgspec.Struct, kw_only=True):
    """`trace`: which rules fired (of deployed decisions)."""

    output: Any = None
    decision: str | None = None
    trace: Any = None
    position: str | None = None


class Entry(msgspec.Struct, kw_only=True):
    """An entry of a registry: its name, and all that was stored under it."""

    name: str


class Stored(msgspec.Struct, kw_only=True):
    registry: str
    name: str
    position: str | None = None
    version: int | None = None


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
    and `why`. `reasons`: all that is wrong; `warnings`: what should be looked at. `partitions`: epoch and position of those owned here."""

    status: str
    execution: bool
    queries: bool
    parts: dict[str, dict[str, Any]]
    reasons: list[str]
    warnings: list[str]
    partitions: dict[str, Any]


class Setting(msgspec.Struct, kw_only=True):
    """`variable`: its name in the environment."""

    name: str
    value: str
    changed: bool
    description: str
    variable: str


class Problem(msgspec.Struct, kw_only=True):
    """RFC 9457. `code` is for programs, `detail` for people; `errors` say where; `findings` are those of a model."""

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
    #: the path of the request
    instance: str | None = None
    errors: list[Where] | None = None
    findings: list[Finding] | None = None
    retry_after_ms: int | None = None


class Where(msgspec.Struct, kw_only=True):
    where: str
    message: str
