"""What makes a process slow, read from its history: six kinds, each with the figures that speak for it and what to change. What it would gain is another question
(`gains.py`), and what doesn't gain isn't told.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from flowledger.analytics.advise import busy
from flowledger.analytics.advise.outline import Outline
from flowledger.analytics.advise.seen import Piece, Seen
from flowledger.analytics.simulate.plan import DAY_US, DAYS

KINDS = ("parallel", "limit", "split", "staff", "retry", "check")
#: pieces of work that are looked at, at least; of a weekday
PIECES_MIN, DAY_MIN = 100, 20
#: share of the waiting that must fall into times in which nobody is free
FULL = 0.5
#: waits are worth a word from this share of the time of work on
WAITS = 0.5
#: work of one queue differs that much; the short is that much of it, and the long
LONGER, SHORT_SHARE, LONG_SHARE = 5.0, 0.2, 0.05
#: a weekday's wait against the others'
DAY_WORSE = 1.5
#: each of so many of it, at least, must have been worse than this share of the other days
DATES_MIN, DAY_ABOVE = 3, 0.8
#: a code that is tried again in vain: so often seen, and so seldom followed by a success (upper bound)
VAIN_MIN, VAIN = 20, 0.05
#: a check that finds next to nothing: looked at so often, finds so little (upper bound)
CHECKS_MIN, FINDS = 200, 0.02


class Cause(NamedTuple):
    """`elements`: which are meant. `says`: figures. `scenario`: `{resources, elements}` that simulations need beside the learned plan, and `changes` to them;
    `draft`: how the model is drawn anew; `setting`: a record of a registry that is changed; `saves_us`: of each instance, where that is counted and not simulated."""

    kind: str
    elements: tuple[str, ...]
    about: str
    says: dict[str, Any]
    base: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    draft: dict[str, Any] = {}
    setting: dict[str, Any] = {}
    saves_us: Sequence[int] = ()
    caution: str = ""


def causes(seen: Seen, model: Outline, limits: Mapping[str, int]) -> list[Cause]:
    """`limits`: job type -> how many of it may be in hand at once."""
    queues = {q: p for q, p in seen.queues().items() if len(p) >= PIECES_MIN}
    found: list[Cause] = []
    for queue, pieces in sorted(queues.items()):
        limit = limits.get(queue[1], 0) if queue[0] == "job" else 0
        if queue[0] == "job" and not limit:
            continue  # how many workers there are isn't known: what waits for them may wait for a restart
        if crowded := _crowded(queue, pieces, limit):
            found += crowded
    return [*_side_by_side(seen, model), *found, *_in_vain(seen, model), *_finds_nothing(seen, model)]


def bound(k: int, n: int) -> float:
    """What a share of `k` of `n` is at most, by 95 % (Wilson, one-sided)."""
    z, p = 1.645, k / n
    return (p + z * z / (2 * n) + z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n)


# --- queues


def _crowded(queue: tuple[str, ...], pieces: list[Piece], limit: int) -> list[Cause]:
    """A queue in which all are busy while work waits: a limit, a day, or work of two lengths."""
    load = busy.load(pieces, limit)
    waits, works = fmean(p.waited_us for p in pieces), fmean(p.worked_us for p in pieces)
    if load.full < FULL or waits < WAITS * works or not works:
        return []
    name = ", ".join(queue[1:])
    says = {
        "pieces": len(pieces), "waits_ms": round(waits / 1000), "works_ms": round(works / 1000), "waits_while_full": round(load.full, 3), "at_once": load.most[7],
    }  # fmt: skip
    elements = tuple(sorted({p.element for p in pieces}))
    base = _resource(name, pieces, load, elements)
    if limit:
        more = limit + max(1, limit // 2)
        change = {"resources": {name: {"count": more}}}
        setting = {"registry": "limit", "name": f"job:{queue[1]}", "change": {"concurrency": more}, "was": limit}
        return [Cause("limit", elements, name, {**says, "limit": limit, "proposed": more}, base, change, setting=setting)]
    found = [*_two_lengths(name, pieces, load, says, base), *_day(name, pieces, load, says, base, elements)]
    return found[:1]


def _resource(name: str, pieces: Sequence[Piece], load: busy.Load, elements: tuple[str, ...]) -> dict[str, Any]:
    """Who works on it, as they were seen: how many on which days, from when to when."""
    begun = [p.begun_us for p in pieces]
    days = [d for d in range(7) if load.most[d] and sum(1 for us in begun if busy.weekday(us) == d) >= 0.02 * len(begun)]
    minutes = sorted(busy.minute_of_day(us) for us in begun)
    first, last = minutes[len(minutes) // 200] // 60, minutes[-1 - len(minutes) // 200] // 60 + 1
    if last - first >= 22:
        first, last = 0, 24
    made: dict[str, Any] = {
        "count": max(1, load.most[7]),
        "from": f"{first:02d}:00",
        "to": f"{last:02d}:00",
        "days": [DAYS[d] for d in days] or list(DAYS),
    }
    if len({load.most[d] for d in days}) > 1:
        made["by_day"] = {DAYS[d]: load.most[d] for d in days}
    return {"resources": {name: made}, "elements": {e: {"wait": None, "resource": name} for e in elements}}


def _two_lengths(name: str, pieces: list[Piece], load: busy.Load, says: dict[str, Any], base: dict[str, Any]) -> list[Cause]:
    """Short work behind long work of the same people."""
    by: dict[str, list[Piece]] = defaultdict(list)
    for p in pieces:
        by[p.element].append(p)
    means = sorted((fmean(p.worked_us for p in its), e) for e, its in by.items())
    count = load.most[7]
    if len(means) < 2 or count < 2 or not means[0][0]:
        return []
    cut = max(range(1, len(means)), key=lambda n: means[n][0] / max(1, means[n - 1][0]))
    short, long = [e for _, e in means[:cut]], [e for _, e in means[cut:]]
    n = sum(len(by[e]) for e in short)
    far = fmean(p.worked_us for e in long for p in by[e]) / fmean(p.worked_us for e in short for p in by[e])
    if means[cut][0] < LONGER * means[cut - 1][0] or n < SHORT_SHARE * len(pieces) or len(pieces) - n < LONG_SHARE * len(pieces):
        return []
    own = sum(p.worked_us for e in short for p in by[e]) / sum(p.worked_us for p in pieces)
    few = min(count - 1, max(1, round(own * count)))
    waited = fmean(p.waited_us for e in short for p in by[e])
    resource = base["resources"][name]
    kept = {k: v for k, v in resource.items() if k != "by_day"}
    changes = {
        "resources": {name: {**kept, "count": count - few, "by_day": None}, f"{name}-short": {**kept, "count": few}},
        "elements": {e: {"resource": f"{name}-short"} for e in short},
    }
    told = {
        **says,
        "short": short,
        "long": long,
        "times_longer": round(far, 1),
        "short_waits_ms": round(waited / 1000),
        "people_for_short": few,
    }
    return [Cause("split", tuple(sorted(short)), name, told, base, changes, draft={"apart": sorted(short), "suffix": "short"})]


def _day(
    name: str, pieces: list[Piece], load: busy.Load, says: dict[str, Any], base: dict[str, Any], elements: tuple[str, ...]
) -> list[Cause]:
    """A weekday on which work waits longer than on the others, week for week."""
    resource = base["resources"][name]
    first, last = int(resource["from"][:2]) * 60, int(resource["to"][:2]) * 60
    by: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for p in pieces:
        if first <= busy.minute_of_day(p.created_us) < last and load.most[busy.weekday(p.created_us)]:
            by[busy.weekday(p.created_us)][p.created_us // DAY_US].append(p.waited_us)
    # waits of one day hang together: a whole day counts once
    dates = {d: sorted(fmean(waits) for waits in its.values()) for d, its in by.items()}
    worse = []
    for d, its in dates.items():
        others = sorted(w for o, waits in dates.items() if o != d for w in waits)
        if len(its) < DATES_MIN or len(others) < DATES_MIN or sum(len(w) for w in by[d].values()) < DAY_MIN:
            continue
        if its[0] > others[int(len(others) * DAY_ABOVE)] and fmean(its) >= DAY_WORSE * fmean(others):
            worse.append((fmean(its) / max(1.0, fmean(others)), d))
    if not worse:
        return []
    # what a day leaves over waits on the next: it is the one that asks most of who is there
    near = {d for _, d in worse} | {(d - 1) % 7 for _, d in worse}
    asks = {d: sum(p.worked_us for p in pieces if busy.weekday(p.created_us) == d) / len(by[d]) / load.most[d] for d in near if by.get(d)}
    day = max(sorted(asks), key=lambda d: asks[d])
    mine = fmean(dates[day])
    rest = fmean(w for o, waits in dates.items() if o != day for w in waits)
    there = load.most[day]
    counts = {DAYS[d]: load.most[d] for d in range(7) if load.most[d]}
    changes = {"resources": {name: {"by_day": {**counts, DAYS[day]: there + 1}}}}
    told = {
        **says,
        "day": DAYS[day],
        "day_waits_ms": round(mine / 1000),
        "other_days_wait_ms": round(rest / 1000),
        "there": there,
        "proposed": there + 1,
    }
    return [Cause("staff", elements, name, told, base, changes)]


# --- the model


def _side_by_side(seen: Seen, model: Outline) -> list[Cause]:
    """Steps that follow one another although none needs what the one before gives, by what the model says of their data."""
    found, used = list[Cause](), set[str]()
    before = {s.next: s.id for s in model.steps.values() if s.plain}
    for step in model.steps.values():
        if before.get(step.id) in model.steps or step.id in used:
            continue
        chain = [step.id]
        while (following := model.steps[chain[-1]].next) in model.steps and following not in chain:
            chain.append(following)
        run: list[str] = []
        for id in chain:
            if run and all(_free(model, a, id) for a in run):
                run.append(id)
                continue
            found += _chain(seen, model, run)
            run = [id]
        found += _chain(seen, model, run)
        used |= set(chain)
    return found


def _free(model: Outline, one: str, two: str) -> bool:
    a, b = model.steps[one], model.steps[two]
    if not (a.plain and b.plain) or None in (a.reads, a.writes, b.reads, b.writes):
        return False
    return not (a.writes & b.reads or b.writes & a.reads or a.writes & b.writes)  # type: ignore[operator]


def _chain(seen: Seen, model: Outline, run: list[str]) -> list[Cause]:
    if len(run) < 2:
        return []
    takes = {e: [p.ended_us - p.created_us for p in seen.pieces if p.element == e] for e in run}
    if any(len(t) < PIECES_MIN for t in takes.values()):
        return []
    means = {e: fmean(t) for e, t in takes.items()}
    spared = sum(means.values()) - max(means.values())
    if not seen.lasted or spared < 0.02 * fmean(seen.lasted):
        return []
    says = {
        "pieces": min(len(t) for t in takes.values()), "takes_ms": {e: round(us / 1000) for e, us in means.items()},
        "reads": {e: sorted(model.steps[e].reads or ()) for e in run}, "writes": {e: sorted(model.steps[e].writes or ()) for e in run},
    }  # fmt: skip
    caution = "what a step reads and writes beyond its mappings, and what it does outside, the model doesn't say"
    return [Cause("parallel", tuple(run), ", ".join(run), says, draft={"parallel": run}, caution=caution)]


def _finds_nothing(seen: Seen, model: Outline) -> list[Cause]:
    """A step before a choice that goes the same way each time."""
    found = []
    for fork in model.forks.values():
        step = model.steps.get(fork.source)
        if step is None or not step.plain or step.id in model.watched or step.id in model.apart:
            continue
        if step.writes is not None and not step.writes <= fork.reads:
            continue  # it leaves something that is of use elsewhere
        counts = {f: seen.flows[fork.id, f] for f in fork.flows}
        n = sum(counts.values())
        if n < CHECKS_MIN:
            continue
        usual = max(counts, key=lambda f: counts[f])
        if bound(n - counts[usual], n) > FINDS:
            continue
        takes = [p.ended_us - p.created_us for p in seen.pieces if p.element == step.id]
        if len(takes) < PIECES_MIN:
            continue
        says = {
            "passed": n, "found": n - counts[usual], "at_most": round(bound(n - counts[usual], n), 5), "takes_ms": round(fmean(takes) / 1000),
            "flow": usual, "gateway": fork.id,
        }  # fmt: skip
        caution = "whether a rule of law or of the house asks for it, no history tells" + (
            "" if step.writes is not None else "; what it leaves for later steps, the model doesn't say"
        )
        draft = {"without": step.id, "gateway": fork.id, "keeps": usual}
        found.append(Cause("check", (step.id,), step.name, says, draft=draft, caution=caution))
    return found


# --- attempts


def _in_vain(seen: Seen, model: Outline) -> list[Cause]:
    """Error codes after which another attempt hardly ever helps."""
    by: dict[tuple[str, str], list[Piece]] = defaultdict(list)
    for p in seen.pieces:
        if p.job_type:
            for code in {code for (_, code), _ in itertools.pairwise(p.tries) if code}:
                by[p.job_type, code].append(p)
    found = []
    for (job_type, code), pieces in sorted(by.items()):
        # what was done after an incident was helped by somebody
        tried = [p for p in pieces if _again(p, code)]
        helped = sum(1 for p in tried if not p.stopped_us)
        if len(tried) < VAIN_MIN or bound(helped, len(tried)) > VAIN:
            continue
        lost = [max(0, p.stopped_us - _first(p, code)) for p in tried if p.stopped_us]
        if not lost:
            continue
        elements = tuple(sorted({p.element for p in tried}))
        each: dict[int, int] = defaultdict(int)
        for p in tried:
            if p.stopped_us:
                each[p.instance] += max(0, p.stopped_us - _first(p, code))
        saves = [each.get(n, 0) for n in range(1, seen.instances + 1)]
        says = {"code": code, "job_type": job_type, "tried_again": len(tried), "helped": helped, "lost_ms": round(fmean(lost) / 1000)}
        own = [e for e in elements if e in model.steps and model.steps[e].own_retry]
        draft = {"never": own, "codes": [code]} if own else {}
        setting = {} if own else {"registry": "task_definition", "name": job_type, "change": {"retry": {"never": [code]}}}
        found.append(Cause("retry", elements, f"{job_type} {code}", says, draft=draft, setting=setting, saves_us=saves))
    return found


def _first(p: Piece, code: str) -> int:
    return next(us for us, c in p.tries if c == code)


def _again(p: Piece, code: str) -> bool:
    """Another attempt came by itself after one that failed so: before the incident, if there was one."""
    at = _first(p, code)
    return any(us > at and (not p.stopped_us or us <= p.stopped_us) for us, _ in p.tries)
