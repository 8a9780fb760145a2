"""How things look in JSON: events, jobs, answers."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.api.edge import keyed, time_text
from flowledger.events import wire
from flowledger.events.base import Event, Recorded

_FIELDS: dict[type[Event], tuple[str, ...]] = {}


def payload_of(event: Event) -> dict[str, Any]:
    """The fields of an event, without `key` (it is the `instance` of the whole)."""
    fields = _FIELDS.get(type(event))
    if fields is None:
        fields = _FIELDS[type(event)] = tuple(f for f in type(event).__struct_fields__ if f != "key")
    return {f: _plain(getattr(event, f)) for f in fields}


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def event_view(recorded: Recorded) -> dict[str, Any]:
    """A recorded event as subscribers see it."""
    v = recorded.envelope
    return {
        "id": recorded.id,
        "type": wire.NAMES[type(recorded.event)],
        "time": time_text(v.time_us),
        "instance": str(recorded.event.key) if recorded.event.key else None,
        "tenant": v.tenant,
        "actor": v.actor,
        "cause": v.cause,
        "correlation": v.correlation,
        "trace": v.trace,
        "data": keyed(payload_of(recorded.event)),
    }


def row_event_view(row: dict[str, Any]) -> dict[str, Any]:
    """The same from a row of the projection."""
    about = row.get("metadata") or {}
    return {
        "id": row["position"],
        "type": row["type"],
        "time": row["time"],
        "instance": row.get("instance") or None,
        "tenant": about.get("tenant", ""),
        "actor": about.get("actor", ""),
        "cause": row.get("causation_id") or "",
        "correlation": row.get("correlation_id") or "",
        "trace": about.get("trace", ""),
        "data": keyed({k: v for k, v in (row.get("data") or {}).items() if k != "key"}),
    }


def event_of(row: dict[str, Any]) -> Event:
    """The event of a row, to fold it. Raises: KeyError, msgspec.ValidationError."""
    cls, _ = wire.CURRENT[row["type"]]
    return msgspec.convert({**(row.get("data") or {}), "key": row.get("instance") or 0}, cls, strict=False)


def job_view(job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = keyed({k: v for k, v in job.items() if k != "deadline_us"})
    deadline = job.get("deadline_us") or job.get("deadline")
    if isinstance(deadline, int):
        found["deadline"] = time_text(deadline)
    return found


def definition_view(row: dict[str, Any]) -> dict[str, Any]:
    """Of a definition (a row, or what a deployment answers): `id` and `key` are its key, `definition_id` its id in the model; `process` is
    the same where it is a process."""
    found: dict[str, Any] = keyed(row)
    found["definition_id"] = row.get("definition_id") or row["id"]
    found["id"] = found["key"]
    if row.get("kind") == "process":
        found["process"] = found["definition_id"]
    if "imports" in found:
        found["imports"] = [
            {"namespace": namespace, "id": str(one["key"]), "key": str(one["key"]), "definition_id": one["id"], "version": one["version"]}
            for namespace, one in (row["imports"] or {}).items()
        ]
    if "versions" in found:
        found["versions"] = [{"id": v["key"], **v} for v in found["versions"]]
    return found


def deployment_view(answer: dict[str, Any]) -> dict[str, Any]:
    return {**keyed(answer), "definitions": [definition_view(d) for d in answer.get("definitions") or ()]}


def answer_view(answer: dict[str, Any]) -> dict[str, Any]:
    """A command's answer: `key` is called `id` outside."""
    found: dict[str, Any] = keyed(answer)
    if "key" in found:
        found["id"] = found.pop("key")
    return found
