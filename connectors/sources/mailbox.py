"""A folder of a mail box (IMAP) as a source. A mail's place is its UID, which only grows while the folder's UIDVALIDITY is the same (RFC 9051, 2.3.1.1);
the folder is opened to be read only, and no flag tells what was taken.

The standard library speaks the protocol, in a thread, over a socket to an address that the gate has checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, TypeVar

from flowledger.connectors import reach
from flowledger.connectors.files import plain
from flowledger.connectors.frame import Failed
from flowledger.connectors.sources import mails
from flowledger.connectors.sources.frame import BEGUN, Away, Got, Opening, beginning, begun
from flowledger.connectors.sources.shared import addresses, secret, why
from flowledger.events.files import uri_of
from flowledger.events.triggers import TriggerItem
from flowledger.infra.blobs import Full, TooLarge
from flowledger.kernel.model.trigger_fields import duration_us

T = TypeVar("T")
PART, VALIDITY = "mails", "validity"
PORTS = {"verify": 993, "starttls": 143, "off": 143}
#: how often it is looked, and how long an answer may take (seconds); mails of one look
EVERY_S, PATIENCE_S, MAILS_MAX = 10.0, 30.0, 50
#: of one mail; of one answer there is a little more
BYTES_MAX = 10 * 1024 * 1024
#: how long a server took differs each time, and would be told each time as another error
_TOOK = re.compile(r" ?\([0-9.+ ]+secs\)\.?$")
_DIGITS = re.compile(rb"[0-9]+")
_UID, _SIZE = re.compile(rb"\bUID (\d+)"), re.compile(rb"\bRFC822\.SIZE (\d+)")


async def open_mailbox(opening: Opening) -> Mailbox:
    config = opening.config
    tls = config.get("tls", "verify")
    port = config.get("port", PORTS[tls])
    places = await addresses(opening.gate, "imap", config["host"], port)
    password = await secret(opening, config["password"])
    try:
        async with asyncio.timeout(PATIENCE_S):
            connected = await reach.each(places, lambda place: reach.socket_to(place, port))
    except (OSError, Failed) as e:
        raise Away(f"the mail box can't be read: {why(e)}") from None
    found = Mailbox(opening, connected)
    try:
        await found.start(password, opening.gate.tls if tls != "off" else None)
    except BaseException:
        await found.close()
        raise
    return found


class Mailbox:
    def __init__(self, opening: Opening, connected: socket.socket) -> None:
        config = opening.config
        self._config = config
        self._socket = connected
        self._imap: imaplib.IMAP4 | None = None
        self.folder: str = config.get("folder", "INBOX")
        self._bytes: int = config.get("bytes", BYTES_MAX)
        self._shape = mails.Shape(self.folder, config.get("value", "text"), config.get("attachments", "none"))
        self._tenant, self._blobs = opening.tenant, opening.blobs
        self._every_s = duration_us(config["every"]) / 1e6 if "every" in config else EVERY_S
        self._begun = begun(opening)
        self._from_now = config.get("from") != "start" and not self._begun
        self._place = opening.places.get(PART)
        self._validity = opening.places.get(VALIDITY)
        self._first: list[Got] = []
        self._lag = -1

    async def _ask(self, what: Callable[[], T]) -> T:
        """In a thread, which ends when the socket is closed. Raises: Away."""
        try:
            return await asyncio.to_thread(what)
        except (imaplib.IMAP4.error, OSError, EOFError) as e:
            if (broken := reach.tls_of(e)) is not None:
                raise Away(f"the mail box can't be read: the server is not who it says, or speaks no TLS: {broken}") from None
            words = "no answer within the time" if isinstance(e, TimeoutError) else _TOOK.sub("", why(e))
            raise Away(f"the mail box can't be read: {words}") from None

    async def start(self, password: str, tls: ssl.SSLContext | None) -> None:
        """Raises: Away."""
        config = self._config
        kind = config.get("tls", "verify")
        if not password.isascii() or not config["username"].isascii() or any(ch < " " for ch in password):
            raise Away("the mail box can't be read: expected a name and a password of one line of ASCII")

        def greet() -> None:
            self._socket.settimeout(PATIENCE_S)
            made = _Imap(self._socket, config["host"], tls if kind == "verify" else None, self._bytes)
            self._imap = made
            if kind == "starttls":
                made.starttls(tls)

        await self._ask(greet)
        imap = self._known()
        try:
            await self._ask(lambda: imap.login(config["username"], password))
        except Away as e:
            raise Away(str(e).replace(password, "***")) from None
        # a name with blanks and quotes is a quoted string (RFC 9051, 9)
        name = '"' + self.folder.replace("\\", "\\\\").replace('"', '\\"') + '"'
        await self._ask(lambda: _fine(imap.select(name, readonly=True), f"the folder {self.folder} can't be opened"))
        validity, following = await self._ask(lambda: (_number(imap, "UIDVALIDITY"), _number(imap, "UIDNEXT")))
        if self._validity is not None and self._validity != validity:
            raise Away(
                f"the folder {self.folder} was made anew, and its mails are counted from the first again (UIDVALIDITY {validity}, {self._validity} before): "
                "delete the trigger and put it again to read what is there now"
            )
        if self._validity is None:
            self._first = [Got(VALIDITY, [TriggerItem(context={}, place=validity, passed=True)])]
        if self._place is None:
            self._place = following - 1 if self._from_now else 0
        if not self._begun:
            self._first += beginning({PART: following}) if self._from_now else [BEGUN]

    def _known(self) -> imaplib.IMAP4:
        assert self._imap is not None, "it is started"
        return self._imap

    async def batches(self) -> AsyncIterator[Got]:
        imap = self._known()
        for got in self._first:
            yield got
        while True:
            assert self._place is not None, "it is started"
            uids = await self._ask(partial(_uids, imap, self._place))
            for start in range(0, len(uids), MAILS_MAX):
                some = uids[start : start + MAILS_MAX]
                self._lag = len(uids) - start
                sizes = await self._ask(partial(_sizes, imap, some))
                for uid, size in sizes.items():
                    yield Got(PART, [await self._item(imap, uid, size)])
                if some[-1] not in sizes:  # it was deleted meanwhile, and has had its turn
                    yield Got(PART, [TriggerItem(context={}, place=some[-1], passed=True)])
                self._place = some[-1]
            self._lag = 0
            await asyncio.sleep(self._every_s)
            await self._ask(lambda: _fine(imap.noop(), "it does not answer"))

    async def _item(self, imap: imaplib.IMAP4, uid: int, size: int) -> TriggerItem:
        large = size > self._bytes
        raw = await self._ask(lambda: _fetched(imap, uid, "BODY.PEEK[HEADER]" if large else "BODY.PEEK[]"))
        if raw is None:
            return TriggerItem(context={}, place=uid, passed=True)
        context, reason = await asyncio.to_thread(mails.read, raw, self._shape, uid, size)
        if large:
            reason = f"it has {size} bytes, more than the {self._bytes} that are taken"
        if self._shape.attachments == "files":
            reason = await self._keep(context.get("attachments") or [], bool(reason)) or reason
        return TriggerItem(context=context, place=uid, reason=reason)

    async def _keep(self, attachments: list[dict[str, Any]], unused: bool) -> str:
        """Each as a file, which the instance that the mail starts will have. Before the log has the mail: what nobody needs in the end goes as other files do.

        What is wrong with one, in words; empty: nothing. Raises: Away.
        """
        names: set[str] = set()
        contents = [told.pop("bytes") for told in attachments]
        for n, (told, data) in enumerate(zip(attachments, contents, strict=True), 1):
            if unused:
                break
            if self._blobs is None:
                raise Away("nobody keeps files here")
            try:
                kept = await self._blobs.put(self._tenant, _whole(data))
            except TooLarge:
                return f"its attachment {n} has {len(data)} bytes, more than a file may have (setting blob_bytes_max)"
            except (Full, OSError) as e:
                raise Away(f"attachments can't be kept now: {str(e) or type(e).__name__}") from None
            name = named(told["name"], n, names)
            told["file"] = {
                "name": name,
                "uri": uri_of(kept.sha256),
                "media_type": told["media_type"],
                "size": kept.size,
                "sha256": kept.sha256,
            }
        return ""

    async def acknowledge(self, got: Got) -> None:
        """Its place is remembered; the mail stays as it is."""

    def lag(self) -> int:
        return self._lag

    async def close(self) -> None:
        """A thread that waits for the server ends with the socket."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._imap is not None:
            with contextlib.suppress(OSError, imaplib.IMAP4.error, EOFError):
                await asyncio.to_thread(self._imap.shutdown)
        self._socket.close()


def named(name: str, number: int, taken: set[str]) -> str:
    """Of a file: as it was called, as far as a file may be called so, and once among those of its mail (which `taken` has)."""
    name = plain(name) or f"attachment-{number}"
    stem, dot, end = name.rpartition(".")
    found, again = name, 1
    while found in taken:
        again += 1
        found = f"{stem} ({again}){dot}{end}" if stem else f"{name} ({again})"
    taken.add(found)
    return found


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data


class _Imap(imaplib.IMAP4):
    """Over a socket that is there, with bounds for what the other side says."""

    def __init__(self, connected: socket.socket, host: str, tls: ssl.SSLContext | None, most: int) -> None:
        self._connected, self._tls, self._most = connected, tls, most + 256 * 1024
        super().__init__(host)

    def _create_socket(self, timeout: float | None) -> Any:
        if self._tls is not None:
            self._connected = self._tls.wrap_socket(self._connected, server_hostname=self.host)
        return self._connected

    def read(self, size: int) -> bytes:
        if size > self._most:
            raise self.abort(f"the server says {size} bytes at once, more than the {self._most} that are taken")
        return super().read(size)


def _fine(told: tuple[str, list[Any]], words: str) -> list[Any]:
    """Raises: IMAP4.error."""
    kind, data = told
    if kind != "OK":
        said = data[0] if data and isinstance(data[0], bytes) else b""
        raise imaplib.IMAP4.error(f"{words}: {said.decode(errors='replace')[:200]}")
    return data


def _number(imap: imaplib.IMAP4, name: str) -> int:
    _, data = imap.response(name)
    raw = data[0] if data else None
    if not isinstance(raw, bytes) or not _DIGITS.fullmatch(raw):
        raise imaplib.IMAP4.error(f"the server does not say {name} of the folder")
    return int(raw)


def _uids(imap: imaplib.IMAP4, after: int) -> list[int]:
    """Those that came since, in their order. `N:*` names the last one, too, though it is older."""
    data = _fine(imap.uid("SEARCH", f"UID {after + 1}:*"), "what came can't be asked for")
    return sorted({int(u) for part in data if isinstance(part, bytes) for u in _DIGITS.findall(part) if int(u) > after})


def _sizes(imap: imaplib.IMAP4, uids: list[int]) -> dict[int, int]:
    """Of those that are still there, in their order."""
    data = _fine(imap.uid("FETCH", ",".join(map(str, uids)), "(RFC822.SIZE)"), "sizes of mails can't be asked for")
    found = {}
    for row in data:
        line = row if isinstance(row, bytes) else row[0] if isinstance(row, tuple) else b""
        uid, size = _UID.search(line), _SIZE.search(line)
        if uid is not None and size is not None:
            found[int(uid[1])] = int(size[1])
    return {uid: found[uid] for uid in uids if uid in found}


def _fetched(imap: imaplib.IMAP4, uid: int, what: str) -> bytes | None:
    """None: it is gone."""
    data = _fine(imap.uid("FETCH", str(uid), f"({what})"), "a mail can't be fetched")
    return next((bytes(row[1]) for row in data if isinstance(row, tuple)), None)
