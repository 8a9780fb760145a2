"""SCIM 2.0: what a directory provisions, who is then let in, and that nothing else is touched. The standard itself: `scim2-tester` against a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from flowledger.api import scim
from flowledger.api.access import provisioning
from flowledger.infra.people import Granted, People
from tests.signin.conftest import PASSWORD, World, first_admin, local_server
from tests.signin.test_tokens import Oidc, oidc  # noqa: F401

pytestmark = [pytest.mark.postgres, pytest.mark.req("D-SEC-001", "APG-SEC-009")]
USER, GROUP = "urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
GROUPS = People(groups=[Granted(name="ops", roles=["operator"], tenants=["", "acme"]), Granted(name="authors", roles=["author"])])


async def directory(world: World) -> httpx2.AsyncClient:
    """A provider with a key of its own."""
    world.known.people = GROUPS
    admin = await world.admin()
    made = await admin.post("/v1/api-keys", json={"name": "scim", "actor": "entra", "roles": ["provisioner"]})
    return world.client(made.json()["key"])


async def person(http: httpx2.AsyncClient, user: str, **more: Any) -> str:
    said = await http.post("/scim/v2/Users", json={"schemas": [USER], "userName": user, **more})
    assert said.status_code == 201, said.text
    return str(said.json()["id"])


async def group(http: httpx2.AsyncClient, name: str, *members: str) -> str:
    said = await http.post("/scim/v2/Groups", json={"schemas": [GROUP], "displayName": name, "members": [{"value": m} for m in members]})
    assert said.status_code == 201, said.text
    return str(said.json()["id"])


async def patched(http: httpx2.AsyncClient, path: str, *operations: dict[str, Any], **headers: str) -> httpx2.Response:
    return await http.patch(f"/scim/v2/{path}", json={"schemas": [PATCH], "Operations": list(operations)}, headers=headers)


async def signed_in(world: World, name: str) -> httpx2.AsyncClient:
    """By a link, as who is provisioned has no password."""
    from flowledger.processors.client import Caller

    _, link = await world.accounts.reset(Caller("admin"), name)
    http = world.client()
    said = await http.post("/v1/session/link", json={"link": link, "password": PASSWORD})
    assert said.status_code == 200, said.text
    http.headers["x-csrf-token"] = said.json()["csrf"]
    return http


#: `active` that is taken away stays what it was: a value that is always there (RFC 7643, 2.2, leaves that to us)
ACTIVE = "did not remove attribute 'active'"


# --- the standard ----------------------------------------------------------------------------------------------------------------


def test_a_real_server_passes_the_conformance_tests(empty_database, tmp_path: Path):
    with local_server(empty_database, tmp_path) as place:
        admin = first_admin(place.url, place.system.said)
        made = admin.post("/v1/api-keys", json={"name": "scim", "actor": "entra", "roles": ["provisioner"]}).json()
        with httpx2.Client(base_url=f"{place.url}/scim/v2", headers={"authorization": f"Bearer {made['key']}"}, timeout=60) as http:
            found = check_server(SyncSCIMClient(http))
            left = http.get("/Users").json()
        wrong = [f"{r.title}: {r.reason}" for r in found if r.status in (Status.ERROR, Status.CRITICAL) and ACTIVE not in (r.reason or "")]
        good = [r for r in found if r.status == Status.SUCCESS]
        assert not wrong, "\n".join(wrong)
        assert len(good) > 60 and {r.resource_type for r in good} >= {"User", "Group"}, len(good)
        assert left["totalResults"] == 0, "it removes what it has made"


async def test_what_providers_send_and_we_do_not_keep_is_dropped(world):
    http = await directory(world)
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    id = await person(
        http, "ann", externalId="x-1", displayName="Ann", emails=[{"value": "ann@corp.local", "primary": True}], password="hush-hush-hush",
        phoneNumbers=[{"value": "+49 30 1"}], name={"familyName": "Berg"}, **{enterprise: {"department": "sales"}},
    )  # fmt: skip
    said = (await http.get(f"/scim/v2/Users/{id}")).json()
    assert (said["displayName"], said["externalId"], said["active"]) == ("Ann", "x-1", True) and said["name"] == {"familyName": "Berg"}
    kept = str(await world.store.rows("SELECT * FROM people")) + str(await world.store.rows("SELECT * FROM users"))
    told = str(world.ledger.told())
    for dropped in ("hush-hush", "+49", "sales"):
        assert dropped not in kept + told + str(said)
    assert "corp.local" in kept and "corp.local" not in told and "Berg" not in told, "the ledger forgets nothing, so it isn't told"
    assert (await world.client().post("/v1/session", json={"name": "ann", "password": "hush-hush-hush"})).status_code == 401


async def test_filters_orders_and_pages(world):
    http = await directory(world)
    ids = {n: await person(http, n, externalId=f"x-{n}", emails=[{"value": f"{n}@corp.local"}]) for n in ("dora", "ann", "Bob", "carl")}
    await patched(http, f"Users/{ids['carl']}", {"op": "replace", "path": "active", "value": False})
    ops = await group(http, "ops", ids["ann"], ids["dora"])

    async def names(**query: Any) -> list[str]:
        said = await http.get("/scim/v2/Users", params=query)
        assert said.status_code == 200, said.text
        return [u["userName"] for u in said.json()["Resources"]]

    assert await names(filter='userName eq "a\\u0000"') == [] == await names(filter='id eq "\\u0000"'), "no text of a row has that"
    assert await names(filter='userName eq "ANN"') == ["ann"] == await names(filter='externalId eq "x-ann"')
    assert await names(filter='userName eq "nobody"') == []
    assert sorted(await names(filter="active eq false")) == ["carl"]
    assert await names(filter='emails.value sw "b" or userName sw "c"', sortBy="userName", sortOrder="descending") == ["carl", "Bob"]
    assert sorted(await names(filter=f'groups.value eq "{ops}"')) == ["ann", "dora"]
    assert await names(sortBy="userName", startIndex=2, count=2) == ["Bob", "carl"]
    page = (await http.get("/scim/v2/Users", params={"startIndex": 4, "count": 5})).json()
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (4, 4, 1)
    assert (await http.get("/scim/v2/Users", params={"count": 0})).json()["totalResults"] == 4
    slim = (await http.get("/scim/v2/Groups", params={"excludedAttributes": "members", "filter": 'displayName eq "ops"'})).json()[
        "Resources"
    ]
    assert [g["displayName"] for g in slim] == ["ops"] and "members" not in slim[0]
    assert set((await http.get(f"/scim/v2/Users/{ids['ann']}", params={"attributes": "userName"})).json()) == {"schemas", "id", "userName"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        ("GET", "Users?filter=userName xx", None, 400, "invalidFilter"),
        ("GET", f"Users?filter=userName eq \"{'x' * (scim.FILTER_MAX + 1)}\"", None, 400, "invalidFilter"),
        ("GET", 'Users?filter=colour eq "red"', None, 400, "invalidFilter"),
        ("GET", "Users?sortBy=colour", None, 400, "invalidPath"),
        ("POST", "Users", {"userName": "no schemas and a space"}, 400, "invalidValue"),
        ("POST", "Users", {"schemas": [USER]}, 400, "invalidValue"),
        ("POST", "Users", {"schemas": [USER], "userName": "admin"}, 409, "uniqueness"),
        ("POST", "Users", {"schemas": [USER], "userName": "ADMIN"}, 409, "uniqueness"),
        ("POST", "Users", {"schemas": [USER], "userName": "entra"}, 409, "uniqueness"),
        ("POST", "Users", {"schemas": [USER], "userName": "a" * 101}, 400, "invalidValue"),
        ("POST", "Users", {"schemas": [USER], "userName": "ann", "externalId": "x" * 256}, 400, "invalidValue"),
        ("POST", "Users", {"schemas": [USER], "userName": "ann", "name": {"formatted": "x" * provisioning.PROFILE_MAX}}, 400, "invalidValue"),
        ("POST", "Users", {"schemas": [USER], "userName": "ann", "displayName": "a\u0000b"}, 400, "invalidValue"),
        ("POST", "Groups", {"schemas": [GROUP], "displayName": "g", "members": [{"value": "nobody"}]}, 400, "invalidValue"),
        ("POST", "Groups", {"schemas": [GROUP], "displayName": "g", "members": [{"value": "x", "type": "Group"}]}, 400, "invalidValue"),
        ("POST", "Groups", [], 400, "invalidSyntax"),
        ("PATCH", "Users/nobody", {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}, 404, None),
        ("PATCH", "Users/nobody", {"schemas": [PATCH], "Operations": []}, 400, "invalidValue"),
        ("PATCH", "Users/x", {"schemas": [PATCH], "Operations": [{"op": "add"}] * (scim.OPERATIONS_MAX + 1)}, 400, "invalidSyntax"),
        ("DELETE", "Groups/nobody", None, 404, None),
        ("GET", "Schemas?filter=id pr", None, 403, None),
        ("POST", "Groups", {"schemas": [GROUP], "displayName": "g", "members": [{"value": "a\u0000"}]}, 400, "invalidValue"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said_in_the_standard_s_words(world, method, path, body, status, kind):
    http = await directory(world)
    calls = len(world.ledger.calls)
    said = await http.request(method, f"/scim/v2/{path}", json=body)
    assert (said.status_code, said.json().get("scimType"), said.json()["status"]) == (status, kind, str(status)), said.text
    assert said.json()["detail"] and said.headers["content-type"].startswith("application/scim+json")
    assert len(world.ledger.calls) == calls or method != "GET"
    assert not [t for t in world.ledger.told() if t[1].startswith(("user:ann", "group:"))]


async def test_a_change_of_what_has_changed_meanwhile_is_refused(world):
    http = await directory(world)
    id = await person(http, "ann")
    read = await http.get(f"/scim/v2/Users/{id}")
    tag = read.headers["etag"]
    assert (await http.get(f"/scim/v2/Users/{id}", headers={"if-none-match": tag})).status_code == 304
    renamed = {"op": "replace", "path": "displayName", "value": "Ann"}
    assert (await patched(http, f"Users/{id}", renamed, **{"if-match": tag})).status_code == 200
    said = await patched(http, f"Users/{id}", {**renamed, "value": "Anna"}, **{"if-match": tag})
    assert said.status_code == 412 and said.json()["status"] == "412", said.text
    assert (await http.delete(f"/scim/v2/Users/{id}", headers={"if-match": tag})).status_code == 412
    assert (await http.get(f"/scim/v2/Users/{id}", headers={"if-none-match": tag})).json()["displayName"] == "Ann"
    other = {"schemas": [USER], "userName": "anna"}
    assert (await http.put(f"/scim/v2/Users/{id}", json=other)).json()["scimType"] == "mutability", "who one is stays"


# --- who is let in ------------------------------------------------------------------------------------------------------------------


async def test_groups_say_what_one_may_and_where(world):
    http = await directory(world)
    id = await person(http, "ann")
    ops = await group(http, "ops")
    ann = await signed_in(world, "ann")
    assert (await ann.get("/v1/instances")).status_code == 403, "in no group: nothing"
    await patched(http, f"Groups/{ops}", {"op": "Add", "path": "members", "value": [{"value": id}]})  # as Entra ID spells it
    me = (await ann.get("/v1/me")).json()
    assert (me["roles"], me["tenants"]) == (["operator"], ["", "acme"])
    await ann.post("/v1/messages", json={"name": "paid"}, headers={"x-tenant": "acme"})
    _, caller, _ = world.ledger.calls[-1]
    assert (caller.tenant, caller.groups) == ("acme", ["ops"]), "candidates of tasks, too"
    authors = await group(http, "authors", id)
    assert (await ann.get("/v1/me")).json()["roles"] == ["operator", "author"]
    said = await patched(http, f"Groups/{ops}", {"op": "remove", "path": f'members[value eq "{id}"]'})
    assert said.status_code == 200 and (await ann.get("/v1/me")).json()["roles"] == ["author"]
    assert (await http.delete(f"/scim/v2/Groups/{authors}")).status_code == 204
    assert (await ann.get("/v1/me")).status_code == 403, "of no tenant any more"
    told = [(name, v["change"], v.get("joined"), v.get("left")) for _, name, v in world.ledger.told() if name.startswith("group:")]
    assert told == [
        ("group:ops", "made", [], []), ("group:ops", "changed", ["ann"], []), ("group:authors", "made", ["ann"], []),
        ("group:ops", "changed", [], ["ann"]), ("group:authors", "removed", [], ["ann"]),
    ]  # fmt: skip
    assert {by for by, name, _ in world.ledger.told() if name.startswith("group:")} == {"entra"}


async def test_who_is_deactivated_is_out_at_once_and_back_when_active_again(world):
    http = await directory(world)
    id = await person(http, "ann")
    await group(http, "ops", id)
    ann = await signed_in(world, "ann")
    key = (await ann.post("/v1/api-keys", json={"name": "k", "roles": ["operator"]})).json()["key"]
    assert (await world.client(key).get("/v1/instances")).status_code == 200
    held = await world.known.of_session(ann.cookies["flowledger_session"])
    world.known.hold(held)
    said = await patched(http, f"Users/{id}", {"op": "Replace", "path": "active", "value": "False"})  # as Entra ID spells it
    assert said.status_code == 200 and said.json()["active"] is False
    assert (await ann.get("/v1/me")).status_code == 401 and (await world.client(key).get("/v1/instances")).status_code == 401
    assert held.ended.is_set(), "what was open ends, too"
    assert (await world.client().post("/v1/session", json={"name": "ann", "password": PASSWORD})).status_code == 401
    said = await http.put(f"/scim/v2/Users/{id}", json={"schemas": [USER], "userName": "ann", "displayName": "Ann"})
    assert (said.json()["displayName"], said.json()["active"]) == ("Ann", False), "nobody comes back because a provider leaves it out"
    await patched(http, f"Users/{id}", {"op": "replace", "value": {"active": True}})
    assert (await world.client(key).get("/v1/instances")).status_code == 200
    assert (await ann.get("/v1/me")).status_code == 401, "a session that has ended stays so"


async def test_who_is_removed_is_barred_until_they_are_made_again(world):
    http = await directory(world)
    id = await person(http, "ann")
    await group(http, "ops", id)
    ann = await signed_in(world, "ann")
    key = (await ann.post("/v1/api-keys", json={"name": "k", "roles": ["operator"]})).json()["key"]
    assert (await http.delete(f"/scim/v2/Users/{id}")).status_code == 204
    assert (await http.get(f"/scim/v2/Users/{id}")).status_code == 404
    assert (await ann.get("/v1/me")).status_code == 401 and (await world.client(key).get("/v1/me")).status_code == 401
    again = await person(http, "ann")
    assert again != id and not (await http.get(f"/scim/v2/Users/{again}")).json().get("groups")
    assert (await world.client(key).get("/v1/me")).status_code == 401, "the key was revoked"
    assert (await world.client().post("/v1/session", json={"name": "ann", "password": PASSWORD})).status_code == 401


async def test_accounts_that_an_administrator_made_are_none_of_the_provider_s_business(world):
    http, ann = await directory(world), await world.user("ann", "viewer")
    assert (await http.get("/scim/v2/Users")).json()["totalResults"] == 0
    assert (await http.post("/scim/v2/Users", json={"schemas": [USER], "userName": "ann"})).status_code == 409
    await world.store.rows("DELETE FROM users WHERE name = 'admin'")  # somebody else administers, and it was removed
    assert (await http.post("/scim/v2/Users", json={"schemas": [USER], "userName": "Admin"})).status_code == 409, (
        "a start without one makes it"
    )
    await world.known.refresh()
    await world.admin()
    assert (await ann.get("/v1/me")).json()["roles"] == ["viewer"]
    await person(http, "bob")
    admin = world.client()
    said = await admin.post("/v1/session", json={"name": "admin", "password": PASSWORD})
    admin.headers["x-csrf-token"] = said.json()["csrf"]
    assert (await admin.patch("/v1/users/bob", json={"roles": ["viewer"]})).status_code == 409, "groups say it"
    assert (await admin.patch("/v1/users/bob", json={"active": False})).status_code == 200
    assert (await http.get("/scim/v2/Users", params={"filter": 'userName eq "bob"'})).json()["Resources"][0]["active"] is False
    assert (await admin.delete("/v1/users/bob")).status_code == 200
    assert (await http.get("/scim/v2/Users")).json()["totalResults"] == 0


async def test_a_ledger_that_does_not_take_it_leaves_all_as_it_was(world):
    http = await directory(world)
    id = await person(http, "ann")
    world.ledger.takes_nothing()
    for said in (
        await http.post("/scim/v2/Users", json={"schemas": [USER], "userName": "bob"}),
        await patched(http, f"Users/{id}", {"op": "replace", "path": "active", "value": False}),
        await http.post("/scim/v2/Groups", json={"schemas": [GROUP], "displayName": "ops", "members": [{"value": id}]}),
        await http.delete(f"/scim/v2/Users/{id}"),
    ):
        assert said.status_code == 503 and said.json()["status"] == "503", said.text
    assert [u["active"] for u in (await http.get("/scim/v2/Users")).json()["Resources"]] == [True]
    assert (await http.get("/scim/v2/Groups")).json()["totalResults"] == 0


async def test_an_issuer_vouches_for_who_is_provisioned_and_for_nobody_who_is_barred(oidc: Oidc):  # noqa: F811
    world = oidc.world
    http = await directory(world)
    id = await person(http, "olga")
    await group(http, "authors", id)
    token = oidc.issuer.token()
    me = (await oidc.client(token).get("/v1/me")).json()
    assert (me["kind"], me["roles"]) == ("token", ["operator", "author"]), "what the issuer says, and what the groups say"
    held = world.app.state["services"].door.of_bearer(token)
    world.known.hold(held)
    await patched(http, f"Users/{id}", {"op": "replace", "path": "active", "value": False})
    said = await oidc.client(token).get("/v1/me")
    assert said.status_code == 403 and "deactivated" in said.json()["detail"] and held.ended.is_set()
    await patched(http, f"Users/{id}", {"op": "replace", "path": "active", "value": True})
    assert (await oidc.client(token).get("/v1/me")).status_code == 200
    await http.delete(f"/scim/v2/Users/{id}")
    assert (await oidc.client(token).get("/v1/me")).status_code == 403, "removed is barred"


async def test_limits_at_their_edges(world, monkeypatch):
    http = await directory(world)
    users = (await world.store.rows("SELECT count(*) AS n FROM users"))[0]["n"]
    monkeypatch.setattr(provisioning, "USERS_MAX", users + 2)
    monkeypatch.setattr(provisioning, "GROUPS_MAX", 1)
    monkeypatch.setattr(provisioning, "TOLD_MAX", 1)
    monkeypatch.setattr(provisioning, "SCAN_MAX", 3)
    ids = [await person(http, "ann"), await person(http, "bob")]
    assert (await http.post("/scim/v2/Users", json={"schemas": [USER], "userName": "carl"})).status_code == 429
    await group(http, "ops", *ids)
    told = [v["joined"] for _, name, v in world.ledger.told() if name == "group:ops"]
    assert told == [["ann"], ["bob"]], "in as many events as it takes"
    assert (await http.post("/scim/v2/Groups", json={"schemas": [GROUP], "displayName": "more"})).status_code == 429
    assert (await http.get("/scim/v2/Groups", params={"filter": 'displayName sw "o"'})).json()["totalResults"] == 1
    monkeypatch.setattr(provisioning, "SCAN_MAX", 2)
    said = await http.get("/scim/v2/Groups", params={"filter": 'displayName sw "o"'})
    assert (said.status_code, said.json()["scimType"]) == (400, "tooMany")
