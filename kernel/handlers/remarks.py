"""What people say of an instance: an event of its history, before or after its end (docs/control.md).

An owner forgets an instance with its end, and can't tell then whose it was: the event stands under the caller's tenant, and views show it where that is the
instance's own.
"""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers.instances import not_found

#: characters of a comment, and of the name of an element
TEXT_MAX, ELEMENT_MAX = 4_000, 255


def comment(d: Decision, e: co.CommentInstance) -> Rejected | None:
    meta, text = d.state.meta, e.text.strip()
    if e.key not in d.state.instances and (
        c.partition_of_key(e.key) != meta.partition or not 0 < e.key & ((1 << c.PARTITION_BITS) - 1) <= meta.counter
    ):
        return not_found("an instance with key", e.key)
    if not text or len(e.text) > TEXT_MAX:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"text: expected 1 to {TEXT_MAX} characters, found {len(text) and len(e.text)}")
    if len(e.element) > ELEMENT_MAX:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"element: expected at most {ELEMENT_MAX} characters, found {len(e.element)}")
    d.record(wf.WorkflowCommented(key=e.key, text=text, element=e.element))
    d.answer = {"key": e.key}
    return None
