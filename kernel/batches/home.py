"""The home of a batch: it keeps the items, sends each once to the partition of its key, and counts what comes back.

So many are in hand at once (`in_hand_max`); the next go out when results of half of them have come, or when a timer says that the rate allows it. Items of the home's own
partition are done here, a few in each decision, so that others have their turn. All of it is events: whoever owns the partition next goes on.
"""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.events import avro
from flowledger.events import batch as ba
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import waiting as wa
from flowledger.events.base import RejectionCode
from flowledger.kernel import limits, values
from flowledger.kernel.batches import items
from flowledger.kernel.batches.actions import ACTIONS
from flowledger.kernel.decision import Decision
from flowledger.kernel.folds.batches import missing, upcoming
from flowledger.kernel.nouns import Batch
from flowledger.kernel.state import Timer

#: a rate is met over this time (microseconds): so much may be made up for at once, and a timer comes no more often than half of it
_BURST_US = 100_000
#: results of what is under way come about so soon (milliseconds)
RESULTS_MS = 20
#: a batch whose items have not all come by then never begins
COLLECT_US = 600_000_000


def element(b: int) -> str:
    """Of its timers: no element's id has a colon."""
    return f"batch:{b}"


def advance(d: Decision, key: int) -> None:
    """Do what may be done now, and end the batch when nothing is left."""
    b = d.state.batches.get(key)
    if b is None or b.status == "collecting":
        return
    prepared = ACTIONS[b.action].prepared
    mine = _own(d, b) if not prepared else []
    if b.status == "running" and b.next < b.total and not prepared:
        mine += _send(d, b, limits.BATCH_SEND_MAX - len(mine))
    if mine:
        done, again = items.do(d, _asked(b), mine, [b.in_hand[n] for n in mine])
        record(d, b, done)
        if again:
            _wake(d, b, d.facts.now_us)
    if not b.in_hand and (b.next == b.total or b.status == "aborting"):
        _end(d, b)


def room(d: Decision, b: Batch) -> int:
    """How many prepared items may go now: a record is of one, so that what it needs has room, and it is done in the first try."""
    most = min(limits.BATCH_RECORDS_MAX, max(limits.BATCH_RECORDS_MIN, d.state.meta.partitions))
    return max(0, min(most - len(b.in_hand), _allowed(b, d.facts.now_us)[0], b.total - b.next)) if b.status == "running" else 0


def prepared(d: Decision, b: Batch, given: list[list[Any]]) -> str:
    """The first of `given`, which are from number `next` on, go; one of this partition's own is done here. Returns what is wrong with them; `""`: nothing."""
    keys = upcoming(d.state, b, min(room(d, b), len(given)))
    if wrong := next((key for key, item in zip(keys, given, strict=False) if item[0] != key), 0):
        return f"expected item {wrong} next"
    tried = False
    for key, item in zip(keys, given, strict=False):
        own = len(item) == 2 and _is_own(d, key)
        if own and tried and items.full(d):
            break
        number, since = b.next, _allowed(b, d.facts.now_us)[1]
        d.record(ba.BatchItemsSent(batch=b.key, first=number, count=1, paid_us=since + _each_us(b) if b.rate else 0))
        if len(item) > 2:
            code = values.clean(str(item[2]), items.WHY_MAX)
            record(d, b, [[number, items.outcome_of(code), code, values.clean(str(item[3]), items.WHY_MAX)]])
        elif own:
            record(d, b, items.do(d, _asked(b), [number], [key], [item[1]])[0])
            tried = True
        else:
            give(d, b, c.partition_of_key(key), [number], [item[1]])
    advance(d, b.key)
    return ""


def wait_ms(d: Decision, b: Batch) -> int:
    """How long no prepared item can go; 0: one can."""
    if room(d, b) or b.status != "running" or b.next == b.total:
        return 0
    return max(1, min(1_000, _each_us(b) // 1_000)) if b.rate else RESULTS_MS


def in_hand_max(partitions: int) -> int:
    """A record for each partition: while it is decided, the next command of somebody else waits; behind many of them it would wait for long."""
    return limits.BATCH_SEND_MAX * min(limits.BATCH_RECORDS_MAX, max(limits.BATCH_RECORDS_MIN, partitions))


def _asked(b: Batch) -> items.Asked:
    return items.Asked(b.key, b.action, b.params or {}, b.reason, b.tenant, b.actor, b.correlation, b.rights, b.groups)


def _is_own(d: Decision, key: int) -> bool:
    """What belongs to no partition is answered here as well: there is no such thing."""
    to = c.partition_of_key(key)
    return to == d.state.meta.partition or to >= d.state.meta.partitions


def _own(d: Decision, b: Batch) -> list[int]:
    """Numbers of items in hand for which a decision before had no room."""
    return [n for n, key in b.in_hand.items() if _is_own(d, key)][: limits.BATCH_SEND_MAX]


def _send(d: Decision, b: Batch, own_max: int) -> list[int]:
    """The next items are in hand; those of other partitions are sent. Returns the numbers of the own ones."""
    now = d.facts.now_us
    most = in_hand_max(d.state.meta.partitions)
    room = most - len(b.in_hand)
    if 2 * room < most:  # results come, or own ones have their turn; and records stay full
        return []
    allowed, since = _allowed(b, now)
    keys = upcoming(d.state, b, min(room, allowed))
    mine: list[int] = []
    out: dict[int, list[int]] = {}
    count = 0
    absent = missing(d.state, b, len(keys))
    gone: list[list[object]] = []
    for number, key in enumerate(keys, b.next):
        if number in absent:
            gone.append([number, items.SKIPPED, RejectionCode.NOT_FOUND, ACTIONS[b.action].missing.format(key)])
        elif _is_own(d, key):
            if len(mine) >= own_max:
                break
            mine.append(number)
        else:
            out.setdefault(c.partition_of_key(key), []).append(number)
        count += 1
    paid_us = since - (-count * 1_000_000 // b.rate) if b.rate else 0
    due_us, timer = 0, 0
    if b.next + count < b.total and (count < room or gone):  # no result may be needed to go on
        due_us = now if count < len(keys) or (gone and count == room) else paid_us + max(_each_us(b), _BURST_US // 2)
        timer = _timer(d, b, due_us)
    if count or timer:
        d.record(ba.BatchItemsSent(batch=b.key, first=b.next, count=count, paid_us=paid_us, timer=timer))
    if timer:
        d.record(wa.TimerScheduled(timer=timer, token=0, element=element(b.key), due_us=due_us))
    record(d, b, gone)
    for to in sorted(out):
        give(d, b, to, out[to])
    return mine


def _each_us(b: Batch) -> int:
    """How long one item uses up the rate, rounded up."""
    return -(-1_000_000 // b.rate)


def _allowed(b: Batch, now: int) -> tuple[int, int]:
    """How many items the rate allows now, and the time up to which it is used up (microseconds). Source: GCRA, as in `kernel/tasks/guards.py`."""
    if not b.rate:
        return b.total, 0
    since = max(b.paid_us, now - max(_BURST_US, _each_us(b)))
    return max(0, now - since) * b.rate // 1_000_000, since


def _timer(d: Decision, b: Batch, due_us: int) -> int:
    """A key for a new timer, in the place of one that is later; 0: one that is early enough is set."""
    found: Timer | None = d.state.timers.get(b.timer)
    if found is None:
        return d.key()
    if found.due_us <= due_us:
        return 0
    d.record(wa.TimerCancelled(timer=found.key, token=0, element=found.element))
    return d.key()


def _wake(d: Decision, b: Batch, due_us: int) -> None:
    if timer := _timer(d, b, due_us):
        d.record(ba.BatchItemsSent(batch=b.key, first=b.next, count=0, paid_us=b.paid_us, timer=timer))
        d.record(wa.TimerScheduled(timer=timer, token=0, element=element(b.key), due_us=due_us))


def give(d: Decision, b: Batch, to: int, numbers: list[int], prepared: list[Any] | None = None) -> None:
    """In the name of who asked for the batch, whatever moves it on."""
    before = (d.asked, d.asked_prefix)
    d.asked = msgspec.structs.replace(before[0], tenant=b.tenant, actor=b.actor, correlation=b.correlation)
    d.asked_prefix = avro.encode_envelope(d.asked)
    d.for_request()
    _give(d, b, to, numbers, prepared)
    d.asked, d.asked_prefix = before
    d.for_request()


def _give(d: Decision, b: Batch, to: int, numbers: list[int], prepared: list[Any] | None) -> None:
    for at in range(0, len(numbers), limits.BATCH_SEND_MAX):
        some = numbers[at : at + limits.BATCH_SEND_MAX]
        d.send(to, co.DoBatchItems(
            batch=b.key, home=d.state.meta.partition, action=b.action, numbers=some, items=[b.in_hand[n] for n in some], params=b.params,
            reason=b.reason, rights=b.rights, groups=b.groups, prepared=prepared,
        ))  # fmt: skip


def record(d: Decision, b: Batch, done: list[list[object]]) -> None:
    """Results of items in hand; what came before is passed over."""
    known = [row for row in done if row[0] in b.in_hand]
    if not known:
        return
    outcomes = [str(row[1]) for row in known]
    why = {str(row[0]): [row[2], row[3]] for row in known if row[1] != items.SUCCEEDED}
    d.record(ba.BatchItemsDone(
        batch=b.key, numbers=[int(str(row[0])) for row in known], outcomes=outcomes, why=why or None,
        succeeded=b.succeeded + outcomes.count(items.SUCCEEDED), failed=b.failed + outcomes.count(items.FAILED),
        skipped=b.skipped + outcomes.count(items.SKIPPED),
    ))  # fmt: skip


def unsent(d: Decision, b: Batch, numbers: list[int]) -> None:
    """There was no room for these where they live: they go again; once the batch is aborted they are not done."""
    left = [n for n in numbers if n in b.in_hand]
    if ACTIONS[b.action].prepared:  # what they need isn't kept
        record(d, b, [[n, items.FAILED, RejectionCode.RESOURCE_EXHAUSTED, "there was no room for it"] for n in left])
    elif b.status == "aborting":
        record(d, b, [[n, items.SKIPPED, "ABORTED", "the batch was aborted before it was tried"] for n in left])
    elif left:
        give(d, b, c.partition_of_key(b.in_hand[left[0]]), left)


def _end(d: Decision, b: Batch) -> None:
    status = "aborted" if b.status == "aborting" else "completed" if not b.failed else "partial" if b.succeeded else "failed"
    end(d, b, status)


def end(d: Decision, b: Batch, status: str, reason: str = "") -> None:
    if b.timer in d.state.timers:
        d.record(wa.TimerCancelled(timer=b.timer, token=0, element=element(b.key)))
    d.record(ba.BatchEnded(
        batch=b.key, status=status, succeeded=b.succeeded, failed=b.failed, skipped=b.skipped, reason=reason
    ))  # fmt: skip


def fired(d: Decision, t: Timer) -> None:
    """Timer `batch:KEY`."""
    key = int(t.element[6:])
    d.record(wa.TimerTriggered(timer=t.key, token=0, element=t.element))
    b = d.state.batches.get(key)
    if b is not None and b.status == "collecting":
        if b.created_us + COLLECT_US <= d.facts.now_us:
            end(d, b, "aborted", f"only {b.added} of its {b.total} items came")
        return
    advance(d, key)
