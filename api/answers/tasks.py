"""Answers: tasks and jobs."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.api.answers.common import Json, Key


class TaskRow(msgspec.Struct, kw_only=True):
    id: Key
    status: str
    type: str | None = None
    name: str | None = None
    #: what it is about, to show: a company, a document, an order
    reference: str | None = None
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
