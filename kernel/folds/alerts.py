"""Folds of alerts, at their home."""

from __future__ import annotations

from msgspec.structs import replace

from flowledger.events import alerts as al
from flowledger.events.base import Envelope
from flowledger.kernel.alerts import action as ac
from flowledger.kernel.folds.tokens import seen_key
from flowledger.kernel.nouns import Alert, AlertAct, AlertWatch, Firing
from flowledger.kernel.state import Partition
from flowledger.kernel.undo import drop, keep, put

#: the one watch of a partition
WATCH = 0


def _of(p: Partition, key: int) -> Alert | None:
    """It is about to change."""
    a = p.alerts.get(key)
    if a is not None:
        keep(p, a)
        p.changed.add(("alert", key))
    return a


def put_(p: Partition, e: al.AlertPut, v: Envelope) -> None:
    seen_key(p, e.alert)
    a = _of(p, e.alert)
    if a is None:
        a = Alert(key=e.alert, tenant=v.tenant, name=e.name)
        put(p, p.alerts, e.alert, a)
        put(p, p.alert_names, (v.tenant, e.name), e.alert)
        p.changed.add(("alert", e.alert))
    a.rule = e.rule if isinstance(e.rule, dict) else {}
    a.revision += 1
    if ac.on(a.rule) is None:
        _over(a, {act.number for act in a.acts})


def deleted(p: Partition, e: al.AlertDeleted, v: Envelope) -> None:
    if (a := _of(p, e.alert)) is not None:
        drop(p, p.alert_names, (a.tenant, a.name))
        drop(p, p.alerts, e.alert)


def silenced(p: Partition, e: al.AlertSilenced, v: Envelope) -> None:
    if (a := _of(p, e.alert)) is not None:
        a.silenced_us = e.until_us


def fired(p: Partition, e: al.AlertFired, v: Envelope) -> None:
    if (a := _of(p, e.alert)) is None:
        return
    for n, row in enumerate(al.groups(e.groups), e.first):
        put(p, a.firing, str(row["key"]), Firing(number=n, since_us=e.at_us, group=row.get("group") or {}))
    a.count += len(al.groups(e.groups))


def resolved(p: Partition, e: al.AlertResolved, v: Envelope) -> None:
    if (a := _of(p, e.alert)) is not None:
        for row in al.groups(e.groups):
            drop(p, a.firing, str(row["key"]))
        _over(a, {int(row.get("number") or 0) for row in al.groups(e.groups)})


def _over(a: Alert, numbers: set[int]) -> None:
    """What was done for these firings is undone; what is of one that was refused goes its own way."""
    if any(act.number in numbers and not act.over for act in a.acts):
        a.acts = [replace(act, over=True) if act.number in numbers else act for act in a.acts]


def acted(p: Partition, e: al.AlertActed, v: Envelope) -> None:
    if (a := _of(p, e.alert)) is None:
        return
    acts = {act.number: act for act in a.acts if ac.counts(act, e.at_us)}
    for row in al.groups(e.rows):
        number = int(row["number"])
        if (known := acts.get(number)) is not None:
            acts[number] = replace(known, hold=int(row.get("hold") or 0), over=known.over or bool(row.get("refused")))
        elif not row.get("refused"):
            acts[number] = AlertAct(
                number=number, subject=str(row["subject"]), at_us=e.at_us, until_us=int(row["until_us"]), hold=int(row.get("hold") or 0)
            )
    a.acts = list(acts.values())


def noted(p: Partition, e: al.AlertNoted, v: Envelope) -> None:
    if (a := _of(p, e.alert)) is not None:
        a.error = e.error


def claimed(p: Partition, e: al.AlertsClaimed, v: Envelope) -> None:
    w = p.alert_watch.get(WATCH)
    if w is None:
        w = AlertWatch(key=WATCH)
        put(p, p.alert_watch, WATCH, w)
    keep(p, w)
    w.watch, w.node, w.until_us = e.watch, e.node, e.until_us
    p.changed.add(("alert_watch", WATCH))


def rebuild(p: Partition) -> None:
    """After a checkpoint was loaded."""
    for a in p.alerts.values():
        p.alert_names[a.tenant, a.name] = a.key
