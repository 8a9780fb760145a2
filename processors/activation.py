"""How one request for jobs is shared among partitions. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush


def shares(waiting: Mapping[int, Sequence[Sequence[int]]], wanted: int) -> dict[int, int]:
    """Partition -> how many of its jobs to take, `wanted` in all if there are so many.

    `waiting`: partition -> [[priority, number] ...], the most urgent first. Those of the highest priority are taken first; of the same priority one
    of each partition by turns, in the order of the mapping.
    """
    out: dict[int, int] = {}
    heads = [(-rows[0][0], 0, turn, p, 0, rows[0][1]) for turn, (p, rows) in enumerate(waiting.items()) if rows]
    heapify(heads)
    taken = 0
    while heads and taken < wanted:
        priority, lap, turn, p, row, left = heappop(heads)
        out[p] = out.get(p, 0) + 1
        taken += 1
        if left > 1:
            heappush(heads, (priority, lap + 1, turn, p, row, left - 1))
        elif row + 1 < len(waiting[p]):
            following, number = waiting[p][row + 1]
            heappush(heads, (-following, 0, turn, p, row + 1, number))
    return out
