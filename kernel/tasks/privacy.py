"""What stands on the ledger of people whose data is protected: `erasure`, that the keys of a subject were destroyed, and `legal_hold`, that they may not be.

A record is named by a digest of the subject, a tenant's own as `tenant/digest`: the ledger forgets nothing, so it never has the reference itself.
"""

from __future__ import annotations

import re
from typing import Any

from flowledger.kernel.state import Partition
from flowledger.kernel.tasks.shapes import are_texts, is_text, unknown
from flowledger.kernel.values import shown

ERASURES, HOLDS = "erasure", "legal_hold"
#: an erasure is asked for before anything is destroyed, and done when it is
ASKED, ERASED = "asked", "erased"
REASON_MAX, KEYS_MAX = 2_000, 1_000
_DIGEST = re.compile(r"(.{1,255}/)?[0-9a-f]{64}")


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
