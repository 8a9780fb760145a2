"""Several reads in one: each is what it is by itself, and one that fails harms no other."""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.api.gathered import ADDRESS_MAX, READS, READS_MAX
from flowledger.api.problems import Problem

from .conftest import instance_row


@pytest.fixture(autouse=True)
def rows(reads):
    reads.rows["instances"] = [instance_row(7, definition="9"), instance_row(8)]
    reads.rows["tasks"] = [
        {"id": "5", "status": "created", "tenant": "", "instance": "7", "form": {"formId": "a/b&c"}, "row_version": 3},
        {"id": "6", "status": "created", "tenant": "b", "instance": "7"},
    ]
    reads.rows["definitions"] = [{"key": "9", "id": "9", "definition_id": "p", "tenant": "", "kind": "process", "name": "P"}]
    reads.sources["9"] = {"content": "<definitions ä=''/>", "name": "p.bpmn"}


async def gathered(http: Any, *get: str, **more: Any) -> list[Any]:
    answer = await http.get("/v1/gathered", params={"get": list(get)}, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()["reads"]


async def test_each_is_what_it_is_by_itself(http):
    asked = ["/tasks/5", "/instances?limit=1", "/instances/7", "/instances/77", "/tasks?limit=x", "/definitions/9/source"]
    by_itself = [await http.get(f"/v1{address}") for address in asked * 2][
        len(asked) :
    ]  # the stand-in's rows are those that handlers add to
    for address, told, alone in zip(asked, await gathered(http, *asked), by_itself, strict=True):
        assert told["get"] == address and told["status"] == alone.status_code
        assert told["body"] == (alone.text if address.endswith("source") else alone.json())


async def test_a_read_names_what_an_earlier_one_has(http, reads):
    told = await gathered(
        http,
        "/tasks/5",
        "/instances/{0.instance}",
        "/definitions/{1.definition}",
        "/definitions?kind=form&definition_id={0.form.formId}",
        "/instances",
        "/instances/{4.items.1.id}",
    )
    assert [r["get"] for r in told][1:3] == ["/instances/7", "/definitions/9"] and told[2]["body"]["name"] == "P"
    assert told[3]["get"].endswith("definition_id=a%2Fb%26c"), "a value stays a value, whatever is in it"
    assert "a/b&c" in [f.get("definition_id") for noun, f, *_ in reads.asked if noun == "definitions"]
    assert told[5]["body"]["id"] == "8"


@pytest.mark.parametrize("named", ["0.element", "0.status.x", "0.form", "0.items.0.id", "0.row_version.1"])
async def test_what_an_earlier_one_does_not_have_is_not_asked_for(http, reads, named):
    _, lacking, after = await gathered(http, "/tasks/5", f"/instances/{{{named}}}", "/instances/7")
    assert lacking["status"] == 404 and lacking["body"]["code"] == "NOT_FOUND" and lacking["get"] == f"/instances/{{{named}}}"
    assert after["status"] == 200


async def test_a_value_leads_nowhere_else(http):
    _, told = await gathered(http, "/tasks/5", "/definitions/{0.form.formId}/source")
    assert told["status"] == 422 and "expected one of" in told["body"]["detail"]


async def test_what_hangs_on_a_read_that_fails_says_so(http):
    told = await gathered(http, "/tasks/55", "/instances/{0.instance}", "/instances/{1.parent}", "/instances/8")
    assert [r["status"] for r in told] == [404, 404, 404, 200] and "read 0 was answered with 404" in told[1]["body"]["detail"]


@pytest.mark.parametrize(
    ("get", "says"),
    [
        ("/events", "expected one of"),
        ("/gathered?get=/tasks", "expected one of"),
        ("/exports?process=p", "expected one of"),
        ("/tasks/5/files/a.txt", "expected one of"),
        ("/tasks/5%2Ffiles%2Fa.txt", "expected one of"),
        ("/tasks/5/%65vents%2F", "expected one of"),
        ("tasks", "expected one of"),
        ("//tasks", "expected one of"),
        ("/tasks/{0.id}", "an earlier read"),
        ("/tasks/{9.id}", "an earlier read"),
        ("/tasks/{id}", "other braces"),
        ("/tasks/{100.id}", "other braces"),
        ("/tasks/{0}", "other braces"),
        ("", "expected one of"),
        ("/tasks?element=" + "x" * ADDRESS_MAX, "characters"),
    ],
)
async def test_what_may_not_be_gathered_is_refused_before_anything_is_asked(http, reads, get, says):
    answer = await http.get("/v1/gathered", params={"get": [get, "/instances"] if get else [""]})
    assert answer.status_code == 422 and says in answer.text, answer.text
    assert reads.asked == []


@pytest.mark.parametrize(("n", "status"), [(0, 400), (1, 200), (READS_MAX, 200), (READS_MAX + 1, 400)])
async def test_how_many(http, n, status):
    assert (await http.get("/v1/gathered", params={"get": ["/instances"] * n})).status_code == status


async def test_who_asks_is_who_asks_each_of_them(http):
    other = await gathered(http, "/tasks/5", "/tasks/6", headers={"X-Tenant": "b", "X-Actor": "bob"})
    assert [r["status"] for r in other] == [404, 200]
    answer = await http.get("/v1/gathered", params={"get": ["/tasks/5"]}, headers={"X-Correlation-Id": "mine"})
    assert answer.headers["x-correlation-id"] == "mine"


async def test_it_waits_for_ones_own_write_once_and_tells_how_new_it_is(http, reads):
    answer = await http.get("/v1/gathered", params={"get": ["/tasks/5", "/instances"], "wait_for": "1-3"})
    assert reads.waited == [{1: 3}] and answer.json()["position"] == "0-1000000,1-1000000,2-1000000,3-1000000"


async def test_queries_that_are_away_are_told_read_by_read(http, reads, monkeypatch):
    async def away(*_: Any) -> Any:
        raise Problem("UNAVAILABLE", "the database is away")

    monkeypatch.setattr(reads, "positions", away)
    monkeypatch.setattr(reads, "list", away)
    answer = await http.get("/v1/gathered", params={"get": ["/tasks", "/instances"]})
    told = answer.json()
    assert answer.status_code == 200 and told["position"] is None and [r["body"]["code"] for r in told["reads"]] == ["UNAVAILABLE"] * 2


async def test_what_is_broken_in_one_breaks_no_other(http, reads, monkeypatch):
    async def broken(*_: Any) -> Any:
        raise RuntimeError("ours")

    monkeypatch.setattr(reads, "list", broken)
    assert [r["status"] for r in await gathered(http, "/tasks", "/tasks/5")] == [500, 200]


def test_all_that_may_be_gathered_is_there_and_gives_json_or_text():
    import json
    import re
    from pathlib import Path

    paths = json.loads((Path(__file__).parents[2] / "schemas" / "openapi.json").read_text())["paths"]
    known = {re.sub(r"\{\w+\}", "{}", path): methods["get"] for path, methods in paths.items() if "get" in methods}
    for path in READS:
        gives = set(known[f"/v1{path}"]["responses"]["200"]["content"])
        assert gives <= {"application/json", "application/xml", "text/plain"}, (path, gives)
