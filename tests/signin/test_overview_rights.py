"""The first look has of each part what the caller may see, by the rights of the part's own list."""

from __future__ import annotations

import pytest

from flowledger.api.access.operations import HTTP
from flowledger.api.access.rights import ROLES
from flowledger.api.overview import NEEDS

pytestmark = [pytest.mark.postgres, pytest.mark.req("D-SEC-002")]
LISTS = {"tasks": "GET /v1/tasks", "incidents": "GET /v1/incidents", "instances": "GET /v1/instances", "findings": "GET /v1/watchdog"}


def test_each_part_needs_the_right_of_its_own_list():
    assert {part: HTTP[operation] for part, operation in LISTS.items()} == NEEDS


@pytest.mark.parametrize("role", sorted(ROLES))
async def test_what_a_role_may_not_see_is_not_asked_for(world, role):
    world.ledger.answers["ListFindings"] = {"findings": [], "counts": {}}
    http = await world.user("ann", role)
    told = (await http.get("/v1/overview")).json()
    lacking = {part for part, right in NEEDS.items() if right not in ROLES[role][1]}
    assert told["unseen"] == dict.fromkeys(lacking, "FORBIDDEN") and {part for part in NEEDS if told[part] is None} == lacking
    assert {noun for noun, *_ in world.reads.asked} == set(NEEDS) - lacking - {"findings"}, "nothing is read for nobody"
    assert told["health"]["status"] == "ready"
    assert all(filters.get("assignee") == "ann" for noun, filters, *_ in world.reads.asked if noun == "tasks")


async def test_nobody_sees_it_unknown(world):
    assert (await world.client().get("/v1/overview")).status_code == 401
