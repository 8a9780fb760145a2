"""One connection of AMQP 1.0 with one session (part 2 of the standard), over a socket that the gate has checked: links that send, links that receive.

It comes back after a loss no more than it was told to come: that is the reader's (`sources/readers.py`), as with all sources.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from flowledger.connectors.amqp10.types import Described, Garbled, Symbol, UByte, UInt, ULong, decode, encode

T = TypeVar("T")
#: bytes of one frame, both ways; of one message that is received, beyond which it is told without its body
FRAME_BYTES_MAX, MESSAGE_BYTES_MAX = 128 * 1024, 4 * 1024 * 1024
#: what we ask the server to say something within; one that is silent for twice as long is gone (seconds)
IDLE_S = 20
#: how long an end is waited for that we ask for (seconds)
CLOSE_S = 1.0
#: frames that the other side may send without waiting: what bounds them is the credit of each link
WINDOW = 0x7FFFFFFF
#: what a transfer needs in a frame beside its payload
_ROOM = 512
#: numbers of the protocol go round
_ROUND = 1 << 32
_HEADER, _SASL = b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00"
_OPEN, _BEGIN, _ATTACH, _FLOW, _TRANSFER, _DISPOSITION, _DETACH, _END, _CLOSE = range(0x10, 0x19)
_SOURCE, _TARGET, _ACCEPTED = 0x28, 0x29, Described(ULong(0x24), [])
_MECHANISMS, _INIT, _OUTCOME = 0x40, 0x41, 0x44
#: what becomes of a message that was sent; the others (it was received) are no end
OUTCOMES = {0x24: "accepted", 0x25: "rejected", 0x26: "released", 0x27: "modified"}
#: fields that any frame is read with: those that are left out are null
_FIELDS = 14


class Refused(Exception):
    """The server said no: `condition` is the protocol's word, such as `amqp:not-found`."""

    def __init__(self, condition: str, description: str = "") -> None:
        super().__init__(f"{condition}: {description}"[:300] if description else condition)
        self.condition, self.description = condition, description


class NotLetIn(Refused):
    """By the server, before anything else."""


def refusal(error: Any) -> Refused | None:
    """Of an `error` of the protocol; None: there is none."""
    if not isinstance(error, Described) or not isinstance(error.value, list):
        return None
    condition, description = [v if isinstance(v, str) else "" for v in [*error.value, None, None][:2]]
    return Refused(condition or "amqp:internal-error", description)


def _whole(value: Any, otherwise: int | None = None) -> int:
    """A number of a frame; `otherwise` where it is left out. Raises: TypeError."""
    found = otherwise if value is None else value
    if type(found) is not int:
        raise TypeError(f"expected a number, found {type(found).__name__}")
    return found


class Link:
    """`role`: True receives. `credit`: messages that the other side (of one that sends), or we (of one that receives), still take."""

    def __init__(self, name: str, handle: int, role: bool) -> None:
        self.name, self.handle, self.role = name, handle, role
        self.attached = False
        self.ended: Exception | None = None
        self.credit = self.count = self.largest = 0
        #: of one that receives: messages that waited in the server when it said so last, and how many had come then; -1: it doesn't say
        self.available, self.come_then = -1, 0
        #: (delivery, payload, or None where it was too large) of one that receives
        self.come: deque[tuple[int, bytes | None]] = deque()
        self.part, self.size, self.delivery = bytearray(), 0, 0


class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def __init__(self, hostname: str) -> None:
        self.hostname = hostname
        self.lost: Exception | None = None
        self._links: list[Link] = []
        self._theirs: dict[int, Link] = {}
        self._outcomes: dict[int, Described | None] = {}
        self._pulse = asyncio.Event()
        self._opened = self._begun = False
        self._frame_max = FRAME_BYTES_MAX
        self._received = self._sent = self._window = self._deliveries = 0
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def over(
        cls, connected: socket.socket, tls: ssl.SSLContext | None, host: str, hostname: str, username: str, password: str
    ) -> Connection:
        """Open, with a session. Without a name we are nobody (ANONYMOUS). Raises: NotLetIn, Refused, OSError, EOFError."""
        made = cls(hostname or host)
        made.reader, made.writer = await asyncio.open_connection(sock=connected, ssl=tls, server_hostname=host if tls is not None else None)
        try:
            await made._start(username, password)
        except BaseException:
            await made.close()
            raise
        return made

    # --- frames -----------------------------------------------------------------------------------------------------

    async def _read(self) -> tuple[int, list[Any], bytes]:
        """(kind of frame, its fields, what stands behind them); kind 0: an empty one. Raises: EOFError, OSError."""
        head = await self.reader.readexactly(8)
        size, offset = int.from_bytes(head[:4], "big"), head[4] * 4
        if head[:4] == b"AMQP" or not 8 <= offset <= size <= FRAME_BYTES_MAX:
            raise ConnectionError("what came is no frame of AMQP 1.0")
        body = (await self.reader.readexactly(size - 8))[offset - 8 :]
        if not body:
            return 0, [], b""
        try:
            found, length = decode(body)
        except Garbled as e:
            raise ConnectionError(f"what came is no frame of AMQP 1.0: {e}") from None
        if not isinstance(found, Described) or not isinstance(found.code, int) or not isinstance(found.value, list):
            raise ConnectionError("what came is no frame of AMQP 1.0")
        return found.code, found.value + [None] * (_FIELDS - len(found.value)), body[length:]

    async def _write(self, kind: int, fields: list[Any], payload: bytes = b"", sasl: bool = False) -> None:
        """Kind 0: an empty one. Channel 0, since there is one session."""
        body = encode(Described(ULong(kind), fields)) + payload if kind else b""
        self.writer.write((len(body) + 8).to_bytes(4, "big") + bytes((2, sasl, 0, 0)) + body)
        await self.writer.drain()

    async def _greet(self, header: bytes) -> None:
        self.writer.write(header)
        await self.writer.drain()
        found = await self.reader.readexactly(8)
        if found != header:
            raise ConnectionError(f"expected AMQP 1.0, found {found!r}")

    # --- opening ----------------------------------------------------------------------------------------------------

    async def _start(self, username: str, password: str) -> None:
        await self._greet(_SASL)
        kind, fields, _ = await self._read()
        offered = fields[0] if kind == _MECHANISMS else None
        mine = "PLAIN" if username else "ANONYMOUS"
        if mine not in (offered if isinstance(offered, list) else [offered]):
            raise NotLetIn("amqp:unauthorized-access", f"the server takes no {mine}")
        answer = b"\0" + username.encode() + b"\0" + password.encode() if username else b"flowledger"
        await self._write(_INIT, [Symbol(mine), answer, self.hostname], sasl=True)
        kind, fields, _ = await self._read()
        if kind != _OUTCOME:
            raise NotLetIn("amqp:unauthorized-access", "the server asks for more than a name and a password")
        if fields[0] in (3, 4):  # trouble of its own, for good or for now
            raise Refused("amqp:internal-error", "the server can't look at who we are")
        if fields[0] != 0:
            raise NotLetIn("amqp:unauthorized-access", "the server does not let us in")
        await self._greet(_HEADER)
        self._tasks.append(asyncio.create_task(self._pump(), name="amqp 1.0: frames that come"))
        await self._write(_OPEN, [f"flowledger-{uuid.uuid4()}", self.hostname, UInt(FRAME_BYTES_MAX), None, UInt(IDLE_S * 1000)])
        await self._until(lambda: self._opened or None)
        await self._write(_BEGIN, [None, UInt(0), UInt(WINDOW), UInt(WINDOW)])
        await self._until(lambda: self._begun or None)

    async def _pump(self) -> None:
        try:
            while True:
                async with asyncio.timeout(2 * IDLE_S):  # what it is answered counts, too: it may have ceased to read
                    kind, fields, rest = await self._read()
                    await self._on(kind, fields, rest)
                self._tell()
        except TimeoutError:
            self.lost = ConnectionError("the server has been silent for too long")
        except (OSError, EOFError, Refused) as e:
            self.lost = e
        except (ValueError, TypeError, KeyError) as e:  # a field of another type than the standard says
            self.lost = ConnectionError(f"what came is no frame of AMQP 1.0: {type(e).__name__}")
        finally:
            self.lost = self.lost or ConnectionError("the connection has ended")
            self._tell()

    def _tell(self) -> None:
        self._pulse.set()
        self._pulse.clear()

    async def _until(self, found: Callable[[], T | None], link: Link | None = None) -> T:
        """Raises: what ended the link, or the connection."""
        while (value := found()) is None:
            if link is not None and link.ended is not None:
                raise link.ended
            if self.lost is not None:
                raise self.lost
            await self._pulse.wait()
        return value

    async def _beat(self, every_s: float) -> None:
        with contextlib.suppress(OSError):
            while True:
                await asyncio.sleep(every_s)
                await self._write(0, [])

    # --- what comes -------------------------------------------------------------------------------------------------

    async def _on(self, kind: int, fields: list[Any], rest: bytes) -> None:
        if kind == _OPEN:
            if self._opened:
                raise ConnectionError("the server has opened the connection twice")
            self._opened = True
            self._frame_max = max(512, min(FRAME_BYTES_MAX, _whole(fields[2], FRAME_BYTES_MAX)))
            if idle_ms := _whole(fields[4], 0):
                self._tasks.append(asyncio.create_task(self._beat(max(idle_ms / 2000, 0.1)), name="amqp 1.0: signs of life"))
        elif kind == _BEGIN:
            self._begun, self._window = True, _whole(fields[2])
        elif kind == _ATTACH:
            self._attached(fields)
        elif kind == _FLOW:
            await self._flow(fields)
        elif kind == _TRANSFER:
            self._transfer(fields, rest)
        elif kind == _DISPOSITION and fields[0]:
            state, first = fields[4] or _ACCEPTED, _whole(fields[1])
            last = _whole(fields[2], first)
            if isinstance(state, Described) and state.code in OUTCOMES:
                for number in self._outcomes:  # of ours: what the other side names may be all numbers that there are
                    if first <= number <= last:
                        self._outcomes[number] = state
        elif kind == _DETACH:
            if (link := self._theirs.pop(fields[0], None)) is not None:
                link.ended = refusal(fields[2]) or Refused("amqp:link:detach-forced", "the server has ended the link")
        elif kind in (_END, _CLOSE):
            raise refusal(fields[0]) or ConnectionError("the server has ended the connection")

    def _attached(self, fields: list[Any]) -> None:
        name, handle, role = fields[:3]
        for link in self._links:
            if link.name == name and link.role != role:
                self._theirs[handle] = link
                if fields[5 if link.role else 6] is None:  # the reason comes with the detach that follows
                    return
                link.attached, link.largest = True, _whole(fields[10], 0)
                if link.role:
                    link.count = _whole(fields[9], 0)

    async def _flow(self, fields: list[Any]) -> None:
        # what it has not seen yet counts against its window
        self._window = max(0, _whole(fields[0], 0) + _whole(fields[1]) - self._sent)
        link = self._theirs.get(fields[4]) if fields[4] is not None else None
        if link is not None and link.role and fields[7] is not None:
            link.available, link.come_then = _whole(fields[7]), _whole(fields[5], link.count)
        if link is not None and not link.role:
            link.credit = max(0, _whole(fields[5], 0) + _whole(fields[6], 0) - link.count)
        if fields[9]:  # it asks how things are here
            await self._write(_FLOW, self._windows())

    def _windows(self) -> list[Any]:
        return [UInt(self._received), UInt(WINDOW), UInt(self._sent), UInt(WINDOW)]

    def _transfer(self, fields: list[Any], payload: bytes) -> None:
        self._received = (self._received + 1) % _ROUND
        link = self._theirs[fields[0]]
        if not link.role or link.credit <= 0:
            raise ConnectionError("the server sends what nobody has asked for")
        link.delivery = _whole(fields[1], link.delivery)
        link.size += len(payload)
        if link.size <= MESSAGE_BYTES_MAX:
            link.part += payload
        more, aborted = fields[5], fields[9]
        if aborted or not more:
            if not aborted:
                link.come.append((link.delivery, bytes(link.part) if link.size <= MESSAGE_BYTES_MAX else None))
            link.count, link.credit = (link.count + 1) % _ROUND, link.credit - 1
            link.part, link.size = bytearray(), 0

    # --- links ------------------------------------------------------------------------------------------------------

    async def attach(self, address: str, *, receives: bool, own: str = "", settled: bool = False, kind: str = "") -> Link:
        """`own`: our address, where answers go. `settled`: what is sent is not confirmed. `kind`: `queue` or `topic`, for brokers that make an address
        when it is asked for. Raises: Refused, OSError, EOFError."""
        taken = {link.handle for link in self._links}
        link = Link(f"flowledger-{uuid.uuid4()}", next(n for n in range(len(taken) + 1) if n not in taken), receives)
        self._links.append(link)
        there: list[Any] = [address] if not kind else [address, *[None] * (9 if receives else 5), Symbol(kind)]
        source, target = (there, [own] if own else []) if receives else ([own] if own else [], there)
        ends = [Described(ULong(_SOURCE), source), Described(ULong(_TARGET), target)]
        modes = [UByte(1 if settled else 0), UByte(0)]
        await self._write(
            _ATTACH,
            [link.name, UInt(link.handle), receives, *modes, *ends, None, None, None if receives else UInt(0), ULong(MESSAGE_BYTES_MAX)],
        )
        await self._until(lambda: link.attached or None, link)
        return link

    async def detach(self, link: Link) -> None:
        """For good; another link may have its handle."""
        self._links.remove(link)
        await self._write(_DETACH, [UInt(link.handle), True])

    async def allow(self, link: Link, credit: int) -> None:
        """So many messages may come now; and the server is asked how many wait (`echo`)."""
        link.credit = credit
        await self._write(_FLOW, [*self._windows(), UInt(link.handle), UInt(link.count), UInt(credit), None, False, True])

    @staticmethod
    def waiting(link: Link) -> int:
        """Messages that wait in the server, as far as it says so when it is given credit; -1: it doesn't."""
        return link.available if link.available < 0 else max(0, link.available - (link.count - link.come_then) % _ROUND)

    async def come(self, link: Link) -> None:
        """Returns when there is something in `link.come`. Raises: what ended the link, or the connection."""
        await self._until(lambda: True if link.come else None, link)

    async def accept(self, first: int, last: int) -> None:
        """Deliveries that came are done with."""
        if self.lost is not None:
            raise self.lost
        await self._write(_DISPOSITION, [True, UInt(first), UInt(last), True, _ACCEPTED])

    async def send(self, link: Link, payload: bytes, settled: bool = False) -> tuple[str, Refused | None]:
        """What became of it (a value of `OUTCOMES`), and why. Raises: Refused, OSError, EOFError."""
        if link.largest and len(payload) > link.largest:
            raise Refused("amqp:link:message-size-exceeded", f"the server takes messages of at most {link.largest} bytes")
        await self._until(lambda: link.credit > 0 or None, link)
        number, self._deliveries = self._deliveries, self._deliveries + 1
        link.credit, link.count = link.credit - 1, link.count + 1
        if not settled:
            self._outcomes[number] = None
        room = self._frame_max - _ROOM if self._frame_max > 2 * _ROOM else self._frame_max // 2
        for start in range(0, len(payload), room):
            await self._until(lambda: self._window > 0 or None, link)
            more = start + room < len(payload)
            head = [UInt(link.handle), UInt(number), number.to_bytes(4, "big"), UInt(0), settled, more]
            await self._write(_TRANSFER, head, payload[start : start + room])
            self._sent, self._window = self._sent + 1, self._window - 1
        if settled:
            return "accepted", None
        try:
            found = await self._until(lambda: self._outcomes[number], link)
        finally:
            del self._outcomes[number]
        error = found.value[0] if isinstance(found.value, list) and found.value else None
        return OUTCOMES[found.code], refusal(error)

    async def close(self) -> None:
        """What is handed out and not settled goes back. Whatever the server says to it: what counts has been said."""
        try:
            with contextlib.suppress(OSError, EOFError, Refused, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    if self.lost is None and self._opened:
                        await self._write(_CLOSE, [])
                        await self._until(lambda: None)
        finally:
            for task in self._tasks:
                task.cancel()
            self.writer.close()
