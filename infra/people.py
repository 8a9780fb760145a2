"""The file of people (setting `people_file`: TOML, YAML or JSON): what groups may do, the directory that signs in (LDAP), and who a client's certificate is.

Groups are named as who provisions them (SCIM) or the directory names them. What is wrong in it is said at the start, with its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from flowledger.infra.secret_text import by_reference, remember
from flowledger.infra.settings import LOOPBACK, SettingsError

FILE_BYTES_MAX = 1024 * 1024
GROUPS_MAX, CERTIFICATES_MAX = 1_000, 1_000
#: what marks a user that is not made here: who provisions them
SCIM = "scim"
#: the name of the directory among those who vouch for somebody (`guests.issuer`)
LDAP = "ldap"
ACTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")

Short = Annotated[str, Meta(min_length=1, max_length=200)]
Dn = Annotated[str, Meta(min_length=1, max_length=1_000)]
Search = Annotated[str, Meta(min_length=3, max_length=1_000, pattern=r"^\(.*\)$")]
Attribute = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9.;-]{0,99}$")]
Roles = Annotated[list[Short], Meta(max_length=20)]
Tenants = Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=100)]


class Granted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What members of the group `name` may do. `tenants`: in which; the one without name stands for the operator."""

    name: Short
    roles: Roles = []
    tenants: Tenants = msgspec.field(default_factory=lambda: [""])


class Directory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A directory of people that speaks LDAP.

    Attributes:
        url: `ldaps://HOST[:PORT]`, or `ldap://` with `start_tls`; in plain text on loopback only.
        bind_dn, bind_password: who looks people up (`file:PATH` or `env:NAME`); empty: nobody in particular.
        base, filter: where people are, and who is one; `{name}` is what was typed, made harmless.
        name: attribute whose one value is the actor. `suffix`: is put behind it.
        group_base, group_filter, group_name: groups of a person; `{dn}` and `{name}` are theirs. Empty base: none.
        timeout_s: of a connection and of each answer. connections: sign-ins that are asked there at once.
    """

    url: Annotated[str, Meta(pattern=r"^ldaps?://[^/\s@]+$", max_length=300)]
    base: Dn
    start_tls: bool = False
    ca_file: Annotated[str, Meta(max_length=1_000)] = ""
    bind_dn: Annotated[str, Meta(max_length=1_000)] = ""
    bind_password: Annotated[str, Meta(max_length=2_000)] = ""
    filter: Search = "(&(objectClass=person)(uid={name}))"
    name: Attribute = "uid"
    suffix: Annotated[str, Meta(pattern=r"^([._@+-][A-Za-z0-9._@+-]{0,49})?$")] = ""
    group_base: Annotated[str, Meta(max_length=1_000)] = ""
    group_filter: Search = "(member={dn})"
    group_name: Attribute = "cn"
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5
    connections: Annotated[int, Meta(ge=1, le=100)] = 4

    @property
    def password(self) -> str:
        """Raises: SettingsError."""
        if not self.bind_password:
            return ""
        try:
            found = by_reference(self.bind_password, "people_file: ldap.bind_password")
        except ValueError as e:
            raise SettingsError(str(e)) from None
        remember([found])
        return found


class Certificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who shows a certificate with this is `actor`. One of `dns`, `uri`, `email` (names of the subject, RFC 5280, 4.2.1.6), or `common_name`."""

    actor: Short
    roles: Annotated[list[Short], Meta(min_length=1, max_length=20)]
    tenants: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(min_length=1, max_length=100)] = msgspec.field(
        default_factory=lambda: [""]
    )
    dns: Annotated[str, Meta(max_length=500)] = ""
    uri: Annotated[str, Meta(max_length=2_000)] = ""
    email: Annotated[str, Meta(max_length=500)] = ""
    common_name: Annotated[str, Meta(max_length=500)] = ""

    @property
    def shown(self) -> tuple[str, str]:
        """(kind, value) of what it must have."""
        return next((kind, value) for kind in KINDS if (value := getattr(self, kind)))


#: names in a certificate, the first that is known counts
KINDS = ("uri", "dns", "email", "common_name")


class Grants(NamedTuple):
    roles: list[str]
    tenants: list[str]


class People(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    groups: Annotated[list[Granted], Meta(max_length=GROUPS_MAX)] = []
    ldap: Directory | None = None
    certificates: Annotated[list[Certificate], Meta(max_length=CERTIFICATES_MAX)] = []

    @property
    def actors(self) -> frozenset[str]:
        """Names of those who are known by a certificate."""
        return frozenset(c.actor for c in self.certificates)

    def grants(self, groups: Iterable[str]) -> Grants:
        """What somebody in these groups may do; a group that nobody has listed gives nothing."""
        mine = set(groups)
        found = [g for g in self.groups if g.name in mine]
        return Grants(
            list(dict.fromkeys(r for g in found for r in g.roles)), list(dict.fromkeys(t for g in found if g.roles for t in g.tenants))
        )


_READERS: dict[str, Callable[..., People]] = {".yaml": msgspec.yaml.decode, ".yml": msgspec.yaml.decode, ".json": msgspec.json.decode}


def load(file: str, roles: Iterable[str]) -> People:
    """`roles`: that there are. Raises: SettingsError. An empty name: nobody is listed."""
    if not file:
        return People()
    try:
        with Path(file).open("rb") as opened:
            text = opened.read(FILE_BYTES_MAX + 1)
        if len(text) > FILE_BYTES_MAX:
            raise SettingsError(f"setting people_file: {file}: {FILE_BYTES_MAX} bytes at most were expected")
        people: People = _READERS.get(Path(file).suffix, msgspec.toml.decode)(text, type=People)
    except OSError as e:
        raise SettingsError(f"setting people_file: {file}: {e.strerror}") from None
    except SettingsError:
        raise
    except (msgspec.DecodeError, ValueError) as e:  # a ValidationError is a DecodeError
        raise SettingsError(f"setting people_file: {file}: {e}") from None
    _check(people, frozenset(roles))
    return people


def _check(people: People, roles: frozenset[str]) -> None:
    listed = [(f"groups[{n}]", g.roles) for n, g in enumerate(people.groups)]
    for where, given in [*listed, *((f"certificates[{n}]", c.roles) for n, c in enumerate(people.certificates))]:
        if strange := [r for r in given if r not in roles]:
            raise SettingsError(f"people_file: {where}.roles: {', '.join(sorted(roles))} were expected, found {', '.join(strange)}")
    if len({g.name for g in people.groups}) < len(people.groups):
        raise SettingsError("people_file: groups: a group stands there twice")
    seen: set[tuple[str, str]] = set()
    for n, c in enumerate(people.certificates):
        names = [k for k in KINDS if getattr(c, k)]
        if len(names) != 1:
            raise SettingsError(
                f"people_file: certificates[{n}]: one of {', '.join(KINDS)} was expected, found {', '.join(names) or 'none'}"
            )
        if not ACTOR.fullmatch(c.actor):
            raise SettingsError(f"people_file: certificates[{n}].actor: letters, digits and ._@+- were expected, found {c.actor!r}")
        if c.shown in seen:
            raise SettingsError(f"people_file: certificates[{n}]: {names[0]} {c.shown[1]!r} stands there twice")
        seen.add(c.shown)
    if (d := people.ldap) is not None:
        host = d.url.split("://", 1)[1].rsplit(":", 1)[0].strip("[]")
        if d.url.startswith("ldap://") and not d.start_tls and host not in LOOPBACK:
            raise SettingsError("people_file: ldap: passwords would go in plain text: ldaps:// or start_tls = true was expected")
        if "{name}" not in d.filter:
            raise SettingsError("people_file: ldap.filter: {name} was expected in it, found none: everybody would be one person")
        if bool(d.bind_dn) != bool(d.bind_password):
            raise SettingsError("people_file: ldap: bind_dn and bind_password go together")
