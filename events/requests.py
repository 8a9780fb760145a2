"""The one reader of what stands on `commands`: bytes become a `Request`, or `Unreadable` with the reason. Nothing that is there makes it raise.

The topic is a door for services: size, nesting, types, ids, the address of the answer and the numbers of senders are checked here and nowhere else.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from flowledger.events.commands import Request

#: bytes of a record: a deployment of several models is the largest
REQUEST_BYTES_MAX = 32 * 1024 * 1024
#: levels of nesting of the record: those of a value and of what is around it
DEPTH_MAX = 110
#: characters of ids, tenants and other short texts
TEXT_MAX = 1_024
#: digits of a number's exponent that can be computed with
EXPONENT_MAX = 6_144

_decode = msgspec.json.Decoder(Request, float_hook=lambda text: _number(text)).decode  # noqa: PLW0108 - it stands below
#: node, partition of `replies`, number of the call
_ADDRESS = re.compile(r"[!-{}~]{1,255}\|\d{1,6}\|\d{1,18}")


class Unreadable(msgspec.Struct, frozen=True):
    """What is wrong with a record, for people."""

    reason: str


def read(value: bytes) -> Request | Unreadable:
    """One record of `commands`."""
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
    if (unreadable := wrong(request)) is not None:
        return unreadable
    if request.sender < 0 and (request.instance or request.token):  # only another partition can say for whom it asks
        return msgspec.structs.replace(request, instance=0, token=0)
    return request


def wrong(request: Request) -> Unreadable | None:
    """What can't be so in a request of any origin."""
    for name in ("id", "tenant", "actor", "correlation", "trace"):
        text = getattr(request, name)
        if len(text) > TEXT_MAX:
            return Unreadable(f"{name}: expected at most {TEXT_MAX} characters, found {len(text)}")
        if not _writable(text):
            return Unreadable(f"{name}: expected Unicode characters, without lone surrogates")
    if request.reply_to and not _ADDRESS.fullmatch(request.reply_to):
        return Unreadable(f"reply_to: expected the address of an API node, found '{_short(request.reply_to)}'")
    for name in ("time_us", "seq", "instance", "token", "epoch"):
        if not 0 <= getattr(request, name) < 1 << 63:
            return Unreadable(f"{name}: expected a whole number of 63 bits")
    if request.sender < -1 or request.sender >= 1 << 12 or (request.sender >= 0 and request.seq < 1):
        return Unreadable("expected the number of a sending partition and of its send")
    return None


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
