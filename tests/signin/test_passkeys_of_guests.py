"""Passkeys of whoever an issuer vouches for: they have no password here, so what a password holds for others is held by a passkey that they have."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.signin.authenticator import ORIGIN, Authenticator
from tests.signin.test_browser_sign_in import Site, site  # noqa: F401
from tests.signin.test_passkeys import added, named, shown

pytestmark = [pytest.mark.postgres, pytest.mark.req("APG-DIF-007")]


async def guest(site: Site) -> httpx2.AsyncClient:  # noqa: F811
    """Signed in at the issuer, at a name that passkeys are for."""
    browser = named(site.browser())
    answer = await browser.get("/oidc/company/back", params=site.agrees(await site.at_issuer(browser)))
    assert answer.status_code == 303, answer.text
    token = browser.cookies["flowledger_session"]
    browser.cookies.clear()
    browser.headers["cookie"] = f"flowledger_session={token}"
    me = (await browser.get("/v1/me")).json()
    assert me["kind"] == "guest"
    browser.headers["x-csrf-token"] = me["csrf"]
    return browser


async def with_passkeys(site: Site, *titles: str) -> tuple[httpx2.AsyncClient, list[Authenticator], list[dict[str, Any]]]:  # noqa: F811
    browser, keys = await guest(site), [Authenticator() for _ in titles]
    for n, (key, title) in enumerate(zip(keys, titles, strict=True)):
        if n == 0:
            assert (await added(browser, key, title)).status_code == 201
            continue
        id = await shown(browser, await browser.post("/v1/me/passkeys/options", json={}), keys[0])
        asked = (await browser.post("/v1/me/passkeys/options", json={}, headers={"x-step-up": id})).json()
        body = {"id": asked["id"], "title": title, "credential": key.create(asked["public_key"])}
        assert (await browser.post("/v1/me/passkeys", json=body)).status_code == 201
    return browser, keys, sorted((await browser.get("/v1/me/passkeys")).json()["items"], key=lambda i: titles.index(i["title"]))


async def test_a_session_alone_removes_none_and_whoever_shows_one_does(site):  # noqa: F811
    assert ORIGIN.startswith("http://localhost")
    browser, keys, items = await with_passkeys(site, "laptop", "key ring")
    path = f"/v1/me/passkeys/{items[0]['id']}"
    said = await browser.delete(path)
    assert (said.status_code, said.json()["code"]) == (403, "STEP_UP_NEEDED"), said.text
    assert len((await browser.get("/v1/me/passkeys")).json()["items"]) == 2
    id = await shown(browser, said, keys[1])
    other = await browser.delete(f"/v1/me/passkeys/{items[1]['id']}", headers={"x-step-up": id})
    assert other.json()["code"] == "STEP_UP_FAILED", "a proof is for that one"
    assert (await browser.delete(path, headers={"x-step-up": id})).status_code == 200
    assert [i["title"] for i in (await browser.get("/v1/me/passkeys")).json()["items"]] == ["key ring"]
    assert (await browser.delete("/v1/me/passkeys/nobody-has-this")).status_code == 404


async def test_who_has_lost_theirs_is_helped_by_an_administrator(site):  # noqa: F811
    browser, _, items = await with_passkeys(site, "laptop")
    admin = await site.world.admin()
    assert (await browser.delete("/v1/users/olga/passkeys")).status_code == 403, "that takes users:write"
    assert (await admin.delete("/v1/users/olga/passkeys")).status_code == 200
    assert (await browser.get("/v1/me")).status_code == 401, "whoever is signed in by that name is out"
    told = [(by, name, v) for by, name, v in site.world.ledger.told() if v["change"] == "passkeys removed"]
    assert told == [("admin", "guest:company:olga", {"change": "passkeys removed", "credentials": [items[0]["id"]]})]
    again = await guest(site)
    assert (await again.get("/v1/me/passkeys")).json()["items"] == []
    assert (await added(again, Authenticator())).status_code == 201, "the first is added anew"
    assert (await admin.delete("/v1/users/nobody/passkeys")).status_code == 404
