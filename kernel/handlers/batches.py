"""Batches: made, filled, paused, resumed, aborted; and what partitions tell each other of items. See `kernel/batches/`."""

from __future__ import annotations

from flowledger.events import avro
from flowledger.events import batch as ba
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import waiting as wa
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import limits
from flowledger.kernel.batches import home, items
from flowledger.kernel.batches.actions import ACTIONS, problem
from flowledger.kernel.decision import Decision
from flowledger.kernel.folds.batches import upcoming
from flowledger.kernel.nouns import Batch


def _invalid(text: str) -> Rejected:
    return Rejected(RejectionCode.INVALID_ARGUMENT, text)


def create(d: Decision, e: co.CreateBatch) -> Rejected | None:
    p, request = d.state, d.request
    assert request is not None
    params = e.params or {}
    if wrong := problem(e.action, e.of, params):
        return _invalid(wrong)
    if not 0 <= e.total <= limits.BATCH_ITEMS_MAX:
        return _invalid(f"total: expected 0 to {limits.BATCH_ITEMS_MAX} items, found {e.total}")
    if not 0 <= e.rate <= limits.BATCH_RATE_MAX:
        return _invalid(f"rate: expected 0 (no limit) to {limits.BATCH_RATE_MAX} items a second, found {e.rate}")
    for name, value in (("params", params), ("filter", e.filter)):
        if value and (size := len(avro.encode_json(value))) > limits.BATCH_PARAMS_BYTES_MAX:
            return _invalid(f"{name}: expected at most {limits.BATCH_PARAMS_BYTES_MAX} bytes, found {size}")
    if len(p.batches) >= limits.BATCHES_MAX:
        text = f"{len(p.batches)} batches of partition {p.meta.partition} have not ended: wait for one, or abort one"
        return Rejected(RejectionCode.RESOURCE_EXHAUSTED, text, 1_000)
    key, timer = d.key(), d.key() if e.total else 0
    d.record(ba.BatchCreated(
        batch=key, action=e.action, total=e.total, params=e.params or None, rate=e.rate, of=e.of or ACTIONS[e.action].of[0], filter=e.filter,
        reason=e.reason, rights=request.rights, groups=request.groups, timer=timer,
    ))  # fmt: skip
    b = p.batches[key]
    if not e.total:
        home.end(d, b, "completed")
        d.answer = {"key": key, "status": "completed", "total": 0}
        return None
    d.record(wa.TimerScheduled(timer=timer, token=0, element=home.element(key), due_us=d.facts.now_us + home.COLLECT_US))
    d.answer = {"key": key, "status": b.status, "total": e.total}
    return None


def _find(d: Decision, key: int) -> Batch | Rejected:
    b = d.state.batches.get(key)
    return b if b is not None else Rejected(RejectionCode.NOT_FOUND, f"expected a batch that has not ended with key {key}, found none")


def _order(key: int) -> tuple[int, int]:
    return key & ((1 << c.PARTITION_BITS) - 1), key >> c.PARTITION_BITS


def add(d: Decision, e: co.AddBatchItems) -> Rejected | None:
    b = _find(d, e.batch)
    if isinstance(b, Rejected):
        return b
    if b.status != "collecting" or e.at + len(e.items) <= b.added:
        d.answer = {"key": b.key, "status": b.status, "items": b.added}
        return None
    if e.at != b.added:
        return Rejected(RejectionCode.INVALID_STATE, f"at: expected the items from number {b.added} on, found {e.at}")
    if b.added + len(e.items) > b.total:
        return _invalid(f"items: expected {b.total - b.added} more of {b.total}, found {len(e.items)}")
    last = b.last
    for key in e.items:
        if not 0 < key < 1 << 63:
            return _invalid(f"items: expected keys (numbers of 63 bits), found {key}")
        if last and _order(key) <= _order(last):
            return _invalid(f"items: expected them by their number, then by partition, each once; found {key} behind {last}")
        last = key
    gone = frozenset(e.missing)
    missing = [n for n, key in enumerate(e.items, e.at) if key in gone]
    d.record(ba.BatchItemsAdded(batch=b.key, chunk=d.key(), at=e.at, items=e.items, missing=missing))
    home.advance(d, b.key)
    now = d.state.batches.get(b.key)
    d.answer = {"key": b.key, "status": now.status if now is not None else "ended", "items": b.added}
    return None


def control(d: Decision, e: co.ControlBatch) -> Rejected | None:
    b = _find(d, e.batch)
    if isinstance(b, Rejected):
        return b
    row = _MOVES.get(e.move)
    if row is None:
        return _invalid(f"expected one of {', '.join(_MOVES)}, found '{e.move[:80]}'")
    event, allowed = row
    if b.status not in allowed:
        return Rejected(
            RejectionCode.INVALID_STATE, f"can't {e.move} batch {b.key}: it is {b.status}, expected {' or '.join(sorted(allowed))}"
        )
    d.record(event(batch=b.key, reason=e.reason))
    home.advance(d, b.key)
    now = d.state.batches.get(b.key)
    d.answer = {"key": b.key, "status": now.status if now is not None else "aborted" if e.move == "abort" else "ended"}
    return None


_MOVES: dict[str, tuple[type[ba.BatchPaused] | type[ba.BatchResumed] | type[ba.BatchAborted], frozenset[str]]] = {
    "pause": (ba.BatchPaused, frozenset({"running"})),
    "resume": (ba.BatchResumed, frozenset({"paused"})),
    "abort": (ba.BatchAborted, frozenset({"collecting", "running", "paused"})),
}


def prepare(d: Decision, e: co.PrepareBatchItems) -> Rejected | None:
    b = _find(d, e.batch)
    if isinstance(b, Rejected):
        return b
    if not ACTIONS[b.action].prepared:
        return Rejected(RejectionCode.INVALID_STATE, f"items of {b.action} need nothing")
    if len(e.items) > limits.BATCH_PREPARE_MAX:
        return _invalid(f"items: expected at most {limits.BATCH_PREPARE_MAX}, found {len(e.items)}")
    for item in e.items:
        if not isinstance(item, list) or len(item) not in (2, 4) or not isinstance(item[0], int):
            return _invalid("items: expected [key, what it needs], or [key, null, code, message] each")
        if (size := len(avro.encode_json(item[1]))) > limits.BATCH_PREPARED_BYTES_MAX:
            return _invalid(f"items: expected at most {limits.BATCH_PREPARED_BYTES_MAX} bytes each, found {size}")
    if e.items and e.at > b.next:
        return Rejected(RejectionCode.INVALID_STATE, f"at: expected the items from number {b.next} on, found {e.at}")
    if fresh := e.items[b.next - e.at :]:
        if wrong := home.prepared(d, b, fresh):
            return _invalid(f"items: {wrong}")
    now = d.state.batches.get(b.key)
    if now is None:
        d.answer = {"key": e.batch, "status": "ended", "next": b.next, "items": [], "wait_ms": 0}
        return None
    ready = upcoming(d.state, now, min(limits.BATCH_PREPARE_MAX, home.room(d, now)))
    d.answer = {
        "key": now.key, "status": now.status, "next": now.next, "items": ready, "params": now.params or {}, "tenant": now.tenant, "wait_ms": home.wait_ms(d, now),
    }  # fmt: skip
    return None


def do_items(d: Decision, e: co.DoBatchItems) -> Rejected | None:
    """For a batch of another partition."""
    asked = items.Asked(e.batch, e.action, e.params or {}, e.reason, d.asked.tenant, d.asked.actor, d.asked.correlation, e.rights, e.groups)
    if e.action not in ACTIONS:
        return _invalid(f"action: expected one of {', '.join(ACTIONS)}, found '{e.action[:80]}'")
    done, again = items.do(d, asked, e.numbers, e.items, e.prepared)
    d.send(e.home, co.TellBatchItems(batch=e.batch, done=done, again=again))
    return None


def not_done(e: co.DoBatchItems, rejected: Rejected) -> co.TellBatchItems:
    """What its home hears when none could be tried."""
    message = rejected.message[:500]
    return co.TellBatchItems(batch=e.batch, done=[[n, items.FAILED, rejected.code, message] for n in e.numbers], again=[])


def told(d: Decision, e: co.TellBatchItems) -> Rejected | None:
    b = d.state.batches.get(e.batch)
    if b is None:  # a repeated answer of before
        return None
    home.record(d, b, e.done)
    home.unsent(d, b, e.again)
    home.advance(d, e.batch)
    return None
