"""Operations that wait for a second person: registry `approval`. Who asks makes the record, another one decides, who asked uses it, once.

Who is who is the ledger's to say, so no door can be talked into it: the actor of a change is that of its envelope. Source: issue 15, line 2.
"""

from __future__ import annotations

from typing import Any

from flowledger.kernel.state import Partition
from flowledger.kernel.tasks.shapes import is_text, unknown

REGISTRY = "approval"
WAITING, APPROVED, REFUSED, USED = "waiting", "approved", "refused", "used"
#: that are not over, of one tenant; characters of a reason
OPEN_MAX, REASON_MAX = 1_000, 2_000
_ASKED = ("operation", "right", "method", "path", "digest", "by", "reason", "at_us", "until_us")
_DECIDED = ("decided_by", "decided_us", "answer")
#: status -> those that may follow
_THEN = {"": (WAITING,), WAITING: (APPROVED, REFUSED), APPROVED: (USED,), REFUSED: (), USED: ()}


def problems(name: str, value: dict[str, Any]) -> list[str]:
    out = unknown(value, (*_ASKED, *_DECIDED, "status"), "approval")
    for field in ("operation", "method", "digest", "status", "by"):
        if not is_text(value.get(field), 255, 1):
            out.append(f"{field}: expected a text")
    for field in ("at_us", "until_us"):
        if not isinstance(value.get(field), int):
            out.append(f"{field}: expected a whole number")
    return out


def refused(p: Partition, registry: str, name: str, value: Any, actor: str, now_us: int) -> str:
    """Why a record may not become so; empty: it may."""
    if registry != REGISTRY:
        return ""
    table = p.registry.get(REGISTRY) or {}
    was = table.get(name)
    if value is None:
        over = was is None or was["until_us"] <= now_us or was["status"] in (REFUSED, USED)
        return "" if over else "it is not over yet"
    before = was["status"] if was is not None else ""
    if value["status"] not in _THEN[before]:
        return f"the approval is {before or 'not there'}: it can't become {value['status']}"
    if was is None:
        tenant = name.rpartition("/")[0]
        if sum(1 for n, v in table.items() if v["until_us"] > now_us and n.rpartition("/")[0] == tenant) >= OPEN_MAX:
            return f"{OPEN_MAX} approvals are open, more aren't allowed"
        return "" if value["by"] == actor else "one asks for oneself"
    if now_us >= was["until_us"]:
        return "the approval has expired"
    if any(value.get(field) != was.get(field) for field in _ASKED):
        return "what was asked for can't be changed"
    if value["status"] == USED:
        return "" if actor == was["by"] else f"it was asked for by {was['by']}"
    if actor == was["by"] or not actor:
        return "somebody else than who asked has to decide"
    return "" if value.get("decided_by") == actor else "one decides for oneself"
