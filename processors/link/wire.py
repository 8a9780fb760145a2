"""What goes over the socket between doors and owners.

A Unix domain stream socket that only its user can open. Each message is a header and a body of JSON; what one turn of the event loop says
is written at once. Header, little endian: length of the body (u32, bytes), kind (u8), partition or count (i32), number of the call, poll or
stream it is about (u64, chosen by the door). The body is decoded for each message alone, so one that can't be read harms its own call only.

Door to host: HELLO first; CALL (body: `Request`; partition -1: the host routes), ACTIVATE (`Poll`; credit is the most), CANCEL (of a poll),
STREAM (`Poll`), CREDIT (count: more), CLOSE, TOOK (one JOBS came to its taker), FIGURES (asks for metrics).
Host to door: WELCOME, ANSWER (a dict), REFUSED (`Rejected`), JOBS (a list; for a poll also the end of it), HEALTH, HEADS
(`{partition: position}`, before the answers that they go with), DEFINITION, FIGURES.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from flowledger.events import avro
from flowledger.events.commands import Request
from flowledger.logs import log
from flowledger.processors.client import Caller

log_ = log("link")

VERSION = 1
HEADER = struct.Struct("<IBiQ")
#: largest body in bytes: a request body of the API at its largest, and what escaping may add
BODY_BYTES_MAX = 64 * 1024 * 1024
#: what may wait to be written on one connection; a peer that does not read is cut off beyond (bytes)
UNSENT_BYTES_MAX = 256 * 1024 * 1024
#: calls, polls and streams in flight on one connection
IN_FLIGHT_MAX = 20_000
CONNECTIONS_MAX = 64

HELLO, CALL, ACTIVATE, CANCEL, STREAM, CREDIT, CLOSE, TOOK, FIGURES = range(1, 10)
WELCOME, ANSWER, REFUSED, JOBS, HEALTH, HEADS, DEFINITION = range(33, 40)

encode = msgspec.json.Encoder(decimal_format="number").encode
decode_request = msgspec.json.Decoder(Request, float_hook=avro._exact).decode
decode = avro.decode_json
#: what encoding raises for values that JSON can't say: lone surrogates, numbers beyond 64 bits, nesting without end
UNSAYABLE = (UnicodeError, OverflowError, RecursionError, ValueError, TypeError)


class Poll(msgspec.Struct, array_like=True):
    """Who wants jobs of which type. Times in milliseconds."""

    job_type: str
    worker: str
    credit: int
    timeout_ms: int
    wait_ms: int = 0
    fetch: list[str] | None = None
    actor: str = ""
    tenant: str = ""
    correlation: str = ""
    trace: str = ""
    groups: list[str] | None = None
    rights: list[str] | None = None

    @property
    def caller(self) -> Caller:
        return Caller(self.actor, self.tenant, self.correlation, self.trace, self.groups, self.rights)


def poll_of(job_type: str, worker: str, credit: int, timeout_ms: int, wait_ms: int, fetch: Sequence[str] | None, caller: Caller) -> Poll:
    return Poll(
        job_type, worker, credit, timeout_ms, wait_ms, list(fetch) if fetch else None, caller.actor, caller.tenant, caller.correlation,
        caller.trace, caller.groups, caller.rights,
    )  # fmt: skip


decode_poll = msgspec.json.Decoder(Poll).decode


class Wire(asyncio.Protocol):
    """One end of a connection. `take(kind, partition, number, body)` gets each message, `lost(why)` the end."""

    def __init__(self, take: Callable[[int, int, int, bytes], None], lost: Callable[[str], None]) -> None:
        self._take, self._lost = take, lost
        self._transport: Any = None
        self._in = bytearray()
        self._out: list[bytes] = []
        self._why = ""
        self.closed = False
        #: called before what a turn of the loop says is written
        self.before: Callable[[], None] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        buffer = self._in
        buffer += data
        at, size = 0, len(buffer)
        while size - at >= HEADER.size:
            length, kind, partition, number = HEADER.unpack_from(buffer, at)
            if length > BODY_BYTES_MAX:
                self.abort(f"a message of {length} bytes; at most {BODY_BYTES_MAX} are taken")
                return
            end = at + HEADER.size + length
            if end > size:
                break
            body = bytes(buffer[at + HEADER.size : end])
            at = end
            try:
                self._take(kind, partition, number, body)
            except Exception as e:  # not a message of ours: the peer can't be trusted any more
                log_.error("message not understood", kind=kind, exc_info=e)
                self.abort(f"a message of kind {kind} was not understood: {e}")
                return
            if self.closed:
                return
        if at:
            del buffer[:at]

    def send(self, kind: int, partition: int, number: int, body: bytes = b"") -> None:
        """Written at the end of this turn of the loop, in order, with all else that is said in it."""
        if self.closed:
            return
        out = self._out
        if not out:
            self._loop.call_soon(self._flush)
        out.append(HEADER.pack(len(body), kind, partition, number))
        if body:
            out.append(body)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self.closed or not out:
            return
        if self.before is not None:
            self.before()
            out = self._out + out
            self._out = []
        self._transport.write(b"".join(out))
        if self._transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self.abort(f"the other side does not read: {UNSENT_BYTES_MAX} bytes wait")

    def abort(self, why: str) -> None:
        self._why = self._why or why
        if not self.closed and self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """After what was said has been written."""
        if not self.closed and self._transport is not None:
            if self._out:
                self._flush()
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._out.clear()
        self._lost(self._why or (str(error) if error else "it was closed"))
