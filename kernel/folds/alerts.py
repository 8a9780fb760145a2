"""Folds of alerts, at their home."""

from __future__ import annotations

from flowledger.events import alerts as al
from flowledger.events.base import Envelope
from flowledger.kernel.folds.tokens import seen_key
from flowledger.kernel.nouns import Alert, AlertWatch, Firing
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
