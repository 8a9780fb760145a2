"""What the daily verbs do: one request or a few to a server, shown as a table or as JSON."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from flowledger.infra.cli.given import json_object
from flowledger.infra.cli.output import NO, USAGE, Failed, as_json, busy, command, console, facts, fail, for_programs, say, table
from flowledger.infra.cli.server import Server, problem

#: seconds of one waiting request; what servers allow by default
LONGEST_WAIT_S = 55


def variables(text: str, option: str = "--vars") -> dict[str, Any]:
    """A JSON object given as text, as `@FILE`, or on stdin (`-`)."""
    return json_object(text, option, '{"amount": 120}') if text else {}


def verb(server: str, path: str, body: Any, done: str, json: bool) -> None:
    s = Server(server)
    answer = s.post(f"/v1/{path}", body, **s.new_id())
    if json:
        as_json(answer)
    else:
        console().print(f"[green]✓[/] {done}")


def delete(server: str, id: str, reason: str, json: bool) -> None:
    s = Server(server)
    answer = s.call("DELETE", f"/v1/instances/{id}", query={"reason": reason}, headers=s.new_id())
    if json:
        as_json(answer)
    else:
        console().print(f"[green]✓[/] instance {id} is deleted from the views")


def start(server: str, definition: str, vars: str, business_key: str, version: int, wait: bool, timeout: float, json: bool) -> None:
    body: dict[str, Any] = {"definition": definition, "variables": variables(vars), "version": version, "business_key": business_key}
    s = Server(server)
    with busy("waiting for its end" if wait else "starting"):
        answer = _wait(s, body, timeout) if wait else s.post("/v1/instances", body, **s.new_id())
    if json:
        as_json(answer)
    elif wait:
        facts({k: answer.get(k) for k in ("id", "process", "version", "status")})
        facts(answer.get("variables") or {}, "variables")
    else:
        print(answer["id"])


def _wait(s: Server, body: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Start it and wait for its end, in as many requests as that takes: with one id they all mean the same instance."""
    deadline, id = time.monotonic() + timeout, s.new_id()
    while True:
        left = deadline - time.monotonic()
        body["wait_ms"] = max(1, int(min(left, LONGEST_WAIT_S) * 1000))
        status, answer = s.ask("POST", "/v1/instances", body, headers=id)
        if status < 400:
            return dict(answer)
        if status not in (503, 504) or not isinstance(answer, dict) or not answer.get("id"):
            problem(status, answer)
        if time.monotonic() + 0.01 >= deadline:
            key = answer["id"]
            if not for_programs():
                print(key)
            message = f"instance {key} has not ended within {timeout:g} s; it goes on"
            raise Failed(message, NO, f"look at it with `{command()} show {key}`, end it with `{command()} cancel {key}`", answer)


def instances(server: str, given: dict[str, Any], incident: bool, var: list[str] | None, limit: int, json: bool) -> None:
    query = {name: value for name, value in given.items() if value}
    if incident:
        query["has_incident"] = "true"
    for each in var or ():
        name, equals, value = each.partition("=")
        if not equals or not name:
            fail(f"--var must be NAME=VALUE or NAME[op]=VALUE, found {each!r}", USAGE)
        query[f"var.{name}"] = value
    rows = list(Server(server).pages("/v1/instances", limit, **query))
    if json:
        as_json(rows)
        return
    table(
        rows,
        [
            "id",
            "process",
            "version",
            "business_key",
            "status",
            "paused",
            ("has_incident", "incident"),
            ("started_at", "started"),
            ("completed_at", "completed"),
        ],
        empty="no instances",
    )
    if limit and len(rows) == limit:
        say(f"[dim]the first {limit}; --limit 0 shows all[/]")


def show(server: str, id: str, clear: str, json: bool) -> None:
    s = Server(server, clear)
    found = s.get(f"/v1/instances/{id}")
    status = s.get(f"/v1/instances/{id}/status")
    state = s.get(f"/v1/instances/{id}/state")
    if json:
        as_json({**found, "progress": status, "state": state})
        return
    shown = {
        k: found.get(k)
        for k in (
            "id",
            "process",
            "version",
            "status",
            "business_key",
            "paused",
            "started_at",
            "completed_at",
            "parent",
            "error_code",
            "error_message",
        )
    }
    progress = status.get("progress")
    facts({**shown, "progress": None if progress is None else f"{progress} %", "estimated_end": status.get("estimated_end")})
    facts(state.get("variables") or {}, "\nvariables")
    parts: tuple[tuple[str, list[str | tuple[str, str]]], ...] = (
        ("tokens", ["element", "phase", "since"]),
        ("tasks", ["task", "element", "type", "job_type", "status", "assignee", "worker", "retries"]),
        ("timers", ["element", "due"]),
        ("subscriptions", ["element", "kind", "name", "correlation"]),
        ("incidents", ["incident", "element", "code", "message"]),
    )
    for title, columns in parts:
        if state.get(title):
            table(state[title], columns, title=f"\n{title}")


def tasks(
    server: str, assignee: str, group: str, instance: str, about: str, status: list[str] | None, every: bool, limit: int, json: bool
) -> None:
    query: dict[str, Any] = {
        "assignee": assignee,
        "candidate_group": group,
        "instance": instance,
        "reference_starts": about,
        "status": status,
    }
    if not every and not status:
        query["open"] = "true"
    rows = list(Server(server).pages("/v1/tasks", limit, **query))
    if json:
        as_json(rows)
        return
    columns: list[str | tuple[str, str]] = [
        "id",
        "name",
        ("reference", "about"),
        "job_type",
        "status",
        "assignee",
        ("candidate_groups", "groups"),
        ("due_at", "due"),
        "instance",
    ]
    table(rows, columns, empty="no tasks")


def incidents(server: str, every: bool, instance: str, group: str, limit: int, json: bool) -> None:
    query = {"status": "" if every else "open", "instance": instance, "group": group}
    rows = list(Server(server).pages("/v1/incidents", limit, **query))
    if json:
        as_json(rows)
        return
    table(rows, ["id", "instance", "process", "element", "code", "message", "status", "created_at"], empty="no incidents")


def history(server: str, id: str, at: str, limit: int, clear: str, json: bool) -> None:
    s = Server(server, clear)
    state = s.get(f"/v1/instances/{id}/state", at=at)
    events = []
    for e in s.pages(f"/v1/instances/{id}/events", limit):
        if at and _behind(e["id"], state["position"]):
            break
        events.append(e)
    if json:
        as_json({"events": events, "state": state})
        return
    rows = [
        {"position": e["id"], "time": e["time"], "event": e["type"], "by": e["actor"], "what": _what(e["type"], e["data"])} for e in events
    ]
    table(rows, ["position", "time", "event", "what", "by"], empty="no events")
    if not events:
        fail(f"nothing had happened by {at}" if at else "", NO)
    facts(
        {"status": state["status"], "events": state["events"], "position": state["position"], "time": state["time"]},
        "state then" if at else "state",
    )
    facts(state.get("variables") or {}, "\nvariables")
    if state.get("tokens"):
        table(state["tokens"], ["element", "phase", "since"], title="\ntokens")


def _behind(position: str, last: str) -> bool:
    return not last or int(position.split("-")[1]) > int(last.split("-")[1])


def _what(type: str, data: dict[str, Any]) -> str:
    """The telling fields of an event in a few words. What is called `message` is a text where something failed, and a message's key elsewhere."""
    source, target = data.get("source"), data.get("target")
    parts = [f"{source} → {target}"] if source and target else [data["element"]] if data.get("element") else []
    for name in ("process", "job_type", "worker", "code", "message", "name", "reason", "status", "decision"):
        if value := data.get(name):
            keyed = name == "message" and type.startswith(("message.", "workflow.started"))
            parts.append(f"message {value}" if keyed else str(value))
    if data.get("variables"):
        parts.append(", ".join(f"{k}={msgspec.json.encode(v, enc_hook=str).decode()}" for k, v in data["variables"].items()))
    return " · ".join(dict.fromkeys(parts))
