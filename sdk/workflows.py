"""The ten operations of a workflow state manager, each a function of its name: create, status, metrics, pause, resume, cancel, state, roll back, list, history.

They are calls of the HTTP API (`docs/http-api.md`) in the words of those who think of workflows and steps. What is read comes after what the same
client wrote before. Source: requirements WSM-API-001 to 010.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from flowledger.sdk.handlers import plain

#: statuses of what has not ended
ACTIVE = ("pending", "running", "suspended", "quarantined")
#: events that change an instance's state -> what it is then
TRANSITIONS = {
    "workflow.started": "running", "workflow.paused": "paused", "workflow.unpaused": "running", "workflow.suspended": "suspended",
    "workflow.resumed": "running", "workflow.rolled_back": "running", "workflow.quarantined": "quarantined", "workflow.released": "running",
    "workflow.completed": "completed", "workflow.failed": "failed", "workflow.cancelled": "cancelled", "workflow.terminated": "terminated",
}  # fmt: skip
#: entries of a history, and of a list
ENTRIES_MAX = 1_000
#: positions of one's own writes that are remembered
WRITES_MAX = 10_000


class Workflows(ABC):
    """Part of `Client` (each call is awaited) and `SyncClient` (each call answers)."""

    _wrote: dict[str, str]
    #: partition -> offset of the newest of them
    _newest: dict[str, int]

    @abstractmethod
    def request(self, method: str, path: str, body: Any = None, *, query: Mapping[str, Any] | None = None, then: Any = None) -> Any: ...

    def create_workflow(self, definition: str, task_id: str = "", *, priority: int | str = 40, context: Any = None,
                        metadata: Mapping[str, Any] | None = None) -> Any:  # fmt: skip
        """Its id. `task_id`: what it is for, by which it is found again (the business key); `priority`: 0 to 100 or a name; `context`: its variables."""
        body = {
            "definition": definition,
            "business_key": task_id,
            "priority": priority,
            "variables": plain(context or {}),
            "metadata": dict(metadata or {}),
        }

        def then(answer: dict[str, Any]) -> str:
            self._remember(answer["id"], answer)
            return str(answer["id"])

        return self.request("POST", "/instances", body, then=then)

    def workflow_status(self, id: str | int) -> Any:
        """`{state, progress, completed_steps, pending_steps, estimated_end}`; progress in per cent, steps by the ids of their elements."""

        def then(a: dict[str, Any]) -> dict[str, Any]:
            return {
                "state": _state(a), "progress": a["progress"], "completed_steps": a["completed_steps"], "pending_steps": a["pending_steps"],
                "estimated_end": a["estimated_end"],
            }  # fmt: skip

        return self._read(id, "status", then)

    def workflow_metrics(self, id: str | int) -> Any:
        """`{total_duration_ms, steps_completed, steps_failed, retry_count}`."""

        def then(a: dict[str, Any]) -> dict[str, Any]:
            return {
                "total_duration_ms": a["duration_ms"], "steps_completed": a["steps_completed"], "steps_failed": a["steps_failed"], "retry_count": a["retries"],
            }  # fmt: skip

        return self._read(id, "metrics", then)

    def workflow_state(self, id: str | int) -> Any:
        """`{state, current, context, last_updated}`: `current` are the elements at which it stands, `context` its variables."""

        def then(a: dict[str, Any]) -> dict[str, Any]:
            current = list(dict.fromkeys(t["element"] for t in a["tokens"]))
            return {"state": _state(a), "current": current, "context": a["variables"], "last_updated": a["time"]}

        return self._read(id, "state", then)

    def workflow_history(self, id: str | int) -> Any:
        """Changes of its state, oldest first, `ENTRIES_MAX` at most: `{state, at, by, reason}` each."""

        def then(page: dict[str, Any]) -> list[dict[str, Any]]:
            return [
                {"state": TRANSITIONS[e["type"]], "at": e["time"], "by": e.get("actor"), "reason": e["data"].get("reason") or None}
                for e in page["items"]
            ]

        return self._read(id, "events", then, type=",".join(TRANSITIONS), limit=ENTRIES_MAX)

    def list_active_workflows(self, definition: str | None = None) -> Any:
        """Those that have not ended, the newest first, `ENTRIES_MAX` at most; `client.instances(...)` has them all."""
        query = {
            "status": list(ACTIVE),
            "definition": definition,
            "limit": ENTRIES_MAX,
            "wait_for": ",".join(f"{p}-{offset}" for p, offset in self._newest.items()) or None,
        }
        return self.request("GET", "/instances", query=query, then=lambda page: page["items"])

    def pause_workflow(self, id: str | int, reason: str = "") -> Any:
        """True: no further step starts; timers and messages are kept, work in hand may be finished."""
        return self._move(id, "pause", {"reason": reason})

    def resume_workflow(self, id: str | int, reason: str = "") -> Any:
        """True: it goes on where it was paused."""
        return self._move(id, "unpause", {"reason": reason})

    def cancel_workflow(self, id: str | int, reason: str = "") -> Any:
        return self._move(id, "cancel", {"reason": reason})

    def rollback_workflow(self, id: str | int, steps: int = 1, *, compensate: bool = True, reason: str = "") -> Any:
        """True: it is as before its last `steps` steps; handlers of what has completed since have run, where the model has them. The history stays."""
        return self._move(id, "rollback", {"steps": steps, "compensate": compensate, "reason": reason})

    # --------------------------------------------------------------------------------------------------------------------------

    def _remember(self, id: str | int, answer: dict[str, Any]) -> bool:
        if position := answer.get("position"):
            self._wrote.pop(str(id), None)
            self._wrote[str(id)] = position
            if len(self._wrote) > WRITES_MAX:
                del self._wrote[next(iter(self._wrote))]
            partition, _, offset = position.partition("-")
            self._newest[partition] = max(int(offset), self._newest.get(partition, 0))
        return True

    def _move(self, id: str | int, move: str, body: dict[str, Any]) -> Any:
        return self.request("POST", f"/instances/{id}/{move}", body, then=lambda answer: self._remember(id, answer))

    def _read(self, id: str | int, what: str, then: Any, **query: Any) -> Any:
        return self.request("GET", f"/instances/{id}/{what}", query={**query, "wait_for": self._wrote.get(str(id))}, then=then)


def _state(answer: Mapping[str, Any]) -> Any:
    return "paused" if answer.get("paused") and answer["status"] == "running" else answer["status"]
