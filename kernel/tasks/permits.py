"""Limits that hold over all partitions: one home for each target, which gives permits to the others.

The home is the partition of the target's hash. It knows what is out (`permits_home`: partition -> permits, until when, in which period) and who
waits; its own tasks need no permit, it looks at what is left. Any other partition asks (`AskPermits`) when a worker wants a task that needs one, gets
them in a batch (`GivePermits`) and gives each back (`ReturnPermits`) when the task's lease ends, and what it did not use within `IDLE_US`. All of that
are numbered sends between partitions: each arrives once, in order, also over the loss of owners. So a limit is never exceeded, and what can be given is
at the worst not known for the time of two sends.

A permit holds until a time; no lease that needs it ends later. A partition that nobody owns for longer loses its permits then (and `SKEW_US` later, so that
clocks of nodes may differ by so much): what it still has belongs to an older period and counts for nothing.

Rate: the home's bucket is emptied when it gives; a token that is not used within `IDLE_US` is lost. Breakers: outcomes are reported to the home, which alone
moves the breaker and tells all (`SetBreaker`); while it is half open each probe needs a permit. Cost: docs/decisions/0006.
"""

from __future__ import annotations

from typing import Any, Protocol

from flowledger.events import commands as c
from flowledger.events import ledger as le
from flowledger.events import waiting as wa
from flowledger.events.base import Event
from flowledger.kernel import undo
from flowledger.kernel.state import Partition
from flowledger.kernel.tasks import people, stock
from flowledger.kernel.tasks.people import Person
from flowledger.kernel.tasks.stock import HERE, HOME, Limit, away, home


class Clock(Protocol):
    now_us: int


class Lasting(Limit, Protocol):
    """Of a person, or of a tenant's instances."""

    def held(self, p: Partition) -> int: ...


class Recording(Protocol):
    """A decision, as far as it is needed here."""

    @property
    def state(self) -> Partition: ...
    @property
    def facts(self) -> Clock: ...
    def record(self, event: Event) -> None: ...
    def key(self) -> int: ...
    def send(self, to: int, command: Any) -> None: ...


#: permits that are not used go back, tokens of a rate are lost, after this time
IDLE_US = 2_000_000
#: clocks of nodes may differ by so much
SKEW_US = 10_000_000
#: permits that one asks for at once
BATCH_MAX = 1_000


def limit_of(p: Partition, target: str) -> Limit | None:
    """What holds for a target, None when nothing does."""
    if target.startswith(stock.ENDLESS):
        return endless(p, target)
    return p.guards.get(target)


def endless(p: Partition, target: str) -> Lasting | None:
    """Of what somebody has for as long as it lasts."""
    return people.of_target(p, target) if target.startswith(stock.PEOPLE) else p.quotas.get(target)


def _store(d: Recording, registry: str, target: str, value: dict[str, Any] | None) -> None:
    d.record(le.RecordStored(registry=registry, name=target, value=value))


# --- elsewhere ----------------------------------------------------------------------------------------------------------------


def ask(d: Recording, limit: Limit, wanted: int, for_us: int, priority: int = 0) -> None:
    """`wanted` tasks may not go without permits, each for so long; the most urgent has this priority. Asked once, until the home has answered in full, or
    something more urgent comes."""
    p, now = d.state, d.facts.now_us
    record = p.records.get((HERE, limit.target)) or stock.nothing()
    wanted = min(wanted, BATCH_MAX)
    if record["asked"] >= wanted and record["asked_us"] + SKEW_US > now and record.get("priority", 0) >= priority:
        return
    asked = {"asked": wanted, "asked_us": now, "priority": priority}
    _store(d, HERE, limit.target, {**record, **asked})
    d.send(home(p, limit.target), c.AskPermits(target=limit.target, wanted=wanted, until_us=0, priority=priority, for_us=for_us))


def renew(d: Recording, guard: Limit, until_us: int) -> None:
    """What is here is to hold until then."""
    d.send(home(d.state, guard.target), c.AskPermits(target=guard.target, wanted=0, until_us=until_us + SKEW_US))


def given(d: Recording, e: c.GivePermits) -> None:
    """At the asker. Permits of an older period are no more."""
    p, now = d.state, d.facts.now_us
    record = p.records.get((HERE, e.target)) or stock.nothing()
    if e.period != record["period"]:
        record = {**stock.nothing(), "period": e.period, "asked": record["asked"], "asked_us": record["asked_us"]}
    if not e.number:
        _store(d, HERE, e.target, {**record, "until_us": max(record["until_us"], e.until_us), **({"full": True} if e.full else {})})
        return
    fresh = record["fresh_us"] > now
    record = {
        **record, "n": record["n"] + e.number, "until_us": max(record["until_us"], e.until_us), "asked": max(0, record["asked"] - e.number),
        "tokens": (record["tokens"] if fresh else 0) + e.number, "fresh_us": now + IDLE_US, "full": False,
    }  # fmt: skip
    _store(d, HERE, e.target, record)
    d.record(wa.TimerScheduled(timer=d.key(), token=0, element=f"permit:{e.target}", due_us=now + IDLE_US))


def give_back(d: Recording, target: str, all_idle: bool) -> None:
    """What is not used any more goes home. `all_idle`: also what was not used yet."""
    p = d.state
    record = p.records.get((HERE, target))
    if record is None:
        return
    spare = record["n"] - record["used"] if all_idle else min(record["freed"], record["n"] - record["used"])
    if spare <= 0:
        return
    _store(d, HERE, target, {**record, "n": record["n"] - spare, "freed": 0, "asked": 0 if all_idle else record["asked"]})
    d.send(home(p, target), c.ReturnPermits(target=target, number=spare, period=record["period"]))


def leased(p: Partition, guard: Limit) -> None:
    """The fold: a lease began, by a permit if one is here."""
    record = p.records.get((HERE, guard.target))
    if record is not None and record["n"] > record["used"]:
        count = {"used": record["used"] + 1} if guard.counts else {"n": record["n"] - 1}
        _keep(p, guard.target, {**record, **count, "tokens": max(0, record["tokens"] - 1)})


def unleased(p: Partition, guard: Limit) -> None:
    """The fold: one ended; its permit goes back at the end of the decision."""
    undo.add(p, p.unsettled_limits, guard.target)
    record = p.records.get((HERE, guard.target))
    if record is not None and record["used"]:
        _keep(p, guard.target, {**record, "used": record["used"] - 1, "freed": record["freed"] + 1})


def spent(p: Partition, limit: Limit, now_us: int) -> None:
    """The fold, at the home of a rate: a token was used here."""
    name = ("rate", limit.target)
    tat = max((p.records.get(name) or {"tat_us": 0})["tat_us"], now_us)
    undo.put(p, p.records, name, {"tat_us": tat + limit.interval_us})
    p.changed.add(("record", name))


def had(p: Partition, target: str) -> None:
    """The fold, at home: it has had its turn, and others wait for theirs."""
    record = p.records.get((HOME, target))
    if record is not None and record["wait"]:
        undo.put(p, p.records, (HOME, target), {**record, "own": False, "had": True})
        p.changed.add(("record", (HOME, target)))


def outcome(p: Partition, target: str, ok: bool) -> None:
    """The fold: to be reported to the home at the end of the decision."""
    was = p.records.get(("outcomes", target)) or {"good": 0, "bad": 0}
    word = "good" if ok else "bad"
    undo.put(p, p.records, ("outcomes", target), {**was, word: was[word] + 1})
    p.changed.add(("record", ("outcomes", target)))
    undo.add(p, p.unsettled_limits, target)


def _keep(p: Partition, target: str, record: dict[str, Any]) -> None:
    undo.put(p, p.records, (HERE, target), record)
    p.changed.add(("record", (HERE, target)))


def reconcile(d: Recording, target: str) -> None:
    """What somebody holds here against the permits that are here: for what was given by hand some are taken; what is left goes back, but for fresh ones,
    which are to be used yet."""
    p = d.state
    limit, record = endless(p, target), p.records.get((HERE, target))
    held = limit.held(p) if limit is not None else 0
    if record is None:
        if not held:
            return
        record = stock.nothing()
    fresh = record["tokens"] if limit is not None and record["fresh_us"] > d.facts.now_us else 0
    fresh, n = max(0, fresh - max(0, held - record["used"])), record["n"]
    if held > n:
        d.send(home(p, target), c.AskPermits(target=target, wanted=0, until_us=0, taken=held - n))
    elif held + fresh < n:
        d.send(home(p, target), c.ReturnPermits(target=target, number=n - held - fresh, period=record["period"]))
    after = {**record, "n": max(held, min(n, held + fresh)), "used": held, "tokens": fresh}
    if after != record:
        _store(d, HERE, target, after)


# --- at the home --------------------------------------------------------------------------------------------------------------


def asked(d: Recording, sender: int, e: c.AskPermits) -> None:
    p, target = d.state, e.target
    record, name = _home(p, target), str(sender)
    if e.taken:  # by hand: that can't be refused
        has = record["out"].get(name) or _out()
        _store(d, HOME, target, {**record, "out": {**record["out"], name: {**has, "n": has["n"] + e.taken}}})
        return
    if not e.wanted:
        _renew(d, target, record, sender, e.until_us)
        return
    now, was = d.facts.now_us, record["wait"].get(name, [])
    for_us = e.for_us or max(0, e.until_us - SKEW_US - now)  # a release before this one said until when
    waits = {**record["wait"], name: [e.wanted, for_us, e.priority, was[3] if len(was) == 4 else now]}
    _store(d, HOME, target, {**record, "wait": waits})
    if target.startswith(stock.INSTANCES):  # served when the decision ends, where those that wait at home are looked at, too
        undo.add(p, p.unsettled_limits, target)
        return
    limit = limit_of(p, target)
    if limit is not None:
        serve(d, limit)
    elif target.startswith(people.PREFIX):  # there is no maximum any more
        _store(d, HOME, target, {**_home(p, target), "wait": record["wait"]})
    if isinstance(limit, Person) and name in _home(p, target)["wait"]:
        d.send(sender, c.GivePermits(target=target, number=0, until_us=0, period=(record["out"].get(name) or _out())["period"], full=True))


def _out() -> dict[str, Any]:
    return {"n": 0, "until_us": 0, "period": 1}


def _renew(d: Recording, target: str, record: dict[str, Any], sender: int, until_us: int) -> None:
    """Permits that are still theirs hold for longer."""
    has = record["out"].get(str(sender))
    if has is None or not has["n"] or has["until_us"] <= d.facts.now_us:
        return
    others = {**record["out"], str(sender): {**has, "until_us": max(has["until_us"], until_us)}}
    _store(d, HOME, target, {**record, "out": others})
    d.send(sender, c.GivePermits(target=target, number=0, until_us=until_us - SKEW_US, period=has["period"]))


def returned(d: Recording, target: str, sender: int, e: c.ReturnPermits) -> None:
    record = _home(d.state, target)
    has = record["out"].get(str(sender))
    if has is not None and has["period"] == e.period:
        others = {**record["out"], str(sender): {**has, "n": max(0, has["n"] - e.number)}}
        _store(d, HOME, target, {**record, "out": others})


def _home(p: Partition, target: str) -> dict[str, Any]:
    return p.records.get((HOME, target)) or {"out": {}, "wait": {}, "own": False, "wake_us": 0}


def contested(p: Partition, target: str) -> bool:
    """At the home: whether others wait."""
    record = p.records.get((HOME, target))
    return record is not None and bool(record["wait"]) and not away(p, target)


def own(d: Recording, limit: Limit, priority: int = 0) -> None:
    """The home's own tasks found no room: they have their turn among those who wait. After a turn the others have theirs, but for what is more urgent."""
    record = d.state.records.get((HOME, limit.target))
    if record is None or not record["wait"] or (record["own"] and record.get("priority", 0) >= priority):
        return
    if record.get("had", False) and priority <= max(x[2] if len(x) == 4 else 0 for x in record["wait"].values()):
        return
    since = record.get("since_us", 0) if record["own"] else d.facts.now_us
    _store(d, HOME, limit.target, {**record, "own": True, "priority": priority, "since_us": since})


def yielded(d: Recording, limit: Limit) -> None:
    """Nothing waits at home any more that could begin: what was left to it is the others'."""
    record = d.state.records.get((HOME, limit.target))
    if record is not None and record["own"]:
        _store(d, HOME, limit.target, {**record, "own": False})
        serve(d, limit)


def _urgency(limit: Limit, priority: int, since_us: int, now: int) -> int:
    return priority + max(0, now - since_us) // limit.ageing_us


def serve(d: Recording, limit: Limit) -> None:
    """Those who wait get what is left: the most urgent first, where waiting counts too, then in the order in which they asked; who has got something
    and waits for more goes behind the others. Where the home itself waits, and is as urgent, one is left to it each second time: of instances until it has
    begun (`quotas.began`), of tasks until somebody asks again."""
    p, now, target = d.state, d.facts.now_us, limit.target
    record = p.records.get((HOME, target))
    if record is None or not record["wait"]:
        return
    if not target.startswith(stock.ENDLESS):
        _reclaim(d, target, now)
        record = _home(p, target)
    others, waits = dict(record["out"]), dict(record["wait"])
    gifts: list[tuple[int, c.GivePermits]] = []
    waits = {
        name: those if len(those) == 4 else [those[0], 0, 0, now] for name, those in waits.items()
    }  # two numbers: of a release before this one
    urgency = {name: _urgency(limit, those[2], those[3], now) for name, those in waits.items()}
    mine = _urgency(limit, record.get("priority", 0), record.get("since_us", now), now)
    kept = 0
    for name in sorted(waits, key=lambda name: -urgency[name]):
        wanted, for_us, *rest = waits[name]
        until_us = min(people.NEVER, now + for_us + IDLE_US + SKEW_US)  # a lease may begin a moment later
        room, _ = limit.room(p, now, wanted + 1)
        if record["own"] and mine >= urgency[name]:
            kept = min(1, room)
        had = bool(kept) and not target.startswith(stock.INSTANCES)
        number = min(wanted, room - kept)
        if number <= 0:
            break
        has = others.get(name) or _out()
        if limit.counts:
            others[name] = {**has, "n": has["n"] + number, "until_us": max(has["until_us"], until_us)}
        del waits[name]
        if number < wanted:
            waits[name] = [wanted - number, for_us, *rest]
        gifts.append((int(name), c.GivePermits(target=target, number=number, until_us=until_us - SKEW_US, period=has["period"])))
        _store(d, HOME, target, {**record, "out": others, "wait": waits, "own": record["own"] and not had, "had": had})
        record = _home(p, target)
        if limit.burst:
            _empty(d, limit, number, now)
    if kept and record["own"] and not target.startswith(stock.INSTANCES):
        _store(d, HOME, target, {**record, "own": False, "had": True})
        record = _home(p, target)
    for to, gift in gifts:
        d.send(to, gift)
    if record["wait"] and (kept or limit.burst or not target.startswith(stock.ENDLESS)):
        look_again(d, limit)


def _empty(d: Recording, guard: Limit, number: int, now: int) -> None:
    tat = max((d.state.records.get(("rate", guard.target)) or {"tat_us": 0})["tat_us"], now)
    _store(d, "rate", guard.target, {"tat_us": tat + number * guard.interval_us})


def _reclaim(d: Recording, target: str, now: int) -> None:
    """Permits whose time is over are the home's again; what their partition still says of them belongs to an older period."""
    record = _home(d.state, target)
    gone = {q: {"n": 0, "until_us": 0, "period": x["period"] + 1} for q, x in record["out"].items() if x["n"] and x["until_us"] <= now}
    if gone:
        _store(d, HOME, target, {**record, "out": {**record["out"], **gone}})


def look_again(d: Recording, guard: Limit) -> None:
    """When a token comes, when a permit's time is over, or a moment later where the home left its turn unused."""
    now, record = d.facts.now_us, _home(d.state, guard.target)
    _, token_us = guard.room(d.state, now, 1)
    ends = [x["until_us"] for x in record["out"].values() if x["n"]]
    at = min([token_us or now + IDLE_US, *(x for x in ends if x > now)])
    if record["wake_us"] <= now or at < record["wake_us"]:
        _store(d, HOME, guard.target, {**record, "wake_us": at})
        d.record(wa.TimerScheduled(timer=d.key(), token=0, element=f"permit:{guard.target}", due_us=at))


# --- both ---------------------------------------------------------------------------------------------------------------------


def settle(d: Recording) -> None:
    """At the end of a decision: leases of limited tasks ended, outcomes were counted."""
    p = d.state
    for target in sorted(p.unsettled_limits):
        undo.discard(p, p.unsettled_limits, target)
        if target.startswith(stock.ENDLESS) and away(p, target):
            reconcile(d, target)
            continue
        guard = limit_of(p, target)
        if guard is None:
            continue
        if not away(p, target):
            serve(d, guard)
            continue
        seen = p.records.get(("outcomes", target))
        if seen is not None:  # before the permit goes back, so that a breaker that probes never lets one too many through
            _store(d, "outcomes", target, None)
            d.send(home(p, target), c.ReportOutcomes(target=target, good=seen["good"], bad=seen["bad"]))
        give_back(d, target, all_idle=False)


def fired(d: Recording, timer: Any) -> None:
    """Timer `permit:TARGET`."""
    target = timer.element[7:]
    guard = limit_of(d.state, target)
    d.record(wa.TimerTriggered(timer=timer.key, token=0, element=timer.element))
    if target.startswith(stock.INSTANCES):  # looked at when the decision ends, as are those that wait
        undo.add(d.state, d.state.unsettled_limits, target)
    elif target.startswith(people.PREFIX) and away(d.state, target):
        reconcile(d, target)
    elif away(d.state, target):
        record = d.state.records.get((HERE, target))
        if record is not None and record["fresh_us"] <= d.facts.now_us:
            give_back(d, target, all_idle=True)
    elif guard is not None:
        serve(d, guard)
