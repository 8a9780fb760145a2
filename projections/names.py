"""What elements are called: rows of incidents and of their groups have an element's id, people know its name."""

from __future__ import annotations

from collections.abc import Iterable

from flowledger.projections.reader import Reader, Row

_NAMES = (
    "SELECT d.id, asked.element, d.outline -> asked.element ->> 'name' AS name "
    "FROM unnest(%s::bigint[], %s::text[]) AS asked (definition, element) "
    "JOIN workflow_definitions d ON d.tenant_id = %s AND d.id = asked.definition"
)


async def of_elements(r: Reader, tenant: str, asked: Iterable[tuple[int | str | None, str | None]]) -> dict[tuple[str, str], str]:
    """(definition's key as a text, element) -> its name, of those that have one. One question for all of them."""
    wanted = sorted({(int(definition), element) for definition, element in asked if definition and element})
    if not wanted:
        return {}
    rows = await r.rows(_NAMES, ([d for d, _ in wanted], [e for _, e in wanted], tenant))
    return {(str(row["id"]), row["element"]): row["name"] for row in rows if row["name"]}


async def put(r: Reader, tenant: str, rows: list[Row]) -> None:
    """`element_name` into rows of incidents (each of one definition) or of their groups (of several: as the newest calls it); None: it has none."""
    of = [max(row["definitions"], key=int, default=None) if "definitions" in row else row["definition_id"] for row in rows]
    names = await of_elements(r, tenant, zip(of, (row["element"] for row in rows), strict=True))
    for row, definition in zip(rows, of, strict=True):
        row["element_name"] = names.get((str(definition), row["element"]))
