"""Folds of triggers, at their home."""

from __future__ import annotations

from flowledger.events import triggers as tr
from flowledger.events.base import Envelope
from flowledger.kernel.folds.tokens import seen_key
from flowledger.kernel.nouns import Trigger, TriggerKeys, TriggerLetter
from flowledger.kernel.state import Partition
from flowledger.kernel.undo import drop, drop_ordered, drop_placed, keep, nest, new, put


def opened(p: Partition, e: tr.TriggerOpened, v: Envelope) -> None:
    seen_key(p, e.trigger)
    put(p, p.triggers, e.trigger, Trigger(key=e.trigger, tenant=v.tenant, name=e.name))
    put(p, p.trigger_names, (v.tenant, e.name), e.trigger)
    p.changed.add(("trigger", e.trigger))


def _of(p: Partition, key: int) -> Trigger | None:
    """It is about to change."""
    t = p.triggers.get(key)
    if t is not None:
        keep(p, t)
        p.changed.add(("trigger", key))
    return t


def changed(p: Partition, e: tr.TriggerChanged, v: Envelope) -> None:
    if (t := _of(p, e.trigger)) is not None:
        t.definition, t.source = e.definition, e.source or t.source


def closed(p: Partition, e: tr.TriggerClosed, v: Envelope) -> None:
    if (t := _of(p, e.trigger)) is None:
        return
    _forget(p, e.trigger, list(p.trigger_chunks.get(e.trigger) or ()))
    for key in [k for k, letter in p.trigger_letters.items() if letter.trigger == e.trigger]:
        _drop_letter(p, key)
    drop(p, p.trigger_seen, e.trigger)
    drop(p, p.trigger_chunks, e.trigger)
    drop(p, p.trigger_names, (t.tenant, t.name))
    drop(p, p.triggers, e.trigger)


def paused(p: Partition, e: tr.TriggerPaused, v: Envelope) -> None:
    if (t := _of(p, e.trigger)) is not None:
        t.paused = True


def resumed(p: Partition, e: tr.TriggerResumed, v: Envelope) -> None:
    if (t := _of(p, e.trigger)) is not None:
        t.paused = False


def timed(p: Partition, e: tr.TriggerTimed, v: Envelope) -> None:
    if (t := _of(p, e.trigger)) is not None:
        t.timer, t.next_us = e.timer, e.next_us


def claimed(p: Partition, e: tr.TriggerClaimed, v: Envelope) -> None:
    if (t := _of(p, e.trigger)) is not None:
        t.reader, t.node, t.until_us = e.reader, e.node, e.until_us


def noted(p: Partition, e: tr.TriggerNoted, v: Envelope) -> None:
    if (t := _of(p, e.trigger)) is not None:
        t.error, t.lag = e.error, e.lag


def taken(p: Partition, e: tr.TriggerTaken, v: Envelope) -> None:
    if e.chunk:
        seen_key(p, e.chunk)
    if (t := _of(p, e.trigger)) is None:
        return
    if e.place == tr.GONE:
        drop_placed(p, t.places, e.part)
    elif e.place >= 0:
        put(p, t.places, e.part, e.place)
    _forget(p, e.trigger, e.gone)
    if e.chunk:
        put(p, p.trigger_keys, e.chunk, TriggerKeys(key=e.chunk, trigger=e.trigger, until_us=e.until_us, keys=e.keys))
        p.changed.add(("trigger_keys", e.chunk))
        new(p, nest(p, p.trigger_chunks, e.trigger), e.chunk, None)
        seen = nest(p, p.trigger_seen, e.trigger)
        for key in e.keys:
            put(p, seen, key, e.chunk)


def _forget(p: Partition, trigger: int, chunks: list[int]) -> None:
    of, seen = p.trigger_chunks.get(trigger) or {}, p.trigger_seen.get(trigger) or {}
    for chunk in chunks:
        kept = drop(p, p.trigger_keys, chunk)
        drop_ordered(p, of, chunk)
        p.changed.add(("trigger_keys", chunk))
        for key in kept.keys if kept is not None else ():
            if seen.get(key) == chunk:
                drop(p, seen, key)


def parked(p: Partition, e: tr.TriggerParked, v: Envelope) -> None:
    seen_key(p, e.letter)
    if (t := _of(p, e.trigger)) is None:
        return
    if e.letter not in p.trigger_letters:
        t.parked += 1
    put(p, p.trigger_letters, e.letter, TriggerLetter(
        key=e.letter, trigger=e.trigger, item=e.item, part=e.part, place=e.place, context=e.context,
    ))  # fmt: skip
    p.changed.add(("trigger_letter", e.letter))


def settled(p: Partition, e: tr.TriggerSettled, v: Envelope) -> None:
    if (t := _of(p, e.trigger)) is not None and e.letter in p.trigger_letters:
        t.parked -= 1
        _drop_letter(p, e.letter)


def _drop_letter(p: Partition, key: int) -> None:
    drop(p, p.trigger_letters, key)
    p.changed.add(("trigger_letter", key))


def rebuild(p: Partition) -> None:
    """After a checkpoint was loaded."""
    for t in p.triggers.values():
        p.trigger_names[t.tenant, t.name] = t.key
    for key in sorted(p.trigger_keys):
        kept = p.trigger_keys[key]
        p.trigger_chunks.setdefault(kept.trigger, {})[key] = None
        p.trigger_seen.setdefault(kept.trigger, {}).update(dict.fromkeys(kept.keys, key))
