"""Items are done: each as a command of whoever asked for the batch, alone, all of it or nothing. Where they live, whatever partition that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from flowledger.events import avro
from flowledger.events import commands as c
from flowledger.events.base import Envelope, Rejected, RejectionCode
from flowledger.kernel import limits, operations, values
from flowledger.kernel.access import ANY_TENANT, admit
from flowledger.kernel.access.subjects import MISSING, of_incident, of_letter, of_scope, of_task
from flowledger.kernel.batches.actions import ACTIONS, PREPARED
from flowledger.kernel.decision import Decision
from flowledger.kernel.expressions import Failure
from flowledger.kernel.handlers import hearing
from flowledger.kernel.hooks import HOOKS
from flowledger.kernel.state import Partition

#: from where an item is asked, for the log of operations; its cause names the batch
FROM = c.Origin("batch")
SUCCEEDED, FAILED, SKIPPED = "succeeded", "failed", "skipped"
#: refusals that say that there is nothing to do
_NOTHING = frozenset({RejectionCode.NOT_FOUND, RejectionCode.ALREADY_EXISTS})
#: characters of a reason that an item keeps
WHY_MAX = 500
#: of what one decision may record, so much is for items; the rest is for what follows from them on this partition
_SHARE = 4


class Asked(NamedTuple):
    """What is to be done, and for whom."""

    batch: int
    action: str
    params: dict[str, Any]
    reason: str
    tenant: str
    actor: str
    correlation: str
    rights: list[str] | None
    groups: list[str] | None


def do(
    d: Decision, asked: Asked, numbers: Sequence[int], keys: Sequence[int], prepared: Sequence[Any] | None = None
) -> tuple[list[list[Any]], list[int]]:
    """`[number, outcome, code, message]` of each, and the numbers for which this decision has no room; the first is always done.
    `prepared`: what each needs.

    Raises: Heavy, NotAtHand.
    """
    done: list[list[Any]] = []
    before = (d.request, d.asked, d.asked_prefix, d.answer)
    d.batch(len(keys))
    envelope = Envelope(d.facts.now_us, asked.tenant, asked.actor, f"batch:{asked.batch}", asked.correlation, before[1].trace)
    prefix = avro.encode_envelope(envelope)
    try:
        for n, (number, key) in enumerate(zip(numbers, keys, strict=True)):
            if done and full(d):
                break
            d.asked, d.asked_prefix = envelope, prefix
            d.for_request()
            one = (
                asked if prepared is None else asked._replace(params={**asked.params, PREPARED: prepared[n] if n < len(prepared) else None})
            )
            done.append([number, *_one(d, one, key)])
    finally:
        d.request, d.asked, d.asked_prefix, d.answer = before
        d.for_request()
    return done, list(numbers[len(done) :])


def full(d: Decision) -> bool:
    return (
        d.steps_left <= 0
        or len(d.events) >= limits.EVENTS_MAX // _SHARE
        or d.bytes >= limits.BYTES_MAX // _SHARE
        or len(d.later) >= limits.EVENTS_MAX // _SHARE
    )


def _one(d: Decision, asked: Asked, key: int) -> tuple[str, str, str]:
    refused: list[Rejected] = []

    def work() -> None:
        mark = d.mark()
        try:
            rejected = _decide(d, asked, key)
        except Failure as failure:
            rejected = Rejected(RejectionCode.INVALID_ARGUMENT, failure.message)
        if rejected is not None:
            d.back(mark)
            refused.append(rejected)

    if not d.alone(key, work):
        return FAILED, RejectionCode.INTERNAL, "a defect of the engine stopped it: the incident has the reference"
    if not refused:
        return SUCCEEDED, "", ""
    return outcome_of(refused[0].code), refused[0].code, values.clean(refused[0].message, WHY_MAX)


def outcome_of(code: str) -> str:
    """Of an item that was refused."""
    return SKIPPED if code in _NOTHING else FAILED


def _seen(p: Partition, asked: Asked, key: int) -> Partition:
    """What whoever asked sees of the state: of a stranger's thing nothing."""
    if asked.rights is None or ANY_TENANT not in asked.rights:
        for of in (of_scope, of_task, of_incident, of_letter):
            if (tenant := of(p, key)) is not MISSING:
                return p if tenant == asked.tenant else Partition(p.meta.partition, p.meta.partitions)
    return p


def _decide(d: Decision, asked: Asked, key: int) -> Rejected | None:
    """As if whoever asked for the batch had asked for this, too."""
    made = ACTIONS[asked.action].make(_seen(d.state, asked, key), key, asked.params, asked.reason)
    if isinstance(made, Rejected):
        return made
    for command in made:
        request = c.Request(
            command=command,
            tenant=asked.tenant,
            actor=asked.actor,
            correlation=asked.correlation,
            rights=asked.rights,
            groups=asked.groups,
            origin=FROM,
        )
        tenant = admit(d.state, request)
        if isinstance(tenant, Rejected):
            return tenant
        d.request = request
        if tenant != d.asked.tenant:
            d.asked = msgspec.structs.replace(d.asked, tenant=tenant)
            d.asked_prefix = avro.encode_envelope(d.asked)
            d.for_request()
        began = len(d.events)
        rejected = HOOKS.handle(d, command)
        if rejected is not None:
            return rejected
        operations.asked(d, request, began)
        hearing.told(d, command)
        if d.subject and d.heavy():
            d.weigh_changed(refuse=True)
        elif d.subject:
            d.grown(d.subject)
    return None
