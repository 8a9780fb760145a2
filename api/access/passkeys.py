"""Passkeys of one's own: added, removed, and signing in by one."""

from __future__ import annotations

import secrets
from typing import Any

from webauthn.helpers import bytes_to_base64url

from flowledger.api.access.changes import ATTEMPTS_MAX, LOCKED_S, Accounts
from flowledger.api.access.known import Identity, away, unknown
from flowledger.api.access.stepping import StepUps
from flowledger.api.problems import Problem, malformed
from flowledger.infra.accounts import passkeys as pk
from flowledger.infra.accounts.challenges import Challenges
from flowledger.infra.accounts.store import Challenge, Passkey, Session
from flowledger.infra.own_tables import AWAY
from flowledger.logs import log
from flowledger.processors.client import Caller

log_ = log("access")
ADD, SIGN_IN = "add", "sign-in"
#: passkeys of one person
PASSKEYS_MAX = 20
NOT_GOOD = "this passkey doesn't sign in here: it is not known, or took too long. Try again, or use your password"


class Passkeys:
    def __init__(self, accounts: Accounts) -> None:
        self.accounts, self.known = accounts, accounts.known
        self.challenges = Challenges(accounts.store)
        self.step_ups = StepUps(self.challenges, accounts.known, accounts.settings)

    @staticmethod
    def person(identity: Identity) -> tuple[str, str]:
        """(issuer, name). Raises: Problem (403): by a session only: who has a key alone can't take the account over."""
        if identity.kind not in ("user", "guest"):
            raise Problem("FORBIDDEN", "passkeys are added and removed in a browser, by who has signed in there")
        return (identity.id if identity.kind == "guest" else "", identity.actor)

    async def of(self, owner: tuple[str, str]) -> list[Passkey]:
        try:
            return await self.challenges.passkeys(*owner)
        except AWAY as e:
            raise away(type(e).__name__) from None

    async def _begin(self, purpose: str, owner: tuple[str, str]) -> Challenge:
        now_us = self.known.now_us()
        challenge = Challenge(
            id=secrets.token_hex(16), purpose=purpose, issuer=owner[0], name=owner[1], nonce=pk.new_nonce(), request=b"", operation="", path="",
            begun_us=now_us, until_us=now_us + pk.CHALLENGE_S * 1_000_000,
        )  # fmt: skip
        await self.challenges.begin(challenge)
        return challenge

    @staticmethod
    def _site(base: str) -> pk.Site:
        try:
            return pk.site_of(base)
        except pk.Bad as e:
            raise Problem("INVALID_STATE", str(e)) from None

    # --- adding and removing -------------------------------------------------------------------------------------------------------

    async def to_add(self, identity: Identity, password: str, proven: bool, base: str) -> dict[str, Any]:
        """`{id, public_key}`. A session alone is not enough where there is something better: a password, or a passkey that was just shown (`proven`)."""
        owner, site = self.person(identity), self._site(base)
        had = await self.of(owner)
        if len(had) >= PASSKEYS_MAX:
            raise Problem("RESOURCE_EXHAUSTED", f"{identity.actor} has {PASSKEYS_MAX} passkeys, more aren't allowed")
        if not proven and identity.kind == "user":
            await self._by_password(identity.actor, password)
        elif not proven and had:
            raise Problem("FORBIDDEN", "a further passkey is added by who shows one that they have: the setting step_up names add_passkey")
        try:
            challenge = await self._begin(ADD, owner)
        except AWAY as e:
            raise away(type(e).__name__) from None
        return {"id": challenge.id, "public_key": pk.to_make(site, *owner, pk.challenge_of(challenge.nonce, b""), had)}

    async def _by_password(self, name: str, password: str) -> None:
        now_us = self.known.now_us()
        try:
            kept = await self.accounts.store.attempt(name, now_us, ATTEMPTS_MAX, now_us + LOCKED_S * 1_000_000)
            if not await self.accounts.fits(kept or "", password):
                raise Problem("FORBIDDEN", "the password doesn't fit, or there were too many attempts", where="body password")
            await self.accounts.store.succeeded(name, now_us)
        except AWAY as e:
            raise away(type(e).__name__) from None

    async def add(self, by: Caller, identity: Identity, id: str, title: str, answer: dict[str, Any], base: str) -> Passkey:
        owner, site = self.person(identity), self._site(base)
        now_us = self.known.now_us()
        try:
            challenge = await self.challenges.take(id, ADD, now_us)
        except AWAY as e:
            raise away(type(e).__name__) from None
        if challenge is None or (challenge.issuer, challenge.name) != owner:
            raise malformed("the id of a challenge of one's own that is not over was expected", "body id")
        try:
            made = pk.made(site, pk.challenge_of(challenge.nonce, b""), answer)
        except pk.Bad as e:
            raise Problem("INVALID_ARGUMENT", f"the passkey's answer is no good: {e}", where="body credential") from None
        passkey = Passkey(
            id=made.id, issuer=owner[0], name=owner[1], title=title, public_key=made.public_key, sign_count=made.sign_count,
            transports=made.transports, rp_id=site.id, backed_up=made.backed_up, created_us=now_us, used_us=0,
        )  # fmt: skip
        async with self.accounts.changing() as change:
            if (await change.rows("SELECT count(*) AS n FROM passkeys WHERE issuer = %s AND name = %s", *owner))[0]["n"] >= PASSKEYS_MAX:
                raise Problem("RESOURCE_EXHAUSTED", f"{identity.actor} has {PASSKEYS_MAX} passkeys, more aren't allowed")
            kept = await change.rows(
                "INSERT INTO passkeys (id, issuer, name, title, public_key, sign_count, transports, rp_id, backed_up, created_us)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING id",
                passkey.id, *owner, title, passkey.public_key, passkey.sign_count, passkey.transports, passkey.rp_id, passkey.backed_up, now_us,
            )  # fmt: skip
            if not kept:
                raise Problem("ALREADY_EXISTS", "this passkey is here already")
            facts = {"credential": made.id, "title": title, "public_key": bytes_to_base64url(made.public_key), "site": site.id}
            await self.accounts.tell(by, account_of(owner), "passkey added", **facts)
        return passkey

    async def remove(self, by: Caller, identity: Identity, id: str) -> None:
        owner = self.person(identity)
        async with self.accounts.changing() as change:
            if not await change.rows("DELETE FROM passkeys WHERE id = %s AND issuer = %s AND name = %s RETURNING id", id, *owner):
                raise Problem("NOT_FOUND", f"no passkey {id[:80]} of {identity.actor}")
            await self.accounts.tell(by, account_of(owner), "passkey removed", credential=id)

    async def remove_all(self, by: Caller, name: str) -> None:
        """Of everybody who has that name, whoever vouches for them; their sessions end. Raises: Problem (404)."""
        async with self.accounts.changing() as change:
            gone = await change.rows("DELETE FROM passkeys WHERE name = %s RETURNING id, issuer", name)
            if not gone:
                raise Problem("NOT_FOUND", f"no passkeys of {name[:100]}")
            await change.rows("DELETE FROM sessions WHERE name = %s", name)
            await change.rows("DELETE FROM guests WHERE name = %s", name)
            for issuer in sorted({g["issuer"] for g in gone}):
                ids = sorted(g["id"] for g in gone if g["issuer"] == issuer)
                await self.accounts.tell(by, account_of((issuer, name)), "passkeys removed", credentials=ids)

    # --- signing in ----------------------------------------------------------------------------------------------------------------

    async def to_sign_in(self, base: str) -> dict[str, Any]:
        site = self._site(base)
        try:
            challenge = await self._begin(SIGN_IN, ("", ""))
        except AWAY as e:
            raise away(type(e).__name__) from None
        return {"id": challenge.id, "public_key": pk.to_show(site, pk.challenge_of(challenge.nonce, b""), [])}

    async def sign_in(self, id: str, answer: dict[str, Any], base: str) -> tuple[str, Session]:
        """Of users here: whoever an issuer vouches for signs in there. Raises: Problem (401)."""
        now_us = self.known.now_us()
        try:
            challenge = await self.challenges.take(id, SIGN_IN, now_us)
            if challenge is None:
                raise unknown(NOT_GOOD)
            try:
                passkey = await self.step_ups.shown(None, pk.challenge_of(challenge.nonce, b""), answer, base)
            except Problem as p:
                raise unknown(NOT_GOOD) if p.status == 403 else p from None
            handle = (answer.get("response") or {}).get("userHandle")
            if passkey.issuer or (handle and handle != bytes_to_base64url(pk.handle_of("", passkey.name))):
                raise unknown(NOT_GOOD)
            signed = await self.accounts.store.rows(
                "UPDATE users SET signed_in_us = %s WHERE name = %s AND active RETURNING name", now_us, passkey.name
            )
            if not signed:
                log_.warning("a sign-in failed", name=passkey.name, why="suspended or removed")
                raise unknown(NOT_GOOD)
            return await self.accounts.begin(passkey.name)
        except AWAY as e:
            raise away(type(e).__name__) from None


def account_of(owner: tuple[str, str]) -> str:
    """As the ledger names it."""
    issuer, name = owner
    return f"guest:{issuer}:{name}" if issuer else f"user:{name}"
