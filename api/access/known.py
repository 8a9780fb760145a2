"""Who is known: users and API keys in memory, sessions as they are asked for, each with the identity that it stands for.

A request with a key costs a hash and a look into a dict. What another node changed is seen within `REFRESH_S`; what this one changed at once. With
the database away, what is known goes on being known for `STALE_S`, then nobody is. Who has a long answer (a subscription, a stream of
jobs) is told when the identity behind it ends (`Identity.ended`).
"""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from weakref import WeakSet

import msgspec

from flowledger.api.access.rights import rights_of
from flowledger.api.problems import Problem
from flowledger.infra.accounts import secrets
from flowledger.infra.accounts.store import Guest, Key, Session, Store, User
from flowledger.infra.own_tables import AWAY
from flowledger.infra.people import People
from flowledger.infra.settings import Settings
from flowledger.kernel.access.rights import OPERATOR, RULES, SIGNED_IN
from flowledger.logs import log

log_ = log("access")
#: what other nodes changed is seen within this time; what is known without asking the database is believed for that one (seconds)
REFRESH_S, STALE_S = 2.0, 300.0
#: sessions that are remembered; a further one is read again
SESSIONS_MAX = 10_000
#: how often it is written down when keys and sessions were used (seconds)
SEEN_S = 30.0
WHO = "expected an API key as `Authorization: Bearer KEY`, or a session"


def unknown(detail: str) -> Problem:
    return Problem("UNAUTHENTICATED", detail, status=401)


def away(why: object = "") -> Problem:
    return Problem("UNAVAILABLE", f"who you are can't be looked up now{f' ({why})' if why else ''}", retry_after_ms=1000)


class Identity:
    """Who asks, as long as what it was shown by is good. `ended` is set when it isn't any more.

    Attributes:
        kind: user (by a session), guest (by a session that an issuer has vouched for), key, token (of an issuer), certificate (of a program).
        actor: the name that stands on what is done.
        id: of the key, the name of the issuer, or the name in the certificate; empty for a session.
        kernel: the rights that the gate in the kernel looks at.
        standing: of who comes by a token: what a directory has said of them when it was looked at.
        groups: that the issuer says; None: only the directory knows.
    """

    __slots__ = (
        "__weakref__",
        "actor",
        "csrf",
        "ended",
        "expires_us",
        "groups",
        "id",
        "kernel",
        "kind",
        "rights",
        "roles",
        "seen_us",
        "standing",
        "tenants",
        "verifier",
    )

    def __init__(
        self, kind: str, actor: str, roles: list[str], rights: frozenset[str], tenants: list[str], verifier: bytes, expires_us: int, *,
        csrf: str = "", id: str = "", seen_us: int = 0, groups: list[str] | None = None,
    ) -> None:  # fmt: skip
        self.groups = groups
        self.kind, self.actor, self.roles, self.rights, self.tenants = kind, actor, roles, rights, tenants
        self.verifier, self.expires_us, self.csrf, self.id, self.seen_us = verifier, expires_us, csrf, id, seen_us
        self.kernel = [SIGNED_IN, *([OPERATOR] if "tasks:manage" in rights else ()), *([RULES] if "rules:write" in rights else ())]
        self.ended = asyncio.Event()
        self.standing: Standing = ((), (), ())

    def same(self, other: Identity) -> bool:
        mine, others = ((i.actor, i.rights, i.tenants, i.groups) for i in (self, other))
        return mine == others

    def check(self, now_us: int) -> None:
        """Of who comes by a token: whether it is good still. Raises: Problem."""


#: what a directory says of somebody: roles, tenants, groups
Standing = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def standing_of(person: User | None) -> Standing:
    return ((), (), ()) if person is None else (tuple(person.roles), tuple(person.tenants), tuple(person.groups))


def together(roles: list[str], tenants: list[str], groups: list[str] | None, person: User | None) -> tuple[list[str], list[str], list[str]]:
    """What an issuer says of somebody, and what who provisions them says."""
    mine = (roles, tenants, groups or [])
    a, b, c = (list(dict.fromkeys((*said, *more))) for said, more in zip(mine, standing_of(person), strict=True))
    return a, b, c


class Known:
    """`now_us`: the clock, microseconds UTC."""

    def __init__(self, store: Store, settings: Settings, now_us: Callable[[], int] | None = None) -> None:
        self.store = store
        self.now_us = now_us or (lambda: time.time_ns() // 1000)
        self.idle_us = int(settings.session_idle_minutes * 60e6)
        #: issuers that sign in, by name: a guest of another is not known any more
        self.issuers: frozenset[str] = frozenset()
        #: what groups may do (`infra/people.py`)
        self.people = People()
        self.users: dict[str, User] = {}
        self.keys: dict[str, Key] = {}
        self._by_verifier: dict[bytes, Key] = {}
        #: names that users have, or that keys and certificates act as: no issuer can give them
        self._names: frozenset[str] = frozenset()
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._identities: OrderedDict[bytes, Identity] = OrderedDict()
        #: identities behind which a long answer stands
        self._held: WeakSet[Identity] = WeakSet()
        self._used: dict[str, int] = {}
        self._seen: dict[bytes, int] = {}
        self._version, self._checked = 0, -math.inf

    # --- what is known -------------------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Read again what has changed. Raises: one of `own_tables.AWAY`."""
        begun = time.monotonic()
        if await self.store.version() != self._version:
            version, users, keys = await self.store.load()
            self.users, self.keys = {u.name: self._granted(u) for u in users}, {k.id: k for k in keys}
            self._by_verifier = {k.verifier: k for k in keys}
            now_us = self.now_us()
            taken = (*self.users, *(k.actor for k in keys if not k.revoked_us and k.expires_us > now_us), *self.people.actors)
            self._names = frozenset(n for n in taken if self.provisioned(n) is None)
            self._version = version
            self._identities.clear()
            self._sessions.clear()
        self._checked = begun
        await self._end_those_that_are_over()

    async def run(self) -> None:
        """For ever: what others changed, and when what was used."""
        told, written = False, time.monotonic()
        while True:
            try:
                await self.refresh()
                if time.monotonic() - written > SEEN_S:
                    await self.write_down()
                    written = time.monotonic()
                told = False
            except AWAY as e:
                await self._end_those_that_are_over()
                if not told:
                    log_.warning("accounts can't be read; what is known is believed for a while", why=str(e), seconds=STALE_S)
                told = True
            await asyncio.sleep(REFRESH_S)

    async def write_down(self) -> None:
        used, self._used = self._used, {}
        seen, self._seen = self._seen, {}
        if used or seen:
            await self.store.seen(list(seen.items()), list(used.items()))

    async def as_of_now(self) -> tuple[list[User], list[Key]]:
        """With when they were used last, which `users` and `keys` know as of the last change of an account only. Raises: Problem (503)."""
        try:
            await self.write_down()
            _, users, keys = await self.store.load()
        except AWAY as e:
            raise away(type(e).__name__) from None
        return [self._granted(u) for u in users], keys

    def _granted(self, user: User) -> User:
        """Who is provisioned may do what the groups say that they are in."""
        if not user.managed:
            return user
        roles, tenants = self.people.grants(user.groups)
        return msgspec.structs.replace(user, roles=roles, tenants=tenants)

    def provisioned(self, name: str) -> User | None:
        """Who is provisioned here, and not barred: an issuer may vouch for them."""
        user = self.users.get(name)
        return user if user is not None and user.managed and user.active else None

    async def _end_those_that_are_over(self) -> None:
        for held in list(self._held):
            try:
                if held.kind == "token":
                    held.check(self.now_us())
                    self.stranger(held.actor)
                    if held.standing == standing_of(self.provisioned(held.actor)):
                        continue
                    self._held.discard(held)
                    held.ended.set()
                    continue
                if held.kind == "certificate":
                    if held.expires_us > self.now_us() and held.actor not in self.users:
                        continue
                elif held.same(
                    await (self.by_key_verifier(held.verifier) if held.kind == "key" else self.by_session_verifier(held.verifier))
                ):
                    continue
            except Problem as p:
                if p.status == 503:
                    continue
            self._held.discard(held)
            held.ended.set()

    def hold(self, identity: Identity) -> None:
        """Somebody gets a long answer: `identity.ended` tells when it must end."""
        self._held.add(identity)

    def _believable(self) -> None:
        if time.monotonic() - self._checked > STALE_S:
            raise away()

    def stranger(self, actor: str) -> None:
        """Raises: Problem (403: somebody here has that name; 503: nobody knows)."""
        self._believable()
        if actor in self._names:
            if (user := self.users.get(actor)) is not None and user.managed:
                raise Problem("FORBIDDEN", f"{actor} has been deactivated by who provisions people here")
            raise Problem("FORBIDDEN", f"the name {actor} that the issuer gives is that of a user or of a program here")

    # --- who is it -----------------------------------------------------------------------------------------------------------

    def of_key(self, text: str) -> Identity:
        """Raises: Problem (401, 503)."""
        if len(text) > secrets.TOKEN_MAX:
            raise unknown(f"{WHO}, found a token of {len(text)} characters")
        verifier = secrets.verifier(text)
        identity = self._identities.get(verifier)
        now_us = self.now_us()
        if identity is None or identity.kind != "key" or identity.expires_us <= now_us or time.monotonic() - self._checked > STALE_S:
            identity = self._key(verifier, now_us)
        self._used[identity.id] = now_us
        return identity

    async def by_key_verifier(self, verifier: bytes) -> Identity:
        return self._key(verifier, self.now_us())

    def _key(self, verifier: bytes, now_us: int) -> Identity:
        self._believable()
        key = self._by_verifier.get(verifier)
        if key is None or not hmac.compare_digest(key.verifier, verifier):
            raise unknown("this API key is not known")
        if key.revoked_us:
            raise unknown("this API key has been revoked")
        if key.expires_us <= now_us:
            raise unknown("this API key has expired")
        rights, tenants = rights_of(key.roles), [key.tenant]
        user = self.users.get(key.actor)
        if user is not None:  # one's own key: never more than its owner has now
            if not user.active:
                raise unknown("the user of this API key has been suspended")
            rights &= rights_of(user.roles)
            tenants = [t for t in tenants if t in user.tenants]
        identity = Identity("key", key.actor, key.roles, rights, tenants, verifier, key.expires_us, id=key.id)
        return self._remember(identity)

    async def of_session(self, text: str) -> Identity:
        """Raises: Problem (401, 503)."""
        if len(text) > secrets.TOKEN_MAX:
            raise unknown("the session is not known")
        verifier = secrets.verifier(text)
        identity = self._identities.get(verifier)
        now_us = self.now_us()
        if identity is None or identity.kind not in ("user", "guest") or not self._lasts(identity.expires_us, identity.seen_us, now_us):
            identity = await self.by_session_verifier(verifier)
        self._believable()
        if identity.kind == "guest":
            self.stranger(identity.actor)
        identity.seen_us = self._seen[verifier] = now_us
        return identity

    def _lasts(self, expires_us: int, seen_us: int, now_us: int) -> bool:
        return now_us < min(expires_us, seen_us + self.idle_us)

    async def by_session_verifier(self, verifier: bytes) -> Identity:
        self._believable()
        now_us = self.now_us()
        session = self._sessions.get(verifier)
        seen_us = self._seen.get(verifier, 0)
        if session is None or not self._lasts(session.expires_us, max(session.seen_us, seen_us), now_us):
            try:
                session = await self.store.session(verifier)  # another node may have seen it lately
            except AWAY as e:
                raise away(type(e).__name__) from None
        if session is None or not hmac.compare_digest(session.verifier, verifier):
            raise unknown("the session is not known: sign in")
        identity = self._guest(session) if isinstance(session, Guest) else self._user(session)
        identity.seen_us = seen_us = max(session.seen_us, seen_us)
        if not self._lasts(session.expires_us, seen_us, now_us):
            raise unknown("the session is over: sign in again")
        self._sessions[verifier] = session
        while len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return self._remember(identity)

    def _user(self, session: Session) -> Identity:
        user = self.users.get(session.name)
        if user is None or not user.active:
            raise unknown("the session is not known: sign in")
        return Identity(
            "user", user.name, user.roles, rights_of(user.roles), user.tenants, session.verifier, session.expires_us, csrf=session.csrf,
            groups=user.groups if user.managed else None,
        )  # fmt: skip

    def _guest(self, guest: Guest) -> Identity:
        if guest.issuer not in self.issuers:
            raise unknown("the session is of an issuer that isn't asked here any more: sign in")
        self.stranger(guest.name)
        roles, tenants, groups = together(guest.roles, guest.tenants, guest.groups, self.provisioned(guest.name))
        return Identity(
            "guest",
            guest.name,
            roles,
            rights_of(roles),
            tenants,
            guest.verifier,
            guest.expires_us,
            csrf=guest.csrf,
            id=guest.issuer,
            groups=groups,
        )

    def _remember(self, identity: Identity) -> Identity:
        found = self._identities.get(identity.verifier)
        if found is not None and found.same(identity) and found.kind == identity.kind:
            found.seen_us = max(found.seen_us, identity.seen_us)
            return found
        self._identities[identity.verifier] = identity
        while len(self._identities) > 2 * SESSIONS_MAX:
            self._identities.popitem(last=False)
        return identity

    def forget_session(self, verifier: bytes) -> None:
        """It has ended here, now."""
        self._sessions.pop(verifier, None)
        if (identity := self._identities.pop(verifier, None)) is not None:
            identity.ended.set()
