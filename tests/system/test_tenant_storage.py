"""The quota of storage of a tenant, at its edge: over HTTP and gRPC, files and rows, on a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from asking import Caller
from pyzeebe.proto import gateway_pb2 as pb

from flowledger.kernel.tasks.registry import quota_problems
from flowledger.kernel.tenants import SHARE_MAX
from flowledger.sdk import Flow

MODEL = Flow("order").start().service("pack", job="pack").end().xml().decode()


@pytest.mark.timeout(120)
async def test_who_has_stored_that_much_begins_nothing_more_and_others_do(place, database, tmp_path):
    async with place.system(data=tmp_path, postgres=database, roles=("api", "owner", "projector", "grpc")) as (system, http):
        w, storage = Caller(http, place), system.services.storage
        for tenant in ("acme", "zeta"):
            await w.ok("POST", "tenants", {"name": tenant})
            await w.ok("POST", "deployments", {"resources": [{"name": "order.bpmn", "content": MODEL}]}, tenant=tenant)
        key = (await w.ok("POST", "instances", {"definition": "order", "variables": {"text": "x" * 1_000}}, tenant="acme"))["id"]

        async def put(name: str, size: int, tenant: str = "acme") -> Any:
            return await http.put(f"/v1/instances/{key}/files/{name}", content=name[0].encode() * size, headers={"X-Tenant": tenant})

        async def there() -> Any:
            return (await put("a", 1_000)).status_code == 201

        await place.until(there)

        async def has() -> dict[str, int]:
            return (await w.ok("GET", "tenants/acme"))["has"]["storage"]

        async def settled() -> Any:
            first = await has()
            return first["files"] == 1_000 and first["rows"] > 1_000 and first == await has() and first

        was = await place.until(settled)
        assert (await w.ok("GET", "tenants/zeta"))["has"]["storage"]["files"] == 0
        await storage.look()
        assert not storage.limits and not storage.full, "nobody has a quota: nothing is looked at"

        # room for so many bytes more, and the room is what it says to the last of them
        await w.ok("PATCH", "tenants/acme", {"quotas": {"storage": sum(was.values()) + 5_000}})
        await storage.look()
        room = storage.room("acme")
        assert room is not None and 0 < room <= 5_000 and storage.room("zeta") is None
        refused = await put("b", room + 1)
        assert (
            refused.status_code == 429
            and refused.json()["code"] == "RESOURCE_EXHAUSTED"
            and f"room for {room} bytes" in refused.json()["detail"]
        )
        assert (await has())["files"] == 1_000, "nothing of it is kept"
        assert (await w.ask("POST", "instances", {"definition": "order"}, tenant="acme"))[0] == 201
        assert (await put("c", room)).status_code == 201

        # and now there is none
        for method, path, body in (
            ("POST", "instances", {"definition": "order"}),
            ("POST", "tasks", {"name": "look"}),
            ("POST", "messages", {"name": "m", "correlation_key": "k"}),
            ("POST", "deployments", {"resources": [{"name": "order.bpmn", "content": MODEL}]}),
        ):
            status, told = await w.ask(method, path, body, tenant="acme")
            assert (
                (status, told["code"]) == (429, "RESOURCE_EXHAUSTED")
                and "tenant 'acme' has stored" in told["detail"]
                and told["retry_after_ms"]
            ), path
            assert (await w.ask(method, path, body, tenant="zeta"))[0] in (200, 201, 202), path
        assert (await put("d", 1)).status_code == 429
        async with grpc.aio.insecure_channel(system.grpc_address) as channel:
            call = channel.unary_unary(
                "/gateway_protocol.Gateway/CreateProcessInstance",
                pb.CreateProcessInstanceRequest.SerializeToString,
                pb.CreateProcessInstanceResponse.FromString,
            )
            asked = pb.CreateProcessInstanceRequest(bpmnProcessId="order", version=-1)
            with pytest.raises(grpc.aio.AioRpcError) as e:
                await call(asked, metadata=(("x-tenant", "acme"),))
            assert e.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and "has stored" in e.value.details()
            assert (await call(asked, metadata=(("x-tenant", "zeta"),))).processInstanceKey

        # what runs goes on
        [job, *_] = (await w.ok("POST", "jobs/activate", {"type": "pack", "worker": "w", "max": 9, "timeout_ms": 60_000}, tenant="acme"))[
            "jobs"
        ]
        await w.ok("POST", f"jobs/{job['key']}/complete", {"fence": job["fence"], "variables": {"much": "y" * 5_000}}, tenant="acme")

        # more room, and it begins again
        await w.ok("PATCH", "tenants/acme", {"quotas": {}})
        await storage.look()
        assert (await w.ask("POST", "instances", {"definition": "order"}, tenant="acme"))[0] == 201 and storage.room("acme") is None


@pytest.mark.parametrize(
    ("quotas", "good"),
    [
        ({"storage": 1}, True), ({"storage": 0}, False), ({"storage": -5}, False), ({"storage": "1"}, False), ({"storage": 1.5}, False),
        ({"share": 1}, True), ({"share": SHARE_MAX}, True), ({"share": SHARE_MAX + 1}, False), ({"share": 0}, False),
    ],
)  # fmt: skip
def test_a_quota_that_is_none_is_refused(quotas, good):
    assert (quota_problems(quotas) == []) is good
