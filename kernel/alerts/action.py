"""What a rule of an alert does when it fires, so that it gets no worse until somebody looks: what fires is held for a time. Off unless it says otherwise. Pure.

The subject is that which fires (its process, element or job type), so a rule can't hold what it doesn't look at. Whether something is done is decided by
`refused` alone, live and when a rule is tried on the past.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from flowledger.kernel.model import trigger_fields as f
from flowledger.kernel.model.trigger_fields import Field, duration_us, problems

HOLD = "hold"
KINDS = (HOLD,)
#: scope -> by what of a rule its subject is told
SCOPES: Mapping[str, tuple[str, ...]] = {"definition": ("process",), "element": ("process", "element"), "job_type": ("job_type",)}
MODES, STARTS = ("pause", "suspend"), ("hold", "refuse")
PER_HOUR_MAX = 12
HOUR_US = 3_600_000_000
#: why nothing was done (a row of `AlertActed`)
OFTEN, STANDS, NOTHING = "most_per_hour", "stands", "nothing"

FIELDS: Mapping[str, Field] = {
    "kind": Field(f.one_of(*KINDS), True), "scope": Field(f.one_of(*SCOPES), True), "mode": Field(f.one_of(*MODES)), "starts": Field(f.one_of(*STARTS)),
    "for": Field(f.within("PT1M", "P1D"), True), "most_per_hour": Field(f.whole(1, PER_HOUR_MAX)), "enabled": Field(f.flag),
}  # fmt: skip


def wrong(value: Any) -> str:
    """What was expected of a rule's `action`; empty: it fits."""
    if not isinstance(value, dict):
        return "an object such as {kind: hold, scope: job_type, for: PT15M}"
    if found := problems(FIELDS, value):
        return f"{found[0][1]} (in {found[0][0]})"
    if "starts" in value and value["scope"] != "definition":
        return "starts only with the scope definition"
    return ""


def missing(value: Mapping[str, Any], told_by: Iterable[str]) -> str:
    """By what a rule's figures are not told, though its action is over that."""
    return next((by for by in SCOPES[value["scope"]] if by not in told_by), "")


class Action(NamedTuple):
    kind: str
    scope: str
    mode: str
    starts: str
    for_us: int
    most_per_hour: int
    enabled: bool


def read(rule: Mapping[str, Any]) -> Action | None:
    """Of a rule that was checked."""
    given = rule.get("action")
    if not isinstance(given, Mapping):
        return None
    return Action(
        kind=given["kind"], scope=given["scope"], mode=given.get("mode", "pause"), starts=given.get("starts", "hold"), for_us=duration_us(given["for"]),
        most_per_hour=given.get("most_per_hour", 1), enabled=given.get("enabled", False),
    )  # fmt: skip


def on(rule: Mapping[str, Any]) -> Action | None:
    """That which is switched on."""
    found = read(rule)
    return found if found is not None and found.enabled else None


def subject(action: Action, rule: Mapping[str, Any], group: Mapping[str, Any]) -> str:
    """What it is over: that of the group, else that which the rule filters by; empty: of this group there is none (a process as a whole has no element)."""
    parts = [str(group.get(by) or rule.get(by) or "") for by in SCOPES[action.scope]]
    return "/".join(parts) if all(parts) else ""


class Done(Protocol):
    """Something that was done: over what, when, until when; `over`: it was undone, as the alert was over."""

    @property
    def subject(self) -> str: ...
    @property
    def at_us(self) -> int: ...
    @property
    def until_us(self) -> int: ...
    @property
    def over(self) -> bool: ...


def stands(done: Done, now_us: int) -> bool:
    return not done.over and now_us < done.until_us


def counts(done: Done, now_us: int) -> bool:
    """It is remembered still: it stands, or is of the last hour."""
    return stands(done, now_us) or now_us - done.at_us < HOUR_US


def refused(action: Action, done: Sequence[Done], over: str, now_us: int) -> str:
    """Why nothing is done about `over`; empty: it is. What somebody has undone by hand is not done again before its time would have been over."""
    if not over:
        return NOTHING
    if any(d.subject == over and stands(d, now_us) for d in done):
        return STANDS
    return OFTEN if sum(1 for d in done if now_us - d.at_us < HOUR_US) >= action.most_per_hour else ""
