"""The home of a trigger: which version is in force, when a schedule is due, and items taken once each."""

from __future__ import annotations

from typing import Any

from flowledger.events import commands as c
from flowledger.events import triggers as tr
from flowledger.events import waiting as wa
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import limits, lookup
from flowledger.kernel.decision import Decision
from flowledger.kernel.model.trigger_resource import Trigger as Model
from flowledger.kernel.nouns import Trigger
from flowledger.kernel.state import Timer
from flowledger.kernel.triggers import schedule
from flowledger.kernel.triggers.effects import Item, effect
from flowledger.kernel.triggers.evaluate import FILTERED, PARKED, meaning, short

SCHEDULE = "schedule"
#: chunks of keys that one decision forgets
_FORGET_MAX = 200
#: of what one decision may do, so much is for the items themselves; the rest is for what follows from them here
_SHARE = 4


def element(trigger: int) -> str:
    """Of its timer: no element's id has a colon."""
    return f"trigger:{trigger}"


def settle(d: Decision, tenant: str, name: str) -> None:
    """The definitions of a trigger have changed: at its home another version may be in force, or none."""
    p = d.state
    if c.partition_of_text(name, p.meta.partitions) != p.meta.partition:
        return
    t = p.triggers.get(p.trigger_names.get((tenant, name), 0))
    newest = lookup.latest(p, tenant, "trigger", name)
    if newest is not None and (t is None or t.definition != newest.key):
        model: Model = d.facts.triggers[newest.key]
        d.for_request()
        key = t.key if t is not None else d.key()
        if t is None:
            d.record(tr.TriggerOpened(trigger=key, name=name))
        d.record(tr.TriggerChanged(trigger=key, definition=newest.key, source=model.source))
        arm(d, p.triggers[key], model)
    elif newest is None and t is not None:
        d.for_request()
        if p.process_versions.get((tenant, "trigger", name)):
            if t.definition:
                stop(d, t)
                d.record(tr.TriggerChanged(trigger=t.key))
        else:
            stop(d, t)
            d.record(tr.TriggerClosed(trigger=t.key))


def stop(d: Decision, t: Trigger) -> None:
    """Its timer is taken away; when it would have been due is kept."""
    timer = d.state.timers.get(t.timer)
    if timer is not None:
        d.record(wa.TimerCancelled(timer=timer.key, token=0, element=timer.element))
        d.record(tr.TriggerTimed(trigger=t.key, next_us=timer.due_us))


def arm(d: Decision, t: Trigger, model: Model) -> None:
    """Of a schedule: its next time. One that is past (it was paused meanwhile) stays, so that the timer makes up for it as the policy says."""
    if model.source != SCHEDULE:
        stop(d, t)
        return
    now, timer = d.facts.now_us, d.state.timers.get(t.timer)
    stop(d, t)
    if t.paused:
        return
    past = timer.due_us if timer is not None else t.next_us
    due_us = schedule.next_after(model.config, past - 1 if 0 < past <= now else now)
    if not due_us:
        d.record(tr.TriggerTimed(trigger=t.key))
        return
    key = d.key()
    d.record(wa.TimerScheduled(timer=key, token=0, element=element(t.key), due_us=due_us))
    d.record(tr.TriggerTimed(trigger=t.key, timer=key, next_us=due_us))


def fired(d: Decision, timer: Timer) -> None:
    """Timer `trigger:KEY`."""
    p, now = d.state, d.facts.now_us
    t = p.triggers.get(int(timer.element[8:]))
    if t is None or t.timer != timer.key or not t.definition:
        d.record(wa.TimerTriggered(timer=timer.key, token=0, element=timer.element))
        return
    model: Model = d.facts.triggers[t.definition]
    first = timer.due_us
    times, skipped = schedule.due(model.config, first, now)
    d.record(wa.TimerTriggered(timer=timer.key, token=0, element=timer.element, next_us=schedule.next_after(model.config, now)))
    counts = dict.fromkeys(("ran", "filtered", "parked"), 0)
    for nominal in times:
        context = schedule.context(model.config, nominal, now)
        meant = meaning(model, context, d.facts)
        if meant.kind == FILTERED or (meant.kind == PARKED and t.parked >= limits.TRIGGER_PARKED_MAX):
            counts["filtered"] += meant.kind == FILTERED
            continue
        item = Item(context, meant.key or context["scheduled"], place=nominal, nominal_us=nominal)
        counts["parked" if effect(d, t, meant, item).outcome == "parked" else "ran"] += 1
    d.for_request()
    d.record(
        tr.TriggerTaken(
            trigger=t.key,
            place=times[-1] if times else -1,
            skipped_us=skipped,
            ran=counts["ran"],
            filtered=counts["filtered"],
            parked=counts["parked"],
        )
    )


def find(d: Decision, name: str) -> Trigger | Rejected:
    """By the caller's tenant."""
    t = d.state.triggers.get(d.state.trigger_names.get((d.asked.tenant, name), 0))
    return t if t is not None else Rejected(RejectionCode.NOT_FOUND, f"expected a trigger named '{name[:200]}', found none")


def take(d: Decision, t: Trigger, e: tr.TakeItems) -> Rejected | None:
    """One after the other, as many as this decision has room for; the first always."""
    p = d.state
    model: Model = d.facts.triggers[t.definition]
    place = t.places.get(e.part, -1)
    known, fresh = p.trigger_seen.get(t.key) or {}, dict[str, None]()
    outcomes: list[str] = []
    made: list[int] = []
    parked, before = 0, place
    for given in e.items:
        if outcomes and _full(d):
            break
        if 0 <= given.place <= place or (given.place == tr.GONE and place < 0):
            outcomes.append("seen")
            made.append(0)
            continue
        if given.passed:
            outcomes.append("passed")
            made.append(0)
            place = max(place, given.place)
            continue
        key = short(given.key)
        meant = meaning(model, given.context, d.facts)._replace(key=key) if not model.key else meaning(model, given.context, d.facts)
        if given.reason:
            meant = meant._replace(kind=PARKED, code="UNREADABLE", reason=given.reason[:500], key=key)
        key = meant.key or key
        if key and (key in known or key in fresh):
            outcome, what = "seen", 0
        elif meant.kind == FILTERED:
            outcome, what = FILTERED, 0
        else:
            if t.parked >= limits.TRIGGER_PARKED_MAX and meant.kind == PARKED:
                if not outcomes:
                    return _no_room(t)
                break
            done = effect(d, t, meant, Item(given.context, key, e.part, given.place))
            outcome, what = done.outcome, done.made
            parked += outcome == "parked"
            if key:
                fresh[key] = None
        outcomes.append(outcome)
        made.append(what)
        place = max(place, given.place)
    count = outcomes.count
    idle = count("seen") + count("passed")
    ran = len(outcomes) - idle - count(FILTERED) - parked
    if place > before or len(outcomes) > idle:
        chunk = d.key() if fresh else 0
        d.for_request()
        d.record(tr.TriggerTaken(
            trigger=t.key, part=e.part, place=place if place > before else -1, chunk=chunk, keys=list(fresh),
            until_us=d.facts.now_us + model.lifetime_us if fresh else 0, gone=_gone(d, t, len(fresh)), ran=ran, seen=count("seen"),
            filtered=count(FILTERED), parked=parked, sample=e.sample,
        ))  # fmt: skip
    d.answer = {"outcomes": outcomes, "keys": made, "place": place}
    return None


def _no_room(t: Trigger) -> Rejected:
    text = f"{t.parked} items of trigger '{t.name}' are parked, all that are kept: replay or discard them"
    return Rejected(RejectionCode.RESOURCE_EXHAUSTED, text, 5_000)


def _full(d: Decision) -> bool:
    facts = d.facts
    return (
        d.spent()
        or len(d.events) >= limits.EVENTS_MAX // _SHARE
        or d.bytes >= limits.BYTES_MAX // _SHARE
        or facts.feel_left < (facts.feel_soft or limits.FEEL_STEPS_MAX) // _SHARE
    )


def _gone(d: Decision, t: Trigger, more: int) -> list[int]:
    """The oldest chunks of keys: those whose time is over, and those for which there is no room."""
    p = d.state
    out: list[int] = []
    left = len(p.trigger_seen.get(t.key) or ()) + more
    for chunk in p.trigger_chunks.get(t.key) or ():
        kept = p.trigger_keys[chunk]
        if (kept.until_us > d.facts.now_us and left <= limits.TRIGGER_KEYS_MAX) or len(out) >= _FORGET_MAX:
            break
        left -= len(kept.keys)
        out.append(chunk)
    return out


def replay(d: Decision, t: Trigger, letter: int, reason: str) -> dict[str, Any]:
    """A parked item by the version in force. It stays parked, with a new reason, when that can't use it either."""
    found = d.state.trigger_letters.get(letter)
    if found is None or found.trigger != t.key:
        return {"outcome": "not_found"}
    if found.context is None:
        return {"outcome": "parked", "reason": "its payload was too large to be kept: it can only be discarded"}
    meant = meaning(d.facts.triggers[t.definition], found.context, d.facts)
    item = Item(found.context, meant.key or found.item, found.part, found.place, letter=letter)
    if meant.kind == FILTERED:
        outcome: dict[str, Any] = {"outcome": FILTERED}
    else:
        done = effect(d, t, meant, item)
        outcome = (
            {"outcome": done.outcome, "reason": done.reason} if done.outcome == "parked" else {"outcome": done.outcome, "key": done.made}
        )
    if outcome["outcome"] != "parked":
        d.for_request()
        d.record(tr.TriggerSettled(trigger=t.key, letter=letter, replayed=True, reason=reason))
    return outcome
