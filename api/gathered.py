"""Several reads in one answer, for a page that shows several things of one.

Each is asked of the whole application, by the same caller with the same headers: who may see what, what is masked, how often one may ask and what is
written down of it are those of the read by itself, whatever becomes of its neighbours. A read may name something out of an earlier one, `{0.definition}`,
so that a page needn't wait for the one to ask for the other.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import quote, unquote

import msgspec
from litestar import Response, get
from litestar.params import Parameter
from litestar.utils.scope.state import CONNECTION_STATE_KEY

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, reply
from flowledger.api.lists import WaitFor
from flowledger.api.problems import Problem, encode_problem, senseless
from flowledger.api.services import Services, services_of
from flowledger.events.base import RejectionCode

#: reads of one request
READS_MAX = 10
#: characters of one address
ADDRESS_MAX = 2_000
#: what may be gathered: answers that come at once and end. `{}`: one part of a path
READS = (
    "/breakers",
    "/capabilities",
    "/connectors",
    "/definitions",
    "/definitions/{}",
    "/definitions/{}/source",
    "/definitions/{}/versions",
    "/drafts/{}",
    "/drafts/{}/versions",
    "/incidents",
    "/incidents/groups",
    "/instances",
    "/instances/{}",
    "/instances/{}/events",
    "/instances/{}/files",
    "/instances/{}/prediction",
    "/instances/{}/state",
    "/instances/{}/variables",
    "/limits",
    "/measures",
    "/operations",
    "/plugins",
    "/predictions",
    "/profiles",
    "/saved-views",
    "/tasks",
    "/tasks/{}",
    "/tasks/{}/events",
    "/tasks/{}/files",
    "/watchdog",
)
_KNOWN = re.compile("|".join(re.escape(path).replace(re.escape("{}"), "[^/]+") for path in READS))
_INDEX = re.compile("[0-9]{1,4}")
_NAMED = re.compile(r"\{([0-9]{1,2})((?:\.[A-Za-z0-9_]+)+)\}")
#: of the request that asked, not of those in it: what its body is, and what its caller knows already
_OWN = re.compile(rb"(content|if)-.*|accept.*|x-correlation-id|traceparent|idempotency-key")
Gets = Annotated[
    list[str],
    Parameter(
        min_items=1,
        max_items=READS_MAX,
        description="An address below /v1 with its query, e.g. `/tasks/7/events?limit=10`; once for each read. `{0.instance}`: what the answer to the first has there",
    ),
]


class _Lacking(Exception):
    """An earlier answer doesn't have what is named."""


@get("/gathered", summary="Several reads in one")
async def gathered(request: ApiRequest, get: Gets, wait_for: WaitFor = None) -> Response[a.Gathered]:
    """In the order asked for, each with the status and the body that it has by itself; one that fails harms no other. What may be gathered are reads
    of things that a page shows; others are refused. `position`: all of them are at least as new as this."""
    for n, address in enumerate(get):
        _check(n, address)
    s = services_of(request)
    await s.wait_for(wait_for)
    position = await _position(s)
    asked: list[asyncio.Task[a.GatheredRead]] = []
    try:
        for address in get:
            asked.append(asyncio.ensure_future(_read(request, address, asked[:])))
        found = await asyncio.gather(*asked)
    finally:
        for each in asked:
            each.cancel()
    return reply({"reads": found, "position": position})


def _check(n: int, address: str) -> None:
    """Raises: Problem (422)."""
    where = f"query get, the {n + 1}. of them"
    if len(address) > ADDRESS_MAX:
        raise senseless(f"expected an address of at most {ADDRESS_MAX} characters, found {len(address)}", where)
    _among(address, where)
    if "{" in (left := _NAMED.sub("", address)) or "}" in left:
        raise senseless("expected something named out of an earlier answer, as {0.instance}, found other braces", where)
    for of, _ in _NAMED.findall(address):
        if int(of) >= n:
            raise senseless(f"expected the number of an earlier read (0 is the first), found {of}", where)


def _among(address: str, where: str) -> None:
    """As the router reads it: a slash that is written otherwise is one. Raises: Problem (422)."""
    path = unquote(address.partition("?")[0])
    if _KNOWN.fullmatch(path) is None:
        raise senseless(f"expected one of {', '.join(READS)}, found {path[:200]!r}", where)


async def _position(s: Services) -> str | None:
    """None: queries can't be answered now, as each of the reads will say."""
    try:
        found = await s.reads.positions()
    except Problem as p:
        if p.code != RejectionCode.UNAVAILABLE:
            raise
        return None
    return ",".join(f"{p}-{offset}" for p, offset in sorted(found.items()) if offset >= 0) or None


async def _read(request: ApiRequest, address: str, before: list[asyncio.Task[a.GatheredRead]]) -> a.GatheredRead:
    try:
        address = await _filled(address, before)
        _among(address, "query get, with what was named in it")
    except (_Lacking, Problem) as e:
        problem = e if isinstance(e, Problem) else Problem(RejectionCode.NOT_FOUND, str(e))
        return a.GatheredRead(get=address, status=problem.status, body=msgspec.Raw(encode_problem(problem, address)))
    status, kind, body = await _asked(request, address)
    return a.GatheredRead(get=address, status=status, body=msgspec.Raw(body if b"json" in kind else msgspec.json.encode(body.decode())))


async def _filled(address: str, before: list[asyncio.Task[a.GatheredRead]]) -> str:
    """With what is named out of earlier answers. Raises: _Lacking."""
    values = []
    for of, way in _NAMED.findall(address):
        found = await asyncio.shield(before[int(of)])
        if found.status != 200:
            raise _Lacking(f"read {of} was answered with {found.status}")
        value = _at(msgspec.json.decode(found.body), way[1:].split("."))
        if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
            raise _Lacking(f"the answer to read {of} has nothing to ask for at {way[1:]}")
        values.append(quote(str(value), safe=""))
    each: Iterator[str] = iter(values)
    return _NAMED.sub(lambda _: next(each), address)


def _at(value: Any, way: list[str]) -> Any:
    for name in way:
        if isinstance(value, list):
            value = value[int(name)] if _INDEX.fullmatch(name) and int(name) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value


async def _asked(request: ApiRequest, address: str) -> tuple[int, bytes, bytes]:
    """Status, kind and body of a read, asked as if it had come by itself: by the same connection, of whose certificate `state` tells."""
    path, _, query = address.partition("?")
    scope: Any = request.scope
    headers = [(name, value) for name, value in scope["headers"] if not _OWN.fullmatch(name.lower())]
    headers.append((b"x-correlation-id", scope["flowledger_correlation"].encode("latin-1")))
    if trace := scope.get("flowledger_trace"):
        headers.append((b"traceparent", trace.encode()))
    inner: Any = {
        "type": "http", "asgi": scope["asgi"], "http_version": scope["http_version"], "method": "GET", "scheme": scope["scheme"], "root_path": scope["root_path"],
        "path": f"/v1{unquote(path)}", "raw_path": f"/v1{path}".encode(), "query_string": query.encode(), "headers": headers,
        "client": scope["client"], "server": scope["server"], "state": {k: v for k, v in scope["state"].items() if k != CONNECTION_STATE_KEY},
    }  # fmt: skip
    status, kind, pieces = 500, b"", []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status, kind
        if message["type"] == "http.response.start":
            status, kind = message["status"], dict(message["headers"]).get(b"content-type", b"")
        else:
            pieces.append(message.get("body", b""))

    await request.app(inner, receive, send)
    return status, kind, b"".join(pieces)


HANDLERS: list[Any] = [gathered]
