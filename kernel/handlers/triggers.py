"""Triggers: read by one, taken, paused, replayed (`kernel/triggers/`)."""

from __future__ import annotations

from typing import Any

from flowledger.events import triggers as tr
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import limits, lookup, values
from flowledger.kernel.access import ANY_TENANT
from flowledger.kernel.access.rights import may
from flowledger.kernel.decision import Decision
from flowledger.kernel.findings import Finding
from flowledger.kernel.handlers import deployable
from flowledger.kernel.model.trigger_sources import SOURCES
from flowledger.kernel.nouns import Trigger
from flowledger.kernel.triggers import home, paths

TTL_MS = (1_000, 600_000)
HOOK = paths.HOOK
LIST_MAX, LETTERS_MAX, TEXT_MAX = 200, 100, 500


def changed(d: Decision, tenant: str, name: str) -> None:
    """Its definitions have changed, here."""
    paths.settle(d, tenant, name)
    home.settle(d, tenant, name)


def findings(d: Decision, model: Any, file: str, paths_here: dict[str, str]) -> list[Finding]:
    """What is wrong with a trigger among the others. `paths_here`: of this deployment."""
    p, tenant, found = d.state, d.envelope.tenant, []
    if model.source == HOOK and isinstance(path := model.config.get("path"), str):
        whose = paths.taken_by(p, path) or (tenant, paths_here.get(path, model.name))
        if whose != (tenant, model.name):  # of what others have, no more than that it is taken
            other = f"that of trigger '{whose[1]}'" if whose[0] == tenant else "taken: paths are those of the whole server"
            found.append(deployable.error("TRIGGER_PATH", f"the path '{path}' is {other}", file, model.name))
        paths_here.setdefault(path, model.name)
    if sum(1 for _, kind, _ in p.process_versions if kind == "trigger") >= limits.TRIGGERS_MAX:
        found.append(deployable.error("TRIGGERS_TOO_MANY", f"expected at most {limits.TRIGGERS_MAX} triggers", file, model.name))
    return found


def _invalid(text: str) -> Rejected:
    return Rejected(RejectionCode.INVALID_ARGUMENT, text)


def _in_force(t: Trigger) -> Rejected | None:
    if not t.definition:
        return Rejected(RejectionCode.NOT_FOUND, f"no version of trigger '{t.name}' is in force")
    if t.paused:
        return Rejected(RejectionCode.INVALID_STATE, f"trigger '{t.name}' is paused")
    return None


def claim(d: Decision, e: tr.ClaimTrigger) -> Rejected | None:
    t = home.find(d, e.name)
    if isinstance(t, Rejected):
        return t
    now = d.facts.now_us
    if e.reader and e.reader != t.reader:
        return Rejected(RejectionCode.STALE, f"trigger '{t.name}' is read by number {t.reader}, found {e.reader}")
    if not (e.reader and not e.ttl_ms):  # what is given back may be in whatever state
        if (refused := _in_force(t)) is not None:
            return refused
        if not SOURCES[t.source].read:
            return Rejected(RejectionCode.INVALID_STATE, f"a trigger with a {t.source} has no reader")
        if not TTL_MS[0] <= e.ttl_ms <= TTL_MS[1]:
            return _invalid(f"ttl_ms: expected {TTL_MS[0]} to {TTL_MS[1]}, found {e.ttl_ms}")
    if not e.reader and t.until_us > now:
        return Rejected(RejectionCode.UNAVAILABLE, f"trigger '{t.name}' is read by {t.node}", max(1, (t.until_us - now) // 1000))
    d.record(tr.TriggerClaimed(
        trigger=t.key, reader=e.reader or t.reader + 1, node=values.clean(e.node, TEXT_MAX), until_us=now + e.ttl_ms * 1000 if e.ttl_ms else 0,
    ))  # fmt: skip
    if (error := values.clean(e.error, TEXT_MAX)) != t.error or e.lag != t.lag:
        d.record(tr.TriggerNoted(trigger=t.key, error=error, lag=e.lag))
    d.answer = {"trigger": t.key, "reader": t.reader, "until_us": t.until_us, "definition": t.definition, "places": dict(t.places)}
    return None


def take(d: Decision, e: tr.TakeItems) -> Rejected | None:
    t = home.find(d, e.name)
    if isinstance(t, Rejected):
        return t
    if (refused := _in_force(t)) is not None:
        return refused
    if t.source == home.SCHEDULE:
        return Rejected(RejectionCode.INVALID_STATE, "a schedule has no items but its times")
    if e.definition and e.definition != t.definition:
        return Rejected(RejectionCode.STALE, f"version {t.definition} of trigger '{t.name}' is in force, found {e.definition}")
    if e.reader != ((t.reader or -1) if SOURCES[t.source].read else 0):
        return Rejected(RejectionCode.STALE, f"trigger '{t.name}' is read by number {t.reader}, found {e.reader}")
    if not 1 <= len(e.items) <= limits.TRIGGER_ITEMS_MAX:
        return _invalid(f"items: expected 1 to {limits.TRIGGER_ITEMS_MAX}, found {len(e.items)}")
    if len(e.part) > limits.NAME_MAX or (e.part not in t.places and len(t.places) >= limits.TRIGGER_PLACES_MAX):
        return _invalid(f"part: expected at most {limits.TRIGGER_PLACES_MAX} parts with names of {limits.NAME_MAX} characters")
    d.batch(len(e.items))
    return home.take(d, t, e)


def control(d: Decision, e: tr.ControlTrigger) -> Rejected | None:
    t = home.find(d, e.name)
    if isinstance(t, Rejected):
        return t
    if e.move not in ("pause", "resume"):
        return _invalid(f"expected pause or resume, found '{e.move[:80]}'")
    if t.paused != (e.move == "resume"):
        return Rejected(RejectionCode.INVALID_STATE, f"trigger '{t.name}' is {'paused already' if t.paused else 'not paused'}")
    if e.move == "pause":
        home.stop(d, t)
        d.record(tr.TriggerPaused(trigger=t.key, reason=e.reason))
    else:
        d.record(tr.TriggerResumed(trigger=t.key, reason=e.reason))
        if t.definition:
            home.arm(d, t, d.facts.triggers[t.definition])
    d.answer = {"key": t.key, "status": "paused" if t.paused else "active"}
    return None


def settle(d: Decision, e: tr.SettleParked) -> Rejected | None:
    t = home.find(d, e.name)
    if isinstance(t, Rejected):
        return t
    if e.move not in ("replay", "discard"):
        return _invalid(f"expected replay or discard, found '{e.move[:80]}'")
    if not 1 <= len(e.letters) <= LETTERS_MAX:
        return _invalid(f"expected 1 to {LETTERS_MAX} parked items, found {len(e.letters)}")
    if e.move == "replay" and not t.definition:
        return Rejected(RejectionCode.NOT_FOUND, f"no version of trigger '{t.name}' is in force")
    outcomes: dict[str, Any] = {}
    d.batch(len(e.letters))
    for letter in dict.fromkeys(e.letters):
        if e.move == "replay":
            outcomes[str(letter)] = home.replay(d, t, letter, e.reason)
            continue
        found = d.state.trigger_letters.get(letter)
        there = found is not None and found.trigger == t.key
        if there:
            d.record(tr.TriggerSettled(trigger=t.key, letter=letter, reason=e.reason))
        outcomes[str(letter)] = {"outcome": "discarded" if there else "not_found"}
    if all(o["outcome"] == "not_found" for o in outcomes.values()):
        return Rejected(RejectionCode.NOT_FOUND, f"expected parked items of trigger '{t.name}', found none of these")
    d.answer = {"outcomes": outcomes}
    return None


def listing(d: Decision, e: tr.ListTriggers) -> Rejected | None:
    p = d.state
    everybody = d.request is not None and may(d.request, ANY_TENANT)
    after = (e.after[0], e.after[1]) if len(e.after) == 2 else ("", "")
    wanted = frozenset(e.sources)
    if e.deployed:
        found = {(tenant, id): lookup.latest(p, tenant, kind, id) for tenant, kind, id in p.process_versions if kind == "trigger"}
        known = {n: d.facts.triggers[x.key].source for n, x in found.items() if x is not None}
    else:
        known = {n: p.triggers[key].source for n, key in p.trigger_names.items()}
    names = sorted(n for n, source in known.items() if n > after and source in wanted and (everybody or n[0] == d.asked.tenant))
    items = []
    for name in names[:LIST_MAX]:
        t = None if e.deployed else p.triggers[p.trigger_names[name]]
        newest = found[name] if e.deployed else None
        definition = newest.key if newest is not None else t.definition if t is not None else 0
        if not definition:
            continue
        row = {
            "tenant": name[0],
            "name": name[1],
            "definition": definition,
            "source": known[name],
            "config": d.facts.triggers[definition].config,
        }
        if t is not None:
            row |= {"trigger": t.key, "paused": t.paused, "reader": t.reader, "node": t.node, "until_us": t.until_us}
        items.append(row)
    d.answer = {"items": items, "more": list(names[LIST_MAX - 1]) if len(names) > LIST_MAX else []}
    return None
