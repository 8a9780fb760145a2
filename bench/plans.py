"""What a question of the projections reads: rows and blocks as PostgreSQL counts them (`EXPLAIN (ANALYZE, BUFFERS)`).

They tell of a plan what milliseconds tell only on a quiet machine: whether a page of a list costs as much as it shows, however much there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from flowledger.projections.reader import Query, Reader, Row

_EXPLAIN = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {}")


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

    async def rows(
        self, query: Query, values: Any = (), *, nested: bool = True, merged: bool = True, sorts: bool = True, kept: bool = False
    ) -> list[Row]:
        if isinstance(query, str) and "positions" in query:
            return await super().rows(query, values, nested=nested, merged=merged, sorts=sorts, kept=kept)
        text = sql.SQL(query) if isinstance(query, str) else query
        if kept:
            explained = await self._kept(text, values, nested, merged, sorts)
        else:
            explained = await super().rows(_EXPLAIN.format(text), values, nested=nested, merged=merged, sorts=sorts)
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
        return await super().rows(query, values, nested=nested, merged=merged, sorts=sorts, kept=kept)

    async def _kept(self, text: sql.SQL | sql.Composed, values: Any, nested: bool, merged: bool, sorts: bool) -> list[Row]:
        """The plan that is kept, which was made without the values: what is explained with them would be planned with them."""
        async with self.pool.connection() as conn:
            await self._prepare(conn, nested=nested, merged=merged, sorts=sorts, kept=True)
            first, *rest = text.as_string(conn).split("%s")
            numbered = first + "".join(f"${n}{part}" for n, part in enumerate(rest, 1))
            await conn.execute(sql.SQL("PREPARE kept AS {}").format(sql.SQL(numbered)))
            try:
                asked = sql.SQL("EXECUTE kept ({})").format(sql.SQL(", ").join(sql.Literal(v) for v in values))
                return await (await conn.execute(_EXPLAIN.format(asked))).fetchall()
            finally:
                await conn.execute("DEALLOCATE kept")
