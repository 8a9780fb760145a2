"""Dead letters: records of `commands` that could not be read, or failed for ever. Kept until an operator replays or discards them.

The original stays on the log. What is replayed is read by the reader of `commands` and passes the gate as a command of whoever replays it. Where
it belongs to another partition it is sent there, and is open again when it is refused there.
Source: requirements APG-RES-003, WOS-RES-009; Hohpe and Woolf, Enterprise Integration Patterns, "Dead Letter Channel".
"""

from __future__ import annotations

import msgspec

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import ledger as le
from flowledger.events import requests, routes
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import limits, values
from flowledger.kernel.access import admit
from flowledger.kernel.decision import Decision
from flowledger.kernel.folds import answers
from flowledger.kernel.hooks import HOOKS
from flowledger.kernel.state import Letter

#: what nobody would hear the answer of
_ANSWER_IS_ALL = frozenset({
    c.ActivateTasks, c.PeekTasks, c.ListRecords, c.EvaluateDecision, c.ReplayDeadLetter, c.DiscardDeadLetter, co.ListFindings, co.AskPeers,
})  # fmt: skip


def keep(d: Decision, letter: le.DeadLettered) -> None:
    """When too many are open the oldest is given up; its record stays on the log."""
    if not letter.instance and letter.source not in d.state.letters and len(d.state.letters) >= limits.LETTERS_MAX:
        d.record(le.DeadLetterDiscarded(source=min(d.state.letters), reason=f"more than {limits.LETTERS_MAX} dead letters are open"))
    d.record(msgspec.structs.replace(letter, command=letter.command[: limits.LETTER_BYTES_MAX], reason=values.clean(letter.reason)))


def replay(d: Decision, e: c.ReplayDeadLetter) -> Rejected | None:
    letter = _open(d, e.letter)
    if isinstance(letter, Rejected):
        return letter
    if not e.command and letter.size != len(letter.command):
        kept = f"only the first {len(letter.command)} of its {letter.size} bytes are kept" if letter.size >= 0 else "it was not kept"
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected the command to replay dead letter {e.letter} as: {kept}")
    written = e.command.encode("utf-8", "surrogatepass") if e.command else letter.command
    asked = _read(written, letter.sender)
    if isinstance(asked, Rejected):
        return asked
    me = d.state.meta.partition
    to = me if letter.sender >= 0 else routes.home_of(asked.command, asked.id, d.state.meta.partitions)
    to = me if to < 0 else to
    if to >= d.state.meta.partitions:
        return Rejected(
            RejectionCode.NOT_FOUND, f"expected a key of one of {d.state.meta.partitions} partitions, found one of partition {to}"
        )
    rights = d.request.rights if d.request is not None else None
    d.record(le.DeadLetterReplayed(source=letter.source, to=to, command=written if e.command else b"", reason=e.reason))
    answer = None
    if to == me:
        if (rejected := _decide(d, asked, rights)) is not None:
            return rejected
        answer = d.answer
    else:
        d.send(to, c.DecideDeadLetter(letter=e.letter, command=written.decode(), rights=rights))
    d.answer = {"key": e.letter, "status": "replayed", "answer": answer}
    return None


def discard(d: Decision, e: c.DiscardDeadLetter) -> Rejected | None:
    letter = _open(d, e.letter)
    if isinstance(letter, Rejected):
        return letter
    d.record(le.DeadLetterDiscarded(source=letter.source, reason=e.reason))
    d.answer = {"key": e.letter, "status": "discarded"}
    return None


def decide_here(d: Decision, e: c.DecideDeadLetter) -> Rejected | None:
    asked = _read(e.command.encode(), -1)
    return asked if isinstance(asked, Rejected) else _decide(d, asked, e.rights)


def refused(d: Decision, e: c.DeadLetterRefused) -> Rejected | None:
    """It was replayed on another partition, in vain: it is open again, with what was tried."""
    written = e.command.encode()
    keep(d, le.DeadLettered(source=c.source_of_letter(e.letter), reason=f"{e.code}: {e.message}", command=written, size=len(written)))
    return None


def _open(d: Decision, key: int) -> Letter | Rejected:
    letter = d.state.letters.get(c.source_of_letter(key))
    if letter is None or c.partition_of_key(key) != d.state.meta.partition:
        return Rejected(RejectionCode.NOT_FOUND, f"expected an open dead letter with key {key}, found none")
    return letter


def _read(written: bytes, sender: int) -> c.Request | Rejected:
    """`sender`: whose send it was, -1: a caller's. What it says of its own sender and number was true of the first time only."""
    found = requests.read(written, sender)
    if isinstance(found, requests.Unreadable):
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"the command can't be read: {found.reason}")
    kind = type(found.command)
    if kind in _ANSWER_IS_ALL:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected a command that does something, found {kind.__name__}")
    if sender < 0 and found.sender >= 0:
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected a command of a caller, found a send of partition {found.sender}")
    return found


def _decide(d: Decision, asked: c.Request, rights: list[str] | None) -> Rejected | None:
    """As if whoever replays it had asked now."""
    if type(asked.command) in routes.BETWEEN and d.asked.tenant:
        text = f"{type(asked.command).__name__} is the engine's own: only the operator, who has no tenant, may replay it"
        return Rejected(RejectionCode.FORBIDDEN, text)
    request = msgspec.structs.replace(
        asked, tenant=d.asked.tenant, actor=d.asked.actor, rights=rights, time_us=0, reply_to="", sender=-1, seq=0, instance=0, token=0
    )
    tenant = admit(d.state, request)
    if isinstance(tenant, Rejected):
        return tenant
    now = d.facts.now_us
    if request.id and (known := answers.find(d.state, d.asked.tenant, request.id, now)) is not None:
        found = answers.again(request, known)
        if isinstance(found, Rejected):
            return found
        d.answer = found
        return None
    d.request = request
    rejected = HOOKS.handle(d, request.command)
    if rejected is None and request.id:
        d.for_request()
        d.record(le.Answered(id=request.id, answer=d.answer, digest=answers.digest(request), until_us=now + d.facts.answers_us))
    return rejected
