"""People and groups that somebody else provisions (SCIM): a person is a row of `users` with what their directory says of them beside it.

Names and addresses of mail stand here only, and not on the ledger, which forgets nothing.
"""

from __future__ import annotations

from typing import Any, LiteralString

import msgspec

TABLES: tuple[LiteralString, ...] = (
    "ALTER TABLE users ADD COLUMN IF NOT EXISTS managed text NOT NULL DEFAULT ''",
    "CREATE TABLE IF NOT EXISTS people ("
    " id text PRIMARY KEY, name text UNIQUE NOT NULL REFERENCES users ON DELETE CASCADE, external_id text, profile jsonb NOT NULL,"
    " version bigint NOT NULL, created_us bigint NOT NULL, changed_us bigint NOT NULL)",
    "CREATE INDEX IF NOT EXISTS people_external ON people (external_id)",
    "CREATE INDEX IF NOT EXISTS people_lower ON people (lower(name))",
    "CREATE TABLE IF NOT EXISTS groups ("
    " id text PRIMARY KEY, name text UNIQUE NOT NULL, external_id text, version bigint NOT NULL, created_us bigint NOT NULL, changed_us bigint NOT NULL)",
    "CREATE TABLE IF NOT EXISTS members ("
    " group_id text NOT NULL REFERENCES groups ON DELETE CASCADE, person_id text NOT NULL REFERENCES people ON DELETE CASCADE,"
    " PRIMARY KEY (group_id, person_id))",
    "CREATE INDEX IF NOT EXISTS members_of ON members (person_id)",
)
#: users with the groups that they are in
USERS: LiteralString = (
    "SELECT u.*, coalesce((SELECT array_agg(g.name ORDER BY g.name) FROM people p JOIN members m ON m.person_id = p.id"
    " JOIN groups g ON g.id = m.group_id WHERE p.name = u.name), '{}') AS groups FROM users u"
)
#: people and groups as they are shown; what follows says which
PEOPLE: LiteralString = (
    "SELECT p.*, u.active, coalesce((SELECT jsonb_agg(jsonb_build_array(g.id, g.name) ORDER BY g.name) FROM members m"
    " JOIN groups g ON g.id = m.group_id WHERE m.person_id = p.id), '[]') AS groups FROM people p JOIN users u ON u.name = p.name "
)
GROUPS: LiteralString = (
    "SELECT g.*, coalesce((SELECT jsonb_agg(jsonb_build_array(p.id, p.name) ORDER BY p.name) FROM members m"
    " JOIN people p ON p.id = m.person_id WHERE m.group_id = g.id), '[]') AS members FROM groups g "
)


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """`groups`: (id, name) of each."""

    id: str
    name: str
    external_id: str | None
    profile: dict[str, Any]
    active: bool
    version: int
    created_us: int
    changed_us: int
    groups: list[tuple[str, str]] = []


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """`members`: (id, name) of each."""

    id: str
    name: str
    external_id: str | None
    version: int
    created_us: int
    changed_us: int
    members: list[tuple[str, str]] = []
