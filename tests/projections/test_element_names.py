"""Incidents tell what the element is called where they happened: an activity, a gateway or an event, as its own version calls it."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from flowledger.kernel.elements.outline import outline
from flowledger.kernel.model import bpmn
from flowledger.projections import groups
from flowledger.projections import queries as q
from flowledger.projections.reader import Reader

MODEL = b"""<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" targetNamespace="t"><process id="p" isExecutable="true">
<startEvent id="begin" name="Order came"/><sequenceFlow id="f1" sourceRef="begin" targetRef="which"/>
<exclusiveGateway id="which" name="Enough in stock?"/><sequenceFlow id="f2" sourceRef="which" targetRef="pack"/>
<manualTask id="pack" name="Pack it"/><sequenceFlow id="f3" sourceRef="pack" targetRef="end"/><endEvent id="end"/>
</process></definitions>"""


def test_the_outline_calls_what_is_no_activity_by_its_name_alone():
    graph, _ = bpmn.read(MODEL)
    assert graph is not None
    [process] = graph.processes.values()
    told = outline(process)
    assert told["which"] == {"name": "Enough in stock?"} and told["begin"] == {"name": "Order came"} and "end" not in told
    assert told["pack"]["name"] == "Pack it" and told["pack"]["type"] == "manual_task"


@pytest.mark.postgres
async def test_incidents_and_their_groups_have_the_name(db, dsn, schema):
    definition = (
        "INSERT INTO workflow_definitions (tenant_id, id, definition_id, kind, name, version, content_hash, status, created_by, outline) "
        "VALUES (%s, %s, 'p', 'process', 'p', %s, '', 'published', 'u', %s)"
    )
    incident = (
        "INSERT INTO incidents (tenant_id, id, workflow_instance_id, definition_id, process_id, element, code, status, group_id, created_at) "
        "VALUES (%s, %s, %s, %s, 'p', %s, 'C', 'open', %s, now())"
    )
    rows: list[tuple[str, Any]] = [
        (definition, ("", 1, 1, Jsonb({"which": {"name": "Enough?"}}))),
        (definition, ("", 2, 2, Jsonb({"which": {"name": "Enough in stock?"}}))),
        (definition, ("", 3, 3, None)),
        (definition, ("b", 4, 1, Jsonb({"which": {"name": "Theirs"}}))),
        (incident, ("", 11, 101, 1, "which", "g1")),
        (incident, ("", 12, 102, 2, "which", "g1")),
        (incident, ("", 13, 103, 3, "which", "g2")),
        (incident, ("", 14, 104, 2, "end", "g3")),
        (incident, ("", 15, 105, 4, "which", "g4")),
    ]
    for query, values in rows:
        await db.execute(query, values)
    async with Reader(dsn, schema) as reader:
        found = {i["id"]: i["element_name"] for i in (await q.list_incidents(reader, "", {}))["items"]}
        assert found == {"11": "Enough?", "12": "Enough in stock?", "13": None, "14": None, "15": None}, "of one's own tenant only"
        assert (await q.get_incident(reader, "", 12) or {})["element_name"] == "Enough in stock?"
        told = {g["id"]: g["element_name"] for g in (await groups.list_groups(reader, "", {}))["items"]}
        assert told["g1"] == "Enough in stock?" and told["g2"] is None, "as the newest version calls it"
