"""What all lists share: page size, cursor, reading one's own write, refused parameters."""

from __future__ import annotations

from typing import Annotated

from litestar.params import Parameter

from flowledger.api.edge import ApiRequest, decode
from flowledger.api.problems import Problem, malformed
from flowledger.api.reads import VARIABLE_OPS, Row, VariableFilter
from flowledger.api.services import services_of

Limit = Annotated[int, Parameter(ge=1, description="Rows of a page at most")]
Cursor = Annotated[str, Parameter(max_length=1000, description="`next` of the page before")]
WaitFor = Annotated[str | None, Parameter(description="Answer when the projections have reached this position, e.g. a command's")]


async def listing(request: ApiRequest, noun: str, filters: Row, limit: int, cursor: str, wait_for: str | None) -> tuple[list[Row], str]:
    s = services_of(request)
    if limit > s.settings.page_max:
        raise malformed(f"at most {s.settings.page_max}, found {limit}", "query limit")
    await s.wait_for(wait_for)
    wanted = {k: v for k, v in filters.items() if v is not None and v != []}
    try:
        return await s.reads.list(noun, wanted, limit, cursor, s.identify(request).tenant)
    except ValueError as e:
        raise malformed(f"use `next` of the page before: {e}", "query cursor") from None


def variable_filters(request: ApiRequest) -> list[VariableFilter]:
    """`var.NAME=VALUE` and `var.NAME[op]=VALUE`."""
    found = []
    for name, text in request.query_params.multi_items():
        if not name.startswith("var."):
            continue
        path, bracket, op = name[4:].partition("[")
        op = op.removesuffix("]") if bracket else "eq"
        if not path or op not in VARIABLE_OPS or (bracket and not name.endswith("]")):
            raise malformed(f"var.NAME[op]=VALUE was expected with op one of {', '.join(VARIABLE_OPS)}; found {name}", f"query {name}")
        try:
            value = decode(text.encode())
        except Problem:
            value = [v.strip() for v in text.split(",")] if op == "in" else text
        if op == "in" and not isinstance(value, list):
            value = [value]
        found.append(VariableFilter(path, op, value))
    return found


async def refuse_unknown_parameters(request: ApiRequest) -> None:
    """A misspelt filter would silently list everything."""
    if not request.scope.get("query_string"):
        return
    handler = request.route_handler
    known = _KNOWN.get(id(handler))
    if known is None:
        path = {p.partition(":")[0] for route in handler.paths for part in route.split("{")[1:] if (p := part.partition("}")[0])}
        names = {}
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
