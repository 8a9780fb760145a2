"""Views over HTTP: one's own, shared with groups or with all of a tenant, changed by their owners alone, kept over a restart."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.timeout(240)
async def test_views_are_kept_shared_and_changed_by_their_owners(place, database, tmp_path):
    settings = {"data": tmp_path, "postgres": database, "partitions": 2}
    late = {"name": "Late ones", "page": "tasks", "query": {"overdue": "true", "type": ["user_task", "manual_task"]}}

    def asks(http: Any) -> Any:
        async def ask(actor: str, method: str, path: str = "", body: Any = None, expect: int = 200, tenant: str = "", **query: Any) -> Any:
            headers = {"X-Actor": actor, **({"X-Tenant": tenant} if tenant else {})}
            r = await http.request(method, f"/v1/saved-views{path}", json=body, params=query, headers=headers)
            assert r.status_code == expect, r.text
            return r.json()

        return ask

    async with place.system(**settings) as (_, http):
        ask = asks(http)
        r = await http.put("/v1/directory/users/bob", json={"groups": ["clerks"]})
        assert r.status_code == 200
        own = await ask("ann", "POST", "", late, 201)
        assert (own["owner"], own["mine"], own["shared"]) == ("ann", True, "no")
        by_id = {"X-Actor": "eve", "Idempotency-Key": "k1"}
        twice = [await http.post("/v1/saved-views", json=late, headers=by_id) for _ in range(2)]
        assert [r.status_code for r in twice] == [201, 201] and twice[0].json() == twice[1].json(), "its answer was lost: it is one view"
        assert len((await ask("eve", "GET"))["items"]) == 1
        ours = await ask("ann", "POST", "", {**late, "name": "For clerks", "shared": "groups", "groups": ["clerks", "clerks"]}, 201)
        everybody = await ask(
            "ann", "POST", "", {"name": "Stuck", "page": "instances", "query": {"has_incident": "true"}, "shared": "all"}, 201
        )
        assert [v["name"] for v in (await ask("ann", "GET"))["items"]] == ["For clerks", "Late ones", "Stuck"]
        assert [v["name"] for v in (await ask("bob", "GET"))["items"]] == ["For clerks", "Stuck"]
        assert [v["name"] for v in (await ask("cyd", "GET"))["items"]] == ["Stuck"]
        assert [v["name"] for v in (await ask("bob", "GET", page="tasks"))["items"]] == ["For clerks"]
        assert (await ask("bob", "GET", f"/{ours['id']}"))["query"] == late["query"]
        for actor, id in (("bob", own["id"]), ("cyd", ours["id"]), ("ann", "nowhere"), ("ann", own["id"][:8])):
            await ask(actor, "GET", f"/{id}", expect=404)
            await ask(actor, "PUT", f"/{id}", late, 404)
            await ask(actor, "DELETE", f"/{id}", expect=404)
        # another tenant sees none, and its own are its own
        for method, body in (("GET", None), ("PUT", late), ("DELETE", None)):
            await ask("ann", method, f"/{everybody['id']}", body, 404, tenant="b")
        of_b = await ask("ann", "POST", "", {**late, "shared": "all"}, 201, tenant="b")
        assert [v["id"] for v in (await ask("ann", "GET", tenant="b"))["items"]] == [of_b["id"]]
        await ask("ann", "GET", f"/{of_b['id']}", expect=404)
        changed = await ask("ann", "PUT", f"/{own['id']}", {**late, "name": "Later", "shared": "all"})
        assert changed["name"] == "Later" and {v["name"] for v in (await ask("cyd", "GET"))["items"]} == {"Later", "Stuck"}
        await ask("ann", "DELETE", f"/{everybody['id']}")
        for bad in (
            {**late, "name": " "},
            {**late, "page": "events"},
            {**late, "query": {"a": 7}},
            {**late, "query": {str(n): "x" for n in range(51)}},
            {**late, "shared": "groups"},
        ):
            r = await http.post("/v1/saved-views", json=bad)
            assert r.status_code in (400, 422), r.text
    async with place.system(**settings) as (_, http):
        assert [v["name"] for v in (await asks(http)("bob", "GET"))["items"]] == ["For clerks", "Later"]
