"""Drafts of the designer in PostgreSQL, in a schema of their own: no view of the log, so a rebuild of the views leaves them alone.

All API nodes share it. Every save is a version that stays; who saves says which version they have seen, so nothing is overwritten unseen. Times are
microseconds UTC. Why drafts live here: docs/decisions/0010-the-designer.md.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import LiteralString

from flowledger.infra.own_tables import Connection, OwnTables, Row

#: drafts of a tenant; versions of a draft that are kept (the oldest go); comments of a draft
DRAFTS_MAX, VERSIONS_MAX, COMMENTS_MAX = 10_000, 500, 1_000
_TABLES = (
    "CREATE TABLE IF NOT EXISTS drafts ("
    " id text PRIMARY KEY, tenant text NOT NULL, name text NOT NULL, kind text NOT NULL, version integer NOT NULL, row_version integer NOT NULL,"
    " created_us bigint NOT NULL, created_by text NOT NULL, updated_us bigint NOT NULL, updated_by text NOT NULL)",
    "CREATE INDEX IF NOT EXISTS drafts_of ON drafts (tenant, updated_us DESC, id DESC)",
    "CREATE TABLE IF NOT EXISTS versions ("
    " draft text NOT NULL REFERENCES drafts ON DELETE CASCADE, version integer NOT NULL, content text NOT NULL, comment text NOT NULL,"
    " saved_us bigint NOT NULL, saved_by text NOT NULL, PRIMARY KEY (draft, version))",
    "CREATE TABLE IF NOT EXISTS comments ("
    " id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, draft text NOT NULL REFERENCES drafts ON DELETE CASCADE, element text NOT NULL,"
    " body text NOT NULL, at_us bigint NOT NULL, author text NOT NULL)",
    "CREATE INDEX IF NOT EXISTS comments_of ON comments (draft, id)",
    # what is drawn together: the shared document as it is now, saved as a version or not (`dirty`)
    "CREATE TABLE IF NOT EXISTS shared ("
    " draft text PRIMARY KEY REFERENCES drafts ON DELETE CASCADE, epoch text NOT NULL, seq bigint NOT NULL, state bytea NOT NULL,"
    " dirty boolean NOT NULL)",
)
_LOCKED: LiteralString = "SELECT * FROM drafts WHERE tenant = %s AND id = %s FOR UPDATE"
#: (state of the shared document, content before, content now) -> the state with that change; None: it can't be shared any more
Merge = Callable[[bytes, str, str], bytes | None]


class Full(Exception):
    """There are as many as there may be."""


class Changed(Exception):
    """Somebody has saved since: `row` is what is there now."""

    def __init__(self, row: Row) -> None:
        super().__init__(f"version {row['version']} is there")
        self.row = row


class Drafts(OwnTables):
    """Raises in all: one of `AWAY`. What a tenant asks for and is another's is not there."""

    def __init__(self, dsn: str, now_us: Callable[[], int]) -> None:
        self.now_us = now_us
        super().__init__(dsn, "flowledger_drafts", _TABLES, 4)

    async def make(self, tenant: str, actor: str, name: str, kind: str, content: str, comment: str, origin: str = "") -> Row:
        """`origin`: what it is made from, which makes one draft: whoever asks a second time, or at once, is given the first one. Raises: Full."""
        pool, now = await self.prepared(), self.now_us()
        id = hashlib.sha256(f"{tenant}\0{origin}".encode()).hexdigest()[:16] if origin else secrets.token_hex(8)
        async with pool.connection() as conn, conn.transaction():
            await conn.execute("SELECT pg_advisory_xact_lock(hashtext('flowledger_drafts'), hashtext(%s))", (tenant,))
            if origin and (there := await self._get(conn, tenant, id, None)) is not None:
                return there
            count = await (await conn.execute("SELECT count(*) AS n FROM drafts WHERE tenant = %s", (tenant,))).fetchone()
            if count is not None and count["n"] >= DRAFTS_MAX:
                raise Full(f"there are {DRAFTS_MAX} drafts, more aren't allowed: delete some")
            await conn.execute(
                "INSERT INTO drafts VALUES (%s, %s, %s, %s, 1, 0, %s, %s, %s, %s)", (id, tenant, name, kind, now, actor, now, actor)
            )
            await conn.execute("INSERT INTO versions VALUES (%s, 1, %s, %s, %s, %s)", (id, content, comment, now, actor))
            found = await self._get(conn, tenant, id, None)
        assert found is not None
        return found

    async def page(self, tenant: str, name: str, kind: str, limit: int, before: tuple[int, str] | None) -> list[Row]:
        """Last saved first. `name`: a part of it, in any case."""
        pattern = "%" + name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        us, id = before or (1 << 62, "")
        return await self.rows(
            "SELECT id, name, kind, version, row_version, created_us, created_by, updated_us, updated_by"
            " FROM drafts WHERE tenant = %s AND name ILIKE %s AND (%s = '' OR kind = %s) AND (updated_us, id) < (%s, %s)"
            " ORDER BY updated_us DESC, id DESC LIMIT %s",
            tenant, pattern, kind, kind, us, id, limit,
        )  # fmt: skip

    async def get(self, tenant: str, id: str, version: int | None = None) -> Row | None:
        """With the content of its newest version, or of that one."""
        pool = await self.prepared()
        async with pool.connection() as conn:
            return await self._get(conn, tenant, id, version)

    async def _get(self, conn: Connection, tenant: str, id: str, version: int | None) -> Row | None:
        found = await conn.execute(
            "SELECT d.id, d.name, d.kind, d.version AS newest, d.row_version, v.version, v.content, v.comment, v.saved_us, v.saved_by, d.created_us,"
            " d.created_by, d.updated_us, d.updated_by FROM drafts d JOIN versions v ON v.draft = d.id AND v.version = coalesce(%s, d.version)"
            " WHERE d.tenant = %s AND d.id = %s",
            (version, tenant, id),
        )
        return await found.fetchone()

    async def versions(self, tenant: str, id: str) -> list[Row]:
        """Newest first, without their contents."""
        return await self.rows(
            "SELECT v.version, v.comment, v.saved_us, v.saved_by, octet_length(v.content) AS bytes FROM versions v"
            " JOIN drafts d ON d.id = v.draft WHERE d.tenant = %s AND d.id = %s ORDER BY v.version DESC",
            tenant, id,
        )  # fmt: skip

    async def save(
        self,
        tenant: str,
        actor: str,
        id: str,
        content: str | None,
        name: str | None,
        comment: str,
        seen: int | None,
        merge: Merge | None = None,
    ) -> Row | None:
        """A new version when there is a content that differs; a name is changed in place. None: no such draft. `merge` brings the change into the
        document of those who draw it together at the moment, in the same transaction.

        Raises: Changed: `seen` (the `row_version` that the caller has read) is not the newest.
        """
        pool, now = await self.prepared(), self.now_us()
        async with pool.connection() as conn, conn.transaction():
            row = await (await conn.execute(_LOCKED, (tenant, id))).fetchone()
            if row is None:
                return None
            if seen is not None and seen != row["row_version"]:
                raise Changed(row)
            old = await (
                await conn.execute("SELECT content FROM versions WHERE draft = %s AND version = %s", (id, row["version"]))
            ).fetchone()
            new = content is not None and (old is None or old["content"] != content)
            if not new and name in (None, row["name"]):
                return await self._get(conn, tenant, id, None)
            version = row["version"] + new
            await conn.execute(
                "UPDATE drafts SET name = %s, version = %s, row_version = row_version + 1, updated_us = %s, updated_by = %s WHERE id = %s",
                (name or row["name"], version, now, actor, id),
            )
            if new:
                await conn.execute("INSERT INTO versions VALUES (%s, %s, %s, %s, %s, %s)", (id, version, content, comment, now, actor))
                await conn.execute("DELETE FROM versions WHERE draft = %s AND version <= %s", (id, version - VERSIONS_MAX))
                if merge is not None and content is not None:
                    await self._merged(conn, id, merge, "" if old is None else old["content"], content)
            return await self._get(conn, tenant, id, None)

    async def _merged(self, conn: Connection, id: str, merge: Merge, before: str, now: str) -> None:
        row = await (await conn.execute("SELECT state FROM shared WHERE draft = %s FOR UPDATE", (id,))).fetchone()
        if row is None:
            return
        state = merge(bytes(row["state"]), before, now)
        if state is None:
            await conn.execute("DELETE FROM shared WHERE draft = %s", (id,))
        else:
            await conn.execute("UPDATE shared SET state = %s, seq = seq + 1 WHERE draft = %s", (state, id))

    async def shared(self, tenant: str, id: str, seen: int | None = None) -> Row | None:
        """The document that is drawn together (`epoch` is null: there is none yet); its `state` unless `seen` is its `seq`. None: no such draft."""
        rows = await self.rows(
            "SELECT d.version, d.row_version, d.updated_by, s.epoch, s.seq, s.dirty, CASE WHEN s.seq = %s THEN NULL ELSE s.state END AS state"
            " FROM drafts d LEFT JOIN shared s ON s.draft = d.id WHERE d.tenant = %s AND d.id = %s",
            seen, tenant, id,
        )  # fmt: skip
        return rows[0] if rows else None

    async def begin_shared(self, tenant: str, id: str, version: int, epoch: str, state: bytes) -> None:
        """Of the draft's newest `version`; nothing happens where another was faster, or has saved."""
        await self.rows(
            "INSERT INTO shared SELECT id, %s, 0, %s, false FROM drafts WHERE tenant = %s AND id = %s AND version = %s"
            " ON CONFLICT (draft) DO NOTHING RETURNING draft",
            epoch, state, tenant, id, version,
        )  # fmt: skip

    async def share(self, id: str, epoch: str, seen: int, merged: Callable[[bytes | None], tuple[bytes, bool]]) -> int | None:
        """Keeps what `merged` makes of what another node has written since `seen`: the state, and whether no version has it. None: it is another document now."""
        pool = await self.prepared()
        async with pool.connection() as conn, conn.transaction():
            row = await (await conn.execute("SELECT epoch, seq, state FROM shared WHERE draft = %s FOR UPDATE", (id,))).fetchone()
            if row is None or row["epoch"] != epoch:
                return None
            state, dirty = merged(None if row["seq"] == seen else bytes(row["state"]))
            seq: int = row["seq"] + 1
            await conn.execute("UPDATE shared SET state = %s, seq = %s, dirty = %s WHERE draft = %s", (state, seq, dirty, id))
        return seq

    async def unshare(self, id: str, epoch: str, seq: int) -> None:
        """All of it is in a version and nobody draws: the next begins anew, without the history of this one."""
        await self.rows("DELETE FROM shared WHERE draft = %s AND epoch = %s AND seq = %s AND NOT dirty RETURNING draft", id, epoch, seq)

    async def remove(self, tenant: str, id: str, seen: int | None) -> bool:
        """With its versions and comments. Raises: Changed."""
        pool = await self.prepared()
        async with pool.connection() as conn, conn.transaction():
            row = await (await conn.execute(_LOCKED, (tenant, id))).fetchone()
            if row is None:
                return False
            if seen is not None and seen != row["row_version"]:
                raise Changed(row)
            await conn.execute("DELETE FROM drafts WHERE id = %s", (id,))
        return True

    async def comments(self, tenant: str, id: str) -> list[Row]:
        """Oldest first."""
        return await self.rows(
            "SELECT c.id, c.element, c.body, c.at_us, c.author FROM comments c JOIN drafts d ON d.id = c.draft"
            " WHERE d.tenant = %s AND d.id = %s ORDER BY c.id",
            tenant, id,
        )  # fmt: skip

    async def comment(self, tenant: str, actor: str, id: str, body: str, element: str) -> bool:
        """Raises: Full."""
        pool = await self.prepared()
        async with pool.connection() as conn, conn.transaction():
            row = await (await conn.execute("SELECT id FROM drafts WHERE tenant = %s AND id = %s FOR UPDATE", (tenant, id))).fetchone()
            if row is None:
                return False
            count = await (await conn.execute("SELECT count(*) AS n FROM comments WHERE draft = %s", (id,))).fetchone()
            if count is not None and count["n"] >= COMMENTS_MAX:
                raise Full(f"there are {COMMENTS_MAX} comments, more aren't allowed")
            await conn.execute(
                "INSERT INTO comments (draft, element, body, at_us, author) VALUES (%s, %s, %s, %s, %s)",
                (id, element, body, self.now_us(), actor),
            )
        return True
