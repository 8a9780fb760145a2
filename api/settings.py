"""What this process was told from outside, to look at: no secret, no way to change it."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, reply
from flowledger.api.services import services_of
from flowledger.infra.settings import Settings
from flowledger.infra.variables import PREFIX

#: shown as set or not set, never what is in them
SECRET = frozenset({"kafka_password", "kafka_token", "kafka_key_password", "anchor_token_file", "signing_key"})
HIDDEN = "***"


@get("/settings", summary="Settings of this process")
async def shown(request: ApiRequest) -> Response[a.Page[a.Setting]]:
    """In the order of the documentation. `changed`: it is not the default. What is secret is `***` when it is set."""
    s = services_of(request)
    rows = []
    for name, field in Settings.model_fields.items():
        value = getattr(s.settings, name)
        default = field.get_default(call_default_factory=True)
        text = HIDDEN if name in SECRET and value else s.telemetry.hidden(_text(value))
        rows.append(
            {
                "name": name,
                "value": text,
                "changed": value != default,
                "description": field.description or "",
                "variable": PREFIX + name.upper(),
            }
        )
    return reply({"items": rows, "cursor": None, "position": None})


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


HANDLERS: list[Any] = [shown]
