"""What a question of the projections reads: rows and blocks as PostgreSQL counts them (`EXPLAIN (ANALYZE, BUFFERS)`).

They tell of a plan what milliseconds tell only on a quiet machine: whether a page of a list costs as much as it shows, however much there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from flowledger.projections.reader import Query, Reader, Row


@dataclass
class Read:
    """Summed over the queries of a question.

    Attributes:
        rows: taken from tables and indexes, those included that a filter then let go.
        blocks: of 8 KiB, from memory or disk.
        scans: the tables that were read as a whole.
        indexes: the names of those that were used, as the partitions have them.
        plans: the plans themselves.
    """

    rows: int = 0
    blocks: int = 0
    planning_ms: float = 0.0
    execution_ms: float = 0.0
    scans: list[str] = field(default_factory=list)
    indexes: set[str] = field(default_factory=set)
    plans: list[dict[str, Any]] = field(default_factory=list)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


class Explainer(Reader):
    """Answers as a reader does, and notes in `read` what each query but that of the positions took."""

    read: Read

    async def rows(self, query: Query, values: Any = (), *, nested: bool = True, sorts: bool = True) -> list[Row]:
        if isinstance(query, str) and "positions" in query:
            return await super().rows(query, values, nested=nested, sorts=sorts)
        text = sql.SQL(query) if isinstance(query, str) else query
        explained = await super().rows(
            sql.SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {}").format(text), values, nested=nested, sorts=sorts
        )
        (found,) = explained[0]["QUERY PLAN"]
        read, plan = self.read, found["Plan"]
        read.plans.append(plan)
        read.planning_ms += float(found["Planning Time"])
        read.execution_ms += float(found["Execution Time"])
        read.blocks += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        for node in nodes(plan):
            if "Index Name" in node:
                read.indexes.add(node["Index Name"])
            if not node["Node Type"].endswith("Scan") or node["Node Type"] in ("Function Scan", "Subquery Scan", "CTE Scan"):
                continue
            loops = node["Actual Loops"]
            taken = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            read.rows += round(float(taken) * loops)
            if node["Node Type"] == "Seq Scan" and loops:
                read.scans.append(node["Relation Name"])
        return await super().rows(query, values, nested=nested, sorts=sorts)
