"""The file of issuers: what is wrong in it is said at the start, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowledger.infra.oidc import config
from flowledger.infra.oidc.config import Mapping, Unfit, reachable
from flowledger.infra.settings import Settings, SettingsError
from flowledger.signin import check

pytestmark = pytest.mark.req("APG-SEC-001", "APG-SEC-009")
GOOD = 'name = "company"\nissuer = "https://id.example.org/realms/main"\naudiences = ["flowledger"]\n'


def file(folder: Path, *tables: str, name: str = "issuers.toml") -> Path:
    path = folder / name
    path.write_text("\n".join(f"[[issuers]]\n{t}" for t in tables))
    return path


def test_what_is_not_said_has_a_value(tmp_path):
    (found,) = config.load(file(tmp_path, GOOD))
    assert (found.algorithms, found.types, found.actor, found.skew_s) == (["RS256"], ["at+jwt", "JWT"], "preferred_username", 30)
    assert Mapping(found).who({"preferred_username": "ann"}) == ("ann", [], [], [""])


def test_yaml_and_json_are_read_too(tmp_path):
    for name, text in (
        ("i.yaml", "issuers:\n- {name: a, issuer: https://a.example.org, audiences: [x]}\n"),
        ("i.json", '{"issuers": [{"name": "a", "issuer": "https://a.example.org", "audiences": ["x"]}]}'),
    ):
        (tmp_path / name).write_text(text)
        assert config.load(tmp_path / name)[0].audiences == ["x"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('algorithms = ["none"]', "algorithms"), ('algorithms = ["HS256"]', "algorithms"), ("algorithms = []", "algorithms"), ('audience = "x"', "audience"),
        ('actor = "1 +"', "actor of the issuer company"), ('roles = ""', "roles"), ("skew_s = 301", "skew_s"), ("stale_s = 599", "stale_s"),
        ("stale_s = 86401", "stale_s"), ('suffix = "x"', "suffix"), ('client_secret = "in the open"', "expected file:PATH or env:NAME"),
        ('client_secret = "env:FLOWLEDGER_TEST_NO_SUCH"', "FLOWLEDGER_TEST_NO_SUCH"), ('client_id = "c"\nscopes = ["profile"]', "openid"), ("x = ", "oidc_file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(tmp_path, more, said):
    with pytest.raises(SettingsError, match="oidc_file") as e:
        config.load(file(tmp_path, GOOD + more))
    assert said in str(e.value) and "in the open" not in str(e.value)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://id.example.org", True), ("http://127.0.0.1:8080/realms/x", True), ("http://localhost", True), ("http://[::1]:1", True),
        ("http://id.example.org", False), ("http://127.0.0.1.example.org", False), ("http://10.0.0.1", False), ("ftp://localhost", False), ("file:///etc/passwd", False),
        ("https://", False), ("https://user:word@id.example.org", False), ("http://a@localhost", False), ("https://[::1", False), ("x", False), ("", False),
        ("https://id.example.org:99999", False),
    ],
)  # fmt: skip
def test_keys_are_read_over_tls_or_from_this_machine(url, good):
    assert (reachable(url) == "") is good


def test_several_issuers_each_have_their_own(tmp_path):
    other = 'name = "partner"\nissuer = "https://partner.example.org"\naudiences = ["x"]\n'
    assert len(config.load(file(tmp_path, GOOD, other + 'suffix = "@partner"'))) == 2
    for wrong in (
        other,
        other.replace("partner.ex", "id.ex").replace("org", "org/realms/main") + 'suffix = "@p"',
        other.replace('"partner"', '"company"') + 'suffix = "@p"',
    ):
        with pytest.raises(SettingsError, match="of its own"):
            config.load(file(tmp_path, GOOD, wrong))
    with pytest.raises(SettingsError):
        config.load(
            file(tmp_path, *(f'name = "i{n}"\nissuer = "https://i{n}.example.org"\naudiences = ["x"]\nsuffix = "@i{n}"' for n in range(21)))
        )


def test_a_suffix_inside_of_another_s_takes_no_name(tmp_path):
    issuers = [
        config.Issuer(name=n, issuer=f"https://{n}.example.org", audiences=["x"], suffix=s)
        for n, s in (("a", "@b"), ("b", "@a@b"), ("c", ""))
    ]
    a, b, c = (Mapping(i, [i.suffix for i in issuers]) for i in config.checked(issuers))
    assert (a.who({"preferred_username": "x"}).actor, b.who({"preferred_username": "x"}).actor) == ("x@b", "x@a@b")
    for mapping, name in ((a, "x@a"), (c, "x@b"), (c, "x@a@b")):
        with pytest.raises(Unfit):
            mapping.who({"preferred_username": name})


@pytest.mark.parametrize(
    ("auth", "path", "said"),
    [
        ("oidc", "", "oidc_file is empty"),
        ("local", "x", "auth is local"),
        ("none", "x", "auth is none"),
        ("oidc", "/no/such", "No such file"),
    ],
)
def test_settings_that_can_t_be_meant_end_the_start(auth, path, said):
    with pytest.raises(SettingsError, match=said):
        check(Settings(auth=auth, oidc_file=path))


@pytest.mark.parametrize(
    ("expression", "claims", "roles"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["viewer", "author"]}}, ["viewer", "author"]),
        ('get value(resource_access, "flow-ledger").roles', {"resource_access": {"flow-ledger": {"roles": ["machine"]}}}, ["machine"]),
        ('get value(claims, "https://example.org/roles")', {"https://example.org/roles": ["operator"]}, ["operator"]),
        ('if list contains(groups, "/admins") then ["administrator"] else ["viewer"]', {"groups": ["/admins"]}, ["administrator"]),
        ('for g in groups[starts with(item, "fl-")] return substring after(g, "fl-")', {"groups": ["fl-author", "x"]}, ["author"]),
        ('split(scope, " ")', {"scope": "operator viewer"}, ["operator", "viewer"]),
        ("roles", {"roles": "viewer"}, ["viewer"]), ("roles", {}, []), ('["viewer", "viewer"]', {}, ["viewer"]),
    ],
)  # fmt: skip
def test_roles_come_from_claims_of_many_shapes(expression, claims, roles):
    issuer = config.Issuer(name="a", issuer="https://a.example.org", audiences=["x"], roles=expression, groups='["g"]')
    assert Mapping(issuer).who({"preferred_username": "ann", **claims}).roles == roles
