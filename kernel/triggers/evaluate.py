"""What an item means: filter, key and mapping of a trigger, over what was read of it. Pure; the same for a dry run and for the act."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any, NamedTuple

from flowledger.events import commands as c
from flowledger.kernel import values
from flowledger.kernel.expressions import Expression, Failure
from flowledger.kernel.model.trigger_resource import Trigger, field_problem
from flowledger.kernel.model.trigger_sources import duration_us

FILTERED, PARKED, WANTED = "filtered", "parked", "wanted"
#: characters of a key; a longer one is known by its hash
KEY_MAX = 200
REASON_MAX = 500


class Meaning(NamedTuple):
    """`kind`: filtered, parked (`code`, `reason`: why it can't be used) or wanted (`command` is what follows). `key` may be known in all."""

    kind: str
    command: c.StartInstance | c.PublishMessage | c.BroadcastSignal | None = None
    key: str = ""
    code: str = ""
    reason: str = ""


def short(key: str) -> str:
    return key if len(key) <= KEY_MAX else f"sha256:{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def meaning(t: Trigger, context: dict[str, Any], facts: Any) -> Meaning:
    """Raises: Heavy."""
    key = ""
    try:
        if t.filter is not None:
            passes = t.filter(context, facts)
            if passes is None or passes is False:
                return Meaning(FILTERED)
            if passes is not True:
                return _parked("", "FILTER", f"filter: expected true or false, found {values.shown(passes)}")
        if t.key is not None:
            value = t.key.json(context, facts)
            if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)) or value == "":
                return _parked("", "KEY", f"key: expected a text or a number, found {values.shown(value)}{_why(t.key, context, facts)}")
            key = short(str(value))
        command = _command(t, context, facts)
    except Failure as failure:
        return _parked(key, failure.code, failure.message)
    return command if isinstance(command, Meaning) else Meaning(WANTED, command, key)


def _parked(key: str, code: str, reason: str) -> Meaning:
    return Meaning(PARKED, None, key, code, values.clean(reason, REASON_MAX))


def _why(e: Expression, context: dict[str, Any], facts: Any) -> str:
    said = e.explain(context, facts)
    return f" ({said})" if said else ""


def _files(t: Trigger, context: dict[str, Any]) -> list[dict[str, Any]] | None:
    """What came with a mail and is kept already: the instance has it from its first moment on."""
    if t.source != "imap":
        return None
    return [a["file"] for a in context.get("attachments") or () if isinstance(a, dict) and isinstance(a.get("file"), dict)] or None


def _command(t: Trigger, context: dict[str, Any], facts: Any) -> Any:
    """Raises: Failure, Heavy."""
    fields: dict[str, Any] = {}
    for name, e in t.fields.items():
        value = e.json(context, facts)
        if name in ("business_key", "correlation_key") and isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, Decimal) and value == value.to_integral_value():
            value = int(value)
        if wrong := field_problem(name, value):
            text = f"{t.action}, {name}: expected {wrong}, found {values.shown(value)}{_why(e, context, facts)}"
            raise Failure("MAPPING", text)
        fields[name] = value
    given = t.variables
    if isinstance(given, dict):
        variables = {k: e.json(context, facts) for k, e in given.items()}
    else:
        variables = given.json(context, facts) if given is not None else {}
        if not isinstance(variables, dict):
            assert given is not None
            raise Failure("MAPPING", f"variables: expected an object, found {values.shown(variables)}{_why(given, context, facts)}")
    if t.action == "start":
        fields["id"] = fields.pop("process")
        return c.StartInstance(variables=variables, files=_files(t, context), **fields)
    if t.action == "message":
        ttl = duration_us(fields.pop("ttl")) // 1000 if "ttl" in fields else 3_600_000
        return c.PublishMessage(name=fields["name"], correlation_key=fields.get("correlation_key", ""), variables=variables, ttl_ms=ttl)
    return c.BroadcastSignal(name=fields["name"], variables=variables)
