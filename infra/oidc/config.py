"""The file of issuers (setting `oidc_file`: TOML, YAML or JSON), and the mappings from claims to who somebody is.

What is wrong in it is said at the start, with its place. Mappings are FEEL over the claims, with few steps: a token can't hold anybody up.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from flowledger.infra.secret_text import by_reference, remember
from flowledger.infra.settings import LOOPBACK, SettingsError
from flowledger.kernel import feel
from flowledger.kernel.feel.errors import LimitReached

FILE_BYTES_MAX = 1024 * 1024
ISSUERS_MAX = 20
#: steps of all mappings of one token together
STEPS_MAX = 20_000
#: names in a list that a mapping gives, and the longest of them
NAMES_MAX, NAME_CHARS_MAX = 1_000, 200
ACTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")

#: with private and public keys only: never `none`, nor HS*, whose key an issuer would have to share
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
Url = Annotated[str, Meta(min_length=1, max_length=2_000)]
Short = Annotated[str, Meta(min_length=1, max_length=200)]
Expression = Annotated[str, Meta(min_length=1, max_length=10_000)]


class Issuer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the file.

    Attributes:
        name: in addresses; `title`: on the button of the sign-in page.
        audiences: whom tokens must be for; one of them has to be there.
        types: what the header `typ` of an access token may be.
        client_id: of the console; empty: this issuer signs nobody in there. `client_secret`: `file:PATH` or `env:NAME`.
        device_client_id: of the command line, a public client; empty: `flowledger login --oidc` isn't offered.
        actor, roles, groups, tenants: FEEL over the claims (each by its name, and all as `claims`).
        suffix: what is put behind each actor, so that two issuers never give one name to two people: each has one of its own (one may have none).
        skew_s: how far clocks may differ (seconds). stale_s: how long its keys are good while it is away (seconds).
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    issuer: Url
    audiences: Annotated[list[Short], Meta(min_length=1, max_length=20)]
    title: Annotated[str, Meta(max_length=100)] = ""
    algorithms: Annotated[list[Algorithm], Meta(min_length=1)] = msgspec.field(default_factory=lambda: ["RS256"])
    types: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(min_length=1, max_length=10)] = msgspec.field(
        default_factory=lambda: ["at+jwt", "JWT"]
    )
    client_id: Annotated[str, Meta(max_length=200)] = ""
    client_secret: Annotated[str, Meta(max_length=2_000)] = ""
    device_client_id: Annotated[str, Meta(max_length=200)] = ""
    scopes: Annotated[list[Short], Meta(max_length=50)] = msgspec.field(default_factory=lambda: ["openid", "profile"])
    actor: Expression = "preferred_username"
    roles: Expression = "roles"
    groups: Expression = "groups"
    tenants: Expression = '[""]'
    suffix: Annotated[str, Meta(pattern=r"^([._@+-][A-Za-z0-9._@+-]{0,49})?$")] = ""
    skew_s: Annotated[int, Meta(ge=0, le=300)] = 30
    stale_s: Annotated[int, Meta(ge=600, le=86_400)] = 3_600


class Issuers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    issuers: Annotated[list[Issuer], Meta(min_length=1, max_length=ISSUERS_MAX)]


class Who(NamedTuple):
    """Who a token stands for. `roles` as the mapping gives them; what no role of ours is gives no right."""

    actor: str
    roles: list[str]
    groups: list[str]
    tenants: list[str]


class Unfit(Exception):
    """Claims of which the mappings make nobody. Its text says which mapping, what was expected and what was found."""


class Mapping:
    """`suffixes`: of all issuers. Raises: SettingsError: an expression that isn't FEEL."""

    def __init__(self, issuer: Issuer, suffixes: Iterable[str] = ()) -> None:
        self.issuer = issuer
        self._of_others = tuple(s for s in suffixes if len(s) > len(issuer.suffix))
        self._parts: dict[str, feel.Compiled] = {}
        for part in ("actor", "roles", "groups", "tenants"):
            try:
                self._parts[part] = feel.compile(getattr(issuer, part))
            except feel.FeelSyntaxError as e:
                raise SettingsError(f"oidc_file: {part} of the issuer {issuer.name}: {e}") from None

    def who(self, claims: dict[str, Any]) -> Who:
        """Raises: Unfit."""
        context, runtime = {**claims, "claims": claims}, feel.Runtime()
        runtime.steps = STEPS_MAX
        values: dict[str, Any] = {}
        for part, expression in self._parts.items():
            try:
                values[part] = expression(context, runtime=runtime)
            except LimitReached:
                raise Unfit(f"{part}: more than {STEPS_MAX} steps") from None
        actor = values["actor"]
        if type(actor) is not str or not ACTOR.fullmatch(actor + self.issuer.suffix):
            raise Unfit(f"actor: letters, digits and ._@+- were expected, 100 at most, found {_shown(actor)}")
        actor += self.issuer.suffix
        if self._of_others and actor.endswith(self._of_others):
            raise Unfit(f"actor: {actor!r} ends as the names of another issuer do")
        return Who(actor, *(_names(part, values[part]) for part in ("roles", "groups", "tenants")))


def _names(part: str, value: Any) -> list[str]:
    if value is None:
        return []
    found = [value] if type(value) is str else value
    if type(found) is not list or len(found) > NAMES_MAX or any(type(x) is not str or len(x) > NAME_CHARS_MAX for x in found):
        raise Unfit(
            f"{part}: a list of {NAMES_MAX} texts at most, of {NAME_CHARS_MAX} characters each, was expected, found {_shown(value)}"
        )
    return list(dict.fromkeys(found))


def _shown(value: Any) -> str:
    return f"{value[:100]!r}" if type(value) is str else f"a {type(value).__name__}"


def reachable(url: str) -> str:
    """What keeps us from asking this address; empty: nothing. Over plain HTTP only this machine is asked: keys that somebody on the way
    can change prove nothing."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as e:
        return f"an address was expected, found {url[:200]!r} ({e})"
    if parts.scheme == "https" and host and not (parts.username or parts.password):
        return ""
    if parts.scheme == "http" and _loopback(host) and not (parts.username or parts.password):
        return ""
    return f"https://HOST was expected (http on loopback only, and no password in it), found {url[:200]!r}"


def _loopback(host: str) -> bool:
    try:
        return host in LOOPBACK or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_READERS: dict[str, Callable[..., Issuers]] = {".yaml": msgspec.yaml.decode, ".yml": msgspec.yaml.decode, ".json": msgspec.json.decode}


def load(path: str | Path) -> list[Issuer]:
    """Raises: SettingsError."""
    file = Path(path)
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except OSError as e:
        raise SettingsError(f"setting oidc_file: {file}: {e.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise SettingsError(f"setting oidc_file: {file}: {FILE_BYTES_MAX} bytes at most were expected")
    try:
        found = _READERS.get(file.suffix, msgspec.toml.decode)(data, type=Issuers).issuers
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as e:
        raise SettingsError(f"setting oidc_file: {file}: {e}") from None
    return checked(found)


def checked(issuers: list[Issuer]) -> list[Issuer]:
    """Raises: SettingsError."""
    for i in issuers:
        if why := reachable(i.issuer):
            raise SettingsError(f"oidc_file: issuer of {i.name}: {why}")
        Mapping(i)
        if i.client_secret:
            secret_of(i)
        if i.client_id and "openid" not in i.scopes:
            raise SettingsError(f"oidc_file: scopes of {i.name}: openid was expected among them, found {', '.join(i.scopes) or 'none'}")
    for what in ("name", "issuer", "suffix"):
        if len({getattr(i, what) for i in issuers}) < len(issuers):
            raise SettingsError(
                f"oidc_file: each issuer needs a {what} of its own{', so that no two people get one name' if what == 'suffix' else ''}"
            )
    return issuers


def secret_of(issuer: Issuer) -> str:
    """Raises: SettingsError."""
    try:
        found = by_reference(issuer.client_secret, f"oidc_file: client_secret of {issuer.name}")
    except ValueError as e:
        raise SettingsError(str(e)) from None
    remember([found])
    return found
