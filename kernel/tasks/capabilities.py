"""Capabilities of the platform: what other services offer, by name and operation, so that a model calls them without code (registry `capability`).

A record: `{title, description, version, endpoint, authentication, headers, health, events, operations: {NAME: {description, input, output, errors,
path, timeout}}}`.
`input`, `output` are JSON Schemas. With an `endpoint` the connectors call it; without one the work is for whoever takes jobs of type `NAME.OPERATION`.
"""

from __future__ import annotations

import re
from typing import Any

from flowledger.kernel.findings import Finding
from flowledger.kernel.state import Partition
from flowledger.kernel.tasks import clock, index, outside, schema_rules
from flowledger.kernel.tasks.shapes import are_texts, unknown

REGISTRY = "capability"
OPERATIONS_MAX, EVENTS_MAX, ERRORS_MAX, NAME_MAX = 100, 100, 50, 200
_KEYS = frozenset("title description version endpoint authentication headers health events operations".split())
_OPERATION = frozenset("description input output errors path timeout".split())
_PATH = re.compile(r"/[^\s?#]{0,500}")


def problems(name: str, value: dict[str, Any]) -> list[str]:
    """What is wrong with a record."""
    if wrong := outside.named(name):
        return wrong
    out = unknown(value, _KEYS, "capability") + outside.texts(value, "title", "description", "version")
    if value.get("endpoint") is not None:
        out += outside.address(value["endpoint"], "endpoint")
    out += _path(value.get("health"), "health")
    out += _texts(value.get("events"), "events", EVENTS_MAX)
    out += outside.headers(value.get("headers"))
    out += outside.authentication(value.get("authentication"))
    operations = value.get("operations")
    if not isinstance(operations, dict) or not 1 <= len(operations) <= OPERATIONS_MAX:
        return [*out, f"operations: expected an object of 1 to {OPERATIONS_MAX} operations"]
    for operation, row in operations.items():
        out += _operation(operation, row)
    return out


def _path(value: Any, where: str) -> list[str]:
    return [] if value is None or (isinstance(value, str) and _PATH.fullmatch(value)) else [f"{where}: expected a path that begins with /"]


def _texts(value: Any, where: str, most: int) -> list[str]:
    return [] if value is None or are_texts(value, most, NAME_MAX) else [f"{where}: expected a list of at most {most} names"]


def _operation(name: str, row: Any) -> list[str]:
    where = f"operations.{name[:100]}"
    if not outside.NAME.fullmatch(name):
        return [f"{where}: expected small letters, digits, _ and - as its name"]
    out = unknown(row, _OPERATION, where)
    if not isinstance(row, dict):
        return out
    for word in ("input", "output"):
        if row.get(word) is not None:
            out += schema_rules.problems(row[word], f"{where}.{word}")
    out += _texts(row.get("errors"), f"{where}.errors", ERRORS_MAX)
    out += _path(row.get("path"), f"{where}.path")
    if row.get("timeout") is not None:
        try:
            clock.span_us(row["timeout"])
        except ValueError as e:
            out.append(f"{where}.timeout: {e}")
    return out


def findings(p: Partition, tenant: str, graph: Any, file: str) -> list[Finding]:
    """Of a model: operations that nobody has registered. A warning: they may be, before its first instance gets there, and workers may take their jobs."""
    found: list[Finding] = []
    for process in graph.processes.values() if graph is not None else ():
        for node in process.nodes.values():
            headers = getattr(node.config, "headers", None)
            name = headers.get("capability") if isinstance(headers, dict) else None
            if not isinstance(name, str) or not name or name.startswith("="):
                continue
            operation = str(headers.get("operation") or "run") if headers else "run"
            known = index.record(p, REGISTRY, tenant, name)
            if known is None:
                said = f"the capability '{name}' isn't registered"
            elif operation not in known["operations"] and not operation.startswith("="):
                said = f"the capability '{name}' has no operation '{operation}', it has {', '.join(sorted(known['operations']))}"
            else:
                continue
            hint = "PUT /v1/capabilities/{name}, or flowledger capabilities put; workers for its job type do as well"
            found.append(Finding("CAPABILITY_UNREGISTERED", said, "warning", node.id, node.line, node.column, hint, file))
    return found
