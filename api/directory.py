"""Registries of work: who may work and when (directory), reusable task definitions, limits and breakers of targets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from litestar import Response, delete, get, put
from litestar.params import Parameter

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, reply
from flowledger.api.lists import text_of
from flowledger.api.problems import Problem, malformed, senseless
from flowledger.api.services import services_of
from flowledger.api.view import answer_view
from flowledger.events import commands as c
from flowledger.events.base import RejectionCode

#: noun in the path -> prefix of the names in registry `directory`
KINDS = {
    "users": "user", "agents": "agent", "services": "service", "tools": "tool", "apis": "api", "groups": "group", "calendars": "calendar",
}  # fmt: skip
NAME_MAX = 200
#: records that a search looks at in one go, and how often it does for one page
SEARCHED, SEARCHED_PAGES = 1_000, 10
EntryName = Annotated[str, Parameter(schema_extra={"pattern": r"^[^/\x00-\x1f\x7f]+$", "minLength": 1, "maxLength": NAME_MAX})]
Page = Annotated[int, Parameter(ge=1, le=1000)]
Target = Annotated[
    str,
    Parameter(
        schema_extra={"pattern": "^(job|tenant|endpoint|assignee):[^\\x00-\\x1f\\x7f]+$", "maxLength": NAME_MAX},
        description="job:TYPE, tenant:NAME, endpoint:TEXT or assignee:NAME",
    ),
]
Kind = Annotated[str, Parameter(schema_extra={"enum": list(KINDS)})]
After = Annotated[str, Parameter(max_length=1000, description="`cursor` of the page before")]
#: characters of one word of a search by metadata
ASKED_MAX = 1_000


def _name(request: ApiRequest, registry: str, name: str) -> str:
    """As it stands in the registry: a tenant's own under its prefix. Limits are the operator's, and for all."""
    own = name.rpartition(":")[2] if registry == "directory" else name
    if not own or len(own) > NAME_MAX:
        raise malformed(f"a name of 1 to {NAME_MAX} characters was expected, found {len(own)}", "path name")
    if registry != "limit" and "/" in name:
        raise malformed(f"a name without / was expected, found {name!r}", "path name")
    tenant = services_of(request).identify(request).tenant
    if registry == "limit" and tenant:
        raise Problem(RejectionCode.FORBIDDEN, "limits are for the operator, who has no tenant", status=403)
    return f"{tenant}/{name}" if tenant else name


def _kind(kind: str) -> str:
    if kind not in KINDS:
        raise Problem(RejectionCode.NOT_FOUND, f"one of {', '.join(KINDS)} was expected, found {kind!r}", where="path kind")
    return KINDS[kind]


async def _list(request: ApiRequest, registry: str, prefix: str, after: str, limit: int, partition: int = 0) -> dict[str, Any]:
    full = f"{prefix}{after}" if after else ""
    command = c.ListRecords(registry=registry, prefix=prefix, after=full, limit=limit)
    found = await services_of(request).call(command, request, partition=partition)
    items = [{"name": r["name"].removeprefix(prefix), **r["value"]} for r in found.get("records") or ()]
    return {"items": items, "cursor": items[-1]["name"] if found.get("more") and items else None}


async def _one(request: ApiRequest, registry: str, name: str) -> dict[str, Any]:
    value = await services_of(request).record(request, registry, name)
    if value is None:
        raise Problem(RejectionCode.NOT_FOUND, f"expected '{name}' in {registry}, found none", status=404)
    return value


async def _put(request: ApiRequest, registry: str, name: str, value: dict[str, Any]) -> Response[a.Stored]:
    command = c.StoreRecord(registry=registry, name=_name(request, registry, name), value=value)
    return reply(answer_view(await services_of(request).call(command, request)))


async def _delete(request: ApiRequest, registry: str, name: EntryName) -> Response[a.Stored]:
    await _one(request, registry, name)
    command = c.StoreRecord(registry=registry, name=_name(request, registry, name))
    return reply(answer_view(await services_of(request).call(command, request)))


@get("/directory/{kind:str}", summary="List users, groups, agents, services, tools, apis or calendars")
async def list_entries(request: ApiRequest, kind: Kind, cursor: After = "", limit: Page = 100) -> Response[a.Page[a.Entry]]:
    return reply(await _list(request, "directory", f"{_kind(kind)}:", cursor, limit))


@get("/directory/{kind:str}/{name:str}", summary="Get an entry of the directory")
async def get_entry(request: ApiRequest, kind: Kind, name: EntryName) -> Response[a.Entry]:
    return reply({"name": name, **await _one(request, "directory", f"{_kind(kind)}:{name}")})


@put("/directory/{kind:str}/{name:str}", summary="Create or replace an entry of the directory")
async def put_entry(request: ApiRequest, kind: Kind, name: EntryName, data: dict[str, Any]) -> Response[a.Stored]:
    """Who may work: groups, roles, capabilities (with levels), permissions, certified (for job types of level HIGH), place, calendar, max_concurrent,
    weight, active, resources; agents, services and tools also job_type, endpoint and credential (a reference). A calendar: zone, days, holidays."""
    return await _put(request, "directory", f"{_kind(kind)}:{name}", data)


@delete("/directory/{kind:str}/{name:str}", status_code=200, summary="Remove an entry of the directory")
async def delete_entry(request: ApiRequest, kind: Kind, name: EntryName) -> Response[a.Stored]:
    """Tasks that it holds stay with it until they are moved."""
    return await _delete(request, "directory", f"{_kind(kind)}:{name}")


@get("/task-definitions", summary="List task definitions")
async def list_task_definitions(
    request: ApiRequest,
    cursor: After = "",
    limit: Page = 100,
    metadata: Annotated[
        list[str] | None, Parameter(description="NAME=VALUE: what their metadata says, or a list of it has; all must fit")
    ] = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    updated_from: datetime | None = None,
    updated_to: datetime | None = None,
) -> Response[a.Page[a.Entry]]:
    """The newest version of each, and each version as `name@version`. A page of a search may have few rows, or none, and a cursor: it has looked at so many."""
    words = [_asked(text) for text in metadata or ()]
    spans = [
        ("created_us", _micros(created_from), _micros(created_to)),
        ("updated_us", _micros(updated_from), _micros(updated_to)),
    ]
    if not words and all(low is high is None for _, low, high in spans):
        return reply(await _list(request, "task_definition", "", cursor, limit))
    found: list[dict[str, Any]] = []
    following: str | None = cursor
    for _ in range(SEARCHED_PAGES):
        page = await _list(request, "task_definition", "", following or "", SEARCHED)
        fits = [i for i in page["items"] if _says(i.get("metadata"), words) and all(_within(i.get(n), low, high) for n, low, high in spans)]
        found += fits[: limit - len(found)]
        if len(found) == limit:
            more = fits[-1]["name"] != found[-1]["name"] or page["cursor"] is not None
            return reply({"items": found, "cursor": found[-1]["name"] if more else None})
        if (following := page["cursor"]) is None:
            break
    return reply({"items": found, "cursor": following})


def _asked(text: str) -> tuple[str, str]:
    name, is_one, value = text.partition("=")
    if not name or not is_one or len(text) > ASKED_MAX:
        raise senseless(f"NAME=VALUE was expected, found {text[:100]!r}", "query metadata")
    return name, value


def _says(metadata: Any, words: list[tuple[str, str]]) -> bool:
    """Values are compared as they are written; dots in a name lead into objects, unless there is one that is called so."""
    return all(any(text_of(one) == value for one in _values(metadata, name)) for name, value in words)


def _values(metadata: Any, name: str) -> list[Any]:
    if not isinstance(metadata, dict):
        return []
    if name not in metadata:
        first, dot, rest = name.partition(".")
        return _values(metadata.get(first), rest) if dot else []
    value = metadata[name]
    return value if isinstance(value, list) else [] if isinstance(value, dict) else [value]


def _within(moment: Any, low: int | None, high: int | None) -> bool:
    return (low is None or (moment or 0) >= low) and (high is None or (moment or 0) < high)


def _micros(at: datetime | None) -> int | None:
    return None if at is None else (at.replace(tzinfo=at.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@get("/task-definitions/{name:str}", summary="Get a task definition")
async def get_task_definition(request: ApiRequest, name: EntryName) -> Response[a.Entry]:
    """`name` for the newest, `name@version` for a version."""
    return reply({"name": name, **await _one(request, "task_definition", name)})


@put("/task-definitions/{name:str}", summary="Store a new version of a task definition")
async def put_task_definition(request: ApiRequest, name: EntryName, data: dict[str, Any]) -> Response[a.Stored]:
    """A job type of this name uses it, and so does a task that names it. The answer has the `version`."""
    return await _put(request, "task_definition", name, data)


@delete("/task-definitions/{name:str}", status_code=200, summary="Remove a task definition")
async def delete_task_definition(request: ApiRequest, name: EntryName) -> Response[a.Stored]:
    """Tasks that were made by it keep what they took over; its versions stay readable."""
    return await _delete(request, "task_definition", name)


@get("/capabilities", summary="List capabilities")
async def list_capabilities(request: ApiRequest, cursor: After = "", limit: Page = 100) -> Response[a.Page[a.Entry]]:
    """What other services offer, with their operations. Secrets stand in them by reference only."""
    return reply(await _list(request, "capability", "", cursor, limit))


@get("/capabilities/{name:str}", summary="Get a capability")
async def get_capability(request: ApiRequest, name: EntryName) -> Response[a.Entry]:
    return reply({"name": name, **await _one(request, "capability", name)})


@put("/capabilities/{name:str}", summary="Register a capability")
async def put_capability(request: ApiRequest, name: EntryName, data: dict[str, Any]) -> Response[a.Stored]:
    """`title`, `description`, `version`, `endpoint` with `authentication` (secrets by reference), `headers`, `health`, `events`, and `operations`: of each name
    `input` and `output` as JSON Schemas, `path`, `timeout`. Models call one by name and operation; without an endpoint workers take jobs of type NAME.OPERATION."""
    return await _put(request, "capability", name, data)


@delete("/capabilities/{name:str}", status_code=200, summary="Remove a capability")
async def delete_capability(request: ApiRequest, name: EntryName) -> Response[a.Stored]:
    """Its jobs wait then for workers, or for its return."""
    return await _delete(request, "capability", name)


@get("/profiles", summary="List API profiles")
async def list_profiles(request: ApiRequest, cursor: After = "", limit: Page = 100) -> Response[a.Page[a.Entry]]:
    """How APIs are called, by the names that tasks of connectors have them by: the newest version of each, and each version as `name@version`."""
    return reply(await _list(request, "profile", "", cursor, limit))


@get("/profiles/{name:str}", summary="Get an API profile")
async def get_profile(request: ApiRequest, name: EntryName) -> Response[a.Entry]:
    """`name` for the newest, `name@version` for a version."""
    return reply({"name": name, **await _one(request, "profile", name)})


@put("/profiles/{name:str}", summary="Store a new version of an API profile")
async def put_profile(request: ApiRequest, name: EntryName, data: dict[str, Any]) -> Response[a.Stored]:
    """`title`, `description`, `base_url`, `authentication` and `tls` (secrets by reference), `headers`, `timeout`, `limits` (`rate`, `concurrency`,
    `circuit_breaker`, over all partitions), `retry` (`codes`, `never`, `pause`). Calls from now on use it. The answer has the `version`: what changes
    nothing makes none."""
    return await _put(request, "profile", name, data)


@delete("/profiles/{name:str}", status_code=200, summary="Remove an API profile")
async def delete_profile(request: ApiRequest, name: EntryName) -> Response[a.Stored]:
    """With its versions. Tasks that name it are incidents from then on."""
    return await _delete(request, "profile", name)


@get("/limits", summary="List limits")
async def list_limits(request: ApiRequest, cursor: After = "", limit: Page = 100) -> Response[a.Page[a.Entry]]:
    return reply(await _list(request, "limit", "", cursor, limit))


@put("/limits", summary="Set concurrency, rate, circuit breaker, batch of a target")
async def put_limit(request: ApiRequest, target: Target, data: dict[str, Any]) -> Response[a.Stored]:
    """Limits hold over all partitions together."""
    return await _put(request, "limit", target, data)


@delete("/limits", status_code=200, summary="Remove a limit")
async def delete_limit(request: ApiRequest, target: Target) -> Response[a.Stored]:
    return await _delete(request, "limit", target)


@get("/breakers", summary="Circuit breakers, by partition")
async def list_breakers(request: ApiRequest) -> Response[a.Page[a.Breaker]]:
    """State, counts and until when it is open, of each target that has one."""
    items = []
    for partition in range(services_of(request).client.partitions):
        page = await _list(request, "breaker", "", "", 1000, partition)
        items += [{"partition": partition, "target": i.pop("name"), **i} for i in page["items"]]
    return reply({"items": items, "cursor": None})


@get("/workload", summary="History of assignees, by partition")
async def workload(request: ApiRequest) -> Response[a.Page[a.Load]]:
    """Done, failed and mean time in ms, as the weighted strategy sees them."""
    items = []
    for partition in range(services_of(request).client.partitions):
        page = await _list(request, "history", "", "", 1000, partition)
        items += [{"partition": partition, "assignee": i.pop("name"), **i} for i in page["items"]]
    return reply({"items": items, "cursor": None})


HANDLERS: list[Any] = [
    list_entries, get_entry, put_entry, delete_entry, list_task_definitions, get_task_definition, put_task_definition, delete_task_definition,
    list_capabilities, get_capability, put_capability, delete_capability, list_profiles, get_profile, put_profile, delete_profile,
    list_limits, put_limit, delete_limit, list_breakers, workload,
]  # fmt: skip
