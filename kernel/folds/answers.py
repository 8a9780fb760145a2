"""The window in which a caller's id is remembered: by time, and by bytes.

A command under a known id gets the first answer again, with its position; another command under that id is refused (ID_REUSED), as the IETF
draft `idempotency-key-header` asks. Each answer says itself until when it holds (the owner's setting at that time), so that every reader
of the log forgets the same ones. They stand in the order in which they came, and the oldest go first: when their time is over, or earlier when all
together are larger than `limits.ANSWERS_BYTES_MAX`. Then an id may be forgotten before its time; `reach_us` says how far back the window reaches.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from flowledger.events import ledger as le
from flowledger.events.base import Envelope, Rejected, RejectionCode
from flowledger.events.commands import Request
from flowledger.kernel import limits
from flowledger.kernel.undo import drop_queued, put

if TYPE_CHECKING:
    from flowledger.kernel.state import Partition

#: how long an answer without a time of its own holds (microseconds)
DAY_US = 86_400_000_000
DIGEST_BYTES = 12
#: what an answer takes beside its text and its id, in bytes
OVERHEAD = 120

_encode_command = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Remembered(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An answer by the caller's id.

    `number`: counts the answers, so that their order outlives a checkpoint. `offset`: of the last event that the command caused, -1 while
    that is not known. `answer`: JSON.
    """

    number: int
    at_us: int
    until_us: int
    digest: bytes
    offset: int
    answer: msgspec.Raw

    def unplaced(self) -> Remembered:
        return msgspec.structs.replace(self, offset=-1)

    def value(self) -> dict[str, Any]:
        from flowledger.events.avro import decode_json

        found: dict[str, Any] = decode_json(bytes(self.answer))
        return found


def digest(request: Request) -> bytes:
    """Of what is asked, not of who asks or when, nor of how long the asker waits for its end. Objects are the same whatever the order of
    their names."""
    command = request.command
    if getattr(command, "wait", False):
        command = msgspec.structs.replace(command, wait=False, fetch=None)
    return blake2b(_encode_command(command), digest_size=DIGEST_BYTES).digest()


def name_of(tenant: str, id: str) -> str:
    """Ids of different tenants have nothing to do with each other."""
    return f"{tenant}\n{id}" if tenant else id


def size(name: str, kept: Remembered) -> int:
    return len(name) + len(kept.answer) + OVERHEAD


def find(p: Partition, tenant: str, id: str, now_us: int) -> Remembered | None:
    """What is remembered at `now_us`; one whose time is over is forgotten, though it may still stand there."""
    kept = p.answers.get(name_of(tenant, id))
    return kept if kept is not None and kept.until_us > now_us else None


def again(request: Request, known: Remembered) -> dict[str, Any] | Rejected:
    """The answer to a known id: the same command gets the same one, another command is refused."""
    if known.digest and known.digest != digest(request):
        text = f"the id '{request.id}' was used for another command: expected the same command again, or another id"
        return Rejected(RejectionCode.ID_REUSED, text)
    return known.value()


def remember(p: Partition, e: le.Answered, v: Envelope) -> None:
    """The fold. What is over goes; each answer is looked at once when it goes, so it costs nothing more than to keep it."""
    name, meta = name_of(v.tenant, e.id), p.meta
    if p.undo is not None:
        p.undo.append((_count, meta, meta.answered, meta.answers_bytes))
    was = p.answers.get(name)
    if was is not None:
        drop_queued(p, p.answers, name)
    meta.answered += 1
    kept = Remembered(meta.answered, v.time_us, e.until_us or v.time_us + DAY_US, e.digest, -1, msgspec.Raw(_encode(e.answer)))
    put(p, p.answers, name, kept)
    held = meta.answers_bytes + size(name, kept) - (size(name, was) if was is not None else 0)
    p.changed.add(("answer", name))
    meta.answers_bytes = _forget(p, v.time_us, held)


def _count(meta: Any, answered: int, held: int) -> None:
    meta.answered, meta.answers_bytes = answered, held


def _forget(p: Partition, now_us: int, held: int) -> int:
    """What is left in bytes."""
    while True:
        oldest = next(iter(p.answers))
        kept = p.answers[oldest]
        if kept.until_us > now_us and (held <= limits.ANSWERS_BYTES_MAX or len(p.answers) == 1):
            return held
        drop_queued(p, p.answers, oldest)
        held -= size(oldest, kept)
        p.changed.add(("answer", oldest))


def placed(p: Partition, tenant: str, id: str, offset: int) -> None:
    """The answer's event stands on the log at `offset`: said by whoever reads or writes the log, since an event doesn't know its place."""
    name = name_of(tenant, id)
    kept = p.answers.get(name)
    if kept is not None:
        p.answers[name] = msgspec.structs.replace(kept, offset=offset)
        p.changed.add(("answer", name))


def restore(p: Partition, found: dict[str, Remembered]) -> None:
    """From a checkpoint, whose records stand in no order."""
    p.answers.clear()
    for name, kept in sorted(found.items(), key=lambda x: (x[1].number, x[0])):
        p.answers[name] = kept


def reach_us(p: Partition, now_us: int) -> int:
    """How far back an id is remembered for sure; -1: nothing was forgotten early that stands here."""
    oldest = next(iter(p.answers.values()), None)
    return -1 if oldest is None or p.meta.answers_bytes < limits.ANSWERS_BYTES_MAX * 9 // 10 else max(0, now_us - oldest.at_us)


def of_checkpoint(value: bytes) -> Remembered:
    """A record of this release, or of one that kept the answer alone."""
    if value.startswith(b"{"):
        return Remembered(0, 0, 1 << 62, b"", -1, msgspec.Raw(value))
    return _decode(value)


_decode = msgspec.json.Decoder(Remembered).decode
