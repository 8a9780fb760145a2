"""Answers about alerts: rules, firings, and the figures that a rule is held against, now and in the past (docs/insight.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from flowledger.kernel.alerts import action as ac
from flowledger.kernel.alerts import rule as ar
from flowledger.kernel.nouns import AlertAct
from flowledger.projections import alert_figures as af
from flowledger.projections import filters as fi
from flowledger.projections import lists
from flowledger.projections import measures as me
from flowledger.projections.alert_figures import Point, moment
from flowledger.projections.reader import Reader, Row, Senseless, iso
from flowledger.projections.triggers import page_of

#: rows of the roll-ups that one rule reads at most, and groups that are looked at
ROWS_MAX, GROUPS_MAX = af.ROWS_MAX, af.GROUPS_MAX
#: firings that a trial tells
TRIAL_MAX = 500
#: what a figure's cases are, where it stands on some: of shares and times
_OF: dict[str, str] = {"success_rate": "ended", "error_rate": "attempts", "recovered_share": "errors", "working_share": "worked"}
_ENDS = ("completed", "failed", "cancelled", "terminated")
_OTHERS = {ar.KPI: af.of_kpi, ar.ANOMALIES: af.of_anomalies}
_SUMS = (*me.SUMMED, "moved")


async def list_alerts(r: Reader, tenant: str, given: Mapping[str, str], limit: str | int | None = None, cursor: str | None = None) -> Row:
    """The newest first; `name`: those of it, deleted ones too, else only those that are there."""
    w = fi.where(tenant, given, lists.ALERTS)
    if "name" not in given:
        w.add("status <> 'deleted'")
    return await page_of(r, "alerts", w, limit, cursor)


async def list_firings(r: Reader, tenant: str, given: Mapping[str, str], limit: str | int | None = None, cursor: str | None = None) -> Row:
    return await page_of(r, "alert_firings", fi.where(tenant, given, lists.ALERT_FIRINGS), limit, cursor)


async def now(r: Reader, tenant: str, name: str, rule: Mapping[str, Any], us: int) -> list[tuple[dict[str, Any], list[Point]]]:
    """Each group with its points of the last steps, as many as decide, the present one last. Raises: Senseless: too many groups or rows."""
    read = ar.read(name, rule)
    last = af.last_step(read, us)
    return await _points(r, tenant, read, last - (read.looks - 1) * read.step_us, last)


async def trial(r: Reader, tenant: str, given: Mapping[str, str], name: str, rule: Mapping[str, Any]) -> Row:
    """When the rule would have fired between `from` and `to`: held against the figures of each step, in order, as it is when it is looked at live."""
    read = ar.read(name, rule)
    start, end = me.span_of(given, datetime.now(UTC), timedelta(days=7))
    most = timedelta(days=366 if read.step_us == ar.HOUR_US and read.measure != ar.ANOMALIES else 31)
    if end - start > most:
        raise Senseless(f"from: expected at most {most.days} days for a rule that is looked at each {_step(read)}, found more")
    position = await r.position()
    until = _us(end)
    first = _us(start) // read.step_us * read.step_us
    last = (
        af.last_step(read, until - 1) if until % read.step_us or read.measure == ar.ANOMALIES else until
    )  # with the step that is under way
    series = await _points(r, tenant, read, first + read.step_us, last)
    items: list[Row] = []
    silent = 0
    for group, points in series:
        found, quiet = _turns(read, points, until)
        silent += quiet
        items += [{"group": group, **each} for each in found]
    items.sort(key=lambda i: (i["fired_at"], ar.key_of(i["group"])))
    acted = _act(rule, items)
    fired = Counter(ar.key_of(i["group"]) for i in items)
    return {
        "items": [{**i, "group": _told(i["group"])} for i in items[:TRIAL_MAX]], "fired": len(items), "silent": silent, "groups": len(fired),
        "acted": acted, "step_ms": read.step_us // 1000, "from": iso(start), "to": iso(end), "position": position,
    }  # fmt: skip


def _act(rule: Mapping[str, Any], items: Sequence[Row]) -> int:
    """What the rule's action would have done at each firing, in order, as it is decided at its home, switched on or not; how often it would have been."""
    action = ac.read(rule)
    if action is None:
        return 0
    done: list[tuple[AlertAct, int | None]] = []
    n = 0
    for item in items:
        now = _us(datetime.fromisoformat(item["fired_at"]))
        for act, over_us in done:
            act.over = over_us is not None and over_us <= now
        done = [each for each in done if ac.counts(each[0], now)]
        over, until = ac.subject(action, rule, item["group"]), now + action.for_us
        why = ac.refused(action, [act for act, _ in done], over, now)
        item["action"] = {"kind": action.kind, "scope": action.scope, "subject": over, "until_us": until, "hold": 0, "refused": why}
        if not why:
            n += 1
            ended = item["resolved_at"]
            done.append((AlertAct(subject=over, at_us=now, until_us=until), _us(datetime.fromisoformat(ended)) if ended else None))
    return n


def _told(group: Mapping[str, Any]) -> dict[str, str]:
    return {k: str(v) for k, v in group.items()}


def _step(rule: ar.Rule) -> str:
    return "hour" if rule.step_us == ar.HOUR_US else "minute"


def _turns(rule: ar.Rule, points: Sequence[Point], until: int) -> tuple[list[Row], int]:
    """(times that it fired, how often it was kept from it by a time of maintenance)."""
    found: list[Row] = []
    seen: list[bool | None] = []
    firing, silent, was_silent = False, 0, False
    for point in points:
        seen.append(ar.breach(rule, point.value, point.cases))
        del seen[: -rule.looks]
        turned = ar.turn(rule, seen, firing)
        if turned == firing:
            was_silent = was_silent and turned
            continue
        if turned and ar.at_rest(rule, point.us):
            silent += not was_silent
            was_silent = True
            continue
        firing, was_silent = turned, False
        at = iso(datetime.fromtimestamp(min(point.us, until) / 1_000_000, UTC))
        if firing:
            found.append({"fired_at": at, "resolved_at": None, "value": point.value, "cases": point.cases})
        else:
            found[-1]["resolved_at"] = at
    return found, silent


async def _points(r: Reader, tenant: str, rule: ar.Rule, first: int, last: int) -> list[tuple[dict[str, Any], list[Point]]]:
    """Of each group, at the ends of steps from `first` to `last` (µs, both included)."""
    if rule.measure in _OTHERS:
        return await _OTHERS[rule.measure](r, tenant, rule, first, last)
    step = rule.step_us
    begin = first - (rule.steps + 1) * step  # a window is whole steps, and the one under way beside
    grain = "hour" if step == ar.HOUR_US else "minute"
    start, end = moment(begin), moment(last)
    given = {"measure": rule.measure, "group": ",".join(rule.groups), "window": grain, "from": iso(start), "to": iso(end), **rule.filters}
    asked = me.read({k: v for k, v in given.items() if v}, end)
    found = await me.sums(r, tenant, asked, ROWS_MAX)
    spread = await me.spreads(r, tenant, asked) if rule.figure not in ("", "mean") else {}
    opened = await me.opened_before(r, tenant, asked) if rule.measure == "wip" else {}
    groups = sorted({key for key, _ in found} | {key for key, n in opened.items() if n}, key=str)
    if not asked.groups:
        groups = [()]
    if len(groups) > GROUPS_MAX:
        raise Senseless(f"group: expected at most {GROUPS_MAX} groups, found {len(groups)}: filter by process or element")
    rows: dict[tuple[Any, ...], dict[int, Row]] = {}
    for (key, at), row in found.items():
        rows.setdefault(key, {})[_us(at)] = row
    buckets: dict[tuple[Any, ...], dict[int, dict[int, int]]] = {}
    for (key, at, _), counts in spread.items():
        buckets.setdefault(key, {})[_us(at)] = counts
    out = []
    for key in groups:
        group = {g: str(v) if g == "definition" else v for g, v in zip(asked.groups, key, strict=True)}
        series = _Window(rule, rows.get(key, {}), buckets.get(key, {}), opened.get(key, 0))
        out.append((group, list(series.points(begin, first, last))))
    return out


def _us(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000


class _Window:
    """Sums over a window that slides step by step: what comes in is added, what goes out is taken away."""

    def __init__(self, rule: ar.Rule, rows: dict[int, Row], buckets: dict[int, dict[int, int]], opened: int) -> None:
        self.rule, self.rows, self.buckets, self.wip = rule, rows, buckets, opened
        self.sums: dict[str, int] = dict.fromkeys(_SUMS, 0)
        self.spread: Counter[int] = Counter()

    def points(self, begin: int, first: int, last: int) -> Iterator[Point]:
        step, length = self.rule.step_us, (self.rule.steps + 1) * self.rule.step_us
        for at in range(begin, last, step):
            self._count(at, 1)
            self._count(at - length, -1)
            if at + step >= first:
                yield self._point(at + step)

    def _count(self, at: int, sign: int) -> None:
        row = self.rows.get(at)
        if row is not None:
            for name in _SUMS:
                self.sums[name] += sign * row[name]
            if sign > 0:
                self.wip += row["started"] + row["moved"] - sum(row[n] for n in _ENDS)
        for bucket, n in self.buckets.get(at, {}).items():
            self.spread[bucket] += sign * n
            if not self.spread[bucket]:
                del self.spread[bucket]

    def _point(self, us: int) -> Point:
        rule, row = self.rule, {**self.sums, "cycle_min_us": None, "cycle_max_us": None}
        if rule.measure in me.TIMES:
            told = me.time_of(row, rule.measure, dict(self.spread))
            return Point(us, told[f"{rule.figure}_ms"], told["count"])
        value = me.VALUES[rule.measure](row, rule.window_us / 1_000_000, self.wip)
        of = _OF.get(rule.measure)
        cases = None if of is None else sum(row[n] or 0 for n in _ENDS) if of == "ended" else row[of]
        return Point(us, None if value is None else float(value), cases)
