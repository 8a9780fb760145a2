"""Whether advice finds what was planted, and nothing else: histories lived on the kernel, each cause with an even chance, decoys elsewhere (`planted.py`)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from flowledger.analytics.advise import gains
from flowledger.analytics.advise.seen import Seen
from flowledger.bench import planted

#: kind -> the elements that are meant
MEANT = {
    "parallel": {"read", "score"}, "limit": {"book"}, "split": {"small"}, "staff": {"sign"}, "retry": {"mail"}, "check": {"check"},
}  # fmt: skip


def found(seed: int) -> tuple[frozenset[str], list[dict[str, Any]]]:
    """(what was planted, what is advised)."""
    history = planted.lived(seed)
    seen = Seen()
    for events in history.events.values():
        seen.add(events)
    text = {f"{planted.PROCESS}.bpmn": planted.model(history.causes)}
    return history.causes, gains.advice(seen, text, planted.PROCESS, {planted.BOOK: planted.LIMIT})["items"]


def right(advice: dict[str, Any], causes: frozenset[str]) -> bool:
    """It was planted, and there."""
    kind = advice["kind"]
    return kind in causes and set(advice["elements"]) == MEANT[kind] and (kind != "staff" or advice["evidence"]["day"] == "monday")


def run(rounds: int = 12) -> list[dict[str, Any]]:
    """`rounds`: how many histories."""
    planted_, told, hits = Counter[str](), Counter[str](), Counter[str]()
    for seed in range(1, rounds + 1):
        causes, items = found(seed)
        planted_.update(causes)
        for item in items:
            told[item["kind"]] += 1
            hits[item["kind"]] += right(item, causes)
    rows = [_row(kind, planted_[kind], told[kind], hits[kind]) for kind in planted.KINDS]
    return [*rows, {**_row("all", planted_.total(), told.total(), hits.total()), "histories": rounds}]


def _row(kind: str, there: int, told: int, hits: int) -> dict[str, Any]:
    return {
        "figure": f"advice {kind}", "planted": there, "told": told, "right": hits, "precision": round(hits / told, 3) if told else None,
        "recall": round(hits / there, 3) if there else None,
    }  # fmt: skip
