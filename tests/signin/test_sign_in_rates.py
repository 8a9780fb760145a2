"""Sign-ins that fail, by address; and callers who ask too often, by key and by person, at HTTP and at the gateway."""

from __future__ import annotations

import asyncio

import pytest

from flowledger.api.grpc.gateway import Connection, Gateway
from flowledger.api.grpc.status import RESOURCE_EXHAUSTED, Refused
from flowledger.api.rates import Rates
from flowledger.infra.settings import Settings
from flowledger.infra.telemetry import Telemetry
from tests.signin.conftest import PASSWORD
from tests.signin.test_accounts import sign_in

pytestmark = [pytest.mark.postgres, pytest.mark.req("APG-SEC-009")]


def limited(world, **settings) -> tuple[Rates, list[float]]:
    now = [1_000.0]
    found = Rates(Settings(**settings), Telemetry().metrics, lambda: now[0])
    services = world.app.state["services"]
    services.rates = found
    if found.by_caller:
        services.door.rates = found
    return found, now


async def test_many_names_from_one_address_are_looked_at_no_more_than_so_often(world):
    await world.user("ann", "viewer")
    _, now = limited(world, sign_in_failures=6)
    assert [(await sign_in(world, f"name-{n}", "wrong horse battery")).status_code for n in range(6)] == [401] * 6
    told = await sign_in(world, "ann", PASSWORD)
    assert told.status_code == 429 and told.headers["retry-after"] == "11", "no password is looked at, be it right"
    now[0] += 10.0
    assert (await sign_in(world, "ann", PASSWORD)).status_code == 200
    assert (await sign_in(world, "ann", PASSWORD)).status_code == 200, "one that was good doesn't count"
    assert (await sign_in(world, "x", PASSWORD)).status_code == 401 and (await sign_in(world, "ann", PASSWORD)).status_code == 429


async def test_many_attempts_at_once_are_no_more(world):
    limited(world, sign_in_failures=5)
    found = await asyncio.gather(*(sign_in(world, f"name-{n}", "wrong horse battery") for n in range(20)))
    assert sorted(r.status_code for r in found) == [401] * 5 + [429] * 15


async def test_by_default_a_minute_has_room_for_sixty(world):
    found, _ = limited(world)
    assert found.failures is not None and found.callers is None and found.addresses is None and not found.connections_max
    assert [found.guessing("192.0.2.1") is None for _ in range(61)] == [True] * 60 + [False]
    off, _ = limited(world, sign_in_failures=0)
    assert off.failures is None and off.guessing("192.0.2.1") is None


@pytest.mark.req("APG-API-006")
async def test_a_person_with_all_sessions_is_one_caller_and_each_key_another(world):
    first = await world.user("ann", "viewer")
    second = world.client()
    assert (await second.post("/v1/session", json={"name": "ann", "password": PASSWORD})).status_code == 200
    keys = [(await first.post("/v1/api-keys", json={"name": f"k{n}", "roles": ["viewer"]})).json()["key"] for n in range(2)]
    found, now = limited(world, rate_per_caller=1)
    assert [(await c.get("/v1/me")).status_code for c in (first, second, first)] == [200, 200, 429]
    for key in keys:
        client = world.client(key)
        assert [(await client.get("/v1/me")).status_code for _ in range(3)] == [200, 200, 429]
    told = await first.get("/v1/me")
    assert told.headers["retry-after"] == "2" and told.json()["code"] == "RESOURCE_EXHAUSTED"
    assert (await world.client().get("/v1/me")).status_code == 401, "who is nobody is no caller"
    gateway = Gateway(world.ledger, door=world.app.state["services"].door)  # type: ignore[arg-type]
    metadata = {"authorization": f"Bearer {keys[0]}"}
    with pytest.raises(Refused) as e:
        gateway._known(gateway.door, _method(), None, metadata, Connection(""))  # type: ignore[arg-type]
    assert e.value.status == RESOURCE_EXHAUSTED and e.value.retry_ms > 0, "both doors count together"
    now[0] += 1.0
    assert gateway._known(gateway.door, _method(), None, metadata, Connection(""))[0].actor == "ann"  # type: ignore[arg-type]
    assert (await first.get("/v1/me")).status_code == 200
    assert found._metrics.rate_limited.labels("caller", "grpc")._value.get() == 1


@pytest.mark.req("APG-API-006")
async def test_a_tenant_with_all_its_callers_is_one_and_others_don_t_feel_it(world):
    """429 with a hint when to come again, by tenant and by client, at both doors."""
    ann, bob = await world.user("ann", "viewer", tenants=("acme",)), await world.user("bob", "viewer", tenants=("acme", "beta"))
    _, now = limited(world, rate_per_tenant=1, rate_per_caller=10)
    assert [(await c.get("/v1/me")).status_code for c in (ann, bob, ann, bob)] == [200, 200, 429, 429]
    told = await bob.get("/v1/me")
    assert told.headers["retry-after"] == "2" and "one tenant" in told.json()["detail"]
    assert (await bob.get("/v1/me", headers={"x-tenant": "beta"})).status_code == 200
    now[0] += 1.0
    assert [(await c.get("/v1/me")).status_code for c in (ann, bob)] == [200, 429]


def _method():
    from flowledger.api.grpc.methods import METHODS

    return next(m for m in METHODS.values() if m.name == "Topology")
