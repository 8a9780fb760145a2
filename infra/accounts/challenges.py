"""Passkeys and challenges in the accounts' tables. A challenge that was taken is gone; only one of many who take it gets it."""

from __future__ import annotations

from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from flowledger.infra.accounts.store import Challenge, Passkey, Store

#: challenges of one person for one purpose; the oldest go (of sign-ins nobody knows whose they are: all together)
OF_ONE_MAX, SIGN_INS_MAX = 20, 10_000


class Challenges:
    """Raises in all: one of `own_tables.AWAY`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def passkeys(self, issuer: str, name: str) -> list[Passkey]:
        rows = await self._store.rows("SELECT * FROM passkeys WHERE issuer = %s AND name = %s ORDER BY created_us, id", issuer, name)
        return msgspec.convert(rows, list[Passkey])

    async def passkey(self, id: str) -> Passkey | None:
        rows = await self._store.rows("SELECT * FROM passkeys WHERE id = %s", id)
        return msgspec.convert(rows[0], Passkey) if rows else None

    async def signed(self, passkey: Passkey, count: int, now_us: int) -> bool:
        """Whether nobody else has used it with this count meanwhile."""
        rows = await self._store.rows(
            "UPDATE passkeys SET sign_count = %s, used_us = %s WHERE id = %s AND sign_count = %s RETURNING id",
            count,
            now_us,
            passkey.id,
            passkey.sign_count,
        )
        return bool(rows)

    async def begin(self, c: Challenge) -> None:
        await self._store.rows("DELETE FROM challenges WHERE until_us <= %s", c.begun_us)
        await self._store.rows(
            "INSERT INTO challenges (id, purpose, issuer, name, nonce, request, operation, path, begun_us, until_us)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            c.id, c.purpose, c.issuer, c.name, c.nonce, c.request, c.operation, c.path, c.begun_us, c.until_us,
        )  # fmt: skip
        await self._store.rows(
            "DELETE FROM challenges WHERE id IN (SELECT id FROM challenges WHERE purpose = %s AND issuer = %s AND name = %s"
            " ORDER BY begun_us DESC, id OFFSET %s)",
            c.purpose, c.issuer, c.name, OF_ONE_MAX if c.name else SIGN_INS_MAX,
        )  # fmt: skip

    async def see(self, id: str, purpose: str, now_us: int) -> Challenge | None:
        return _one(
            await self._store.rows("SELECT * FROM challenges WHERE id = %s AND purpose = %s AND until_us > %s", id, purpose, now_us)
        )

    async def take(self, id: str, purpose: str, now_us: int) -> Challenge | None:
        """It is gone afterwards."""
        return _one(
            await self._store.rows(
                "DELETE FROM challenges WHERE id = %s AND purpose = %s AND until_us > %s RETURNING *", id, purpose, now_us
            )
        )

    async def prove(self, id: str, proof: dict[str, Any], now_us: int) -> bool:
        """It was shown by a passkey, once."""
        return bool(
            await self._store.rows(
                "UPDATE challenges SET proof = %s WHERE id = %s AND purpose = 'step-up' AND proof IS NULL AND until_us > %s RETURNING id",
                Jsonb(proof), id, now_us,
            )
        )  # fmt: skip

    async def use(self, id: str, by: str, now_us: int) -> bool:
        """For one request; one that comes once more with the same id (`by`) is the same one."""
        return bool(
            await self._store.rows(
                "UPDATE challenges SET used_by = %s WHERE id = %s AND proof IS NOT NULL AND until_us > %s"
                " AND (used_by IS NULL OR (used_by = %s AND used_by <> '')) RETURNING id",
                by, id, now_us, by,
            )
        )  # fmt: skip


def _one(rows: list[dict[str, Any]]) -> Challenge | None:
    return msgspec.convert(rows[0], Challenge) if rows else None
