"""What connectors share that speak to a server without HTTP: where to connect to, what an exception of the way means, and how large an answer is."""

from __future__ import annotations

import asyncio
import base64
import datetime
import math
import socket
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from flowledger.connectors import outcomes
from flowledger.connectors.frame import Call, Failed

T = TypeVar("T")
_encode = msgspec.json.Encoder(decimal_format="number").encode


async def addresses(call: Call, service: str, host: str, port: int) -> list[str]:
    """Checked by the gate: connect to these and to nothing else. Raises: Refused, Unresolved."""
    call.target = f"{service}://{host}:{port}"
    return await call.gate.direct(service, host, port)


async def each(places: list[str], connect: Callable[[str], Awaitable[T]]) -> T:
    """The first of them that answers. Raises: Failed (nobody does), and what `connect` raises beside OSError."""
    last: OSError | None = None
    for place in places:
        try:
            return await connect(place)
        except OSError as e:
            if isinstance(e, TimeoutError):
                raise
            last = e
    if last is None:
        raise Failed("CONNECT", "no address to connect to", again=True)
    raise last


async def socket_to(place: str, port: int) -> socket.socket:
    """Connected. Raises: OSError."""
    # of TCP by name, so that asyncio lets small writes go at once (as in `doors.bind`)
    made = socket.socket(socket.AF_INET6 if ":" in place else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, (place, port))
    except BaseException:
        made.close()
        raise
    return made


async def streams(
    connected: socket.socket, tls: ssl.SSLContext | None, host: str, most: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Of a connected socket; `most`: bytes of the other side that are taken in all, beside a little for greetings."""
    loop = asyncio.get_running_loop()
    reader = _Bounded(most, loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.create_connection(
        lambda: protocol, sock=connected, ssl=tls, server_hostname=host if tls is not None else None
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


class _Bounded(asyncio.StreamReader):
    """What is too large is refused while it comes."""

    def __init__(self, most: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._most, self._left = most, most + 16_384

    def feed_data(self, data: Any) -> None:
        self._left -= len(data)
        if self._left < 0:
            self.set_exception(too_large(self._most))
            return
        super().feed_data(data)


def tls_of(error: BaseException) -> str | None:
    """What TLS itself says of an exception; None: it was something else."""
    broken = outcomes.tls(error)
    return None if broken is None else broken.reason or type(broken).__name__


@asynccontextmanager
async def within(seconds: float, call: Call) -> AsyncIterator[None]:
    """The call's own time. Raises: TimeoutError."""
    async with asyncio.timeout(min(seconds, call.seconds_max)):
        yield


def too_large(most: int) -> Failed:
    return Failed("ANSWER_TOO_LARGE", f"expected an answer of at most {most} bytes (setting connector_answer_bytes_max), found more")


def lacking(package: str) -> Failed:
    return Failed("NOT_INSTALLED", f"this connector needs {package}: pip install 'flowledger[connectors]'")


def size(value: Any) -> int:
    """Bytes of a value as JSON."""
    return len(_encode(value))


def plain(value: Any) -> Any:
    """What drivers give, as JSON has it: moments and days as texts of ISO 8601, bytes as base64, fractions exactly."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return value if value.is_finite() else str(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return _duration(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, dict):
        return {str(plain(k)): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    return str(value)


def _duration(value: datetime.timedelta) -> str:
    us = value // datetime.timedelta(microseconds=1)
    seconds, fraction = divmod(abs(us), 1_000_000)
    return f"{'-' if us < 0 else ''}PT{seconds}{f'.{fraction:06}'.rstrip('0') if fraction else ''}S"
