"""Step-up: a request that is marked takes a fresh proof by a passkey of who asks, for exactly this request.

A request without one is refused (403, `STEP_UP_NEEDED`) with a challenge: SHA-256 of a nonce and the hash of tenant, method, path, query and body. Whoever asked has
their passkey sign it (`POST /v1/step-ups/{id}`), and asks the same again with `X-Step-Up: ID`: once, within five minutes of the challenge. The proof goes to the ledger
with what was asked (`Origin.proof`). Which operations: the setting `step_up`; which tasks: their model, held by the kernel (`kernel/tasks/step_up.py`).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Any

from flowledger.api.access.door import CALLER, IDENTITY, PROOF, base_of
from flowledger.api.access.known import Identity, Known, away
from flowledger.api.edge import time_text
from flowledger.api.problems import Problem
from flowledger.events.base import RejectionCode
from flowledger.events.commands import Proof
from flowledger.infra.accounts import passkeys as pk
from flowledger.infra.accounts.challenges import Challenges
from flowledger.infra.accounts.store import Challenge, Passkey
from flowledger.infra.own_tables import AWAY
from flowledger.infra.settings import Settings
from flowledger.logs import log

log_ = log("access")
HEADER = b"x-step-up"
STEP_UP = "step-up"
FAILED = "STEP_UP_FAILED"
NEEDED = RejectionCode.STEP_UP_NEEDED
ID = re.compile(r"[0-9a-f]{32}")


def owner_of(identity: Identity, known: Known) -> tuple[str, str] | None:
    """(issuer, name) of the person behind an identity; None: it is a program."""
    if identity.kind == "certificate":
        return None
    if identity.kind == "key":
        return ("", identity.actor) if identity.actor in known.users else None
    return (identity.id if identity.kind in ("guest", "token") else "", identity.actor)


def digest_of(scope: Any, body: bytes) -> bytes:
    """Of a request, with the tenant that it acts for."""
    query = scope.get("query_string", b"").decode("latin-1")
    head = f"{scope[CALLER].tenant}\n{scope['method']}\n{scope['path']}\n{query}\n"
    return hashlib.sha256(head.encode() + body).digest()


def failed(detail: str) -> Problem:
    return Problem(FAILED, detail, status=403)


class StepUps:
    def __init__(self, challenges: Challenges, known: Known, settings: Settings) -> None:
        self.challenges, self.known, self.settings = challenges, known, settings

    async def needed(self, request: Any, what: str, operation: str) -> Problem:
        """What who asks is told, with a challenge where they have a passkey."""
        identity: Identity = request.scope[IDENTITY]
        owner = owner_of(identity, self.known)
        if owner is None:
            return Problem(NEEDED, f"{what}; {identity.actor} is a program and has none: a person asks for it")
        now_us, nonce, id = self.known.now_us(), pk.new_nonce(), secrets.token_hex(16)
        digest = digest_of(request.scope, await request.body())
        try:
            had = await self.challenges.passkeys(*owner)
            if not had:
                return Problem(
                    NEEDED, f"{what}; {identity.actor} has no passkey yet: one is added on the page /account of the console, in a browser"
                )
            challenge = Challenge(
                id=id, purpose=STEP_UP, issuer=owner[0], name=owner[1], nonce=nonce, request=digest, operation=operation[:255],
                path=f"{request.method} {request.scope['path']}"[:2000], begun_us=now_us, until_us=now_us + pk.CHALLENGE_S * 1_000_000,
            )  # fmt: skip
            await self.challenges.begin(challenge)
        except AWAY as e:
            raise away(type(e).__name__) from None
        base = base_of(request, self.settings)
        asked = {
            "id": id,
            "page": f"/step-up/{id}",
            "expires_at": time_text(challenge.until_us),
            "public_key": self._options(base, challenge, had),
        }
        text = f"{what}: have it signed (POST /v1/step-ups/{id}, or in a browser on the page /step-up/{id}), then ask the same again with the header X-Step-Up: {id}"
        return Problem(NEEDED, text, step_up={k: v for k, v in asked.items() if v is not None})

    @staticmethod
    def _options(base: str, c: Challenge, had: list[Passkey]) -> dict[str, Any] | None:
        """None: browsers have no passkey for that address."""
        try:
            site = pk.site_of(base)
        except pk.Bad:
            return None
        fitting = [p for p in had if p.rp_id == site.id]
        return pk.to_show(site, pk.challenge_of(c.nonce, c.request), fitting) if fitting else None

    async def _own(self, identity: Identity, id: str) -> Challenge:
        """Raises: Problem (404): there is none of theirs, or it is over."""
        try:
            found = await self.challenges.see(id, STEP_UP, self.known.now_us()) if ID.fullmatch(id) else None
        except AWAY as e:
            raise away(type(e).__name__) from None
        if found is None or owner_of(identity, self.known) != (found.issuer, found.name):
            raise Problem("NOT_FOUND", f"no step-up {id[:40]} of {identity.actor} waits: it is over after five minutes")
        return found

    async def show(self, identity: Identity, id: str, base: str) -> dict[str, Any]:
        found = await self._own(identity, id)
        try:
            had = await self.challenges.passkeys(found.issuer, found.name)
        except AWAY as e:
            raise away(type(e).__name__) from None
        return {
            "id": id, "operation": found.operation, "path": found.path, "request": found.request.hex(), "begun_at": time_text(found.begun_us),
            "expires_at": time_text(found.until_us), "proven": found.proof is not None, "public_key": self._options(base, found, had),
        }  # fmt: skip

    async def prove(self, identity: Identity, id: str, answer: dict[str, Any], base: str) -> None:
        """Raises: Problem (404; 403: it is no good)."""
        found, now_us = await self._own(identity, id), self.known.now_us()
        passkey = await self.shown((found.issuer, found.name), pk.challenge_of(found.nonce, found.request), answer, base)
        response = answer["response"]
        proof = {
            "credential": passkey.id, "actor": identity.actor, "at_us": now_us, "request": found.request.hex(), "nonce": found.nonce.hex(),
            "authenticator": response["authenticatorData"], "client": response["clientDataJSON"], "signature": response["signature"],
        }  # fmt: skip
        if not await self.challenges.prove(id, proof, now_us):
            raise failed("this challenge was signed already: each is good once")

    async def shown(self, owner: tuple[str, str] | None, challenge: bytes, answer: dict[str, Any], base: str) -> Passkey:
        """The passkey that has signed. `owner`: whose it must be; None: whoever's. Raises: Problem (403)."""
        given = answer.get("id")
        try:
            passkey = await self.challenges.passkey(given) if isinstance(given, str) and pk.ID.fullmatch(given) else None
            if passkey is None or (owner is not None and (passkey.issuer, passkey.name) != owner):
                raise pk.Bad("this passkey is not known" if owner is None else f"this is no passkey of {owner[1]}")
            count = pk.shown(pk.site_of(base), challenge, answer, passkey)
            if not await self.challenges.signed(passkey, count, self.known.now_us()):
                raise pk.Bad("this passkey has signed something else meanwhile: once more")
        except pk.Bad as e:
            log_.warning("a passkey was refused", name=owner[1] if owner else "", why=str(e))
            raise failed(f"the passkey's answer is no good: {e}") from None
        except AWAY as e:
            raise away(type(e).__name__) from None
        return passkey

    async def used(self, request: Any, id: str, by: str) -> None:
        """It is good for this request, once; its proof stands in the scope. `by`: id of the request. Raises: Problem (403)."""
        identity: Identity = request.scope[IDENTITY]
        try:
            found = await self._own(identity, id)
            if found.request != digest_of(request.scope, await request.body()):
                raise failed("this proof is for another request: something of it has changed since")
            if found.proof is None:
                raise failed("nobody has signed this challenge yet")
            proof = Proof(**found.proof)
            if await self.challenges.passkey(proof.credential) is None:
                raise failed("the passkey that has signed this was removed")
            if not await self.challenges.use(id, by, self.known.now_us()):
                raise failed("this proof was used: each is good once")
        except AWAY as e:
            raise away(type(e).__name__) from None
        except Problem as p:
            raise failed(p.detail) if p.status == 404 else p from None
        request.scope[PROOF] = proof
