"""Several reads in one show nobody more than each by itself does: of each role, each read has the answer that it has alone."""

from __future__ import annotations

import re

import pytest

from flowledger.api.access.operations import HTTP, SIGNED_IN
from flowledger.api.access.rights import ROLES
from flowledger.api.gathered import READS, READS_MAX

pytestmark = [pytest.mark.postgres, pytest.mark.req("D-SEC-002")]
#: path, with `{}` for each part that differs -> the right of its read
RIGHTS = {re.sub(r"\{\w+\}", "{}", o.removeprefix("GET /v1")): right for o, right in HTTP.items() if o.startswith("GET /v1")}


def test_reading_several_needs_no_right_of_its_own_and_each_of_them_has_one():
    assert HTTP["GET /v1/gathered"] == SIGNED_IN
    assert [path for path in READS if RIGHTS.get(path, SIGNED_IN) == SIGNED_IN] == []


@pytest.mark.parametrize("role", sorted(ROLES))
async def test_a_role_reads_what_it_may_and_nothing_else(world, role):
    world.ledger.answers["ListFindings"] = {"findings": [], "counts": {}}
    http = await world.user("ann", role)
    paths = [path.replace("{}", "7") for path in READS]
    for part in (paths[n : n + READS_MAX] for n in range(0, len(paths), READS_MAX)):
        alone = [(await http.get(f"/v1{path}")) for path in part]
        told = (await http.get("/v1/gathered", params={"get": part})).json()["reads"]
        assert [(r["get"], r["status"]) for r in told] == [(path, a.status_code) for path, a in zip(part, alone, strict=True)]
        for path, read in zip(part, told, strict=True):
            right = RIGHTS[path.replace("7", "{}")]
            assert (read["status"] == 403) is (right not in ROLES[role][1]), (path, read)
            if read["status"] == 403:
                assert read["body"]["right"] == right


async def test_what_hangs_on_what_one_may_not_see_is_not_asked_for(world):
    role = next(name for name, (_, rights) in sorted(ROLES.items()) if "watchdog:read" not in rights and "instances:read" in rights)
    http = await world.user("ann", role)
    first, second = (await http.get("/v1/gathered", params={"get": ["/watchdog", "/instances/{0.items.0.instance}"]})).json()["reads"]
    assert (first["status"], second["status"]) == (403, 404) and "answered with 403" in second["body"]["detail"]


async def test_nobody_reads_unknown(world):
    assert (await world.client().get("/v1/gathered", params={"get": "/tasks"})).status_code == 401
