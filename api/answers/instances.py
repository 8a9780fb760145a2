"""Answers: instances: rows, variables, history, state at a moment, figures."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.api.answers.common import Json, Key, Place


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
    #: elements whose work is done, and those where work is open (a failed one is: it may be tried again)
    completed_steps: list[str] = []
    pending_steps: list[str] = []
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
    #: tasks of people and workers: done, given up, and attempts beyond the first of each
    steps_completed: int | None = None
    steps_failed: int | None = None
    retries: int | None = None
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
    """An instance as it was after the event at `position`. `read_to`: nothing else happened to it up to here; null for a moment of the past."""

    instance: Key
    status: str
    events: int
    position: str | None = None
    read_to: Place | None = None
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
