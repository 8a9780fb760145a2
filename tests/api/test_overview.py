"""The first look: all parts in one answer, each as its own list has it, and what lacks is said."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.api.overview import ROWS_MAX
from flowledger.api.problems import Problem
from flowledger.events.base import Rejected

from .conftest import instance_row

pytestmark = pytest.mark.req("APG-UI-002")


def found(n: int, **more: Any) -> dict[str, Any]:
    return {"findings": [], "counts": {"token_stuck": n}, **more}


@pytest.fixture(autouse=True)
def watched(client):
    client.answers["ListFindings"] = found(0)


async def test_one_answer_has_every_part_of_the_first_page(http, client, reads):
    reads.rows["instances"] = [instance_row(k) for k in (1, 2, 3)]
    reads.rows["tasks"] = [{"id": "5", "status": "created", "tenant": ""}]
    reads.rows["incidents"] = [{"id": "6", "status": "open", "code": "X", "message": "m", "tenant": ""}]
    client.answers["ListFindings"] = found(2)
    told = (await http.get("/v1/overview", params={"limit": 2})).json()
    assert [i["id"] for i in told["instances"]] == ["1", "2"] and told["tasks"][0]["id"] == "5" and told["incidents"][0]["id"] == "6"
    assert told["health"] == (await http.get("/health/ready")).json() and told["findings"] == 2 * client.partitions
    assert told["unseen"] == {} and told["position"] == "0-1"


async def test_tasks_are_those_of_who_asks(http, reads):
    await http.get("/v1/overview", headers={"X-Actor": "ann"})
    await http.get("/v1/overview")
    mine, all_ = (filters for noun, filters, *_ in reads.asked if noun == "tasks")
    assert mine["assignee"] == "ann" and "assignee" not in all_ and mine["type"] == "user_task,human_task,manual_task"
    assert "completed" not in mine["status"]


async def test_whether_it_is_well_is_told_above_all_when_it_is_not(http, client, reads, monkeypatch):
    async def away(*_: Any) -> Any:
        raise Problem("UNAVAILABLE", "the database is away")

    monkeypatch.setattr(reads, "list", away)
    reads.trouble = "queries: away"
    client.ready = {"ready": False, "reasons": ["nobody owns 3"]}
    client.answers["ListFindings"] = Rejected("UNAVAILABLE", "nobody owns it")
    answer = await http.get("/v1/overview")
    told = answer.json()
    assert answer.status_code == 200 and told["health"]["reasons"] == ["nobody owns 3", "queries: away"]
    assert told["unseen"] == dict.fromkeys(("tasks", "incidents", "instances"), "UNAVAILABLE") and told["tasks"] is None
    assert told["findings"] == 0 and told["position"] is None


async def test_it_waits_for_ones_own_write_and_tells_the_rest_when_that_takes_too_long(http, reads):
    reads.at[1] = 3
    told = (await http.get("/v1/overview", params={"wait_for": "1-3"})).json()
    assert reads.waited == [{1: 3}] and told["unseen"] == {}
    told = (await http.get("/v1/overview", params={"wait_for": "9-3"})).json()
    assert told["code"] == "NOT_FOUND"


async def test_what_is_wrong_with_a_list_is_not_hidden(http, reads, monkeypatch):
    async def broken(*_: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(reads, "list", broken)
    assert (await http.get("/v1/overview")).status_code == 500


@pytest.mark.parametrize(("limit", "status"), [(1, 200), (ROWS_MAX, 200), (0, 400), (ROWS_MAX + 1, 400)])
async def test_how_many_rows(http, limit, status):
    assert (await http.get("/v1/overview", params={"limit": limit})).status_code == status


async def test_it_is_as_new_as_the_oldest_of_its_parts(http, reads, monkeypatch):
    places = iter(("0-9,1-4", "0-7,1-5", "0-8,1-6,2-1"))

    async def listed(*_: Any) -> Any:
        return {"items": [], "cursor": None, "position": next(places)}

    monkeypatch.setattr(reads, "list", listed)
    assert (await http.get("/v1/overview")).json()["position"] == "0-7,1-4"
