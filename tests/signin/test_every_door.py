"""Every operation of every door (HTTP, sockets, gRPC) against who is not let in: no token, one that isn't good in each way, keys that are over, another's tenant,
each role.

What is walked over is the table that the application itself is held to at its start (`uncovered`), so what is new is in it. Commands of the kernel have theirs in
`tests/access/test_gate.py`.
"""

from __future__ import annotations

from typing import Any

import pytest

from flowledger.api.access.operations import GRPC, HTTP, PUBLIC, SIGNED_IN, SOCKETS
from flowledger.api.access.rights import ROLES, rights_of
from flowledger.api.grpc.gateway import Connection
from flowledger.api.grpc.methods import METHODS
from flowledger.api.grpc.status import PERMISSION_DENIED, UNAUTHENTICATED, Refused
from flowledger.processors.client import Caller
from tests.signin.issuer import rsa
from tests.signin.test_rights_table import asked, everything
from tests.signin.test_tokens import Oidc, oidc  # noqa: F401

pytestmark = [pytest.mark.postgres, pytest.mark.req("D-SEC-001", "D-SEC-002", "APG-SEC-001", "APG-SEC-009", "WOS-SEC-001")]


async def socket(app: Any, path: str, headers: dict[str, str]) -> int:
    """The status that a WebSocket is refused with; 0: it is opened."""
    said: list[dict[str, Any]] = []
    first = [{"type": "websocket.connect"}]

    async def receive() -> dict[str, Any]:
        return first.pop() if first else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    raw = [(b"host", b"127.0.0.1:8080"), *((k.lower().encode(), v.encode()) for k, v in headers.items())]
    scope = {
        "type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": raw, "scheme": "ws", "subprotocols": [],
        "extensions": {"websocket.http.response": {}}, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8080), "asgi": {"version": "3.0"}, "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    assert said, f"{path}: nothing was answered"
    if said[0]["type"] == "websocket.accept":
        return 0
    return int(said[0].get("status") or said[0].get("code") or 1)


def metadata(headers: dict[str, str]) -> dict[str, str]:
    return {k.lower(): v for k, v in headers.items()}


async def refused_everywhere(o: Oidc, who: str, headers: dict[str, str]) -> int:
    """Whoever asks like this is known nowhere. How many operations that was."""
    http, n = o.world.client(**headers), 0
    for operation, method, path, right in everything():
        if right != PUBLIC:
            said = await asked(http, method, path)
            assert said.status_code == 401, f"{operation}, {who}: {said.status_code} {said.text}"
            assert method == "HEAD" or said.json()["code"] == "UNAUTHENTICATED", f"{operation}, {who}: {said.text}"
            n += 1
    for name in SOCKETS:
        assert await socket(o.world.app, name.removeprefix("WS "), headers) == 401, f"{name}, {who}"
        n += 1
    for call in METHODS.values():
        if GRPC[call.name] != PUBLIC:
            with pytest.raises(Refused) as e:
                if call.unary:
                    await o.gateway.unary(call, call.request_type(), metadata(headers), Connection(""))
                else:
                    await o.gateway.stream(call, call.request_type(), metadata(headers), Connection(""), None)  # type: ignore[arg-type]
            assert e.value.status == UNAUTHENTICATED, f"{call.name}, {who}"
            n += 1
    return n


KINDS = (
    "no token", "names itself", "garbage", "another scheme", "expired", "not good yet", "another audience", "no audience", "another issuer", "another's signature",
    "unsigned", "a key that was revoked", "a key that has expired", "a key of somebody suspended", "a session that was ended",
)  # fmt: skip


async def strangers(o: Oidc) -> dict[str, dict[str, str]]:
    admin = await o.world.admin()

    async def key(**more: Any) -> Any:
        return (await admin.post("/v1/api-keys", json={"name": "k", "roles": ["administrator"], **more})).json()

    gone, old = await key(), await key(days=0.01)
    assert (await admin.delete(f"/v1/api-keys/{gone['id']}")).status_code == 200
    ann = await o.world.user("ann", "administrator")
    anns = (await ann.post("/v1/api-keys", json={"name": "k", "roles": ["administrator"]})).json()
    assert (await admin.patch("/v1/users/ann", json={"active": False})).status_code == 200
    bob = await o.world.user("bob", "administrator")
    session = bob.cookies["flowledger_session"]
    assert (await bob.delete("/v1/session")).status_code == 200
    good = o.issuer.token()
    head, claims, _ = good.split(".")
    o.world.clock.passes(0.01 * 86400 + 1)
    now = int(o.world.clock() / 1e6)
    tokens = {
        "garbage": "garbage", "expired": o.issuer.token(exp=now - 31), "not good yet": o.issuer.token(nbf=now + 31), "another audience": o.issuer.token(aud="billing"),
        "no audience": o.issuer.token(aud=None), "another issuer": o.issuer.token(iss="https://elsewhere.example"),
        "another's signature": o.issuer.token(rsa(1), header={"kid": "rsa-0"}),
        "unsigned": f"{head}.{claims}.", "a key that was revoked": gone["key"], "a key that has expired": old["key"], "a key of somebody suspended": anns["key"],
    }  # fmt: skip
    found = {who: {"authorization": f"Bearer {token}"} for who, token in tokens.items()}
    found |= {
        "no token": {},
        "names itself": {"x-actor": "admin", "x-tenant": ""},
        "another scheme": {"authorization": "Basic YWRtaW46YWRtaW4="},
    }
    return found | {"a session that was ended": {"cookie": f"flowledger_session={session}"}}


async def test_who_is_not_known_gets_in_by_no_door(oidc):  # noqa: F811
    known = await strangers(oidc)
    assert set(known) == set(KINDS)
    assert await oidc.status(oidc.issuer.token()) == 200, "a good one is let in"
    ours = {"authorization": f"Bearer {oidc.issuer.token()}"}
    assert await socket(oidc.world.app, "/v1/events", ours) == 0 and await oidc.grpc(oidc.issuer.token()) == 0
    calls = len(oidc.world.ledger.calls)
    counts = {await refused_everywhere(oidc, who, headers) for who, headers in known.items()}
    public = [*HTTP.values(), *GRPC.values()].count(PUBLIC)
    moves = len(everything()) - len(HTTP)
    assert counts == {len(HTTP) + len(SOCKETS) + len(GRPC) + moves - public}, "over all of the table"
    assert len(oidc.world.ledger.calls) == calls, "and nothing of it has reached the engine"


async def test_each_role_and_another_s_tenant_at_each_socket(oidc):  # noqa: F811
    for role in ROLES:
        headers = {"authorization": f"Bearer {oidc.issuer.token(roles=[role])}"}
        for name, right in SOCKETS.items():
            path = name.removeprefix("WS ")
            may = right == SIGNED_IN or right in rights_of([role])
            assert await socket(oidc.world.app, path, headers) == (0 if may else 403), f"{name}, {role}"
            assert await socket(oidc.world.app, path, {**headers, "x-tenant": "acme"}) == 403, f"{name}, {role}, another's tenant"


async def test_another_s_tenant_at_each_call(oidc):  # noqa: F811
    headers = {"authorization": f"Bearer {oidc.issuer.token(roles=['administrator'])}", "x-tenant": "acme"}
    assert await oidc.status(oidc.issuer.token()) == 200
    for call in METHODS.values():
        if GRPC[call.name] != PUBLIC:
            with pytest.raises(Refused) as e:
                oidc.gateway._known(oidc.gateway.door, call, call.request_type(), headers, Connection(""))
            assert e.value.status == PERMISSION_DENIED, call.name
    assert isinstance(
        oidc.gateway._known(oidc.gateway.door, call, call.request_type(), {"authorization": headers["authorization"]}, Connection(""))[0],
        Caller,
    )
