"""Capabilities of the platform: what other services offer, by name and operation, so that a model calls them without code (registry `capability`).

A record: `{title, description, version, endpoint, authentication, headers, health, events, operations: {NAME: {description, input, output, errors,
path, timeout}}}`.
`input`, `output` are JSON Schemas. With an `endpoint` the connectors call it; without one the work is for whoever takes jobs of type `NAME.OPERATION`.
"""

from __future__ import annotations

import re
from typing import Any

from flowledger.kernel.findings import Finding
from flowledger.kernel.model.connectors import REFERENCE
from flowledger.kernel.state import Partition
from flowledger.kernel.tasks import clock, index, schema_rules
from flowledger.kernel.tasks.shapes import are_texts, is_text, unknown

REGISTRY = "capability"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
OPERATIONS_MAX, EVENTS_MAX, ERRORS_MAX, HEADERS_MAX, NAME_MAX, TEXT_MAX = 100, 100, 50, 20, 200, 2_000
_KEYS = frozenset("title description version endpoint authentication headers health events operations".split())
_OPERATION = frozenset("description input output errors path timeout".split())
#: type of authentication -> its fields; those of the second set are secrets, so they are references
_AUTHENTICATION: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "basic": (frozenset({"username", "password"}), frozenset({"password"})),
    "bearer": (frozenset({"token"}), frozenset({"token"})),
    "apiKey": (frozenset({"name", "value", "apiKeyLocation"}), frozenset({"value"})),
    "oauth-client-credentials-flow": (
        frozenset({"oauthTokenEndpoint", "clientId", "clientSecret", "audience", "scopes", "clientAuthentication"}), frozenset({"clientSecret"}),
    ),
}  # fmt: skip
_URL = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?")
_PATH = re.compile(r"/[^\s?#]{0,500}")


def problems(name: str, value: dict[str, Any]) -> list[str]:
    """What is wrong with a record."""
    if not NAME.fullmatch(name.rpartition("/")[2]):
        return [f"name: expected small letters, digits, _ and -, at most 64, found '{name.rpartition('/')[2][:100]}'"]
    out = unknown(value, _KEYS, "capability")
    out += [
        f"{key}: expected a text of at most {TEXT_MAX} characters"
        for key in ("title", "description", "version")
        if key in value and not is_text(value[key], TEXT_MAX)
    ]
    endpoint = value.get("endpoint")
    if endpoint is not None and not (is_text(endpoint, TEXT_MAX) and _URL.fullmatch(endpoint)):
        out.append("endpoint: expected an http or https URL without user, query and fragment")
    out += _path(value.get("health"), "health")
    out += _texts(value.get("events"), "events", EVENTS_MAX)
    headers = value.get("headers")
    if headers is not None and not (
        isinstance(headers, dict) and len(headers) <= HEADERS_MAX and all(is_text(v, TEXT_MAX) for v in headers.values())
    ):
        out.append(f"headers: expected an object of at most {HEADERS_MAX} texts")
    out += _authentication(value.get("authentication"))
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


def _authentication(value: Any) -> list[str]:
    if value is None:
        return []
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in _AUTHENTICATION:
        return [f"authentication.type: expected one of {', '.join(_AUTHENTICATION)}"]
    fields, secret = _AUTHENTICATION[kind]
    out = unknown(value, fields | {"type"}, "authentication")
    return out + [
        f"authentication.{key}: expected a reference to a secret, {{{{secrets.NAME}}}}, and nothing else"
        for key in sorted(secret)
        if not isinstance(value.get(key), str) or not REFERENCE.fullmatch(value[key])
    ]


def _operation(name: str, row: Any) -> list[str]:
    where = f"operations.{name[:100]}"
    if not NAME.fullmatch(name):
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
