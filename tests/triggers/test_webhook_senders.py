"""By what a webhook knows who sends: signatures as others make them, passwords, tokens; what is old, changed, forged or without a secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from flowledger.api.hooks.sender import Refused, Unusable, known
from flowledger.infra.secrets import Secrets
from flowledger.kernel.model import read
from flowledger.kernel.model.trigger_webhook import SCHEMES

pytestmark = pytest.mark.req("APG-TRG-005")
NOW = 1_614_265_330
REF, OLD = "{{secrets.A}}", "{{secrets.B}}"


class Held:
    name = "held"

    def __init__(self, **values: str) -> None:
        self.values = values

    def get(self, name: str) -> str | None:
        return self.values.get(name)


async def who(authentication: dict[str, Any], headers: dict[str, str], body: bytes = b"", now: float = NOW, **secrets: str) -> Any:
    return await known(authentication, {k.lower(): v for k, v in headers.items()}, body, Secrets([Held(**secrets)]), now)


async def refused(*given: Any, **more: Any) -> str:
    with pytest.raises(Refused) as e:
        await who(*given, **more)
    return str(e.value)


def of(scheme: str, **more: Any) -> dict[str, Any]:
    return {"type": "hmac", "scheme": scheme, "secret": REF, **more}


#: the examples that those who made up the schemes publish, and of two their rule, done by hand
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": str(NOW), "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
}  # fmt: skip
STANDARD_BODY, STANDARD_SECRET = b'{"test": 2432232314}', "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
GITHUB = {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}
GITHUB_BODY, GITHUB_SECRET = b"Hello, World!", "It's a Secret to Everybody"
STRIPE = {
    "Stripe-Signature": f"t={NOW},v1={'0' * 64},v1={hmac.new(b'whsec_abc', f'{NOW}.{{}}'.encode(), hashlib.sha256).hexdigest()},v0=aa"
}
SLACK = {
    "X-Slack-Request-Timestamp": str(NOW),
    "X-Slack-Signature": "v0=" + hmac.new(b"slack", f"v0:{NOW}:a=1".encode(), hashlib.sha256).hexdigest(),
}
CASES = [
    ("standard", STANDARD, STANDARD_BODY, STANDARD_SECRET), ("github", GITHUB, GITHUB_BODY, GITHUB_SECRET), ("stripe", STRIPE, b"{}", "whsec_abc"),
    ("slack", SLACK, b"a=1", "slack"),
]  # fmt: skip


@pytest.mark.parametrize(("scheme", "headers", "body", "secret"), CASES)
async def test_signatures_as_others_make_them(scheme, headers, body, secret):
    assert set(SCHEMES) == {c[0] for c in CASES}
    found = await who(of(scheme), headers, body, A=secret)
    assert found.key and SCHEMES[scheme]["header"] in found.hidden
    for n in range(len(body)):
        await refused(of(scheme), headers, body[:n] + bytes([body[n] ^ 1]) + body[n + 1 :], A=secret)
    await refused(of(scheme), headers, body + b" ", A=secret)
    await refused(of(scheme), headers, body, A=secret[:-1] + ("x" if secret[-1] != "x" else "y"))
    for name in headers:
        await refused(of(scheme), {**headers, name: ""}, body, A=secret)
        await refused(of(scheme), {k: v for k, v in headers.items() if k != name}, body, A=secret)
        await refused(of(scheme), {**headers, name: headers[name].replace(str(NOW), str(NOW + 1)) + "x"}, body, A=secret)
    await refused(of(scheme), {**headers, list(headers)[-1]: "é" * 40}, body, A=secret)


@pytest.mark.parametrize("scheme", ["standard", "stripe", "slack"])
async def test_a_time_that_is_too_far_away_is_refused_both_ways(scheme):
    _, headers, body, secret = next(c for c in CASES if c[0] == scheme)
    for shift in (-300, 300):
        assert await who(of(scheme), headers, body, NOW + shift, A=secret)
    for shift in (-301, 301):
        assert "away from ours" in await refused(of(scheme), headers, body, NOW + shift, A=secret)
    assert await who(of(scheme, tolerance="PT1H"), headers, body, NOW + 3_600, A=secret)


async def test_two_secrets_while_one_is_rotated():
    both = of("github", secret=[REF, OLD])
    assert await who(both, GITHUB, GITHUB_BODY, A="the new one", B=GITHUB_SECRET)
    assert await who(both, GITHUB, GITHUB_BODY, A=GITHUB_SECRET, B="the old one")
    await refused(both, GITHUB, GITHUB_BODY, A="the new one", B="the old one")


async def test_signatures_of_ones_own():
    own = {
        "type": "hmac", "secret": REF, "header": "X-Sig", "algorithm": "sha512", "encoding": "base64", "timestamp": "X-At", "signed": "{timestamp}|{body}",
        "key_in": "hex",
    }  # fmt: skip
    body = b"{body}{timestamp}\xff"
    digest = base64.b64encode(hmac.digest(b"abcd", f"{NOW * 1000}|".encode() + body, "sha512")).decode()
    assert await who(own, {"X-Sig": digest, "X-At": str(NOW * 1000)}, body, A=b"abcd".hex())
    with pytest.raises(Unusable):
        await who(own, {"X-Sig": digest, "X-At": str(NOW * 1000)}, body, A="not in hexadecimal")


async def test_the_same_signed_request_has_the_same_key_and_another_another():
    first, again = [await who(of("github"), GITHUB, GITHUB_BODY, A=GITHUB_SECRET) for _ in range(2)]
    assert first.key == again.key
    assert (await who(of("standard"), STANDARD, STANDARD_BODY, A=STANDARD_SECRET)).key == "webhook-id:msg_p5jXN8AQM9LWM0D4loKWxJek"
    other = {"X-Hub-Signature-256": "sha256=" + hmac.new(GITHUB_SECRET.encode(), b"x", hashlib.sha256).hexdigest()}
    assert (await who(of("github"), other, b"x", A=GITHUB_SECRET)).key != first.key


async def test_too_many_signatures_are_not_looked_at():
    many = {"Stripe-Signature": STRIPE["Stripe-Signature"] + ",v1=00" * 9}
    assert "1 to 10" in await refused(of("stripe"), many, b"{}", A="whsec_abc")


# --- passwords and tokens


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


async def test_basic_and_bearer():
    told = {"type": "basic", "username": "ann", "password": [REF, OLD]}
    assert await who(told, basic("ann:päss:word"), A="päss:word", B="other")
    for wrong in (
        basic("ann:pass"),
        basic("bob:päss:word"),
        basic("ann"),
        {},
        {"authorization": "Basic ???"},
        {"authorization": "Bearer päss"},
    ):
        await refused(told, wrong, A="päss:word", B="other")
    assert await who({"type": "bearer", "token": REF}, {"authorization": "bearer sesame"}, A="sesame")
    assert await who({"type": "bearer", "token": REF, "header": "X-Api-Key"}, {"x-api-key": "sesame"}, A="sesame")
    for wrong in ({}, {"authorization": "sesame"}, {"authorization": "Bearer"}, {"authorization": "Bearer sesam"}, {"x-api-key": "sesame"}):
        await refused({"type": "bearer", "token": REF}, wrong, A="sesame")


async def test_a_secret_that_is_not_there_lets_nobody_in():
    with pytest.raises(Unusable, match="no secret 'A'"):
        await who({"type": "bearer", "token": REF}, {"authorization": "Bearer x"})
    with pytest.raises(Unusable, match="no secret 'B'"):
        await who({"type": "bearer", "token": [REF, OLD]}, {"authorization": "Bearer x"}, A="xxxx")


RSA, OTHER, EC = (
    RSAKey.generate_key(2048, {"kid": "one"}),
    RSAKey.generate_key(2048, {"kid": "one"}),
    ECKey.generate_key("P-256", {"kid": "two"}),
)
SHARED = "s" * 32
JWT = {"type": "jwt", "key": REF, "algorithms": ["RS256", "ES256"], "issuer": "https://issuer.example", "audience": "orders"}
CLAIMS = {"iss": "https://issuer.example", "aud": "orders", "exp": NOW + 60, "sub": "shop", "jti": "n1"}


def token(key: Any = RSA, algorithm: str = "RS256", header: dict[str, Any] | None = None, **claims: Any) -> dict[str, str]:
    told = {k: v for k, v in {**CLAIMS, **claims}.items() if v is not None}
    text = jwt.encode(
        {"alg": algorithm, "kid": key.kid, **(header or {})} if key.kid else {"alg": algorithm}, told, key, algorithms=[algorithm]
    )
    return {"authorization": f"Bearer {text}"}


async def test_tokens():
    public = RSA.as_pem(private=False).decode()
    keys = json.dumps({"keys": [k.as_dict(private=False) for k in (RSA, EC)]})
    assert (await who(JWT, token(), A=public)).claims["sub"] == "shop"
    assert (await who(JWT, token(aud=["x", "orders"]), A=keys)).key == ""
    assert await who(JWT, token(EC, "ES256"), A=keys)
    assert await who({**JWT, "key": [OLD, REF]}, token(), A=public, B=OTHER.as_pem(private=False).decode())
    assert await who({**JWT, "algorithms": "HS256"}, token(OctKey.import_key(SHARED), "HS256"), A=SHARED)
    assert (await who({**JWT, "once": True}, token(), A=public)).key == "jti:n1"
    assert await who(JWT, token(exp=NOW - 29), A=public)
    for wrong in (
        token(OTHER), token(exp=NOW - 31), token(exp=None), token(aud="x"), token(aud=None), token(iss="https://other.example"), token(nbf=NOW + 60), {},
        {"authorization": "Bearer a.b.c"}, {"authorization": "Bearer " + "x" * 20_000}, {"authorization": token()["authorization"] + "A"},
        {"authorization": token()["authorization"].replace("Bearer", "Basic")}, {"authorization": "Bearer é.é.é"},
        {"authorization": "Bearer " + ".".join(["eyJhbGciOiJub25lIn0", token()["authorization"].split(".")[1], ""])},
    ):  # fmt: skip
        await refused(JWT, wrong, A=public)
    await refused({**JWT, "once": True}, token(jti=None), A=public)
    await refused(JWT, token(OctKey.import_key("x" * 32), "HS256"), A=public)


async def test_a_public_key_is_no_shared_secret():
    public = RSA.as_pem(private=False).decode()
    forged = token(OctKey.import_key("x" * 40), "HS256")
    for secret in (public, "short"):
        with pytest.raises(Unusable):
            await who({**JWT, "algorithms": ["HS256"]}, forged, A=secret)
    with pytest.raises(Unusable):
        await who(JWT, token(), A="no key at all")


# --- what is said at deployment

TRIGGER = "format: flowledger/trigger@1\nname: n\nsource:\n  webhook: {CONFIG}\nsignal: {name: s}\n"
HEAD = "path: orders, authentication: "


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("path: orders", "authentication: expected it"),
        ("authentication: {type: none}", "path: expected it"),
        ("path: /orders, authentication: {type: none}", "a path such as"), ("path: a/../b, authentication: {type: none}", "a path such as"),
        ("path: ../b, authentication: {type: none}", "a path such as"), (f"path: {'x' * 201}, authentication: {{type: none}}", "a path such as"),
        (HEAD + "{type: magic}", "none, hmac, basic, bearer, jwt"), (HEAD + "nobody", "an object with the type"),
        (HEAD + "{type: hmac, scheme: github, secret: 'written here'}", "a reference such as"), (HEAD + "{type: hmac, scheme: github}", "secret: it"),
        (HEAD + "{type: hmac, secret: '{{secrets.A}}'}", "a header, or a scheme"),
        (HEAD + "{type: hmac, secret: '{{secrets.A}}', header: X, signed: '{timestamp}'}", "{body} in what is signed"),
        (HEAD + "{type: hmac, secret: '{{secrets.A}}', header: X, timestamp: Y}", "timestamp as a header and"),
        (HEAD + "{type: hmac, secret: '{{secrets.A}}', header: X, signed: '{id}{body}'}", "id as a header and"),
        (HEAD + "{type: hmac, secret: '{{secrets.A}}', scheme: github, tolerance: PT0S}", "PT1S to P1D"),
        (HEAD + "{type: basic, username: 'a:b', password: '{{secrets.A}}'}", "without a colon"),
        (HEAD + "{type: basic, username: a, password: x}", "a reference"), (HEAD + "{type: bearer, token: []}", "1 to 5"),
        (HEAD + "{type: jwt, key: '{{secrets.A}}', algorithms: [none], issuer: i, audience: a}", "one of RS256"),
        (HEAD + "{type: jwt, key: '{{secrets.A}}', algorithms: [RS256, HS256], issuer: i, audience: a}", "of one kind"),
        (HEAD + "{type: jwt, key: '{{secrets.A}}', algorithms: [RS256], issuer: i}", "audience: it"),
        (HEAD + "{type: none, secret: x}", "one of type"), (HEAD + "{type: none}, bytes: 1048577", "1 to 1048576"),
        (HEAD + "{type: none}, rate: 0", "a whole number"), (HEAD + "{type: none}, body: xml", "auto, json, form, text"),
        (HEAD + "{type: none}, id: 'a b'", "the name of a header"), (HEAD + "{type: none}, colour: red", "one of path"),
        (HEAD + "{type: hmac, scheme: stripe, secret: '{{secrets.A}}'}, id: X-Delivery", "would let the same come again"),
        (HEAD + "{type: jwt, key: '{{secrets.A}}', algorithms: ES256, issuer: i, audience: a, once: true}, id: X", "would let the same come again"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_a_finding(config, words):
    _, found = read(TRIGGER.replace("CONFIG", config).encode(), "n.trigger.yaml")
    assert [f.code for f in found] == ["TRIGGER_SOURCE"] and words in found[0].message, found
    assert found[0].line == 4


def test_right_ones_have_none():
    for each in (
        "{type: hmac, scheme: standard, secret: ['{{secrets.A}}', '{{ secrets.B }}']}", "{type: none}, bytes: 1048576, rate: 100000",
        "{type: hmac, scheme: github, secret: '{{secrets.A}}'}, id: X-GitHub-Delivery",
        "{type: hmac, scheme: stripe, secret: '{{secrets.A}}', tolerance: PT10M}", "{type: bearer, token: '{{secrets.A}}', header: X-Api-Key}",
    ):  # fmt: skip
        _, found = read(TRIGGER.replace("CONFIG", HEAD + each).encode(), "n.trigger.yaml")
        assert not found, found


def test_a_key_is_remembered_for_as_long_as_its_signature_is_good():
    text = TRIGGER.replace("CONFIG", HEAD + "{type: hmac, scheme: slack, secret: '{{secrets.A}}'}")
    for lifetime, wrong in (("PT599S", True), ("PT600S", False)):
        _, found = read(f"{text}key_lifetime: {lifetime}\n".encode(), "n.trigger.yaml")
        assert [f.code for f in found] == ["TRIGGER_FIELD"] * wrong, found
        assert not wrong or ("PT600S" in found[0].message and found[0].line == 6)
