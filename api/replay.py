"""An instance as it was at any moment: its events folded again, by the kernel's own fold and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from flowledger.api.edge import keyed, time_text
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
        self.time_us = 0
        self.started_us = 0
        self.ended: str | None = None
        self.last: dict[str, Any] = {}
        #: token -> (element, since when, microseconds)
        self.entered: dict[int, tuple[str, int]] = {}
        #: element -> [stays that ended, their microseconds, microseconds of them in a worker's or a person's hands]
        self.stays: dict[str, list[int]] = {}
        self.worked: dict[int, int] = {}
        self.failed = self.retried = 0

    def add(self, row: dict[str, Any]) -> None:
        """Raises: KeyError: an event that this release doesn't know."""
        from flowledger.kernel import evolve

        now = micros(row["time"])
        event = event_of(row)
        envelope = Envelope(time_us=now, **{k: row.get(k) or "" for k in ("tenant", "actor", "cause", "correlation", "trace")})
        before = self.partition.instances.get(self.instance)
        if before is not None:
            shown = {"process": before.process, "definition": before.definition, "version": before.version}
            self.last = {**shown, "variables": dict(before.vars)}
        name = row["type"]
        if name in ENDINGS and self.partition.instances.get(self.instance) is not None:
            self.ended = ENDINGS[name]
        evolve(self.partition, event, envelope)
        self.events += 1
        self.position = f"{row['partition']}-{row['offset']}"
        self.time_us = now
        self.started_us = self.started_us or now
        self._stays(now)
        if name == "task.failed":
            self.failed += 1
            self.retried += bool(row["data"].get("retries"))
        elif name == "task.retried":
            self.retried += 1

    def _stays(self, now: int) -> None:
        i = self.partition.instances.get(self.instance)
        tokens = i.tokens if i is not None else {}
        for key, (element, since) in list(self.entered.items()):
            token = tokens.get(key)
            if token is None or token.element != element:
                del self.entered[key]
                stay = self.stays.setdefault(element, [0, 0])
                stay[0] += 1
                stay[1] += now - since
        for key, token in tokens.items():
            if key not in self.entered:
                self.entered[key] = (token.element, now)

    def state(self) -> dict[str, Any]:
        """Tokens, variables and what they wait for, as JSON."""
        p, i = self.partition, self.partition.instances.get(self.instance)
        found: dict[str, Any] = {
            "instance": str(self.instance),
            "position": self.position,
            "time": time_text(self.time_us),
            "events": self.events,
            "status": i.status if i is not None else self.ended or ("unknown" if not self.events else "ended"),
        }
        if i is None:
            return {**found, **keyed(self.last), "tokens": [], "tasks": [], "timers": [], "subscriptions": [], "incidents": []}
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


def token_view(token: Any, entered: tuple[str, int] | None) -> dict[str, Any]:
    found = {"token": str(token.key), "element": token.element, "scope": str(token.scope), "phase": PHASES.get(token.phase, "")}
    if entered is not None:
        found["since"] = time_text(entered[1]) or ""
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


def micros(moment: Any) -> int:
    """A row's time as microseconds since the epoch."""
    if isinstance(moment, datetime):
        whole = int(moment.timestamp() // 1)
        return whole * 1_000_000 + moment.microsecond
    return int(moment)
