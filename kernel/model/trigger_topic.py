"""What a Kafka topic as a source is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowledger.kernel.model import trigger_fields as f
from flowledger.kernel.model.trigger_fields import Field

_SERVER = f.text(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}", "host:port, or a list of some")
_LOGIN = {
    "mechanism": Field(f.one_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"), True), "username": Field(f.text(r".+", "a name"), True),
    "password": Field(f.secret, True),
}  # fmt: skip
#: protocol -> its fields
SECURITY: dict[str, dict[str, Field]] = {"PLAINTEXT": {}, "SSL": {}, "SASL_SSL": _LOGIN, "SASL_PLAINTEXT": _LOGIN}


def _security(value: Any) -> str:
    if not isinstance(value, dict) or value.get("protocol") not in SECURITY:
        return f"an object with the protocol {', '.join(SECURITY)}"
    protocol = value["protocol"]
    wrong = f.problems({"protocol": Field(f.one_of(protocol)), **SECURITY[protocol]}, value)
    return f"of {protocol}, {wrong[0][0]}: {wrong[0][1]}" if wrong else ""


FIELDS: Mapping[str, Field] = {
    "servers": Field(f.several(_SERVER, 20), True), "topic": Field(f.text(r"[A-Za-z0-9._-]+", "the name of a topic", 249), True),
    "security": Field(_security), "value": Field(f.one_of("json", "text", "base64")), "from": Field(f.one_of("now", "start")),
    "uncommitted": Field(f.flag),
}  # fmt: skip
