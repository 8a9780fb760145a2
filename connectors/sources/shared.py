"""What sources share that read from the outside: where to connect to, the secret that is shown there, and what bytes are read as."""

from __future__ import annotations

import base64
from typing import Any

from flowledger.api import strict
from flowledger.connectors.sources.frame import Away, Opening
from flowledger.events import avro
from flowledger.infra.egress import Gate, Refused, Unresolved
from flowledger.infra.secrets import SecretError
from flowledger.kernel.model.trigger_fields import secret_name


async def addresses(gate: Gate, service: str, host: str, port: int) -> list[str]:
    """Checked by the gate: connect to these and to nothing else. Raises: Away."""
    try:
        return await gate.direct(service, host, port)
    except (Refused, Unresolved) as e:
        raise Away(str(e)) from None


async def secret(opening: Opening, reference: str) -> str:
    """Raises: Away."""
    name = secret_name(reference)
    try:
        return (await opening.secrets.resolve([name]))[name]
    except SecretError as e:
        raise Away(e.message) from None


def text(raw: bytes) -> str:
    """Bytes that are no text as base64."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return base64.b64encode(raw).decode()


def value_of(raw: bytes, kind: str) -> Any:
    """`kind`: base64, text or json. Raises: ValueError, RecursionError."""
    if kind == "base64":
        return base64.b64encode(raw).decode()
    if kind == "text":
        return raw.decode()
    found = avro.decode_json(raw)
    strict.check(raw)
    return found


def why(e: BaseException) -> str:
    """A line that people are shown."""
    return (str(e).strip() or type(e).__name__).splitlines()[0][:300]
