"""A directory of people over LDAP (RFC 4511), by the library `ldap3`: is this their password, and in which groups are they?

Whoever looks people up searches for the name, made harmless; then the one who was found binds with the password. The library waits, so it works in threads,
few at once; each step has a time limit.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_filter_chars

from flowledger.infra.people import Directory

#: sign-ins that wait for their turn; names and passwords that are looked at; groups of one person
WAITING_MAX, NAME_MAX, PASSWORD_MAX, GROUPS_MAX = 50, 256, 1_000, 1_000
FOUND, NO_SUCH_OBJECT = 0, 32
#: what a server says of a bind that isn't to be (RFC 4511, appendix A): the password doesn't fit; it has none; it is locked or out of use
NOT_THEIRS = frozenset((19, NO_SUCH_OBJECT, 48, 49, 50, 53))
T = TypeVar("T")


class Away(Exception):
    """The directory can't be asked, or not by us; its text says why."""


class Busy(Exception):
    """Too many wait already."""


class Found(NamedTuple):
    """`name`: as the directory has it."""

    name: str
    dn: str
    groups: list[str]


class Ldap:
    def __init__(self, directory: Directory) -> None:
        """Raises: SettingsError, OSError: no such password, or no such file."""
        self.directory, self._password = directory, directory.password
        self._turns, self._waiting = asyncio.Semaphore(directory.connections), 0
        self._tls = None
        if directory.start_tls or directory.url.startswith("ldaps:"):
            ssl.create_default_context(cafile=directory.ca_file or None)  # whether that can be read is known at the start
            self._tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=directory.ca_file or None)

    async def sign_in(self, name: str, password: str) -> Found | None:
        """None: the two don't fit. Raises: Away, Busy."""
        if not name or len(name) > NAME_MAX or not password or len(password) > PASSWORD_MAX or "\0" in password:
            return None  # a bind without a password succeeds: it is nobody's (RFC 4513, 5.1.2)
        return await self._beside(lambda: self._sign_in(name, password))

    async def still(self, dn: str, name: str) -> Found | None:
        """Somebody who has signed in before, as they are now; None: they aren't there any more. Raises: Away, Busy."""
        return await self._beside(lambda: self._still(dn, name))

    async def _beside(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise Busy
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work)
        except (LDAPException, OSError) as e:
            raise Away(f"{type(e).__name__}: {e}"[:300]) from None
        finally:
            self._waiting -= 1

    # --- in a thread -------------------------------------------------------------------------------------------------------------

    def _open(self, dn: str, password: str) -> tuple[ldap3.Connection, bool]:
        """A connection, and whether it is bound as that. Raises: LDAPException, OSError."""
        d = self.directory
        server = ldap3.Server(d.url, get_info=ldap3.NONE, connect_timeout=d.timeout_s, tls=self._tls)
        connection = ldap3.Connection(
            server, dn or None, password or None, authentication=ldap3.SIMPLE if dn else ldap3.ANONYMOUS, receive_timeout=d.timeout_s,
            read_only=True, auto_referrals=False, auto_encode=False, check_names=False,
        )  # fmt: skip
        connection.open(read_server_info=False)
        if d.start_tls and not connection.start_tls(read_server_info=False):
            raise Away("it doesn't speak StartTLS")
        good = bool(connection.bind(read_server_info=False))
        if not good and connection.result["result"] not in NOT_THEIRS:
            raise Away(f"a bind was refused: {connection.result['description']}")
        return connection, good

    def _reader(self) -> ldap3.Connection:
        connection, good = self._open(self.directory.bind_dn, self._password)
        if not good:
            raise Away(f"it doesn't take the password of who looks people up (bind_dn): {connection.result['description']}")
        return connection

    def _sign_in(self, name: str, password: str) -> Found | None:
        reader = self._reader()
        try:
            found = self._person(reader, self.directory.base, ldap3.SUBTREE, name)
            # who isn't there is tried as well, so that it takes as long
            bound, good = self._open(found[0] if found else self.directory.base, password)
            bound.unbind()
            return Found(found[1], found[0], self._groups(reader, *found)) if found and good else None
        finally:
            reader.unbind()

    def _still(self, dn: str, name: str) -> Found | None:
        reader = self._reader()
        try:
            found = self._person(reader, dn, ldap3.BASE, name)
            return Found(found[1], found[0], self._groups(reader, *found)) if found else None
        finally:
            reader.unbind()

    def _person(self, reader: ldap3.Connection, base: str, scope: str, name: str) -> tuple[str, str] | None:
        """(dn, name) of the one who is meant."""
        d = self.directory
        entries = self._search(reader, base, d.filter.replace("{name}", escape_filter_chars(name)), scope, d.name, 2)
        if len(entries) != 1 or len(values := entries[0][1]) != 1 or not entries[0][0]:
            return None
        return entries[0][0], values[0]

    def _groups(self, reader: ldap3.Connection, dn: str, name: str) -> list[str]:
        d = self.directory
        if not d.group_base:
            return []
        asked = d.group_filter.replace("{name}", escape_filter_chars(name)).replace("{dn}", escape_filter_chars(dn))
        entries = self._search(reader, d.group_base, asked, ldap3.SUBTREE, d.group_name, GROUPS_MAX)
        return sorted({value for _, values in entries for value in values})

    def _search(
        self, reader: ldap3.Connection, base: str, asked: str, scope: str, attribute: str, most: int
    ) -> list[tuple[str, list[str]]]:
        """(dn, values of the attribute) of each. Raises: Away: there are more, or it isn't allowed."""
        reader.search(base, asked, scope, attributes=[attribute], size_limit=most, time_limit=max(1, int(self.directory.timeout_s)))
        result = reader.result
        entries: list[tuple[str, list[str]]] = []
        for entry in reader.response or ():
            if entry["type"] == "searchResEntry":
                raw: list[bytes] = next((v for k, v in entry["raw_attributes"].items() if k.lower() == attribute.lower()), [])
                entries.append((entry["dn"], [v.decode("utf-8", "replace") for v in raw]))
        if result["result"] == 4 and most == 2:  # of two nobody knows who is meant
            return entries
        if result["result"] not in (FOUND, NO_SUCH_OBJECT):
            raise Away(f"a search was refused: {result['description']}")
        return entries
