"""Alerts at their home: rules made, changed, silenced; looked at by one; what fires and what is over."""

from __future__ import annotations

from typing import Any

from flowledger.events import alerts as al
from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import limits, values
from flowledger.kernel.access import ANY_TENANT
from flowledger.kernel.access.rights import may
from flowledger.kernel.alerts import action as ac
from flowledger.kernel.alerts import rule as ar
from flowledger.kernel.decision import Decision
from flowledger.kernel.folds.alerts import WATCH
from flowledger.kernel.handlers import holds
from flowledger.kernel.nouns import Alert, AlertAct, AlertWatch

TTL_MS = (1_000, 600_000)
LIST_MAX, TEXT_MAX, KEY_CHARS_MAX = 100, 500, 2_000


def _invalid(text: str) -> Rejected:
    return Rejected(RejectionCode.INVALID_ARGUMENT, text)


def _find(d: Decision, name: str) -> Alert | Rejected:
    """By the caller's tenant."""
    a = d.state.alerts.get(d.state.alert_names.get((d.asked.tenant, name), 0))
    return a if a is not None else Rejected(RejectionCode.NOT_FOUND, f"expected an alert named '{name[:200]}', found none")


def put(d: Decision, e: al.PutAlert) -> Rejected | None:
    p = d.state
    if wrong := ar.problem(e.name, e.rule):
        return _invalid(wrong)
    a = _find(d, e.name)
    created = isinstance(a, Rejected)
    if isinstance(a, Rejected):
        if len(p.alerts) >= limits.ALERTS_MAX:
            return Rejected(RejectionCode.RESOURCE_EXHAUSTED, f"expected at most {limits.ALERTS_MAX} alerts on a partition")
        key, changed = d.key(), True
    else:
        key, changed = a.key, a.rule != e.rule
    if changed:
        if not isinstance(a, Rejected) and not e.rule.get("enabled", True):
            _over(d, a, "off")
        if not isinstance(a, Rejected) and ac.on(e.rule) is None:
            _undo(d, a, {act.number for act in a.acts}, "its action is off")
        d.record(al.AlertPut(alert=key, name=e.name, rule=e.rule, created=created))
    d.answer = {"key": key, "name": e.name, "created": created, "changed": changed}
    return None


def delete(d: Decision, e: al.DeleteAlert) -> Rejected | None:
    a = _find(d, e.name)
    if isinstance(a, Rejected):
        return a
    _over(d, a, "deleted")
    d.record(al.AlertDeleted(alert=a.key, name=a.name, reason=e.reason))
    d.answer = {"key": a.key}
    return None


def _over(d: Decision, a: Alert, why: str) -> None:
    """Whatever fires for it."""
    gone = [_row(a, key, None) for key in a.firing]
    if gone:
        _resolve(d, a, ar.read(a.name, a.rule), gone, d.facts.now_us, why)


def silence(d: Decision, e: al.SilenceAlert) -> Rejected | None:
    a = _find(d, e.name)
    if isinstance(a, Rejected):
        return a
    now = d.facts.now_us
    if e.until_us and not now < e.until_us <= now + limits.ALERT_SILENCE_DAYS_MAX * ar.DAY_US:
        return _invalid(f"until: expected a time to come, within {limits.ALERT_SILENCE_DAYS_MAX} days")
    if e.until_us != a.silenced_us:
        d.record(al.AlertSilenced(alert=a.key, name=a.name, until_us=e.until_us, reason=e.reason))
    d.answer = {"key": a.key}
    return None


# --- who looks --------------------------------------------------------------------------------------------------------------


def claim(d: Decision, e: al.ClaimAlerts) -> Rejected | None:
    p, now = d.state, d.facts.now_us
    everybody = d.request is not None and may(d.request, ANY_TENANT)
    if not everybody:
        return Rejected(RejectionCode.FORBIDDEN, "only the engine looks at the alerts of all tenants")
    w = p.alert_watch.get(WATCH) or AlertWatch(key=WATCH)
    if e.watch and e.watch != w.watch:
        return Rejected(RejectionCode.STALE, f"the alerts of this partition are looked at by number {w.watch}, found {e.watch}")
    if not p.alert_names and not e.watch:
        d.answer = {"watch": 0, "until_us": 0, "items": [], "more": []}
        return None
    if e.ttl_ms and not TTL_MS[0] <= e.ttl_ms <= TTL_MS[1]:
        return _invalid(f"ttl_ms: expected {TTL_MS[0]} to {TTL_MS[1]}, found {e.ttl_ms}")
    if not e.watch and w.until_us > now:
        return Rejected(
            RejectionCode.UNAVAILABLE, f"the alerts of this partition are looked at by {w.node}", max(1, (w.until_us - now) // 1000)
        )
    until = now + e.ttl_ms * 1000 if e.ttl_ms else 0
    number = e.watch or w.watch + 1
    if not until or not e.watch or w.until_us - now < e.ttl_ms * 500:  # extended when half of it is over, so that the log isn't full of it
        d.record(al.AlertsClaimed(watch=number, node=values.clean(e.node, TEXT_MAX), until_us=until))
    else:
        until = w.until_us
    after = (e.after[0], e.after[1]) if len(e.after) == 2 else ("", "")
    names = sorted(n for n in p.alert_names if n > after)
    items = []
    for name in names[:LIST_MAX]:
        a = p.alerts[p.alert_names[name]]
        items.append({
            "tenant": a.tenant, "name": a.name, "alert": a.key, "rule": a.rule, "revision": a.revision, "silenced_us": a.silenced_us,
            "firing": {key: f.group for key, f in a.firing.items()}, "error": a.error,
        })  # fmt: skip
    d.answer = {"watch": number, "until_us": until, "items": items, "more": list(names[LIST_MAX - 1]) if len(names) > LIST_MAX else []}
    return None


def report(d: Decision, e: al.ReportAlert) -> Rejected | None:
    a = _find(d, e.name)
    if isinstance(a, Rejected):
        return a
    watch = d.state.alert_watch.get(WATCH)
    if watch is None or watch.watch != e.watch:
        return Rejected(RejectionCode.STALE, f"alert '{a.name}' is looked at by another than number {e.watch}")
    if e.revision != a.revision:
        return Rejected(RejectionCode.STALE, f"alert '{a.name}' is another rule by now")
    if len(e.seen) > al.SEEN_MAX or any(len(s.key) > KEY_CHARS_MAX for s in e.seen):
        return _invalid(f"seen: expected at most {al.SEEN_MAX} groups, each of at most {KEY_CHARS_MAX} characters")
    if (error := values.clean(e.error, TEXT_MAX)) != a.error:
        d.record(al.AlertNoted(alert=a.key, error=error))
    rule = ar.read(a.name, a.rule)
    fired: list[dict[str, Any]] = []
    over: list[dict[str, Any]] = []
    silent = 0
    quiet = a.silenced_us > d.facts.now_us or ar.at_rest(rule, d.facts.now_us)
    for s in e.seen:
        if s.firing == (s.key in a.firing):
            continue
        if not s.firing:
            over.append(_row(a, s.key, s.value))
        elif quiet or len(a.firing) + len(fired) >= limits.ALERT_FIRING_MAX:
            silent += 1
        else:
            fired.append({"key": s.key, "group": s.group, "value": s.value, "cases": s.cases})
    if over:
        _resolve(d, a, rule, over, e.at_us, "")
    if fired:
        d.batch(len(fired))
        d.record(al.AlertFired(
            alert=a.key, name=a.name, title=rule.title, severity=rule.severity, process=rule.process, measure=rule.measure,
            limit=a.rule.get("above", a.rule.get("below")), first=a.count + 1, groups=fired, at_us=e.at_us,
        ))  # fmt: skip
        _act(d, a, fired)
    d.answer = {"fired": len(fired), "resolved": len(over), "silent": silent}
    return None


def _row(a: Alert, key: str, value: float | None) -> dict[str, Any]:
    f = a.firing[key]
    return {"key": key, "group": f.group, "value": value, "number": f.number, "since_us": f.since_us}


def _resolve(d: Decision, a: Alert, rule: ar.Rule, rows: list[dict[str, Any]], at_us: int, why: str) -> None:
    d.batch(len(rows))
    _undo(d, a, {int(row["number"]) for row in rows}, f"alert {a.name} is over")
    d.record(al.AlertResolved(
        alert=a.key, name=a.name, title=rule.title, severity=rule.severity, process=rule.process, measure=rule.measure, groups=rows, at_us=at_us, why=why,
    ))  # fmt: skip


# --- what is done when it fires (`kernel/alerts/action.py`): asked for here, done at the first partition, where holds over many are placed -----------------


def _act(d: Decision, a: Alert, fired: list[dict[str, Any]]) -> None:
    action = ac.on(a.rule)
    if action is None:
        return
    now, rows = d.facts.now_us, []
    done: list[AlertAct] = list(a.acts)
    for row in fired:
        number, over = a.firing[row["key"]].number, ac.subject(action, a.rule, row["group"])
        why = ac.refused(action, done, over, now)
        rows.append({"number": number, "key": row["key"], "subject": over, "until_us": now + action.for_us, "hold": 0, "refused": why})
        if not why:
            done.append(AlertAct(number=number, subject=over, at_us=now, until_us=now + action.for_us))
    d.record(al.AlertActed(alert=a.key, name=a.name, kind=action.kind, scope=action.scope, mode=action.mode, rows=rows, at_us=now))
    for row in rows:
        if not row["refused"]:
            d.send(0, al.ActOnAlert(
                alert=a.key, number=row["number"], tenant=a.tenant, scope=action.scope, subject=row["subject"], mode=action.mode, starts=action.starts,
                until_us=row["until_us"], reason=f"alert {a.name}, firing {row['number']}",
            ))  # fmt: skip


def _undo(d: Decision, a: Alert, numbers: set[int], reason: str) -> None:
    """Of which the hold isn't known yet: see `told`."""
    for act in a.acts:
        if act.number in numbers and act.hold and ac.stands(act, d.facts.now_us):
            d.send(0, al.EndAlertAct(hold=act.hold, tenant=a.tenant, reason=reason))


def act(d: Decision, e: al.ActOnAlert) -> Rejected | None:
    """At the first partition."""
    placed = holds.place(
        d,
        c.PlaceHold(
            scope=e.scope, subject=e.subject, mode=e.mode, starts=e.starts, until_us=e.until_us, reason=values.clean(e.reason, 500)
        ),
    )
    hold, refused = (0, placed.message) if placed is not None else (int(d.answer["key"]), "")
    d.send(
        c.partition_of_key(e.alert), al.TellAlertAct(alert=e.alert, number=e.number, tenant=e.tenant, hold=hold, refused=refused[:TEXT_MAX])
    )
    return None


def told(d: Decision, e: al.TellAlertAct) -> Rejected | None:
    """At the alert's home, which may be over by now, or deleted."""
    a = d.state.alerts.get(e.alert)
    known = next((each for each in a.acts if each.number == e.number), None) if a is not None else None
    if a is None or known is None or known.over:
        if e.hold:
            d.send(0, al.EndAlertAct(hold=e.hold, tenant=e.tenant, reason="its alert is over"))
        if a is None or known is None:
            return None
    action = ac.read(a.rule)
    row = {"number": e.number, "key": "", "subject": known.subject, "until_us": known.until_us, "hold": e.hold, "refused": e.refused}
    d.record(al.AlertActed(
        alert=a.key, name=a.name, kind=ac.HOLD, scope=action.scope if action is not None else "", rows=[row], at_us=d.facts.now_us,
    ))  # fmt: skip
    return None


def end(d: Decision, e: al.EndAlertAct) -> Rejected | None:
    """At the first partition. Whoever has released it by hand, or its time, may have been first."""
    h = d.state.holds.get(e.hold)
    if h is not None and not h.upto:
        holds.release(d, c.ReleaseHold(key=e.hold, reason=values.clean(e.reason, TEXT_MAX)))
    return None
