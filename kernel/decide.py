"""`decide`: one request -> events or a rejection. On success the state is the fold of the events; on rejection it is untouched."""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events.base import Envelope, Rejected, RejectionCode
from flowledger.kernel.access import admit
from flowledger.kernel.access.subjects import INTERNAL
from flowledger.kernel.decision import Decision, Facts
from flowledger.kernel.elements import listeners
from flowledger.kernel.folds import answers
from flowledger.kernel.handlers import HANDLERS
from flowledger.kernel.state import Partition

#: follow-up commands to this same partition that one request may cause in its step; the rest stay for later steps
FOLLOW_UPS_MAX = 10_000


def decide(state: Partition, request: c.Request, facts: Facts) -> Decision | Rejected:
    """Answer one request.

    `Decision.events` are to be appended; `Decision.answer` goes to the caller once they are; `Decision.later` (after this function: only
    `Continue`s) are to be decided in a later step.
    """
    tenant = admit(state, request)
    if isinstance(tenant, Rejected):
        return tenant
    envelope = Envelope(facts.now_us, tenant, request.actor, request.id, request.correlation, request.trace)
    d = Decision(state, facts, envelope, request)
    if request.sender >= 0:
        taken = state.meta.taken.get(request.sender, 0)
        if request.seq != taken + 1:  # behind a gap it comes again, with what is missing before it
            return Rejected(RejectionCode.ALREADY_EXISTS, f"expected send {taken + 1} of partition {request.sender}, found {request.seq}")
    elif request.id and type(request.command) not in INTERNAL and (known := answers.find(state, tenant, request.id, facts.now_us)):
        if known.digest and known.digest != answers.digest(request):
            return Rejected(
                RejectionCode.ID_REUSED, f"the id '{request.id}' was used for another command: expected the same one, or another id"
            )
        d.answer, d.repeats = known.value(), request.id
        if known.offset >= 0:
            d.answer["position"] = f"{state.meta.partition}-{known.offset}"
        return d
    rejected = HANDLERS[type(request.command)](d, request.command)
    if rejected is not None:
        assert not d.events, f"a rejection after a recorded event: {rejected}"
        if request.sender >= 0:  # what another partition sent is consumed all the same
            d.record(le.Inbound(sender=request.sender, seq=request.seq))
            return d
        return rejected
    if request.sender >= 0:
        d.record(le.Inbound(sender=request.sender, seq=request.seq))
    if type(request.command) is c.MoveTask:
        _tell_listeners(d, request.command)
    if d.work or d.touched:
        d.run()
    if d.later:
        _follow_up(d)
    if request.id and request.sender < 0 and d.events and type(request.command) not in INTERNAL:
        if answers.find(state, tenant, request.id, facts.now_us) is None:  # else it has its outcome already
            until = facts.now_us + facts.answers_us
            d.record(le.Answered(id=request.id, answer=d.answer, digest=answers.digest(request), until_us=until))
    return d


#: moves of a person's task -> the listeners that hear of them
_TOLD = {"assign": "assigning", "claim": "assigning", "release": "assigning", "delegate": "assigning", "transfer": "assigning", "recall": "assigning",
         "update": "updating"}  # fmt: skip


def _tell_listeners(d: Decision, e: c.MoveTask) -> None:
    task = d.state.tasks.get(e.task)
    event = _TOLD.get(e.move)
    i = d.state.instances.get(task.instance) if task is not None else None
    if event is not None and task is not None and i is not None:
        node = d.process(i).nodes[task.element]
        if node.listeners:
            listeners.tell(d, i, i.tokens[task.token], node, event)


def _follow_up(d: Decision) -> None:
    """What the decision sent to its own partition is decided in the same step, in order; `Continue`s wait, so that others get their turn."""
    put_off: list[c.Command] = []
    answer = d.answer
    n = 0
    while n < len(d.later):
        command = d.later[n]
        n += 1
        if isinstance(command, c.Continue) or n > FOLLOW_UPS_MAX:
            put_off.append(command)
            continue
        d.answer = {}
        HANDLERS[type(command)](d, command)
        if d.work or d.touched:
            d.run()
    d.answer = answer
    d.later = put_off
