"""Who may ask how often: token buckets by address and by caller, open connections by address, and failed sign-ins by address.

One of these for all doors of a process. An address is looked at first, before anything is done for a request; a caller once it is known who calls. Of
IPv6 the network of 64 bits counts, which is what one customer has. Behind proxies that are trusted the address is what they forward.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any

from flowledger.api.problems import Problem
from flowledger.infra.settings import Settings

#: what a bucket holds: so many seconds of its rate, and one at least
BURST_S = 2.0
#: addresses, and callers, that are remembered; who was forgotten begins with a full bucket
KNOWN_MAX = 50_000
#: of `X-Forwarded-For`
HOPS_MAX = 20
#: who has too many connections comes again after so long (milliseconds)
AGAIN_MS = 1_000


class TooOften(Exception):
    """At a door that answers in other words than HTTP's."""

    def __init__(self, detail: str, retry_ms: int) -> None:
        super().__init__(detail)
        self.detail, self.retry_ms = detail, retry_ms


class Buckets:
    """One for each key, refilled evenly. Memory is bounded: the key that was not seen for the longest time is forgotten first."""

    def __init__(self, per_s: float, burst: float = 0.0, most: int = KNOWN_MAX, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_s, self.burst, self.most, self._clock = per_s, max(1.0, burst or per_s * BURST_S), most, clock
        #: key -> (tokens, when)
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def _now(self, key: Hashable) -> tuple[float, float]:
        now = self._clock()
        found = self._left.get(key)
        return (self.burst, now) if found is None else (min(self.burst, found[0] + (now - found[1]) * self.per_s), now)

    def take(self, key: Hashable) -> float:
        """0.0: let in; else seconds until one would be."""
        left, now = self._now(key)
        if left < 1.0:
            return (1.0 - left) / self.per_s
        self._left[key] = left - 1.0, now
        self._left.move_to_end(key)
        if len(self._left) > self.most:
            self._left.popitem(last=False)
        return 0.0

    def after(self, key: Hashable) -> float:
        """As `take`, and nothing is taken."""
        left = self._now(key)[0]
        return 0.0 if left >= 1.0 else (1.0 - left) / self.per_s

    def give(self, key: Hashable) -> None:
        """One back."""
        left, now = self._now(key)
        if key in self._left:
            self._left[key] = min(self.burst, left + 1.0), now


class Rates:
    """Of one process. What isn't set costs nothing."""

    def __init__(self, settings: Settings, metrics: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        s = settings
        self.addresses = Buckets(s.rate_per_address, clock=clock) if s.rate_per_address else None
        self.callers = Buckets(s.rate_per_caller, clock=clock) if s.rate_per_caller else None
        self.tenants = Buckets(s.rate_per_tenant, clock=clock) if s.rate_per_tenant else None
        # as many at once as in a minute
        self.failures = Buckets(s.sign_in_failures / 60, s.sign_in_failures, clock=clock) if s.sign_in_failures else None
        self.connections_max = s.connections_per_address
        #: address -> open connections
        self.connections: dict[str, int] = {}
        self._trusted = tuple(ipaddress.ip_network(text, strict=False) for text in s.trusted_proxies)
        self._metrics = metrics
        #: addresses come again and again, and to read one costs ten times as much as all the rest
        self._address = lru_cache(maxsize=4_096)(self._address_of)

    @property
    def by_caller(self) -> bool:
        """Something is counted once it is known who calls."""
        return self.callers is not None or self.tenants is not None

    def _counted(self, by: str, door: str) -> None:
        if self._metrics is not None:
            self._metrics.rate_limited.labels(by, door).inc()

    # --- addresses ---------------------------------------------------------------------------------------------------------------

    def address_of(self, peer: str, forwarded: str = "") -> str:
        """What counts as the address. `forwarded`: values of `X-Forwarded-For`, of which only what trusted proxies have added is believed."""
        return self._address(peer, forwarded) if self._trusted and forwarded else network_of(peer)

    def _address_of(self, peer: str, forwarded: str) -> str:
        return network_of(self.host_of(peer, forwarded))

    def host_of(self, peer: str, forwarded: str) -> str:
        """The same as it is, for the log of operations."""
        if not self._trusted or not self._is_trusted(peer):
            return peer
        found = peer
        for hop in reversed(forwarded.rsplit(",", HOPS_MAX)[-HOPS_MAX:]):
            text = _bare(hop.strip())
            if not _is_address(text):
                break
            found = text
            if not self._is_trusted(text):
                break
        return found

    def _is_trusted(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)

    def arrived(self, address: str, door: str) -> Problem | None:
        """A request from there; None: it is let in."""
        if self.addresses is None or not (after := self.addresses.take(address)):
            return None
        self._counted("address", door)
        return _refused("more requests than one address may send", after)

    def opened(self, peer: str, door: str) -> Problem | None:
        """A connection from there; None: it is let in, and `closed` has to be told of its end. Proxies that are trusted have as many as they like."""
        if not self.connections_max or (self._trusted and self._is_trusted(peer)):
            return None
        address = network_of(peer)
        count = self.connections.get(address, 0)
        if count >= self.connections_max:
            self._counted("connections", door)
            return _refused(f"{count} connections of one address are open, more aren't allowed", AGAIN_MS / 1000)
        self.connections[address] = count + 1
        return None

    def closed(self, peer: str) -> None:
        address = network_of(peer)
        left = self.connections.get(address, 0) - 1
        if left > 0:
            self.connections[address] = left
        else:
            self.connections.pop(address, None)

    # --- callers -----------------------------------------------------------------------------------------------------------------

    def called(self, caller: Hashable, door: str) -> Problem | None:
        """By whom it is known who calls, such as the id of a key; None: it is let in."""
        if self.callers is None or not (after := self.callers.take(caller)):
            return None
        self._counted("caller", door)
        return _refused("more requests than one caller may send", after)

    def spent(self, tenant: str, door: str) -> Problem | None:
        """Whether `for_tenant` would say no, before much was done for it; who is let in is counted there."""
        if self.tenants is None or not (after := self.tenants.after(tenant)):
            return None
        self._counted("tenant", door)
        return _refused("more requests than one tenant may send", after)

    def for_tenant(self, tenant: str, door: str) -> Problem | None:
        """Once it is known for which tenant; None: it is let in."""
        if self.tenants is None or not (after := self.tenants.take(tenant)):
            return None
        self._counted("tenant", door)
        return _refused("more requests than one tenant may send", after)

    # --- sign-in -----------------------------------------------------------------------------------------------------------------

    def guessing(self, address: str) -> Problem | None:
        """An attempt to sign in, which counts before it is looked at, so that many at once are no more. None: it is looked at."""
        if self.failures is None or not (after := self.failures.take(address)):
            return None
        self._counted("sign-in", "http")
        return _refused("too many sign-ins from here have failed", after)

    def signed_in(self, address: str) -> None:
        """It was no guess: it doesn't count."""
        if self.failures is not None:
            self.failures.give(address)


def _refused(detail: str, after_s: float) -> Problem:
    return Problem("RESOURCE_EXHAUSTED", detail, retry_after_ms=max(1, int(after_s * 1000) + 1))


@lru_cache(maxsize=4_096)
def network_of(text: str) -> str:
    """IPv4 as it is, also where it hides in IPv6; of IPv6 the network of 64 bits; what is neither (a socket of the system) as it is."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _bare(hop: str) -> str:
    """Without a port and brackets."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
