"""How calls that the gate lets out are carried: httpx's client over connections that only go to addresses which were checked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore2
import httpx2

from flowledger.infra.egress import SCHEMES, Gate, Unresolved

#: connections of one process, in all and idle, and how long an idle one is kept (seconds)
CONNECTIONS_MAX, IDLE_MAX, IDLE_S = 1_000, 200, 30.0
#: bytes that are read ahead
AHEAD = 256 * 1024
#: bytes of a request that wait for each other
SMALL = 64 * 1024


def client_of(gate: Gate, tls: ssl.SSLContext | None = None) -> httpx2.AsyncClient:
    """A client whose connections pass the gate; it follows no redirect, keeps no cookie, and reads no settings of the environment. `tls`: instead of the gate's."""
    nowhere = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx2.AsyncClient(transport=_Transport(gate, tls or gate.tls), follow_redirects=False, trust_env=False, cookies=nowhere)


class _Transport(httpx2.AsyncBaseTransport):
    """A pool of connections for each scheme, since what is allowed depends on it; or those of the proxy."""

    def __init__(self, gate: Gate, tls: ssl.SSLContext) -> None:
        self._gate = gate
        limits = httpx2.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=IDLE_MAX, keepalive_expiry=IDLE_S)
        proxy = str(gate.proxy) if gate.proxy is not None else None
        self._pools: dict[str, httpx2.AsyncHTTPTransport] = {}
        for scheme in SCHEMES:
            transport = self._pools[scheme] = httpx2.AsyncHTTPTransport(verify=tls, trust_env=False, limits=limits, proxy=proxy)
            if proxy is None:
                # the library's own pool resolves and connects by itself; httpcore's lets us do it
                transport._pool = httpcore2.AsyncConnectionPool(
                    ssl_context=tls, network_backend=_Backend(gate, scheme), max_connections=CONNECTIONS_MAX,
                    max_keepalive_connections=IDLE_MAX, keepalive_expiry=IDLE_S,
                )  # fmt: skip

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = self._gate.url(str(request.url))
        if self._gate.proxy is not None:
            await self._looked_at(url)
        return await self._pools[url.scheme].handle_async_request(request)

    async def _looked_at(self, url: httpx2.URL) -> None:
        """The proxy connects, so what can be checked here is the name, and its addresses where this machine knows them."""
        try:
            await self._gate.addresses(url.scheme, url.raw_host.decode("ascii"), url.port or SCHEMES[url.scheme])
        except Unresolved:
            return

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()


class _Backend(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that the gate has checked, never to a name."""

    def __init__(self, gate: Gate, scheme: str) -> None:
        self._gate, self._scheme = gate, scheme

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None, socket_options: Any = None
    ) -> httpcore2.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        last: OSError | None = None
        async with _within(timeout, httpcore2.ConnectTimeout):
            for address in await self._gate.addresses(self._scheme, host, port):
                reader = _Reader(limit=AHEAD, loop=loop)
                protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
                try:
                    local = (local_address, 0) if local_address else None
                    transport, _ = await loop.create_connection(lambda made=protocol: made, address, port, local_addr=local)
                    for option in socket_options or ():
                        transport.get_extra_info("socket").setsockopt(*option)
                except OSError as e:
                    last = e
                    continue
                return _Stream(reader, asyncio.StreamWriter(transport, protocol, reader, loop))
        assert last is not None, "a name without an address is Unresolved"
        raise httpcore2.ConnectError(str(last)) from last

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Reader(asyncio.StreamReader):
    """Knows whether anything came that nobody has asked for: such a connection is not used again."""

    unread = 0

    def feed_data(self, data: Any) -> None:
        self.unread += len(data)
        super().feed_data(data)

    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        self.unread -= len(data)
        return data


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection by asyncio itself: half the work of the library's own, which goes by way of anyio. The library writes head and body of a request one after
    the other; what is small goes out at once, when an answer is waited for: one packet, one call of the system."""

    def __init__(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._kept: list[bytes] = []

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _told(httpcore2.ReadError):
            self._go()
            async with _within(timeout, httpcore2.ReadTimeout):
                return await self._reader.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._kept.append(buffer)
        if sum(map(len, self._kept)) <= SMALL:
            return
        with _told(httpcore2.WriteError):
            self._go()
            async with _within(timeout, httpcore2.WriteTimeout):
                await self._writer.drain()

    def _go(self) -> None:
        if self._kept:
            kept, self._kept = self._kept, []
            self._writer.write(b"".join(kept))

    async def aclose(self) -> None:
        self._writer.close()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        with _told(httpcore2.ConnectError):
            self._go()
            async with _within(timeout, httpcore2.ConnectTimeout):
                await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._reader.unread > 0 or self._reader.at_eof() or self._writer.is_closing()
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self._writer.get_extra_info(names.get(info, info))


@asynccontextmanager
async def _within(seconds: float | None, error: type[Exception]) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise error(f"nothing within {seconds} s") from None
        raise


@contextmanager
def _told(error: type[Exception]) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as e:  # RuntimeError: the transport is closed already
        raise error(str(e) or type(e).__name__) from e
