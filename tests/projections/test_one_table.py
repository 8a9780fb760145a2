"""What a list shows stands in the one table that it reads: names of the process, who holds a task, how an attempt ended are copied there."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flowledger.bench.plans import Explainer, Read, nodes
from flowledger.projections import queries as q

pytestmark = pytest.mark.postgres

LISTS = [
    (q.list_tasks, "tasks", {}),
    (q.list_tasks, "tasks", {"definition": "order", "status": "created", "assignee": "ann", "element": "check", "overdue": "true"}),
    (q.list_instances, "workflow_instances", {}),
    (q.list_instances, "workflow_instances", {"definition": "order", "status": "running", "has_incident": "true", "initiator": "ann"}),
]
#: copied into the rows from definitions, assignments, results and incidents
COPIED = {
    "tasks": "workflow_definition_id process_id definition_key assignee worker attempts retries incident_id duration_ms result_status",
    "workflow_instances": "definition_id process_id version incidents",
}


@pytest.mark.req("TES-DAT-006")
@pytest.mark.parametrize(("ask", "table", "given"), LISTS)
async def test_a_list_touches_one_table(ask: Any, table: str, given: dict[str, str], db: Any, dsn: str, schema: str) -> None:
    there = {c.name for c in (await db.execute(f"SELECT * FROM {table} LIMIT 0")).description}
    assert set(COPIED[table].split()) <= there, set(COPIED[table].split()) - there
    async with Explainer(dsn, schema) as pool:
        reader: Any = pool.of("")
        reader.read = read = Read()
        await ask(reader, "", given, 20, None)
    touched = {node["Relation Name"] for plan in read.plans for node in nodes(plan) if "Relation Name" in node}
    assert read.plans and touched and {re.sub(r"_m[0-9]{6}$", "", name) for name in touched} == {table}, touched
