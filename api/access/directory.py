"""Signing in with the password of a directory (LDAP): whoever it vouches for gets a session as a guest of an issuer does, with what their groups may do.

While a session lasts the directory is asked again every few minutes: who is gone there is out here, and what groups say holds.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections import OrderedDict

import msgspec

from flowledger.api.access.guests import SESSIONS_MAX
from flowledger.api.access.known import Known, away, unknown
from flowledger.api.problems import Problem
from flowledger.infra.accounts import secrets
from flowledger.infra.accounts.store import Guest
from flowledger.infra.ldap import Away, Busy, Found, Ldap
from flowledger.infra.own_tables import AWAY
from flowledger.infra.people import ACTOR, LDAP
from flowledger.logs import log

log_ = log("access")
#: wrong passwords for a name until nobody may try it for `LOCKED_S` seconds; names that are remembered
ATTEMPTS_MAX, LOCKED_S, NAMES_MAX = 10, 300, 10_000
#: how often the directory is asked about who is signed in (seconds)
AGAIN_S = 300.0
#: people in one round whom it can't be asked about until it is taken for away
AWAY_MAX = 3
REFUSED = "name and password don't fit, or there were too many attempts: then it goes on in five minutes"


class Directory:
    """`suffixes`: of the issuers, whose people have names of their own."""

    def __init__(self, known: Known, ldap: Ldap, session_us: int, suffixes: tuple[str, ...] = ()) -> None:
        self.known, self.ldap, self._session_us = known, ldap, session_us
        mine = ldap.directory.suffix
        self._of_others = tuple(s for s in suffixes if len(s) > len(mine))
        #: what was typed -> (attempts, until when nobody may try, microseconds)
        self._attempts: OrderedDict[str, tuple[int, int]] = OrderedDict()
        known.issuers |= {LDAP}

    async def sign_in(self, name: str, password: str) -> tuple[str, Guest]:
        """The session's text and the session. Raises: Problem (401; 403: in no group that may do anything; 429, 503)."""
        self._attempt(name)
        try:
            found = await self.ldap.sign_in(name, password)
        except Away as e:
            self._succeeded(name)
            log_.error("the directory can't be asked", why=str(e))
            raise away("the directory of people") from None
        except Busy:
            raise Problem("RESOURCE_EXHAUSTED", "too many ask the directory now") from None
        if found is None:
            log_.warning("a sign-in failed", name=name[:100], directory=True)
            raise unknown(REFUSED)
        self._succeeded(name)
        return await self._begin(found)

    async def _begin(self, found: Found) -> tuple[str, Guest]:
        actor = self._actor(found)
        self.known.stranger(actor)
        roles, tenants = self.known.people.grants(found.groups)
        if not roles and self.known.provisioned(actor) is None:
            log_.warning("a sign-in failed", name=actor, why="in no group that may do anything here")
            raise Problem("FORBIDDEN", f"{actor} is in no group that may do anything here: whoever keeps the directory puts them into one")
        text, now_us = secrets.token(), self.known.now_us()
        guest = Guest(
            verifier=secrets.verifier(text), name=actor, csrf=secrets.token(), began_us=now_us, seen_us=now_us, expires_us=now_us + self._session_us,
            issuer=LDAP, subject=found.dn, sid="", roles=roles, groups=found.groups, tenants=tenants,
        )  # fmt: skip
        await self.known.store.begin_guest(guest, SESSIONS_MAX)
        log_.info("a session has begun", name=actor, issuer=LDAP)
        return text, guest

    def _actor(self, found: Found) -> str:
        """Raises: Problem (401)."""
        actor = found.name + self.ldap.directory.suffix
        if not ACTOR.fullmatch(actor) or len(found.dn) > 1_000 or (self._of_others and actor.endswith(self._of_others)):
            log_.warning("a sign-in failed", name=actor[:100], why="a name that nobody has here, or that is of an issuer's people")
            raise unknown(f"the directory gives the name {actor[:100]!r}: letters, digits and ._@+- were expected, and no issuer's ending")
        return actor

    def _attempt(self, name: str) -> None:
        """Counted before it is looked at, so that many at once are no more. Raises: Problem (401)."""
        key, now_us = _key(name), self.known.now_us()
        count, until_us = self._attempts.pop(key, (0, 0))
        if until_us > now_us:
            self._attempts[key] = (count, until_us)
            raise unknown(REFUSED)
        count += 1
        self._attempts[key] = (count, now_us + LOCKED_S * 1_000_000 if count >= ATTEMPTS_MAX else 0)
        while len(self._attempts) > NAMES_MAX:
            self._attempts.popitem(last=False)

    def _succeeded(self, name: str) -> None:
        self._attempts.pop(_key(name), None)

    # --- while they are here -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(AGAIN_S)
            try:
                await self.again()
            except (Away, Busy, *AWAY) as e:
                log_.warning("the directory can't be asked about who is signed in; they stay for now", why=str(e) or type(e).__name__)

    async def again(self) -> None:
        """Whom it can't be asked about stays for now, and the others are looked at all the same. Raises: Away, Busy, one of `own_tables.AWAY`."""
        rows = await self.known.store.rows("SELECT * FROM guests WHERE issuer = %s AND expires_us > %s", LDAP, self.known.now_us())
        people: dict[str, list[Guest]] = {}
        away_, why = 0, None
        for guest in msgspec.convert(rows, list[Guest]):
            people.setdefault(guest.subject, []).append(guest)
        for dn, sessions in people.items():
            first = sessions[0]
            try:
                found = await self.ldap.still(dn, first.name.removesuffix(self.ldap.directory.suffix))
            except Away as e:
                away_, why = away_ + 1, e
                if away_ >= AWAY_MAX:  # it is the directory, and not one entry in it
                    raise
                continue
            if found is None or found.name + self.ldap.directory.suffix != first.name:
                log_.info("who is gone from the directory is signed out", name=first.name)
                await self.known.store.end_guests(LDAP, dn, "")
                continue
            roles, tenants = self.known.people.grants(found.groups)
            if any((s.groups, s.roles, s.tenants) != (found.groups, roles, tenants) for s in sessions):
                async with self.known.store.change() as change:
                    await change.rows(
                        "UPDATE guests SET groups = %s, roles = %s, tenants = %s WHERE issuer = %s AND subject = %s",
                        found.groups, roles, tenants, LDAP, dn,
                    )  # fmt: skip
        await self.known.refresh()
        if why is not None:
            raise why


def _key(name: str) -> str:
    """One for all that a directory takes for the same name (RFC 4518): its spaces, cases and forms of letters, and signs that nobody sees, don't count."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name[:256]).casefold())
    return "".join(c for c in text if not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf", "Mn"))
