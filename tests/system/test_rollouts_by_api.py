"""Versions in service over HTTP on both pairs of log and database: rolled out, seen, kept over a take-over, rebuilt."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from flowledger.kernel.rollouts import bucket
from flowledger.sdk import Flow


def version(n: int) -> str:
    return Flow("order").start().service(f"t{n}", job=f"order.{n}").end().xml().decode()


@pytest.mark.req("APG-HA-012", "D-MOD-005", "APG-MOD-007", "D-API-019", "WOS-CMP-001")
@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(240)
async def test_a_version_is_ramped_rolled_back_and_runs_dry(on, request, place, database, tmp_path):
    more = {"kafka": request.getfixturevalue("kafka_bootstrap"), "prefix": f"ro-{uuid.uuid4().hex[:8]}"} if on == "kafka" else {}
    settings = {"data": tmp_path, "postgres": database, "partitions": 3, **more}

    def asks(http: Any) -> Any:
        async def ask(method: str, path: str, body: Any = None, expect: int = 200, tenant: str = "", **query: Any) -> Any:
            headers = {"X-Actor": "ann", **({"X-Tenant": tenant} if tenant else {})}
            r = await http.request(method, f"/v1/{path}", json=body, params=query, headers=headers)
            assert r.status_code == expect, r.text
            return r.json()

        return ask

    async with place.system(**settings) as (_, http):
        ask = asks(http)

        async def deploy(n: int) -> str:
            made = await ask("POST", "deployments", {"resources": [{"name": "order.bpmn", "content": version(n)}]}, 201)
            return str(made["definitions"][0]["id"])

        async def starts(**fields: Any) -> dict[str, int]:
            keys = [f"k{n}" for n in range(24)]
            return {k: (await ask("POST", "instances", {"definition": "order", "business_key": k, **fields}, 201))["version"] for k in keys}

        one = await deploy(1)
        pinned = await ask("POST", "definitions/order/rollout", {"version": 1, "default": True, "reason": "it is known to work"})
        assert (pinned["default"], pinned["pinned"], pinned["changed"], pinned.get("waiting")) == (1, 1, True, None)
        two = await deploy(2)
        assert set((await starts()).values()) == {1}
        plan = await ask("POST", "definitions/order/rollout", {"version": 2, "share": 25.5, "dry_run": True})
        assert plan["outcome"]["ramp"] == {"version": 2, "share": 25.5} and plan["events"]["definition.rollout_changed"] == 1
        assert (await ask("GET", "definitions/order/versions"))["ramp"] is None, "nothing has happened"
        ramp = await ask("POST", "definitions/order/rollout", {"version": 2, "share": 25.5, "plan": plan["plan"], "reason": "slowly"})
        ramped = await starts()
        assert ramped == {k: 2 if bucket("order", 2, k) < 2550 else 1 for k in ramped} and set(ramped.values()) == {1, 2}
        last = await ask("POST", "instances", {"definition": "order", "version": 2}, 201)

        async def both() -> Any:
            rows = await ask("GET", "definitions/order/versions", wait_for=ramp["position"])
            drains = [v["drain"] for v in rows["items"]]
            total = sum(d["open"] for d in drains)
            waits = sum(w["instances"] for d in drains for w in d["waiting"] if w["element"])
            return rows if total == 49 and waits == 49 else None

        seen = await place.until(both)
        on_two = 1 + sum(v == 2 for v in ramped.values())
        told = [(v["version"], v["default"], v["share"], v["stopped"], v["instances"], v["drain"]["status"]) for v in seen["items"]]
        assert told == [
            (2, False, 25.5, False, {"running": on_two}, "in_service"),
            (1, True, 74.5, False, {"running": 49 - on_two}, "in_service"),
        ]
        assert [v["drain"]["waiting"] for v in seen["items"]] == [
            [{"element": "t2", "instances": on_two}], [{"element": "t1", "instances": 49 - on_two}],
        ]  # fmt: skip
        assert (seen["reason"], seen["changed_by"], seen["pinned"], seen["items"][0]["id"]) == ("slowly", "ann", 1, two)
        assert all(v["drain"]["oldest"] for v in seen["items"])

        back = await ask("POST", f"definitions/{two}/rollout", {"stop_starts": True, "reason": "it breaks"})
        assert back["stopped"] == [2] and back["default"] == 1
        assert set((await starts()).values()) == {1}
        for refused in ({"definition": two}, {"definition": "order", "version": 2}):
            told = await ask("POST", "instances", refused, 409)
            assert "stopped by its rollout" in told["detail"]
        rows = await ask("GET", f"definitions/{one}/versions", wait_for=back["position"])
        assert (rows["items"][0]["drain"]["status"], rows["items"][0]["stopped"], rows["items"][0]["share"]) == ("draining", True, 0)
        for body, status in (
            ({}, 422), ({"version": 9, "default": True}, 404), ({"version": 1, "share": 5}, 409), ({"version": 2, "share": 5}, 409),
            ({"share": 5}, 422), ({"version": 1, "share": 5, "default": True}, 422), ({"version": 2, "share": 100.5}, 400),
            ({"version": 2, "share": 0.001}, 400), ({"version": 0, "default": True}, 400), ({"version": 2, "moon": 1}, 400),
        ):  # fmt: skip
            await ask("POST", "definitions/order/rollout", body, status)
        await ask("POST", "definitions/nobody/rollout", {"default": False}, 404)
        await ask("POST", "definitions/7/rollout", {"default": True}, 404)
        await ask("POST", f"definitions/{one}/rollout", {"default": False}, 404, tenant="b")
        await ask("GET", f"definitions/{one}/versions", None, 404, tenant="b")
        await ask("GET", "definitions/nobody/versions", None, 404)
        found = await ask("GET", "operations", operation="change_rollout", outcome="granted", wait_for=back["position"])
        assert [(o["actor"], o["kind"], o["reason"]) for o in found["items"]] == [
            ("ann", "definition", "it breaks"),
            ("ann", "definition", "slowly"),
            ("ann", "definition", "it is known to work"),
        ]
        assert found["items"][1]["details"] == {"version": 2, "share": 25.5}  # fmt: skip
        await ask("POST", f"instances/{last['id']}/cancel")

    async with place.system(**settings) as (_, http):  # it is taken over, and all is as before
        ask = asks(http)
        made = [await ask("POST", "instances", {"definition": "order", "business_key": f"k{n}"}, 201) for n in range(12)]
        assert {m["version"] for m in made} == {1}
        opened = await ask("POST", "definitions/order/rollout", {"version": 2, "stop_starts": False, "default": True})
        assert opened["default"] == 2 and opened["ramp"] is None and opened["before"]["ramp"] == {"version": 2, "share": 25.5}
        whole = await ask("POST", "definitions/order/rollout", {"stop_starts": True})
        assert whole["stopped"] == [1, 2] and whole["default"] is None
        await ask("POST", "instances", {"definition": "order"}, 409)
        again = await ask("POST", "definitions/order/rollout", {"default": False, "stop_starts": False})
        assert (await ask("POST", "instances", {"definition": "order"}, 201))["version"] == 2 and again["pinned"] is None

        cancelled: set[str] = set()

        async def drained() -> Any:
            rows = (await ask("GET", "definitions/order/versions", wait_for=again["position"]))["items"]
            left = (await ask("GET", "instances", definition=one, status="running", limit=200))["items"]
            for row in left:
                if row["id"] not in cancelled:
                    cancelled.add(row["id"])
                    await ask("POST", f"instances/{row['id']}/cancel")
            return rows[1] if rows[1]["drain"]["status"] == "drained" else None

        dry = await place.until(drained, 90)
        assert dry["drain"] == {"status": "drained", "open": 0, "oldest": None, "waiting": []} and dry["instances"]["cancelled"] == len(
            cancelled
        )
