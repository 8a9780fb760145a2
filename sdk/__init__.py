"""For services and process authors: `Client` (start, steer, tell) and `Worker` (do the work). `flowledger.sdk.testing` tests models.

Needs the extra `sdk` only: nothing of the server is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowledger.sdk.client import ApiError, Client
    from flowledger.sdk.job import BpmnError, Cancelled, Job, JobFailed
    from flowledger.sdk.worker import Worker

__all__ = ["ApiError", "BpmnError", "Cancelled", "Client", "Job", "JobFailed", "Worker"]

_HOMES = {
    "ApiError": "client",
    "Client": "client",
    "BpmnError": "job",
    "Cancelled": "job",
    "Job": "job",
    "JobFailed": "job",
    "Worker": "worker",
}


def __getattr__(name: str) -> Any:
    """Imported when asked for: a worker on the stream doesn't need the HTTP client's library, and pytest's plugin none of them."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"flowledger.sdk.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
