"""The one reader of what stands on `commands`: bytes become a `Request`, or `Unreadable` with the reason. Nothing that is there makes it raise.

The topic is a door for services: size, nesting, types, ids, the address of the answer and the numbers of senders are checked here and nowhere else.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from flowledger.events.commands import Confirm, Request
from flowledger.events.routes import BETWEEN, ENGINE_FIELDS, OF_THE_SHELL

#: bytes of a record: a deployment of several models is the largest
REQUEST_BYTES_MAX = 32 * 1024 * 1024
#: levels of nesting of the record: those of a value and of what is around it
DEPTH_MAX = 110
#: partitions that a sender may be one of
PARTITIONS_MAX = 1 << 12
#: characters of ids, tenants and other short texts
TEXT_MAX = 1_024
#: groups and rights of a caller, each
NAMES_MAX = 1_000
#: digits of a number's exponent that can be computed with
EXPONENT_MAX = 6_144

_decode = msgspec.json.Decoder(Request, float_hook=lambda text: _number(text)).decode  # noqa: PLW0108 - it stands below
#: node, partition of `replies`, number of the call
_ADDRESS = re.compile(r"[!-{}~]{1,255}\|\d{1,6}\|\d{1,18}")


class Unreadable(msgspec.Struct, frozen=True):
    """What is wrong with a record, for people."""

    reason: str


def read(value: bytes, origin: int = -1) -> Request | Unreadable:
    """One record of `commands`. `origin`: the partition whose owner wrote it, by its header `from`; -1: a caller did."""
    if len(value) > REQUEST_BYTES_MAX:
        return Unreadable(f"expected at most {REQUEST_BYTES_MAX} bytes, found {len(value)}")
    if too_deep(value, DEPTH_MAX):
        return Unreadable(f"expected at most {DEPTH_MAX} levels of nesting")
    try:
        request = _decode(value)
    except RecursionError:
        return Unreadable(f"expected at most {DEPTH_MAX} levels of nesting")
    except (msgspec.DecodeError, ValueError, ArithmeticError, TypeError) as e:
        return Unreadable(_short(str(e)))
    if (unreadable := wrong(request) or _not_a_callers(request, origin)) is not None:
        return unreadable
    if request.sender < 0 and (request.instance or request.token):  # only another partition can say for whom it asks
        return msgspec.structs.replace(request, instance=0, token=0)
    return request


def wrong(request: Request) -> Unreadable | None:
    """What can't be so in a request of any origin."""
    for name in ("id", "tenant", "actor", "correlation", "trace", "cause", "plan"):
        text = getattr(request, name)
        if len(text) > TEXT_MAX:
            return Unreadable(f"{name}: expected at most {TEXT_MAX} characters, found {len(text)}")
        if not _writable(text):
            return Unreadable(f"{name}: expected Unicode characters, without lone surrogates")
    for name in ("groups", "rights"):
        names = getattr(request, name)
        if names and (len(names) > NAMES_MAX or max(map(len, names)) > TEXT_MAX):
            return Unreadable(f"{name}: expected at most {NAMES_MAX} names of at most {TEXT_MAX} characters")
    if request.reply_to and not _ADDRESS.fullmatch(request.reply_to):
        return Unreadable(f"reply_to: expected the address of an API node, found '{_short(request.reply_to)}'")
    for name in ("time_us", "seq", "instance", "token", "epoch"):
        if not 0 <= getattr(request, name) < 1 << 63:
            return Unreadable(f"{name}: expected a whole number of 63 bits")
    if request.sender < -1 or request.sender >= PARTITIONS_MAX or (request.sender >= 0 and request.seq < 1):
        return Unreadable("expected the number of a sending partition and of its send")
    return None


def _not_a_callers(request: Request, origin: int) -> Unreadable | None:
    """What the engine says to itself is taken from the engine only."""
    command, kind = request.command, type(request.command)
    if kind in OF_THE_SHELL:
        return Unreadable(f"{kind.__name__}: expected a command of a caller, found one of the owner itself")
    if origin >= 0 and origin != (command.to if isinstance(command, Confirm) and request.sender < 0 else request.sender):
        return Unreadable(f"expected a send of partition {origin}, as its header says, found one of {request.sender}")
    if origin >= 0:
        return None
    if request.sender >= 0:
        return Unreadable(f"expected a command of a caller, found a send of partition {request.sender} without the header of its owner")
    if kind in BETWEEN:
        return Unreadable(f"{kind.__name__}: expected a command of a caller, found one between partitions, without its sender")
    for name in ENGINE_FIELDS.get(kind, ()):
        if getattr(command, name):
            return Unreadable(f"{kind.__name__}: {name}: expected nothing, which is the engine's to say")
    return None


class _Whose(msgspec.Struct):
    tenant: str = ""


_whose = msgspec.json.Decoder(_Whose).decode


def tenant_of(value: bytes) -> str:
    """Whose a record is that can't be read, as far as that much can be read of it; else the operator's, who has no tenant."""
    try:
        tenant = _whose(value).tenant
    except (msgspec.DecodeError, ValueError, RecursionError):
        return ""
    return tenant if len(tenant) <= TEXT_MAX and _writable(tenant) else ""


class _Asks(msgspec.Struct):
    instance: int = 0
    token: int = 0


_asks = msgspec.json.Decoder(_Asks).decode


def asks_of(value: bytes) -> tuple[int, int]:
    """For whom a send asks (instance, token), as far as that much can be read of it; 0: for nobody."""
    try:
        asks = _asks(value)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return 0, 0
    return (asks.instance, asks.token) if min(asks.instance, asks.token) >= 0 else (0, 0)


def too_deep(value: bytes, most: int) -> bool:
    """Whether JSON text is nested more than `most` levels; told without recursion, and quickly where there are few brackets."""
    if value.count(b"[") + value.count(b"{") <= most:
        return False
    depth = 0
    for mark in _BRACKETS.finditer(value):
        at = mark.group()
        if at in (b"{", b"["):
            depth += 1
            if depth > most:
                return True
        elif at in (b"}", b"]"):
            depth -= 1
    return False


#: texts are passed over whole, so that a bracket in one does not count
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def _number(text: str) -> Decimal:
    """Exact. Raises: ValueError for one that nothing could compute with."""
    number = Decimal(text)
    if number and abs(number.adjusted()) > EXPONENT_MAX:
        raise ValueError(f"a number beyond 10 to the power of {EXPONENT_MAX}: {_short(text)}")
    return number


def _writable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _short(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()[:500]
