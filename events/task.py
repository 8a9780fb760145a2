"""Work for machines and people: `task.*`. A job is a task of which a worker has the lease.

`task` is the task's key (also the Zeebe job key); `token` stands at the element that asked for the work, 0 for a task without workflow.
"""

from __future__ import annotations

from flowledger.events.base import Event, Json


class TaskCreated(Event):
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


class TaskLeased(Event):
    """`worker` has `tasks` until `deadline_us`. One event for a whole batch; each lease raises the task's fencing number by one."""

    worker: str
    tasks: list[int]
    deadline_us: int


class TaskLeaseExtended(Event):
    task: int
    deadline_us: int


class TaskTimedOut(Event):
    """The leases of `tasks` ran out; they can be handed out again. One event for a whole batch."""

    tasks: list[int]


class TaskCompleted(Event):
    """Done. `variables` is the result as given; it was merged into scope `merged` (0: not merged, `VariableSet` says what was)."""

    task: int
    token: int
    element: str
    variables: Json = None
    merged: int = 0
    status: str = "success"
    result: Json = None


class TaskFailed(Event):
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


class TaskRetried(Event):
    """Attempts were granted anew (by an operator, or by resolving the incident)."""

    task: int
    retries: int


class TaskCancelled(Event):
    task: int
    token: int
    element: str
    reason: str = ""


class TaskChanged(Event):
    """Base of the people's moves: each is a fact with actor (envelope) and reason. `status` is the status after it, `details` the keys changed
    (null removes a key)."""

    task: int
    status: str
    reason: str = ""
    details: Json = None


class TaskAssigned(TaskChanged):
    """`details.assignee` and `details.assignment` (type, why chosen, who was excluded and why)."""


class TaskAccepted(TaskChanged):
    """Claimed by its holder."""


class TaskReleased(TaskChanged):
    """Given back: status `created`."""


class TaskStarted(TaskChanged):
    pass


class TaskProgress(TaskChanged):
    """Progress, draft, log lines or streamed partial results."""


class TaskSuspended(TaskChanged):
    pass


class TaskResumed(TaskChanged):
    pass


class TaskDelegated(TaskChanged):
    pass


class TaskRecalled(TaskChanged):
    pass


class TaskTransferred(TaskChanged):
    pass


class TaskEscalated(TaskChanged):
    pass


class TaskCommented(TaskChanged):
    pass


class TaskUpdated(TaskChanged):
    """Priority, dates, candidates, form or attachments changed."""


class TaskSkipped(Event):
    """Not done, by an operator or because its condition is false; the flow goes on."""

    task: int
    token: int
    element: str
    reason: str = ""


class SlaBreached(Event):
    task: int
    token: int
    element: str
    details: Json = None


class BreakerChanged(Event):
    """The circuit breaker of `target` is now `state` (closed, open, half_open) until `until_us`."""

    target: str
    state: str
    until_us: int = 0
    details: Json = None
