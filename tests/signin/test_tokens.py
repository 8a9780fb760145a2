"""Tokens of issuers on all doors: what is let in, what isn't, and what happens when keys change or an issuer is away."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import grpc
import httpx2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey

from flowledger.api.access.door import Door
from flowledger.api.access.operations import GRPC, PUBLIC, SIGNED_IN
from flowledger.api.access.rights import ROLES, rights_of
from flowledger.api.access.tokens import TOKENS_MAX, Tokens
from flowledger.api.grpc.gateway import Connection, Gateway
from flowledger.api.grpc.http2 import listen
from flowledger.api.grpc.methods import METHODS
from flowledger.api.grpc.status import PERMISSION_DENIED, UNAUTHENTICATED, UNAVAILABLE, Refused
from flowledger.infra import server_tls
from flowledger.infra.oidc import config, keys
from flowledger.infra.oidc.config import Issuer
from flowledger.infra.oidc.keys import AGAIN_S, REFRESH_S, Keys
from flowledger.infra.oidc.tokens import TOKEN_MAX
from flowledger.infra.settings import Settings
from tests.gateway.certificates import Authority
from tests.signin.conftest import World
from tests.signin.issuer import StubIssuer, rsa
from tests.signin.test_rights_table import asked, everything

pytestmark = [pytest.mark.postgres, pytest.mark.req("D-SEC-001", "APG-SEC-001", "APG-SEC-009", "WOS-SEC-001")]


class Steady:
    """Seconds of a clock of our own."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Oidc(NamedTuple):
    world: World
    issuer: StubIssuer
    tokens: Tokens
    steady: Steady
    gateway: Gateway

    def client(self, token: str = "", **headers: str) -> httpx2.AsyncClient:
        return self.world.client(token, **headers)

    async def status(self, token: str, path: str = "/v1/instances") -> int:
        return (await self.client(token).get(path)).status_code

    async def grpc(self, token: str, method: str = "Topology") -> int:
        """The status; 0: it was let in."""
        found = next(m for m in METHODS.values() if m.name == method)
        try:
            self.gateway._known(self.gateway.door, found, found.request_type(), {"authorization": f"Bearer {token}"}, Connection(""))
        except Refused as e:
            return e.status
        return 0


def issuer_of(stub: StubIssuer, **more: Any) -> Issuer:
    return Issuer(name="company", issuer=stub.url, audiences=["flowledger", "zeebe-api"], **more)


async def with_issuers(world: World, steady: Steady, *issuers: Issuer) -> tuple[Tokens, httpx2.AsyncClient]:
    client = httpx2.AsyncClient(timeout=30, trust_env=False)
    tokens = Tokens([Keys(i, client, steady) for i in config.checked(list(issuers))], world.known, world.clock)
    services, now = world.app.state["services"], Settings(auth="oidc", oidc_file="issuers.toml", subscription_s_max=0.1, wait_ms_max=200)
    services.settings = world.accounts.settings = now
    services.sign_in_with(Door(world.known, now, tokens), world.accounts)
    world.app.asgi_handler.door = services.door
    return tokens, client


@pytest.fixture
async def oidc(world: World) -> AsyncIterator[Oidc]:
    issuer, steady = StubIssuer(lambda: world.clock() / 1e6), Steady()
    tokens, client = await with_issuers(world, steady, issuer_of(issuer))
    yield Oidc(world, issuer, tokens, steady, Gateway(world.ledger, door=world.app.state["services"].door))  # type: ignore[arg-type]
    await client.aclose()
    issuer.close()


# --- who comes in -----------------------------------------------------------------------------------------------------------


async def test_a_token_says_who_it_is_and_what_they_may(oidc):
    said = (await oidc.client(oidc.issuer.token()).get("/v1/me")).json()
    assert (said["auth"], said["kind"], said["name"], said["roles"]) == ("oidc", "token", "olga", ["operator"])
    assert said["csrf"] is None and said["expires_at"] and "tasks:work" in said["rights"]
    await oidc.client(oidc.issuer.token()).post("/v1/messages", json={"name": "paid"}, headers={"x-actor": "eve"})
    _, caller, _ = oidc.world.ledger.calls[-1]
    assert (caller.actor, caller.tenant, caller.groups) == ("olga", "", ["sales"]) and "operator" in caller.rights
    assert await oidc.grpc(oidc.issuer.token(aud="zeebe-api")) == 0
    admin = await oidc.world.admin()
    assert (await admin.get("/v1/me")).json()["kind"] == "user", "accounts of our own are as they were"
    made = (await admin.post("/v1/api-keys", json={"name": "k", "actor": "robot", "roles": ["viewer"]})).json()
    assert await oidc.status(made["key"]) == 200


async def test_each_role_of_a_token_may_what_the_table_says_and_nothing_else(oidc):
    for role in ROLES:
        token = oidc.issuer.token(roles=[role, "of-another-program"], preferred_username=f"the-{role}")
        http = oidc.client(token)
        for operation, method, path, right in everything():
            said = await asked(http, method, path)
            may = right in (PUBLIC, SIGNED_IN) or right in ROLES[role][1]
            body = said.json() if said.headers.get("content-type", "").endswith("json") else {}
            lacking = said.status_code == 403 and body.get("right")
            assert bool(lacking) is not may, f"{role}: {operation}: {said.status_code} {said.text[:300]}"
        for method in METHODS.values():
            may = GRPC[method.name] in (PUBLIC, SIGNED_IN) or GRPC[method.name] in rights_of([role])
            assert await oidc.grpc(token, method.name) == (0 if may else PERMISSION_DENIED), (role, method.name)


#: what is wrong -> (header, claims) of a token that is signed by the issuer's own key
SIGNED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "expired": ({}, {"exp": -31}),
    "no end": ({}, {"exp": None}),
    "an end that is no number": ({}, {"exp": "tomorrow"}),
    "not good yet": ({}, {"nbf": 31}),
    "made in the future": ({}, {"iat": 31}),
    "another audience": ({}, {"aud": "billing"}),
    "no audience": ({}, {"aud": None}),
    "an empty audience": ({}, {"aud": []}),
    "an audience in pieces": ({}, {"aud": ["flow", "ledger"]}),
    "another issuer": ({}, {"iss": "https://elsewhere.example.org"}),
    "an issuer that looks alike": ({}, {"iss": "+/"}),
    "no issuer": ({}, {"iss": None}),
    "issuers": ({}, {"iss": ["", "x"]}),
    "no subject": ({}, {"sub": None}),
    "a subject that is no text": ({}, {"sub": 7}),
    "a token of a sign-in": ({}, {"nonce": "n"}),
    "a token of a sign-in, by its hash": ({}, {"at_hash": "h"}),
    "one to refresh": ({}, {"typ": "Refresh"}),
    "an ID token of Keycloak": ({}, {"typ": "ID"}),
    "bound to a key": ({}, {"cnf": {"jkt": "x"}}),
    "of no type": ({"typ": None}, {}),
    "a sign-out": ({"typ": "logout+jwt"}, {}),
    "not named": ({}, {"preferred_username": None}),
    "an odd name": ({}, {"preferred_username": "a b"}),
    "an empty name": ({}, {"preferred_username": ""}),
    "a name of 101 characters": ({}, {"preferred_username": "a" * 101}),
    "a name that is a list": ({}, {"preferred_username": ["ann"]}),
    "roles that are no texts": ({}, {"roles": [{"a": 1}]}),
    "groups that are a number": ({}, {"groups": 7}),
    "more groups than a thousand": ({}, {"groups": [str(n) for n in range(1001)]}),
}


@pytest.mark.parametrize("wrong", SIGNED)
async def test_a_token_that_the_issuer_signed_and_that_is_not_good_here(oidc, wrong):
    header, claims = SIGNED[wrong]
    now = int(oidc.world.clock() / 1e6)
    claims = {n: now + v if n in ("exp", "nbf", "iat") and type(v) is int else v for n, v in claims.items()}
    if claims.get("iss") == "+/":
        claims["iss"] = oidc.issuer.url + "/"
    token = oidc.issuer.token(header=header, **claims)
    for operation, method, path, right in everything()[:20]:
        if right != PUBLIC:
            said = await asked(oidc.client(token), method, path)
            assert (said.status_code, said.json()["code"]) == (401, "UNAUTHENTICATED"), f"{operation}: {said.text}"
            assert token.split(".")[2] not in said.text
    assert await oidc.grpc(token) == UNAUTHENTICATED
    assert await oidc.status(oidc.issuer.token()) == 200, "and the good one is let in"


@pytest.mark.parametrize(
    "claims", [{"exp": -29}, {"nbf": 29}, {"iat": 29}, {"exp": 10**30}, {"aud": ["x", "flowledger"]}, {"preferred_username": "a" * 100}]
)
async def test_clocks_may_differ_a_little_and_edges_are_good(oidc, claims):
    now = int(oidc.world.clock() / 1e6)
    moved = {n: now + v if n in ("exp", "nbf", "iat") else v for n, v in claims.items()}
    assert await oidc.status(oidc.issuer.token(**moved)) == 200


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode().rstrip("=")


def by_hand(key: Any, head: dict[str, Any], claims: dict[str, Any]) -> str:
    """A token that the library would not make."""
    text = f"{part(head)}.{part(claims)}"
    return f"{text}.{part(key.private_key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def by_secret(secret: bytes, head: dict[str, Any], body: str) -> str:
    text = f"{part(head)}.{body}"
    return f"{text}.{part(hmac.digest(secret, text.encode(), 'sha256'))}"


async def test_tokens_that_nobody_signed_or_somebody_else(oidc):
    good, own = oidc.issuer.token(), oidc.issuer.keys[0]
    head, body, signature = good.split(".")
    theirs, curve = (
        RSAKey.generate_key(2048, {"kid": own.kid}, auto_kid=False),
        ECKey.generate_key("P-256", {"kid": own.kid}, auto_kid=False),
    )
    any_algorithm = RSAKey.import_key({n: v for n, v in own.as_dict(private=True).items() if n != "alg"})
    public = [own.as_pem(private=False), own.as_der(private=False), json.dumps(own.as_dict(private=False)).encode()]
    elsewhere = StubIssuer()
    extensions: list[dict[str, Any]] = [
        {"crit": ["urn:x"], "urn:x": 1},
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": "exp"},
        {"crit": ["b64"], "b64": False},
    ]
    assert await oidc.status(by_hand(own, {"alg": "RS256", "typ": "JWT", "kid": own.kid, "urn:x": 1}, oidc.issuer.claims())) == 200
    wrong = {
        "no signature": f"{head}.{body}.", "two parts": f"{head}.{body}", "four parts": f"{good}.x", "garbage": "garbage", "dots": "..",
        "alg none": f"{part({'alg': 'none', 'typ': 'JWT', 'kid': own.kid})}.{body}.",
        "alg None": f"{part({'alg': 'None', 'typ': 'JWT', 'kid': own.kid})}.{body}.{signature}",
        "no alg": f"{part({'typ': 'JWT', 'kid': own.kid})}.{body}.{signature}",
        "an alg that is a list": f"{part({'alg': ['RS256'], 'kid': own.kid})}.{body}.{signature}",
        **{f"HS256 with the public key, {n}": by_secret(secret, {"alg": "HS256", "typ": "JWT", "kid": own.kid}, body) for n, secret in enumerate(public)},
        "another's key under the same id": oidc.issuer.token(theirs),
        "another's curve under the same id": oidc.issuer.token(curve, {"alg": "ES256"}),
        "an algorithm that isn't allowed": oidc.issuer.token(any_algorithm, {"alg": "PS256"}),
        "a key in the header": oidc.issuer.token(theirs, {"jwk": theirs.as_dict(private=False)}),
        "keys elsewhere": oidc.issuer.token(theirs, {"jku": f"{elsewhere.url}/jwks"}),
        "a certificate elsewhere": oidc.issuer.token(theirs, {"x5u": f"{elsewhere.url}/jwks"}),
        "an id that is a path": oidc.issuer.token(theirs, {"kid": "../../../../dev/null"}),
        "an id that is a query": oidc.issuer.token(theirs, {"kid": "x' UNION SELECT 'key"}),
        "an id that is an address": oidc.issuer.token(theirs, {"kid": f"{elsewhere.url}/jwks"}),
        "an id that is a list": f"{part({'alg': 'RS256', 'kid': [own.kid]})}.{body}.{signature}",
        "other claims": f"{head}.{part(oidc.issuer.claims(roles=['administrator']))}.{signature}",
        **{f"an extension {n}": by_hand(own, {"alg": "RS256", "typ": "JWT", "kid": own.kid, **h}, oidc.issuer.claims()) for n, h in enumerate(extensions)},
        "another header": f"{part({'alg': 'RS256', 'kid': own.kid, 'typ': 'JWT', 'x': 1})}.{body}.{signature}",
        "deep claims": f"{head}.{part(b'[' * 9000)}.{signature}", "a deep header": f"{part(b'[' * 9000)}.{body}.{signature}",
        "encrypted": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..QUFBQUFBQUFBQUFB.QUFB.QUFB", "too long": good + "A" * TOKEN_MAX,
        "not ASCII": f"{head}.{body}.{signature[:-1]}\u00e9", "no number": f"{head}.{part(b'[NaN]')}.{signature}",
    }  # fmt: skip
    asked_before = len(oidc.issuer.asked)
    for what, token in wrong.items():
        said = await oidc.client(authorization=b"Bearer " + token.encode("latin-1")).get("/v1/me")
        assert (said.status_code, said.json().get("code")) == (401, "UNAUTHENTICATED"), f"{what}: {said.text}"
        assert await oidc.grpc(token) == UNAUTHENTICATED, what
    assert elsewhere.asked == [], "what a token says of keys is not looked at"
    assert len(oidc.issuer.asked) - asked_before <= 2, "made-up keys make us ask once (configuration and keys)"
    elsewhere.close()
    assert await oidc.status(good) == 200


@pytest.mark.req("D-SEC-001")
async def test_fuzzed_tokens_are_refused_and_nothing_else(oidc):
    good = oidc.issuer.token()
    assert await oidc.status(good) == 200
    head, body, signature = good.split(".")
    names = st.sampled_from(["alg", "kid", "iss", "aud", "exp", "crit", "b64", "typ"])
    leaves = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9)
    values = st.recursive(leaves, lambda x: st.lists(x, max_size=3) | st.dictionaries(names, x, max_size=5), max_leaves=9)
    own = st.sampled_from([head, body, signature, ""])
    parts = st.one_of(own, st.text(st.characters(max_codepoint=255), max_size=60), st.binary(max_size=200).map(part), values.map(part))
    flipped = st.tuples(st.integers(0, len(good) - 1), st.characters(max_codepoint=127)).map(
        lambda f: good[: f[0]] + f[1] + good[f[0] + 1 :]
    )
    door = oidc.world.app.state["services"].door
    from flowledger.api.problems import Problem

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.one_of(st.lists(parts, max_size=5).map(".".join), flipped))
    def look(token: str) -> None:
        try:
            identity = door.of_bearer(token)
        except Problem as p:
            assert p.status in (401, 503), p.detail
        else:  # unused bits at the end of a part of Base64
            assert identity.actor == "olga" and token[:-1] == good[:-1]

    look()


# --- keys -------------------------------------------------------------------------------------------------------------------


async def test_a_new_key_is_asked_for_and_one_that_was_taken_back_is_good_no_more(oidc):
    old = oidc.issuer.token()
    assert await oidc.status(old) == 200 and await oidc.grpc(old) == 0
    oidc.issuer.rotate(keep=True)
    oidc.steady.now += AGAIN_S
    assert await oidc.status(oidc.issuer.token()) == 200, "HTTP waits for the keys"
    assert await oidc.status(old) == 200, "both are listed"
    oidc.issuer.rotate()
    oidc.steady.now += AGAIN_S
    new = oidc.issuer.token()
    assert await oidc.grpc(new) == UNAVAILABLE, "gRPC is told to come again while they are read"
    await oidc.tokens.issuers[0].ask()
    assert await oidc.grpc(new) == 0
    assert await oidc.status(old) == 401 and await oidc.grpc(old) == UNAUTHENTICATED, "though it was verified once, and has not expired"


async def test_long_answers_end_with_the_token_or_its_key(oidc):
    for end in ("expiry", "rotation", "name"):
        token = oidc.issuer.token()
        assert await oidc.status(token) == 200
        identity = oidc.world.app.state["services"].door.of_bearer(token)
        oidc.world.known.hold(identity)
        await oidc.world.known.refresh()
        assert not identity.ended.is_set()
        if end == "expiry":
            oidc.world.clock.passes(oidc.issuer.lifetime + 30)
        elif end == "rotation":
            oidc.issuer.rotate()
            await oidc.tokens.issuers[0].ask()
        else:
            await oidc.world.user("olga", "viewer")
        await oidc.world.known.refresh()
        assert identity.ended.is_set(), end


async def test_made_up_keys_don_t_make_us_ask_all_the_time(oidc):
    assert await oidc.status(oidc.issuer.token()) == 200
    asked_before = len(oidc.issuer.asked)
    for n in range(50):
        assert await oidc.status(oidc.issuer.token(header={"kid": f"made-up-{n}"})) == 401
    assert len(oidc.issuer.asked) == asked_before
    oidc.steady.now += AGAIN_S
    for n in range(50):
        assert await oidc.status(oidc.issuer.token(header={"kid": f"again-{n}"})) == 401
    assert len(oidc.issuer.asked) == asked_before + 2


async def test_an_issuer_that_is_away_takes_no_good_keys_at_once(oidc):
    known = oidc.issuer.token(exp=int(oidc.world.clock() / 1e6) + 86_400)
    assert await oidc.status(known) == 200
    oidc.issuer.away = True
    oidc.steady.now += AGAIN_S
    said = await oidc.client(oidc.issuer.token(rsa(5))).get("/v1/me")
    assert (said.status_code, said.json()["code"]) == (503, "UNAVAILABLE") and said.headers["retry-after"], (
        "whose key it is can't be known now"
    )
    assert await oidc.status(oidc.issuer.token(jti="fresh")) == 200, "a key that is known goes on being good"
    oidc.steady.now += 3600 - AGAIN_S
    assert await oidc.status(known) == 200
    oidc.steady.now += 1
    for token in (known, oidc.issuer.token(jti="later")):
        assert await oidc.status(token) == 503 and await oidc.grpc(token) == UNAVAILABLE
    oidc.issuer.away = False
    oidc.steady.now += AGAIN_S
    assert await oidc.status(oidc.issuer.token(jti="back")) == 200 and await oidc.status(known) == 200


async def test_an_issuer_that_was_never_there(world):
    issuer, steady = StubIssuer(lambda: world.clock() / 1e6), Steady()
    issuer.away = True
    _, client = await with_issuers(world, steady, issuer_of(issuer))
    assert (await world.client(issuer.token()).get("/v1/me")).status_code == 503
    assert (await (await world.admin()).get("/v1/me")).status_code == 200, "who has an account here isn't kept out"
    issuer.away = False
    steady.now += AGAIN_S
    assert (await world.client(issuer.token()).get("/v1/me")).status_code == 200
    await client.aclose()
    issuer.close()


@pytest.mark.parametrize(
    ("listed", "good"),
    [
        ([{"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "kid": "rsa-0"}], False), ([], False), ([None, 7, "x", [], {}], False),
        ([{"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "rsa-0"}], False), ([{"kty": "RSA", "kid": "rsa-0"}], False),
        ("encryption", False), ("short", False), ("other alg", False), ("beside others", True),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
async def test_which_keys_are_taken(oidc, monkeypatch, listed, good):
    own = rsa(0).as_dict(private=False)
    short = RSAKey.generate_key(1024, {"kid": "rsa-0"}, auto_kid=False)
    named = {
        "encryption": [{**own, "use": "enc"}], "short": [short.as_dict(private=False)], "other alg": [{**own, "alg": "PS256"}],
        "beside others": [{"kty": "new-kind"}, {**own, "kid": 7}, ECKey.generate_key("P-256").as_dict(private=False), own],
    }  # fmt: skip
    monkeypatch.setattr(
        StubIssuer, "_jwks", lambda *_: (200, {"keys": named.get(listed, listed) if isinstance(listed, str) else listed}, {})
    )
    token = oidc.issuer.token(short) if listed == "short" else oidc.issuer.token()
    assert await oidc.status(token) == (200 if good else 401)


@pytest.mark.parametrize(
    "broken",
    [
        {"issuer": "https://elsewhere.example.org"}, {"jwks_uri": "http://keys.example.org/"}, {"jwks_uri": "file:///etc/passwd"}, {"jwks_uri": 7},
        {"token_endpoint": "http://192.0.2.7/"}, {"jwks_uri": ""}, b"no json", b"[" * 50_000, b" " * (keys.ANSWER_BYTES_MAX + 1), b"[]",
    ],
    ids=lambda b: str(b)[:40],
)  # fmt: skip
async def test_an_issuer_whose_answers_are_of_no_use_is_one_that_is_away(oidc, monkeypatch, broken):
    answer = oidc.issuer._well_known_openid_configuration()
    body = {**answer[1], **broken} if isinstance(broken, dict) else broken
    monkeypatch.setattr(StubIssuer, "_well_known_openid_configuration", lambda *_: (200, body, {}))
    assert await oidc.status(oidc.issuer.token()) == 503
    assert oidc.tokens.issuers[0].failed


async def test_keys_are_read_again_before_they_are_too_old():
    assert 2 * REFRESH_S <= 600, "the shortest stale_s outlives a reading that fails"


# --- names, tenants, several issuers --------------------------------------------------------------------------------------------


async def test_a_token_can_t_take_a_name_that_is_somebody_s_here(oidc):
    admin = await oidc.world.admin()
    await admin.post("/v1/api-keys", json={"name": "k", "actor": "robot", "roles": ["machine"]})
    for name in ("admin", "robot"):
        said = await oidc.client(oidc.issuer.token(preferred_username=name)).get("/v1/me")
        assert said.status_code == 403 and name in said.json()["detail"]
        assert await oidc.grpc(oidc.issuer.token(preferred_username=name)) == PERMISSION_DENIED
    ann = oidc.issuer.token(preferred_username="ann")
    assert await oidc.status(ann) == 200
    await oidc.world.user("ann", "viewer")
    assert await oidc.status(ann) == 403, "also when the token was good before"
    await admin.delete("/v1/users/ann")
    assert await oidc.status(ann) == 200


async def test_who_comes_by_a_token_makes_no_key_of_their_own(oidc):
    http = oidc.client(oidc.issuer.token(roles=["administrator"]))
    assert (await http.post("/v1/api-keys", json={"name": "k", "roles": ["viewer"]})).status_code == 403
    assert (await http.post("/v1/api-keys", json={"name": "k", "actor": "olga", "roles": ["viewer"]})).status_code == 403
    assert (await http.post("/v1/api-keys", json={"name": "k", "actor": "robot", "roles": ["viewer"]})).status_code == 201
    assert (await http.put("/v1/me/password", json={"old": "a", "new": "b"})).status_code == 403


async def test_tenants_come_from_the_token_and_no_other_is_seen(world):
    issuer, steady = StubIssuer(lambda: world.clock() / 1e6), Steady()
    _, client = await with_issuers(world, steady, issuer_of(issuer, tenants="tenants"))
    two = world.client(issuer.token(tenants=["acme", "beta"]))
    assert (await two.get("/v1/instances")).status_code == 200 and world.reads.asked[-1][-1] == "acme"
    assert (await two.get("/v1/instances", headers={"x-tenant": "beta"})).status_code == 200 and world.reads.asked[-1][-1] == "beta"
    for operation, method, path, right in everything():
        if right != PUBLIC:
            for http, tenant in (
                (two, "other"),
                (two, ""),
                (world.client(issuer.token()), "acme"),
                (world.client(issuer.token(tenants=[])), None),
            ):
                more = {} if tenant is None else {"x-tenant": tenant}
                said = await http.request(method, path, headers=more, json=None if method in ("GET", "DELETE") else {})
                assert said.status_code == 403, f"{operation}, {tenant!r}: {said.status_code}"
    await client.aclose()
    issuer.close()


async def test_two_issuers_keep_their_names_and_keys_apart(world):
    one, two, steady = StubIssuer(lambda: world.clock() / 1e6), StubIssuer(lambda: world.clock() / 1e6), Steady()
    two.keys = [rsa(3)]
    second = Issuer(name="partner", issuer=two.url, audiences=["partners"], suffix="@partner", roles='["viewer"]')
    _, client = await with_issuers(world, steady, issuer_of(one), second)

    async def name(token: str) -> str | int:
        said = await world.client(token).get("/v1/me")
        return said.json()["name"] if said.status_code == 200 else said.status_code

    assert await name(one.token()) == "olga" and await name(two.token(aud="partners")) == "olga@partner"
    assert await name(one.token(preferred_username="olga@partner")) == 401
    assert await name(two.token()) == 401, "each has audiences of its own"
    assert await name(one.token(rsa(3))) == 401 and await name(two.token(rsa(0), aud="partners")) == 401, "and keys"
    await client.aclose()
    one.close()
    two.close()


async def test_more_tokens_than_are_remembered_are_verified_again(oidc, monkeypatch):
    monkeypatch.setattr("flowledger.api.access.tokens.TOKENS_MAX", 3)
    made = [oidc.issuer.token() for _ in range(5)]
    for token in made:
        assert await oidc.status(token) == 200
    assert len(oidc.tokens._good) == 3 < TOKENS_MAX
    assert await oidc.status(made[0]) == 200


async def test_a_mapping_has_few_steps(world):
    issuer, steady = StubIssuer(lambda: world.clock() / 1e6), Steady()
    _, client = await with_issuers(world, steady, issuer_of(issuer, groups="for x in groups, y in groups, z in groups return x + y + z"))
    assert (await world.client(issuer.token(groups=["a"])).get("/v1/me")).status_code == 200
    said = await world.client(issuer.token(groups=[str(n) for n in range(200)])).get("/v1/me")
    assert said.status_code == 401 and "steps" in said.json()["detail"]
    await client.aclose()
    issuer.close()


async def test_a_unary_call_and_a_stream_are_looked_at_alike(oidc):
    metadata = {"authorization": f"Bearer {oidc.issuer.token(aud='billing')}"}
    assert await oidc.status(oidc.issuer.token()) == 200
    for method in METHODS.values():
        if GRPC[method.name] != PUBLIC:
            with pytest.raises(Refused) as e:
                if method.unary:
                    await oidc.gateway.unary(method, method.request_type(), metadata, Connection(""))
                else:
                    await oidc.gateway.stream(method, method.request_type(), metadata, Connection(""), None)  # type: ignore[arg-type]
            assert e.value.status == UNAUTHENTICATED, method.name


async def test_zeebe_s_clients_use_their_own_oauth_settings(oidc, tmp_path, monkeypatch):
    """The client asks the issuer by its client credentials, and for another token when that has expired."""
    from pyzeebe import ZeebeClient, create_oauth2_client_credentials_channel

    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # the issuer here has no TLS; the gateway has
    cert, key = Authority(tmp_path, "house").issue("gateway")
    tls = server_tls.server_tls(Settings(roles=("grpc",), grpc_cert_file=str(cert), grpc_key_file=str(key)), "grpc")
    await oidc.tokens.issuers[0].ask()  # as a server does at its start
    server = await listen(oidc.gateway, "localhost", 0, tls=tls)
    channels = []
    try:
        for secret in ("worker-secret", "wrong"):
            channel = create_oauth2_client_credentials_channel(
                f"localhost:{server.port}", "worker", secret, f"{oidc.issuer.url}/token", audience="zeebe-api",
                channel_credentials=grpc.ssl_channel_credentials((tmp_path / "house.pem").read_bytes()),
            )  # fmt: skip
            channels.append(channel)
            client = ZeebeClient(channel, max_connection_retries=1)
            if secret == "wrong":
                with pytest.raises(Exception, match=r"(?i)unauthenticated|unavailable|invalid_client|plugin"):
                    await client.topology()
                continue
            assert (await client.topology()).partitions_count == oidc.world.ledger.partitions
            oidc.world.ledger.answers["PublishMessage"] = {"key": 7, "position": ""}
            await client.publish_message("paid", "key")
            command, caller, _ = oidc.world.ledger.calls[-1]
            assert (type(command).__name__, caller.actor) == ("PublishMessage", "service-worker")
        assert oidc.issuer.asked.count("/token") == 2
    finally:
        for channel in channels:
            await channel.close()
        await server.close()
