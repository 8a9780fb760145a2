"""For services and process authors: `Client` (start, steer, tell) and `Worker` (do the work). `flowledger.sdk.testing` tests models.

Needs the extra `sdk` only: nothing of the server is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowledger.sdk.client import Client, SyncClient
    from flowledger.sdk.errors import (
        AlreadyExists,
        ApiError,
        Exhausted,
        Forbidden,
        InvalidArgument,
        InvalidState,
        Malformed,
        ModelInvalid,
        NotCompleted,
        NotFound,
        Stale,
        TimedOut,
        Unavailable,
    )
    from flowledger.sdk.flows import Flow
    from flowledger.sdk.job import BpmnError, Cancelled, Job, JobFailed, Result, Waits, handles
    from flowledger.sdk.worker import Worker

__all__ = [
    "AlreadyExists", "ApiError", "BpmnError", "Cancelled", "Client", "Exhausted", "Flow", "Forbidden", "InvalidArgument", "InvalidState", "Job",
    "JobFailed", "Malformed", "ModelInvalid", "NotCompleted", "NotFound", "Result", "Stale", "SyncClient", "TimedOut", "Unavailable", "Waits", "Worker",
    "handles",
]  # fmt: skip

_BY_HOME = {
    "client": "Client SyncClient",
    "errors": "AlreadyExists ApiError Exhausted Forbidden InvalidArgument InvalidState Malformed ModelInvalid NotCompleted NotFound Stale "
    "TimedOut Unavailable",
    "flows": "Flow",
    "job": "BpmnError Cancelled Job JobFailed Result Waits handles",
    "worker": "Worker",
}
_HOMES = {name: home for home, names in _BY_HOME.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Imported when asked for: a worker on the stream doesn't need the HTTP client's library, and pytest's plugin none of them."""
    if name in _HOMES:
        from importlib import import_module

        found = globals()[name] = getattr(import_module(f"flowledger.sdk.{_HOMES[name]}"), name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
