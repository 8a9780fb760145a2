"""How good predictions are, on cases that began after those that were learned from: beside what simply counting would have said. `learn` makes a model with its
card; what the card doesn't show to be better than its baseline isn't offered.

Cases are split by when they began: the older half is learned from, the next quarter says how wide intervals have to be, the newest quarter is asked and
never learned from. They are asked at full marks of the clock (`MARKS` in the time that half of the cases take), as who looks at running instances meets them:
those that take long are met more often.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, median
from typing import Any, NamedTuple

from flowledger.analytics.predict.course import Course, without_hands
from flowledger.analytics.predict.model import INTERVAL, Model, Seen, fit, following

#: cases without which nothing is learned
CASES_MIN = 120
#: marks of the clock at which cases are asked, in the time that half of them take at most; questions of a case
MARKS, QUESTIONS_MAX = 8, 60
#: answers of a state without which it has no width of its own
WIDTH_MIN = 60
#: how sure it must be that a prediction is better than its baseline (one-sided), and by how much
SURE_Z, BETTER = 1.645, 0.02
#: by how much the share that intervals hold may differ from what they say
COVERAGE_OFF = 0.05
#: shares of errors by how much of its life a case has behind it
BINS = 5


class Asked(NamedTuple):
    """A case at a moment. `left_ms`: what it still took."""

    course: Course
    us: int
    seen: Seen
    state: str
    left_ms: int
    next: str


class Baseline(NamedTuple):
    """What counting says without looking at how long an instance has been where it is: the median of what was left, of all and by elements."""

    of_all: float
    by_state: dict[str, float]
    next: str
    #: in that quarter of cases that took longest, a case takes longer than this
    due_ms: int
    #: the share of cases asked that did
    late: float
    #: between two marks of the clock
    mark_us: int

    def left(self, state: str) -> float:
        return self.by_state.get(without_hands(state), self.of_all)


def moments(c: Course, mark_us: int) -> Iterator[tuple[int, str, int, int]]:
    """(when, state, since when, index of the step)."""
    first = c.started_us // mark_us + 1
    i = 0
    for n in range(min(QUESTIONS_MAX, (c.ended_us - 1) // mark_us - first + 1)):
        us = (first + n) * mark_us
        while i + 1 < len(c.steps) and c.steps[i + 1].us <= us:
            i += 1
        yield us, c.steps[i].state, c.steps[i].us, i


def baseline(courses: Sequence[Course]) -> Baseline:
    by_state: dict[str, list[int]] = defaultdict(list)
    comes: Counter[str] = Counter()
    lasted = sorted(c.lasted_us // 1000 for c in courses)
    mark_us, due = max(1_000_000, int(median(lasted)) * 1000 // MARKS), lasted[len(lasted) * 3 // 4]
    late: list[bool] = []
    for c in courses:
        for us, state, _, i in moments(c, mark_us):
            by_state[without_hands(state)].append((c.ended_us - us) // 1000)
            comes[following(c, i)] += 1
            late.append(c.lasted_us // 1000 > due)
    found = [x for xs in by_state.values() for x in xs] or lasted
    names = sorted(comes, key=lambda e: (-comes[e], e))
    return Baseline(
        median(found), {k: median(xs) for k, xs in by_state.items()}, names[0] if names else "", due, fmean(late) if late else 0.25, mark_us
    )


def asked(model: Model, courses: Sequence[Course], mark_us: int) -> list[Asked]:
    out = []
    for c in courses:
        for us, state, since, i in moments(c, mark_us):
            seen = model.look(c.version, state, (us - since) // 1000, (us - c.started_us) // 1000)
            out.append(Asked(c, us, seen, state, (c.ended_us - us) // 1000, following(c, i)))
    return out


def widened(model: Model, questions: Sequence[Asked]) -> Model:
    """Split conformal prediction, by states of which there are enough: by which factor intervals have to be wider to hold what they say."""
    scores: dict[str, list[float]] = defaultdict(list)
    plain = model._replace(widen={})
    for q in questions:
        low, high = plain.between(q.seen)
        off = max((low + 1000) / (q.left_ms + 1000), (q.left_ms + 1000) / (high + 1000))
        for key in {"", without_hands(q.seen.key.partition("|")[2])}:
            scores[key].append(off)
    found = {}
    for key, offs in scores.items():
        if key and len(offs) < WIDTH_MIN:
            continue
        offs.sort()
        found[key] = round(offs[min(len(offs) - 1, math.ceil((len(offs) + 1) * INTERVAL) - 1)], 4)
    return model._replace(widen=found)


def learn(courses: Sequence[Course]) -> tuple[Model, Baseline, dict[str, Any]] | None:
    """The model, what it is measured against, and its card. None: there are too few cases. Of the newest those are left out that may be there only because
    they were short: what began within the time in which 95 of 100 end."""
    ended = sorted((c for c in courses if c.outcome), key=lambda c: (c.started_us, c.key))
    if len(ended) < CASES_MIN:
        return None
    lasted = sorted(c.lasted_us for c in ended)
    gap = lasted[len(lasted) * 95 // 100]
    last = max(c.ended_us for c in ended) - gap
    known = [c for c in ended if c.started_us <= last]
    if len(known) < CASES_MIN:
        return None
    half, quarter = len(known) // 2, len(known) // 4
    old, middle, new = known[:half], known[half : half + quarter], known[half + quarter :]
    before = baseline(old)
    model = fit(old)
    model = widened(model, asked(model, middle, before.mark_us))
    worth = card(model, before, new)
    if not worth:
        return None
    about = {
        "cases": {"learned": len(old), "calibrated": len(middle), "tested": len(new), "left_out": len(ended) - len(known)},
        "from_us": known[0].started_us,
        "to_us": known[-1].started_us,
        "states": len(model.stays),
        "versions": sorted({c.version for c in known}),
    }
    return model, before, {**about, **worth}


def card(model: Model, before: Baseline, courses: Sequence[Course]) -> dict[str, Any]:
    """What a model is worth on these cases."""
    questions = asked(model, courses, before.mark_us)
    if not questions:
        return {}
    found = {
        "remaining": _remaining(model, before, questions),
        "outcome": _share(questions, lambda q: (q.seen.success(model.rate), model.rate, q.course.outcome == "completed")),
        "late": _share(questions, lambda q: _late(q, before)),
        "next": _next(before, questions),
    }
    return found


def _late(q: Asked, before: Baseline) -> tuple[float, float, bool]:
    """Whether it takes longer than three quarters of the cases before."""
    left = before.due_ms - (q.us - q.course.started_us) // 1000
    return (1.0 if left <= 0 else q.seen.later_than(left)), (1.0 if left <= 0 else before.late), q.course.lasted_us // 1000 > before.due_ms


def _better(gains: Mapping[int, list[float]], base: float) -> tuple[bool, str]:
    """Whether what was gained is no chance (questions of one case hang together), and worth it. `base`: what the baseline is off by, by question."""
    n = sum(map(len, gains.values()))
    mean = sum(map(sum, gains.values())) / n
    spread = math.sqrt(sum((sum(g) - mean * len(g)) ** 2 for g in gains.values())) / n
    if base <= 0 or mean < BETTER * base:
        return False, "no_better"
    return (True, "") if mean >= SURE_Z * spread else (False, "not_sure")


def _remaining(model: Model, before: Baseline, questions: Sequence[Asked]) -> dict[str, Any]:
    errors, by_state, of_all, held, widths = [], [], [], 0, []
    gains: dict[int, list[float]] = defaultdict(list)
    parts: list[list[float]] = [[] for _ in range(BINS)]
    bias, places = [], dict[str, tuple[list[float], list[float]]]()
    for q in questions:
        middle = q.seen.quantile(0.5)
        low, high = model.between(q.seen)
        error, simple = abs(q.left_ms - middle), abs(q.left_ms - before.left(q.state))
        errors.append(error)
        by_state.append(simple)
        of_all.append(abs(q.left_ms - before.of_all))
        bias.append(middle - q.left_ms)
        held += low <= q.left_ms <= high
        widths.append(high - low)
        gains[q.course.key].append(simple - error)
        parts[min(BINS - 1, BINS * (q.us - q.course.started_us) // q.course.lasted_us)].append(error)
        mine = places.setdefault(without_hands(q.state), ([], []))
        mine[0].append(error)
        mine[1].append(simple)
    base = min(fmean(by_state), fmean(of_all))
    offered, why = _better(gains, base)
    if offered and fmean(of_all) < fmean(errors):
        offered, why = False, "no_better"
    coverage = held / len(questions)
    return {
        "offered": offered,
        "why": why,
        "error_ms": round(fmean(errors)),
        "median_error_ms": round(median(errors)),
        "baseline_error_ms": {"median": round(fmean(of_all)), "by_element": round(fmean(by_state))},
        "gain": round(1 - fmean(errors) / base, 4) if base else 0.0,
        "bias_ms": round(fmean(bias)),
        "interval": {
            "says": INTERVAL,
            "holds": round(coverage, 4),
            "offered": abs(coverage - INTERVAL) <= COVERAGE_OFF,
            "width_ms": round(median(widths)),
        },
        "by_age": [{"share": round((n + 0.5) / BINS, 2), "error_ms": round(fmean(p))} for n, p in enumerate(parts) if p],
        "by_element": [
            {"elements": k, "count": len(mine), "error_ms": round(fmean(mine)), "baseline_error_ms": round(fmean(theirs))}
            for k, (mine, theirs) in sorted(places.items(), key=lambda x: -len(x[1][0]))[:30]
        ],
    }


def _share(questions: Sequence[Asked], of: Any) -> dict[str, Any]:
    """Of a probability: Brier's score beside that of the share of all, and whether what is told with p comes true in p of the cases."""
    gains: dict[int, list[float]] = defaultdict(list)
    scores, simple, bins = [], [], [[0, 0.0, 0] for _ in range(BINS)]
    for q in questions:
        told, base, true = of(q)
        scores.append((told - true) ** 2)
        simple.append((base - true) ** 2)
        gains[q.course.key].append(simple[-1] - scores[-1])
        b = bins[min(BINS - 1, int(told * BINS))]
        b[0], b[1], b[2] = b[0] + 1, b[1] + told, b[2] + true
    offered, why = _better(gains, fmean(simple))
    return {
        "offered": offered,
        "why": why,
        "score": round(fmean(scores), 5),
        "baseline_score": round(fmean(simple), 5),
        "calibration": [{"count": n, "told": round(p / n, 4), "came_true": round(k / n, 4)} for n, p, k in bins if n],
    }


def _next(before: Baseline, questions: Sequence[Asked]) -> dict[str, Any]:
    """Which element comes next, of what had one to come."""
    gains: dict[int, list[float]] = defaultdict(list)
    right, simple = [], []
    for q in questions:
        if not q.next:
            continue
        told = min(q.seen.next, key=lambda e: (-q.seen.next[e], e), default="")
        right.append(told == q.next)
        simple.append(before.next == q.next)
        gains[q.course.key].append(float(right[-1] - simple[-1]))
    if not right:
        return {"offered": False, "why": "none", "right": None, "baseline_right": None, "count": 0}
    offered, why = _better(gains, max(0.05, 1 - fmean(simple)))
    return {"offered": offered, "why": why, "right": round(fmean(right), 4), "baseline_right": round(fmean(simple), 4), "count": len(right)}


def drift(model: Model, before: Baseline, known: Mapping[str, Any], courses: Sequence[Course]) -> dict[str, Any]:
    """What became of it since: on cases that began after those of its card. `drifted`: intervals don't hold what they say, or it is no better than its baseline."""
    since = [c for c in courses if c.outcome and c.started_us > known["to_us"]]
    if not since:
        return {"cases": 0, "drifted": False, "why": ""}
    told = card(model, before, since)
    if not told:
        return {"cases": len(since), "drifted": False, "why": ""}
    now = told["remaining"]
    n, holds = len(since), now["interval"]["holds"]
    why = ""
    if n >= WIDTH_MIN:
        if holds < INTERVAL - COVERAGE_OFF - 2 * math.sqrt(INTERVAL * (1 - INTERVAL) / n):
            why = "coverage"
        elif known["remaining"]["offered"] and now["gain"] <= 0:
            why = "no_better"
    return {"cases": n, "drifted": bool(why), "why": why, "error_ms": now["error_ms"], "gain": now["gain"], "holds": holds}
