"""Advice that was found, taken or refused: what may stand in registry `advice`, under its id, a tenant's own as `tenant/id`. Pure. What it means: docs/advice.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowledger.events.avro import encode_json
from flowledger.kernel.tasks.shapes import is_text, unknown
from flowledger.kernel.values import shown

REGISTRY = "advice"
KINDS = ("parallel", "limit", "split", "staff", "retry", "check")
STATES = ("open", "applied", "refused")
#: of a tenant at a time; bytes of one as JSON; characters of a reason
ADVICE_MAX, BYTES_MAX, REASON_MAX = 500, 65_536, 2_000
_KNOWN = frozenset(
    "id process version kind elements about evidence gain caution draft setting scenario state found_us learned_from by at_us reason result".split()
)


def problems(name: str, value: Mapping[str, Any]) -> list[str]:
    """What is wrong with it."""
    out = unknown(value, _KNOWN, "advice")
    if value.get("kind") not in KINDS:
        out.append(f"kind: expected one of {', '.join(KINDS)}, found {shown(value.get('kind'))}")
    if value.get("state") not in STATES:
        out.append(f"state: expected one of {', '.join(STATES)}, found {shown(value.get('state'))}")
    if not is_text(value.get("process"), 255, 1):
        out.append("process: expected the id of a process")
    if value.get("id") != name.rpartition("/")[2]:
        out.append(f"id: expected its name {shown(name.rpartition('/')[2])}, found {shown(value.get('id'))}")
    if not is_text(value.get("reason", ""), REASON_MAX):
        out.append(f"reason: expected a text of at most {REASON_MAX} characters")
    if not out and (n := len(encode_json(dict(value)))) > BYTES_MAX:
        out.append(f"advice: expected at most {BYTES_MAX} bytes, found {n}")
    return out


def decided(was: Mapping[str, Any] | None, value: Mapping[str, Any] | None) -> str:
    """Why it can't be stored so: it was decided on before, or by another at the same time. Taken away it may be."""
    if was is None or value is None or was.get("state") == "open":
        return ""
    return f"an open advice was expected, found one that was {was.get('state')} by {was.get('by') or 'somebody'}"


def told(value: Mapping[str, Any]) -> dict[str, Any]:
    """For the log of operations: what it was about, and what was done with it."""
    return {k: value[k] for k in ("process", "kind", "elements", "state") if k in value}
