"""The execution context of an instance (requirements D-VAR-001 to 003): what its events say that it did, and where it stands."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from flowledger.api.edge import keyed, time_text
from flowledger.api.replay import Replay, task_view, token_view
from flowledger.events.avro import encode_json

Row = dict[str, Any]
#: what went wrong: type of the event -> fields that say what
TROUBLES = {
    "error.occurred": ("element", "code", "message", "caught_by"), "incident.raised": ("element", "code", "message", "incident"),
    "task.failed": ("element", "code", "message", "retries", "task"), "task.timed_out": ("tasks",), "workflow.failed": ("code", "message"),
    "workflow.quarantined": ("defect", "message", "incident"),
}  # fmt: skip
TASK_ENDS = {"task.completed": "completed", "task.skipped": "completed", "task.cancelled": "cancelled"}


class Story(Replay):
    """Of each list the last `limit` are kept, and all are counted."""

    def __init__(self, instance: int, limit: int) -> None:
        super().__init__(instance)
        self.limit = limit
        self.path: deque[Row] = deque(maxlen=limit)
        self.troubles: deque[Row] = deque(maxlen=limit)
        self.escalations: deque[Row] = deque(maxlen=limit)
        self.tasks: dict[str, deque[Row]] = {status: deque(maxlen=limit) for status in ("completed", "cancelled")}
        self.counts: Counter[str] = Counter()
        self.begun: dict[int, Row] = {}

    def add(self, row: Row) -> None:
        kind, data = row["type"], row.get("data") or {}
        at = {"position": row["position"], "time": row["time"]}
        if kind == "flow.taken":
            self._step(at, data["target"], data.get("spawned") or data["token"], flow=data["flow"])
        elif kind == "workflow.started" and data.get("element"):
            self._step(at, data["element"], data["token"])
        elif kind == "element.activated" and int(data["token"]) not in self.entered:
            self._step(at, data["element"], data["token"], **({"run": data["index"]} if data.get("index") else {}))
        elif (fields := TROUBLES.get(kind)) is not None:
            self.counts["errors"] += 1
            self.troubles.append({**at, "type": kind, **keyed({f: data[f] for f in fields if data.get(f) not in (None, "")})})
        elif kind == "escalation.triggered":
            self.escalations.append({**at, **{f: data.get(f) for f in ("element", "code", "caught_by")}})
        task = int(data.get("task") or 0)
        if kind == "task.created":
            self.begun[task] = {"task": str(task), "element": data["element"], "type": data.get("type"), "created": row["time"]}
        elif (status := TASK_ENDS.get(kind)) is not None:
            self._ended(task, status, row["time"], data.get("status"))
        super().add(row)
        if self.begun:  # those that went with their token have no event of their own
            for key in [k for k in self.begun if k not in self.partition.tasks]:
                self._ended(key, "cancelled", row["time"])

    def _step(self, at: Row, element: str, token: Any, **more: Any) -> None:
        self.counts["steps"] += 1
        self.path.append({**at, "element": element, "token": str(token), **more})

    def _ended(self, task: int, status: str, time: str, result: Any = None) -> None:
        if (found := self.begun.pop(task, None)) is not None:
            self.counts[status] += 1
            self.tasks[status].append({**found, "ended": time, **({"result": result} if result else {})})

    def context(self, outline: Mapping[str, Any], metrics: Row) -> Row:
        state = self.state()
        own = [t for t in self.partition.tasks.values() if t.instance == self.instance]
        failed = [t for t in own if t.status in ("failed", "timed_out") or t.retries <= 0]
        active = [t for t in own if t not in failed]
        size = len(encode_json(state.get("variables") or {}))
        waits = self._waits()
        i = self.partition.instances.get(self.instance)
        tokens = list(i.tokens.values()) if i is not None else []
        return {
            "instance": state["instance"], "status": state["status"], "position": state["position"], "time": state["time"],
            "workflow_state": {
                "current": sorted({t.element for t in tokens if not t.kids}),
                "tokens": [{**token_view(t, self.entered.get(t.key)), "waits_for": waits.get(t.key, [])} for t in tokens],
                "waiting_events": [w for found in waits.values() for w in found if w["kind"] in EVENTS and not w.get("boundary")],
                "boundary_events": self._boundary(tokens, waits, outline),
                "escalations": list(self.escalations), "variables": state.get("variables"),
            },
            "task_state": {
                "counts": {
                    "active": len(active), "failed": len(failed), "completed": self.counts["completed"], "cancelled": self.counts["cancelled"],
                },
                "active": [task_view(t) for t in active[-self.limit :]], "failed": [task_view(t) for t in failed[-self.limit :]],
                "completed": list(self.tasks["completed"]), "cancelled": list(self.tasks["cancelled"]),
            },
            "runtime": {
                "execution_path": list(self.path), "steps": self.counts["steps"],
                "resource_usage": {
                    "events": self.events, "variables_bytes": size, "attempts": sum(e.get("attempts") or 0 for e in metrics.get("elements", ())),
                    "work_ms": metrics.get("work_ms"),
                },
                "performance": {k: v for k, v in metrics.items() if k in ("duration_ms", "wait_ms", "work_ms", "elements")},
            },
            "errors": {"history": list(self.troubles), "count": self.counts["errors"], "open": state["incidents"]},
        }  # fmt: skip

    def _waits(self) -> dict[int, list[Row]]:
        """token -> what it waits for; the instance's own key for what its event sub-processes wait for."""
        p, i = self.partition, self.partition.instances.get(self.instance)
        found: dict[int, list[Row]] = {}
        if i is None:
            return found
        holders: list[Any] = [i, *i.tokens.values()]
        for holder in holders:
            waits: list[Row] = []
            at = getattr(holder, "element", "")
            for key in holder.holds or ():
                if (task := p.tasks.get(key)) is not None:
                    waits.append({"kind": "task", "task": str(key), "element": task.element, "status": task.status})
                elif (timer := p.timers.get(key)) is not None:
                    waits.append(_event("timer", timer.element, at, timer=str(key), due=time_text(timer.due_us)))
                elif (s := p.subscriptions.get(key)) is not None:
                    waits.append(_event(s.kind, s.element, at, subscription=str(key), name=s.name, correlation=s.correlation))
            data = getattr(holder, "data", None) or {}
            if child := data.get("child"):
                waits.append({"kind": "instance", "instance": str(child)})
            if getattr(holder, "incident", 0):
                waits.append({"kind": "incident", "incident": str(holder.incident)})
            if holder is not i and getattr(holder, "kids", None):
                waits.append({"kind": "tokens", "count": len(holder.kids or ())})
            elif not waits and getattr(holder, "phase", 1) == 0:
                waits.append({"kind": "join"})
            if waits:
                found[holder.key] = waits
        return found

    def _boundary(self, tokens: list[Any], waits: dict[int, list[Row]], outline: Mapping[str, Any]) -> list[Row]:
        """Those of the activities that run: armed ones with what they wait for, the others (errors ...) as the definition has them."""
        found = []
        for t in tokens:
            armed = {w["element"]: w for w in waits.get(t.key, ()) if w.get("boundary")}
            if t.index and not armed:
                continue
            known = {b["element"]: b for b in (outline.get(t.element) or {}).get("boundary", ())}
            for element in dict.fromkeys((*known, *armed)):
                found.append({**known.get(element, {}), **armed.get(element, {}), "activity": t.element, "token": str(t.key)})
        return [{k: v for k, v in b.items() if k != "boundary"} for b in found]


EVENTS = frozenset({"timer", "message", "signal", "conditional"})


def _event(kind: str, element: str, at: str, **more: Any) -> Row:
    """`boundary`: it is not the element itself that waits."""
    return {"kind": kind, "element": element, **({"boundary": True} if at and element != at else {}), **more}
