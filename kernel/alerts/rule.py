"""A rule of an alert: its fields, when it is quiet, and when it fires and is over by what was seen at its steps. Pure.

The same `turn` decides live and when a rule is tried on the past, so that a trial says what would have been.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from flowledger.kernel import cron, limits
from flowledger.kernel.alerts import action as ac
from flowledger.kernel.model import trigger_fields as f
from flowledger.kernel.model.trigger_fields import Field, duration_us, problems

SEVERITIES = ("info", "warning", "critical")
#: measures that are a number as they are; `docs/insight.md` says of what
NUMBERS = (
    "started", "completed", "failed", "cancelled", "terminated", "ended", "throughput", "wip", "success_rate", "working_share", "attempts", "retries",
    "errors", "error_rate", "recovered_share", "incidents", "reworked",
)  # fmt: skip
#: those that are times: a figure of them is looked at
TIMES = ("cycle_time", "waiting_time", "working_time")
#: how far the rows of the projections are behind the log, in seconds: of the server, of no process
LAG = "lag"
#: a figure of one's own (`kernel/kpis.py`), and what is unlike before (`analytics/anomalies.py`), counted
KPI, ANOMALIES = "kpi", "anomalies"
MEASURES = (*NUMBERS, *TIMES, LAG, KPI, ANOMALIES)
FIGURES = ("mean", "p50", "p75", "p90", "p95", "p99")
KPI_FIGURES = ("mean", "total", "count", "kept_share", "broken")
#: of a KPI, those that are an amount: a time where the KPI is of times
AMOUNTS = ("mean", "total")
#: of anomalies: of hours, and of cases (`analytics/odd.py`)
OF_HOURS, OF_CASES = ("volume", "duration"), ("path", "skipped", "value")
KINDS = (*OF_HOURS, *OF_CASES)
GROUPS = ("process", "version", "element", "job_type", "value")
#: by what the figures of a measure are told apart, and what they are filtered by; of the others: `_OF_ROLLUPS`
_OF_ROLLUPS = frozenset({"process", "version", "element", "job_type"})
_TOLD_BY = {KPI: frozenset({"process", "version", "element", "value"}), ANOMALIES: frozenset({"process", "element"}), LAG: frozenset[str]()}
NO_DATA = ("ok", "keep", "fire")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NAME_CHARS_MAX = 200
MINUTE_US, HOUR_US, DAY_US = 60_000_000, 3_600_000_000, 86_400_000_000
#: a window up to this long is looked at each minute, a longer one each hour
BY_MINUTE_MAX_US = DAY_US
_TEXT = r"[^\x00-\x1f\x7f]+"


def _clock(value: Any) -> str:
    return "" if _minutes(value) >= 0 else "a time of the day such as 22:00, up to 24:00"


def _minutes(value: Any) -> int:
    """Of the day; -1: it is none."""
    if (
        not isinstance(value, str)
        or len(value) != 5
        or value[2] != ":"
        or not (value[:2] + value[3:]).isascii()
        or not (value[:2] + value[3:]).isdecimal()
    ):
        return -1
    hours, minutes = int(value[:2]), int(value[3:])
    return hours * 60 + minutes if minutes < 60 and hours * 60 + minutes <= 24 * 60 else -1


_TIMES_OF_REST: Mapping[str, Field] = {
    "days": Field(f.several(f.one_of(*DAYS), 7)), "from": Field(_clock, True), "to": Field(_clock, True), "zone": Field(f.zone),
}  # fmt: skip


def _maintenance(value: Any) -> str:
    if not isinstance(value, list) or not 1 <= len(value) <= limits.ALERT_MAINTENANCE_MAX:
        return f"1 to {limits.ALERT_MAINTENANCE_MAX} times, such as [{{days: [sunday], from: '22:00', to: '06:00', zone: Europe/Berlin}}]"
    for n, each in enumerate(value):
        if not isinstance(each, dict):
            return f"an object at {n}"
        if found := problems(_TIMES_OF_REST, each):
            return f"{found[0][1]} (in {n}.{found[0][0]})"
        if each["from"] == each["to"]:
            return f"a time that lasts (in {n})"
    return ""


def _limit(value: Any) -> str:
    if type(value) in (int, float, Decimal) and abs(value) < 1e15:
        return ""
    return f.within("PT0S", "P3660D")(value) and "a number, or a duration such as PT2H"


FIELDS: Mapping[str, Field] = {
    "measure": Field(f.one_of(*MEASURES), True), "figure": Field(f.one_of(*dict.fromkeys((*FIGURES, *KPI_FIGURES)))),
    "kpi": Field(f.text(r"[^/\x00-\x1f\x7f]+", "the name of a KPI", 100)), "kinds": Field(f.several(f.one_of(*KINDS), len(KINDS))),
    "process": Field(f.text(_TEXT, "the id of a process", 255)), "version": Field(f.whole(0, (1 << 31) - 1)),
    "element": Field(f.text(_TEXT, "the id of an element", 255)), "job_type": Field(f.text(_TEXT, "a job type", 255)),
    "value": Field(f.text(_TEXT, "a value that the KPI is told by", 255)),
    "group": Field(f.several(f.one_of(*GROUPS), len(GROUPS))),
    "above": Field(_limit), "below": Field(_limit),
    "window": Field(f.within("PT1M", "P31D")), "for": Field(f.within("PT0S", "P7D")), "keep": Field(f.within("PT0S", "P7D")),
    "least": Field(f.whole(0, 1_000_000_000)), "no_data": Field(f.one_of(*NO_DATA)),
    "severity": Field(f.one_of(*SEVERITIES)), "title": Field(f.text(_TEXT, "a line of text", 255)),
    "description": Field(f.text(r"[^\x00]*", "a text", 2_000)), "maintenance": Field(_maintenance), "enabled": Field(f.flag), "action": Field(ac.wrong),
}  # fmt: skip


def problem(name: str, rule: Any) -> str:
    """What is wrong with it; empty: nothing."""
    if not 1 <= len(name) <= NAME_CHARS_MAX or "/" in name or any(ch < " " or ch == "\x7f" for ch in name):
        return f"name: expected 1 to {NAME_CHARS_MAX} characters without a slash"
    if not isinstance(rule, dict):
        return "rule: expected an object"
    if found := problems(FIELDS, rule):
        return f"{found[0][0]}: expected {found[0][1]}"
    measure = rule["measure"]
    if ("above" in rule) == ("below" in rule):
        return "above, below: expected one of them"
    if isinstance(rule.get("above", rule.get("below")), str) and not _may_be_a_time(rule):
        return f"{'above' if 'above' in rule else 'below'}: expected a number, as {_told(rule)} is no time"
    figures = {KPI: KPI_FIGURES, **dict.fromkeys(TIMES, FIGURES)}.get(measure, ())
    if "figure" in rule and rule["figure"] not in figures:
        return (
            f"figure: expected {', '.join(figures)}, as it is of {measure}"
            if figures
            else f"figure: it is of times ({', '.join(TIMES)}) and KPIs, not of {measure}"
        )
    of_what = [k for k in ("process", "version", "element", "job_type", "value", "group", "window", "least", "no_data") if k in rule]
    if measure == LAG and of_what:
        return f"{of_what[0]}: lag is of the server as a whole"
    for own, of in (("kpi", KPI), ("kinds", ANOMALIES)):
        if own in rule and measure != of:
            return f"{own}: it is of measure {of}, found {measure}"
    if measure == KPI and "kpi" not in rule:
        return "kpi: expected the name of the KPI"
    if measure == ANOMALIES and "process" not in rule:
        return "process: expected it, as anomalies are those of a process"
    if (
        measure == ANOMALIES
        and duration_us(rule.get("window", "PT1H")) < HOUR_US
        and {*(_several(rule.get("kinds")) or KINDS)} & {*OF_HOURS}
    ):
        return f"window: expected an hour or more, as {' and '.join(OF_HOURS)} are anomalies of hours"
    if measure == ANOMALIES and {"least", "no_data"} & {*rule}:
        return "least, no_data: anomalies are counted, so there always is a figure"
    told_by = _TOLD_BY.get(measure, _OF_ROLLUPS)
    for by in dict.fromkeys([*(k for k in rule if k in GROUPS), *_several(rule.get("group"))]):
        if by not in told_by:
            return f"{by if by in rule else 'group'}: {measure} isn't told by {by}: expected {', '.join(g for g in GROUPS if g in told_by)}"
    if "version" in rule and "process" not in rule:
        return "version: it is that of a process: expected process beside it"
    if measure in ("incidents", "reworked", "recovered_share") and {"job_type"} & {*rule, *_several(rule.get("group"))}:
        return f"job_type: {measure} isn't counted by it"
    if "action" in rule and (by := ac.missing(rule["action"], {*rule, *_several(rule.get("group"))})):
        return f"action: its scope is {rule['action']['scope']}: expected {by}, or a group by it"
    return ""


def _may_be_a_time(rule: Mapping[str, Any]) -> bool:
    return rule["measure"] in (*TIMES, LAG) or (rule["measure"] == KPI and rule.get("figure", "mean") in AMOUNTS)


def _told(rule: Mapping[str, Any]) -> str:
    return f"{rule['figure']} of a KPI" if rule["measure"] == KPI else str(rule["measure"])


def _several(value: Any) -> list[str]:
    return [] if value is None else value if isinstance(value, list) else [value]


class Rule(NamedTuple):
    """As it was checked by `problem`. Times in microseconds; `limit` in the measure's own unit: milliseconds of times, seconds of lag; `timed`: it was given as
    a duration. `kpi`, `kinds`: of measures `kpi` and `anomalies`."""

    measure: str
    figure: str
    kpi: str
    kinds: tuple[str, ...]
    timed: bool
    process: str
    filters: dict[str, str]
    groups: tuple[str, ...]
    above: bool
    limit: float
    window_us: int
    for_us: int
    keep_us: int
    least: int
    no_data: str
    severity: str
    title: str
    maintenance: list[dict[str, Any]]
    enabled: bool

    @property
    def step_us(self) -> int:
        """Between two looks at the past: of how times are spread is known by hour."""
        by_hour = {*self.kinds} & {*OF_HOURS} if self.measure == ANOMALIES else self.measure in TIMES and self.figure != "mean"
        return HOUR_US if by_hour or self.window_us > BY_MINUTE_MAX_US else MINUTE_US

    @property
    def steps(self) -> int:
        """Of a window, whole ones; the one that is under way counts beside."""
        return -(-self.window_us // self.step_us)

    @property
    def looks(self) -> int:
        """How many steps, up to the present, decide."""
        return max(-(-us // self.step_us) for us in (self.for_us, self.keep_us)) + 1


def read(name: str, rule: Mapping[str, Any]) -> Rule:
    given, measure = rule.get("above", rule.get("below")), rule["measure"]
    unit = 1_000_000 if measure == LAG else 1_000
    limit = duration_us(given) / unit if isinstance(given, str) else float(given or 0)
    if measure in TIMES and not isinstance(given, str):
        limit *= 1_000  # a plain number of a time is seconds, as that of lag
    return Rule(
        measure=measure,
        figure=rule.get("figure", "mean") if measure in (*TIMES, KPI) else "",
        kpi=rule.get("kpi", ""),
        kinds=tuple(k for k in KINDS if k in (_several(rule.get("kinds")) or KINDS)),
        timed=isinstance(given, str),
        process=rule.get("process", ""),
        filters={k: str(rule[k]) for k in GROUPS if k in rule},
        groups=tuple(g for g in GROUPS if g in _several(rule.get("group"))),
        above="above" in rule,
        limit=limit,
        window_us=duration_us(rule.get("window", "PT1H")),
        for_us=duration_us(rule.get("for", "PT0S")),
        keep_us=duration_us(rule.get("keep", "PT0S")),
        least=rule.get("least", 0),
        no_data=rule.get("no_data", "ok"),
        severity=rule.get("severity", "warning"),
        title=rule.get("title") or name,
        maintenance=rule.get("maintenance") or [],
        enabled=rule.get("enabled", True),
    )


def key_of(group: Mapping[str, Any]) -> str:
    """One text for a group's values, in the order in which they come."""
    return "\x1f".join(f"{k}={v}" for k, v in group.items())


def breach(rule: Rule, value: float | None, cases: int | None) -> bool | None:
    """Whether a figure is beyond the limit; None: nobody knows, so it stays as it is. `cases`: on how many it stands; None: it is a count itself."""
    if value is None or (cases is not None and cases < rule.least):
        return {"ok": False, "fire": True, "keep": None}[rule.no_data]
    return value > rule.limit if rule.above else value < rule.limit


def turn(rule: Rule, seen: Sequence[bool | None], firing: bool) -> bool:
    """Whether it fires now; `seen`: what `breach` said at each step, the present one last."""
    back = -(-(rule.keep_us if firing else rule.for_us) // rule.step_us) + 1
    last = seen[-back:]
    if len(last) < back or any(each is not (not firing) for each in last):
        return firing
    return not firing


def at_rest(rule: Rule, us: int) -> bool:
    """Whether this moment is in a time of maintenance."""
    return any(_rests(each, us) for each in rule.maintenance)


def _rests(times: Mapping[str, Any], us: int) -> bool:
    local = (datetime.fromtimestamp(us // 1_000_000, UTC)).astimezone(cron.zone(times.get("zone", "UTC")))
    begin, end, now = _minutes(times["from"]), _minutes(times["to"]), local.hour * 60 + local.minute
    days = _several(times.get("days")) or DAYS
    today, before = DAYS[local.weekday()], DAYS[(local - timedelta(days=1)).weekday()]
    if begin < end:
        return today in days and begin <= now < end
    return (today in days and now >= begin) or (before in days and now < end)  # over midnight: it is of the day on which it begins
