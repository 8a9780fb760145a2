"""Holds are placed and released (docs/decisions/0009): over one instance on its partition, over more at the first, which tells all others.

Called instances follow a hold over one: each gets a hold of its own, which knows whose it follows. A hold over more is one record; its release goes over
what it held in order of keys, a slice at a time, each slice by a timer of its own, so that it goes on whoever serves the partition.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

from flowledger.events import commands as c
from flowledger.events import holds as ho
from flowledger.events import waiting as wa
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import holding
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers import keeping
from flowledger.kernel.hooks import HOOKS
from flowledger.kernel.state import Hold, Instance

#: holds over more than one instance, and over one
HOLDS_MAX = 1_000
HOLDS_ON_ONE_MAX = 100
#: characters of a subject, of a reason
SUBJECT_MAX = 512
REASON_MAX = 2_000
#: instances a second
RATE_MAX = 1_000_000
#: instances that are released in one step, and slices a second where a rate is given
SLICE_MAX = 500
SLICES_PER_S = 10
MODES = (holding.PAUSE, holding.SUSPEND)
_TARGETS = ("job:", "tenant:", "endpoint:", "assignee:")
#: mode -> (events of its begin and its end, statuses it can be placed upon)
_EVENTS: dict[str, tuple[Any, Any]] = {
    holding.PAUSE: (wf.WorkflowPaused, wf.WorkflowUnpaused), holding.SUSPEND: (wf.WorkflowSuspended, wf.WorkflowResumed),
}  # fmt: skip


def _invalid(expected: str) -> Rejected:
    return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected {expected}")


# --- place ------------------------------------------------------------------------------------------------------------------


def place(d: Decision, e: c.PlaceHold) -> Rejected | None:
    p = d.state
    if (wrong := _wrong(d, e)) is not None:
        return wrong
    if e.scope == "instance":
        i = p.instances.get(int(e.subject))
        if i is None:
            return Rejected(RejectionCode.NOT_FOUND, f"expected a running instance with key {e.subject}, found none")
        if i.status not in ("running", "suspended"):
            return Rejected(RejectionCode.INVALID_STATE, f"can't hold instance {i.key}: it is {i.status}")
        if len(on(d, i)) >= HOLDS_ON_ONE_MAX:
            return Rejected(RejectionCode.RESOURCE_EXHAUSTED, f"expected at most {HOLDS_ON_ONE_MAX} holds on instance {i.key}")
        hold = place_on(d, i, e.mode, e.reason, e.children, until_us=e.until_us)
    else:
        if sum(1 for h in p.holds.values() if h.scope != "instance") >= HOLDS_MAX:
            return Rejected(RejectionCode.RESOURCE_EXHAUSTED, f"expected at most {HOLDS_MAX} holds over more than one instance")
        hold = d.key()
        fields: dict[str, Any] = {f: getattr(e, f) for f in ("scope", "subject", "mode", "starts", "children", "until_us", "reason")}
        d.record(ho.HoldPlaced(hold=hold, **fields))
        _wake(d, hold, e.until_us)
        _tell_others(d, c.SetHold(hold=hold, **fields))
    d.answer = {"key": hold, "scope": e.scope, "subject": e.subject, "mode": e.mode, "state": "held"}
    return None


def _wrong(d: Decision, e: c.PlaceHold) -> Rejected | None:
    if e.scope not in holding.SCOPES:
        return _invalid(f"a scope of {', '.join(holding.SCOPES)}, found '{e.scope}'")
    if e.mode not in MODES:
        return _invalid(f"the mode pause or suspend, found '{e.mode}'")
    if e.starts not in ("hold", "refuse"):
        return _invalid(f"starts hold or refuse, found '{e.starts}'")
    if e.starts != "hold" and e.scope not in holding.OF_STARTS:
        return _invalid(f"starts only with a scope of {', '.join(sorted(holding.OF_STARTS))}, found '{e.scope}'")
    if len(e.subject) > SUBJECT_MAX or (not e.subject and e.scope != "tenant"):
        return _invalid(f"a subject of 1 to {SUBJECT_MAX} characters, found {len(e.subject)}")
    if len(e.reason) > REASON_MAX:
        return _invalid(f"a reason of at most {REASON_MAX} characters, found {len(e.reason)}")
    if e.until_us and e.until_us <= d.facts.now_us:
        return _invalid("an end in the future")
    if e.scope in ("instance", "version") and not e.subject.isdecimal():
        return _invalid(f"the key of {'an instance' if e.scope == 'instance' else 'a version'}, found '{e.subject}'")
    if e.scope == "target" and not e.subject.startswith(_TARGETS):
        return _invalid(f"a target that begins with {', '.join(_TARGETS)}, found '{e.subject}'")
    return _unknown(d, e)


def _unknown(d: Decision, e: c.PlaceHold) -> Rejected | None:
    """A name that means nothing is a mistake."""
    p, (place, slash, element) = d.state, e.subject.partition("/")
    found = list(_versions(d, place if e.scope == "element" else e.subject))
    if e.scope == "definition" and not found:
        return Rejected(RejectionCode.NOT_FOUND, f"expected a process with id '{e.subject}', found none")
    if (e.scope == "version" and (of := p.definitions.get(int(e.subject))) is None) or (
        e.scope == "version" and of is not None and of.kind != "process"
    ):
        return Rejected(RejectionCode.NOT_FOUND, f"expected a version of a process with key {e.subject}, found none")
    if e.scope == "element":
        if not slash or not element:
            return _invalid(f"PROCESS/ELEMENT with the id of a process or the key of a version, found '{e.subject}'")
        keys = [int(place)] if place.isdecimal() and int(place) in p.definitions else found
        if not any(element in d.facts.processes[k].nodes for k in keys):
            return Rejected(RejectionCode.NOT_FOUND, f"expected an element '{element}' in process '{place}', found none")
    return None


def _versions(d: Decision, id: str) -> list[int]:
    p, tenant = d.state, d.envelope.tenant
    if tenant:
        found = [p.process_versions.get((t, "process", id)) or {} for t in (tenant, "")]
    else:
        found = [v for (_, kind, name), v in p.process_versions.items() if kind == "process" and name == id]
    return [key for versions in found for key in versions.values()]


def on(d: Decision, i: Instance) -> list[Hold]:
    """Holds that are placed on this instance."""
    return list((d.state.holding.get("instance") or {}).get(str(i.key), {}).values())


def place_on(d: Decision, i: Instance, mode: str, reason: str, children: bool, until_us: int = 0, of: int = 0) -> int:
    begins, _ = _EVENTS[mode]
    first = not (i.paused if mode == holding.PAUSE else "suspended" in (i.status, i.before))
    hold = d.key()
    d.record(
        ho.HoldPlaced(
            key=i.key, hold=hold, scope="instance", subject=str(i.key), mode=mode, children=children, until_us=until_us, reason=reason, of=of,
        )
    )  # fmt: skip
    if first:
        d.record(begins(key=i.key, reason=reason))
    _wake(d, hold, until_us)
    if children:
        for child in called(d, i):
            _tell_child(d, i, child, d.state.holds[hold])
    return hold


def called(d: Decision, i: Instance) -> list[int]:
    """Instances that call activities of `i` wait for."""
    nodes = d.process(i).nodes
    return [t.data["child"] for t in i.tokens.values() if t.data and t.data.get("child") and nodes[t.element].kind == "callActivity"]


def _tell_child(d: Decision, i: Instance, child: int, h: Hold, release: bool = False) -> None:
    move = {holding.PAUSE: "unpause", holding.SUSPEND: "resume"}[h.mode] if release else h.mode
    d.send(
        c.partition_of_key(child),
        c.ControlInstance(key=child, move=move, reason=h.reason or f"its caller {i.key}: {move}", followed=True, hold=h.id),
    )


def tell_called(d: Decision, i: Instance, child: int) -> None:
    """A called instance has begun while its caller is held."""
    for h in on(d, i):
        if h.children:
            _tell_child(d, i, child, h)


def _wake(d: Decision, hold: int, at_us: int) -> None:
    if at_us:
        d.record(wa.TimerScheduled(timer=d.key(), token=0, element=f"hold:{hold}", due_us=at_us))


def _tell_others(d: Decision, told: c.SetHold) -> None:
    for to in _others(d):
        d.send(to, told)


def _others(d: Decision) -> list[int]:
    meta = d.state.meta
    return [q for q in range(meta.partitions) if q != meta.partition]


def told(d: Decision, e: c.SetHold) -> Rejected | None:
    h = d.state.holds.get(e.hold)
    if e.rate >= 0:
        if h is not None:
            _begin(d, h, e.rate, e.reason, [])
    elif h is None or (h.upto and e.hold == c.START_HOLD):  # a server starts in hold once more
        fields: dict[str, Any] = {f: getattr(e, f) for f in ("scope", "subject", "mode", "starts", "children", "until_us", "reason")}
        d.record(ho.HoldPlaced(hold=e.hold, **fields))
    return None


# --- release ----------------------------------------------------------------------------------------------------------------


def release(d: Decision, e: c.ReleaseHold) -> Rejected | None:
    h = d.state.holds.get(e.key)
    if h is None:
        return Rejected(RejectionCode.NOT_FOUND, f"expected a hold with key {e.key}, found none")
    if not 0 <= e.rate <= RATE_MAX:
        return _invalid(f"a rate of 0 to {RATE_MAX} a second, found {e.rate}")
    if len(e.reason) > REASON_MAX:
        return _invalid(f"a reason of at most {REASON_MAX} characters, found {len(e.reason)}")
    _release(d, h, e.rate, e.reason)
    d.answer = {"key": e.key, "state": "resuming" if e.key in d.state.holds else "released"}
    return None


def _release(d: Decision, h: Hold, rate: int, reason: str) -> None:
    if h.scope == "instance":
        release_on(d, d.state.instances[int(h.subject)], [h], reason)
        return
    _tell_others(d, c.SetHold(hold=h.id, rate=rate, reason=reason))
    _begin(d, h, rate, reason, _others(d))


def release_on(d: Decision, i: Instance, holds: list[Hold], reason: str, go_on: bool = True) -> None:
    """Holds on one instance are over. What else holds it stays; without any it goes on."""
    for h in holds:
        d.record(ho.HoldReleased(key=i.key, hold=h.id, reason=reason))
        if h.children and go_on:
            for child in called(d, i):
                _tell_child(d, i, child, h, release=True)
    left = {h.mode for h in on(d, i)}
    if i.paused and holding.PAUSE not in left:
        d.record(wf.WorkflowUnpaused(key=i.key, reason=reason))
    if "suspended" in (i.status, i.before) and holding.SUSPEND not in left:
        d.record(wf.WorkflowResumed(key=i.key, reason=reason, drains=go_on))
        if go_on:
            keeping.go_on(d, i)


def _begin(d: Decision, h: Hold, rate: int, reason: str, others: list[int]) -> None:
    """Here; a second time it is only for another rate."""
    again, meta = h.upto > 0, d.state.meta
    d.record(ho.HoldReleasing(hold=h.id, upto=meta.partition << c.PARTITION_BITS | meta.counter, rate=rate, reason=reason, others=others))
    if not again:
        _advance(d, h)


def _advance(d: Decision, h: Hold) -> None:
    """The next slice. Instances in which something goes on have the place of the release just before what comes of them."""
    p = d.state
    queue, rate = p.releasing[h.id], h.rate / p.meta.partitions
    most = SLICE_MAX if not rate else min(SLICE_MAX, max(1, int(rate / SLICES_PER_S)))
    keys, n = list(islice(queue, most)), 0
    for key in keys:
        if n and d.spent():
            break
        n += 1
        i = p.instances.get(key)
        if i is not None and holding.goes_on(p, i):
            d.record(ho.HoldAdvanced(hold=h.id, cursor=key))
            d.alone(key, partial(_go_on, d, i))
            d.for_request()
    if n and keys[n - 1] != h.cursor:
        d.record(ho.HoldAdvanced(hold=h.id, cursor=keys[n - 1]))
    if queue:
        _wake(d, h.id, d.facts.now_us + (int(n * 1_000_000 / rate) if rate else 0))
    else:
        _finished(d, h)


def _go_on(d: Decision, i: Instance) -> None:
    if i.status == "pending":
        HOOKS.handle(d, c.Continue(key=i.key))  # where no place is free it stays pending for that
    elif i.status == "running":
        keeping.go_on(d, i)


def _finished(d: Decision, h: Hold) -> None:
    """Here all goes on. The home keeps its record until it is so everywhere."""
    home = c.partition_of_key(h.id)
    if home != d.state.meta.partition:
        d.record(ho.HoldReleased(hold=h.id))
        d.send(home, c.HoldDone(hold=h.id, partition=d.state.meta.partition))
    elif not h.others:
        d.record(ho.HoldReleased(hold=h.id))


def done(d: Decision, e: c.HoldDone) -> Rejected | None:
    h = d.state.holds.get(e.hold)
    if h is not None:
        d.record(ho.HoldAdvanced(hold=h.id, done=e.partition))
        if not d.state.releasing.get(h.id):
            _finished(d, h)
    return None


def fired(d: Decision, t: Any) -> None:
    """Timer `hold:KEY`: the end of its time, or the next slice of its release."""
    d.record(wa.TimerTriggered(timer=t.key, token=0, element=t.element))
    h = d.state.holds.get(int(t.element.partition(":")[2]))
    if h is None:
        return
    if h.upto:
        if d.state.releasing.get(h.id):
            _advance(d, h)
    elif h.until_us and h.until_us <= d.facts.now_us:
        _release(d, h, 0, "its time is over")
