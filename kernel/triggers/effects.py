"""What an item does, on the trigger's home, in the group that says that it was taken: it starts an instance here, or sends a message or signal to
where that belongs, by a numbered send. What is refused, or breaks the engine, is parked, and leaves nothing else behind."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events import triggers as tr
from flowledger.events.base import Envelope, Rejected
from flowledger.kernel import limits, values
from flowledger.kernel.decision import Decision
from flowledger.kernel.expressions import Failure
from flowledger.kernel.handlers import hearing
from flowledger.kernel.hooks import HOOKS
from flowledger.kernel.nouns import Trigger
from flowledger.kernel.packs.judge import Refused
from flowledger.kernel.triggers.evaluate import PARKED, Meaning

#: from where it is asked
FROM = c.Origin("trigger")
DONE = {"start": "started", "message": "published", "signal": "signalled"}


class Item(NamedTuple):
    """`key`: as it is told; `nominal_us`: of a schedule; `letter`: it was parked before."""

    context: dict[str, Any]
    key: str = ""
    part: str = ""
    place: int = -1
    nominal_us: int = 0
    letter: int = 0


class Result(NamedTuple):
    """`outcome`: started, published, signalled or parked. `made`: key of the instance, or of what is parked."""

    outcome: str
    made: int = 0
    reason: str = ""


def effect(d: Decision, t: Trigger, meant: Meaning, item: Item) -> Result:
    """Raises: Heavy, NotAtHand."""
    if meant.kind == PARKED:
        return park(d, t, item, meant.code, meant.reason)
    refused: list[tuple[str, str]] = []
    made: list[int] = []
    before = (d.request, d.asked, d.asked_prefix, d.answer)
    envelope = Envelope(d.facts.now_us, t.tenant, f"trigger:{t.name}"[:200], f"trigger:{t.key}", before[1].correlation, before[1].trace)

    def work() -> None:
        mark = d.mark()
        try:
            rejected = _do(d, t, meant.command, item, made)
        except Failure as failure:
            rejected = Rejected(failure.code, failure.message)
        if rejected is not None:
            d.back(mark)
            for verdict in rejected.verdicts if isinstance(rejected, Refused) else ():
                d.record(verdict)
            refused.append((rejected.code, rejected.message))

    try:
        d.asked, d.asked_prefix = envelope, avro.encode_envelope(envelope)
        d.for_request()
        if not d.alone(0, work):
            refused.append(("INTERNAL", "a defect of the engine stopped it: the incident has the reference"))
    finally:
        d.request, d.asked, d.asked_prefix, d.answer = before
        d.for_request()
    if refused:
        return park(d, t, item, refused[0][0], refused[0][1])
    return Result(DONE[_action(meant.command)], made[0])


def _action(command: Any) -> str:
    return "start" if type(command) is c.StartInstance else "message" if type(command) is c.PublishMessage else "signal"


def _do(d: Decision, t: Trigger, command: Any, item: Item, made: list[int]) -> Rejected | None:
    meta, action = d.state.meta, _action(command)
    d.request = c.Request(command=command, tenant=t.tenant, actor=d.asked.actor, correlation=d.asked.correlation, origin=FROM)
    d.answer = {}
    home = meta.partition
    to = home if action == "start" else c.partition_of_text(command.correlation_key, meta.partitions) if action == "message" else 0
    subject = command.id if action == "start" else command.name
    if to != home:
        d.send(to, command)
    else:
        rejected = HOOKS.handle(d, command)
        if rejected is not None:
            return rejected
        hearing.told(d, command)
        if d.subject and d.heavy():
            d.weigh_changed(refuse=True)
        elif d.subject:
            d.grown(d.subject)
    key = int(d.answer.get("key", 0)) if action == "start" else 0
    made.append(key)
    d.record(tr.TriggerRan(
        key=key, trigger=t.key, name=t.name, action=action, subject=subject, item=item.key, part=item.part, place=item.place,
        nominal_us=item.nominal_us, letter=item.letter,
    ))  # fmt: skip
    return None


def park(d: Decision, t: Trigger, item: Item, code: str, reason: str) -> Result:
    """Kept with what it was, to be replayed; where that is too large, or can't be written, without."""
    d.for_request()
    letter = item.letter or d.key()
    reason = values.clean(reason, 500)
    d.record(tr.TriggerParked(
        trigger=t.key, letter=letter, item=item.key, part=item.part, place=item.place, code=code, reason=reason, context=_kept(item.context),
        again=item.letter > 0,
    ))  # fmt: skip
    return Result("parked", letter, reason)


def _kept(context: dict[str, Any]) -> dict[str, Any] | None:
    try:
        if len(avro.encode_json(context)) > limits.TRIGGER_PARKED_BYTES_MAX:
            return None
        values.check_depth(context, "context")
        values.check(msgspec.to_builtins(context), "context")
    except Exception:  # noqa: BLE001 - what a stranger has sent: why it is parked is told all the same
        return None
    return context
