"""`strategy: nearest`: the work goes to whom it has least far to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from flowledger.plugin import Candidate, Strategy

FAR = 1_000_000


def km(candidate: Candidate) -> float:
    """`metadata.distance_km` of the directory's record; who has none is far away."""
    found = (candidate.record.get("metadata") or {}).get("distance_km")
    return float(found) if isinstance(found, (int, float, Decimal)) else FAR


def choose(candidates: Sequence[Candidate], needed: Mapping[str, Decimal]) -> tuple[str, str]:
    best = min(candidates, key=lambda c: (km(c), c.load, c.name))
    return best.name, f"is nearest, {km(best):g} km away" if km(best) < FAR else "is the first of those whose distance isn't known"


NEAREST = Strategy(api=1, name="nearest", choose=choose, doc="Whoever is nearest, by metadata.distance_km of the directory")
