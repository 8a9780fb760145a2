"""How a failed attempt is tried again: retries left and the back-off before the next.

Source: requirements D-RES-002, D-STA-008, C-12, C-32. Jitter is a hash of key and attempt, not chance.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.kernel.expressions import Failure
from flowledger.kernel.state import Task


def after_failure(task: Task, e: c.FailTask, now_us: int) -> tuple[int, int]:
    """(retries left, back-off in ms)."""
    left = task.retries - 1 if e.retries < 0 else e.retries
    return max(0, left), max(0, e.backoff_ms)


def exhausted(d: Any, task: Task, e: c.FailTask) -> None:
    """No attempt is left: an incident."""
    message = e.message or f"no retries left for '{task.job_type}'"
    i = d.state.instances.get(task.instance)
    if i is not None:
        d.incident(i, i.tokens[task.token], Failure("JOB_NO_RETRIES", message), task=task.key)
