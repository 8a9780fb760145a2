"""Changes of accounts, and signing in.

Each change is one transaction: what is asked is checked and written, then told to the ledger (`record.stored` of the registry `identity`: who, when, what;
no password, no key, nor what they are checked by), then committed. What the ledger doesn't take has not happened.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from flowledger.api.access.directory import Directory
from flowledger.api.access.guests import SESSIONS_MAX, Guests
from flowledger.api.access.known import Identity, Known, away, unknown
from flowledger.api.access.rights import ADMINISTRATOR, ROLES, rights_of
from flowledger.api.problems import Problem, malformed, problem_of
from flowledger.events import commands as c
from flowledger.events.base import Rejected
from flowledger.infra.accounts import secrets
from flowledger.infra.accounts.secrets import PASSWORD_MAX, PASSWORD_MIN, Busy, Passwords
from flowledger.infra.accounts.store import Change, Key, Session, User
from flowledger.infra.own_tables import AWAY
from flowledger.infra.settings import Settings
from flowledger.logs import log
from flowledger.processors.client import Caller, Client

log_ = log("access")
REGISTRY = "identity"
#: whose name the first administrator has, and nobody whom a directory provisions
FIRST = "admin"
USERS_MAX, KEYS_MAX = 10_000, 10_000
ROLES_MAX, TENANTS_MAX = len(ROLES), 100
#: wrong passwords in a row until nobody may try for `LOCKED_S`; each further wrong one locks again
ATTEMPTS_MAX, LOCKED_S = 10, 300
#: how long a one-time link is good (seconds)
LINK_S = 24 * 3600
DAY_US = 24 * 3600 * 1_000_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
REFUSED = "name and password don't fit, or there were too many attempts: then it goes on in five minutes"


def _refused(detail: str, code: str = "INVALID_ARGUMENT", where: str = "") -> Problem:
    return Problem(code, detail, where=where)


class Accounts:
    def __init__(self, known: Known, client: Client, settings: Settings, passwords: Passwords | None = None) -> None:
        self.known, self.store, self.client, self.settings = known, known.store, client, settings
        self.passwords = passwords or Passwords()
        #: sign-in of browsers at issuers; None: there are none
        self.guests: Guests | None = None
        #: passwords of a directory (`api/access/directory.py`); None: there is none
        self.directory: Directory | None = None

    @property
    def now_us(self) -> Callable[[], int]:
        return self.known.now_us

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[Change]:
        """Known here at once. Raises: Problem (503)."""
        try:
            async with self.store.change() as change:
                yield change
            await self.known.refresh()
        except AWAY as e:
            raise away(type(e).__name__) from None

    async def tell(self, by: Caller, account: str, change: str, **facts: Any) -> None:
        """On the ledger. Raises: Problem: it isn't there."""
        answer = await self.client.call(
            c.StoreRecord(REGISTRY, account, {"change": change, **facts}), Caller(by.actor, "", by.correlation, by.trace, origin=by.origin)
        )
        if isinstance(answer, Rejected):
            raise problem_of(answer)
        log_.info("an account has changed", account=account, change=change, by=by.actor, correlation=by.correlation)

    # --- users ---------------------------------------------------------------------------------------------------------------

    async def make_user(self, by: Caller, name: str, roles: list[str], tenants: list[str]) -> tuple[User, str]:
        """The user, and the text of a one-time link by which they choose a password."""
        if not NAME.fullmatch(name):
            raise malformed(f"letters, digits and ._@+- were expected, 100 at most, found {name[:120]!r}", "body name")
        _known_roles(roles)
        link, now_us = secrets.token(), self.now_us()
        async with self.changing() as change:
            if await change.rows("SELECT 1 FROM users WHERE name = %s", name):
                raise _refused(f"a user {name} exists already", "ALREADY_EXISTS")
            if await change.rows("SELECT 1 FROM api_keys WHERE actor = %s AND revoked_us = 0 AND expires_us > %s", name, now_us):
                raise _refused(f"an API key acts as {name}: revoke it, or choose another name", "ALREADY_EXISTS")
            if name in self.known.people.actors:
                raise _refused(f"a certificate acts as {name} (people_file): choose another name", "ALREADY_EXISTS")
            if (await change.rows("SELECT count(*) AS n FROM users"))[0]["n"] >= USERS_MAX:
                raise _refused(f"there are {USERS_MAX} users, more aren't allowed", "RESOURCE_EXHAUSTED")
            await change.rows(
                "INSERT INTO users (name, roles, tenants, active, link, link_us, created_us, created_by) VALUES (%s, %s, %s, true, %s, %s, %s, %s)",
                name, roles, tenants, secrets.verifier(link), now_us + LINK_S * 1_000_000, now_us, by.actor,
            )  # fmt: skip
            await self.tell(by, f"user:{name}", "made", roles=roles, tenants=tenants, active=True)
        return self.known.users[name], link

    async def change_user(self, by: Caller, name: str, roles: list[str] | None, tenants: list[str] | None, active: bool | None) -> User:
        """A suspended user's sessions end, and their keys are refused."""
        if roles is not None:
            _known_roles(roles)
        async with self.changing() as change:
            old = await _user(change, name)
            if old.managed and (roles is not None or tenants is not None):
                raise _refused(f"what {name} may do is said by the groups that they are provisioned in (docs/security.md)", "INVALID_STATE")
            new = msgspec.structs.replace(
                old, roles=old.roles if roles is None else roles, tenants=old.tenants if tenants is None else tenants,
                active=old.active if active is None else active,
            )  # fmt: skip
            if _administers(old) and not _administers(new):
                await _another_administrator(change, name)
            await change.rows(
                "UPDATE users SET roles = %s, tenants = %s, active = %s WHERE name = %s", new.roles, new.tenants, new.active, name
            )
            if not new.active:
                await change.rows("DELETE FROM sessions WHERE name = %s", name)
                await change.rows("DELETE FROM guests WHERE name = %s", name)
            await self.tell(by, f"user:{name}", "changed", roles=new.roles, tenants=new.tenants, active=new.active)
        return self.known.users[name]

    async def remove_user(self, by: Caller, name: str) -> None:
        """With their sessions; the keys that act as them are revoked."""
        async with self.changing() as change:
            if _administers(await _user(change, name)):
                await _another_administrator(change, name)
            await change.rows(
                "UPDATE api_keys SET revoked_us = %s, revoked_by = %s WHERE actor = %s AND revoked_us = 0", self.now_us(), by.actor, name
            )
            await change.rows("DELETE FROM passkeys WHERE issuer = '' AND name = %s", name)
            await change.rows("DELETE FROM users WHERE name = %s", name)
            await self.tell(by, f"user:{name}", "removed")

    async def reset(self, by: Caller, name: str) -> tuple[int, str]:
        """The password is no longer good, nor is any session or passkey; (until when, the text of a one-time link)."""
        link, until_us = secrets.token(), self.now_us() + LINK_S * 1_000_000
        async with self.changing() as change:
            await _user(change, name)
            await change.rows(
                "UPDATE users SET password = '', failures = 0, locked_us = 0, link = %s, link_us = %s WHERE name = %s",
                secrets.verifier(link), until_us, name,
            )  # fmt: skip
            await change.rows("DELETE FROM sessions WHERE name = %s", name)
            await change.rows("DELETE FROM passkeys WHERE issuer = '' AND name = %s", name)
            await self.tell(by, f"user:{name}", "reset")
        return until_us, link

    async def first(self) -> tuple[str, str] | None:
        """(name, link) of the first administrator, when nobody can sign in as one. None: somebody can."""
        name, by, link = FIRST, Caller("flowledger"), secrets.token()
        now_us = self.now_us()
        async with self.changing() as change:
            if await change.rows("SELECT 1 FROM users WHERE active AND password <> '' AND %s = ANY (roles)", ADMINISTRATOR):
                return None
            await change.rows(
                "INSERT INTO users (name, roles, tenants, active, link, link_us, created_us, created_by) VALUES (%s, %s, %s, true, %s, %s, %s, %s) "
                "ON CONFLICT (name) DO UPDATE SET active = true, roles = excluded.roles, link = excluded.link, link_us = excluded.link_us",
                name, [ADMINISTRATOR], [""], secrets.verifier(link), now_us + LINK_S * 1_000_000, now_us, by.actor,
            )  # fmt: skip
            await self.tell(by, f"user:{name}", "made", roles=[ADMINISTRATOR], tenants=[""], active=True)
        return name, link

    # --- passwords and sessions ------------------------------------------------------------------------------------------------

    async def sign_in(self, name: str, password: str) -> tuple[str, Session]:
        """The session's text and the session. Raises: Problem (401; 429: too many at once)."""
        now_us = self.now_us()
        try:
            if self.directory is not None and ((user := self.known.users.get(name)) is None or (user.managed and not user.password)):
                return await self.directory.sign_in(name, password)
            kept = await self.store.attempt(name, now_us, ATTEMPTS_MAX, now_us + LOCKED_S * 1_000_000)
            if not await self.fits(kept or "", password):
                log_.warning("a sign-in failed", name=name[:100], locked_or_unknown=kept is None)
                raise unknown(REFUSED)
            await self.store.succeeded(name, now_us)
            return await self.begin(name)
        except AWAY as e:
            raise away(type(e).__name__) from None

    async def by_link(self, by: Caller, link: str, password: str) -> tuple[str, Session]:
        """A password is chosen by a one-time link. Raises: Problem (401: the link isn't good)."""
        verifier, now_us = secrets.verifier(link[: secrets.TOKEN_MAX + 1]), self.now_us()
        try:
            found = await self.store.rows("SELECT name, link FROM users WHERE link = %s AND link_us > %s AND active", verifier, now_us)
        except AWAY as e:
            raise away(type(e).__name__) from None
        if not found or not hmac.compare_digest(found[0]["link"], verifier):
            raise unknown("this link is not good (any more): ask an administrator for a new one")
        name = str(found[0]["name"])
        kept = await self._hashed(name, password)
        async with self.changing() as change:
            taken = await change.rows(
                "UPDATE users SET password = %s, failures = 0, locked_us = 0, link = NULL, link_us = 0, signed_in_us = %s WHERE link = %s RETURNING name",
                kept,
                now_us,
                verifier,
            )
            if not taken:
                raise unknown("this link has been used")
            await change.rows("DELETE FROM sessions WHERE name = %s", name)
            await self.tell(Caller(name, "", by.correlation, by.trace, origin=by.origin), f"user:{name}", "password chosen")
        try:
            return await self.begin(name)
        except AWAY as e:
            raise away(type(e).__name__) from None

    async def change_password(self, by: Caller, identity: Identity, old: str, new: str) -> None:
        """One's own; all other sessions end."""
        now_us = self.now_us()
        try:
            kept = await self.store.attempt(identity.actor, now_us, ATTEMPTS_MAX, now_us + LOCKED_S * 1_000_000)
            if not await self.fits(kept or "", old):
                raise Problem("FORBIDDEN", "the old password doesn't fit, or there were too many attempts", where="body old")
            await self.store.succeeded(identity.actor, now_us)
        except AWAY as e:
            raise away(type(e).__name__) from None
        hashed = await self._hashed(identity.actor, new, "body new")
        async with self.changing() as change:
            await change.rows("UPDATE users SET password = %s WHERE name = %s", hashed, identity.actor)
            await change.rows("DELETE FROM sessions WHERE name = %s AND verifier <> %s", identity.actor, identity.verifier)
            await self.tell(by, f"user:{identity.actor}", "password changed")

    async def sign_out(self, identity: Identity, everywhere: bool) -> None:
        try:
            await self.store.end(identity.actor, None if everywhere else identity.verifier)
            self.known.forget_session(identity.verifier)
            await self.known.refresh()
        except AWAY as e:
            raise away(type(e).__name__) from None

    async def begin(self, name: str) -> tuple[str, Session]:
        text, now_us = secrets.token(), self.now_us()
        session = Session(
            verifier=secrets.verifier(text), name=name, csrf=secrets.token(), began_us=now_us, seen_us=now_us,
            expires_us=now_us + int(self.settings.session_hours * 3600e6),
        )  # fmt: skip
        await self.store.begin(session, SESSIONS_MAX)
        log_.info("a session has begun", name=name)
        return text, session

    async def _hashed(self, name: str, password: str, where: str = "body password") -> str:
        if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
            raise _refused(f"a password of {PASSWORD_MIN} to {PASSWORD_MAX} characters was expected, found {len(password)}", where=where)
        if password.casefold() == name.casefold() or len(set(password)) < 4:
            raise _refused("a password was expected that isn't the name, and has four different characters at least", where=where)
        try:
            return await self.passwords.hash(password)
        except Busy:
            raise _busy() from None

    async def fits(self, kept: str, password: str) -> bool:
        if len(password) > PASSWORD_MAX:
            return False
        try:
            return await self.passwords.fits(kept, password)
        except Busy:
            raise _busy() from None

    # --- API keys --------------------------------------------------------------------------------------------------------------

    async def make_key(
        self, by: Caller, maker: Identity, name: str, actor: str, roles: list[str], tenant: str | None, days: float
    ) -> tuple[Key, str]:
        """The key as it is listed, and its text, which nobody can see again. `actor`: empty: the maker's own."""
        actor, mine = actor or maker.actor, (not actor or actor == maker.actor)
        if mine and maker.kind in ("token", "guest", "certificate"):  # such a key would outlive what the issuer says of its owner
            raise Problem("FORBIDDEN", "who an issuer vouches for shows its tokens; an administrator makes keys for programs (`actor`)")
        if not mine and "users:write" not in maker.rights:
            raise Problem("FORBIDDEN", f"the right users:write is needed for a key that acts as {actor}", right="users:write")
        if not NAME.fullmatch(actor):
            raise malformed(f"letters, digits and ._@+- were expected, 100 at most, found {actor[:120]!r}", "body actor")
        _known_roles(roles)
        if not roles:
            raise _refused("at least one role was expected, found none", where="body roles")
        if more := sorted(rights_of(roles) - maker.rights):
            raise Problem("FORBIDDEN", f"a key can't do more than who makes it: {maker.actor} lacks {', '.join(more)}", right=more[0])
        tenant = maker.tenants[0] if tenant is None else tenant
        if tenant not in maker.tenants:
            raise Problem("FORBIDDEN", f"the tenant {tenant!r} is not one of {maker.actor}'s", where="body tenant")
        if not 0 < days <= self.settings.key_days_max:
            raise _refused(f"more than 0 and {self.settings.key_days_max:g} days at most were expected, found {days:g}", where="body days")
        id, now_us = secrets.new_id(), self.now_us()
        text = secrets.key_of(id)
        async with self.changing() as change:
            if not mine and await change.rows("SELECT 1 FROM users WHERE name = %s", actor):
                raise Problem("FORBIDDEN", f"{actor} is a user: only they make keys that act as them", where="body actor")
            await change.rows("DELETE FROM api_keys WHERE greatest(revoked_us, expires_us) < %s", now_us - 400 * DAY_US)
            if (await change.rows("SELECT count(*) AS n FROM api_keys WHERE revoked_us = 0 AND expires_us > %s", now_us))[0][
                "n"
            ] >= KEYS_MAX:
                raise _refused(f"there are {KEYS_MAX} API keys, more aren't allowed: revoke some", "RESOURCE_EXHAUSTED")
            expires_us = now_us + int(days * DAY_US)
            await change.rows(
                "INSERT INTO api_keys (id, verifier, name, actor, roles, tenant, created_us, created_by, expires_us) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                id, secrets.verifier(text), name, actor, roles, tenant, now_us, maker.actor, expires_us,
            )  # fmt: skip
            await self.tell(by, f"api-key:{id}", "made", name=name, actor=actor, roles=roles, tenant=tenant, expires_us=expires_us)
        return self.known.keys[id], text

    async def revoke_key(self, by: Caller, maker: Identity, id: str) -> None:
        async with self.changing() as change:
            found = await change.rows("SELECT actor, created_by, revoked_us FROM api_keys WHERE id = %s", id)
            if not found or (maker.actor not in (found[0]["actor"], found[0]["created_by"]) and "users:write" not in maker.rights):
                raise Problem("NOT_FOUND", f"no API key {id[:80]}")
            if not found[0]["revoked_us"]:
                await change.rows("UPDATE api_keys SET revoked_us = %s, revoked_by = %s WHERE id = %s", self.now_us(), maker.actor, id)
                await self.tell(by, f"api-key:{id}", "revoked")


def _busy() -> Problem:
    return _refused("too many passwords are looked at now", "RESOURCE_EXHAUSTED")


def _known_roles(roles: list[str]) -> None:
    if strange := [r for r in roles if r not in ROLES]:
        raise _refused(f"roles are {', '.join(ROLES)}, found {', '.join(strange)[:200]}", where="body roles")


def _administers(user: User) -> bool:
    return user.active and ADMINISTRATOR in user.roles


async def _user(change: Change, name: str) -> User:
    found = await change.rows("SELECT * FROM users WHERE name = %s", name)
    if not found:
        raise Problem("NOT_FOUND", f"no user {name[:100]}")
    return msgspec.convert(found[0], User)


async def _another_administrator(change: Change, name: str) -> None:
    if not await change.rows(
        "SELECT 1 FROM users WHERE active AND password <> '' AND %s = ANY (roles) AND name <> %s", ADMINISTRATOR, name
    ):
        raise _refused(f"{name} is the last administrator who can sign in: make another one first", "INVALID_STATE")
