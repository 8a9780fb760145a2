"""Tasks of the JSON and YAML formats: one table of kinds, one set of keys for what every task may say (time, retries, mappings, people, error paths).

Aliases of retry settings follow requirement C-12: they are normalised to one policy, and two that disagree are an error.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from flowledger.events.base import PRIORITIES
from flowledger.kernel.model.formats import build
from flowledger.kernel.model.formats.shared import Base, ms_of_iso
from flowledger.kernel.model.formats.source import Value

STRATEGIES = {"fixed", "linear", "exponential", "fibonacci"}

#: keys that every task may have
COMMON = {"id", "name", "type", "description", "input", "output", "parameters", "headers", "retry", "retries", "retry_count", "retryCount",
          "max_retries", "maxRetries", "max_attempts", "timeout", "timeout_ms", "timeoutMs", "timeout_seconds", "timeoutSeconds", "priority", "sla",
          "for_each", "as", "parallel", "collect", "collect_from", "until_done", "category", "result"}  # fmt: skip
#: more keys by kind
KEYS: dict[str, set[str]] = {
    "service": {"job"},
    "user": {"assignee", "candidate_groups", "candidate_users", "form", "due", "follow_up", "decision", "reference"},
    "script": {"expression"},
    "decision": {"decision"},
    "call": {"process", "version_tag", "binding"},
    "send": {"job", "message", "key"},
    "receive": {"message", "key"},
    "wait": {"for", "until"},
    "manual": set(),
    "capability": {"capability", "operation", "version", "parameters"},
}
#: words people use -> kind
KINDS: dict[str, str] = {
    "service": "service", "serviceTask": "service", "service_task": "service", "automated": "service", "integration": "service", "job": "service",
    "user": "user", "userTask": "user", "user_task": "user", "human": "user", "human_task": "user", "approval": "user", "form": "user",
    "script": "script", "scriptTask": "script", "script_task": "script", "feel": "script", "assign": "script",
    "decision": "decision", "business_rule": "decision", "businessRuleTask": "decision", "business_rule_task": "decision", "rule": "decision",
    "call": "call", "callActivity": "call", "call_activity": "call", "workflow": "call", "process": "call",
    "send": "send", "sendTask": "send", "send_task": "send",
    "receive": "receive", "receiveTask": "receive", "receive_task": "receive", "message": "receive",
    "wait": "wait", "delay": "wait", "timer": "wait",
    "manual": "manual", "manualTask": "manual", "manual_task": "manual",
    "capability": "capability",
}  # fmt: skip


class OwnType(NamedTuple):
    """A step type of a plug-in: a service whose fields it names, and whose job it makes (`fill`, as those of `FILL`)."""

    keys: frozenset[str]
    fill: Callable[[Base, Any, Value, str, Retry], None]


#: word -> step type of a plug-in (`flowledger.plugins`)
OWN: dict[str, OwnType] = {}


class Retry:
    """A normalised policy: `attempts` = retries + 1, None when nothing was said."""

    __slots__ = ("attempts", "settings")

    def __init__(self, attempts: int | None, settings: dict[str, str]) -> None:
        self.attempts, self.settings = attempts, settings


#: alias -> (name in flowledger:retry, factor to milliseconds or 0)
_RETRY_ALIASES: dict[str, tuple[str, int]] = {
    "initial_ms": ("initialMs", 1), "initial_delay_ms": ("initialMs", 1), "initialDelayMs": ("initialMs", 1), "base_interval_ms": ("initialMs", 1),
    "interval_ms": ("initialMs", 1), "delay_seconds": ("initialMs", 1000), "retry_delay_seconds": ("initialMs", 1000),
    "max_ms": ("maxMs", 1), "max_delay_ms": ("maxMs", 1), "maxDelayMs": ("maxMs", 1), "max_interval_ms": ("maxMs", 1),
    "multiplier": ("multiplier", 0), "backoff_multiplier": ("multiplier", 0), "backoffMultiplier": ("multiplier", 0),
}  # fmt: skip
_RETRY_DURATIONS = {"delay": "initialMs", "initial": "initialMs", "initial_delay": "initialMs", "max_delay": "maxMs", "total": "totalMs"}
_RETRY_KEYS = {*_RETRY_ALIASES, *_RETRY_DURATIONS, "max_attempts", "maxAttempts", "max_retries", "maxRetries", "retries", "strategy", "backoff",
               "backoff_strategy", "exponential", "exponential_backoff", "jitter", "codes", "error_codes", "conditions", "retry_conditions"}  # fmt: skip


def retry_of(r: Base, value: Value, id: str) -> Retry:
    attempts: dict[str, int] = {}
    for key, more in (("retries", 1), ("retry_count", 1), ("retryCount", 1), ("max_retries", 1), ("maxRetries", 1), ("max_attempts", 0)):
        if (n := r.number(value, key, 0 if more else 1, 1000)) is not None:
            attempts[key] = n + more
    settings: dict[str, str] = {}
    policy = value.get("retry")
    if policy is not None and isinstance(policy.data, int) and not isinstance(policy.data, bool):
        attempts["retry"] = policy.data + 1
    elif policy is not None and isinstance(policy.data, dict):
        r.known(policy, _RETRY_KEYS, f"the retry policy of '{id}'", id)
        for key, more in (("max_attempts", 0), ("maxAttempts", 0), ("max_retries", 1), ("maxRetries", 1), ("retries", 1)):
            if (n := r.number(policy, key, 0 if more else 1, 1000)) is not None:
                attempts[f"retry.{key}"] = n + more
        _policy(r, policy, settings, id)
    elif policy is not None and policy.data is not None:
        r.find("TYPE_WRONG", f"expected an object or a number as 'retry', found {policy.kind()}", policy, element=id)
    if len(set(attempts.values())) > 1:
        said = ", ".join(f"{k} gives {v} attempts" for k, v in attempts.items())
        r.find(
            "RETRY_DISAGREES",
            f"the retry settings of '{id}' disagree: {said}",
            value,
            element=id,
            hint="say it once, as max_attempts (retries + 1)",
        )
    return Retry(next(iter(attempts.values()), None), settings)


def _policy(r: Base, policy: Value, settings: dict[str, str], id: str) -> None:
    def put(name: str, text: str, key: str) -> None:
        if settings.setdefault(name, text) != text:
            at = policy.get(key)
            r.find(
                "RETRY_DISAGREES", f"the retry policy of '{id}' gives {name} as {settings[name]} and, by '{key}', as {text}", at, element=id
            )

    for key, found in policy.items():
        if key in _RETRY_ALIASES:
            name, factor = _RETRY_ALIASES[key]
            if isinstance(found.data, (int, Decimal)) and not isinstance(found.data, bool) and found.data >= 0:
                put(name, str(found.data * factor) if factor else str(found.data), key)
            else:
                r.find("VALUE_INVALID", f"expected a number of 0 or more as '{key}', found {found.kind()}", found, element=id)
        elif key in _RETRY_DURATIONS and (text := r.as_duration(found, key)):
            put(_RETRY_DURATIONS[key], str(ms_of_iso(text)), key)
        elif key in ("strategy", "backoff", "backoff_strategy"):
            if isinstance(found.data, str) and found.data in STRATEGIES:
                put("strategy", str(found.data), key)
            else:
                r.find(
                    "VALUE_INVALID", f"expected one of {', '.join(sorted(STRATEGIES))} as '{key}', found {found.kind()}", found, element=id
                )
        elif key in ("exponential", "exponential_backoff"):
            put("strategy", "exponential" if found.data is True else "fixed", key)
        elif key == "jitter":
            if isinstance(found.data, (bool, int, Decimal)) and 0 <= found.data <= 1:
                put("jitter", str(Decimal(found.data) if not isinstance(found.data, bool) else int(found.data)), key)
            else:
                r.find("VALUE_INVALID", f"expected a share from 0 to 1, or true, as 'jitter', found {found.kind()}", found, element=id)
    codes = [c.data for key in ("codes", "error_codes", "conditions", "retry_conditions") for c in r.texts(policy, key)]
    if codes:
        settings["codes"] = ",".join(codes)


def timeout_of(r: Base, value: Value, id: str) -> str:
    """The limit as an ISO duration; the smallest when several are given (C-13). `""` when none."""
    limits: list[tuple[int, str, str]] = []
    for key, factor in (("timeout", 0), ("timeout_ms", 1), ("timeoutMs", 1), ("timeout_seconds", 1000), ("timeoutSeconds", 1000)):
        found = value.get(key)
        if found is None or found.data is None:
            continue
        if factor and isinstance(found.data, (int, Decimal)) and not isinstance(found.data, bool):
            found = Value(found.data * factor, found.line, found.column)
        if text := r.as_duration(found, key):
            limits.append((ms_of_iso(text) if not text.startswith("=") else 0, text, key))
    if len(limits) > 1:
        smallest = min(limits)
        r.find(
            "TIMEOUTS",
            f"'{id}' has several time limits; the smallest holds: {smallest[1]} by '{smallest[2]}'",
            value,
            severity="info",
            element=id,
        )
        return smallest[1]
    return limits[0][1] if limits else ""


def priority_of(r: Base, value: Value) -> str:
    """0 to 100; names; 1 to 5 as the five names (C-09)."""
    found = value.get("priority")
    if found is None or found.data is None:
        return ""
    data = found.data
    if isinstance(data, str):
        if data.startswith("="):
            return r.checked(data, found, "priority")
        if data.lower() in PRIORITIES:
            return str(PRIORITIES[data.lower()])
    elif isinstance(data, int) and not isinstance(data, bool) and 0 <= data <= 100:
        return str(data * 20 if 1 <= data <= 5 else data)
    r.find("VALUE_INVALID", f"expected a priority from 0 to 100 or one of {', '.join(PRIORITIES)}, found {found.kind()}", found)
    return ""


def kind_of(r: Base, value: Value, default: str = "service") -> tuple[str, str]:
    """(kind, the word given). A word that is no kind is the job's type of a service."""
    word = r.text(value, "type", default)
    return KINDS.get(word, "service"), word


_TAGS = {"service": "serviceTask", "user": "userTask", "script": "scriptTask", "decision": "businessRuleTask", "call": "callActivity",
         "send": "sendTask", "receive": "receiveTask", "wait": "intermediateCatchEvent", "manual": "manualTask", "capability": "serviceTask"}  # fmt: skip


def task(r: Base, scope: build.Scope, value: Value, id: str, extra: set[str], default: str = "service", outputs: bool = True) -> Any:
    """One task as a BPMN element, with all that it says but its error paths. `extra`: keys that the caller reads itself; `outputs`: map its output."""
    kind, word = kind_of(r, value, default)
    own = OWN.get(word)
    r.known(value, COMMON | (own.keys if own else KEYS[kind]) | extra, f"the {word if own else kind} task '{id}'", id)
    element = scope.node(_TAGS[kind], id, r.text(value, "name"), value)
    build.document(element, r.text(value, "description"))
    retry = retry_of(r, value, id)
    (own.fill if own else FILL[kind])(r, element, value, word, retry)
    inputs(r, element, value, id)
    if outputs:
        map_outputs(r, element, value)
    if retry.settings and kind in ("service", "user", "send", "capability"):
        build.extension(element, "flowledger", "retry", maxAttempts=retry.attempts, **retry.settings)
    if kind != "user" and (priority := priority_of(r, value)):
        build.extension(element, "zeebe", "jobPriorityDefinition", priority=priority)
    if category := r.text(value, "category"):
        build.extension(element, "flowledger", "task", category=category)
    if sla := r.duration(value, "sla"):
        build.extension(element, "flowledger", "task", sla=sla)
    loop = value.get("for_each")
    if loop is not None and loop.data is not None:
        items = r.text(value, "for_each")
        r.checked(items, loop, "for_each")
        done = r.condition(value, "until_done")
        collect_from = r.text(value, "collect_from") or "= " + r.text(value, "as", "item")
        build.each(scope.draft, element, items, r.text(value, "as", "item"), r.flag(value, "parallel", True), r.text(value, "collect"),
                   collect_from if r.text(value, "collect") else "", done or "", loop)  # fmt: skip
    return element


def inputs(r: Base, element: Any, value: Value, id: str) -> None:
    for key in ("input", "parameters"):
        if (found := r.mapping(value, key)) is not None:
            for target, source in found.items():
                r.check_expressions(source, f"{key} {target}")
                if build.variable_name(target.replace(".", "_")) != target.replace(".", "_"):
                    r.find(
                        "VARIABLE_NAME", f"expected a variable name of letters, digits and _ as {key}, found '{target}'", source, element=id
                    )
                build.mapping(element, "input", build.source_of(source.plain()), target)


def map_outputs(r: Base, element: Any, value: Value) -> None:
    if (found := r.mapping(value, "output")) is not None:
        for target, source in found.items():
            r.check_expressions(source, f"output {target}")
            build.mapping(element, "output", build.source_of(source.plain()), target)


def _headers(r: Base, value: Value, **more: str) -> dict[str, Any]:
    headers: dict[str, Any] = {k: v for k, v in more.items() if v}
    if (found := r.mapping(value, "headers")) is not None:
        for key, inner in found.items():
            if isinstance(inner.data, (dict, list)):
                r.find("TYPE_WRONG", f"expected a text as header '{key}', found {inner.kind()}", inner)
            else:
                headers[key] = "" if inner.data is None else str(inner.data).lower() if isinstance(inner.data, bool) else str(inner.data)
    return headers


def _service(r: Base, element: Any, value: Value, word: str, retry: Retry) -> None:
    type = r.text(value, "job") or (element.get("id") if word in KINDS else word)
    build.job(element, type, retry.attempts, _headers(r, value, kind="" if word in KINDS else word))


def _capability(r: Base, element: Any, value: Value, word: str, retry: Retry) -> None:
    name, operation = r.text(value, "capability", required=True, what="a capability task"), r.text(value, "operation", "run")
    build.job(
        element,
        f"{name}.{operation}",
        retry.attempts,
        _headers(r, value, capability=name, operation=operation, version=r.text(value, "version")),
    )
    build.extension(element, "flowledger", "capability", name=name, operation=operation, version=r.text(value, "version"))


def _user(r: Base, element: Any, value: Value, word: str, retry: Retry) -> None:
    def expression_or_text(key: str) -> str:
        found = value.get(key)
        if found is not None and isinstance(found.data, str) and found.data.startswith("="):
            return r.checked(found.data, found, key)
        return ",".join(item.data for item in r.texts(value, key))

    def moment(key: str) -> str:
        found = value.get(key)
        if found is None or found.data is None:
            return ""
        if isinstance(found.data, str) and found.data[:4].isdigit() and "T" in found.data:
            return found.data
        return r.as_duration(found, key)

    build.people(element, r.text(value, "assignee"), expression_or_text("candidate_groups"), expression_or_text("candidate_users"),
                 r.text(value, "form"), moment("due") or r.duration(value, "sla"), moment("follow_up"), priority_of(r, value))  # fmt: skip
    if headers := _headers(r, value):
        holder = build.extension(element, "zeebe", "taskHeaders")
        for key, text in headers.items():
            build.within(holder, "header", key=key, value=text)
    if reference := r.text(value, "reference"):
        if reference.startswith("="):
            r.checked(reference, value.get("reference"), "reference")
        build.extension(element, "flowledger", "task", reference=reference)
    if word == "approval":
        build.extension(element, "flowledger", "task", kind="approval")


def _script(r: Base, element: Any, value: Value, word: str, retry: Retry) -> None:
    expression = r.text(value, "expression", required=True, what=f"the script '{element.get('id')}'")
    if expression:
        r.checked(expression, value.get("expression"), "expression")
    build.script(element, expression or "null", r.text(value, "result"))


def _decision(r: Base, element: Any, value: Value, word: str, retry: Retry) -> None:
    id = r.text(value, "decision", required=True, what=f"the decision task '{element.get('id')}'")
    build.decision(element, id, r.text(value, "result") or build.variable_name(id))


def _call(r: Base, element: Any, value: Value, word: str, retry: Retry) -> None:
    build.call(element, r.text(value, "process", required=True, what=f"the call '{element.get('id')}'"), r.text(value, "binding"),
               r.text(value, "version_tag"))  # fmt: skip


def _send(r: Base, element: Any, value: Value, word: str, retry: Retry) -> None:
    message = r.text(value, "message")
    build.job(
        element,
        r.text(value, "job") or (f"send.{message}" if message else element.get("id")),
        retry.attempts,
        _headers(r, value, message=message),
    )


def _receive(r: Base, element: Any, value: Value, word: str, retry: Retry) -> None:
    name = r.text(value, "message", required=True, what=f"the receive task '{element.get('id')}'")
    key = r.text(value, "key", required=True, what=f"the receive task '{element.get('id')}'")
    if name and key:
        r.checked(key, value.get("key"), "key")
        element.set("messageRef", r.draft.message(name, key))


def _wait(r: Base, element: Any, value: Value, word: str, retry: Retry) -> None:
    scope = build.Scope(r.draft, element.getparent())
    if until := r.text(value, "until"):
        scope.event(element, "date", until, value)
    elif (duration := r.duration(value, "for")) or value.get("for") is not None:
        scope.event(element, "timer", duration, value)
    else:
        r.find(
            "KEY_MISSING",
            f"the wait '{element.get('id')}' needs 'for' (a duration) or 'until' (a moment)",
            value,
            element=element.get("id"),
        )


def _manual(r: Base, element: Any, value: Value, word: str, retry: Retry) -> None:
    return


FILL: dict[str, Callable[[Base, Any, Value, str, Retry], None]] = {
    "service": _service, "user": _user, "script": _script, "decision": _decision, "call": _call, "send": _send, "receive": _receive,
    "wait": _wait, "manual": _manual, "capability": _capability,
}  # fmt: skip
