"""Drafts: any text is kept, each save is a version, nobody's save is overwritten unseen, a tenant sees its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flowledger.api.services import Services
from flowledger.infra import drafts as store
from flowledger.infra.drafts import Drafts

from .conftest import THREE, client_of, model

pytestmark = [pytest.mark.postgres, pytest.mark.req("APG-UI-005", "D-MOD-001")]


async def make(desk: Any, name: str = "Leave", content: str = THREE, **more: Any) -> dict[str, Any]:
    answer = await desk.post("/v1/drafts", json={"name": name, "content": content, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/drafts/{answer.json()['id']}"
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (THREE, "process"),
        ("", "process"),
        ("<definitions", "process"),
        ("not a model at all", "process"),
        (model('<task id="x"/>'), "process"),
        ('{"steps": [{"id": "a"}]}', "process"),
        ('<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/"/>', "decision"),
        ('{"components": [], "type": "default"}', "form"),
    ],
)
async def test_any_text_is_kept_as_it_is(desk, content, kind):
    made = await make(desk, content=content)
    assert (made["content"], made["kind"], made["version"], made["created_by"]) == (content, kind, 1, "ann")
    again = (await desk.get(f"/v1/drafts/{made['id']}")).json()
    assert again == made


async def test_each_save_is_a_version_and_the_old_ones_stay(desk):
    made = await make(desk)
    path = f"/v1/drafts/{made['id']}"
    saved = await desk.put(path, json={"content": "two", "comment": "a gateway more"}, headers={"if-match": '"0"'})
    assert (saved.status_code, saved.json()["version"], saved.headers["etag"]) == (200, 2, '"1"')
    same = await desk.put(path, json={"content": "two", "name": "Leave"}, headers={"if-match": '"1"'})
    assert (same.json()["version"], same.headers["etag"]) == (2, '"1"'), "what is the same is no change"
    renamed = await desk.put(path, json={"name": "Holidays"})
    assert (renamed.json()["name"], renamed.json()["version"], renamed.json()["content"]) == ("Holidays", 2, "two")
    assert renamed.headers["etag"] == '"2"'
    versions = (await desk.get(f"{path}/versions")).json()["items"]
    assert [(v["version"], v["comment"], v["saved_by"]) for v in versions] == [(2, "a gateway more", "ann"), (1, "", "ann")]
    old = (await desk.get(f"{path}?version=1")).json()
    assert (old["content"], old["version"], old["newest"]) == (THREE, 1, 2)
    assert (await desk.get(f"{path}?version=3")).status_code == 404


@pytest.mark.req("APG-UI-007")
async def test_who_saves_on_an_old_version_is_told_who_was_faster_and_both_are_kept(desk):
    made = await make(desk)
    path = f"/v1/drafts/{made['id']}"
    bob = await desk.put(path, json={"content": "bob's"}, headers={"if-match": '"0"', "x-actor": "bob"})
    assert bob.status_code == 200
    late = await desk.put(path, json={"content": "ann's"}, headers={"if-match": '"0"'})
    said = late.json()
    assert (late.status_code, said["code"], said["version"], said["by"]) == (412, "STALE", 2, "bob"), said
    assert "bob" in said["detail"]
    kept = await desk.put(path, json={"content": "ann's"}, headers={"if-match": f'"{said["row_version"]}"'})
    assert kept.json()["version"] == 3
    assert (await desk.get(f"{path}?version=2")).json()["content"] == "bob's"
    gone = await desk.delete(path, headers={"if-match": '"1"'})
    assert gone.status_code == 412 and (await desk.get(path)).status_code == 200


async def test_of_many_saves_at_once_on_one_version_one_is_taken(desk):
    made = await make(desk)
    path = f"/v1/drafts/{made['id']}"
    answers = await asyncio.gather(*(desk.put(path, json={"content": str(n)}, headers={"if-match": '"0"'}) for n in range(6)))
    assert sorted(a.status_code for a in answers) == [200, 412, 412, 412, 412, 412]
    assert (await desk.get(path)).json()["version"] == 2


async def test_deleted_with_its_versions_and_comments(desk, drafts):
    made = await make(desk)
    path = f"/v1/drafts/{made['id']}"
    await desk.post(f"{path}/comments", json={"text": "why twice?", "element": "task"})
    assert (await desk.delete(path)).json() == {"id": made["id"], "removed": True}
    for method, where in (("GET", path), ("DELETE", path), ("GET", f"{path}/versions"), ("GET", f"{path}/comments")):
        assert (await desk.request(method, where)).status_code == 404
    assert (await desk.put(path, json={"content": "x"})).status_code == 404
    assert (await desk.post(f"{path}/comments", json={"text": "x"})).status_code == 404
    assert await drafts.rows("SELECT draft FROM versions UNION ALL SELECT draft FROM comments") == []


async def test_comments_are_of_the_draft_or_of_an_element(desk):
    made = await make(desk)
    path = f"/v1/drafts/{made['id']}/comments"
    await desk.post(path, json={"text": "all of it"})
    answer = await desk.post(path, json={"text": "this one", "element": "task"}, headers={"x-actor": "bob"})
    assert answer.status_code == 201
    found = (await desk.get(path)).json()["items"]
    assert [(c["text"], c["element"], c["author"]) for c in found] == [("all of it", "", "ann"), ("this one", "task", "bob")]
    assert found == answer.json()["items"]


async def test_lists_by_name_and_kind_in_pages(desk):
    names = ["Leave", "leave of 100 %", "Order_x", "Orderyx", "level"]
    for n, name in enumerate(names):
        await make(desk, name, "x", kind="decision" if n == 4 else "process")

    async def names_of(query: str) -> list[str]:
        return [r["name"] for r in (await desk.get(f"/v1/drafts?{query}")).json()["items"]]

    assert await names_of("") == names[::-1], "last saved first"
    assert await names_of("name=LEAVE") == ["leave of 100 %", "Leave"]
    assert await names_of("name=100%20%25") == ["leave of 100 %"]
    assert await names_of("name=r_x") == ["Order_x"], "a pattern's own signs stand for themselves"
    assert await names_of("kind=decision") == ["level"]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await desk.get(f"/v1/drafts?limit=2{cursor}")).json()
        seen += [r["name"] for r in page["items"]]
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    assert seen == names[::-1]
    assert "content" not in page["items"][0]


async def test_another_tenants_is_not_there(desk):
    made = await make(desk)
    path, other = f"/v1/drafts/{made['id']}", {"x-tenant": "acme"}
    assert (await desk.get("/v1/drafts", headers=other)).json()["items"] == []
    for method, where, body in (
        ("GET", path, None), ("PUT", path, {"content": "x"}), ("DELETE", path, None), ("GET", f"{path}/versions", None),
        ("GET", f"{path}/comments", None), ("POST", f"{path}/comments", {"text": "x"}),
    ):  # fmt: skip
        assert (await desk.request(method, where, json=body, headers=other)).status_code == 404, (method, where)
    assert (await desk.get(path)).json()["content"] == THREE


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400), ({"name": "x"}, 400), ({"content": "x"}, 400), ({"name": "", "content": "x"}, 400), ({"name": "  ", "content": "x"}, 422),
        ({"name": "x" * 256, "content": "x"}, 400), ({"name": "x" * 255, "content": "x"}, 201), ({"name": "x", "content": "a\0b"}, 422),
        ({"name": "x", "content": "x", "kind": "poem"}, 400), ({"name": "x", "content": "x", "more": 1}, 400), ({"name": "x", "content": 1}, 400),
    ],
)  # fmt: skip
async def test_what_can_not_be_kept_is_refused(desk, body, status):
    answer = await desk.post("/v1/drafts", json=body)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("query", ["cursor=x", "cursor=1-2", "cursor=", "limit=0", "kind=poem", "more=1"])
async def test_a_list_says_what_it_does_not_know(desk, query):
    assert (await desk.get(f"/v1/drafts?{query}")).status_code == 400


async def test_bounds(desk, drafts, monkeypatch):
    monkeypatch.setattr(store, "DRAFTS_MAX", 2)
    monkeypatch.setattr(store, "VERSIONS_MAX", 3)
    monkeypatch.setattr(store, "COMMENTS_MAX", 2)
    made = await make(desk)
    await make(desk)
    assert (await desk.post("/v1/drafts", json={"name": "x", "content": ""})).status_code == 429
    assert (await desk.post("/v1/drafts", json={"name": "x", "content": ""}, headers={"x-tenant": "acme"})).status_code == 201
    path = f"/v1/drafts/{made['id']}"
    for n in range(4):
        await desk.put(path, json={"content": str(n)})
    assert [v["version"] for v in (await desk.get(f"{path}/versions")).json()["items"]] == [5, 4, 3]
    statuses = [(await desk.post(f"{path}/comments", json={"text": "x"})).status_code for _ in range(3)]
    assert statuses == [201, 201, 429]


async def test_a_database_that_is_away_is_said(services: Services):
    async with client_of(services) as http:
        assert (await http.get("/v1/drafts")).status_code == 503, "no database at all"
        away = Drafts("postgresql://nobody@127.0.0.1:1/none", lambda: 0)
        away._pool.timeout = 0.2
        await away.open()
        services.drafts = away
        try:
            answer = await http.post("/v1/drafts", json={"name": "x", "content": "x"})
            assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
        finally:
            await away.close()
