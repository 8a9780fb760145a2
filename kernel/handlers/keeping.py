"""What arrives for a suspended (or quarantined) instance is kept on the log and applied at resume, in the order in which it came (C-14, D-API-009).

Timers need no keeping: one that is due stays, and is fired at resume. What belongs to a worker's lease is answered at once: its result is safe.
"""

from __future__ import annotations

import msgspec

from flowledger.events import commands as c
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.decision import Decision
from flowledger.kernel.state import Instance, Token

#: commands kept for one instance
KEPT_MAX = 10_000
#: what stands still
STILL = frozenset({"suspended", "quarantined"})


def keep(d: Decision, i: Instance | None, command: c.AnyCommand) -> bool:
    """True when the instance is suspended or quarantined: the command is kept, and nothing is to be done now."""
    if i is None or i.status not in STILL:
        return False
    d.record(wf.WorkflowKept(key=i.key, command=msgspec.to_builtins(command)))
    return True


def full(i: Instance | None) -> Rejected | None:
    if i is not None and i.status in STILL and len(i.kept or ()) >= KEPT_MAX:
        return Rejected(
            RejectionCode.RESOURCE_EXHAUSTED, f"instance {i.key} is {i.status} and keeps {KEPT_MAX} commands, which is the most"
        )
    return None


def commands(i: Instance) -> list[c.AnyCommand]:
    return [msgspec.convert(kept, c.AnyCommand) for kept in i.kept or ()]


def due(d: Decision, i: Instance) -> list[int]:
    """Timers of the instance that fell due while it stood still, in the order of their times."""
    timers = d.state.timers
    holders: list[Instance | Token] = [i, *i.tokens.values()]
    held = [k for holder in holders for k in holder.holds or () if k in timers and timers[k].due_us <= d.facts.now_us]
    return sorted(held, key=lambda k: (timers[k].due_us, k))
