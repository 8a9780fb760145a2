"""What is told of a running instance: by the model where its card shows that it is better than counting, else by the baseline, which stands beside in any case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowledger.analytics.predict.measured import Baseline
from flowledger.analytics.predict.model import INTERVAL, Model

#: elements that may come next which are told
NEXT_MAX = 5


def told(
    model: Model, before: Baseline, card: Mapping[str, Any], drifted: bool, standing: Mapping[str, Any], now_us: int, due_us: int = 0
) -> dict[str, Any]:
    """`standing`: `{version, state, since_us, started_us}`. `due_us`: how likely it ends later than that."""
    state, age_ms = standing["state"], max(0, now_us - standing["started_us"]) // 1000
    seen = model.look(standing["version"], state, max(0, now_us - standing["since_us"]) // 1000, age_ms)
    remaining = card["remaining"]
    simple = round(before.left(state))
    holds = not drifted and not seen.beyond
    by_model = remaining["offered"] and holds
    left = seen.quantile(0.5) if by_model else simple
    held = by_model and remaining["interval"]["offered"]
    low, high = model.between(seen) if held else (None, None)
    found: dict[str, Any] = {
        "by": "model" if by_model else "baseline",
        "why": "" if by_model else "drifted" if drifted else "beyond" if seen.beyond else remaining["why"],
        "alike": seen.n,
        "remaining": {
            "ms": left, "low_ms": low, "high_ms": high, "says": INTERVAL if held else None, "error_ms": remaining["error_ms"] if by_model else _least(remaining),
            "baseline_ms": simple, "baseline_error_ms": _least(remaining),
        },
        "ends": {"at_us": now_us + left * 1000, "from_us": now_us + low * 1000 if low is not None else None, "to_us": now_us + high * 1000 if high is not None else None},
    }  # fmt: skip
    outcome = card["outcome"]["offered"] and holds
    found["success"] = {
        "by": "model" if outcome else "baseline", "share": round(seen.success(model.rate) if outcome else model.rate, 4), "baseline": round(model.rate, 4)
    }  # fmt: skip
    late = card["late"]["offered"] and holds
    found["late"] = _late(late, seen.later_than, before, due_us, now_us, age_ms)
    if card["next"]["offered"] and holds and seen.next:
        n = sum(seen.next.values())
        ordered = sorted(seen.next.items(), key=lambda x: (-x[1], x[0]))[:NEXT_MAX]
        found["next"] = [{"element": element, "share": round(count / n, 4)} for element, count in ordered]
    else:
        found["next"] = []
    return found


def _least(remaining: Mapping[str, Any]) -> int:
    return int(min(remaining["baseline_error_ms"].values()))


def _late(offered: bool, later: Any, before: Baseline, due_us: int, now_us: int, age_ms: int) -> dict[str, Any]:
    """Later than was asked for, or than three quarters of the cases before."""
    left_ms = (due_us - now_us) // 1000 if due_us else before.due_ms - age_ms
    over = left_ms <= 0
    share = 1.0 if over else round(later(left_ms), 4) if offered else None if due_us else round(before.late, 4)
    return {"by": "model" if offered else "baseline", "share": share, "due_us": now_us + left_ms * 1000, "asked": bool(due_us)}
