"""Deletion of definitions, over all partitions: starts are closed everywhere, running instances are counted there, then it is deleted, or open again.

Between the two stands the status `deleting` and, at partition 0, a record of who has not counted yet; both outlive the owner.
"""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import definition as de
from flowledger.events import ledger as le
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import lookup
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers import arming, imports, spreading, triggers
from flowledger.kernel.state import Definition, Partition

DELETING = "deleting"
#: running instances that a refusal names
NAMED_MAX = 10


def running(p: Partition, definition: int) -> list[int]:
    """Some of the instances that keep it from being deleted."""
    found: list[int] = []
    for i in p.instances.values():
        if i.definition == definition:
            found.append(i.key)
            if len(found) >= NAMED_MAX:
                break
    return found


def refusal(definition: int, those: list[int]) -> Rejected:
    named = f": {', '.join(map(str, those))}" if those else ""
    return Rejected(RejectionCode.INVALID_STATE, f"definition {definition} has running instances{named}")


def begin(d: Decision, found: Definition, reason: str) -> Rejected | None:
    """At partition 0. Answer: `{key, status}`, deleting or deleted."""
    p = d.state
    if those := running(p, found.key):
        return refusal(found.key, those)
    if (refused := imports.still_used(d, found, "delete")) is not None:
        return refused
    if found.kind != "process" or p.meta.partitions == 1:
        _delete(d, found, reason)
        d.answer = {"key": found.key, "status": "deleted"}
        return None
    d.answer = {"key": found.key, "status": DELETING}
    if found.status == DELETING:  # asked again
        return None
    others = [q for q in range(p.meta.partitions) if q != p.meta.partition]
    _note(d, found.key, {"was": found.status, "reason": reason, "uncounted": others})
    d.record(de.DefinitionStatusChanged(key=found.key, status=DELETING, reason=reason))
    arming.close_starts(d, found.key)
    spreading.told(d, found)
    return None


def count(d: Decision, found: Definition) -> None:
    """Elsewhere, with all starts closed: no instance of it begins here any more."""
    d.send(0, c.InstancesCounted(definition=found.key, running=running(d.state, found.key)))


def counted(d: Decision, e: c.InstancesCounted) -> Rejected | None:
    """At partition 0."""
    assert d.request is not None
    noted = under_way(d.state, e.definition)
    if noted is None or d.request.sender not in noted["uncounted"]:
        return None
    found = d.state.definitions[e.definition]
    left = [q for q in noted["uncounted"] if q != d.request.sender]
    if e.running:
        _note(d, found.key, None)
        d.record(de.DefinitionStatusChanged(key=found.key, status=noted["was"], reason="it has running instances"))
        if found.status == "published":
            arming.open_starts(d, found)
        spreading.told(d, found)
        d.finished.append((found.key, "refused", {}, refusal(found.key, e.running).message))
    elif left:
        _note(d, found.key, {**noted, "uncounted": left})
    else:
        _note(d, found.key, None)
        _delete(d, found, noted["reason"])
    return None


def under_way(p: Partition, definition: int) -> dict[str, Any] | None:
    return p.records.get((DELETING, str(definition)))


def _note(d: Decision, definition: int, value: dict[str, Any] | None) -> None:
    d.record(le.RecordStored(registry=DELETING, name=str(definition), value=value))


def _delete(d: Decision, found: Definition, reason: str) -> None:
    those = (found, *spreading.decisions_of(d, found))
    for gone in those:
        forget(d, gone, reason)
    spreading.tell_others(d, [{**lookup.fields(gone), "deleted": True} for gone in those])


def forget(d: Decision, gone: Definition, reason: str) -> None:
    """On any partition: it is hidden, and an older version is started by events again."""
    arming.close_starts(d, gone.key)
    d.record(de.DefinitionDeleted(key=gone.key, reason=reason))
    older = lookup.latest(d.state, gone.tenant, gone.kind, gone.id)
    if older is not None and gone.kind == "process":
        arming.open_starts(d, older)
    elif gone.kind == "trigger":
        triggers.changed(d, gone.tenant, gone.id)
