"""Every operation of every door, against everybody: nobody, garbage, expired, revoked, another's tenant, and each role."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from flowledger.api.access.door import forbidden, uncovered
from flowledger.api.access.known import Identity
from flowledger.api.access.operations import BY_MOVE, GRPC, HTTP, PUBLIC, SIGNED_IN, SOCKETS
from flowledger.api.access.rights import RIGHTS, ROLES, rights_of
from flowledger.api.app import NOUNS, create_app, look_before
from flowledger.api.grpc.gateway import Connection, Gateway
from flowledger.api.grpc.methods import METHODS
from flowledger.api.grpc.status import PERMISSION_DENIED, UNAUTHENTICATED, Refused
from flowledger.processors.client import Caller

pytestmark = [pytest.mark.postgres, pytest.mark.req("D-SEC-002", "APG-SEC-002", "APG-SEC-009", "WOS-SEC-001")]
ROOT = Path(__file__).parents[2]
PLACES = {
    "id": str(2 << 51 | 7),
    "key": str(2 << 51 | 7),
    "name": "ann",
    "purpose": "news",
    "kind": "users",
    "move": "claim",
    "token": "abc",
    "path": "orders",
}


def address(operation: str, **more: str) -> tuple[str, str]:
    method, path = operation.split(" ")
    return method, re.sub(r"\{(\w+)\}", lambda m: {**PLACES, **more}[m[1]], path)


def everything() -> list[tuple[str, str, str, str]]:
    """(operation, method, path, right)"""
    found = [(o, *address(o), right) for o, right in HTTP.items()]
    return found + [(f"{o} {move}", *address(o, move=move), right) for o, moves in BY_MOVE.items() for move, right in moves.items()]


async def asked(http: Any, method: str, path: str) -> Any:
    body = None if method in ("GET", "DELETE") else {}
    query = {"target": "job:x"} if path == "/v1/limits" and method != "GET" else None
    return await http.request(method, path, json=body, params=query)


def test_the_table_has_each_route_and_each_call(world):
    assert uncovered(world.app, look_before) == []
    assert {m.name for m in METHODS.values()} == set(GRPC)
    routes = {f"{m} {r.path_format}" for r in world.app.routes for m in getattr(r, "route_handler_map", {})}
    assert set(HTTP) <= routes, "the table has nothing that isn't there"
    assert {right for right in (*HTTP.values(), *SOCKETS.values(), *GRPC.values())} - {PUBLIC, SIGNED_IN} | {
        "tasks:manage",
        "users:write",
    } <= set(RIGHTS)
    used = {*HTTP.values(), *SOCKETS.values(), *GRPC.values(), *(r for m in BY_MOVE.values() for r in m.values())}
    used.add("protected:read")  # of any read that asks for clear text (tests/api/test_veil.py)
    assert set(RIGHTS) <= used, "each right is needed by something"
    assert [o for o, right in HTTP.items() if right == PUBLIC] == [
        "GET /health/live",
        "GET /health/ready",
        "POST /v1/session",
        "POST /v1/session/link",
        "GET /v1/session/issuers",
        "POST /v1/session/passkeys",
        "POST /v1/session/passkey",
        "GET /oidc/{name}",
        "GET /oidc/{name}/back",
        "POST /oidc/{name}/logout",
        "POST /callbacks/{token}",
        "POST /callbacks/{token}/error",
        "POST /hooks/{path}",
    ]


async def test_an_application_with_a_route_that_no_right_guards_does_not_start(world):
    from litestar import get

    @get("/forgotten")
    async def forgotten() -> str:
        return "open"

    with pytest.raises(RuntimeError, match=r"GET /v1/forgotten"):
        create_app(world.app.state["services"], [forgotten])

    async def elsewhere(request: Any) -> None: ...

    @get("/roles", before_request=elsewhere)
    async def unseen() -> str:
        return "open"

    kept = NOUNS.pop("roles")
    try:
        with pytest.raises(RuntimeError, match=r"GET /v1/roles"):  # in the table, and nobody looks
            create_app(world.app.state["services"], [unseen])
    finally:
        NOUNS["roles"] = kept


async def test_who_is_not_known_gets_in_nowhere(world):
    admin = await world.admin()
    made = (await admin.post("/v1/api-keys", json={"name": "k", "roles": ["administrator"], "days": 1})).json()
    old = (await admin.post("/v1/api-keys", json={"name": "k", "roles": ["administrator"], "days": 0.5})).json()
    gone = (await admin.post("/v1/api-keys", json={"name": "k", "roles": ["administrator"]})).json()
    assert (await admin.delete(f"/v1/api-keys/{gone['id']}")).status_code == 200
    world.clock.passes(0.5 * 86400)
    strangers = {
        "no token": world.client(), "garbage": world.client("garbage"), "no bearer": world.client(authorization="Basic YTpi"),
        "expired": world.client(old["key"]), "revoked": world.client(gone["key"]), "nearly": world.client(made["key"][:-1]),
        "names itself": world.client(**{"x-actor": "admin", "x-tenant": ""}), "a made-up session": world.client(cookie="flowledger_session=x"),
    }  # fmt: skip
    for operation, method, path, right in everything():
        if right == PUBLIC:
            continue
        for who, http in strangers.items():
            said = await asked(http, method, path)
            assert said.status_code == 401, f"{operation}, {who}: {said.status_code} {said.text}"
            assert said.json()["code"] == "UNAUTHENTICATED" and said.headers["www-authenticate"].startswith("Bearer")
    assert (await world.client(made["key"]).get("/v1/me")).status_code == 200, "and the good one is let in"
    assert [c for c in world.ledger.calls if type(c[0]).__name__ != "StoreRecord"] == [], "nothing has reached the engine"


async def test_each_role_may_what_the_table_says_and_nothing_else(world):
    admin = await world.admin()
    for role in ROLES:
        made = (await admin.post("/v1/api-keys", json={"name": role, "actor": f"the-{role}", "roles": [role]})).json()
        http = world.client(made["key"])
        for operation, method, path, right in everything():
            if operation.startswith("DELETE /v1/api-keys"):
                path = "/v1/api-keys/none"
            said = await asked(http, method, path)
            may = right in (PUBLIC, SIGNED_IN) or right in ROLES[role][1]
            body = said.json() if said.headers.get("content-type", "").endswith("json") else {}
            lacking = said.status_code == 403 and body.get("right")
            assert bool(lacking) is not may, f"{role}: {operation}: {said.status_code} {said.text[:300]}"
            if not may:
                assert body["code"] == "FORBIDDEN" and body["right"] == right and right in body["detail"] and role in body["detail"]


async def test_each_role_on_grpc(world):
    admin = await world.admin()
    gateway = Gateway(world.ledger, door=world.app.state["services"].door)  # type: ignore[arg-type]
    for role in ROLES:
        made = (await admin.post("/v1/api-keys", json={"name": role, "actor": f"the-{role}", "roles": [role]})).json()
        for method in METHODS.values():
            right = GRPC[method.name]
            if right in (PUBLIC, SIGNED_IN) or right in rights_of([role]):
                caller, _ = gateway._known(
                    gateway.door,
                    method,
                    method.request_type(),
                    {"authorization": f"Bearer {made['key']}", "x-actor": "eve"},
                    Connection(""),
                )
                assert caller.actor in ("", f"the-{role}")
                continue
            with pytest.raises(Refused) as e:
                gateway._known(gateway.door, method, method.request_type(), {"authorization": f"Bearer {made['key']}"}, Connection(""))
            assert e.value.status == PERMISSION_DENIED and right in e.value.message
    for metadata in ({}, {"authorization": "Bearer x"}, {"authorization": "Basic x"}, {"x-actor": "admin"}):
        for method in METHODS.values():
            if GRPC[method.name] != PUBLIC:
                with pytest.raises(Refused) as e:
                    if method.unary:
                        await gateway.unary(method, method.request_type(), metadata, Connection(""))
                    else:
                        await gateway.stream(method, method.request_type(), metadata, Connection(""), None)  # type: ignore[arg-type]
                assert e.value.status == UNAUTHENTICATED, method.name


async def test_a_tenant_is_one_of_the_callers_or_it_is_refused(world):
    admin = await world.admin()
    await admin.patch("/v1/users/admin", json={"tenants": ["", "acme"]})
    made = (await admin.post("/v1/api-keys", json={"name": "k", "actor": "robot", "roles": ["machine", "viewer"], "tenant": "acme"})).json()
    http = world.client(made["key"])
    assert (await http.get("/v1/instances")).status_code == 200 and world.reads.asked[-1][-1] == "acme", (
        "the key's, though nothing was said"
    )
    for operation, method, path, right in everything():
        if right in ("public", "users:write", "users:read"):
            continue
        said = await http.request(method, path, headers={"x-tenant": "other"}, json=None if method in ("GET", "DELETE") else {})
        assert said.status_code == 403, f"{operation}: {said.status_code}"
    assert (
        (await http.get("/v1/instances", headers={"x-tenant": "other"}))
        .json()["detail"]
        .startswith("the tenant 'other' is not one of robot's")
    )
    assert (await admin.get("/v1/instances", headers={"x-tenant": "acme"})).status_code == 200 and world.reads.asked[-1][-1] == "acme"
    assert (await admin.get("/v1/instances")).status_code == 200 and world.reads.asked[-1][-1] == ""
    nowhere = await world.user("nora", "viewer", tenants=())
    assert (await nowhere.get("/v1/instances")).status_code == 403, "of no tenant: nothing is seen, not everything"
    refused = await admin.post("/v1/api-keys", json={"name": "k", "roles": ["viewer"], "tenant": "other"})
    assert refused.status_code == 403


async def test_zeebe_s_tenants_are_the_caller_s_too(world):
    from flowledger.api.grpc.tenants import for_tenant

    mine = Caller("robot", "", tenants=["", "acme"])
    assert for_tenant(mine, "acme").tenant == "acme" and for_tenant(mine, "<default>") is mine
    with pytest.raises(Refused):
        for_tenant(mine, "other")
    assert for_tenant(Caller("zeebe"), "other").tenant == "other", "without sign-in as before"


async def test_the_actor_comes_from_the_identity(world):
    admin = await world.admin()
    made = (await admin.post("/v1/api-keys", json={"name": "k", "actor": "robot", "roles": ["machine"]})).json()
    http = world.client(made["key"], **{"x-actor": "somebody-else"})
    await http.post("/v1/messages", json={"name": "paid"})
    command, caller, _ = world.ledger.calls[-1]
    assert (type(command).__name__, caller.actor, caller.tenant) == ("PublishMessage", "robot", "")
    assert (await http.get("/v1/me")).json()["name"] == "robot"


def test_the_pages_have_the_table_that_the_code_has():
    """docs/security.md: made from here; write it anew with `python -m tests.signin.matrix`."""
    from tests.signin.matrix import matrix

    assert matrix() in (ROOT / "docs" / "security.md").read_text()


def test_a_refusal_says_what_lacks():
    identity = Identity("key", "ann", ["viewer"], rights_of(["viewer"]), [""], b"", 0)
    said = forbidden("instances:start", identity).body()
    assert said["right"] == "instances:start" and "operator" in said["detail"] and "viewer" in said["detail"]
