"""What all lists share: page size, cursor, reading one's own write, refused parameters."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, get_args

from litestar.datastructures.headers import Accept
from litestar.params import Parameter

from flowledger.api import locking
from flowledger.api.edge import KEY_PATTERN, ApiRequest
from flowledger.api.previews import PARAMETERS
from flowledger.api.problems import Problem, malformed
from flowledger.api.reads import Row
from flowledger.api.services import services_of

#: as JSON Schema
POSITION_PATTERN = r"^[0-9]{1,3}-[0-9]{1,15}(,[0-9]{1,3}-[0-9]{1,15})*$"
ONE_POSITION_PATTERN = r"^[0-9]{1,3}-[0-9]{1,15}$"
#: a definition's key, or a process id: no digits alone
DEFINITION_PATTERN = rf"^({KEY_PATTERN[2:-2]}|[^\x00-\x1f\x7f]*[^\x00-\x1f\x7f0-9][^\x00-\x1f\x7f]*)?$"
#: a cursor: time (microseconds since 1970) and key of the last row of the page before
ROW_PATTERN = "^[0-9]{1,17}-([1-9][0-9]{0,17}|[1-8][0-9]{18})$"
Limit = Annotated[int, Parameter(ge=1, schema_extra={"maximum": 1000}, description="Rows of a page at most")]
Cursor = Annotated[str | None, Parameter(schema_extra={"pattern": ROW_PATTERN}, description="`cursor` of the page before")]
DefinitionCursor = Annotated[str | None, Parameter(pattern=KEY_PATTERN, description="`cursor` of the page before")]
WaitFor = Annotated[
    str | None,
    Parameter(
        schema_extra={"pattern": POSITION_PATTERN},
        description="Answer when the projections have reached this position, e.g. a command's",
    ),
]
Definition = Annotated[str | None, Parameter(pattern=DEFINITION_PATTERN, description="A definition's key, or a process id")]
#: the framework leaves a bound of 0 out of the document
Version = Annotated[int | None, Parameter(ge=0, le=(1 << 31) - 1, schema_extra={"minimum": 0, "maximum": (1 << 31) - 1})]
KeyFilter = Annotated[str | None, Parameter(pattern=KEY_PATTERN)]
PRIORITY = r"^(low|normal|medium|high|critical|urgent|[0-9]|[1-9][0-9]|100)$"
Priority = Annotated[str | None, Parameter(pattern=PRIORITY, description="A word, or a number from 0 to 100: that or more urgent")]


async def listing(request: ApiRequest, noun: str, filters: dict[str, Any], limit: int, cursor: str | None, wait_for: str | None) -> Row:
    """A page; `None` filters are left out, and all others become texts, as the queries take them."""
    s = services_of(request)
    if limit > s.settings.page_max:
        raise malformed(f"at most {s.settings.page_max}, found {limit}", "query limit")
    await s.wait_for(wait_for)
    wanted = {k: text_of(v) for k, v in filters.items() if v is not None and v != []}
    if cursor == "":
        raise malformed("a cursor of an earlier answer was expected, found none (the first page has no cursor)", "query cursor")
    return await s.reads.list(noun, wanted, limit, cursor or "", s.identify(request).tenant)


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


async def before(request: ApiRequest) -> None:
    """What every request is held against before its handler: parameters and what it accepts."""
    if request.scope.get("query_string"):
        refuse_unknown_parameters(request)
    if locking.demanded(request) and not request.route_handler.opt.get("locks") and request.method != "GET":
        raise malformed("nothing that has a version is changed here: expected none, or *", "header If-Match")
    accepted = ",".join(request.headers.getall("accept", [])) or "*/*"
    if accepted != "*/*":
        refuse_what_cannot_be_given(request, accepted)


def refuse_unknown_parameters(request: ApiRequest) -> None:
    """A misspelt filter would silently list everything; of one that is given twice only one would count."""
    handler = request.route_handler
    if handler.opt.get("any_query"):  # a page's own state
        return
    found = _KNOWN.get(id(handler))
    if found is None:
        path = {p.partition(":")[0] for route in handler.paths for part in route.split("{")[1:] if (p := part.partition("}")[0])}
        names: dict[str, bool] = {}
        times: set[str] = set()
        for name, field in handler.parsed_fn_signature.parameters.items():
            if name in ("request", "data", "socket") or name in path:
                continue
            alias = getattr(field.kwarg_definition, "query", None)
            names[alias or name] = field.is_non_string_sequence or any(a.is_non_string_sequence for a in field.inner_types)
            if field.annotation is datetime or datetime in get_args(field.annotation):
                times.add(alias or name)
        if handler.opt.get("previews"):
            names |= dict.fromkeys(PARAMETERS, False)
        found = _KNOWN[id(handler)] = names, times
    known, times = found
    prefix = handler.opt.get("query_prefix", "\0")
    seen = set()
    for name, text in request.query_params.multi_items():
        if name == "limit" and text.isascii() and text.isdigit() and int(text[:10]) > (most := services_of(request).settings.page_max):
            raise malformed(f"at most {most}, found {text[:10]}", "query limit")
        if name in times and not _TIME.match(text):  # the framework takes numbers, too, as seconds
            raise malformed(f"a time like 2026-11-21T13:00:00Z was expected, found {text[:40]!r}", f"query {name}")
        if name not in known and not name.startswith(prefix):
            listed = ", ".join([*known, *([prefix + "NAME[op]"] if prefix != "\0" else [])]) or "none"
            raise malformed(f"unknown parameter; known are: {listed}", f"query {name}")
        if name in seen and not known.get(name):
            raise malformed("given twice", f"query {name}")
        seen.add(name)


def refuse_what_cannot_be_given(request: ApiRequest, accepted: str) -> None:
    """RFC 9110, 12.5.1: 406 when nothing that we have is among what is accepted."""
    kinds = tuple(request.route_handler.opt.get("gives") or JSON)
    if not (_accepts if len(accepted) <= ACCEPT_KEPT else _accepts.__wrapped__)(accepted, kinds):
        raise Problem("NOT_ACCEPTABLE", f"{' or '.join(kinds)} can be given, Accept is {accepted!r}", status=406)


#: characters of an Accept whose meaning is remembered: clients say the same again and again
ACCEPT_KEPT = 256
#: what a handler gives unless its option `gives` says more
JSON = ("application/json", "application/problem+json")
_NEVER = re.compile(r";\s*q=0(\.0*)?\s*$")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
#: of a handler: names of its parameters and whether they may recur, and which of them are times
_KNOWN: dict[int, tuple[dict[str, bool], set[str]]] = {}


@lru_cache(256)
def _accepts(accepted: str, kinds: tuple[str, ...]) -> bool:
    wanted = ",".join(part for part in accepted.split(",") if not _NEVER.search(part))
    return any(Accept(wanted).accepts(kind) for kind in kinds)
