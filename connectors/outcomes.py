"""Classes of errors: what another attempt may mend, and what it can't. One table, so that all connectors mean the same."""

from __future__ import annotations

import ssl
from typing import Any

import httpx2

from flowledger.connectors.frame import Failed
from flowledger.infra.egress import Refused, Unresolved

#: answers of HTTP after which the same request may succeed (RFC 9110, 15; RFC 6585, 429; RFC 8470, 425)
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
#: longest wait that the other side may ask for, seconds
AFTER_S_MAX = 3600.0
SENT = "; whether the other side did it is not known: it is sent again with the same idempotency key"

#: first match counts: (exception, code, words, may another attempt help)
TABLE: tuple[tuple[type[BaseException], str, str, bool], ...] = (
    (Unresolved, "UNRESOLVED", "", True),
    (httpx2.ConnectTimeout, "CONNECT_TIMEOUT", "no connection within the time", True),
    (httpx2.PoolTimeout, "BUSY", "all connections are in use", True),
    (httpx2.TimeoutException, "TIMEOUT", f"no answer within the time{SENT}", True),
    (TimeoutError, "TIMEOUT", f"no answer within the time{SENT}", True),
    (httpx2.ProxyError, "PROXY", "the proxy refuses the call", True),
    (httpx2.ConnectError, "CONNECT", "no connection", True),
    (httpx2.LocalProtocolError, "CONFIGURATION", "the request can't be written", False),
    (httpx2.UnsupportedProtocol, "CONFIGURATION", "expected http:// or https://", False),
    (httpx2.InvalidURL, "CONFIGURATION", "expected a URL", False),
    (httpx2.NetworkError, "CUT", f"the connection broke{SENT}", True),
    (httpx2.RemoteProtocolError, "CUT", f"the connection broke, or what came is no HTTP{SENT}", True),
    (ssl.SSLError, "CUT", f"the connection broke{SENT}", True),
    (ConnectionRefusedError, "CONNECT", "no connection", True),
    (ConnectionError, "CUT", f"the connection broke{SENT}", True),
    (EOFError, "CUT", f"the connection broke{SENT}", True),
    (OSError, "CONNECT", "no connection", True),
)


def failed(error: BaseException) -> Failed | None:
    """What an exception means; None: nobody foresaw it."""
    if isinstance(error, Failed):
        return error
    if isinstance(error, Refused):
        return Failed("EGRESS_REFUSED", str(error))
    if (broken := tls(error)) is not None:
        return Failed("TLS", f"the server is not who it says, or speaks no TLS: {broken.reason or type(broken).__name__}")
    for kind, code, words, again in TABLE:
        if isinstance(error, kind):
            return Failed(code, words or str(error), again=again)
    return None


def tls(error: BaseException | None) -> ssl.SSLError | None:
    """What is wrong with TLS itself, among an exception and its causes."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):  # these: it was cut
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def after_s(header: Any, now_s: float) -> float | None:
    """Seconds that `Retry-After` asks for: a number or a date, in the past at once, at most an hour; None: nothing that can be read."""
    from email.utils import parsedate_to_datetime

    text = str(header or "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), AFTER_S_MAX)
    try:
        return min(max(0.0, parsedate_to_datetime(text).timestamp() - now_s), AFTER_S_MAX)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
