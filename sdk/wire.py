"""HTTP for those who ask often, with the calls of `httpx2.AsyncClient` and its exceptions, by a sixth of its CPU.

aiohttp, whose parser is compiled and whose pool knows its free connections; httpx2's looks through all of them at each request. What is not a plain
way to a server (proxies from the environment, credentials in the URL) stays with httpx2, which has rules of its own for it.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

if TYPE_CHECKING:
    from aiohttp import ClientSession, ClientTimeout

#: connections to the server; further requests wait for one, as long as they would for the connection
CONNECTIONS_MAX = 256
#: seconds that one is kept without use: shorter than servers and proxies keep theirs
KEPT_S = 15.0
#: seconds for the connection itself, at most; what is longer never comes about
CONNECT_S = 10.0
_PLAIN = re.compile(r"[A-Za-z0-9/_-]+")


class Answer:
    """As far as the SDK looks at one."""

    __slots__ = ("content", "headers", "reason_phrase", "status_code")

    def __init__(self, status_code: int, reason_phrase: str, headers: Mapping[str, str], content: bytes) -> None:
        self.status_code, self.reason_phrase, self.headers, self.content = status_code, reason_phrase, headers, content

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")


def wire(base: str, headers: Mapping[str, str], timeout_s: float) -> Any:
    """To the server at `base`: `await request(method, path, content=, params=, headers=, timeout=)`, `await aclose()`.

    Raises: ValueError: headers that can't be sent.
    """
    if direct(base):
        return Wire(base, headers, timeout_s)
    limits = httpx2.Limits(max_connections=CONNECTIONS_MAX)
    return httpx2.AsyncClient(base_url=base, headers=dict(headers), timeout=timeout_s, limits=limits)


def direct(base: str) -> bool:
    """By aiohttp: no proxy stands between, and the URL is no more than a place."""
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        return False
    proxies = getproxies()
    return not (proxies.get(parts.scheme) or proxies.get("all")) or bool(proxy_bypass(parts.hostname))


class Wire:
    def __init__(self, base: str, headers: Mapping[str, str], timeout_s: float) -> None:
        self._base, self._timeout_s = base.rstrip("/"), timeout_s
        self._headers = {name: _sendable(value) for name, value in headers.items()}
        self._tls: ssl.SSLContext | None = httpx2.create_ssl_context() if base.startswith("https:") else None
        self._session: ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def _opened(self) -> ClientSession:
        """Made in the loop that it is used in; a client may be made before there is one."""
        import aiohttp

        if self._closed:
            raise RuntimeError("the client is closed")
        connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=KEPT_S, ssl=True if self._tls is None else self._tls)
        self._loop = asyncio.get_running_loop()
        self._session = aiohttp.ClientSession(
            connector=connector, headers=self._headers, cookie_jar=aiohttp.CookieJar(unsafe=True), skip_auto_headers=("Content-Type",)
        )
        return self._session

    async def request(
        self, method: str, path: str, *, content: bytes | None = None, params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None, timeout: float = 0.0,
    ) -> Answer:  # fmt: skip
        """Raises: httpx2.TransportError."""
        session = self._session
        if session is None or self._loop is not asyncio.get_running_loop():
            session = self._opened()
        given = {name: _sendable(value) for name, value in headers.items()} if headers else None
        try:
            async with session.request(
                method,
                self._url(path, params),
                data=content,
                headers=given,
                timeout=_limit(timeout or self._timeout_s),
                allow_redirects=False,
            ) as found:
                return Answer(found.status, found.reason or "", found.headers, await found.read())
        except Exception as e:
            if (meant := _meant(e)) is None:
                raise
            raise meant from e

    def _url(self, path: str, params: Mapping[str, Any] | None) -> Any:
        from yarl import URL

        if not params and _PLAIN.fullmatch(path):
            return URL(self._base + path, encoded=True)
        return URL(str(httpx2.URL(self._base + path, params=params or None)), encoded=True)

    async def aclose(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()


def _sendable(value: str) -> str:
    """Raises: ValueError."""
    if not value.isascii() or not value.isprintable():
        raise ValueError(f"a header's value is of printable ASCII, found {value[:80]!r}")
    return value


@lru_cache(maxsize=64)
def _limit(seconds: float) -> ClientTimeout:
    """For a connection to be free, and for each wait for bytes."""
    import aiohttp

    return aiohttp.ClientTimeout(total=None, connect=seconds, sock_connect=min(seconds, CONNECT_S), sock_read=seconds)


def _meant(e: Exception) -> httpx2.TransportError | None:
    """What httpx2 would have raised; None: no error of the way."""
    import aiohttp

    text = str(e) or type(e).__name__
    if isinstance(e, aiohttp.ConnectionTimeoutError):
        return httpx2.ConnectTimeout(text)
    if isinstance(e, TimeoutError):
        return httpx2.ReadTimeout(text)
    if isinstance(e, aiohttp.ClientConnectorError):
        return httpx2.ConnectError(text)
    if isinstance(e, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        return httpx2.RemoteProtocolError(text)
    if isinstance(e, aiohttp.InvalidURL):
        return httpx2.UnsupportedProtocol(text)
    if isinstance(e, aiohttp.ClientError | OSError):
        return httpx2.ReadError(text)
    return None
