"""Instances that have ended are removed from the views: their rows are deleted, the ledger keeps their events (docs/control.md).

An owner forgets an instance with its end, so what it can tell is that one has not ended, or was never begun. Whose it was it doesn't know: the event stands
under the caller's tenant, and projections delete rows of that tenant alone.
"""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers.instances import not_found


def remove(d: Decision, e: co.RemoveFromViews) -> Rejected | None:
    meta = d.state.meta
    if (i := d.state.instances.get(e.key)) is not None:
        return Rejected(RejectionCode.INVALID_STATE, f"instance {i.key} has not ended: it is {i.status}")
    if c.partition_of_key(e.key) != meta.partition or not 0 < e.key & ((1 << c.PARTITION_BITS) - 1) <= meta.counter:
        return not_found("an ended instance with key", e.key)
    d.record(wf.WorkflowRemovedFromViews(key=e.key, reason=e.reason))
    d.answer = {"key": e.key}
    return None
