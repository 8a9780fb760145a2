"""What a change would gain: by simulation where the model and the plan can show it, else counted from what was lost; and the advice as it is told."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from statistics import fmean, stdev
from typing import Any

from flowledger.analytics.advise import redraw
from flowledger.analytics.advise.causes import Cause, causes
from flowledger.analytics.advise.outline import Outline, outline
from flowledger.analytics.advise.seen import Seen
from flowledger.analytics.simulate import plan as pl
from flowledger.analytics.simulate.compared import simulate
from flowledger.analytics.simulate.plan import HOUR_US
from flowledger.analytics.simulate.run import CannotRun

#: of a simulation; instances of a run where nobody queues; where somebody does: so many weeks of them
RUNS, ALONE, WEEKS, LEAST, MOST = 5, 200, 2, 200, 1_000
#: a gain is worth a word from this share of the cycle time on
WORTH = 0.01


def advice(
    seen: Seen,
    models: Mapping[str, str],
    process: str,
    limits: Mapping[str, int],
    *,
    seed: int = 1,
    go_on: Callable[[], bool] = lambda: True,
) -> dict[str, Any]:
    """`{items, looked, whole}`: what gains, the largest first. `looked`: causes that were seen, also those of which no gain is shown. Not `whole`: there was no time
    to ask for the gain of all."""
    model = outline(models, process)
    if model is None or not seen.lasted:
        return {"items": [], "looked": 0, "whole": True}
    base = seen.plan(ALONE)
    found = sorted(causes(seen, model, limits), key=lambda c: bool(c.base))  # what takes long comes last
    items = []
    for cause in found:
        told = one(cause, seen, model, process, base, seed, go_on)
        if told is not None:
            items.append(told)
    return {"items": sorted(items, key=lambda i: i["gain"]["mean_ms"], reverse=True), "looked": len(found), "whole": go_on()}


def instances_of(seen: Seen) -> int:
    """Of a run with a queue: as many as come in two weeks, so that each weekday is there twice."""
    hours = (max(seen.started) - min(seen.started)) / HOUR_US if len(seen.started) > 1 else 1.0
    return int(min(MOST, max(LEAST, len(seen.started) / max(1.0, hours) * pl.HOURS * WEEKS)))


def name_of(process: str, kind: str, about: str) -> str:
    """The same for the same thing, whenever it is looked for."""
    return hashlib.sha256(f"{process}\0{kind}\0{about}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


def drawn(model: str, process: str, draft: Mapping[str, Any]) -> str:
    """The model as the advice would have it. Raises: NotDrawn."""
    if "parallel" in draft:
        return redraw.parallel(model, process, draft["parallel"])
    if "without" in draft:
        return redraw.without(model, process, draft["without"], draft["gateway"], draft["keeps"])
    if "apart" in draft:
        return redraw.apart(model, process, draft["apart"], draft["suffix"])
    return redraw.never(model, process, draft["never"], draft["codes"])


def one(
    cause: Cause, seen: Seen, model: Outline, process: str, base: Mapping[str, Any], seed: int, go_on: Callable[[], bool]
) -> dict[str, Any] | None:
    """None: it isn't shown to gain anything."""
    cycle = fmean(seen.lasted) / 1000
    if cause.draft:
        try:
            drawn(model.text, process, cause.draft)
        except redraw.NotDrawn:
            if not cause.changes:
                return None
            cause = cause._replace(draft={})
    plan = pl.changed(base, cause.base)
    if cause.base:
        plan |= {"instances": instances_of(seen), "warmup": 0.05}
    try:
        gain = _counted(cause) if cause.saves_us else _simulated(cause, model, process, plan, seed, go_on)
    except (CannotRun, redraw.NotDrawn):
        return None
    if gain is None or not gain["sure"] or gain["mean_ms"] < WORTH * cycle:
        return None
    gain |= {"of_ms": round(cycle), "share": round(gain["mean_ms"] / cycle, 4)}
    return {
        "id": name_of(process, cause.kind, cause.about), "process": process, "kind": cause.kind, "elements": list(cause.elements), "about": cause.about,
        "evidence": cause.says, "gain": gain, "caution": cause.caution, "draft": cause.draft, "setting": cause.setting,
        "scenario": {"base": cause.base, "changes": cause.changes},
    }  # fmt: skip


def _simulated(
    cause: Cause, model: Outline, process: str, plan: dict[str, Any], seed: int, go_on: Callable[[], bool]
) -> dict[str, Any] | None:
    """Run for run, the same luck for the same piece of work: how much shorter a case is on the mean."""
    models = {f"{process}.bpmn": model.text}
    other = None
    if cause.draft and not cause.changes:
        other = {f"{process}.bpmn": drawn(model.text, process, cause.draft)}
    scenario = {"name": cause.kind, "changes": cause.changes, "models": other}
    found = simulate(models, process, plan, [scenario], runs=RUNS, seed=seed, go_on=go_on)
    base, after = found["scenarios"]
    if base["stuck"] or after["stuck"]:
        return None
    less = after["against_base_ms"]["mean"]
    if less["mean"] is None or less["from"] is None:
        return None
    return {
        "what": "cycle_time", "by": "simulation", "mean_ms": round(-less["mean"]), "from_ms": round(-less["to"]), "to_ms": round(-less["from"]),
        "sure": less["to"] < 0,
    }  # fmt: skip


def _counted(cause: Cause) -> dict[str, Any]:
    """What would not have been lost, of each instance on the mean."""
    times = [us / 1000 for us in cause.saves_us]
    mean = fmean(times)
    off = 1.96 * stdev(times) / math.sqrt(len(times)) if len(times) > 1 else mean
    return {
        "what": "time_to_incident",
        "by": "history",
        "mean_ms": round(mean),
        "from_ms": round(mean - off),
        "to_ms": round(mean + off),
        "sure": mean > off,
    }
