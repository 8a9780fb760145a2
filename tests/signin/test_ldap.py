"""Signing in with the password of a directory, against a real OpenLDAP: who comes in and as what, what is refused, and what happens when the directory is away."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import ldap3
import pytest
import trustme

from flowledger.api.access import directory as directory_of
from flowledger.api.access.directory import ATTEMPTS_MAX, LOCKED_S, Directory
from flowledger.infra import ldap as ldap_of
from flowledger.infra.ldap import Away, Busy, Ldap
from flowledger.infra.people import Directory as Settings_
from flowledger.infra.people import Granted, People
from flowledger.infra.settings import Settings, SettingsError
from flowledger.signin import check
from tests.signin.conftest import PASSWORD, World, first_admin, local_server
from tests.signin.slapd import BASE, PEOPLE, READER, READER_PASSWORD, Slapd

pytestmark = [pytest.mark.postgres, pytest.mark.req("D-SEC-001", "APG-SEC-009")]
GRANTED = [Granted(name="flowledger-operators", roles=["operator"], tenants=["", "acme"]), Granted(name="choir")]


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    try:
        found = Slapd(tmp_path_factory.mktemp("ldap") / "slapd")
    except OSError as e:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(e))
    yield found
    found.stop()


def settings(slapd: Slapd, **more: Any) -> Settings_:
    os.environ["FLOWLEDGER_TEST_LDAP"] = READER_PASSWORD
    given = {
        "url": f"ldaps://localhost:{slapd.tls_port}", "ca_file": str(slapd.ca), "base": BASE, "bind_dn": READER, "bind_password": "env:FLOWLEDGER_TEST_LDAP",
        "group_base": f"ou=groups,{BASE}", **more,
    }  # fmt: skip
    return Settings_(**given)


def directory(world: World, slapd: Slapd, suffixes: tuple[str, ...] = (), **more: Any) -> Directory:
    d = settings(slapd, **more)
    world.known.people = People(groups=GRANTED, ldap=d)
    world.accounts.directory = Directory(world.known, Ldap(d), 3600 * 1_000_000, suffixes)
    return world.accounts.directory


async def signs_in(world: World, name: str, password: str) -> tuple[httpx2.Response, httpx2.AsyncClient]:
    http = world.client()
    said = await http.post("/v1/session", json={"name": name, "password": password})
    if said.status_code == 200:
        http.headers["x-csrf-token"] = said.json()["csrf"]
    return said, http


async def test_somebody_of_the_directory_works_under_their_name_with_what_their_groups_may(world, slapd):
    directory(world, slapd)
    said, ann = await signs_in(world, "ANN", PEOPLE["ann"][0])  # as directories look for names
    assert said.status_code == 200, said.text
    me = (await ann.get("/v1/me")).json()
    assert (me["kind"], me["name"], me["roles"], me["tenants"]) == ("guest", "ann", ["operator"], ["", "acme"])
    await ann.post("/v1/messages", json={"name": "paid"})
    _, caller, _ = world.ledger.calls[-1]
    assert (caller.actor, caller.groups) == ("ann", ["choir", "flowledger-operators"])
    assert PEOPLE["ann"][0] not in str(await world.store.rows("SELECT * FROM guests")) + str(world.ledger.told())
    assert (await ann.delete("/v1/session")).status_code == 200 and (await ann.get("/v1/me")).status_code == 401
    said, _ = await signs_in(world, "bob", PEOPLE["bob"][0])
    assert said.status_code == 403 and "in no group" in said.json()["detail"]


@pytest.mark.parametrize(
    "how",
    [{}, {"url": "ldap://localhost:PORT", "start_tls": True}, {"url": "ldap://127.0.0.1:PORT"}],
    ids=["ldaps", "starttls", "loopback"],
)
async def test_each_way_of_asking(world, slapd, how):
    directory(world, slapd, **{k: v.replace("PORT", str(slapd.port)) if isinstance(v, str) else v for k, v in how.items()})
    assert (await signs_in(world, "ann", PEOPLE["ann"][0]))[0].status_code == 200
    assert (await signs_in(world, "ann", "not the password"))[0].status_code == 401


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ann", "wrong"), ("ann", " "), ("nobody", PEOPLE["ann"][0]), ("*", PEOPLE["ann"][0]), ("an*", PEOPLE["ann"][0]), ("ann)(uid=*", PEOPLE["ann"][0]),
        ("ann)(|(uid=*))", PEOPLE["ann"][0]), ("\\2a", PEOPLE["ann"][0]), ("ann\x00", PEOPLE["ann"][0]), ("ann", PEOPLE["ann"][0] + "\x00"),
        ("two", "two-has-a-password"),
        ("eve*", PEOPLE["eve*"][0]), ("a" * 257, "x"), ("ann", "x" * 1000), ("cn=reader", READER_PASSWORD), ("é" * 100, "x"),
    ],
)  # fmt: skip
async def test_what_does_not_fit_signs_nobody_in(world, slapd, name, password):
    """Signs of filters are letters; of two people with one name nobody knows who is meant; a name that nobody can have here isn't taken."""
    directory(world, slapd)
    said, _ = await signs_in(world, name, password)
    assert said.status_code == 401, said.text
    assert not await world.store.rows("SELECT 1 FROM guests")


def test_a_whole_server_asks_it_by_its_file(empty_database, slapd, tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWLEDGER_TEST_LDAP", READER_PASSWORD)
    file = tmp_path / "people.toml"
    file.write_text(f"""
[ldap]
url = "ldaps://localhost:{slapd.tls_port}"
ca_file = "{slapd.ca}"
base = "ou=people,{BASE}"
bind_dn = "{READER}"
bind_password = "env:FLOWLEDGER_TEST_LDAP"
group_base = "ou=groups,{BASE}"

[[groups]]
name = "flowledger-operators"
roles = ["operator"]
""")
    with (
        local_server(empty_database, tmp_path / "data", people_file=str(file)) as place,
        httpx2.Client(base_url=place.url, timeout=60) as http,
    ):
        admin = first_admin(place.url, place.system.said)
        said = http.post("/v1/session", json={"name": "ann", "password": PEOPLE["ann"][0]})
        assert said.status_code == 200 and said.json()["roles"] == ["operator"], said.text
        http.headers["x-csrf-token"] = said.json()["csrf"]
        assert http.post("/v1/signals", json={"name": "go"}).status_code < 300
        deadline = time.monotonic() + 60
        while not (asked := admin.get("/v1/operations", params={"actor": "ann"}).json()["items"]):
            assert time.monotonic() < deadline, "it is in the log of operations, once the views have it"
            time.sleep(0.1)
        assert {o["credential"] for o in asked} == {"guest:ldap"}, asked
        assert http.post("/v1/session", json={"name": "ann", "password": "wrong"}).status_code == 401
        admin.close()


async def test_a_bind_without_a_password_is_never_tried(world, slapd):
    d = directory(world, slapd)
    assert await d.ldap.sign_in("ann", "") is None and await d.ldap.sign_in("", "x") is None
    assert (await world.client().post("/v1/session", json={"name": "ann", "password": ""})).status_code == 400


async def test_ten_wrong_ones_lock_a_name_for_five_minutes(world, slapd):
    d = directory(world, slapd)
    asked = 0
    real = d.ldap._sign_in

    def counting(name: str, password: str) -> Any:
        nonlocal asked
        asked += 1
        return real(name, password)

    d.ldap._sign_in = counting  # type: ignore[method-assign]
    texts = {(await signs_in(world, "ann", "wrong"))[0].json()["detail"] for _ in range(ATTEMPTS_MAX)}
    said, _ = await signs_in(world, "Ann", PEOPLE["ann"][0])
    assert said.status_code == 401 and texts == {said.json()["detail"]} and asked == ATTEMPTS_MAX, "nobody is asked any more"
    world.clock.passes(LOCKED_S)
    assert (await signs_in(world, "ann", PEOPLE["ann"][0]))[0].status_code == 200
    d._attempts.clear()
    same = [" ann", "ANN\t", "a\u00adnn", "\uff41nn", "a nn", "ann\u200b"] * 2
    for name in same[:ATTEMPTS_MAX]:
        assert (await signs_in(world, name, "wrong"))[0].status_code == 401
    said, _ = await signs_in(world, "ann", PEOPLE["ann"][0])
    assert said.status_code == 401 and len(d._attempts) == 1, "a directory takes them for one name, so they are one here"
    d._attempts.clear()
    for n in range(directory_of.NAMES_MAX + 5):
        d._attempt(f"name-{n}")
    assert len(d._attempts) == directory_of.NAMES_MAX


async def test_accounts_of_here_go_before_and_their_names_are_taken(world, slapd):
    directory(world, slapd)
    await world.user("ann", "viewer")
    assert (await signs_in(world, "ann", PEOPLE["ann"][0]))[0].status_code == 401, "that is another one's password"
    said, ann = await signs_in(world, "ann", PASSWORD)
    assert said.status_code == 200 and (await ann.get("/v1/me")).json()["kind"] == "user"
    directory(world, slapd, suffix="@corp")
    said, other = await signs_in(world, "two ", "x")
    assert said.status_code == 401
    said, other = await signs_in(world, "ann@corp", PEOPLE["ann"][0])
    assert said.status_code == 401, "the directory knows them as ann"


async def test_names_of_issuers_are_not_given(world, slapd):
    directory(world, slapd, ("nn",))
    assert (await signs_in(world, "ann", PEOPLE["ann"][0]))[0].status_code == 401, "it ends as the names of an issuer do"
    world.accounts.directory = None


async def test_who_is_gone_is_out_and_what_groups_say_holds(world, slapd):
    d = directory(world, slapd)
    dn = slapd.person("tom", "tom-has-a-password")
    slapd.members("flowledger-operators", *(slapd.dns[n] for n in ("ann", "eve*")), dn)
    _, tom = await signs_in(world, "tom", "tom-has-a-password")
    _, ann = await signs_in(world, "ann", PEOPLE["ann"][0])
    assert (await tom.get("/v1/me")).json()["roles"] == ["operator"]
    held = await world.known.of_session(tom.cookies["flowledger_session"])
    world.known.hold(held)
    await d.again()
    assert (await tom.get("/v1/me")).status_code == 200 and not held.ended.is_set()
    slapd.members("flowledger-operators", slapd.dns["ann"], slapd.dns["eve*"])
    await d.again()
    assert (await tom.get("/v1/instances")).status_code == 403 and held.ended.is_set(), "in no group any more"
    slapd.root.delete(dn)
    real = d.ldap.still

    async def still(asked: str, name: str) -> Any:
        if asked != dn:
            raise Away("not this one")
        return await real(asked, name)

    d.ldap.still = still  # type: ignore[method-assign]
    with pytest.raises(Away, match="not this one"):
        await d.again()
    d.ldap.still = real  # type: ignore[method-assign]
    assert (await tom.get("/v1/me")).status_code == 401 and (await ann.get("/v1/me")).status_code == 200


async def test_what_the_file_says_of_groups_after_a_start_holds_for_who_is_signed_in(world, slapd):
    d = directory(world, slapd)
    _, ann = await signs_in(world, "ann", PEOPLE["ann"][0])
    assert (await ann.get("/v1/me")).json()["roles"] == ["operator"]
    world.known.people = People(groups=[Granted(name="flowledger-operators", roles=["viewer"])], ldap=d.ldap.directory)
    await d.again()
    me = (await ann.get("/v1/me")).json()
    assert (me["roles"], me["tenants"]) == (["viewer"], [""])


@pytest.mark.parametrize("code", sorted(ldap_of.NOT_THEIRS))
async def test_a_bind_that_is_refused_for_whom_it_is_is_a_wrong_password_and_no_directory_that_is_away(slapd, monkeypatch, code):
    """Servers say 48 of an entry without a password, 53 or 19 of one that is locked; 52 is the server's own trouble."""
    ldap = Ldap(settings(slapd))
    real = ldap3.Connection.bind

    def bind(self: Any, *given: Any, **more: Any) -> bool:
        if self.user == READER:
            return bool(real(self, *given, **more))
        self.result = {"result": refused, "description": "said so"}
        return False

    monkeypatch.setattr(ldap3.Connection, "bind", bind)
    refused = code
    assert await ldap.sign_in("ann", PEOPLE["ann"][0]) is None
    refused = 52
    with pytest.raises(Away, match="said so"):
        await ldap.sign_in("ann", PEOPLE["ann"][0])


async def test_a_directory_that_is_away_is_said_so_and_accounts_of_here_go_on(world, slapd):
    d = directory(world, slapd, timeout_s=2)
    await world.user("zoe", "viewer")
    _, ann = await signs_in(world, "ann", PEOPLE["ann"][0])
    slapd.stop()
    try:
        said, _ = await signs_in(world, "bob", PEOPLE["bob"][0])
        assert (said.status_code, said.json()["code"]) == (503, "UNAVAILABLE") and "localhost" not in said.text
        assert (await signs_in(world, "zoe", PASSWORD))[0].status_code == 200
        with pytest.raises(Away):
            await d.again()
        assert (await ann.get("/v1/me")).status_code == 200, "who is here stays for now"
    finally:
        slapd.start()
        slapd.come_back()
    assert (await signs_in(world, "ann", PEOPLE["ann"][0]))[0].status_code == 200


async def test_a_server_that_nobody_vouches_for_is_not_told_a_password(world, slapd, tmp_path):
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    for wrong in (
        {"ca_file": str(other)},
        {"url": f"ldaps://127.0.0.1:{slapd.tls_port}"},
        {"url": f"ldap://localhost:{slapd.port}", "start_tls": True, "ca_file": str(other)},
    ):
        with pytest.raises(Away):
            await Ldap(settings(slapd, **wrong)).sign_in("ann", PEOPLE["ann"][0])
    os.environ["FLOWLEDGER_TEST_LDAP_2"] = "not this"
    with pytest.raises(Away, match="bind_dn"):
        await Ldap(settings(slapd, bind_password="env:FLOWLEDGER_TEST_LDAP_2")).sign_in("ann", PEOPLE["ann"][0])


async def test_so_many_wait_and_no_more(slapd, monkeypatch):
    ldap = Ldap(settings(slapd))
    monkeypatch.setattr(ldap_of, "WAITING_MAX", 0)
    with pytest.raises(Busy):
        await ldap.sign_in("ann", "x")


@pytest.mark.parametrize(
    ("ldap", "said"),
    [
        ('url = "ldap://ldap.example"', "plain text"), ('url = "http://ldap.example"', "url"),
        ('url = "ldaps://a"\nfilter = "(uid=ann)"', "everybody would be one person"),
        ('url = "ldaps://a"\nfilter = "uid={name}"', "filter"), ('url = "ldaps://a"\nbind_dn = "cn=x"', "go together"), ('url = "ldaps://a"\ntimeout_s = 0', "timeout_s"),
        ('url = "ldaps://a"\nconnections = 101', "connections"), ('url = "ldaps://a"\nsuffix = "corp"', "suffix"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_it_is_said_at_the_start(tmp_path, ldap, said):
    (tmp_path / "people.toml").write_text(f'[ldap]\nbase = "{BASE}"\n{ldap}\n')
    with pytest.raises(SettingsError, match=said):
        check(Settings(auth="local", people_file=str(tmp_path / "people.toml")))
