"""How a failed attempt is tried again: attempts left, the back-off before the next, and what follows the last.

Source: requirements D-RES-002, D-STA-008, C-12, C-13, C-32. One policy object; the words of the four seeds are aliases of it. Jitter is a hash of
key and attempt, not chance. A task's `retries` are the attempts left (Zeebe's meaning), so a policy of `max_attempts` 3 starts with 3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from flowledger.events import commands as c
from flowledger.events import flow as fl
from flowledger.events import task as ta
from flowledger.events import waiting as wa
from flowledger.kernel import business, times
from flowledger.kernel.expressions import Failure
from flowledger.kernel.hooks import HOOKS
from flowledger.kernel.state import Task
from flowledger.kernel.values import shown

#: longest back-off, milliseconds (30 days); a cap of a policy can only be lower
BACKOFF_MS_MAX = 30 * 86_400_000
STRATEGIES = {"fixed": "fixed", "constant": "fixed", "linear": "linear", "exponential": "exponential", "fibonacci": "fibonacci"}
#: what follows the last attempt
ENDINGS = ("incident", "error", "fallback", "manual", "skip")


class Policy(msgspec.Struct, kw_only=True):
    """Times in milliseconds. `codes` empty: all are retried; a trailing `*` stands for anything. `handlers`: error code -> fallback step."""

    max_attempts: int = 0
    strategy: str = "fixed"
    initial_ms: int = 0
    max_ms: int = 0
    multiplier: float = 2.0
    jitter: float = 0.0
    codes: list[str] = []
    never: list[str] = []
    total_ms: int = 0
    on_exhausted: str = "incident"
    error_code: str = ""
    fallback: str = ""
    group: str = ""
    handlers: dict[str, str] = {}


def _whole(value: Any) -> int:
    n = int(str(value))
    if n < 0:
        raise ValueError
    return n


def _millis(value: Any) -> int:
    """Milliseconds from a number, or an ISO 8601 duration without months."""
    text = str(value)
    if text.startswith("P"):
        months, us = times.duration(text)
        if months or us < 0:
            raise ValueError
        return us // 1000
    n = float(text)
    if not 0 <= n < 1e15:
        raise ValueError
    return int(n)


def _seconds(value: Any) -> int:
    return _millis(value) if str(value).startswith("P") else _millis(float(str(value)) * 1000)


def _share(value: Any) -> float:
    if isinstance(value, bool) or str(value).lower() in ("true", "false"):
        return 0.5 if str(value).lower() == "true" else 0.0
    n = float(str(value))
    if not 0 <= n <= 1:
        raise ValueError
    return n


def _factor(value: Any) -> float:
    n = float(str(value))
    if not 1 <= n <= 1000:
        raise ValueError
    return n


def _strategy(value: Any) -> str:
    return STRATEGIES[str(value).lower()]


def _is_exponential(value: Any) -> str:
    return "exponential" if str(value).lower() == "true" else "fixed"


def _list(value: Any) -> list[str]:
    if isinstance(value, str):
        value = value.split(",")
    return [str(v).strip() for v in value if str(v).strip()]


def _ending(value: Any) -> str:
    if value not in ENDINGS:
        raise ValueError
    return str(value)


def _handlers(value: Any) -> dict[str, str]:
    """`{code: step}`, or `CODE=step,CODE2=step2`."""
    if isinstance(value, str):
        value = dict(part.split("=", 1) for part in value.split(",") if part.strip())
    return {str(k).strip(): str(v).strip() for k, v in value.items()}


_WORDS: list[tuple[str, str, Callable[[Any], Any], str]] = [
    ("max_attempts", "maxattempts attempts", lambda v: max(1, _whole(v)), "a whole number of 1 or more"),
    ("max_attempts", "maxretries retries retrycount retryattempts", lambda v: _whole(v) + 1, "a whole number of 0 or more"),
    ("initial_ms", "initialms initialdelayms baseintervalms intervalms retryintervalms delayms retrydelayms initial initialdelay delay interval retrydelay",
     _millis, "milliseconds or an ISO 8601 duration"),
    ("initial_ms", "delayseconds retrydelayseconds initialdelayseconds intervalseconds", _seconds, "seconds"),
    ("max_ms", "maxms maxdelayms maxintervalms maxbackoffms maxdelay maxinterval", _millis, "milliseconds or an ISO 8601 duration"),
    ("max_ms", "maxdelayseconds maxintervalseconds", _seconds, "seconds"),
    ("multiplier", "multiplier backoffmultiplier backofffactor", _factor, "a number from 1 to 1000"),
    ("jitter", "jitter", _share, "a share from 0 to 1, or true"),
    ("strategy", "strategy backoff backoffstrategy", _strategy, f"one of {', '.join(STRATEGIES)}"),
    ("strategy", "exponential exponentialbackoff", _is_exponential, "true or false"),
    ("codes", "codes errorcodes retryableerrorcodes retryablecodes conditions retryconditions retryon", _list, "a list of error codes"),
    ("never", "never nonretryablecodes nonretryableerrorcodes excludecodes", _list, "a list of error codes"),
    ("total_ms", "totalms totaltimems totaltime total maxelapsedms", _millis, "milliseconds or an ISO 8601 duration"),
    ("on_exhausted", "onexhausted", _ending, f"one of {', '.join(ENDINGS)}"),
    ("error_code", "errorcode", str, "an error code"),
    ("fallback", "fallback fallbackstep", str, "the id of an element"),
    ("group", "group manualgroup", str, "a group"),
    ("handlers", "handlers errorhandlers", _handlers, "pairs of error code and element id"),
]  # fmt: skip
#: word without case and separators -> (field, how to read it, what is expected)
ALIASES: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    alias: (field, read, expected) for field, aliases, read, expected in _WORDS for alias in aliases.split()
}


def normalise(raw: Any) -> tuple[Policy, list[str]]:
    """The policy, and what is wrong: unknown words, bad values, two words that disagree (C-12). The policy leaves out what is wrong."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        raw = {"max_retries": raw}
    if not isinstance(raw, dict):
        return Policy(), [f"expected a retry policy as an object, found {shown(raw)}"]
    found: dict[str, tuple[str, Any]] = {}
    problems: list[str] = []
    for word, value in raw.items():
        if value is None:
            continue
        known = ALIASES.get("".join(ch for ch in str(word).rsplit("}", 1)[-1].lower() if ch.isalnum()))
        if known is None:
            problems.append(f"'{word}' is no setting of a retry policy")
            continue
        field, read, expected = known
        try:
            made = read(value)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            problems.append(f"expected {expected} as '{word}', found {shown(value)}")
            continue
        if field in found and found[field][1] != made:
            problems.append(f"'{found[field][0]}' and '{word}' disagree: {found[field][1]} and {made}")
            continue
        found.setdefault(field, (str(word), made))
    policy = Policy(**{field: made for field, (_, made) in found.items()})
    if policy.fallback and "on_exhausted" not in found:
        policy.on_exhausted = "fallback"
    return policy, problems


def policy_of(task: Task) -> Policy | None:
    raw = (task.details or {}).get("retry")
    return normalise(raw)[0] if raw else None


def delay_ms(policy: Policy, attempt: int, key: int) -> int:
    """Before the attempt after number `attempt` (from 1): the strategy's series, capped, then spread by the hash of key and attempt."""
    cap = min(policy.max_ms or BACKOFF_MS_MAX, BACKOFF_MS_MAX)
    delay = min(SERIES[policy.strategy](policy, max(1, attempt), cap), cap)
    if policy.jitter and delay:
        digest = hashlib.blake2b(f"{key}/{attempt}".encode(), digest_size=8).digest()
        share = int.from_bytes(digest, "big") / 2**64
        delay = min(int(delay * (1 - policy.jitter + 2 * policy.jitter * share)), cap)
    return int(delay)


def _exponential(policy: Policy, attempt: int, cap: int) -> int:
    delay = float(policy.initial_ms)
    for _ in range(attempt - 1):  # no pow: the same on any machine, and it stops at the cap
        delay *= policy.multiplier
        if delay >= cap:
            return cap
    return int(delay)


def _fibonacci(policy: Policy, attempt: int, cap: int) -> int:
    a, b = 1, 1
    for _ in range(attempt - 1):
        a, b = b, a + b
        if a * policy.initial_ms >= cap:
            return cap
    return a * policy.initial_ms


SERIES: dict[str, Callable[[Policy, int, int], int]] = {
    "fixed": lambda policy, attempt, cap: policy.initial_ms,
    "linear": lambda policy, attempt, cap: policy.initial_ms * attempt,
    "exponential": _exponential,
    "fibonacci": _fibonacci,
}


def matches(code: str, patterns: list[str]) -> bool:
    return any(code == p or (p.endswith("*") and code.startswith(p[:-1])) for p in patterns)


def after_failure(task: Task, e: c.FailTask, now_us: int) -> tuple[int, int]:
    """(attempts left, back-off in ms). Without a policy as the worker says (Zeebe); with one the worker can only lower the attempts (C-32)."""
    left = task.retries - 1 if e.retries < 0 else e.retries
    details = e.details if isinstance(e.details, dict) else {}
    if details.get("retry_recommended") is False:
        return 0, 0
    policy = policy_of(task)
    if policy is None:
        return max(0, left), max(0, e.backoff_ms)
    left = min(left, task.retries - 1)
    if (policy.codes and not matches(e.code, policy.codes)) or matches(e.code, policy.never):
        return 0, 0
    backoff = e.backoff_ms if e.backoff_ms >= 0 else delay_ms(policy, task.attempt + 1, task.key)
    if policy.total_ms and (now_us - task.created_us) // 1000 + backoff > policy.total_ms:
        return 0, 0
    return max(0, left), backoff


def exhausted(d: Any, task: Task, e: c.FailTask) -> None:
    """No attempt is left: the next assignee in order, else what the policy says, else an incident."""
    from flowledger.kernel.tasks import assignment

    if assignment.move_on(d, task, "failed", e.message or e.code):
        return
    policy = policy_of(task) or Policy()
    if (step := policy.handlers.get(e.code)) is not None:
        policy.on_exhausted, policy.fallback = "fallback", step
    try:
        ENDING[policy.on_exhausted](d, task, e, policy)
    except Failure as failure:
        incident(d, task, failure)


def incident(d: Any, task: Task, failure: Failure) -> None:
    i = d.state.instances.get(task.instance)
    if i is not None and (states := d.process(i).states) is not None:
        try:
            business.failed(d, i, d.process(i).nodes[task.element], states)
        except Failure as refused:  # one task, one incident: the state stays, and the incident says so
            failure = Failure(failure.code, f"{failure.message}; {refused.code}: {refused.message}")
    d.record(
        wa.IncidentRaised(
            key=task.instance,
            incident=d.key(),
            token=task.token,
            element=task.element,
            code=failure.code,
            message=failure.message,
            task=task.key,
        )
    )


def _incident(d: Any, task: Task, e: c.FailTask, policy: Policy) -> None:
    raise Failure("JOB_NO_RETRIES", e.message or f"no retries left for '{task.job_type or task.element}'")


def _error(d: Any, task: Task, e: c.FailTask, policy: Policy) -> None:
    """A BPMN error: the policy's code, else the failure's own, so that boundary events are handlers by code."""
    i = d.state.instances.get(task.instance)
    code = policy.error_code or e.code
    if i is None or not code:
        _incident(d, task, e, policy)
        return
    HOOKS.throw_error(d, i, i.tokens[task.token], code, e.message, e.variables)


def _fallback(d: Any, task: Task, e: c.FailTask, policy: Policy) -> None:
    """The token goes to the fallback step, which must stand in the same scope."""
    i = d.state.instances.get(task.instance)
    node = d.process(i).nodes.get(policy.fallback) if i is not None else None
    here = d.process(i).nodes.get(task.element) if i is not None else None
    if node is None or here is None or node.scope is not here.scope:
        found = "no such element" if node is None else "one in another scope"
        raise Failure(
            "FALLBACK_NOT_FOUND",
            f"expected a fallback step '{policy.fallback}' beside {task.element}, found {found}; the failure: {e.message}",
        )
    token = i.tokens[task.token]
    d.close_holds(i, token)
    d.record(fl.FlowTaken(key=i.key, token=token.key, flow="", source=task.element, target=policy.fallback))
    d.push(i, token.key)


def _manual(d: Any, task: Task, e: c.FailTask, policy: Policy) -> None:
    """A person gets the task, with the error attached."""
    failure = {"code": e.code, "message": e.message, "attempts": task.attempt}
    details = {
        "job_type": "",
        "kind": "human",
        "error": failure,
        "assignee": None,
        **({"candidate_groups": [policy.group]} if policy.group else {}),
    }
    d.record(ta.TaskRetried(key=task.instance, task=task.key, retries=1))
    d.record(
        ta.TaskEscalated(
            key=task.instance, task=task.key, status="created", reason=f"no retries left: {e.message or e.code}", details=details
        )
    )


def _skip(d: Any, task: Task, e: c.FailTask, policy: Policy) -> None:
    d.record(
        ta.TaskSkipped(
            key=task.instance, task=task.key, token=task.token, element=task.element, reason=f"no retries left: {e.message or e.code}"
        )
    )
    if (i := d.state.instances.get(task.instance)) is not None:
        d.push(i, task.token)


ENDING: dict[str, Callable[[Any, Task, c.FailTask, Policy], None]] = {
    "incident": _incident, "error": _error, "fallback": _fallback, "manual": _manual, "skip": _skip,
}  # fmt: skip
