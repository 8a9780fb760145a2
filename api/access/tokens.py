"""Who a token of an issuer stands for. It is looked at once; while it is good, a request with it costs a hash and a look into a dict.

What made it good is asked again each time: that it has not expired, that the issuer still lists the key it was signed with, that the issuer
has not been away for too long, and that nobody here has its name.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from flowledger.api.access.known import Identity, Known, away, standing_of, together, unknown
from flowledger.api.access.rights import ROLES, rights_of
from flowledger.api.problems import Problem
from flowledger.infra.accounts import secrets
from flowledger.infra.accounts.store import User
from flowledger.infra.oidc.config import Mapping, Unfit, Who
from flowledger.infra.oidc.keys import Keys
from flowledger.infra.oidc.tokens import TOKEN_MAX, KeyUnknown, Refused, Verified, Verifier
from flowledger.logs import log

log_ = log("access")
#: verified tokens that are remembered; a further one is verified again
TOKENS_MAX = 10_000


class KeysAsked(Problem):
    """The token names a key that isn't known; the issuer is being asked. Who can wait waits for `asked`, then looks again."""

    def __init__(self, keys: Keys) -> None:
        super().__init__("UNAVAILABLE", f"the keys of the issuer {keys.issuer.name} are being read: try again", retry_after_ms=1000)
        self.asked = keys.ask()


class ByToken(Identity):
    """`check` raises a Problem when what it stands on is good no more."""

    __slots__ = ("_found", "_of", "_who")

    def __init__(self, found: Verified, who: Who, verifier: bytes, person: User | None = None) -> None:
        roles, tenants, groups = together([r for r in who.roles if r in ROLES], who.tenants, who.groups, person)
        super().__init__(
            "token", who.actor, roles, rights_of(roles), tenants, verifier, found.expires_us, id=found.keys.issuer.name, groups=groups
        )
        self._found, self._who, self.standing = found, who, standing_of(person)
        self._of: ByToken | None = None

    def of(self, person: User) -> ByToken:
        """With what a directory says of them beside."""
        if self._of is None or self._of.standing != standing_of(person):
            self._of = ByToken(self._found, self._who, self.verifier, person)
        return self._of

    def check(self, now_us: int) -> None:
        """Raises: Problem (401, 503)."""
        found = self._found
        if self.expires_us <= now_us:
            raise unknown("this token has expired")
        if found.keys.keys.get(found.key_id) is not found.key:
            raise unknown("the key of this token is not good any more")
        if not found.keys.believable:
            raise away(f"the issuer {found.keys.issuer.name} has been away for too long")


class Tokens:
    def __init__(self, issuers: list[Keys], known: Known, now_us: Callable[[], int] | None = None) -> None:
        self.known, self.now_us = known, now_us or (lambda: time.time_ns() // 1000)
        self.issuers = issuers
        self.verifier = Verifier(issuers)
        suffixes = [k.issuer.suffix for k in issuers] + ([known.people.ldap.suffix] if known.people.ldap is not None else [])
        self._mappings = {k.issuer.issuer: Mapping(k.issuer, suffixes) for k in issuers}
        self._good: OrderedDict[bytes, ByToken] = OrderedDict()

    def of_token(self, text: str) -> Identity:
        """Raises: Problem (401, 403, 503; KeysAsked)."""
        if len(text) > TOKEN_MAX:
            raise unknown(f"a token of {TOKEN_MAX} characters at most was expected, found {len(text)}")
        verifier = secrets.verifier(text)
        identity = self._good.get(verifier)
        if identity is None:
            identity = self._remember(self._seen_first(text, verifier))
        identity.check(self.now_us())
        self.known.stranger(identity.actor)
        return identity if (person := self.known.provisioned(identity.actor)) is None else identity.of(person)

    def _seen_first(self, text: str, verifier: bytes) -> ByToken:
        try:
            found = self.verifier.access(text, self.now_us() // 1_000_000)
        except Refused as e:
            log_.warning("a token was refused", why=str(e))
            raise unknown(str(e)) from None
        except KeyUnknown as e:
            raise self.not_known(e.keys) from None
        return ByToken(found, self.who(found), verifier)

    @staticmethod
    def not_known(keys: Keys) -> Problem:
        """A key that isn't known is a reason to ask the issuer, but not each time: anybody can name one."""
        if keys.may_ask():
            return KeysAsked(keys)
        if keys.failed:
            return away(f"the issuer {keys.issuer.name} doesn't tell its keys")
        log_.warning("a token was refused", why="a key that its issuer doesn't have", issuer=keys.issuer.name)
        return unknown("this token is signed by a key that its issuer doesn't have")

    def who(self, found: Verified) -> Who:
        """Raises: Problem (401)."""
        try:
            return self.who_of(found.keys, found.claims)
        except Unfit as e:
            log_.warning("of the claims of a token nobody can be made", issuer=found.keys.issuer.name, why=str(e))
            raise unknown(f"of the claims of this token nobody can be made: {e}") from None

    def who_of(self, keys: Keys, claims: dict[str, Any]) -> Who:
        """Raises: Unfit."""
        return self._mappings[keys.issuer.issuer].who(claims)

    def _remember(self, identity: ByToken) -> ByToken:
        self._good[identity.verifier] = identity
        while len(self._good) > TOKENS_MAX:
            self._good.popitem(last=False)
        return identity
