"""An instance as it was at any moment: its events folded again, by the kernel's own fold and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from flowledger.api.edge import time_text
from flowledger.api.view import event_of
from flowledger.events.base import Envelope
from flowledger.events.commands import partition_of_key


class Replay:
    """Folds rows of events (`Reads.events`) one after another."""

    def __init__(self, instance: int) -> None:
        from flowledger.kernel.state import Partition

        self.instance = instance
        self.partition = Partition(partition_of_key(instance))
        self.events = 0
        self.position = ""
        self.time = ""
        self.ended: str | None = None
        self.last: dict[str, Any] = {}
        #: token -> (element, since when)
        self.entered: dict[int, tuple[str, str]] = {}

    def add(self, row: dict[str, Any]) -> None:
        """Raises: KeyError: an event that this release doesn't know."""
        from flowledger.kernel import evolve

        about = row.get("metadata") or {}
        envelope = Envelope(
            time_us=micros(row["time"]), tenant=about.get("tenant", ""), actor=about.get("actor", ""), trace=about.get("trace", ""),
            cause=row.get("causation_id") or "", correlation=row.get("correlation_id") or "",
        )  # fmt: skip
        before = self.partition.instances.get(self.instance)
        if before is not None:
            if row["type"] in ENDINGS:
                shown = {"process": before.process, "definition": str(before.definition), "version": before.version}
                self.last = {**shown, "business_key": before.business_key, "variables": dict(before.vars)}
                self.ended = ENDINGS[row["type"]]
        evolve(self.partition, event_of(row), envelope)
        self.events += 1
        self.position, self.time = row["position"], row["time"]
        i = self.partition.instances.get(self.instance)
        tokens = i.tokens if i is not None else {}
        for key in [k for k, (element, _) in self.entered.items() if k not in tokens or tokens[k].element != element]:
            del self.entered[key]
        for key, token in tokens.items():
            if key not in self.entered:
                self.entered[key] = (token.element, row["time"])

    def seen(self, token: int) -> dict[str, Any] | None:
        """The variables that the token sees; inner names hide outer ones."""
        i = self.partition.instances.get(self.instance)
        if i is None:
            return None
        layers = []
        while (at := i.tokens.get(token)) is not None:
            layers.append(at.vars or {})
            token = at.scope
        return {**i.vars, **{name: value for layer in reversed(layers) for name, value in layer.items()}}

    def state(self) -> dict[str, Any]:
        """Tokens, variables and what they wait for, as JSON."""
        p, i = self.partition, self.partition.instances.get(self.instance)
        found: dict[str, Any] = {
            "instance": str(self.instance),
            "position": self.position,
            "time": self.time,
            "events": self.events,
            "status": i.status if i is not None else self.ended or ("unknown" if not self.events else "ended"),
        }
        if i is None:
            return {**found, **self.last, "tokens": [], "tasks": [], "timers": [], "subscriptions": [], "incidents": []}
        own = [t for t in p.tasks.values() if t.instance == i.key]
        found |= {
            "process": i.process,
            "definition": str(i.definition),
            "version": i.version,
            "business_key": i.business_key,
            "paused": i.paused,
            "variables": i.vars,
            "tokens": [token_view(t, self.entered.get(t.key)) for t in i.tokens.values()],
            "tasks": [task_view(t) for t in own],
            "timers": [
                {"timer": str(t.key), "element": t.element, "token": str(t.token), "due": time_text(t.due_us)} for t in _of(p.timers, i.key)
            ],
            "subscriptions": [
                {"subscription": str(x.key), "element": x.element, "kind": x.kind, "name": x.name, "correlation": x.correlation}
                for x in _of(p.subscriptions, i.key)
            ],
            "incidents": [
                {"incident": str(x.key), "element": x.element, "code": x.code, "message": x.message} for x in _of(p.incidents, i.key)
            ],
        }
        return found


ENDINGS = {
    "workflow.completed": "completed",
    "workflow.failed": "failed",
    "workflow.cancelled": "cancelled",
    "workflow.terminated": "terminated",
}
PHASES = {0: "arrived", 1: "waiting", 2: "ready"}


def _of(table: dict[int, Any], instance: int) -> Iterable[Any]:
    return [x for x in table.values() if x.instance == instance]


def token_view(token: Any, entered: tuple[str, str] | None) -> dict[str, Any]:
    found = {"token": str(token.key), "element": token.element, "scope": str(token.scope), "phase": PHASES.get(token.phase, "")}
    if entered is not None:
        found["since"] = entered[1]
    if token.index:
        found["index"] = token.index
    if token.vars:
        found["variables"] = token.vars
    return found


def task_view(task: Any) -> dict[str, Any]:
    found = {
        "task": str(task.key), "element": task.element, "type": task.type, "job_type": task.job_type, "status": task.status,
        "retries": task.retries, "worker": task.worker, "assignee": (task.details or {}).get("assignee"),
        "created": time_text(task.created_us),
    }  # fmt: skip
    return {k: v for k, v in found.items() if v not in (None, "")}


def micros(moment: str) -> int:
    """A row's time (ISO 8601) as microseconds since the epoch."""
    found = datetime.fromisoformat(moment)
    return int(found.replace(microsecond=0).timestamp()) * 1_000_000 + found.microsecond
