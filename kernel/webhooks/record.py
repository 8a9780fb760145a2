"""What a webhook's record may say, and which events it may be about. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from flowledger.events import webhooks as wh
from flowledger.events import wire
from flowledger.kernel import feel, limits
from flowledger.kernel.expressions import feel_expression

#: beginnings of types that nobody outside is told: the ledger's own, who asked for what, records of people, and webhooks themselves, which would tell of
#: each telling
_OWN = ("partition.", "ledger.", "operation.", "record.", "webhook.", "alert.claimed")
#: all that may be told
TYPES = frozenset(name for name in wire.NAMES.values() if not name.startswith(_OWN))
#: the type of an event that is sent to try a webhook
TEST = "webhook.test"
ORDERS = ("", "instance")
NAME_CHARS_MAX = 200
_SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")
_PLACE = re.compile(r"(0|[1-9][0-9]{0,8})-(0|[1-9][0-9]{0,17})")


def place_of(at: str) -> tuple[int, int] | None:
    """Partition and offset of an event's id."""
    m = _PLACE.fullmatch(at)
    return (int(m[1]), int(m[2])) if m else None


def of_types(names: Iterable[str]) -> frozenset[str]:
    """The types that these mean (`workflow.*`: all that begin so); none: all. Raises: ValueError."""
    found: set[str] = set()
    for name in names:
        if name.endswith(".*"):
            more = {t for t in TYPES if t.startswith(name[:-1])}
        else:
            more = {wire.canonical(name)} & TYPES
        if not more:
            raise ValueError(
                f"types: expected types of events that webhooks tell, such as workflow.completed or task.*, found '{name[:80]}'"
            )
        found |= more
    return frozenset(found) or TYPES


def problem(e: wh.PutWebhook, partitions: int) -> str:
    """What is wrong with it; empty: nothing."""
    if not 1 <= len(e.name) <= NAME_CHARS_MAX or "/" in e.name or any(ch < " " or ch == "\x7f" for ch in e.name):
        return f"name: expected 1 to {NAME_CHARS_MAX} characters without a slash"
    if wrong := _address(e.url):
        return f"url: {wrong}"
    for field, names in (("types", e.types), ("definitions", e.definitions)):
        if len(names) > limits.WEBHOOK_LIST_MAX or any(not 1 <= len(n) <= limits.WEBHOOK_TEXT_MAX for n in names):
            return f"{field}: expected at most {limits.WEBHOOK_LIST_MAX} names"
    if not 1 <= len(e.secrets) <= limits.WEBHOOK_SECRETS_MAX or not all(map(_SECRET.fullmatch, e.secrets)):
        return f"secrets: expected names of 1 to {limits.WEBHOOK_SECRETS_MAX} secrets"
    if e.order not in ORDERS:
        return "order: expected instance, or nothing"
    if len(e.filter) > limits.WEBHOOK_TEXT_MAX:
        return f"filter: expected at most {limits.WEBHOOK_TEXT_MAX} characters"
    if any(not p.isascii() or not p.isdecimal() or str(int(p)) != p or int(p) >= partitions or n < 0 for p, n in e.cursors.items()):
        return f"cursors: expected offsets of partitions 0 to {partitions - 1}"
    try:
        of_types(e.types)
        if e.filter:
            feel_expression(e.filter)
    except feel.FeelSyntaxError as error:
        return f"filter: {error}"
    except ValueError as error:
        return str(error)
    return ""


def _address(text: str) -> str:
    """As far as it can be seen without looking a name up: the gate looks at each call."""
    if not 1 <= len(text) <= limits.WEBHOOK_TEXT_MAX or any(ch <= " " or ch in "\\\x7f" for ch in text):
        return f"expected 1 to {limits.WEBHOOK_TEXT_MAX} characters without blanks and backslashes"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "expected a URL"
    if parts.scheme not in ("http", "https") or not host:
        return "expected http:// or https:// and a host"
    if parts.username is not None or parts.password is not None:
        return "expected no user and password: the signature says who sends"
    return "a fragment isn't sent: expected none" if parts.fragment else ""
