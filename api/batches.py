"""Batches: one action for many items, by a filter or a list of keys; a preview before; paused, resumed, aborted; the result of each item."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import Response, get, post
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.access.door import IDENTITY, forbidden
from flowledger.api.access.known import Identity
from flowledger.api.access.operations import BY_ACTION
from flowledger.api.edge import KEY_PATTERN, ApiRequest, Body, KeyPath, KeyRef, Words, key_of, reply
from flowledger.api.lists import Cursor, Limit, WaitFor, listing, text_of
from flowledger.api.problems import Problem, problem_of, senseless
from flowledger.api.services import Services, definition_key, services_of
from flowledger.api.view import answer_view
from flowledger.events import control as co
from flowledger.events.base import Rejected, RejectionCode
from flowledger.events.commands import PARTITION_BITS, partition_of_key, partition_of_text
from flowledger.kernel import limits
from flowledger.kernel.batches.actions import ACTIONS, problem

BATCH = "batch"
ACTION = Literal[
    "cancel",
    "terminate",
    "suspend",
    "resume",
    "set_variables",
    "modify",
    "migrate",
    "roll_back",
    "delete",
    "retry",
    "resolve",
    "assign",
    "claim",
    "release",
    "complete",
    "escalate",
    "redeliver",
]
LIST = Literal["instances", "jobs", "tasks", "incidents", "dead_letters"]
#: rows that a preview shows
EXAMPLES = 5
_ACTIVE = "pending,running,suspended,quarantined"
_ENDED = "completed,failed,cancelled,terminated"
_PEOPLE = "user_task,human_task,manual_task"
#: (action, list) -> filters that hold where the caller's don't say otherwise: what can be done something to at all
IMPLIED: dict[tuple[str, str], dict[str, str]] = {
    **{(name, "instances"): {"status": _ACTIVE} for name in ("cancel", "terminate", "set_variables", "modify", "migrate")},
    ("roll_back", "instances"): {"status": "running,suspended,quarantined"},
    ("delete", "instances"): {"status": _ENDED},
    ("suspend", "instances"): {"status": "running"},
    ("resume", "instances"): {"status": "suspended"},
    ("retry", "instances"): {"status": _ACTIVE, "has_incident": "true"},
    ("retry", "jobs"): {"status": "failed,timed_out"},
    ("retry", "incidents"): {"status": "open"},
    ("resolve", "incidents"): {"status": "open"},
    ("assign", "tasks"): {"status": "created,assigned"},
    ("claim", "tasks"): {"status": "created,assigned", "type": _PEOPLE},
    ("release", "tasks"): {"status": "assigned,started,in_progress", "type": _PEOPLE},
    ("complete", "tasks"): {"status": "created,assigned,started,in_progress", "type": _PEOPLE},
    ("escalate", "tasks"): {"status": "created,assigned,started,in_progress,failed,timed_out"},
    ("redeliver", "dead_letters"): {"status": "open"},
}
#: under which name the rows of a list stand
ROWS = {"jobs": "tasks"}
#: how often a node asks again where the owner of the home changes meanwhile
_TRIES = 5

Filter = dict[str, str | int | bool | list[str]]


class BatchBody(Body):
    """`filter`: names and values as the list `of` takes them (of instances also `var.NAME[op]`); or `ids`, keys. Not both.

    `dry_run`: nothing is done; the answer says how many there are, and shows some. A filter is done with `confirm` only: that number.
    `rate`: items a second, 0: as fast as it goes.
    """

    action: ACTION
    params: dict[str, Any] = {}
    of: LIST | None = None
    filter: Filter | None = None
    ids: Annotated[list[KeyRef], Meta(max_length=limits.BATCH_ITEMS_MAX)] | None = None
    rate: Annotated[int, Meta(ge=0, le=limits.BATCH_RATE_MAX)] = 0
    reason: Words = ""
    dry_run: bool = False
    confirm: Annotated[int, Meta(ge=0, le=limits.BATCH_ITEMS_MAX)] | None = None


class ControlBody(Body):
    reason: Words = ""


class Wish:
    """What is asked for, checked."""

    def __init__(self, action: str, of: str, params: dict[str, Any], rate: int, reason: str, filter: dict[str, str] | None) -> None:
        self.action, self.of, self.params, self.rate, self.reason, self.filter = action, of, params, rate, reason, filter

    def create(self, total: int) -> co.CreateBatch:
        return co.CreateBatch(
            action=self.action, total=total, params=self.params or None, rate=self.rate, of=self.of, filter=self.filter, reason=self.reason
        )


def may(request: ApiRequest, action: str) -> None:
    """Whoever may do it to one may do it to many. Raises: Problem (403)."""
    identity: Identity | None = request.scope.get(IDENTITY)  # type: ignore[assignment]
    if identity is not None and BY_ACTION[action] not in identity.rights:
        raise forbidden(BY_ACTION[action], identity)


@post("/batches", status_code=200, summary="Begin a batch, or see what it would do")
async def create_batch(request: ApiRequest, data: BatchBody, wait_for: WaitFor = None) -> Response[a.BatchBegun]:
    """Each item is done once, whatever happens to nodes meanwhile, with the rights of whoever asked. What is so already, or isn't there (any more), is
    skipped; one that fails keeps its reason, and the others go on."""
    return await begin_batch(request, data, wait_for)


async def begin_batch(request: ApiRequest, data: BatchBody, wait_for: str | None) -> Response[Any]:
    may(request, data.action)
    s = services_of(request)
    if (data.filter is None) == (data.ids is None):
        raise senseless("filter or ids was expected, one of them", "body")
    of = data.of or ACTIONS[data.action].of[0]
    params = await _params(s, request, data)
    if wrong := problem(data.action, of, params):
        raise Problem(RejectionCode.INVALID_ARGUMENT, wrong, where=f"body {wrong.partition(':')[0]}")
    await s.wait_for(wait_for)
    given = None
    if data.filter is not None:
        given = {**IMPLIED.get((data.action, of), {}), **{k: text_of(v) for k, v in data.filter.items()}}
    wish = Wish(data.action, of, params, data.rate, data.reason, given)
    if given is None:
        keys = sorted({key_of(k, "body ids") for k in data.ids or ()}, key=order)
        return await preview(request, wish, keys) if data.dry_run else await begin(request, wish, keys)
    if data.dry_run:
        return await preview(request, wish, await found(request, of, given))
    if data.confirm is None:
        raise senseless("the number of items that a dry run has told was expected, found none", "body confirm")
    return await begin(request, wish, None, data.confirm)


async def _params(s: Services, request: ApiRequest, data: BatchBody) -> dict[str, Any]:
    """A definition may be named by its id in the model; keys of the API are texts."""
    params = dict(data.params)
    if data.action == "migrate" and isinstance(params.get("definition"), str | int):
        params["definition"] = await definition_key(s, request, params["definition"], "body params.definition")
    return params


def order(key: int) -> tuple[int, int]:
    """As `AddBatchItems` wants them: by number, then by partition."""
    return key & ((1 << PARTITION_BITS) - 1), key >> PARTITION_BITS


async def found(request: ApiRequest, of: str, given: Mapping[str, str]) -> list[int]:
    """Keys of all rows of a list, by the list's own code. Raises: Problem (400: the filter; 422: too many)."""
    s = services_of(request)
    tenant = s.identify(request).tenant
    keys: set[int] = set()
    cursor = ""
    while True:
        try:
            page = await s.reads.list(ROWS.get(of, of), dict(given), 1_000, cursor, tenant)
        except Problem as p:
            for error in p.extra.get("errors", ()):
                error["where"] = error["where"].replace("query", "body filter", 1)
            raise
        keys.update(int(row["id"]) for row in page["items"])
        if len(keys) > limits.BATCH_ITEMS_MAX:
            text = f"expected a filter that finds at most {limits.BATCH_ITEMS_MAX} items, found more"
            raise Problem(RejectionCode.INVALID_ARGUMENT, text, where="body filter")
        cursor = page["cursor"] or ""
        if not cursor:
            return sorted(keys, key=order)


async def preview(request: ApiRequest, wish: Wish, keys: list[int]) -> Response[Any]:
    s = services_of(request)
    tenant = s.identify(request).tenant
    examples = []
    for key in keys[:EXAMPLES]:
        row = await s.reads.get(ROWS.get(wish.of, wish.of), str(key), tenant)
        examples.append({"id": str(key), **{k: row[k] for k in _SHOWN if row is not None and row.get(k) not in (None, "")}})
    return reply({
        "dry_run": True, "action": wish.action, "of": wish.of, "count": len(keys), "confirm": len(keys), "examples": examples, "filter": wish.filter,
    })  # fmt: skip


#: of an example
_SHOWN = (
    "process",
    "definition",
    "version",
    "business_key",
    "name",
    "status",
    "element",
    "code",
    "message",
    "instance",
    "assignee",
    "created_at",
)


async def begin(request: ApiRequest, wish: Wish, keys: list[int] | None, confirm: int = 0) -> Response[Any]:
    """Make it, bring its items. `keys` None: they are found by the filter, and are to be as many as was confirmed."""
    s = services_of(request)
    id = request.headers.get("idempotency-key", "")
    gone = await _missing(request, wish, keys or [])
    if keys is None and not id:
        keys = await _as_confirmed(request, wish, confirm)
    total = confirm if keys is None else len(keys)
    made = await s.call(wish.create(total), request, partition=partition_of_text(id, s.client.partitions) if id else None)
    key = made["key"]
    s.made(key, made.get("position", ""))
    status = made["status"]
    if total:
        state = await _add(s, request, key, 0, [])
        if state is None or state["status"] != "collecting":
            status, keys = (state or {"status": "ended"})["status"], []  # this very request was asked before
        elif keys is None:
            try:
                keys = await _as_confirmed(request, wish, confirm)
            except Problem:
                await s.client.call(
                    co.ControlBatch(batch=key, move="abort", reason="the items were not those that were confirmed"), s.identify(request)
                )
                raise
        for at in range(0, len(keys or ()), limits.LIST_MAX):
            some = (keys or [])[at : at + limits.LIST_MAX]
            state = await _add(s, request, key, at, some, [k for k in some if k in gone])
            status = state["status"] if state is not None else "ended"
            made["position"] = (state or made).get("position") or made.get("position")
        if ACTIONS[wish.action].prepared and s.preparing is not None:
            s.preparing.soon(key)
    return reply({"id": str(key), "status": status, "count": total, "action": wish.action, "of": wish.of, "position": made.get("position")})


async def _as_confirmed(request: ApiRequest, wish: Wish, confirm: int) -> list[int]:
    keys = await found(request, wish.of, wish.filter or {})
    if len(keys) != confirm:
        text = f"{confirm} items were confirmed, the filter finds {len(keys)} now: look again (dry_run)"
        raise Problem(RejectionCode.STALE, text, where="body confirm", count=len(keys))
    return keys


async def _missing(request: ApiRequest, wish: Wish, keys: list[int]) -> frozenset[int]:
    """Those of a list that aren't there, where no owner can tell: it forgets an instance with its end. Raises: Problem (503)."""
    if not ACTIONS[wish.action].missing:
        return frozenset()
    s = services_of(request)
    tenant = s.identify(request).tenant

    async def unknown(those: list[int]) -> list[int]:
        found: set[int] = set()
        for at in range(0, len(those), limits.LIST_MAX):
            found |= await s.reads.known(those[at : at + limits.LIST_MAX], tenant)
        return [k for k in those if k not in found]

    left = await unknown(keys)
    homes = {partition_of_key(k) for k in left}
    ends = {p: end for p, end in s.ends().items() if p in homes}
    if ends:  # what has ended just now may not have come yet
        if not await s.reads.wait_for(ends, s.settings.fresh_ms / 1000):
            raise Problem(RejectionCode.UNAVAILABLE, "the projections are behind: try again", retry_after_ms=1000)
        left = await unknown(left)
    return frozenset(left)


async def _add(
    s: Services, request: ApiRequest, key: int, at: int, items: list[int], missing: list[int] | None = None
) -> dict[str, Any] | None:
    """None: the batch has ended. Sent again where nobody knows whether it arrived: it is taken once. Raises: Problem."""
    command = co.AddBatchItems(batch=key, at=at, items=items, missing=missing or [])
    answer: dict[str, Any] | Rejected = {}
    for _ in range(_TRIES):
        answer = await s.client.call(command, s.identify(request), timeout_s=s.settings.command_timeout_ms / 1000)
        if not isinstance(answer, Rejected):
            return answer
        if answer.code == RejectionCode.NOT_FOUND:
            return None
        if answer.code not in (RejectionCode.UNAVAILABLE, RejectionCode.DEADLINE_EXCEEDED):
            break
    assert isinstance(answer, Rejected)
    failed = problem_of(answer)
    failed.extra["id"] = str(key)
    raise failed


@get("/batches", summary="List batches")
async def list_batches(
    request: ApiRequest,
    status: Annotated[
        list[Literal["collecting", "running", "paused", "aborting", "completed", "partial", "failed", "aborted"]] | None,
        Parameter(description="One or several"),
    ] = None,
    action: ACTION | None = None,
    created_from: datetime | None = None,
    created_to: datetime | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[a.Batch]]:
    """Newest first."""
    filters = {"status": status, "action": action, "created_from": created_from, "created_to": created_to}
    return reply(await listing(request, "batches", filters, limit, cursor, wait_for))


@get("/batches/{id:str}", summary="Get a batch")
async def get_batch(request: ApiRequest, id: KeyPath, wait_for: WaitFor = None) -> Response[a.Batch]:
    """`pending` are those of which no result is known yet."""
    s = services_of(request)
    return reply(await s.find("batches", key_of(id, BATCH), s.identify(request).tenant, wait_for))


@get("/batches/{id:str}/items", summary="Items of a batch")
async def list_items(
    request: ApiRequest,
    id: KeyPath,
    status: Annotated[
        list[Literal["pending", "succeeded", "failed", "skipped", "aborted"]] | None, Parameter(description="One or several")
    ] = None,
    limit: Limit = 50,
    cursor: Annotated[str | None, Parameter(pattern=KEY_PATTERN, description="`cursor` of the page before")] = None,
    wait_for: WaitFor = None,
) -> Response[a.Page[a.BatchItem]]:
    """In the order in which they are done; `code` and `message` say why one was not."""
    s = services_of(request)
    row = await s.find("batches", key_of(id, BATCH), s.identify(request).tenant, wait_for)
    return reply(await listing(request, "batch_items", {"batch": row["id"], "status": status}, limit, cursor, None))


def _control(move: str, text: str) -> Any:
    async def handler(request: ApiRequest, id: KeyPath, data: ControlBody | None = None) -> Response[a.Done]:
        s = services_of(request)
        key = key_of(id, BATCH)
        row = await s.find("batches", key, s.identify(request).tenant)
        may(request, row["action"])
        command = co.ControlBatch(batch=key, move=move, reason=data.reason if data else "")
        return reply(answer_view(await s.call(command, request)))

    handler.__name__ = f"{move}_batch"
    handler.__doc__ = text
    return post(f"/batches/{{id:str}}/{move}", status_code=200, summary=f"{move.capitalize()} a batch")(handler)


pause = _control("pause", "What is in hand is finished; nothing else is begun.")
resume = _control("resume", "It goes on.")
abort = _control("abort", "What is in hand is finished; the rest is not done. What is done stays done.")

HANDLERS: list[Any] = [create_batch, list_batches, get_batch, list_items, pause, resume, abort]
