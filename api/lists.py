"""What all lists share: page size, cursor, reading one's own write, refused parameters."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar.params import Parameter

from flowledger.api.edge import ApiRequest
from flowledger.api.problems import malformed
from flowledger.api.reads import Row
from flowledger.api.services import services_of

Limit = Annotated[int, Parameter(ge=1, description="Rows of a page at most")]
Cursor = Annotated[str, Parameter(max_length=1000, description="`cursor` of the page before")]
WaitFor = Annotated[str | None, Parameter(description="Answer when the projections have reached this position, e.g. a command's")]
Definition = Annotated[str | None, Parameter(description="Process id, or a definition's key")]


async def listing(request: ApiRequest, noun: str, filters: dict[str, Any], limit: int, cursor: str, wait_for: str | None) -> Row:
    """A page; `None` filters are left out, and all others become texts, as the queries take them."""
    s = services_of(request)
    if limit > s.settings.page_max:
        raise malformed(f"at most {s.settings.page_max}, found {limit}", "query limit")
    await s.wait_for(wait_for)
    wanted = {k: text_of(v) for k, v in filters.items() if v is not None and v != []}
    return await s.reads.list(noun, wanted, limit, cursor, s.identify(request).tenant)


def text_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def variable_filters(request: ApiRequest) -> dict[str, str]:
    """`var.NAME=VALUE` and `var.NAME[op]=VALUE`, as they came."""
    found: dict[str, str] = {}
    for name, text in request.query_params.multi_items():
        if name.startswith("var."):
            if name in found:
                raise malformed("given twice", f"query {name}")
            found[name] = text
    return found


async def refuse_unknown_parameters(request: ApiRequest) -> None:
    """A misspelt filter would silently list everything."""
    if not request.scope.get("query_string"):
        return
    handler = request.route_handler
    if handler.opt.get("any_query"):  # a page's own state
        return
    known = _KNOWN.get(id(handler))
    if known is None:
        path = {p.partition(":")[0] for route in handler.paths for part in route.split("{")[1:] if (p := part.partition("}")[0])}
        names: dict[str, None] = {}
        for name, field in handler.parsed_fn_signature.parameters.items():  # type: ignore[attr-defined]
            if name in ("request", "data", "socket") or name in path:
                continue
            alias = getattr(field.kwarg_definition, "query", None)
            names[alias or name] = None
        known = _KNOWN[id(handler)] = names
    prefix = handler.opt.get("query_prefix", "\0")
    for name in request.query_params:
        if name not in known and not name.startswith(prefix):
            listed = ", ".join([*known, *([prefix + "NAME[op]"] if prefix != "\0" else [])]) or "none"
            raise malformed(f"unknown parameter; known are: {listed}", f"query {name}")


_KNOWN: dict[int, dict[str, None]] = {}
