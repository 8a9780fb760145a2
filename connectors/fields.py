"""Types of fields that connectors' configurations are made of: FEEL, headers and templates give numbers and truth values also as texts."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

SECONDS_MAX = 3600
NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # RFC 9110, 5.6.2


def _text(value: Any) -> Any:
    """Numbers and truth values as JSON writes them: FEEL gives them where a text goes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value) if isinstance(value, (int, float)) else value


def _whole(value: Any) -> Any:
    """A whole number that came as text (headers and templates give texts)."""
    return int(value) if isinstance(value, str) and value.isascii() and value.strip().isdigit() else value


def _truth(value: Any) -> Any:
    return {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value


def dropped(value: Any) -> Any:
    """Entries that are null are left out."""
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


Text = Annotated[str, BeforeValidator(_text)]
Secret = Annotated[str, Field(min_length=1, max_length=65_536, json_schema_extra={"secret": True})]
Seconds = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=SECONDS_MAX)]
Flag = Annotated[bool, BeforeValidator(_truth)]
Name = Annotated[str, Field(pattern=NAME, max_length=256)]
Host = Annotated[str, Field(min_length=1, max_length=253)]
Port = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=65_535)]
Index = Annotated[int, BeforeValidator(_whole), Field(ge=0)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=1)]
Tls = Literal["verify", "off"]
#: name of an API profile, the newest or the version that stands behind an @
ProfileName = Annotated[str, Field(pattern=r"^$|^[a-z][a-z0-9_-]{0,63}(@[1-9][0-9]{0,8})?$")]
#: `json_schema_extra` of a field that stands in a header of the task only: text of the model, which no variable can change
LITERAL: dict[str, Any] = {"literal": True}
