"""Users, passwords, sessions and API keys: what is let in, what isn't, at the edges; and that no secret leaves."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowledger.api.access import changes, known
from flowledger.api.access.changes import ATTEMPTS_MAX, LINK_S, LOCKED_S, SESSIONS_MAX
from flowledger.api.access.door import Door, bearer, session_of
from flowledger.api.guard import Guard
from flowledger.infra.accounts import secrets
from flowledger.infra.accounts.secrets import PASSWORD_MAX, Busy, Passwords
from flowledger.infra.accounts.store import Store
from flowledger.infra.settings import Settings
from flowledger.processors.client import Unauthenticated
from tests.signin.conftest import PASSWORD

pytestmark = [pytest.mark.postgres, pytest.mark.req("APG-SEC-009")]


async def sign_in(world, name: str, password: str):
    return await world.client().post("/v1/session", json={"name": name, "password": password})


# --- the first administrator, links, passwords ----------------------------------------------------------------------------


async def test_the_first_administrator_comes_by_a_link_that_is_good_once(world):
    name, link = await world.accounts.first()
    again = (await world.accounts.first())[1]
    assert name == "admin" and link != again, "nobody can sign in yet: the newest link counts"
    http = world.client()
    assert (await http.post("/v1/session/link", json={"link": link, "password": PASSWORD})).status_code == 401
    said = await http.post("/v1/session/link", json={"link": again, "password": PASSWORD})
    assert said.status_code == 200 and said.json()["roles"] == ["administrator"] and said.json()["name"] == "admin"
    assert (await http.get("/v1/users")).status_code == 200, "and is signed in"
    assert (await http.post("/v1/session/link", json={"link": again, "password": PASSWORD})).status_code == 401, "once"
    assert await world.accounts.first() is None, "there is an administrator"
    assert (await sign_in(world, "admin", PASSWORD)).status_code == 200


@pytest.mark.parametrize(("left_s", "status"), [(1, 200), (0, 401)])
async def test_a_link_is_good_for_a_day(world, left_s, status):
    _, link = await world.accounts.first()
    world.clock.passes(LINK_S - left_s)
    assert (await world.client().post("/v1/session/link", json={"link": link, "password": PASSWORD})).status_code == status


@pytest.mark.parametrize(
    ("password", "status"),
    [
        ("abcdefghijk", 422), ("abcdefghijkl", 200), ("ä€😀x" * (PASSWORD_MAX // 4), 200), ("abcde" * 52, 422),
        ("aaaabbbbcccc", 422), ("", 400), ("x" * 1001, 400),
    ],
)  # fmt: skip
async def test_passwords_have_a_length(world, password, status):
    _, link = await world.accounts.first()
    said = await world.client().post("/v1/session/link", json={"link": link, "password": password})
    assert said.status_code == status, said.text
    assert not password or password not in said.text


async def test_a_reset_ends_password_and_sessions_and_lifts_the_lock(world):
    admin, ann = await world.admin(), await world.user("ann", "viewer")
    for _ in range(ATTEMPTS_MAX):
        await sign_in(world, "ann", "wrong wrong wrong")
    link = (await admin.post("/v1/users/ann/reset")).json()["link"]
    assert link.startswith("/sign-in#")
    assert (await ann.get("/v1/me")).status_code == 401 and (await sign_in(world, "ann", PASSWORD)).status_code == 401
    said = await world.client().post("/v1/session/link", json={"link": link.partition("#")[2], "password": "another horse battery"})
    assert said.status_code == 200 and (await sign_in(world, "ann", "another horse battery")).status_code == 200


async def test_one_changes_ones_own_password_and_other_sessions_end(world):
    ann = await world.user("ann", "viewer")
    other = world.client()
    await other.post("/v1/session", json={"name": "ann", "password": PASSWORD})
    assert (await ann.put("/v1/me/password", json={"old": "no no no no no", "new": "another horse battery"})).status_code == 403
    assert (await ann.put("/v1/me/password", json={"old": PASSWORD, "new": "another horse battery"})).status_code == 200
    assert (await ann.get("/v1/me")).status_code == 200 and (await other.get("/v1/me")).status_code == 401
    key = (await ann.post("/v1/api-keys", json={"name": "k", "roles": ["viewer"]})).json()["key"]
    by_key = await world.client(key).put("/v1/me/password", json={"old": PASSWORD, "new": "a third horse battery"})
    assert by_key.status_code == 403, "who has found a key can't take the account over"


# --- lock-out -------------------------------------------------------------------------------------------------------------


async def test_ten_wrong_ones_lock_for_five_minutes_and_nine_do_not(world):
    await world.user("ann", "viewer")
    for _ in range(ATTEMPTS_MAX - 1):
        assert (await sign_in(world, "ann", "wrong wrong wrong")).status_code == 401
    assert (await sign_in(world, "ann", PASSWORD)).status_code == 200, "the tenth is free"
    for _ in range(ATTEMPTS_MAX):
        said = await sign_in(world, "ann", "wrong wrong wrong")
    unknown = await sign_in(world, "nobody", "wrong wrong wrong")
    locked = await sign_in(world, "ann", PASSWORD)
    assert [said.status_code, locked.status_code, unknown.status_code] == [401, 401, 401]
    assert said.json()["detail"] == locked.json()["detail"] == unknown.json()["detail"], "nobody learns who is there, and who is locked"
    world.clock.passes(LOCKED_S - 1)
    assert (await sign_in(world, "ann", PASSWORD)).status_code == 401
    world.clock.passes(1)
    assert (await sign_in(world, "ann", "wrong wrong wrong")).status_code == 401
    assert (await sign_in(world, "ann", PASSWORD)).status_code == 401, "each further wrong one locks again"
    world.clock.passes(LOCKED_S)
    assert (await sign_in(world, "ann", PASSWORD)).status_code == 200


async def test_many_at_once_are_no_more_attempts(world):
    await world.user("ann", "viewer")
    looked = 0
    fits = world.accounts.passwords._fits

    def counting(kept: str, password: str) -> bool:
        nonlocal looked
        looked += kept != world.accounts.passwords._nobodys
        return fits(kept, password)

    world.accounts.passwords._fits = counting
    await asyncio.gather(*(sign_in(world, "ann", f"guess number {n:04}") for n in range(ATTEMPTS_MAX * 3)))
    assert looked == ATTEMPTS_MAX


async def test_hashing_is_bounded_and_beside_the_loop(world):
    passwords, turn = world.accounts.passwords, 0
    waiting = [asyncio.ensure_future(passwords.fits("", f"p{n}")) for n in range(secrets.WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await passwords.fits("", "one more")
    while not all(w.done() for w in waiting):
        turn += 1
        await asyncio.sleep(0)
    assert turn and not any([w.result() for w in waiting])


async def test_the_hash_is_argon2id_as_the_rfc_has_it():
    kept = await Passwords().hash(PASSWORD)
    salts = {re.match(r"\$argon2id\$v=19\$m=65536,t=3,p=4\$([A-Za-z0-9+/]{22})\$", k)[1] for k in (kept, await Passwords().hash(PASSWORD))}  # type: ignore[index]
    assert len(salts) == 2, "16 bytes, and each time others"
    assert (
        await Passwords().fits(kept, PASSWORD) and not await Passwords().fits(kept, PASSWORD + " ") and not await Passwords().fits("x", "x")
    )


# --- sessions -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "only_tls"), [("127.0.0.1:8080", False), ("localhost", False), ("[::1]:8080", False), ("flows.example.org", True)]
)
async def test_the_cookie_s_flags(world, host, only_tls):
    await world.user("ann", "viewer")
    world.app.asgi_handler.hosts = None
    said = await world.client(host=host).post("/v1/session", json={"name": "ann", "password": PASSWORD})
    flags = {part.strip().lower() for part in said.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", "max-age=43200"} <= flags and ("secure" in flags) is only_tls
    assert not any(flag.startswith("domain") for flag in flags)
    name, _, session = said.headers["set-cookie"].partition(";")[0].partition("=")
    assert name == ("__Host-flowledger_session" if only_tls else "flowledger_session")
    assert (await world.client(host=host, cookie=f"{name}={session}").get("/v1/me")).status_code == 200
    if only_tls:  # which another name below the same domain could plant
        assert (await world.client(host=host, cookie=f"flowledger_session={session}").get("/v1/me")).status_code == 401
    assert "no-store" in said.headers["cache-control"]


async def test_what_changes_something_by_a_session_needs_its_token(world):
    ann = await world.user("ann", "operator")
    token = ann.headers.pop("x-csrf-token")
    for wrong in ({}, {"x-csrf-token": ""}, {"x-csrf-token": token[:-1]}, {"x-csrf-token": token + "x"}):
        said = await ann.post("/v1/messages", json={"name": "paid"}, headers=wrong)
        assert said.status_code == 403 and said.json()["code"] == "CSRF"
        assert (await ann.delete("/v1/session", headers=wrong)).status_code == 403
    assert (await ann.get("/v1/instances")).status_code == 200, "reading needs none"
    assert (await ann.post("/v1/messages", json={"name": "paid"}, headers={"x-csrf-token": token})).status_code < 300
    foreign = await ann.post("/v1/messages", json={"name": "paid"}, headers={"x-csrf-token": token, "origin": "https://evil.example"})
    assert foreign.status_code == 403
    bob = await world.user("bob", "operator")
    assert (await ann.post("/v1/messages", json={"name": "paid"}, headers={"x-csrf-token": bob.headers["x-csrf-token"]})).status_code == 403
    form = await world.client().post("/v1/session", content="name=ann", headers={"content-type": "application/x-www-form-urlencoded"})
    assert form.status_code == 415, "no form of another page signs anybody in"


async def test_a_session_is_over_after_idle_time_and_after_its_whole_time(world):
    idle, busy = await world.user("ann", "viewer"), await world.user("bob", "viewer")
    world.clock.passes(29 * 60)
    assert (await busy.get("/v1/me")).status_code == 200
    world.clock.passes(60)
    assert (await idle.get("/v1/me")).status_code == 401 and (await busy.get("/v1/me")).status_code == 200
    for _ in range(12 * 3):
        world.clock.passes(20 * 60)
        said = await busy.get("/v1/me")
    assert said.status_code == 401, "twelve hours are twelve hours"


async def test_sign_out_here_and_everywhere(world):
    ann = await world.user("ann", "viewer")
    others = [world.client() for _ in range(2)]
    for other in others:
        said = await other.post("/v1/session", json={"name": "ann", "password": PASSWORD})
        other.headers["x-csrf-token"] = said.json()["csrf"]
    said = await others[0].delete("/v1/session")
    assert said.status_code == 200 and "max-age=0" in said.headers["set-cookie"].lower()
    assert [(await o.get("/v1/me")).status_code for o in (ann, *others)] == [200, 401, 200]
    assert (await ann.delete("/v1/session", params={"everywhere": "true"})).status_code == 200
    assert [(await o.get("/v1/me")).status_code for o in (ann, *others)] == [401, 401, 401]


async def test_a_session_gets_a_new_id_and_somebody_has_so_many(world):
    ann = await world.user("ann", "viewer")
    planted = world.client(cookie="flowledger_session=planted")
    said = await planted.post("/v1/session", json={"name": "ann", "password": PASSWORD})
    assert "planted" not in said.headers["set-cookie"]
    for _ in range(SESSIONS_MAX):
        world.clock.passes(1)
        await sign_in(world, "ann", PASSWORD)
    rows = await world.store.rows("SELECT count(*) AS n FROM sessions WHERE name = 'ann'")
    assert rows[0]["n"] == SESSIONS_MAX
    await world.known.refresh()
    world.known._sessions.clear()
    world.known._identities.clear()
    assert (await ann.get("/v1/me")).status_code == 401, "the oldest has gone"


# --- users ----------------------------------------------------------------------------------------------------------------


async def test_the_last_administrator_stays_one(world):
    admin = await world.admin()
    for said in (
        await admin.patch("/v1/users/admin", json={"roles": ["viewer"]}), await admin.patch("/v1/users/admin", json={"active": False}),
        await admin.delete("/v1/users/admin"),
    ):  # fmt: skip
        assert said.status_code == 409 and "last administrator" in said.json()["detail"]
    await admin.post("/v1/users", json={"name": "eve", "roles": ["administrator"]})
    assert (await admin.delete("/v1/users/admin")).status_code == 409, "one who has no password yet can't sign in"
    await world.user("bob", "administrator")
    assert (await admin.delete("/v1/users/admin")).status_code == 200 and (await admin.get("/v1/me")).status_code == 401


async def test_a_suspended_user_is_out_with_all_keys_and_fewer_roles_are_fewer_rights(world):
    admin, ann = await world.admin(), await world.user("ann", "operator")
    key = (await ann.post("/v1/api-keys", json={"name": "k", "roles": ["operator"]})).json()["key"]
    by_key = world.client(key)
    assert (await by_key.get("/v1/limits")).status_code == 200
    await admin.patch("/v1/users/ann", json={"roles": ["viewer"]})
    assert [(await h.get("/v1/limits")).status_code for h in (ann, by_key)] == [403, 403]
    assert [(await h.get("/v1/tasks")).status_code for h in (ann, by_key)] == [200, 200]
    await admin.patch("/v1/users/ann", json={"active": False})
    assert [(await h.get("/v1/tasks")).status_code for h in (ann, by_key)] == [401, 401] and (
        await sign_in(world, "ann", PASSWORD)
    ).status_code == 401
    await admin.patch("/v1/users/ann", json={"active": True})
    assert [(await h.get("/v1/tasks")).status_code for h in (ann, by_key)] == [401, 200], "sessions have ended"
    await admin.delete("/v1/users/ann")
    await admin.post("/v1/users", json={"name": "ann", "roles": ["operator"]})
    assert (await by_key.get("/v1/tasks")).status_code == 401, "another one of that name gets no old keys"


@pytest.mark.parametrize("name", ["", "a b", "../x", "a\nb", "a" * 101, "-a", "käthe", "a:b", "a/b"])
async def test_names_are_plain(world, name):
    admin = await world.admin()
    assert (await admin.post("/v1/users", json={"name": name})).status_code == 400


async def test_the_number_of_users_and_keys_is_bounded(world, monkeypatch):
    admin = await world.admin()
    monkeypatch.setattr(changes, "USERS_MAX", 2)
    monkeypatch.setattr(changes, "KEYS_MAX", 1)
    assert [(await admin.post("/v1/users", json={"name": n})).status_code for n in ("a", "b")] == [201, 429]
    assert [(await admin.post("/v1/api-keys", json={"name": "k", "roles": ["viewer"]})).status_code for _ in range(2)] == [201, 429]
    assert (await admin.post("/v1/users", json={"name": "a"})).status_code == 409
    assert (await admin.post("/v1/users", json={"name": "c", "roles": ["king"]})).status_code == 422


# --- API keys ---------------------------------------------------------------------------------------------------------------


async def test_a_key_is_told_once_and_never_does_more_than_who_made_it(world):
    admin, ann = await world.admin(), await world.user("ann", "author")
    made = (await ann.post("/v1/api-keys", json={"name": "mine", "roles": ["author"], "days": 7})).json()
    assert made["key"].startswith(f"flk_{made['id']}_") and len(made["key"]) > 50 and made["actor"] == "ann"
    listed = (await ann.get("/v1/api-keys")).json()["items"]
    assert [k["id"] for k in listed] == [made["id"]] and "key" not in listed[0] and "verifier" not in listed[0]
    more = await ann.post("/v1/api-keys", json={"name": "k", "roles": ["operator"]})
    assert more.status_code == 403 and "lacks" in more.json()["detail"]
    assert (await ann.post("/v1/api-keys", json={"name": "k", "roles": ["author"], "actor": "robot"})).status_code == 403
    assert (await admin.post("/v1/api-keys", json={"name": "k", "roles": ["author"], "actor": "ann"})).status_code == 403, (
        "nobody acts as ann"
    )
    assert (await ann.post("/v1/api-keys", json={"name": "k", "roles": []})).status_code == 422
    assert (await ann.post("/v1/api-keys", json={"name": "k", "roles": ["author"], "days": 367})).status_code == 422
    assert (await ann.delete(f"/v1/api-keys/{made['id']}")).status_code == 200
    bob = await world.user("bob", "viewer")
    theirs = (await admin.post("/v1/api-keys", json={"name": "k", "roles": ["viewer"]})).json()["id"]
    assert (await bob.delete(f"/v1/api-keys/{theirs}")).status_code == 404 and (await bob.get("/v1/api-keys")).json()["items"] == []
    assert {k["id"] for k in (await admin.get("/v1/api-keys")).json()["items"]} == {made["id"], theirs}


async def test_a_key_ends_when_it_expires(world):
    admin = await world.admin()
    key = (await admin.post("/v1/api-keys", json={"name": "k", "roles": ["viewer"], "days": 1})).json()["key"]
    http = world.client(key)
    world.clock.passes(86_400 - 1)
    assert (await http.get("/v1/me")).status_code == 200
    world.clock.passes(1)
    assert (await http.get("/v1/me")).status_code == 401


async def test_when_it_was_used(world):
    admin = await world.admin()
    made = (await admin.post("/v1/api-keys", json={"name": "k", "roles": ["viewer"]})).json()
    world.clock.passes(5)
    await world.client(made["key"]).get("/v1/me")
    await world.known.write_down()
    rows = await world.store.rows("SELECT used_us FROM api_keys")
    assert rows == [{"used_us": world.clock.now}]


async def test_another_node_hears_of_it_by_its_next_look(world, database):
    other_store = Store(database)
    await other_store.open()
    other = known.Known(other_store, world.accounts.settings, world.clock)
    admin = await world.admin()
    made = (await admin.post("/v1/api-keys", json={"name": "k", "roles": ["viewer"]})).json()
    await other.refresh()
    identity = other.of_key(made["key"])
    other.hold(identity)
    await admin.delete(f"/v1/api-keys/{made['id']}")
    assert not identity.ended.is_set() and (await world.client(made["key"]).get("/v1/me")).status_code == 401, "here at once"
    await other.refresh()
    assert identity.ended.is_set(), "a subscription there ends"
    with pytest.raises(known.Problem, match="revoked"):
        other.of_key(made["key"])
    await other_store.close()


async def test_with_the_database_away_the_known_are_known_for_a_while(world, monkeypatch):
    admin = await world.admin()
    key = (await admin.post("/v1/api-keys", json={"name": "k", "roles": ["viewer"]})).json()["key"]
    http = world.client(key)
    assert (await http.get("/v1/me")).status_code == 200
    monkeypatch.setattr(known, "STALE_S", -1.0)
    said = await http.get("/v1/me")
    assert said.status_code == 503 and said.headers["retry-after"] and (await admin.get("/v1/me")).status_code == 503


# --- the ledger, and what must not leave ------------------------------------------------------------------------------------


async def test_what_the_ledger_does_not_take_has_not_happened(world):
    admin = await world.admin()
    made = (await admin.post("/v1/api-keys", json={"name": "k", "roles": ["viewer"]})).json()
    world.ledger.takes_nothing()
    assert (await admin.post("/v1/users", json={"name": "bob"})).status_code == 503
    assert (await admin.post("/v1/api-keys", json={"name": "k2", "roles": ["viewer"]})).status_code == 503
    assert (await admin.delete(f"/v1/api-keys/{made['id']}")).status_code == 503
    await world.known.refresh()
    assert (
        set(world.known.users) == {"admin"}
        and len(world.known.keys) == 1
        and (await world.client(made["key"]).get("/v1/me")).status_code == 200
    )


async def test_the_ledger_says_who_did_what_and_holds_no_secret(world):
    admin, ann = await world.admin(), await world.user("ann", "viewer")
    key = (await ann.post("/v1/api-keys", json={"name": "k", "roles": ["viewer"]})).json()
    await admin.delete(f"/v1/api-keys/{key['id']}")
    link = (await admin.post("/v1/users/ann/reset")).json()["link"].partition("#")[2]
    told = [(actor, name.partition(":")[0], value["change"]) for actor, name, value in world.ledger.told()]
    assert told == [
        ("flowledger", "user", "made"), ("admin", "user", "password chosen"), ("admin", "user", "made"), ("ann", "user", "password chosen"),
        ("ann", "api-key", "made"), ("admin", "api-key", "revoked"), ("admin", "user", "reset"),
    ]  # fmt: skip
    text = json.dumps([v for *_, v in world.ledger.told()])
    kept = await world.store.rows("SELECT password, encode(link, 'hex') AS link FROM users")
    verifiers = await world.store.rows("SELECT encode(verifier, 'hex') AS v FROM api_keys")
    secrets_ = [PASSWORD, key["key"], link, ann.cookies["flowledger_session"], "argon2", *(v["v"] for v in verifiers)]
    assert all(s and s not in text for s in secrets_)
    database = json.dumps([*kept, *verifiers])
    assert all(s not in database for s in (PASSWORD, key["key"], link)), "nor does the database hold what opens a door"


async def test_nothing_secret_is_logged_or_said_back(world, capfd):
    admin, ann = await world.admin(), await world.user("ann", "viewer")
    key = (await ann.post("/v1/api-keys", json={"name": "k", "roles": ["viewer"]})).json()["key"]
    wrong = "a wrong password, mistyped"
    refused = [
        await sign_in(world, "ann", wrong), await world.client(key + "x").get("/v1/me"), await world.client(cookie="flowledger_session=zzz").get("/v1/me"),
        await world.client().post("/v1/session/link", json={"link": "not a good link", "password": wrong}),
        await admin.put("/v1/me/password", json={"old": wrong, "new": PASSWORD}),
        await world.client().post("/v1/session", json={"name": "ann", "password": [wrong]}),
    ]  # fmt: skip
    out = capfd.readouterr()
    for text in (*(r.text for r in refused[:5]), out.out, out.err):
        assert not any(s in text for s in (PASSWORD, wrong, key, "zzz", "not a good link", ann.cookies["flowledger_session"]))
    assert [r.status_code for r in refused] == [401, 401, 401, 401, 403, 400]


@pytest.mark.parametrize(
    "header",
    [
        "Bearer", "Bearer ", "bearer  ", "Bearer \x7f", "Bearer " + "a" * 201, "Bearer " + "a" * 20_000, "Bearer é", "Bearer a b", "Digest x", "flk_x", "",
        "Bearer flk_", "Bearer flk_0000000000000000_" + "A" * 43, "Bearer null", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
    ],
)  # fmt: skip
async def test_odd_headers_are_refused_plainly(world, header):
    await world.admin()
    said = await world.client().get("/v1/me", headers={"authorization": header.encode("latin-1")})  # type: ignore[dict-item]
    assert said.status_code == 401 and said.json()["code"] == "UNAUTHENTICATED"
    for cookie in (
        header,
        f"flowledger_session={header}",
        "flowledger_session",
        'flowledger_session="',
        "; flowledger_session=;;",
        "$Version=1",
    ):
        said = await world.client().get("/v1/me", headers={"cookie": cookie.encode("latin-1")})  # type: ignore[dict-item]
        assert said.status_code == 401, cookie
    said = await world.client().get("/v1/me", headers=[("authorization", "Bearer a"), ("authorization", "Bearer b")])
    assert said.status_code == 400, "which of the two counts, nobody can tell"


@given(
    st.text(),
    st.sampled_from(["Bearer {}", "{}", "bearer\t{}", "Bearer flk_{}", "Bearer  {} "]),
    st.text(alphabet='=;", flowedgr_sin', max_size=60),
)
def test_made_up_headers_are_refused_and_nothing_else_happens(text, form, cookie):
    """Any text as a header of HTTP or gRPC: not known, never an error of another kind."""
    door = Door(known.Known(None, Settings(auth="local")), Settings(auth="local"))  # type: ignore[arg-type]
    door.known._checked = float("inf")
    given_ = form.format(text)
    with pytest.raises(Unauthenticated):
        door.call({"authorization": given_}, "Topology")
    with pytest.raises(known.Problem) as e:
        door.known.of_key(bearer(given_))
    assert e.value.status == 401
    assert isinstance(session_of({b"cookie": f"flowledger_session={cookie}".encode()}), str | None)


async def test_comparisons_take_no_time_that_tells(world):
    """What is compared is a hash, found in a table or compared by `hmac.compare_digest`; no secret meets `==`."""
    import inspect

    from flowledger.api.access import door

    for module in (changes, known, door, secrets):
        source = inspect.getsource(module)
        assert not re.search(r"(verifier|csrf|password|link|token|text)\s*(==|!=)\s*(?!'')", source), module.__name__
    assert "compare_digest" in inspect.getsource(known) and "compare_digest" in inspect.getsource(door)


@pytest.mark.parametrize("file", ["", "/etc/tls/server.pem"])
async def test_a_port_with_a_certificate_says_that_browsers_come_by_tls_alone(world, file):
    guard = world.app.asgi_handler
    guard.services.settings = guard.services.settings.model_copy(update={"tls_cert_file": file})
    guard.tls = Guard(guard.app, guard.services).tls
    said = await world.client().get("/v1/me")
    assert said.status_code == 401 and said.headers.get("strict-transport-security") == ("max-age=31536000" if file else None)
