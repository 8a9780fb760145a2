"""Folds of batches, at their home."""

from __future__ import annotations

from flowledger.events import batch as ba
from flowledger.events.base import Envelope
from flowledger.kernel.folds.tokens import seen_key
from flowledger.kernel.nouns import Batch, BatchItems
from flowledger.kernel.state import Partition
from flowledger.kernel.undo import drop, drop_ordered, keep, put


def created(p: Partition, e: ba.BatchCreated, v: Envelope) -> None:
    seen_key(p, e.batch)
    put(p, p.batches, e.batch, Batch(
        key=e.batch, action=e.action, total=e.total, params=e.params, rate=e.rate, reason=e.reason, tenant=v.tenant, actor=v.actor,
        correlation=v.correlation, rights=e.rights, groups=e.groups, in_hand={}, created_us=v.time_us, timer=e.timer,
    ))  # fmt: skip
    p.changed.add(("batch", e.batch))


def _of(p: Partition, key: int) -> Batch | None:
    """It is about to change."""
    b = p.batches.get(key)
    if b is not None:
        keep(p, b)
        p.changed.add(("batch", key))
    return b


def items_added(p: Partition, e: ba.BatchItemsAdded, v: Envelope) -> None:
    seen_key(p, e.chunk)
    if (b := _of(p, e.batch)) is None:
        return
    put(p, p.batch_items, e.chunk, BatchItems(key=e.chunk, batch=e.batch, at=e.at, items=e.items, missing=e.missing))
    p.changed.add(("batch_items", e.chunk))
    b.chunks = [*b.chunks, e.chunk]
    b.added += len(e.items)
    b.last = e.items[-1] if e.items else b.last
    if b.added == b.total and b.status == "collecting":
        b.status = "running"


def upcoming(p: Partition, b: Batch, most: int) -> list[int]:
    """Keys of the items from number `next` on, at most so many."""
    out: list[int] = []
    for chunk in b.chunks:
        held = p.batch_items[chunk]
        at = b.next + len(out) - held.at
        out += held.items[at : at + most - len(out)]
        if len(out) >= most:
            break
    return out


def missing(p: Partition, b: Batch, most: int) -> set[int]:
    """Numbers of those of the next items that aren't there."""
    found: set[int] = set()
    for chunk in b.chunks:
        held = p.batch_items[chunk]
        if held.at >= b.next + most:
            break
        found.update(held.missing)
    return found


def items_sent(p: Partition, e: ba.BatchItemsSent, v: Envelope) -> None:
    if (b := _of(p, e.batch)) is None:
        return
    for number, key in enumerate(upcoming(p, b, e.count), e.first):
        put(p, b.in_hand, number, key)
    b.next = e.first + e.count
    b.paid_us, b.timer = e.paid_us, e.timer or b.timer
    while b.chunks and (held := p.batch_items[b.chunks[0]]).at + len(held.items) <= b.next:
        _drop_chunk(p, held.key)
        b.chunks = b.chunks[1:]


def _drop_chunk(p: Partition, chunk: int) -> None:
    drop(p, p.batch_items, chunk)
    p.changed.add(("batch_items", chunk))


def items_done(p: Partition, e: ba.BatchItemsDone, v: Envelope) -> None:
    if (b := _of(p, e.batch)) is None:
        return
    for number in e.numbers:
        drop_ordered(p, b.in_hand, number)
    b.succeeded, b.failed, b.skipped = e.succeeded, e.failed, e.skipped


def paused(p: Partition, e: ba.BatchPaused, v: Envelope) -> None:
    if (b := _of(p, e.batch)) is not None:
        b.status = "paused"


def resumed(p: Partition, e: ba.BatchResumed, v: Envelope) -> None:
    if (b := _of(p, e.batch)) is not None:
        b.status = "running"


def aborted(p: Partition, e: ba.BatchAborted, v: Envelope) -> None:
    if (b := _of(p, e.batch)) is not None:
        b.status = "aborting"
        _drop_chunks(p, b)


def ended(p: Partition, e: ba.BatchEnded, v: Envelope) -> None:
    if (b := _of(p, e.batch)) is not None:
        _drop_chunks(p, b)
        drop(p, p.batches, e.batch)


def _drop_chunks(p: Partition, b: Batch) -> None:
    for chunk in b.chunks:
        _drop_chunk(p, chunk)
    b.chunks = []
