"""Passkeys: added, signed in with, removed; and what takes a fresh proof by one. With an authenticator in software that can be told to get things wrong."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx2
import psycopg
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import base64url_to_bytes, decode_credential_public_key, decoded_public_key_to_cryptography

from flowledger.api import approvals
from flowledger.api.access import passkeys as passkeys_of
from flowledger.events.base import Rejected
from flowledger.infra.accounts import challenges as challenges_of
from flowledger.infra.accounts import passkeys as pk
from flowledger.infra.settings import Settings, SettingsError
from flowledger.signin import check
from tests.signin.authenticator import ORIGIN, Authenticator
from tests.signin.conftest import PASSWORD, World
from tests.signin.test_sign_in_rates import limited

pytestmark = [pytest.mark.postgres, pytest.mark.req("APG-DIF-007")]


def named(http: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """Passkeys are for names."""
    http.base_url = ORIGIN  # type: ignore[assignment]
    return http


async def person(world: World, name: str, *roles: str) -> httpx2.AsyncClient:
    http = await world.user(name, *roles)
    token = http.cookies["flowledger_session"]
    http.cookies.clear()
    http.headers["cookie"] = f"flowledger_session={token}"
    return named(http)


async def added(http: httpx2.AsyncClient, key: Authenticator, title: str = "laptop", **wrong: Any) -> Any:
    begun = await http.post("/v1/me/passkeys/options", json={"password": PASSWORD})
    assert begun.status_code == 200, begun.text
    asked = begun.json()
    answer = {"id": asked["id"], "title": title, "credential": key.create(asked["public_key"], **wrong)}
    return await http.post("/v1/me/passkeys", json=answer)


async def with_passkey(world: World, name: str = "ann", *roles: str) -> tuple[httpx2.AsyncClient, Authenticator]:
    http, key = await person(world, name, *(roles or ("administrator",))), Authenticator()
    assert (await added(http, key)).status_code == 201
    return http, key


async def signs_in(world: World, key: Authenticator, **wrong: Any) -> Any:
    http = named(world.client())
    asked = (await http.post("/v1/session/passkeys")).json()
    return await http.post("/v1/session/passkey", json={"id": asked["id"], "credential": key.get(asked["public_key"], **wrong)})


@pytest.mark.req("APG-SEC-009")
async def test_an_address_begins_no_more_sign_ins_than_may_fail_and_those_that_end_well_do_not_count(world):
    """What is begun is kept for five minutes, so many of all at most: nobody may push out what others have begun."""
    _, key = await with_passkey(world)
    limited(world, sign_in_failures=3)
    for _ in range(5):
        assert (await signs_in(world, key)).status_code == 200
    http = named(world.client())
    assert [(await http.post("/v1/session/passkeys")).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert (await http.post("/v1/session", json={"name": "ann", "password": PASSWORD})).status_code == 200, "what failed is counted apart"


# --- adding, listing, removing ------------------------------------------------------------------------------------------------


async def test_several_are_added_listed_by_name_and_removed(world):
    ann, _ = await with_passkey(world)
    world.clock.passes(1)
    assert (await added(ann, Authenticator(), "key ring")).json()["title"] == "key ring"
    items = (await ann.get("/v1/me/passkeys")).json()["items"]
    assert [(i["title"], i["site"], i["used_at"]) for i in items] == [("laptop", "localhost", None), ("key ring", "localhost", None)]
    told = [v for _, name, v in world.ledger.told() if name == "user:ann" and "passkey" in v["change"]]
    assert [(v["change"], v["title"], v["credential"]) for v in told] == [("passkey added", i["title"], i["id"]) for i in items]
    assert (await ann.delete(f"/v1/me/passkeys/{items[0]['id']}")).status_code == 200
    assert (await ann.delete(f"/v1/me/passkeys/{items[0]['id']}")).status_code == 404
    assert [i["title"] for i in (await ann.get("/v1/me/passkeys")).json()["items"]] == ["key ring"]
    assert world.ledger.told()[-1][2] == {"change": "passkey removed", "credential": items[0]["id"]}


async def test_nobody_sees_or_removes_another_s(world):
    ann, _ = await with_passkey(world)
    bob = await person(world, "bob", "administrator")
    [item] = (await ann.get("/v1/me/passkeys")).json()["items"]
    assert (await bob.get("/v1/me/passkeys")).json()["items"] == []
    assert (await bob.delete(f"/v1/me/passkeys/{item['id']}")).status_code == 404


async def test_a_session_alone_adds_none_and_an_api_key_neither(world):
    ann = await person(world, "ann", "viewer")
    for wrong in ({}, {"password": "not the password"}):
        said = await ann.post("/v1/me/passkeys/options", json=wrong)
        assert (said.status_code, said.json()["code"]) == (403, "FORBIDDEN"), said.text
    key = (await ann.post("/v1/api-keys", json={"name": "k", "roles": ["viewer"]})).json()["key"]
    said = await named(world.client(key)).post("/v1/me/passkeys/options", json={"password": PASSWORD})
    assert said.status_code == 403 and "in a browser" in said.json()["detail"]


async def test_who_has_one_adds_another_by_showing_it(world):
    ann, key = await with_passkey(world)
    said = await ann.post("/v1/me/passkeys/options", json={})
    assert (said.status_code, said.json()["code"]) == (403, "STEP_UP_NEEDED")
    id = await shown(ann, said, key)
    begun = await ann.post("/v1/me/passkeys/options", json={}, headers={"x-step-up": id})
    assert begun.status_code == 200, begun.text
    options = begun.json()["public_key"]
    assert [c["id"] for c in options["excludeCredentials"]] == [(await ann.get("/v1/me/passkeys")).json()["items"][0]["id"]]
    assert options["authenticatorSelection"]["userVerification"] == "required"


WRONG_MAKING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another origin": ({"origin": "http://evil.example"}, {}), "another port": ({"origin": "http://localhost:9999"}, {}),
    "another challenge": ({}, {"challenge": "AAAA"}), "for another server": ({}, {"rp_id": "evil.example"}), "nobody was verified": ({"verifies": False}, {}),
    "an answer to another question": ({}, {"type": "webauthn.get"}),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_MAKING)
async def test_what_does_not_fit_is_not_added(world, wrong):
    ann = await person(world, "ann", "viewer")
    how, what = WRONG_MAKING[wrong]
    said = await added(ann, Authenticator(**how), **what)
    assert (said.status_code, said.json()["code"]) == (422, "INVALID_ARGUMENT"), said.text
    assert (await ann.get("/v1/me/passkeys")).json()["items"] == []


GARBAGE: list[Any] = [
    {}, {"id": "x"}, {"id": 7, "rawId": 7, "type": "public-key", "response": {}}, {"response": []}, {"id": "é", "rawId": "é", "type": "public-key", "response": {}},
    {"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": "AA", "attestationObject": "AA"}},
    {"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": "e30", "attestationObject": "oA"}},
    {"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": "A" * 8_001, "attestationObject": "AA"}},
    {"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": 5, "attestationObject": {}}},
    {"id": "A\0A", "rawId": "A\0A", "type": "public-key", "response": {}},
]  # fmt: skip


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_is_refused_in_words(world, garbage):
    ann, _ = await with_passkey(world)
    asked = (await ann.post("/v1/me/passkeys/options", json={"password": PASSWORD})).json()
    said = await ann.post("/v1/me/passkeys", json={"id": asked["id"], "title": "t", "credential": garbage})
    assert said.status_code in (400, 422), said.text
    challenge = (await named(world.client()).post("/v1/session/passkeys")).json()
    said = await named(world.client()).post("/v1/session/passkey", json={"id": challenge["id"], "credential": garbage})
    assert said.status_code in (400, 401), said.text


async def test_what_the_library_passes_over_is_no_defect_of_ours(world):
    """Letters that are no base64url, and transports that are no texts."""
    ann, key = await person(world, "ann", "viewer"), Authenticator()
    asked = (await ann.post("/v1/me/passkeys/options", json={"password": PASSWORD})).json()
    credential = key.create(asked["public_key"])
    credential["response"]["transports"] = [[], "usb", {}, "none"]
    made = await ann.post("/v1/me/passkeys", json={"id": asked["id"], "title": "t", "credential": credential})
    assert made.status_code == 201, made.text
    http = named(world.client())
    asked = (await http.post("/v1/session/passkeys")).json()
    credential = key.get(asked["public_key"])
    credential["response"]["signature"] = "\0" + credential["response"]["signature"]
    assert (await http.post("/v1/session/passkey", json={"id": asked["id"], "credential": credential})).status_code == 401


async def test_a_challenge_is_good_once_for_one_person_one_purpose_and_five_minutes(world):
    ann, bob, key = await person(world, "ann", "viewer"), await person(world, "bob", "viewer"), Authenticator()
    asked = (await ann.post("/v1/me/passkeys/options", json={"password": PASSWORD})).json()
    answer = {"id": asked["id"], "title": "t", "credential": key.create(asked["public_key"])}
    assert (await bob.post("/v1/me/passkeys", json=answer)).status_code == 400, "another person's"
    assert (await ann.post("/v1/me/passkeys", json=answer)).status_code == 400, "and it was used up by the attempt"
    asked = (await ann.post("/v1/me/passkeys/options", json={"password": PASSWORD})).json()
    answer = {"id": asked["id"], "title": "t", "credential": key.create(asked["public_key"])}
    said = await named(world.client()).post("/v1/session/passkey", json={"id": asked["id"], "credential": answer["credential"]})
    assert said.status_code == 401, "it is for adding"
    world.clock.passes(pk.CHALLENGE_S)
    assert (await ann.post("/v1/me/passkeys", json=answer)).status_code == 400, "late"
    asked = (await ann.post("/v1/me/passkeys/options", json={"password": PASSWORD})).json()
    world.clock.passes(pk.CHALLENGE_S - 1)
    answer = {"id": asked["id"], "title": "t", "credential": key.create(asked["public_key"])}
    assert (await ann.post("/v1/me/passkeys", json=answer)).status_code == 201, "in time"


async def test_there_is_a_most_of_one_person(world, monkeypatch):
    monkeypatch.setattr(passkeys_of, "PASSKEYS_MAX", 2)
    ann, _ = await with_passkey(world)
    begun = (await ann.post("/v1/me/passkeys/options", json={"password": PASSWORD})).json()
    assert (await added(ann, Authenticator())).status_code == 201
    third = Authenticator().create(begun["public_key"])
    assert (await ann.post("/v1/me/passkeys", json={"id": begun["id"], "title": "t", "credential": third})).status_code == 429
    assert (await ann.post("/v1/me/passkeys/options", json={"password": PASSWORD})).status_code == 429


async def test_an_address_of_numbers_has_none_and_the_answer_says_what_to_open(world):
    ann = await world.user("ann", "viewer")
    said = await ann.post("/v1/me/passkeys/options", json={"password": PASSWORD})
    assert said.status_code == 409 and "http://localhost" in said.json()["detail"]


# --- signing in ----------------------------------------------------------------------------------------------------------------


async def test_somebody_signs_in_by_it(world):
    ann, key = await with_passkey(world)
    said = await signs_in(world, key)
    assert said.status_code == 200 and said.json()["name"] == "ann", said.text
    assert "httponly" in said.headers["set-cookie"].lower()
    assert (await ann.get("/v1/me/passkeys")).json()["items"][0]["used_at"]


@pytest.mark.parametrize(
    "wrong", [{"origin": "http://evil.example"}, {"challenge": "AAAA"}, {"rp_id": "evil.example"}, {"type": "webauthn.create"}]
)
async def test_what_does_not_fit_signs_nobody_in(world, wrong):
    _, key = await with_passkey(world)
    assert (await signs_in(world, key, **wrong)).status_code == 401
    assert (await signs_in(world, key)).status_code == 200


async def test_without_verification_a_replay_a_copy_and_a_stranger_sign_nobody_in(world):
    ann, key = await with_passkey(world)
    key.verifies = False
    assert (await signs_in(world, key)).status_code == 401, "whoever holds it has not shown who they are"
    key.verifies = True
    http = named(world.client())
    asked = (await http.post("/v1/session/passkeys")).json()
    answer = {"id": asked["id"], "credential": key.get(asked["public_key"])}
    assert (await http.post("/v1/session/passkey", json=answer)).status_code == 200
    assert (await named(world.client()).post("/v1/session/passkey", json=answer)).status_code == 401, "replayed"
    key.count = 0
    assert (await signs_in(world, key)).status_code == 401, "its count of signatures went back: there are two of it"
    assert (await signs_in(world, Authenticator())).status_code == 401
    key.count = 50
    stranger = Authenticator()
    stranger.id = key.id
    assert (await signs_in(world, stranger)).status_code == 401, "the id alone is nothing"


async def test_one_that_was_removed_and_one_of_a_suspended_user_sign_nobody_in(world):
    ann, key = await with_passkey(world)
    bob, other = await with_passkey(world, "bob", "viewer")
    [item] = (await bob.get("/v1/me/passkeys")).json()["items"]
    await bob.delete(f"/v1/me/passkeys/{item['id']}")
    assert (await signs_in(world, other)).status_code == 401
    eve, third = await with_passkey(world, "eve", "viewer")
    assert (await ann.patch("/v1/users/eve", json={"active": False})).status_code == 200
    assert (await signs_in(world, third)).status_code == 401


async def test_a_reset_and_a_removal_of_a_user_take_the_passkeys_along(world):
    ann, _ = await with_passkey(world)
    _, key = await with_passkey(world, "bob", "viewer")
    assert (await ann.post("/v1/users/bob/reset")).status_code == 200
    assert (await signs_in(world, key)).status_code == 401
    _, key = await with_passkey(world, "eve", "viewer")
    assert (await ann.delete("/v1/users/eve")).status_code == 200
    await person(world, "eve", "viewer")
    assert (await signs_in(world, key)).status_code == 401, "a new one of that name doesn't get them"


async def test_sign_ins_that_were_begun_do_not_pile_up(world, monkeypatch):
    monkeypatch.setattr(challenges_of, "SIGN_INS_MAX", 3)
    http = named(world.client())
    for _ in range(5):
        world.clock.passes(1)
        await http.post("/v1/session/passkeys")
    assert len(await world.store.rows("SELECT 1 FROM challenges")) == 3


# --- step-up -------------------------------------------------------------------------------------------------------------------


async def shown(http: httpx2.AsyncClient, said: Any, key: Authenticator, **wrong: Any) -> str:
    asked = said.json()["step_up"]
    answer = await http.post(f"/v1/step-ups/{asked['id']}", json={"credential": key.get(asked["public_key"], **wrong)})
    assert answer.status_code == 200, answer.text
    return str(asked["id"])


@pytest.fixture
def marked(world: World):
    """`POST /v1/messages` takes a proof."""
    services = world.app.state["services"]
    services.settings = services.settings.model_copy(update={"step_up": ("publish_message",)})
    return world


PAID = {"name": "paid", "variables": {"amount": 12}}


def sent(world: World) -> list[Any]:
    return [(c, caller) for c, caller, _ in world.ledger.calls if type(c).__name__ == "PublishMessage"]


async def test_an_operation_takes_a_proof_which_stands_on_the_ledger_and_anybody_can_check(marked):
    ann, key = await with_passkey(marked)
    said = await ann.post("/v1/messages", json=PAID)
    problem = said.json()
    assert (said.status_code, problem["code"]) == (403, "STEP_UP_NEEDED") and "X-Step-Up" in problem["detail"]
    assert problem["step_up"]["public_key"]["userVerification"] == "required" and not sent(marked)
    waiting = (await ann.get(f"/v1/step-ups/{problem['step_up']['id']}")).json()
    assert (waiting["operation"], waiting["path"], waiting["proven"]) == ("publish_message", "POST /v1/messages", False)
    id = await shown(ann, said, key)
    assert (await ann.post("/v1/messages", json=PAID, headers={"x-step-up": id})).status_code < 300
    [(_, caller)] = sent(marked)
    proof = caller.origin.proof
    assert (proof.actor, proof.at_us) == ("ann", marked.clock())
    # an auditor has the event, and the public key from the event that told of the passkey
    [told] = [v for _, name, v in marked.ledger.told() if v.get("credential") == proof.credential]
    request = hashlib.sha256(b"\nPOST\n/v1/messages\n\n" + ann.build_request("POST", "/v1/messages", json=PAID).content).digest()
    assert proof.request == request.hex(), "it is the hash of what was asked"
    client = base64url_to_bytes(proof.client)
    challenge = hashlib.sha256(bytes.fromhex(proof.nonce) + request).digest()
    assert base64url_to_bytes(__import__("json").loads(client)["challenge"]) == challenge
    public = decoded_public_key_to_cryptography(decode_credential_public_key(base64url_to_bytes(told["public_key"])))
    signed = base64url_to_bytes(proof.authenticator) + hashlib.sha256(client).digest()
    public.verify(base64url_to_bytes(proof.signature), signed, ec.ECDSA(hashes.SHA256()))  # type: ignore[union-attr,call-arg]


async def test_a_removal_takes_a_proof_where_it_is_named(world):
    services = world.app.state["services"]
    approvals.check(approvals.names_of(world.app.routes), ("remove_passkey",), "step_up")
    services.settings = services.settings.model_copy(update={"step_up": ("remove_passkey",)})
    ann, key = await with_passkey(world)
    [item] = (await ann.get("/v1/me/passkeys")).json()["items"]
    said = await ann.delete(f"/v1/me/passkeys/{item['id']}")
    assert (said.status_code, said.json()["code"]) == (403, "STEP_UP_NEEDED"), said.text
    id = await shown(ann, said, key)
    assert (await ann.delete(f"/v1/me/passkeys/{item['id']}", headers={"x-step-up": id})).status_code == 200
    assert (await ann.get("/v1/me/passkeys")).json()["items"] == []


async def test_a_proof_is_for_one_request_once(marked):
    ann, key = await with_passkey(marked)
    await ann.patch("/v1/users/ann", json={"tenants": ["", "acme"]})
    id = await shown(ann, await ann.post("/v1/messages", json=PAID), key)
    head = {"x-step-up": id}
    for wrong in (
        await ann.post("/v1/messages", json={**PAID, "name": "other"}, headers=head), await ann.post("/v1/signals", json={"name": "s"}, headers=head),
        await ann.post("/v1/messages", json=PAID, headers={**head, "x-tenant": "acme"}),
    ):  # fmt: skip
        assert (wrong.status_code, wrong.json()["code"]) == (403, "STEP_UP_FAILED"), wrong.text
    bob, _ = await with_passkey(marked, "bob")
    assert (await bob.post("/v1/messages", json=PAID, headers=head)).json()["code"] == "STEP_UP_FAILED", "another person's"
    assert not sent(marked)
    assert (await ann.post("/v1/messages", json=PAID, headers=head)).status_code < 300
    assert (await ann.post("/v1/messages", json=PAID, headers=head)).json()["code"] == "STEP_UP_FAILED", "used"
    assert len(sent(marked)) == 1


async def test_the_same_request_once_more_by_its_id_is_the_same_one(marked):
    ann, key = await with_passkey(marked)
    id = await shown(ann, await ann.post("/v1/messages", json=PAID), key)
    head = {"x-step-up": id, "idempotency-key": "k1"}
    for _ in range(2):
        said = await ann.post("/v1/messages", json=PAID, headers=head)
        assert said.status_code < 300, said.text
    assert [k for _, _, k in marked.ledger.calls if k and "k1" in str(k)], "the engine knows it again by its id"
    assert (await ann.post("/v1/messages", json=PAID, headers={**head, "idempotency-key": "k2"})).json()["code"] == "STEP_UP_FAILED"


async def test_what_is_wrong_with_an_answer_is_said_and_nothing_is_done(marked):
    ann, key = await with_passkey(marked)
    _, other = await with_passkey(marked, "bob")

    async def answered(answer: Any) -> Any:
        return await ann.post(f"/v1/step-ups/{asked['id']}", json={"credential": answer})

    asked = (await ann.post("/v1/messages", json=PAID)).json()["step_up"]
    options = asked["public_key"]
    key.verifies = False
    unverified = key.get(options)
    key.verifies = True
    for wrong in (
        key.get(options, origin="http://evil.example"), key.get(options, challenge="AAAA"), key.get(options, rp_id="evil.example"), unverified, other.get(options),
        Authenticator().get(options), *GARBAGE,
    ):  # fmt: skip
        said = await answered(wrong)
        assert (said.status_code, said.json()["code"]) == (403, "STEP_UP_FAILED"), said.text
    assert (await ann.post("/v1/messages", json=PAID, headers={"x-step-up": asked["id"]})).json()["code"] == "STEP_UP_FAILED", "not signed"
    key.count = 100
    good = key.get(options)
    assert (await answered(good)).status_code == 200
    assert (await answered(key.get(options))).json()["code"] == "STEP_UP_FAILED", "signed once"
    marked.clock.passes(pk.CHALLENGE_S)
    late = await ann.post("/v1/messages", json=PAID, headers={"x-step-up": asked["id"]})
    assert late.json()["code"] == "STEP_UP_FAILED" and "five minutes" in late.json()["detail"] and not sent(marked)


async def test_a_passkey_that_was_removed_meanwhile_proves_nothing(marked):
    ann, key = await with_passkey(marked)
    id = await shown(ann, await ann.post("/v1/messages", json=PAID), key)
    [item] = (await ann.get("/v1/me/passkeys")).json()["items"]
    await ann.delete(f"/v1/me/passkeys/{item['id']}")
    said = await ann.post("/v1/messages", json=PAID, headers={"x-step-up": id})
    assert said.json()["code"] == "STEP_UP_FAILED" and "removed" in said.json()["detail"]
    said = await ann.post("/v1/messages", json=PAID)
    assert said.json()["code"] == "STEP_UP_NEEDED" and "/account" in said.json()["detail"] and "step_up" not in said.json()


async def test_who_asks_by_a_key_of_their_own_shows_it_in_a_browser_and_a_program_never(marked):
    ann, key = await with_passkey(marked)
    own = (await ann.post("/v1/api-keys", json={"name": "cli", "roles": ["administrator"]})).json()["key"]
    cli = marked.client(own)  # by the address: browsers have no passkeys for it, so it is told where to go
    said = await cli.post("/v1/messages", json=PAID)
    asked = said.json()["step_up"]
    assert "public_key" not in asked and asked["page"] == f"/step-up/{asked['id']}"
    options = (await ann.get(f"/v1/step-ups/{asked['id']}")).json()["public_key"]
    assert (await ann.post(f"/v1/step-ups/{asked['id']}", json={"credential": key.get(options)})).status_code == 200
    assert (await cli.post("/v1/messages", json=PAID, headers={"x-step-up": asked["id"]})).status_code < 300
    robot = (await ann.post("/v1/api-keys", json={"name": "r", "actor": "robot", "roles": ["machine"]})).json()["key"]
    said = await marked.client(robot).post("/v1/messages", json=PAID)
    assert said.status_code == 403 and "robot is a program" in said.json()["detail"]


async def test_nobody_sees_or_signs_the_request_of_another(marked):
    ann, _ = await with_passkey(marked)
    bob, key = await with_passkey(marked, "bob")
    asked = (await ann.post("/v1/messages", json=PAID)).json()["step_up"]
    assert (await bob.get(f"/v1/step-ups/{asked['id']}")).status_code == 404
    assert (await bob.post(f"/v1/step-ups/{asked['id']}", json={"credential": key.get(asked["public_key"])})).status_code == 404
    for id in ("0" * 32, "x", "é", ""):
        assert (await ann.post("/v1/messages", json=PAID, headers={"x-step-up": id.encode()})).json()["code"] == "STEP_UP_FAILED"


async def test_a_database_that_is_away_is_said_so(marked, monkeypatch):
    ann, _ = await with_passkey(marked)
    asked = (await ann.post("/v1/messages", json=PAID)).json()["step_up"]

    async def gone(*_: Any) -> Any:
        raise psycopg.OperationalError("gone")

    monkeypatch.setattr(challenges_of.Challenges, "passkeys", gone)
    said = await ann.get(f"/v1/step-ups/{asked['id']}")
    assert (said.status_code, said.json()["code"]) == (503, "UNAVAILABLE"), said.text


async def test_what_the_kernel_wants_shown_comes_with_a_challenge_and_the_proof_goes_along(world):
    ann, key = await with_passkey(world, "ann", "task-worker")
    world.ledger.answers["CompleteTask"] = Rejected("STEP_UP_NEEDED", "to complete task 7 takes a fresh proof by a passkey, found none")
    path = f"/v1/tasks/{2 << 51 | 7}/complete"
    said = await ann.post(path, json={"variables": {"ok": True}})
    assert (said.status_code, said.json()["code"]) == (403, "STEP_UP_NEEDED") and said.json()["step_up"]["public_key"], said.text
    id = await shown(ann, said, key)
    world.ledger.answers["CompleteTask"] = {"status": "completed", "position": "0-1"}
    assert (await ann.post(path, json={"variables": {"ok": True}}, headers={"x-step-up": id})).status_code == 200
    assert world.ledger.calls[-1][1].origin.proof.actor == "ann"
    world.ledger.answers["CompleteTask"] = Rejected("STEP_UP_NEEDED", "found one that is 900 seconds old")
    id = await shown(ann, await ann.post(path, json={}), key)
    said = await ann.post(path, json={}, headers={"x-step-up": id})
    assert said.json()["code"] == "STEP_UP_NEEDED" and "step_up" not in said.json(), (
        "the ledger doesn't take it: nobody is sent round in circles"
    )


def test_without_sign_in_the_setting_is_an_error_at_the_start():
    with pytest.raises(SettingsError, match="step_up"):
        check(Settings(step_up=("erase_subject",)))


@pytest.mark.parametrize(
    ("base", "id"),
    [
        ("http://localhost:8080", "localhost"), ("https://flow.example.org", "flow.example.org"), ("https://Flow.example.org:8443", "flow.example.org"),
        ("http://127.0.0.1:8080", ""), ("http://[::1]:8080", ""), ("http://", ""),
    ],
)  # fmt: skip
def test_a_passkey_is_for_a_name(base, id):
    if id:
        assert pk.site_of(base) == pk.Site(id, base.lower())
    else:
        with pytest.raises(pk.Bad):
            pk.site_of(base)
