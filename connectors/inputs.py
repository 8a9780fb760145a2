"""From a job to a connector's configuration: its inputs and headers, with the secrets that its model names put in."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from flowledger.connectors.frame import Config, Failed
from flowledger.infra.secrets import SecretError, Secrets
from flowledger.infra.secrets.mask import Mask
from flowledger.kernel.model.connectors import CALLBACK, CALLBACK_NAME, REFERENCE, SECRETS_HEADER

#: headers that are for the frame, not for the connector
FRAME = frozenset({"resultVariable", "resultExpression", "errorExpression", "retryBackoff", "callbackTimeout", SECRETS_HEADER})
#: findings of a configuration that are told
ERRORS_MAX = 5


def fields_of(config: type[Config]) -> list[str]:
    """The variables that a configuration is made of."""
    return [f.alias or name for name, f in config.model_fields.items()]


def literal(config: type[Config]) -> set[str]:
    """Those of them that stand in headers of the task only: text of the model, which no variable can change."""
    return {
        f.alias or name
        for name, f in config.model_fields.items()
        if isinstance(f.json_schema_extra, dict) and f.json_schema_extra.get("literal")
    }


async def take(
    variables: dict[str, Any], headers: dict[str, Any], config: type[Config], secrets: Secrets, mask: Mask, callback: Callable[[], str]
) -> Any:
    """The configuration of one job. Values of secrets go to `mask` first; `callback` makes the job's one-time address. Raises: Failed."""
    names = fields_of(config)
    given: dict[str, Any] = {}
    for key, value in headers.items():
        if key.split(".")[0] in names:
            put(given, key.split("."), value)
    fixed = literal(config)
    own = {name: variables[name] for name in names if name not in fixed and variables.get(name) is not None}
    told = _told(headers.get(SECRETS_HEADER))
    wanted = {name for each in told.values() for name in each}
    wanted |= {name for text in _texts(given) for name in REFERENCE.findall(text)}
    waits = CALLBACK_NAME in wanted or any(CALLBACK.search(text) for text in _texts(given))
    wanted.discard(CALLBACK_NAME)
    if wanted or waits:
        try:
            values = await secrets.resolve(sorted(wanted)) if wanted else {}
        except SecretError as e:
            raise Failed(e.code, e.message, again=e.again) from None
        if waits:
            values[CALLBACK_NAME] = callback()
        mask.add(*values.values())
        given = _resolved(given, values)
        for target, each in told.items():
            _within(own, target.split("."), {name: values[name] for name in each})
    try:
        return config.model_validate(_merged(given, own))
    except ValidationError as e:
        raise Failed("CONFIGURATION", mask.text(problems(e))) from None


def problems(e: ValidationError) -> str:
    """What is wrong with a configuration, by field; never with the value that was found."""
    lines = [f"{'.'.join(str(p) for p in row['loc']) or 'the configuration'}: {row['msg']}" for row in e.errors(include_input=False)]
    more = len(lines) - ERRORS_MAX
    return "; ".join(lines[:ERRORS_MAX]) + (f"; and {more} more" if more > 0 else "")


def _told(header: Any) -> dict[str, list[str]]:
    if not header:
        return {}
    try:
        found = json.loads(header)
        return {str(k): [str(n) for n in v] for k, v in found.items()}
    except (ValueError, AttributeError, TypeError):
        raise Failed("CONFIGURATION", f"expected the header {SECRETS_HEADER} as the engine writes it") from None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in _texts(each)]


def _resolved(value: Any, values: dict[str, str]) -> Any:
    """References to these names as their values, in all texts of a value."""
    if isinstance(value, str):
        if "{{" not in value:
            return value
        found = REFERENCE.sub(lambda m: values.get(m[1], m[0]), value)
        return CALLBACK.sub(lambda _: values[CALLBACK_NAME], found) if CALLBACK_NAME in values else found
    if isinstance(value, dict):
        return {k: _resolved(v, values) for k, v in value.items()}
    if isinstance(value, list):
        return [_resolved(v, values) for v in value]
    return value


def _within(given: dict[str, Any], path: list[str], values: dict[str, str]) -> None:
    """Resolves below one path only: that is where the model itself names them."""
    at: Any = given
    for part in path[:-1]:
        at = at.get(part) if isinstance(at, dict) else None
        if at is None:
            return
    if isinstance(at, dict) and path[-1] in at:
        at[path[-1]] = _resolved(at[path[-1]], values)


def put(given: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """At its place in a configuration, whose parts are made when they aren't there. Where a part is no context nothing is put."""
    for part in path[:-1]:
        inner = given.setdefault(part, {})
        if not isinstance(inner, dict):
            return
        given = inner
    given[path[-1]] = value


def _merged(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """Inputs win over headers, field by field."""
    found = dict(low)
    for key, value in high.items():
        known = found.get(key)
        found[key] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return found
