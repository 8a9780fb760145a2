"""Scenarios side by side: each run several times by seeds, with bands, and against the base run for run, since both draw the same for what is alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from flowledger.analytics.simulate import plan as pl
from flowledger.analytics.simulate.run import CannotRun, Run

#: two-sided 95 % of Student's t, by degrees of freedom; beyond: the normal's
_T = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26, 14: 2.14, 19: 2.09, 29: 2.05, 49: 2.01}
#: figures of a run that are told with bands
FIGURES = ("mean", "p50", "p90", "p95")


def _t(n: int) -> float:
    return next((t for df, t in sorted(_T.items(), reverse=True) if df <= n - 1), 12.71)


def band(values: Sequence[float]) -> dict[str, float | None]:
    """The mean of runs, with the interval in which it lies by 95 %, and the least and the most of them."""
    if not values:
        return {"mean": None, "from": None, "to": None, "least": None, "most": None}
    mean = fmean(values)
    off = _t(len(values)) * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    near = [None, None] if off is None else [mean - off, mean + off]
    return {"mean": mean, "from": near[0], "to": near[1], "least": min(values), "most": max(values)}


def told(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All runs of a scenario together; times in ms."""
    names = sorted({e for r in runs for e in r["working"]})
    stuck: dict[str, int] = {}
    for r in runs:
        for why, n in r["stuck"].items():
            stuck[why] = stuck.get(why, 0) + n
    outcomes = sorted({o for r in runs for o in r["outcomes"]})
    return {
        "cycle_ms": {f: band([r["cycle"][f] for r in runs if "cycle" in r]) for f in FIGURES},
        "throughput": band([r["completed"] / r["hours"] for r in runs if r["hours"]]),
        "elements": {
            e: {
                "count": fmean([r["counts"].get(e, 0) for r in runs]), "waiting_ms": band([r["waiting"][e] for r in runs if e in r["waiting"]]),
                "working_ms": band([r["working"][e] for r in runs if e in r["working"]]),
            }
            for e in names
        },
        "resources": {name: band([r["use"][name] for r in runs]) for name in sorted({n for r in runs for n in r["use"]})},
        "outcomes": {o: fmean([r["outcomes"].get(o, 0) for r in runs]) for o in outcomes},
        "unfinished": fmean([r["unfinished"] for r in runs]),
        "stuck": [{"why": why, "count": n} for why, n in sorted(stuck.items(), key=lambda x: -x[1])[:10]],
    }  # fmt: skip


def against(base: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Run for run: how much longer (ms); `sure`: the interval doesn't hold nothing."""
    found = {}
    for f in FIGURES:
        differences = [o["cycle"][f] - b["cycle"][f] for b, o in zip(base, other, strict=True) if "cycle" in b and "cycle" in o]
        here = band(differences)
        low, high = here["from"], here["to"]
        found[f] = {**here, "sure": low is not None and high is not None and (low > 0 or high < 0)}
    return found


def simulate(
    models: Mapping[str, str], process: str, base: Mapping[str, Any], scenarios: Sequence[Mapping[str, Any]], *, runs: int, seed: int,
    go_on: Callable[[], bool] = lambda: True,
) -> dict[str, Any]:  # fmt: skip
    """`scenarios`: `{name, changes, models}`. Raises: CannotRun."""
    every = [("base", models, base), *((s["name"], s.get("models") or models, pl.changed(base, s.get("changes") or {})) for s in scenarios)]
    done: list[list[dict[str, Any]]] = []
    for name, its, plan in every:
        if wrong := pl.problem(plan):
            raise CannotRun(f"{name}: {wrong}")
        done.append([])
        for n in range(runs):
            if not go_on():
                raise CannotRun("it takes longer than it may: ask for fewer instances, runs or scenarios")
            done[-1].append(Run(its, process, pl.read(plan), seed * 1_000 + n).go())
    return {
        "seed": seed,
        "runs": runs,
        "scenarios": [
            {"name": name, **told(runs_of), "against_base_ms": against(done[0], runs_of) if n else None}
            for n, ((name, _, _), runs_of) in enumerate(zip(every, done, strict=True))
        ],
    }
