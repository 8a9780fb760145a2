"""Decision files that import one another, on a real server over both logs: bound when they are deployed, the same after a restart and in a replay."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from asking import Caller

from flowledger.sdk import Flow

pytestmark = [pytest.mark.req("APG-ELM-002", "D-MOD-001"), pytest.mark.timeout(240)]
SPACE = "https://www.omg.org/spec/DMN/20230324/MODEL/"


def rates(value: str) -> str:
    return f"""<definitions xmlns="{SPACE}" id="rates" name="Rates" namespace="urn:rates"><decision id="rate" name="rate"><variable name="rate"/>
    <literalExpression><text>{value}</text></literalExpression></decision></definitions>"""


PRICE = f"""<definitions xmlns="{SPACE}" id="prices" name="Prices" namespace="urn:prices">
<import name="r" namespace="urn:rates" importType="{SPACE}"/><decision id="price" name="price"><variable name="price"/>
<informationRequirement><requiredDecision href="urn:rates#rate"/></informationRequirement>
<literalExpression><text>100 * r.rate</text></literalExpression></decision></definitions>"""
ORDER = Flow("order").start().decision("d", decision="price", result="price").user("look").end().xml().decode()


@pytest.mark.parametrize("on", ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
async def test_what_was_bound_stays_bound(on: str, request: Any, place: Any, database: Any, tmp_path: Any) -> None:
    more: dict[str, Any] = {"data": tmp_path / "data", "postgres": database, "partitions": 3}
    if on == "kafka":
        more |= {"kafka": request.getfixturevalue("kafka_bootstrap"), "prefix": f"im-{uuid.uuid4().hex[:8]}"}

    async def deploy(x: Caller, **files: str) -> dict[str, Any]:
        made = await x.ok(
            "POST", "deployments", {"resources": [{"name": name.replace("_", "."), "content": text} for name, text in files.items()]}
        )
        await x.ok("GET", "definitions", wait_for=made["position"])
        assert not [f for f in made["findings"] if f["code"].startswith("IMPORT_")], made["findings"]
        return {d["definition_id"]: d for d in made["definitions"]}

    async def price(x: Caller, count: int) -> list[Any]:
        """By instances on all partitions, and by a decision that is asked for."""
        keys = await x.start("order", count)
        found = []
        for key in keys:
            row = await x.ok("GET", f"instances/{key}/variables")
            found.append(next(v["value"] for v in row["items"] if v["name"] == "price"))
        asked = await x.ok("POST", "decisions/evaluate", {"decision": "price"})
        assert {t["id"] for t in asked["trace"]} == {"rate", "price"}
        return [*found, asked["output"]]

    async with place.system(**more) as (_, http):
        x = Caller(http, place)
        first = await deploy(x, rates_dmn=rates("2"))
        await deploy(x, prices_dmn=PRICE, order_bpmn=ORDER)
        assert await price(x, 3) == [200] * 4
        await deploy(x, rates_dmn=rates("3"))
        assert await price(x, 3) == [200] * 4
        told = await x.ok("GET", "definitions/price")
        bound = {
            "namespace": "urn:rates",
            "id": first["rates"]["key"],
            "key": first["rates"]["key"],
            "definition_id": "rates",
            "version": 1,
        }
        assert told["imports"] == [bound]
        assert (await x.ok("GET", "definitions/rate"))["imports"] == []
        status, refused = await x.ask("DELETE", f"definitions/{first['rates']['key']}")
        assert status == 409 and "'prices' version 1" in refused["detail"]
    async with place.system(**more) as (_, http):  # folded anew, or from a checkpoint
        x = Caller(http, place)
        assert await price(x, 3) == [200] * 4
        assert (await deploy(x, prices_dmn=PRICE))["prices"]["version"] == 2
        assert await price(x, 3) == [300] * 4
        again = await x.ok("POST", "definitions/order/replay", {"model": {"content": ORDER}})
        assert again["outcomes"] == {"same": again["ran"]} and again["ran"] >= 12, again


async def test_circles_and_unclear_imports_are_told_by_the_deployment(place: Any, database: Any, tmp_path: Any) -> None:
    async with place.system(data=tmp_path, postgres=database) as (_, http):
        x = Caller(http, place)
        back = rates("1").replace("<decision ", f'<import name="p" namespace="urn:prices" importType="{SPACE}"/><decision ', 1)
        twin = rates("2").replace('id="rates"', 'id="others"').replace('id="rate"', 'id="other"')
        cases = [
            ({"p.dmn": PRICE, "r.dmn": back}, "IMPORT_CIRCULAR"),
            ({"p.dmn": PRICE, "a.dmn": rates("1"), "b.dmn": twin}, "IMPORT_AMBIGUOUS"),
        ]
        for files, code in cases:
            status, told = await x.ask("POST", "deployments", {"resources": [{"name": n, "content": t} for n, t in files.items()]})
            assert status == 422 and [f["code"] for f in told["findings"] if f["severity"] == "error"] == [code], told
            assert "p.dmn" in str(told["findings"]) and (await x.ok("GET", "definitions"))["items"] == []
