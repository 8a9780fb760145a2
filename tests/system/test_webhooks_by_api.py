"""Webhooks on whole systems: the example from its file, over both logs; a restart forgets nothing; a crowd is taken once each."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from flowledger.sdk import Flow

EXAMPLE = Path(__file__).parents[2] / "examples/triggers/orders.trigger.yaml"
FULFILMENT = Flow("fulfilment").start().service("t", job="w").end().xml().decode()


@pytest.mark.req("APG-TRG-002", "APG-TRG-005", "APG-TRG-008", "D-TRG-001")
@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.timeout(240)
async def test_the_example_takes_each_order_once(on, request, place, database, tmp_path):
    more = {"kafka": request.getfixturevalue("kafka_bootstrap"), "prefix": f"wh-{uuid.uuid4().hex[:8]}"} if on == "kafka" else {}
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "SHOP").write_text("whsec_of_the_shop\n")
    settings = dict(data=tmp_path / "data", postgres=database, partitions=3, secrets=(f"folder:{tmp_path / 'secrets'}",), **more)

    async def post(http: Any, order: dict[str, Any]) -> tuple[int, Any]:
        body, t = json.dumps(order).encode(), int(time.time())
        signature = hmac.new(b"whsec_of_the_shop", f"{t}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {"stripe-signature": f"t={t},v1={signature}", "content-type": "application/json"}
        answer = await http.post("/hooks/shop/orders", content=body, headers=headers)
        return answer.status_code, answer.json()

    async with place.system(**settings) as (_, http):
        resources = [{"name": "f.bpmn", "content": FULFILMENT}, {"name": EXAMPLE.name, "content": EXAMPLE.read_text()}]
        deployed = await http.post("/v1/deployments", json={"resources": resources})
        assert deployed.status_code == 201, deployed.text
        assert await post(http, {"id": "o1", "status": "open"}) == (200, {"outcome": "filtered"})
        status, first = await post(http, {"id": "o1", "status": "paid"})
        assert (status, first["outcome"]) == (200, "started")
        shown = (await http.get(f"/v1/instances/{first['id']}")).json()
        assert shown["business_key"] == "o1"
        crowd = await asyncio.gather(*(post(http, {"id": f"c{n % 50}", "status": "paid"}) for n in range(100)))
        assert sorted(said["outcome"] for _, said in crowd) == ["seen"] * 50 + ["started"] * 50
        assert (await http.post("/hooks/shop/orders", json={"id": "o2", "status": "paid"})).status_code == 401
        tried = await http.post("/v1/triggers/orders/test", json={"context": {"payload": {"id": "o9", "status": "paid"}}})
        assert tried.json()["command"]["id"] == "fulfilment" and tried.json()["key"] == "o9"

        async def counted() -> Any:
            row = (await http.get("/v1/triggers/orders")).json()
            return row if row["ran"] == 51 else None

        row = await place.until(counted)
        assert row["filtered"] == 1 and row["sample"]["payload"]["id"] == "o1" and row["source"] == "webhook"
    async with place.system(**settings) as (_, http):
        assert await post(http, {"id": "o1", "status": "paid"}) == (200, {"outcome": "seen"}), "and after a restart"
