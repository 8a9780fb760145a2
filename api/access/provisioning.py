"""People and groups as a directory provisions them (SCIM): changes of accounts like all others, each one transaction that is told to the ledger.

Only what was provisioned is seen and changed here: accounts that an administrator has made are none of the provider's business, and a name that is
one of theirs is taken. Who is deactivated or removed is out at once: sessions end, keys and tokens are refused. A removed name stays barred until the provider
makes it again, or an administrator removes the account.
"""

from __future__ import annotations

import asyncio
import secrets as chance
from collections.abc import Callable
from typing import Any, LiteralString, TypeVar

import msgspec
from psycopg.types.json import Jsonb
from scim2_models import InvalidValueException, NotFoundException, PreconditionFailedException, TooManyException, UniquenessException

from flowledger.api.access import scim_models as m
from flowledger.api.access.changes import FIRST, NAME, USERS_MAX, Accounts
from flowledger.api.access.known import away
from flowledger.api.problems import Problem
from flowledger.infra.accounts import people as rows
from flowledger.infra.accounts.store import Change
from flowledger.infra.own_tables import AWAY
from flowledger.infra.people import SCIM
from flowledger.processors.client import Caller

GROUPS_MAX = 10_000
#: bytes of what is kept of one person, characters of a name that a provider gives
PROFILE_MAX, TEXT_MAX = 16_384, 255
#: names in one event of the ledger
TOLD_MAX = 500
#: a filter that no index answers looks at so many people, or members of groups, at most
SCAN_MAX = 100_000
#: what an index answers: (endpoint, attribute) -> the condition
_BY: dict[tuple[str, str], LiteralString] = {
    ("Users", "id"): "WHERE p.id = %s",
    ("Users", "username"): "WHERE lower(p.name) = lower(%s)",
    ("Users", "externalid"): "WHERE p.external_id = %s",
    ("Groups", "id"): "WHERE g.id = %s",
    ("Groups", "displayname"): "WHERE g.name = %s",
    ("Groups", "externalid"): "WHERE g.external_id = %s",
}
Row = rows.Person | rows.Group
R = TypeVar("R", rows.Person, rows.Group, Row)


class Provisioning:
    def __init__(self, accounts: Accounts) -> None:
        self.accounts, self.store = accounts, accounts.store

    # --- reading ---------------------------------------------------------------------------------------------------------------

    async def get(self, kind: str, id: str) -> Row:
        """Raises: NotFoundException, Problem (503)."""
        return _one(await self._rows(kind, _BY[(kind, "id")], id), kind, id)

    async def by(self, kind: str, attribute: str, value: str) -> list[Row] | None:
        """None: no index answers that."""
        condition = _BY.get((kind, attribute.lower()))
        if condition is None:
            return None
        return [] if "\0" in value else await self._rows(kind, condition, value)  # no row has that, and none is asked for it

    async def page(self, kind: str, after: int, count: int) -> tuple[int, list[Row]]:
        """(how many there are, a page in the order of names)."""
        try:
            return (await self._count(kind), await self._rows(kind, _ORDER[kind], count, after))
        except AWAY as e:
            raise away(type(e).__name__) from None

    async def all(self, kind: str) -> list[Row]:
        """Raises: TooManyException."""
        try:
            many = (await self.store.rows(_SCANNED[kind]))[0]["n"]
        except AWAY as e:
            raise away(type(e).__name__) from None
        if many > SCAN_MAX:
            raise TooManyException(
                detail=f"{SCAN_MAX} people or members at most are looked through, found {many}: filter by id, externalId or the name"
            )
        return await self._rows(kind, _ORDER[kind], None, 0)

    async def _count(self, kind: str) -> int:
        return int((await self.store.rows(_COUNTED[kind]))[0]["n"])

    async def _rows(self, kind: str, condition: LiteralString, *values: Any) -> list[Row]:
        try:
            if kind == "Users":
                return list(msgspec.convert(await self.store.rows(rows.PEOPLE + condition, *values), list[rows.Person]))
            return list(msgspec.convert(await self.store.rows(rows.GROUPS + condition, *values), list[rows.Group]))
        except AWAY as e:
            raise away(type(e).__name__) from None

    # --- people ------------------------------------------------------------------------------------------------------------------

    async def make_person(self, by: Caller, wanted: m.User) -> str:
        """The id."""
        name, now_us, id = wanted.user_name or "", self.accounts.now_us(), chance.token_hex(16)
        if not NAME.fullmatch(name):
            raise InvalidValueException(detail=f"userName: letters, digits and ._@+- were expected, 100 at most, found {name[:120]!r}")
        profile, active = _profile(wanted), wanted.active is not False
        async with self.accounts.changing() as change:
            kept = await change.rows("SELECT name, managed FROM users WHERE lower(name) = lower(%s)", name)
            if kept and (kept[0]["managed"] != SCIM or kept[0]["name"] != name or await _known(change, name)):
                raise UniquenessException(detail=f"userName: there is an account {kept[0]['name']}")
            if await change.rows("SELECT 1 FROM api_keys WHERE actor = %s AND revoked_us = 0 AND expires_us > %s", name, now_us):
                raise UniquenessException(detail=f"userName: an API key acts as {name}")
            if name.lower() == FIRST:
                raise UniquenessException(detail=f"userName: {FIRST} is the first administrator's")
            if name in self.accounts.known.people.actors:
                raise UniquenessException(detail=f"userName: a certificate acts as {name}")
            if not kept and (await change.rows("SELECT count(*) AS n FROM users"))[0]["n"] >= USERS_MAX:
                raise Problem("RESOURCE_EXHAUSTED", f"there are {USERS_MAX} users, more aren't allowed")
            await change.rows(
                "INSERT INTO users (name, roles, tenants, active, created_us, created_by, managed) VALUES (%s, '{}', '{}', %s, %s, %s, %s)"
                " ON CONFLICT (name) DO UPDATE SET active = excluded.active, created_us = excluded.created_us, created_by = excluded.created_by",
                name, active, now_us, by.actor, SCIM,
            )  # fmt: skip
            await change.rows(
                "INSERT INTO people (id, name, external_id, profile, version, created_us, changed_us) VALUES (%s, %s, %s, %s, 1, %s, %s)",
                id, name, _external(wanted.external_id), Jsonb(profile), now_us, now_us,
            )  # fmt: skip
            await self._told(by, name, "provisioned", active, [])
        return id

    async def change_person(self, by: Caller, id: str, changed: Callable[[m.User], m.User | None], versions: frozenset[str]) -> None:
        """`changed`: what it is to be; None: nothing changes. Raises: SCIMException."""
        async with self.accounts.changing() as change:
            found = await change.rows(rows.PEOPLE + "WHERE p.id = %s", id)
            row = _one(msgspec.convert(found, list[rows.Person]), "Users", id)
            _fits(row.version, versions)
            wanted = await asyncio.to_thread(changed, m.user_of(row, ""))
            if wanted is None:
                return
            active = row.active if wanted.active is None else wanted.active  # what isn't said stays: nobody comes back by silence
            await change.rows(
                "UPDATE people SET external_id = %s, profile = %s, version = version + 1, changed_us = %s WHERE id = %s",
                _external(wanted.external_id), Jsonb(_profile(wanted)), self.accounts.now_us(), id,
            )  # fmt: skip
            if active != row.active:
                await change.rows("UPDATE users SET active = %s WHERE name = %s", active, row.name)
            if not active:
                await _out(change, row.name)
            await self._told(by, row.name, "changed", active, [name for _, name in row.groups])

    async def remove_person(self, by: Caller, id: str, versions: frozenset[str]) -> None:
        async with self.accounts.changing() as change:
            row = _one(msgspec.convert(await change.rows(rows.PEOPLE + "WHERE p.id = %s", id), list[rows.Person]), "Users", id)
            _fits(row.version, versions)
            await _out(change, row.name)
            await change.rows(
                "UPDATE api_keys SET revoked_us = %s, revoked_by = %s WHERE actor = %s AND revoked_us = 0",
                self.accounts.now_us(), by.actor, row.name,
            )  # fmt: skip
            await change.rows("DELETE FROM passkeys WHERE name = %s", row.name)
            await change.rows("UPDATE users SET active = false, password = '', link = NULL, link_us = 0 WHERE name = %s", row.name)
            await change.rows("DELETE FROM people WHERE id = %s", id)
            await self.accounts.tell(by, f"user:{row.name}", "removed", active=False)

    async def _told(self, by: Caller, name: str, change: str, active: bool, groups: list[str]) -> None:
        roles, tenants = self.accounts.known.people.grants(groups)
        await self.accounts.tell(by, f"user:{name}", change, roles=roles, tenants=tenants, active=active, groups=groups[:TOLD_MAX])

    # --- groups ------------------------------------------------------------------------------------------------------------------

    async def make_group(self, by: Caller, wanted: m.Group) -> str:
        """The id."""
        name, now_us, id = wanted.display_name or "", self.accounts.now_us(), chance.token_hex(16)
        async with self.accounts.changing() as change:
            await _free(change, name, id)
            if (await change.rows("SELECT count(*) AS n FROM groups"))[0]["n"] >= GROUPS_MAX:
                raise Problem("RESOURCE_EXHAUSTED", f"there are {GROUPS_MAX} groups, more aren't allowed")
            await change.rows(
                "INSERT INTO groups (id, name, external_id, version, created_us, changed_us) VALUES (%s, %s, %s, 1, %s, %s)",
                id, name, _external(wanted.external_id), now_us, now_us,
            )  # fmt: skip
            joined, _ = await self._members(change, id, set(), _ids(wanted))
            await self._tell_group(by, name, "made", joined, [])
        return id

    async def change_group(self, by: Caller, id: str, changed: Callable[[m.Group], m.Group | None], versions: frozenset[str]) -> None:
        """As `change_person`."""
        async with self.accounts.changing() as change:
            row = _one(msgspec.convert(await change.rows(rows.GROUPS + "WHERE g.id = %s", id), list[rows.Group]), "Groups", id)
            _fits(row.version, versions)
            wanted = await asyncio.to_thread(changed, m.group_of(row, ""))
            if wanted is None:
                return
            name = wanted.display_name or ""
            await _free(change, name, id)
            await change.rows(
                "UPDATE groups SET name = %s, external_id = %s, version = version + 1, changed_us = %s WHERE id = %s",
                name, _external(wanted.external_id), self.accounts.now_us(), id,
            )  # fmt: skip
            joined, left = await self._members(change, id, {i for i, _ in row.members}, _ids(wanted))
            renamed = {"name": name} if name != row.name else {}
            await self._tell_group(by, row.name, "changed", joined, left, **renamed)

    async def remove_group(self, by: Caller, id: str, versions: frozenset[str]) -> None:
        async with self.accounts.changing() as change:
            row = _one(msgspec.convert(await change.rows(rows.GROUPS + "WHERE g.id = %s", id), list[rows.Group]), "Groups", id)
            _fits(row.version, versions)
            _, left = await self._members(change, id, {i for i, _ in row.members}, set())
            await change.rows("DELETE FROM groups WHERE id = %s", id)
            await self._tell_group(by, row.name, "removed", [], left)

    async def _members(self, change: Change, id: str, had: set[str], wanted: set[str]) -> tuple[list[str], list[str]]:
        """(names of who has joined, of who has left)."""
        new, gone = sorted(wanted - had), sorted(had - wanted)
        names = await change.rows("SELECT id, name FROM people WHERE id = ANY (%s) ORDER BY name", new + gone)
        if strange := set(new) - {n["id"] for n in names}:
            raise InvalidValueException(detail=f"members: ids of users here were expected, found {', '.join(sorted(strange))[:200]}")
        await change.rows("INSERT INTO members SELECT %s, unnest(%s::text[])", id, new)
        await change.rows("DELETE FROM members WHERE group_id = %s AND person_id = ANY (%s)", id, gone)
        await change.rows(
            "UPDATE people SET version = version + 1, changed_us = %s WHERE id = ANY (%s)", self.accounts.now_us(), new + gone
        )
        coming = set(new)
        return [n["name"] for n in names if n["id"] in coming], [n["name"] for n in names if n["id"] not in coming]

    async def _tell_group(self, by: Caller, group: str, change: str, joined: list[str], left: list[str], **facts: Any) -> None:
        """In as many events as the names take."""
        told = [(True, n) for n in joined] + [(False, n) for n in left]
        for at in range(0, max(1, len(told)), TOLD_MAX):
            part = told[at : at + TOLD_MAX]
            await self.accounts.tell(
                by, f"group:{group}", change, joined=[n for j, n in part if j], left=[n for j, n in part if not j], **facts
            )


_ORDER: dict[str, LiteralString] = {"Users": "ORDER BY p.name LIMIT %s OFFSET %s", "Groups": "ORDER BY g.name LIMIT %s OFFSET %s"}
_COUNTED: dict[str, LiteralString] = {"Users": "SELECT count(*) AS n FROM people", "Groups": "SELECT count(*) AS n FROM groups"}
_SCANNED: dict[str, LiteralString] = {
    "Users": "SELECT count(*) AS n FROM people",
    "Groups": "SELECT (SELECT count(*) FROM members) + (SELECT count(*) FROM groups) AS n",
}


def _one(found: list[R], kind: str, id: str) -> R:
    if not found:
        raise NotFoundException(detail=f"no {kind[:-1].lower()} {id[:80]}")
    return found[0]


def _fits(version: int, versions: frozenset[str]) -> None:
    """`versions`: what `If-Match` has named; none: whichever it is."""
    if versions and m.etag(version) not in versions:
        raise PreconditionFailedException(
            detail=f"{', '.join(sorted(versions))[:200]} was expected, found {m.etag(version)}: it has changed since it was read"
        )


def _external(given: str | None) -> str | None:
    if given is not None and (len(given) > TEXT_MAX or not given.isprintable()):
        raise InvalidValueException(detail=f"externalId: {TEXT_MAX} printable characters at most were expected, found {len(given)}")
    return given


def _profile(user: m.User) -> dict[str, Any]:
    found = m.profile_of(user)
    if (size := len(msgspec.json.encode(found))) > PROFILE_MAX:
        raise InvalidValueException(detail=f"names and addresses of {PROFILE_MAX} bytes at most were expected, found {size}")
    if "\\u0000" in msgspec.json.encode(found).decode():
        raise InvalidValueException(detail="texts without the character U+0000 were expected")
    return found


def _ids(group: m.Group) -> set[str]:
    found = set()
    for member in group.members or ():
        if member.type is not None and member.type.lower() != "user":
            raise InvalidValueException(
                detail=f"members: users were expected, found a {member.type[:40]}: groups have no groups in them here"
            )
        if not member.value or "\0" in member.value:
            raise InvalidValueException(detail="members: each has a value, the id of a user")
        found.add(member.value)
    if len(found) > USERS_MAX:
        raise InvalidValueException(detail=f"members: {USERS_MAX} at most were expected, found {len(found)}")
    return found


async def _free(change: Change, name: str, id: str) -> None:
    if not name or not name.isprintable():
        raise InvalidValueException(detail=f"displayName: printable characters were expected, found {name[:80]!r}")
    if await change.rows("SELECT 1 FROM groups WHERE name = %s AND id <> %s", name, id):
        raise UniquenessException(detail=f"displayName: there is a group {name[:80]}")


async def _known(change: Change, name: str) -> bool:
    return bool(await change.rows("SELECT 1 FROM people WHERE name = %s", name))


async def _out(change: Change, name: str) -> None:
    """All their sessions are over: those of here, and those that an issuer or the directory has vouched for."""
    await change.rows("DELETE FROM sessions WHERE name = %s", name)
    await change.rows("DELETE FROM guests WHERE name = %s", name)
