"""Alerts: rules on figures, and when each fired and was over (docs/decisions/0014, docs/insight.md). These events stand on the rule's home."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.events.base import Command, Event, Json


class AlertPut(Event, frozen=True):
    """Rule `name` is made, or is another one from now on. `rule`: its fields, as `kernel/alerts/rule.py` has them."""

    alert: int
    name: str
    rule: Json = None
    created: bool = False


class AlertDeleted(Event, frozen=True):
    """What fired for it is over with it."""

    alert: int
    name: str = ""
    reason: str = ""


class AlertSilenced(Event, frozen=True):
    """Nothing fires anew for it until `until_us`; 0: it may again."""

    alert: int
    name: str = ""
    until_us: int = 0
    reason: str = ""


class AlertFired(Event, frozen=True):
    """One or several groups that its figure exceeds (or falls below) by now, together: `groups`: `{key, group, value, cases}`, the first of them with number
    `first`; `limit` is what they were held against. `at_us`: the moment of the figures."""

    alert: int
    name: str = ""
    title: str = ""
    severity: str = ""
    process: str = ""
    measure: str = ""
    limit: Json = None
    first: int = 0
    groups: Json = None
    at_us: int = 0


class AlertResolved(Event, frozen=True):
    """They hold again: `groups`: `{key, group, value, number, since_us}`. `why`: empty: the figures say so; `deleted`, `off`: the rule is no more."""

    alert: int
    name: str = ""
    title: str = ""
    severity: str = ""
    process: str = ""
    measure: str = ""
    groups: Json = None
    at_us: int = 0
    why: str = ""


class AlertActed(Event, frozen=True):
    """What its rule does when it fires: `rows` of `{number, key, subject, until_us, hold, refused}`, for firing `number`. `hold` 0 without `refused`: it was asked for;
    a second event tells the hold, or why there is none. `refused`: `most_per_hour`, `stands` (what an earlier firing did, stands over it), `nothing` (the
    group names none), else in words."""

    alert: int
    name: str = ""
    kind: str = ""
    scope: str = ""
    mode: str = ""
    rows: Json = None
    at_us: int = 0


class AlertNoted(Event, frozen=True):
    """What keeps its figures from being looked at; empty: nothing."""

    alert: int
    error: str = ""


class AlertsClaimed(Event, frozen=True):
    """Number `watch`, on `node`, looks at the rules of this partition until `until_us` (0: it has given them back)."""

    watch: int
    node: str = ""
    until_us: int = 0


# --- commands ---------------------------------------------------------------------------------------------------------------


class PutAlert(Command, frozen=True):
    """Answer: `{key, name, created, changed}`."""

    name: str
    rule: Json = None
    reason: str = ""


class DeleteAlert(Command, frozen=True):
    """Answer: `{key}`."""

    name: str
    reason: str = ""


class SilenceAlert(Command, frozen=True):
    """`until_us` 0: no longer. Answer: `{key}`."""

    name: str
    until_us: int = 0
    reason: str = ""


class ClaimAlerts(Command, frozen=True):
    """To look at the rules of a partition, by name behind `after` (`[tenant, name]`). `watch`: the number that one has (0: none yet); `ttl_ms` 0 gives
    them back.

    Answer: `{watch, until_us, items: [{tenant, name, alert, rule, revision, silenced_us, firing, error}], more}`; without any rule nothing is claimed (`watch`
    0). UNAVAILABLE while another looks, STALE for a number of before."""

    node: str
    watch: int = 0
    ttl_ms: int = 60_000
    after: list[str] = []


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """A group of a rule as it is by now: `firing` or not, with the figure that says so. `key`: the group's values, as one text."""

    key: str
    firing: bool
    group: dict[str, Any] = {}
    value: float | None = None
    cases: int = 0


#: groups of one report
SEEN_MAX = 500


class ReportAlert(Command, frozen=True):
    """What was seen of a rule; a group that fires already doesn't fire again. `error`: see `AlertNoted`; then nothing is known of its groups.

    Answer: `{fired, resolved, silent}`: how many; `silent`: would have fired."""

    name: str
    watch: int
    revision: int
    seen: list[Seen] = []
    at_us: int = 0
    error: str = ""


# --- between partitions -----------------------------------------------------------------------------------------------------


class ActOnAlert(Command, frozen=True):
    """The home of an alert asks the first partition for a hold, for firing `number`: see `PlaceHold`."""

    alert: int
    number: int
    tenant: str
    scope: str
    subject: str
    mode: str
    starts: str
    until_us: int
    reason: str


class TellAlertAct(Command, frozen=True):
    """The answer: the hold, or why there is none."""

    alert: int
    number: int
    tenant: str
    hold: int = 0
    refused: str = ""


class EndAlertAct(Command, frozen=True):
    """The alert is over: what stands still of what was done for it is released."""

    hold: int
    tenant: str
    reason: str = ""


#: one of them; the union of all commands has these beside its own
AnyAlert = PutAlert | DeleteAlert | SilenceAlert | ClaimAlerts | ReportAlert | ActOnAlert | TellAlertAct | EndAlertAct


def groups(told: Json) -> list[dict[str, Any]]:
    """Of `AlertFired`, `AlertResolved` and `AlertActed`."""
    return [row for row in told if isinstance(row, dict) and "key" in row] if isinstance(told, list) else []
