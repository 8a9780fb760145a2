"""Several operations of SCIM in one request (RFC 7644, 3.7): their order, what refers to what, and what one of them is refused for."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from flowledger.api.access import scim_bulk
from tests.signin.conftest import World
from tests.signin.test_scim import GROUP, PATCH, USER, directory, person

pytestmark = [pytest.mark.postgres, pytest.mark.req("D-SEC-001", "APG-SEC-009")]


def user(bulk_id: str, name: str, **more: Any) -> dict[str, Any]:
    return {"method": "POST", "path": "/Users", "bulkId": bulk_id, "data": {"schemas": [USER], "userName": name, **more}}


def group(bulk_id: str, name: str, *members: str) -> dict[str, Any]:
    data = {"schemas": [GROUP], "displayName": name, "members": [{"value": f"bulkId:{m}"} for m in members]}
    return {"method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": data}


async def bulk(http: httpx2.AsyncClient, *operations: Any, **more: Any) -> httpx2.Response:
    return await http.post("/scim/v2/Bulk", json={"schemas": [scim_bulk.REQUEST], "Operations": list(operations), **more})


async def statuses(http: httpx2.AsyncClient, *operations: Any, **more: Any) -> list[str]:
    said = await bulk(http, *operations, **more)
    assert said.status_code == 200, said.text
    assert said.json()["schemas"] == [scim_bulk.RESPONSE]
    return [o["status"] for o in said.json()["Operations"]]


async def test_people_and_their_group_in_one_request_whatever_the_order(world: World):
    http = await directory(world)
    told = (await bulk(http, group("g", "ops", "a", "b"), user("a", "ann"), user("b", "bob"))).json()["Operations"]
    assert [(o["method"], o["bulkId"], o["status"]) for o in told] == [("POST", "g", "201"), ("POST", "a", "201"), ("POST", "b", "201")]
    made = (await http.get(told[0]["location"])).json()
    assert made["displayName"] == "ops" and {x["value"] for x in made["members"]} == {o["location"].rpartition("/")[2] for o in told[1:]}
    assert told[0]["version"] == (await http.get(told[0]["location"])).headers["etag"]
    assert (await world.client().get("/scim/v2/Users")).status_code == 401, "as everywhere: nobody without a key"


async def test_each_method_and_a_version_that_is_another(world: World):
    http = await directory(world)
    ann, bob, old = [await person(http, n) for n in ("ann", "bob", "old")]
    version = (await http.get(f"/scim/v2/Users/{ann}")).headers["etag"]
    change = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "displayName", "value": "Ann"}]}
    replace = {"schemas": [USER], "userName": "bob", "displayName": "Bob"}
    found = await statuses(
        http,
        {"method": "PATCH", "path": f"/Users/{ann}", "version": version, "data": change},
        {"method": "PATCH", "path": f"/Users/{ann}", "version": version, "data": {**change, "Operations": [{**change["Operations"][0], "value": "X"}]}},
        {"method": "put", "path": f"/Users/{bob}", "data": replace},
        {"method": "DELETE", "path": f"/Users/{old}"},
        {"method": "DELETE", "path": f"/Users/{old}"},
    )  # fmt: skip
    assert found == ["200", "412", "200", "204", "404"]
    assert [(await http.get(f"/scim/v2/Users/{i}")).json().get("displayName") for i in (ann, bob)] == ["Ann", "Bob"]


async def test_what_one_is_refused_for_the_others_are_not(world: World):
    http = await directory(world)
    told = (
        await bulk(
            http, user("a", "ann"), user("b", "admin"), group("g", "ops", "b"), group("h", "authors", "a", "nobody"), user("c", "carl")
        )
    ).json()
    assert [o["status"] for o in told["Operations"]] == ["201", "409", "409", "409", "201"]
    assert told["Operations"][1]["response"]["scimType"] == "uniqueness" and "location" not in told["Operations"][1]
    assert "bulkId:b" in told["Operations"][2]["response"]["detail"]
    assert (await http.get("/scim/v2/Groups")).json()["totalResults"] == 0


@pytest.mark.parametrize(
    ("fail", "statuses_", "people"), [(1, ["409"], 0), (2, ["409", "201", "409"], 1), (0, ["409", "201", "409", "201"], 2)]
)
async def test_so_many_errors_end_it(world: World, fail: int, statuses_: list[str], people: int):
    http = await directory(world)
    operations = (user("a", "admin"), user("b", "ann"), user("c", "admin"), user("d", "bob"))
    assert await statuses(http, *operations, failOnErrors=fail) == statuses_
    assert (await http.get("/scim/v2/Users")).json()["totalResults"] == people


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({}, "400"), ({"method": "GET", "path": "/Users"}, "400"), ({"method": 1, "path": "/Users"}, "400"), ({"method": "POST", "path": "/Things"}, "400"),
        ({"method": "POST", "path": "/Users", "data": {"schemas": [USER], "userName": "ann"}}, "400"), ({**user("a", "ann"), "path": "/Users/x"}, "400"),
        ({**user("a", "ann"), "data": []}, "400"), ({**user("a", "ann"), "data": {}}, "400"), ({"method": "DELETE", "path": "/Users"}, "400"),
        ({"method": "DELETE", "path": "/Users/bulkId:nobody"}, "409"), ({"method": "DELETE", "path": "/Users/a/b"}, "400"),
        ({**user("a", "ann"), "version": 1}, "400"), (group("g", "ops", "g"), "409"),
    ],
)  # fmt: skip
async def test_an_operation_that_is_none(world: World, operation: dict[str, Any], status: str):
    http = await directory(world)
    assert await statuses(http, operation, user("z", "zoe")) == [status, "201"]


async def test_what_no_job_is(world: World):
    http = await directory(world)
    assert await statuses(http, user("a", "ann"), user("a", "bob")) == ["201", "400"], "a name stands for one"
    many = [{"method": "DELETE", "path": "/Users/nobody"}] * scim_bulk.OPERATIONS_MAX
    assert set(await statuses(http, *many)) == {"404"}
    for wrong in (
        {"Operations": [*many, many[0]]},
        {"Operations": ["x"]},
        {"Operations": 1},
        {"schemas": ["x"]},
        {"failOnErrors": -1},
        {"failOnErrors": "1"},
    ):
        body = {"schemas": [scim_bulk.REQUEST], "Operations": [], **wrong}
        assert (await http.post("/scim/v2/Bulk", json=body)).status_code == 400, wrong
    large = user("a", "ann", title="x" * scim_bulk.PAYLOAD_MAX)
    assert (await bulk(http, large)).status_code == 413
    told = (await http.get("/scim/v2/ServiceProviderConfig")).json()["bulk"]
    assert told == {"supported": True, "maxOperations": scim_bulk.OPERATIONS_MAX, "maxPayloadSize": scim_bulk.PAYLOAD_MAX}
