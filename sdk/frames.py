"""What a worker and a server say to each other on the job stream: JSON arrays, one WebSocket message each, everything in batches.

JSON, since variables are JSON and their numbers must stay exact; `msgspec` writes and reads it about as fast as MessagePack.
The first item names the frame. Jobs travel as objects, so that fields may be added.

| from | frame | meaning |
|---|---|---|
| worker | `["hello", worker, [[type, timeout_ms, credit, fetch], ...]]` | who it is and what it takes; once, first |
| worker | `["out", [outcome, ...]]` | what became of jobs |
| worker | `["extend", timeout_ms, [[key, fence], ...]]` | heartbeat: these are still being worked on |
| worker | `["drain"]` | no more jobs; those in hand will be answered |
| worker | `["back", [[key, fence], ...]]` | jobs that were not begun |
| server | `["jobs", [job, ...]]` | work |
| server | `["ok", [key, ...]]` | these outcomes are on the log |
| server | `["no", [[key, code, message], ...]]` | these were refused |
| server | `["lost", [key, ...]]` | cancelled, timed out or taken away: stop working on them |
| server | `["drained"]` | no job will follow |

Outcomes: `["c", key, fence, variables]` completed, `["d", key, fence, variables, status, result]` completed with more than variables,
`["f", key, fence, message, code, retries, backoff_ms, variables, details]` failed,
`["e", key, fence, code, message, variables]` a BPMN error, `["p", key, fence, details]` progress (the job goes on), `["w", key, fence, timeout_ms]`
waits: the lease lasts so long, and somebody else ends the job.
The server replenishes the credit of a type whenever a job of it leaves the worker's hands.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec


class Frame(msgspec.Struct, array_like=True, gc=False):
    """Base of frames and outcomes."""


class Complete(Frame, tag="c"):
    key: int
    fence: int
    variables: dict[str, Any] | None = None


class Done(Frame, tag="d"):
    """Completed: `status` is success or partial_success, `result` has summary, artifacts, logs, metrics, next_assignee."""

    key: int
    fence: int
    variables: dict[str, Any] | None
    status: Literal["success", "partial_success"]
    result: dict[str, Any] | None


class Fail(Frame, tag="f"):
    """`retries` -1: one less than before; `backoff_ms` -1: by the retry policy of the task."""

    key: int
    fence: int
    message: str = ""
    code: str = ""
    retries: int = -1
    backoff_ms: int = -1
    variables: dict[str, Any] | None = None
    details: dict[str, Any] | None = None


class Error(Frame, tag="e"):
    key: int
    fence: int
    code: str
    message: str = ""
    variables: dict[str, Any] | None = None


class Waits(Frame, tag="w"):
    """The job rests under its lease for `timeout_ms`: whoever has its one-time address ends it. It leaves the worker's hands."""

    key: int
    fence: int
    timeout_ms: int


class Progress(Frame, tag="p"):
    """Said once and not answered: what is answered is how the job ended."""

    key: int
    fence: int
    details: dict[str, Any]


Outcome = Complete | Done | Fail | Error | Progress | Waits


class Subscription(Frame):
    """`credit`: jobs of the type that the worker takes at a time; `fetch`: these variables only."""

    type: str
    timeout_ms: int
    credit: int
    fetch: list[str] | None = None


class Hello(Frame, tag="hello"):
    worker: str
    subscriptions: list[Subscription]


class Out(Frame, tag="out"):
    outcomes: list[Outcome]


class Extend(Frame, tag="extend"):
    timeout_ms: int
    jobs: list[tuple[int, int]]


class Drain(Frame, tag="drain"):
    pass


class Back(Frame, tag="back"):
    jobs: list[tuple[int, int]]


class Job(msgspec.Struct, gc=False):
    """A job as the server hands it out. Keys are 64-bit integers, times microseconds UTC."""

    key: int
    type: str
    variables: dict[str, Any] | None = None
    headers: dict[str, Any] | None = None
    instance: int = 0
    process: str = ""
    definition: int = 0
    version: int = 0
    element: str = ""
    token: int = 0
    attempt: int = 1
    retries: int = 0
    deadline_us: int = 0
    worker: str = ""
    fence: int = 0
    tenant: str = ""
    idempotency_key: str = ""
    trace: str = ""


class Jobs(Frame, tag="jobs"):
    jobs: list[Job]


class Ok(Frame, tag="ok"):
    keys: list[int]


class No(Frame, tag="no"):
    refused: list[tuple[int, str, str]]


class Lost(Frame, tag="lost"):
    keys: list[int]


class Drained(Frame, tag="drained"):
    pass


FromWorker = Hello | Out | Extend | Drain | Back
FromServer = Jobs | Ok | No | Lost | Drained


def exact(text: str) -> Decimal:
    """A JSON number with a fraction or exponent, with all its digits."""
    return Decimal(text)


encode = msgspec.json.Encoder(decimal_format="number").encode
decode_from_worker = msgspec.json.Decoder(FromWorker, float_hook=exact).decode
decode_from_server = msgspec.json.Decoder(FromServer, float_hook=exact).decode
