"""The gate that all calls to the outside pass: where they may go, and that they go where was looked.

Each connection resolves its name, checks every address, and connects to one of the addresses that were checked; so neither a redirect nor a name
that changes its address leads past the gate. Private, loopback, link-local, metadata and otherwise special addresses are refused unless a rule
opens them, also when they hide in IPv6 (mapped, NAT64, 6to4, Teredo). Source: RFC 6890 and IANA's registries of special-purpose addresses (as
`ipaddress` has them); the WHATWG URL standard, "ends in a number", for odd forms of IPv4.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import httpx2

from flowledger.infra.settings import Settings, SettingsError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: (host, port) -> addresses
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

SCHEMES = {"http": 80, "https": 443}
#: what else is spoken to the outside, by words that rules may name
SERVICES = {
    "postgresql": 5432, "mysql": 3306, "oracle": 1521, "smtp": 587, "kafka": 9092, "amqp": 5672, "redis": 6379, "imap": 993, "mongodb": 27017,
}  # fmt: skip
URL_CHARS_MAX = 8_192
#: addresses that were looked at and are remembered, and how long one of them may be
KNOWN_MAX, KNOWN_CHARS_MAX = 1_000, 500
#: addresses of one name that are looked at and tried
ADDRESSES_MAX = 16
#: where clouds answer who they are with credentials; those that aren't link-local
_METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: reachable from here only, in words that older Pythons lack: local NAT64, site-local
_LOCAL = (ipaddress.ip_network("64:ff9b:1::/48"), ipaddress.ip_network("fec0::/10"))
_RULE = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<host>\[[^\]]+\](?:/\d+)?|[^:\[\]]+|[0-9a-fA-F:]+(?:/\d+)?)(?::(?P<port>\d{1,5}))?"
)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)


class Refused(Exception):
    """The gate does not let this call out. Its text says why, without the path and query of the address."""


class Unresolved(httpx2.ConnectError):
    """The name has no address at the moment."""


class Rule:
    """`[scheme://]host[:port]`. Raises: ValueError."""

    __slots__ = ("_network", "_port", "_scheme", "_suffix", "host")

    def __init__(self, text: str) -> None:
        m = _RULE.fullmatch(text.strip())
        if m is None:
            raise ValueError(f"expected [scheme://]host[:port], found {text!r}")
        self._scheme, self.host = m["scheme"] or "", m["host"].lower().rstrip(".")
        self._port = int(m["port"] or 0)
        if (self._scheme and self._scheme not in SCHEMES | SERVICES) or self._port > 65_535:
            raise ValueError(f"expected {', '.join(SCHEMES | SERVICES)} and a port up to 65535, found {text!r}")
        self._network: Any = None
        self._suffix = ""
        bare = self.host.replace("[", "").replace("]", "")
        try:
            self._network = ipaddress.ip_network(bare, strict=False)
        except ValueError:
            if self.host != "*" and not all(map(_LABEL.fullmatch, self.host.removeprefix("*.").split("."))):
                raise ValueError(f"expected a host name, *.name, an address or a network, found {text!r}") from None
            self._suffix = self.host[1:] if self.host.startswith("*.") else ""

    def takes(self, scheme: str, host: str, port: int, address: Address | None) -> bool:
        """Whether it speaks of this place. `address`: one of the name's, None where they aren't known yet."""
        if (self._scheme and self._scheme != scheme) or (self._port and self._port != port):
            return False
        if self._network is not None:
            return address is not None and address in self._network
        return self.host in ("*", host) or (bool(self._suffix) and host.endswith(self._suffix))

    @property
    def by_address(self) -> bool:
        return self._network is not None


def plain(address: Address) -> Address:
    """The IPv4 address that hides in an IPv6 one; else itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address.teredo is not None:
            return address.teredo[1]
        if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def kind_of(address: Address) -> str:
    """`public`, `private` (a rule for its name may open it) or `forbidden` (only a rule that names the address opens it)."""
    found = plain(address)
    if found in _METADATA or found.is_link_local or found.is_multicast or found.is_unspecified or address.is_unspecified:
        return "forbidden"
    if isinstance(found, ipaddress.IPv4Address) and (found.is_reserved or int(found) >> 24 == 0):
        return "forbidden"
    if not found.is_global or any(found in network for network in _LOCAL):
        return "private"
    return "public"


class Gate:
    """Who may be called. `resolve`: instead of the system's resolver (tests)."""

    def __init__(
        self, allow: Iterable[str] = (), private: Iterable[str] = (), resolve: Resolve | None = None, proxy: str = "", ca_file: str = ""
    ) -> None:
        """Raises: ValueError, OSError (the file of certificates)."""
        self._allow, self._private = tuple(map(Rule, allow)), tuple(map(Rule, private))
        self._resolve = resolve or system_resolve
        self._known: dict[str, httpx2.URL] = {}
        self.proxy = httpx2.URL(proxy) if proxy else None
        if self.proxy is not None and (self.proxy.scheme != "http" or not self.proxy.host):
            raise ValueError("expected http://host:port as egress_proxy")
        self.ca_file = ca_file
        self._tls = ssl.create_default_context(cafile=ca_file) if ca_file else None

    @property
    def tls(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    @classmethod
    def of(cls, settings: Settings) -> Gate:
        """Raises: SettingsError."""
        try:
            return cls(settings.egress_allow, settings.egress_private, proxy=settings.egress_proxy, ca_file=settings.egress_ca_file)
        except (ValueError, OSError) as e:
            raise SettingsError(f"settings egress_*: {e}") from None

    def url(self, text: str) -> httpx2.URL:
        """The address as it will be used, once it is one that may be looked up. Raises: Refused."""
        # rules don't change: the same address is looked at once (where it leads is looked at with each connection); a query may have a key, and isn't kept
        if (known := self._known.get(text)) is not None:
            return known
        url = self._url(text)
        if len(text) <= KNOWN_CHARS_MAX and "?" not in text:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[text] = url
        return url

    def _url(self, text: str) -> httpx2.URL:
        if not text or len(text) > URL_CHARS_MAX:
            raise Refused(f"expected a URL of 1 to {URL_CHARS_MAX} characters, found {len(text)}")
        if any(ch <= " " or ch in "\\\x7f" for ch in text):
            raise Refused("expected a URL without blanks, control characters and backslashes")
        try:
            url = httpx2.URL(text)
            host = url.raw_host.decode("ascii").lower()
            port = url.port
        except (httpx2.InvalidURL, UnicodeError, ValueError, TypeError) as e:
            raise Refused(f"expected a URL: {e}") from None
        if url.scheme not in SCHEMES or not host:
            raise Refused(f"expected http:// or https:// and a host, found '{url.scheme}:'")
        if url.userinfo:
            raise Refused("expected a URL without user and password: they belong into the authentication")
        if port is not None and not 0 < port < 65_536:
            raise Refused(f"expected a port from 1 to 65535, found {port}")
        self.host(url.scheme, host, port or SCHEMES[url.scheme])
        return url

    def host(self, scheme: str, host: str, port: int) -> Address | None:
        """The address that a host is, None when it is a name. Raises: Refused (odd forms; a name that no rule allows)."""
        name = host.strip("[]").rstrip(".").lower()
        address = _literal(name)
        if address is None and not all(map(_LABEL.fullmatch, name.split("."))):
            raise Refused(f"expected a host name, found {name[:100]!r}")
        if address is not None:
            self._check(scheme, name, port, address)
        elif self._allow and not any(r.by_address or r.takes(scheme, name, port, None) for r in (*self._allow, *self._private)):
            raise Refused(f"no rule of egress_allow lets calls to {scheme}://{name}:{port} out")
        return address

    def _check(self, scheme: str, name: str, port: int, address: Address) -> None:
        """Raises: Refused."""
        kind = kind_of(address)
        inner = plain(address)
        place = f"{scheme}://{name}:{port}"
        if kind != "public":
            opened = any(
                (r.by_address or kind == "private") and (r.takes(scheme, name, port, address) or r.takes(scheme, name, port, inner))
                for r in self._private
            )
            if not opened:
                what = "a private or loopback address" if kind == "private" else "an address that is never called"
                raise Refused(f"{place} is {what}; no rule of egress_private opens it")
            return
        rules = (*self._allow, *self._private)
        if self._allow and not any(r.takes(scheme, name, port, address) or r.takes(scheme, name, port, inner) for r in rules):
            raise Refused(f"no rule of egress_allow lets calls to {place} out")

    async def addresses(self, scheme: str, host: str, port: int) -> list[str]:
        """Where to connect to, all of them checked. Raises: Refused, Unresolved."""
        name = host.strip("[]").rstrip(".").lower()
        if (address := self.host(scheme, name, port)) is not None:
            return [str(address)]
        try:
            texts = list(dict.fromkeys(await self._resolve(name, port)))[:ADDRESSES_MAX]
        except OSError as e:
            raise Unresolved(f"the name {name} can't be resolved: {e.strerror or type(e).__name__}") from None
        if not texts:
            raise Unresolved(f"the name {name} has no address")
        for text in texts:
            try:
                found = ipaddress.ip_address(text)
            except ValueError:
                raise Refused(f"the name {name} has an address of an odd form") from None
            self._check(scheme, name, port, found)
        return texts

    async def direct(self, service: str, host: str, port: int) -> list[str]:
        """Where to connect to with what is no HTTP. Raises: Refused, Unresolved."""
        texts = await self.addresses(service, host, port)
        if self.proxy is not None and any(kind_of(ipaddress.ip_address(text)) == "public" for text in texts):
            raise Refused(f"{service}://{host}:{port} has a public address, and the proxy (egress_proxy) carries HTTP only")
        return texts


def _literal(host: str) -> Address | None:
    """Raises: Refused: a number in a form that some resolvers take for an address."""
    if "%" in host:
        raise Refused("expected an address without a zone")
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    last = host.rpartition(".")[2]
    if last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last) or ":" in host:
        raise Refused(f"expected an address as four decimal numbers or IPv6, found {host[:100]!r}")
    return None


async def system_resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(row[4][0]) for row in found]
