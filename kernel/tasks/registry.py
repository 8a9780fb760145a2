"""What may stand in the registries of work: `directory`, `task_definition`, `limit`. Checked when stored, so that decisions need not.

`directory`: names `user:`, `agent:`, `service:`, `tool:`, `api:` (who may work), `group:`, `calendar:`. `task_definition`: reusable definitions of tasks
with versions, kept as `name` (the newest) and `name@version`. `limit`: see `kernel/tasks/guards.py`. A tenant's own records are named `tenant/name`.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from flowledger.kernel import advice, kpis, retries, saved_reports, tenants
from flowledger.kernel.state import Partition
from flowledger.kernel.tasks import (
    approvals,
    assignment,
    calendars,
    capabilities,
    clearance,
    clock,
    guards,
    privacy,
    profiles,
    quotas,
    saved_views,
    schema_rules,
)
from flowledger.kernel.tasks.shapes import unknown
from flowledger.kernel.values import shown

MODES = ("synchronous", "asynchronous", "batch", "streaming")
TYPES = frozenset(
    "human_task user_task service_task script_task send_task receive_task manual_task business_rule_task call_activity sub_process".split()
)
_WHO = frozenset(
    "name email groups roles capabilities capabilities_down permissions certified place calendar max_concurrent weight active kind endpoint credential job_type "
    "fallback resources load_balancing metadata".split()
)
_GROUP = frozenset("name description parent leads email metadata".split())
_CALENDAR = frozenset("name zone days holidays metadata".split())
_DEFINITION = frozenset(
    "id name description type category kind job_type version version_tag input_schema output_schema timeout_ms timeout retry retries priority execution "
    "resources assignment escalation sla calendar reminders form headers variables metadata required_capabilities created_us updated_us".split()
)
_EXECUTION = frozenset(
    "mode timeout_seconds timeout_ms max_retries retry_delay_seconds exponential_backoff circuit_breaker parallelism concurrency rate batch ageing_ms "
    "resource_limits monitoring executor security_context environment".split()
)
_ASSIGNMENT = frozenset(
    "strategy groups roles users kind required_capabilities skills required_permissions place resources fallback timeout assignee attempts".split()
)
_BREAKER = frozenset(guards.BREAKER_DEFAULTS)


def _count(value: Any, where: str, least: int = 0) -> list[str]:
    good = isinstance(value, int) and not isinstance(value, bool) and value >= least
    return [] if good else [f"{where}: expected a whole number of {least} or more, found {shown(value)}"]


def _limits(value: dict[str, Any], where: str) -> list[str]:
    out: list[str] = []
    if "concurrency" in value:
        out += _count(value["concurrency"], f"{where}.concurrency", 1)
    if "ageing_ms" in value:
        out += _count(value["ageing_ms"], f"{where}.ageing_ms", 1)
    if "rate" in value:
        out += unknown(value["rate"], frozenset({"max", "per_ms"}), f"{where}.rate") or [
            *_count(value["rate"].get("max"), f"{where}.rate.max", 1), *_count(value["rate"].get("per_ms", 1000), f"{where}.rate.per_ms", 1),
        ]  # fmt: skip
    if "batch" in value:
        out += unknown(value["batch"], frozenset({"size", "wait_ms"}), f"{where}.batch") or [
            *_count(value["batch"].get("size"), f"{where}.batch.size", 1), *_count(value["batch"].get("wait_ms", 0), f"{where}.batch.wait_ms"),
        ]  # fmt: skip
    breaker = value.get("circuit_breaker")
    if breaker is not None and not isinstance(breaker, bool):
        at = f"{where}.circuit_breaker"
        out += unknown(breaker, _BREAKER, at)
        for name, v in breaker.items() if isinstance(breaker, dict) else ():
            if name == "error_share":
                good = isinstance(v, (int, float, Decimal)) and not isinstance(v, bool) and 0 < v <= 1
                out += [] if good else [f"{at}.error_share: expected more than 0 and at most 1, found {shown(v)}"]
            elif name == "ignore":
                out += (
                    [] if isinstance(v, list) and all(isinstance(c, str) for c in v) else [f"{at}.ignore: expected a list of error codes"]
                )
            elif name in _BREAKER:
                out += _count(v, f"{at}.{name}", 0 if name == "failures" else 1)
    return out


def _who(value: dict[str, Any]) -> list[str]:
    out = unknown(value, _WHO, "record")
    if value.get("kind") is not None and value["kind"] not in assignment.KINDS:
        out.append(f"kind: expected one of {', '.join(assignment.KINDS)}, found {shown(value['kind'])}")
    out += clearance.certified_problems(value.get("certified"))
    if value.get("max_concurrent") is not None:
        out += _count(value["max_concurrent"], "max_concurrent", 1)
    if value.get("load_balancing") is not None:
        own = value["load_balancing"]
        out += unknown(own, frozenset({"strategy", "weight", "max_concurrent"}), "load_balancing")
        if isinstance(own, dict) and own.get("max_concurrent") is not None:
            out += _count(own["max_concurrent"], "load_balancing.max_concurrent", 1)
        if isinstance(own, dict) and own.get("strategy") is not None and own["strategy"] not in assignment.STRATEGIES:
            out.append(f"load_balancing.strategy: expected one of {', '.join(assignment.STRATEGIES)}, found {shown(own['strategy'])}")
    return out


def _group(value: dict[str, Any]) -> list[str]:
    return unknown(value, _GROUP, "group")


def _calendar(value: dict[str, Any]) -> list[str]:
    return unknown(value, _CALENDAR, "calendar") + calendars.problems(value)


_DIRECTORY: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "user": _who, "agent": _who, "service": _who, "tool": _who, "api": _who, "group": _group, "calendar": _calendar,
}  # fmt: skip


def _directory(name: str, value: dict[str, Any]) -> list[str]:
    kind, _, rest = name.rpartition("/")[2].partition(":")
    if kind not in _DIRECTORY or not rest:
        return [f"name: expected {', '.join(f'{k}:NAME' for k in _DIRECTORY)}, found '{name}'"]
    return _DIRECTORY[kind](value)


def assignment_problems(value: Any) -> list[str]:
    """What is wrong with assignment settings."""
    out = unknown(value, _ASSIGNMENT, "assignment")
    if not isinstance(value, dict):
        return out
    if (strategy := value.get("strategy")) is not None and strategy not in assignment.STRATEGIES:
        out.append(f"assignment.strategy: expected one of {', '.join(assignment.STRATEGIES)}, found {shown(strategy)}")
    if value.get("timeout"):
        try:
            clock.span_us(value["timeout"])
        except ValueError as e:
            out.append(f"assignment.timeout: {e}")
    return out


def _definition(name: str, value: dict[str, Any]) -> list[str]:
    out = unknown(value, _DEFINITION, "definition")
    if "@" in name:
        out.append("name: '@' stands before a version, which the registry gives")
    if value.get("type") is not None and value["type"] not in TYPES:
        out.append(f"type: expected one of {', '.join(sorted(TYPES))}, found {shown(value['type'])}")
    for word in ("input_schema", "output_schema"):
        if value.get(word) is not None:
            out += schema_rules.problems(value[word], at=word)
    if value.get("retry") is not None:
        out += [f"retry: {p}" for p in retries.normalise(value["retry"])[1]]
    if value.get("retries") is not None:
        out += _count(value["retries"], "retries", 1)
    for where, holder in (("definition", value), ("execution", value.get("execution")), ("resources", value.get("resources"))):
        for word in ("timeout_ms", "timeout_seconds"):
            if isinstance(holder, dict) and holder.get(word) is not None:
                out += _count(holder[word], f"{where}.{word}", 1)
    if value.get("timeout") is not None:
        try:
            clock.span_us(value["timeout"])
        except ValueError as e:
            out.append(f"timeout: {e}")
    if value.get("priority") is not None:
        out += _count(value["priority"], "priority")
    if value.get("assignment") is not None:
        out += assignment_problems(value["assignment"])
    out += clock.problems(value)
    execution = value.get("execution")
    if execution is not None:
        out += unknown(execution, _EXECUTION, "execution")
        if isinstance(execution, dict):
            if execution.get("mode") is not None and execution["mode"] not in MODES:
                out.append(f"execution.mode: expected one of {', '.join(MODES)}, found {shown(execution['mode'])}")
            out += _limits(execution, "execution") + clearance.problems(execution)
            out += [f"execution: {p}" for p in retries.normalise(_retry_words(execution))[1]]
    return out


def _limit(name: str, value: dict[str, Any]) -> list[str]:
    kind, _, rest = name.partition(":")
    if kind not in ("job", "tenant", "endpoint", "assignee") or not rest:
        return [f"name: expected job:TYPE, tenant:NAME, endpoint:TEXT or assignee:NAME, found '{name}'"]
    return unknown(value, frozenset(guards.LIMIT_KEYS), "limit") + _limits(value, "limit")


def quota_problems(value: Any) -> list[str]:
    """What is wrong with a tenant's quotas."""
    out = unknown(value, quotas.FIELDS, "quotas")
    if out or not isinstance(value, dict):
        return out
    for word in ("instances", "waiting", "storage"):
        if value.get(word) is not None:
            out += _count(value[word], f"quotas.{word}", 1)
    if value.get("share") is not None:
        out += _count(value["share"], "quotas.share", 1)
        if not out and value["share"] > tenants.SHARE_MAX:
            out.append(f"quotas.share: expected at most {tenants.SHARE_MAX}, found {value['share']}")
    if not out and (value.get("waiting") or 0) > quotas.WAITING_MAX:
        out.append(f"quotas.waiting: expected at most {quotas.WAITING_MAX}, found {value['waiting']}")
    starts = value.get("starts")
    if starts is not None:
        out += unknown(starts, frozenset({"max", "per_ms"}), "quotas.starts") or [
            *_count(starts.get("max"), "quotas.starts.max", 1), *_count(starts.get("per_ms", 1000), "quotas.starts.per_ms", 1),
        ]  # fmt: skip
    return out


def _profile(name: str, value: dict[str, Any]) -> list[str]:
    limits = value.get("limits")
    return profiles.problems(name, value) + (_limits(limits, "limits") if isinstance(limits, dict) else [])


CHECKS: dict[str, Callable[[str, dict[str, Any]], list[str]]] = {
    "directory": _directory, "task_definition": _definition, "limit": _limit, capabilities.REGISTRY: capabilities.problems,
    profiles.REGISTRY: _profile,
    saved_views.REGISTRY: saved_views.problems,
    privacy.ERASURES: privacy.erasure_problems,
    privacy.HOLDS: privacy.hold_problems,
    kpis.REGISTRY: kpis.problems,
    saved_reports.REGISTRY: saved_reports.problems,
    advice.REGISTRY: advice.problems,
    privacy.RETENTION: privacy.rule_problems,
    privacy.CONSENTS: privacy.consent_problems,
    approvals.REGISTRY: approvals.problems,
}  # fmt: skip


def problems(registry: str, name: str, value: dict[str, Any] | None) -> list[str]:
    """What is wrong with a record; empty for registries that are not of work."""
    check = CHECKS.get(registry)
    return check(name, value) if check is not None and value is not None else []


def _retry_words(execution: dict[str, Any]) -> dict[str, Any]:
    """The retry settings among the execution's."""
    return {k: execution[k] for k in ("max_retries", "retry_delay_seconds", "exponential_backoff") if execution.get(k) is not None}


#: registries whose records have versions
VERSIONED = frozenset({"task_definition", profiles.REGISTRY})


def stored_as(p: Partition, registry: str, name: str, value: dict[str, Any] | None, now_us: int) -> list[tuple[str, dict[str, Any] | None]]:
    """(name, value) of each record that one wish writes: a task definition and a profile get their next version, and are kept under it too."""
    if registry == profiles.REGISTRY:
        return _profile_as(p, name, value, now_us)
    if registry != "task_definition" or value is None:
        return [(name, value)]
    last = p.records.get((registry, name)) or {}
    made = {
        **normal(value), "version": last.get("version", 0) + 1, "created_us": last.get("created_us", now_us), "updated_us": now_us,
    }  # fmt: skip
    return [(name, made), (f"{name}@{made['version']}", made)]


def _profile_as(p: Partition, name: str, value: dict[str, Any] | None, now_us: int) -> list[tuple[str, dict[str, Any] | None]]:
    """What changes nothing makes no version. The oldest version goes with each new one, and all go with the profile."""
    last = p.records.get((profiles.REGISTRY, name))
    newest = last["version"] if last is not None else 0
    if value is None:
        kept = range(max(1, newest - profiles.VERSIONS_MAX + 1), newest + 1)
        return [(name, None), *((f"{name}@{v}", None) for v in kept)]
    if last is not None and profiles.same(last, value):
        return [(name, last)]
    created = last["created_us"] if last is not None else now_us
    made = {**value, "version": newest + 1, "created_us": created, "updated_us": now_us}
    rows: list[tuple[str, dict[str, Any] | None]] = [(name, made), (f"{name}@{newest + 1}", made)]
    if newest >= profiles.VERSIONS_MAX:
        rows.append((f"{name}@{newest + 1 - profiles.VERSIONS_MAX}", None))
    return rows


def _timeout_ms(value: Any) -> int:
    """The smallest of `timeout_ms`, `timeout_seconds` and `timeout` (ISO 8601), 0 when none."""
    if not isinstance(value, dict):
        return 0
    found = [value.get("timeout_ms") or 0, (value.get("timeout_seconds") or 0) * 1000, clock.span_us(value.get("timeout") or 0) // 1000]
    return int(min((t for t in found if t), default=0))


def normal(value: dict[str, Any]) -> dict[str, Any]:
    """One form for what can be said in several: the retry policy of `execution` joins `retry`, `parallelism` is `concurrency`."""
    made = {k: v for k, v in value.items() if v is not None}
    execution = made.get("execution")
    if isinstance(execution, dict):
        execution = dict(execution)
        words = _retry_words(execution)
        if words and "retry" not in made:
            made["retry"] = words
        if "parallelism" in execution:
            execution.setdefault("concurrency", execution["parallelism"])
        made["execution"] = execution
    limits = [t for t in (_timeout_ms(made), _timeout_ms(made.get("execution")), _timeout_ms(made.get("resources"))) if t]
    if limits:  # several limits: the smallest holds (C-13)
        made["timeout_ms"] = min(limits)
    if isinstance(made.get("retry"), dict) and "retries" not in made and (attempts := retries.normalise(made["retry"])[0].max_attempts):
        made["retries"] = attempts
    return made
