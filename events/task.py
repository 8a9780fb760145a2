"""Work for machines and people: `task.*`. A job is a task of which a worker has the lease.

`task` is the task's key (also the Zeebe job key); `token` stands at the element that asked for the work, 0 for a task without workflow.
"""

from __future__ import annotations

from flowledger.events.base import Event, Json


class TaskCreated(Event, frozen=True):
    """Work exists and nobody holds it.

    `type` is a task type of the vocabulary (`service_task`, `user_task`, ...), `job_type` what workers ask for (`""`: not for workers).
    `retries` are the attempts left. `headers` are static texts of the model; `variables` the locals of the token (input mappings);
    `details`: what people's tasks need beyond that: assignee, candidate_groups, candidate_users, due_us, follow_up_us, form, name, kind,
    category, retry policy ...; only keys that are set.
    `listener` (`""`: the work itself) says which listener it is: `start`, `end`, `creating`, `completing`, ...
    """

    task: int
    token: int
    element: str
    type: str
    job_type: str = ""
    retries: int = 3
    priority: int = 40
    headers: Json = None
    variables: Json = None
    details: Json = None
    listener: str = ""


class TaskLeased(Event, frozen=True):
    """`worker` has `tasks` until `deadline_us`. One event for a whole batch; each lease raises the task's fencing number by one."""

    worker: str
    tasks: list[int]
    deadline_us: int


class TaskLeaseExtended(Event, frozen=True):
    task: int
    deadline_us: int


class TaskTimedOut(Event, frozen=True):
    """The leases of `tasks` ran out; they can be handed out again. One event for a whole batch.

    `retries` are the attempts left of each (empty in older logs: as before); a task with none left is `timed_out`.
    """

    tasks: list[int]
    retries: list[int] = []


class TaskReturned(Event, frozen=True):
    """The leases of `tasks` reached nobody and are taken back; they can be handed out again, and it counts as no attempt."""

    tasks: list[int]


class TaskCompleted(Event, frozen=True):
    """Done. `variables` is the result as given; it was merged into scope `merged` (0: not merged, `VariableSet` says what was)."""

    task: int
    token: int
    element: str
    variables: Json = None
    merged: int = 0
    status: str = "success"
    result: Json = None
    #: who held the lease
    worker: str = ""


class TaskFailed(Event, frozen=True):
    """An attempt failed. `retries` are left; the next may start at `retry_at_us` (0: at once)."""

    task: int
    token: int
    element: str
    retries: int
    retry_at_us: int = 0
    code: str = ""
    message: str = ""
    details: Json = None
    variables: Json = None
    #: who held the lease
    worker: str = ""


class TaskRetried(Event, frozen=True):
    """Attempts were granted anew (by an operator, or by resolving the incident)."""

    task: int
    retries: int


class TaskCancelled(Event, frozen=True):
    task: int
    token: int
    element: str
    reason: str = ""


class TaskChanged(Event, frozen=True):
    """Base of the people's moves: each is a fact with actor (envelope) and reason. `status` is the status after it, `details` the keys changed
    (null removes a key)."""

    task: int
    status: str
    reason: str = ""
    details: Json = None


class TaskAssigned(TaskChanged, frozen=True):
    """`details.assignee` and `details.assignment` (type, why chosen, who was excluded and why)."""


class TaskAccepted(TaskChanged, frozen=True):
    """Claimed by its holder."""


class TaskReleased(TaskChanged, frozen=True):
    """Given back: status `created`."""


class TaskStarted(TaskChanged, frozen=True):
    pass


class TaskProgress(TaskChanged, frozen=True):
    """Progress, draft, log lines or streamed partial results."""


class TaskSuspended(TaskChanged, frozen=True):
    pass


class TaskResumed(TaskChanged, frozen=True):
    pass


class TaskDelegated(TaskChanged, frozen=True):
    pass


class TaskRecalled(TaskChanged, frozen=True):
    pass


class TaskTransferred(TaskChanged, frozen=True):
    pass


class TaskEscalated(TaskChanged, frozen=True):
    pass


class TaskCommented(TaskChanged, frozen=True):
    pass


class TaskUpdated(TaskChanged, frozen=True):
    """Priority, dates, candidates, form or attachments changed."""


class TaskSkipped(Event, frozen=True):
    """Not done, by an operator or because its condition is false; the flow goes on."""

    task: int
    token: int
    element: str
    reason: str = ""


class SlaBreached(Event, frozen=True):
    task: int
    token: int
    element: str
    details: Json = None


class BreakerChanged(Event, frozen=True):
    """The circuit breaker of `target` is now `state` (closed, open, half_open) until `until_us`."""

    target: str
    state: str
    until_us: int = 0
    details: Json = None
