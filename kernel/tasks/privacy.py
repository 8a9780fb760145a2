"""What stands on the ledger of people whose data is protected: `erasure`, that the keys of a subject were destroyed, and `legal_hold`, that they may not be; `retention`,
for how long what has ended is kept; `consent`, to which purpose one has agreed.

A record is named by a digest of the subject, a tenant's own as `tenant/digest`: the ledger forgets nothing, so it never has the reference itself.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from flowledger.kernel import times
from flowledger.kernel.marks import CLASS
from flowledger.kernel.state import Partition
from flowledger.kernel.tasks.shapes import are_texts, is_text, unknown
from flowledger.kernel.values import shown

ERASURES, HOLDS, RETENTION, CONSENTS = "erasure", "legal_hold", "retention", "consent"
#: an erasure is asked for before anything is destroyed, and done when it is
ASKED, ERASED = "asked", "erased"
REASON_MAX, KEYS_MAX = 2_000, 1_000
#: rules of retention of one tenant, and the longest time of one (microseconds): a hundred years
RULES_MAX, KEPT_US_MAX = 200, 36_525 * 86_400_000_000
_RULE = re.compile(r"([^/]{1,255}/)?[a-z0-9][a-z0-9._-]{0,99}")
#: what one agrees to, and how many of them a subject has
PURPOSE = r"[a-z0-9][a-z0-9._-]{0,99}"
PURPOSES_MAX = 100
_CONSENT = re.compile(rf"(.{{1,255}}/)?[0-9a-f]{{64}}\.{PURPOSE}")
_DIGEST = re.compile(r"(.{1,255}/)?[0-9a-f]{64}")


def digest_of(tenant: str, subject: str) -> str:
    """By what the ledger knows a subject."""
    return hashlib.sha256(b"\x00".join((b"flowledger.subject.1", tenant.encode(), subject.encode()))).hexdigest()


def consent_problems(name: str, value: dict[str, Any]) -> list[str]:
    """`given_us`: since when; `until_us`: up to when, 0: until it is withdrawn; `withdrawn_us`: 0: it is not; `how`: what shows it, such as the version of a form."""
    out = unknown(value, ("given_us", "until_us", "withdrawn_us", "how", "reason", "by"), "consent")
    if not _CONSENT.fullmatch(name):
        out.append("name: expected the digest of a subject, a dot and a purpose of small letters, digits and ._-, 100 at most")
    for field in ("how", "reason", "by"):
        if not is_text(value.get(field), REASON_MAX, 1 if field == "how" else 0):
            out.append(f"{field}: expected a text of at most {REASON_MAX} characters")
    for field in ("given_us", "until_us", "withdrawn_us"):
        if type(at := value.get(field)) is not int or at < (field == "given_us"):
            out.append(f"{field}: expected a time, found {shown(at)}")
    if not out and value["until_us"] and value["until_us"] <= value["given_us"]:
        out.append("until_us: expected a time after given_us")
    return out


def in_force(consent: dict[str, Any] | None, now_us: int) -> bool:
    return bool(
        consent
        and not consent["withdrawn_us"]
        and consent["given_us"] <= now_us
        and (not consent["until_us"] or now_us < consent["until_us"])
    )


def consented(p: Partition, tenant: str, purpose: str, subject: str, now_us: int) -> bool:
    """Whether a subject has agreed to a purpose, and that holds."""
    name = f"{digest_of(tenant, subject)}.{purpose}"
    return in_force(p.records.get((CONSENTS, f"{tenant}/{name}" if tenant else name)), now_us)


def _problems(name: str, value: dict[str, Any], known: tuple[str, ...]) -> list[str]:
    out = unknown(value, known, "record")
    if not _DIGEST.fullmatch(name):
        out.append("name: expected the digest of a subject")
    for field in ("reason", "by"):
        if not is_text(value.get(field), REASON_MAX, 1 if field == "reason" else 0):
            out.append(f"{field}: expected a text of at most {REASON_MAX} characters")
    if not isinstance(value.get("at_us"), int):
        out.append(f"at_us: expected a whole number, found {shown(value.get('at_us'))}")
    return out


def hold_problems(name: str, value: dict[str, Any]) -> list[str]:
    return _problems(name, value, ("reason", "by", "at_us"))


def erasure_problems(name: str, value: dict[str, Any]) -> list[str]:
    out = _problems(name, value, ("reason", "by", "at_us", "status", "keys"))
    if value.get("status") not in (ASKED, ERASED):
        out.append(f"status: expected {ASKED} or {ERASED}, found {shown(value.get('status'))}")
    if not are_texts(value.get("keys"), KEYS_MAX, 64):
        out.append(f"keys: expected at most {KEYS_MAX} ids of keys")
    return out


def held(p: Partition, registry: str, name: str, value: Any) -> str:
    """Why an erasure may not begin; empty: it may."""
    if registry != ERASURES or not isinstance(value, dict) or value.get("status") != ASKED:
        return ""
    hold = p.records.get((HOLDS, name))
    return f"a legal hold is on this subject: {hold['reason']}" if hold else ""


def holds_on(p: Partition, tenant: str, subjects: list[str]) -> str:
    """Why nothing of these subjects (digests) may be destroyed; empty: it may."""
    for digest in subjects:
        if hold := p.records.get((HOLDS, f"{tenant}/{digest}" if tenant else digest)):
            return f"a legal hold is on {digest}: {hold['reason']}"
    return ""


def kept_us(after: Any) -> int:
    """How long, of an ISO 8601 duration; a month has 30 days, a year 365. Raises: ValueError."""
    months, us = times.duration(str(after))
    years, rest = divmod(months, 12)
    us += (years * 365 + rest * 30) * 86_400_000_000
    if not 1_000_000 <= us <= KEPT_US_MAX:
        raise ValueError(f"expected one second to a hundred years, found '{after}'")
    return us


def rule_problems(name: str, value: dict[str, Any]) -> list[str]:
    """`definition`: id of a process (empty: all that have no rule of their own); `class`: protected values of that class (empty: whole instances);
    `after`: how long they are kept once the instance has ended."""
    out = unknown(value, ("definition", "class", "after", "reason", "by", "at_us"), "rule")
    if not _RULE.fullmatch(name):
        out.append("name: expected small letters, digits and ._-, 100 at most")
    for field in ("definition", "reason", "by"):
        if not is_text(value.get(field), REASON_MAX if field == "reason" else 255, 1 if field == "reason" else 0):
            out.append(f"{field}: expected a text, found {shown(value.get(field))}")
    if not isinstance(cls := value.get("class"), str) or (cls and not CLASS.fullmatch(cls)):
        out.append(f"class: expected a word in small letters or nothing, found {shown(cls)}")
    if not isinstance(value.get("at_us"), int):
        out.append(f"at_us: expected a whole number, found {shown(value.get('at_us'))}")
    try:
        kept_us(value.get("after"))
    except ValueError as e:
        out.append(f"after: {e}")
    return out


def too_many(p: Partition, registry: str, name: str, value: Any) -> str:
    """Why there may be no further rule; or why this one can't be: another is about the same."""
    if registry != RETENTION or not isinstance(value, dict):
        return ""
    tenant = name.rpartition("/")[0]
    others = [(n, v) for n, v in (p.registry.get(RETENTION) or {}).items() if n != name and n.rpartition("/")[0] == tenant]
    if len(others) >= RULES_MAX:
        return f"expected at most {RULES_MAX} rules of retention"
    same = next((n for n, v in others if (v["definition"], v["class"]) == (value["definition"], value["class"])), "")
    return f"the rule {same.rpartition('/')[2]} is about the same definition and class" if same else ""
