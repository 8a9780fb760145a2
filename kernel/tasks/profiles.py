"""API profiles: how an API is called, said once and used by many tasks by name (registry `profile`).

A record: `{title, description, base_url, authentication, tls: {certificate, key, authorities}, headers, timeout, limits: {rate, concurrency,
circuit_breaker}, retry: {codes, never, pause}}`. What is secret stands in it by reference. Each change makes a version, `NAME@VERSION`; the newest
holds. Its limits hold over all partitions (`guards.py`): the target of a task is what the header `profile` names.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from flowledger.kernel.findings import Finding
from flowledger.kernel.model.connectors import served
from flowledger.kernel.state import Partition, Task
from flowledger.kernel.tasks import clock, index, outside
from flowledger.kernel.tasks.shapes import are_texts, is_text, unknown

REGISTRY = "profile"
#: the header of a task that names one, and what limits of one are kept under
HEADER, TARGET = "profile", "profile:"
#: versions that stay readable; codes of one list, and characters of one
VERSIONS_MAX, CODES_MAX, CODE_MAX = 20, 50, 100
LIMITS = frozenset({"rate", "concurrency", "circuit_breaker"})
_KEYS = frozenset("title description base_url authentication tls headers timeout limits retry version created_us updated_us".split())
_GIVEN = ("version", "created_us", "updated_us")


def problems(name: str, value: dict[str, Any]) -> list[str]:
    """What is wrong with a record, but for its limits."""
    if wrong := outside.named(name):
        return wrong
    out = unknown(value, _KEYS, "profile") + outside.texts(value, "title", "description")
    out += outside.address(value.get("base_url"), "base_url")
    if is_text(value.get("base_url"), outside.TEXT_MAX) and _climbs(value["base_url"]):
        out.append("base_url: expected a path without . and ..")
    out += outside.authentication(value.get("authentication"))
    out += outside.headers(value.get("headers"))
    if (tls := value.get("tls")) is not None:
        out += unknown(tls, ("certificate", "key", "authorities"), "tls")
        if isinstance(tls, dict):
            needed = {"certificate", "key"} if {"certificate", "key"} & tls.keys() else set()
            out += outside.references(tls, sorted(needed | tls.keys() & {"authorities"}), "tls")
            out += [] if tls else ["tls: expected certificate and key, authorities, or all of them"]
    out += _span(value.get("timeout"), "timeout")
    if (limits := value.get("limits")) is not None:
        out += unknown(limits, LIMITS, "limits")
    if (retry := value.get("retry")) is not None:
        out += unknown(retry, ("codes", "never", "pause"), "retry")
        for word in ("codes", "never") if isinstance(retry, dict) else ():
            if retry.get(word) is not None and not are_texts(retry[word], CODES_MAX, CODE_MAX):
                out.append(f"retry.{word}: expected a list of at most {CODES_MAX} codes, such as 409 or 5*")
        out += _span(retry.get("pause"), "retry.pause") if isinstance(retry, dict) else []
    return out


def _climbs(url: str) -> bool:
    return any(part.lower().replace("%2e", ".") in (".", "..") for part in url.split("/")[3:])


def _span(value: Any, where: str) -> list[str]:
    if value is None:
        return []
    try:
        good = 0 < clock.span_us(value) <= 3_600_000_000
    except ValueError as e:
        return [f"{where}: {e}"]
    return [] if good else [f"{where}: expected more than nothing and at most an hour"]


def same(last: dict[str, Any] | None, value: dict[str, Any]) -> bool:
    """It says nothing else than the newest version."""
    return last is not None and {k: v for k, v in last.items() if k not in _GIVEN} == {k: v for k, v in value.items() if k not in _GIVEN}


def name_in(headers: Any) -> str:
    found = headers.get(HEADER) if isinstance(headers, dict) else None
    return found if isinstance(found, str) and not found.startswith("=") else ""


def base_of(name: str) -> str:
    """Of `NAME@VERSION`, which a model pins, the name: limits are those of the newest version, over all of them."""
    return name.partition("@")[0]


def there(p: Partition, tenant: str, name: str) -> bool:
    """Whether a task of the tenant finds it. Who has a profile of its own has none of the versions of that for all."""
    owner = tenant if tenant and index.own(p, REGISTRY, tenant, base_of(name)) is not None else ""
    return (index.own(p, REGISTRY, owner, name) if owner else index.record(p, REGISTRY, "", name)) is not None


def targets(task: Task) -> list[str]:
    """What the limits of its profile are kept under: that for all, and the tenant's own. The operator's limits hold for those who have their own, too."""
    name = base_of(name_in(task.headers))
    if not name or not served(task.job_type):
        return []
    return [f"{TARGET}{name}", f"{TARGET}{task.tenant}/{name}"] if task.tenant else [f"{TARGET}{name}"]


def findings(p: Partition, tenant: str, graph: Any, file: str, beside: Collection[str] = ()) -> list[Finding]:
    """Of a model: profiles that nobody has put. A warning: they may come before its first instance gets there. `beside`: those that come with it."""
    found: list[Finding] = []
    for process in graph.processes.values() if graph is not None else ():
        for node in process.nodes.values():
            name = name_in(getattr(node.config, "headers", None))
            job_type = getattr(getattr(node.config, "job_type", None), "static", None)
            if (
                name
                and isinstance(job_type, str)
                and served(job_type)
                and name not in beside
                and ("/" in name or not there(p, tenant, name))
            ):
                hint = "PUT /v1/profiles/{name}, or flowledger profiles put"
                said = f"there is no API profile '{name}'" + (f"; the newest {VERSIONS_MAX} versions of each stay" if "@" in name else "")
                found.append(Finding("PROFILE_UNKNOWN", said, "warning", node.id, node.line, node.column, hint, file))
    return found
