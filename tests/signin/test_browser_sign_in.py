"""A browser signs in at an issuer: the way there and back, what is refused on it, the session that it makes, and how that ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest

from flowledger.api.access import guests as guests_module
from flowledger.api.access.guests import Guests, local
from flowledger.api.access.tokens import Tokens
from flowledger.infra.oidc.code import Codes
from flowledger.processors.client import Caller
from tests.signin.conftest import World
from tests.signin.issuer import StubIssuer
from tests.signin.test_tokens import Steady, issuer_of, with_issuers

pytestmark = [pytest.mark.postgres, pytest.mark.req("D-SEC-001", "APG-SEC-001", "APG-SEC-009", "WOS-SEC-001")]
HOURS = 12


class Site(NamedTuple):
    world: World
    issuer: StubIssuer
    tokens: Tokens

    def browser(self) -> httpx2.AsyncClient:
        return self.world.client()

    async def at_issuer(self, browser: httpx2.AsyncClient, to: str = "/tasks?mine=1") -> dict[str, str]:
        """Where the browser is sent, as its parameters."""
        answer = await browser.get("/oidc/company", params={"to": to})
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].startswith(f"{self.issuer.url}/authorize?")
        return {k: v[0] for k, v in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    def agrees(self, asked: dict[str, str], **claims: Any) -> dict[str, str]:
        """What the issuer sends the browser back with, once somebody has signed in there."""
        page = httpx2.get(f"{self.issuer.url}/authorize", params=asked, trust_env=False).text
        back = page.partition('href="')[2].partition('"')[0].replace("&amp;", "&")
        return {k: v[0] for k, v in parse_qs(urlsplit(back).query).items()}

    async def signed_in(self) -> httpx2.AsyncClient:
        browser = self.browser()
        answer = await browser.get("/oidc/company/back", params=self.agrees(await self.at_issuer(browser)))
        assert (answer.status_code, answer.headers["location"]) == (303, "/tasks?mine=1"), answer.text
        browser.headers["x-csrf-token"] = (await browser.get("/v1/me")).json()["csrf"]
        return browser


async def site_of(world: World, issuer: StubIssuer, **more: Any) -> tuple[Site, httpx2.AsyncClient]:
    world.accounts.guests = None
    tokens, client = await with_issuers(world, Steady(), issuer_of(issuer, **{"client_id": "console", **more}))
    world.accounts.guests = Guests(tokens, Codes(tokens.verifier), HOURS * 3600 * 1_000_000)
    await world.store.rows("TRUNCATE guests")
    return Site(world, issuer, tokens), client


@pytest.fixture
async def site(world: World, monkeypatch) -> AsyncIterator[Site]:
    monkeypatch.setenv("FLOWLEDGER_TEST_CONSOLE_SECRET", "console-secret")
    issuer = StubIssuer(lambda: world.clock() / 1e6)
    found, client = await site_of(world, issuer, client_secret="env:FLOWLEDGER_TEST_CONSOLE_SECRET")
    yield found
    await client.aclose()
    issuer.close()


async def test_somebody_signs_in_and_works_under_their_name(site):
    browser = site.browser()
    asked = await site.at_issuer(browser)
    assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", "console", "S256")
    assert asked["redirect_uri"] == "http://127.0.0.1:8080/oidc/company/back" and "openid" in asked["scope"].split()
    answer = await browser.get("/oidc/company/back", params={**site.agrees(asked), "session_state": "whatever"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/tasks?mine=1")
    kept = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("flowledger_session="))
    assert "httponly" in kept.lower() and "samesite=strict" in kept.lower()
    me = (await browser.get("/v1/me")).json()
    assert (me["auth"], me["kind"], me["name"], me["roles"]) == ("oidc", "guest", "olga", ["operator"]) and me["csrf"]
    refused = await browser.post("/v1/messages", json={"name": "paid"})
    assert (refused.status_code, refused.json()["code"]) == (403, "CSRF"), "a page of another site can't use the session"
    assert (await browser.post("/v1/messages", json={"name": "paid"}, headers={"x-csrf-token": me["csrf"]})).status_code < 300
    _, caller, _ = site.world.ledger.calls[-1]
    assert (caller.actor, caller.groups) == ("olga", ["sales"])
    listed = (await site.browser().get("/v1/session/issuers")).json()["items"]
    assert [(i["name"], i["browser"]) for i in listed] == [("company", True)]


async def test_a_public_client_proves_itself_by_the_verifier_alone(world):
    issuer = StubIssuer(lambda: world.clock() / 1e6)
    issuer.clients["spa"] = ""
    site, client = await site_of(world, issuer, client_id="spa")
    await site.signed_in()
    await client.aclose()
    issuer.close()


async def test_roles_that_only_the_access_token_says_count(site):
    """Keycloak says `realm_access` there only."""
    real = site.issuer._tokens

    def tokens(client: str, person: dict[str, Any], nonce: str | None) -> dict[str, Any]:
        return {**real(client, person, nonce), "id_token": site.issuer.token(roles=None, aud=client, azp=client, nonce=nonce)}

    site.issuer._tokens = tokens
    assert (await (await site.signed_in()).get("/v1/me")).json()["roles"] == ["operator"]
    site.issuer._tokens = lambda *given: {**tokens(*given), "access_token": site.issuer.token(sub="another")}
    assert (await (await site.signed_in()).get("/v1/me")).json()["roles"] == [], "of another person it says nothing"


FAULTS: dict[str, tuple[Any, str]] = {
    "another state": (lambda b, i: b | {"state": "x" * 43}, "again"),
    "no state": (lambda b, i: {k: v for k, v in b.items() if k != "state"}, "again"),
    "a state that is no ASCII": (lambda b, i: b | {"state": "\u00e9"}, "again"),
    "no code": (lambda b, i: {k: v for k, v in b.items() if k != "code"}, "refused"),
    "a code of somebody's making": (lambda b, i: b | {"code": "x"}, "refused"),
    "somebody said no": (lambda b, i: {"state": b["state"], "error": "access_denied"}, "refused"),
    "another issuer's answer": (lambda b, i: b | {"iss": "https://elsewhere.example"}, "refused"),
    "the issuer is away": (lambda b, i: setattr(i, "away", True) or b, "away"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_does_not_fit_signs_nobody_in(site, fault):
    browser = site.browser()
    change, word = FAULTS[fault]
    brought = change(site.agrees(await site.at_issuer(browser)), site.issuer)
    answer = await browser.get("/oidc/company/back", params=brought)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?failed={word}")
    assert (await browser.get("/v1/me")).status_code == 401


BAD_TOKENS: dict[str, dict[str, Any]] = {
    "of another sign-in": {"nonce": "another"}, "without nonce": {"nonce": None}, "for another client": {"aud": "elsewhere"},
    "passed on by another client": {"aud": ["console", "other"], "azp": "other"}, "for several and nobody says whose": {"aud": ["console", "other"], "azp": None},
    "expired": {"exp": 1_700_000_000}, "of nobody": {"sub": None}, "of whom no name can be made": {"preferred_username": "a b"},
    "without a name": {"preferred_username": None},
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD_TOKENS)
async def test_an_id_token_that_is_not_good_signs_nobody_in(site, bad):
    real = site.issuer._tokens

    def tokens(client: str, person: dict[str, Any], nonce: str | None) -> dict[str, Any]:
        return {**real(client, person, nonce), "id_token": site.issuer.token(**{"aud": client, "azp": client, "nonce": nonce, **BAD_TOKENS[bad]}),
                "access_token": "opaque"}  # fmt: skip

    site.issuer._tokens = tokens
    browser = site.browser()
    answer = await browser.get("/oidc/company/back", params=site.agrees(await site.at_issuer(browser)))
    assert answer.headers["location"] == "/sign-in?failed=refused" and (await browser.get("/v1/me")).status_code == 401


async def test_an_answer_is_good_in_the_browser_that_asked_and_once(site):
    asking, other = site.browser(), site.browser()
    brought = site.agrees(await site.at_issuer(asking))
    assert (await other.get("/oidc/company/back", params=brought)).headers["location"] == "/sign-in?failed=again"
    await site.at_issuer(other)
    assert (await other.get("/oidc/company/back", params=brought)).headers["location"] == "/sign-in?failed=again"
    assert (await asking.get("/oidc/company/back", params=brought)).headers["location"] == "/tasks?mine=1"
    assert (await asking.get("/oidc/company/back", params=brought)).headers["location"] == "/sign-in?failed=again"


async def test_a_name_that_somebody_has_here_is_not_given_away(site):
    await site.world.accounts.make_user(Caller("admin"), "olga", ["administrator"], [""])
    browser = site.browser()
    answer = await browser.get("/oidc/company/back", params=site.agrees(await site.at_issuer(browser)))
    assert answer.headers["location"] == "/sign-in?failed=taken"


async def test_a_session_ends_when_somebody_here_gets_its_name(site):
    browser = await site.signed_in()
    await site.world.accounts.make_user(Caller("admin"), "olga", [], [""])
    assert (await browser.get("/v1/me")).status_code == 403


async def test_who_signs_out_is_sent_to_the_issuer_too(site):
    browser, other = await site.signed_in(), await site.signed_in()
    answer = await browser.delete("/v1/session")
    assert answer.status_code == 200
    url = urlsplit(answer.json()["issuer_url"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{site.issuer.url}/logout"
    assert parse_qs(url.query) == {"client_id": ["console"], "post_logout_redirect_uri": ["http://127.0.0.1:8080/"]}
    assert (await browser.get("/v1/me")).status_code == 401 and (await other.get("/v1/me")).status_code == 200
    await other.delete("/v1/session", params={"everywhere": True})
    assert (await other.get("/v1/me")).status_code == 401


async def posted(site: Site, token: str) -> int:
    form = urlencode({"logout_token": token}).encode()
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return (await site.browser().post("/oidc/company/logout", content=form, headers=kind)).status_code


@pytest.mark.parametrize("said", [{}, {"sub": None, "sid": "s-1"}])
async def test_the_issuer_ends_sessions(site, said):
    site.issuer.person["sid"] = "s-1"
    browser = await site.signed_in()
    site.issuer.person = {"sub": "2", "preferred_username": "dora", "roles": ["viewer"], "sid": "s-2"}
    other = await site.signed_in()
    site.issuer.person = {"sub": "1", "preferred_username": "olga", "roles": []}
    assert await posted(site, site.issuer.logout_token(**said)) == 200
    assert (await browser.get("/v1/me")).status_code == 401 and (await other.get("/v1/me")).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"events": None}, {"events": {"x": {}}}, {"nonce": "n"}, {"sub": None}, {"aud": "elsewhere"}, {"iss": "https://elsewhere.example"},
        {"iat": 1_700_000_000, "exp": None}, {"sub": 5},
    ],
)  # fmt: skip
async def test_what_is_no_logout_token_ends_nothing(site, wrong):
    browser = await site.signed_in()
    assert await posted(site, site.issuer.logout_token(**wrong)) == 400
    assert await posted(site, "x.y.z") == 400 and await posted(site, site.issuer.token()) == 400
    assert (await browser.get("/v1/me")).status_code == 200


async def test_a_key_that_is_new_is_asked_for(site):
    await site.signed_in()
    site.issuer.rotate()
    site.tokens.issuers[0]._clock.now += 10
    browser = await site.signed_in()
    assert (await browser.get("/v1/me")).status_code == 200


async def test_a_session_lasts_as_long_as_it_may(site):
    browser = await site.signed_in()
    for _ in range(HOURS * 3 - 1):
        site.world.clock.passes(1200)
        assert (await browser.get("/v1/me")).status_code == 200
    site.world.clock.passes(1200)
    assert (await browser.get("/v1/me")).status_code == 401, "used all the time, and over all the same"


async def test_of_an_issuer_that_is_not_asked_any_more_nobody_is_known(site):
    browser = await site.signed_in()
    site.world.known.issuers = frozenset()
    site.world.known._identities.clear()
    assert (await browser.get("/v1/me")).status_code == 401


async def test_who_comes_by_an_issuer_makes_no_key_of_their_own_and_has_no_password_here(site):
    site.issuer.person["roles"] = ["administrator"]
    browser = await site.signed_in()
    assert (await browser.post("/v1/api-keys", json={"name": "mine", "roles": ["viewer"]})).status_code == 403
    assert (await browser.put("/v1/me/password", json={"old": "x", "new": "y" * 12})).status_code == 403


async def test_of_one_person_the_newest_sessions_stay(site, monkeypatch):
    monkeypatch.setattr(guests_module, "SESSIONS_MAX", 2)
    browsers = []
    for _ in range(3):
        site.world.clock.passes(1)
        browsers.append(await site.signed_in())
    first, *rest = browsers
    site.world.known._identities.clear()
    site.world.known._sessions.clear()
    assert [(await b.get("/v1/me")).status_code for b in (first, *rest)] == [401, 200, 200]


async def test_too_many_at_once_are_told_to_come_again(site):
    site.world.accounts.guests.codes._room = asyncio.Semaphore(0)
    browser = site.browser()
    answer = await browser.get("/oidc/company/back", params=site.agrees(await site.at_issuer(browser)))
    assert answer.headers["location"] == "/sign-in?failed=away"


async def test_where_no_issuer_signs_in_there_is_no_such_page(world):
    world.accounts.guests = None
    for path in ("/oidc/company", "/oidc/company/back"):
        assert (await world.client().get(path)).status_code == 404
    assert (await world.client().post("/oidc/company/logout", content=b"")).status_code == 404


async def test_an_issuer_that_is_away_is_503_and_an_unknown_one_404(site):
    assert (await site.browser().get("/oidc/nobody")).status_code == 404
    site.issuer.away = True
    site.tokens.issuers[0].document = None
    assert (await site.browser().get("/oidc/company")).status_code == 503


@pytest.mark.parametrize("cookie", ["", "x", "e30", "AAAA", "x" * 10_000, '"'])
async def test_a_cookie_of_somebody_s_making_is_none(site, cookie):
    answer = await site.browser().get(
        "/oidc/company/back", params={"state": "", "code": "c"}, headers={"cookie": f"flowledger_oidc={cookie}"}
    )
    assert answer.headers["location"] == "/sign-in?failed=again"


@pytest.mark.parametrize(
    ("to", "where"),
    [
        ("/", "/"), ("/tasks?mine=1#x", "/tasks?mine=1#x"), ("//evil.example", "/"), ("/\\evil.example", "/"), ("https://evil.example", "/"), ("", "/"),
        ("javascript:alert(1)", "/"), ("/a\r\nSet-Cookie: x", "/"), ("/" + "a" * 1_000, "/"), ("/" + "a" * 999, "/" + "a" * 999), ("/a\\b", "/"),
    ],
)  # fmt: skip
def test_nobody_is_sent_elsewhere_afterwards(to, where):
    assert local(to) == where
