"""For services and process authors: `Client` (start, steer, tell) and `Worker` (do the work). `flowledger.sdk.testing` tests models.

Needs the extra `sdk` only: nothing of the server is imported here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowledger.sdk.job import BpmnError, Cancelled, Job, JobFailed
from flowledger.sdk.worker import Worker

if TYPE_CHECKING:
    from flowledger.sdk.client import ApiError, Client

__all__ = ["ApiError", "BpmnError", "Cancelled", "Client", "Job", "JobFailed", "Worker"]


def __getattr__(name: str) -> Any:
    """The HTTP client's library takes a while to import; a worker on the stream doesn't need it."""
    if name in ("ApiError", "Client"):
        from flowledger.sdk import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
