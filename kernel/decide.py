"""`decide`: one request -> events, a rejection or a defect. On success the state is the fold of the events; else it is what it was."""

from __future__ import annotations

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import ledger as le
from flowledger.events.base import Broken, Envelope, Heavy, Rejected, RejectionCode
from flowledger.kernel import causes, limits, operations, plans, putoff, values
from flowledger.kernel.access import admit, versions
from flowledger.kernel.access.subjects import INTERNAL, MISSING, of_instance
from flowledger.kernel.decision import Decision, Defect, Facts, kind_of
from flowledger.kernel.expressions import Failure
from flowledger.kernel.folds import answers
from flowledger.kernel.handlers import HANDLERS, batches, handle, hearing, letters, places, quarantine
from flowledger.kernel.ledger.facts import NotAtHand
from flowledger.kernel.ledger.recording import Cause
from flowledger.kernel.operations import OPERATIONS
from flowledger.kernel.protection import AGAIN_MS, KEYS_AWAY
from flowledger.kernel.state import Partition
from flowledger.kernel.tasks import again, permits, stock

#: a send that came before or long ago: it is not consumed
_NOT_NEXT = "NOT_NEXT"


def decide(state: Partition, request: c.Request, facts: Facts) -> Decision | Rejected | Broken:
    """Answer one request.

    `Decision.values` are to be appended; `Decision.answer` goes to the caller once they are. `Decision.later` (`Continue`s) is to be decided in a
    later step; whatever else the budget put off stands among the events (`kernel/putoff.py`). Of a dry run there is only the answer, which is its
    plan (`kernel/plans.py`).
    Raises: Heavy when `facts.feel_soft` is spent (decide again with `facts.feel_soft` 0), NotAtHand.
    """
    try:
        tenant = admit(state, request)
        if isinstance(tenant, Rejected):
            return tenant
        envelope = causes.envelope_of(state, request, facts.now_us, tenant)
    except Exception as defect:  # of the gate: nothing was recorded
        if request.dry_run:
            return _would_break(defect)
        reference = f"{state.meta.partition}-{facts.now_us:x}-{state.meta.counter:x}"
        return Broken(quarantine.subject(state, request.command), type(defect).__name__, values.clean(str(defect)), reference)
    state.undo = []
    facts.feel_left = facts.feel_soft or limits.FEEL_STEPS_MAX
    counter = state.meta.counter
    try:
        d = facts.deciding = Decision(state, facts, envelope, request)
        facts.about = None
    except Exception as unfit:  # a text of the envelope that can't be written
        state.undo = None
        return Rejected(RejectionCode.INVALID_ARGUMENT, values.clean(f"the request's own fields: {unfit}"))
    try:
        rejected = _decide(d, request)
        if rejected is None:
            if not request.plan:
                return d
            rejected = plans.ended(d, request, counter)
            if rejected is None:
                return d
        _undone(d, counter)
        if request.sender < 0 or rejected.code == _NOT_NEXT:
            return rejected
        _consume(d, request, rejected)
        return d
    except (Heavy, NotAtHand):
        _undone(d, counter)
        raise
    except Failure as failure:
        _undone(d, counter)
        if request.sender >= 0:
            _consume(d, request, Rejected(RejectionCode.INVALID_ARGUMENT, failure.message))
            return d
        return _failed(failure)
    except Exception as defect:
        at = d.at
        _undone(d, counter)
        if request.dry_run:  # nothing is held for a question
            return _would_break(defect)
        return Broken(at or quarantine.subject(state, request.command), kind_of(defect), values.clean(str(defect)), d.reference())
    finally:
        state.undo = None


def _failed(failure: Failure) -> Rejected:
    """As whoever asked hears it. Keys that are away are no fault of what was asked: it may be asked again as it is."""
    if failure.code == KEYS_AWAY:
        return Rejected(RejectionCode.UNAVAILABLE, values.clean(failure.message), AGAIN_MS)
    return Rejected(RejectionCode.INVALID_ARGUMENT, values.clean(failure.message))


def _would_break(defect: Exception) -> Rejected:
    return Rejected(RejectionCode.INTERNAL, f"a defect of the engine would stop this command: {kind_of(defect)}")


def _undone(d: Decision, counter: int) -> None:
    """The whole decision is taken back. `counter`: of keys, as it was."""
    d.back((0, 0, counter, 0))
    d.later, d.causes, d.finished, d.answer = [], [], [], {}


def record_broken(state: Partition, request: c.Request, facts: Facts, broken: Broken) -> Decision:
    """What the log says of a defect: the instance is quarantined (without one: an incident of the partition), a send is consumed."""
    state.undo = []
    try:
        tenant = of_instance(state, broken.key)
        tenant = request.tenant if tenant is MISSING else tenant
        d = Decision(state, facts, causes.envelope_of(state, request, facts.now_us, tenant), request)
        d.quarantine(broken.key, Defect(broken.defect, broken.message), broken.reference)
        if request.sender >= 0:
            d.record(le.Inbound(sender=request.sender, seq=request.seq))
            if type(request.command) in _ANSWERED:
                _tell_sender(d, request, Rejected(RejectionCode.INTERNAL, f"a defect of the engine, reference {broken.reference}"))
                _put_off(d)
        return d
    finally:
        state.undo = None


def record_unreadable(state: Partition, facts: Facts, letter: le.DeadLettered, tenant: str) -> Decision | None:
    """What the log says of a record that nobody can read: it is kept. A send is consumed, and whoever caused it hears of it there; None: it was
    taken before, or comes too early. One of the partition to itself stands on the log already, and is no dead letter."""
    if letter.sender >= 0 and letter.seq != state.meta.taken.get(letter.sender, 0) + 1:
        return None
    if letter.sender == state.meta.partition and (letter.sender, letter.seq) not in state.outbox:
        return None
    state.undo = []
    try:
        d = Decision(state, facts, Envelope(facts.now_us, tenant, cause=f"command:{state.meta.partition}-{letter.source}"))
        told = c.SendRejected(
            instance=letter.instance, token=letter.token, command="A send", code="UNREADABLE", message=values.clean(letter.reason)
        )
        if letter.sender == state.meta.partition:
            d.record(le.Inbound(sender=letter.sender, seq=letter.seq, reason=values.clean(letter.reason)))
            HANDLERS[c.SendRejected](d, told)
            return d
        letters.keep(d, letter)
        if letter.sender >= 0:
            d.record(le.Inbound(sender=letter.sender, seq=letter.seq, reason=values.clean(letter.reason)))
            if letter.instance and letter.sender < state.meta.partitions:
                d.send(letter.sender, told)
        return d
    finally:
        state.undo = None


def _decide(d: Decision, request: c.Request) -> Rejected | None:
    state, command, id = d.state, request.command, request.id
    kind, sent = type(command), request.sender >= 0
    if state.freed:
        state.freed.clear()
    if sent:
        taken = state.meta.taken.get(request.sender, 0)
        if request.seq != taken + 1:  # behind a gap it comes again, with what is missing before it
            return Rejected(_NOT_NEXT, f"expected send {taken + 1} of partition {request.sender}, found {request.seq}")
        if request.sender == state.meta.partition and (request.sender, request.seq) not in state.outbox:
            return Rejected(_NOT_NEXT, f"expected a send of this partition to itself, found {request.seq}, which it did not send")
        id = ""
    elif id:
        if kind in INTERNAL or request.dry_run:  # a question is no answer to be remembered
            id = ""
        elif (known := answers.find(state, d.asked.tenant, id, d.facts.now_us)) is not None:
            return _again(d, request, known)
    rejected = handle(d, command)
    if rejected is not None:
        return rejected
    if d.subject and d.heavy():
        d.weigh_changed(refuse=not (sent or request.instance or kind in INTERNAL))
    if sent:
        d.record(le.Inbound(sender=request.sender, seq=request.seq))
    if kind in _MOVING and d.request is not None:
        hearing.told(d, d.request.command)
    if d.work or d.touched:
        d.run()
    elif d.subject:
        d.grown(d.subject)
    if d.later:
        _follow_up(d)
    if state.unsettled_limits or state.unassigned:
        _hand_round(d)
    if d.later:
        _put_off(d)
    if request.origin is not None or kind in OPERATIONS:
        if kind in versions.ON_INSTANCES:
            versions.tell(state, getattr(command, "key"), d.subject, d.answer)  # noqa: B009 - all of these have one
        operations.asked(d, request)
    if id and d.events:
        now = d.facts.now_us
        if not d.finished or answers.find(state, d.asked.tenant, id, now) is None:  # else it has its outcome already
            d.for_request()
            d.record(le.Answered(id=id, answer=d.answer, digest=answers.digest(request), until_us=now + d.facts.answers_us))
    return None


#: what may be the move of a task: a dead letter's command may be one
_MOVING = frozenset({c.MoveTask, c.ReplayDeadLetter, c.DecideDeadLetter})


def _hand_round(d: Decision) -> None:
    """What is free goes home before anybody here takes it, so that all have their turn."""
    state = d.state
    full: list[str] = []
    if state.unsettled_limits:
        full = sorted(t for t in state.unsettled_limits if t.startswith(stock.INSTANCES))
        if state.unassigned:
            again.turns(d, sorted(state.unsettled_limits))
        permits.settle(d)
    if state.unassigned:
        again.look(d)
    if state.unsettled_limits:
        permits.settle(d)
    for target in full:
        places.let_in(d, target)


def _again(d: Decision, request: c.Request, known: answers.Remembered) -> Rejected | None:
    """A known id: the same command gets the same answer, another is refused."""
    found = answers.again(request, known)
    if isinstance(found, Rejected):
        return found
    d.answer, d.repeats = found, request.id
    if known.offset >= 0:
        d.answer["position"] = f"{d.state.meta.partition}-{known.offset}"
    return None


def _consume(d: Decision, request: c.Request, rejected: Rejected) -> None:
    """What another partition sent is consumed all the same, and whoever caused it hears of it there."""
    d.record(le.Inbound(sender=request.sender, seq=request.seq, reason=values.clean(f"{rejected.code}: {rejected.message}")))
    _tell_sender(d, request, rejected)
    _put_off(d)  # the sender may be this partition itself


def _tell_sender(d: Decision, request: c.Request, rejected: Rejected) -> None:
    command = request.command
    if type(command) is c.DecideDeadLetter:
        said = c.DeadLetterRefused(
            letter=command.letter, command=command.command, code=rejected.code, message=values.clean(rejected.message)
        )
        d.send(request.sender, said)
    elif type(command) is co.DoBatchItems:
        d.send(request.sender, batches.not_done(command, rejected))
    elif request.instance and type(command) not in _EXPECTED:
        d.send(request.sender, _told(request.instance, request.token, command, rejected))


#: sends that nobody's instance waits for, whose sender hears all the same
_ANSWERED = frozenset({c.DecideDeadLetter, co.DoBatchItems})
#: what may find nobody any more: the other side is gone, and there is nothing to repair
_EXPECTED = frozenset({
    c.UnawaitMessage, c.CancelInstance, c.ChildEnded, c.MessageTaken, c.Correlate, c.Continue, c.SendRejected, c.ControlInstance,
    # kept for a suspended instance: what was applied before them may have withdrawn what they are about
    c.CatchSignal, c.CompleteTask, c.FailTask, c.ThrowTaskError, c.FireTimers,
})  # fmt: skip


def _told(instance: int, token: int, command: c.AnyCommand, rejected: Rejected) -> c.SendRejected:
    return c.SendRejected(
        instance=instance, token=token, command=type(command).__name__, code=rejected.code, message=values.clean(rejected.message)
    )


def _follow_up(d: Decision) -> None:
    """What the decision sent to its own partition is decided in the same step, in order, as far as its budget goes; `Continue`s wait, so that others
    get their turn. While something waits that was put off before, all of it waits behind that.

    Each stands alone: what breaks in it is held against its own instance, and what is rejected is an incident of whoever sent it.
    """
    left: list[tuple[c.AnyCommand, Cause]] = []
    answer, asked, behind = d.answer, d.asked, bool(d.state.meta.sent) and putoff.waiting(d.state) > 0
    if len(d.later) > limits.FOLLOW_UPS_FREE:  # they counted as long as they waited
        d.bytes = sum(map(len, d.values))
        d.counted = min(d.counted, d.bytes)
    n = 0
    while n < len(d.later):
        command, cause = d.later[n], d.causes[n]
        n += 1
        if (
            behind or isinstance(command, c.Continue) or n > limits.FOLLOW_UPS_MAX or len(d.events) > limits.EVENTS_MAX
            or d.bytes > limits.BYTES_MAX
        ):  # fmt: skip
            left.append((command, cause))
            continue
        d.answer = {}
        if (said := cause[1]) is not d.asked and (said.cause != d.asked.cause or said.actor != d.asked.actor):
            d.ask_as(said)  # one decision may do several things, each for its own reason
        d.alone(quarantine.subject(d.state, command) or cause[0][0], lambda command=command, cause=cause: _follow(d, command, cause))  # type: ignore[misc]
    d.answer = answer
    if d.asked is not asked:
        d.ask_as(asked)
    d.later, d.causes = [command for command, _ in left], [cause for _, cause in left]


def _follow(d: Decision, command: c.AnyCommand, cause: Cause) -> None:
    if d.envelope is not cause[1] and d.envelope.tenant != cause[1].tenant:  # a decision may be about instances of several
        d.speak_as(cause[1])
    mark = d.mark()
    try:
        rejected = HANDLERS[type(command)](d, command)
    except Failure as failure:
        rejected = Rejected(RejectionCode.INVALID_ARGUMENT, failure.message)
    if rejected is None:
        if d.subject and d.heavy():
            d.weigh_changed(refuse=False)
        elif d.subject:
            d.grown(d.subject)
    else:
        d.back(mark)
        _refused(d, command, cause, rejected)


def _refused(d: Decision, command: c.AnyCommand, cause: Cause, rejected: Rejected) -> None:
    """An incident of whoever sent it."""
    if cause[0][0] and type(command) not in _EXPECTED:
        HANDLERS[c.SendRejected](d, _told(*cause[0], command, rejected))


def _put_off(d: Decision) -> None:
    """What is left stands on the log, so that nobody's death loses it. `Continue`s follow from the state of their instances."""
    later, causes, me = d.later, d.causes, d.state.meta.partition
    d.later, d.causes = [], []
    for command, cause in zip(later, causes, strict=True):
        if isinstance(command, c.Continue):
            d.later.append(command)
            d.causes.append(cause)
            continue
        d.speak_as(cause[1])
        try:
            d.write(me, command, cause[0])
        except Failure as failure:
            _refused(d, command, cause, Rejected(RejectionCode.INVALID_ARGUMENT, failure.message))
