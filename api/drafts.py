"""Drafts: models that are being drawn. Any text may be saved, valid or not; what is deployed is a definition, not a draft."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, post, put
from litestar.params import Parameter
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, Body, Name, Text, Words, reply
from flowledger.api.lists import Limit
from flowledger.api.locking import demanded, etag, expected
from flowledger.api.problems import Problem, malformed, senseless
from flowledger.api.services import Services, services_of
from flowledger.api.together.merging import merged
from flowledger.events.base import RejectionCode
from flowledger.infra.drafts import Changed, Drafts, Full
from flowledger.infra.own_tables import AWAY
from flowledger.kernel.limits import MODEL_BYTES_MAX
from flowledger.kernel.model import formats
from flowledger.kernel.model.encodings import utf8

Kind = Literal["process", "decision", "form"]
DraftPath = Annotated[str, Parameter(max_length=100, description="Id of a draft")]
DraftCursor = Annotated[
    str | None, Parameter(schema_extra={"pattern": r"^[0-9]{1,17}-[0-9a-f]{16}$"}, description="`cursor` of the page before")
]
DraftVersion = Annotated[int | None, Parameter(ge=1, le=(1 << 31) - 1, description="An older version; without it the newest")]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DraftBody(Body):
    """`name` is for people; `content` the text of a BPMN, DMN, form, JSON, YAML or BPML file. `kind`: what is drawn; without it, told by the content."""

    name: Name
    content: Annotated[str, Meta(max_length=MODEL_BYTES_MAX)]
    kind: Kind | None = None
    comment: Words = ""


class DraftChange(Body):
    """A new `content` is a new version, with a `comment` of what changed; `name` renames it."""

    content: Annotated[str, Meta(max_length=MODEL_BYTES_MAX)] | None = None
    name: Name | None = None
    comment: Words = ""


class CommentBody(Body):
    text: Annotated[str, Meta(min_length=1, max_length=10_000, pattern=r"\S")]
    element: Text = ""


class DraftRow(msgspec.Struct, kw_only=True):
    """`version` counts the texts that were saved, `row_version` all changes (a new name is one)."""

    id: str
    name: str
    kind: Kind
    version: int
    row_version: int
    created_at: a.Time
    created_by: str
    updated_at: a.Time
    updated_by: str


class Draft(DraftRow, kw_only=True):
    """`version` is that of the `content`, saved by `saved_by` with a `comment`; `newest` is the draft's newest."""

    content: str
    newest: int
    comment: str
    saved_at: a.Time
    saved_by: str


class DraftVersionRow(msgspec.Struct, kw_only=True):
    version: int
    comment: str
    saved_at: a.Time
    saved_by: str
    bytes: int


class DraftComment(msgspec.Struct, kw_only=True):
    """`element`: what it is about; empty: all of it."""

    id: str
    element: str
    text: str
    at: a.Time
    author: str


class DraftRemoved(msgspec.Struct, kw_only=True):
    id: str
    removed: bool


def kind_of(content: str, name: str) -> Kind:
    """What a text is about, by its content."""
    found = formats.detect(utf8(content), name)
    return "decision" if found == "dmn" else "form" if found == "form" else "process"


@asynccontextmanager
async def desk(s: Services) -> AsyncIterator[Drafts]:
    """The store. Raises: Problem, for all that it raises."""
    if s.drafts is None:
        raise Problem(RejectionCode.UNAVAILABLE, "drafts are kept by a process with the role api and a database")
    try:
        yield s.drafts
    except AWAY as e:
        raise Problem(RejectionCode.UNAVAILABLE, f"drafts can't be had now ({type(e).__name__})", retry_after_ms=1000) from None
    except Full as e:
        raise Problem(RejectionCode.RESOURCE_EXHAUSTED, str(e)) from None


def _missing(id: str) -> Problem:
    return Problem(RejectionCode.NOT_FOUND, f"no draft {id[:100]}")


def _changed(request: ApiRequest, e: Changed) -> Problem:
    """With who was faster, so that both can be kept."""
    row = e.row
    detail = (
        f"it was changed by {row['updated_by'] or 'somebody'} since it was read: saved on top of version {row['version']} both are kept"
    )
    status = 412 if demanded(request) else 0
    told = {"version": row["version"], "row_version": row["row_version"], "by": row["updated_by"], "at": _time(row["updated_us"])}
    problem = Problem(RejectionCode.STALE, detail, status=status, **told)
    problem.title = "Changed since it was read"
    return problem


def _time(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")


def _view(row: dict[str, Any]) -> dict[str, Any]:
    """Times as texts."""
    return {
        (f"{k[:-3]}_at" if k != "at_us" else "at") if k.endswith("_us") else k: _time(v) if k.endswith("_us") else v for k, v in row.items()
    }


def _check(content: str | None, name: str) -> None:
    """What a row can't hold is refused; all else may be saved."""
    if content is not None and "\x00" in content:
        raise senseless("a text without NUL was expected, found one", "body content")
    if content is not None and (n := len(utf8(content))) > MODEL_BYTES_MAX:
        raise senseless(f"at most {MODEL_BYTES_MAX} bytes were expected, found {n}", "body content")
    if not name.strip():
        raise senseless("a name was expected, found blanks", "body name")


@get("/drafts", summary="List drafts")
async def list_drafts(
    request: ApiRequest,
    name: Annotated[str | None, Parameter(max_length=255, description="Part of the name")] = None,
    kind: Kind | None = None,
    limit: Limit = 50,
    cursor: DraftCursor = None,
) -> Response[a.Page[DraftRow]]:
    """Those of the tenant, last saved first."""
    s = services_of(request)
    before = None
    if cursor is not None:
        us, _, id = cursor.partition("-")
        if not (us.isascii() and us.isdigit() and len(us) < 18 and len(id) == 16):
            raise malformed("a cursor of an earlier answer was expected", "query cursor")
        before = int(us), id
    async with desk(s) as drafts:
        rows = await drafts.page(s.identify(request).tenant, name or "", kind or "", limit + 1, before)
    more = len(rows) > limit
    last = rows[limit - 1] if more else None
    return reply({"items": [_view(r) for r in rows[:limit]], "cursor": f"{last['updated_us']}-{last['id']}" if last else None})


@post("/drafts", summary="Begin a draft")
async def create_draft(request: ApiRequest, data: DraftBody) -> Response[Draft]:
    """Of any text: it needs not be valid, nor finished."""
    s = services_of(request)
    _check(data.content, data.name)
    who = s.identify(request)
    async with desk(s) as drafts:
        kind = data.kind or kind_of(data.content, data.name)
        row = await drafts.make(who.tenant, who.actor, data.name, kind, data.content, data.comment)
    return reply(_view(row), 201, Location=f"/v1/drafts/{row['id']}", **etag(row))


async def draft_text(s: Services, tenant: str, id: str) -> tuple[str, str]:
    """Its name and its newest content. Raises: Problem (404)."""
    async with desk(s) as drafts:
        row = await drafts.get(tenant, id, None)
    if row is None:
        raise _missing(id)
    return row["name"], row["content"]


@get("/drafts/{id:str}", summary="Get a draft")
async def get_draft(request: ApiRequest, id: DraftPath, version: DraftVersion = None) -> Response[Draft]:
    """With its content: the newest, or that of `version`."""
    s = services_of(request)
    async with desk(s) as drafts:
        row = await drafts.get(s.identify(request).tenant, id, version)
    if row is None:
        raise Problem(RejectionCode.NOT_FOUND, f"no draft {id[:100]}" + (f" with a version {version}" if version else ""))
    return reply(_view(row), 200, **etag(row))


@put("/drafts/{id:str}", locks=True, summary="Save a draft")
async def save_draft(request: ApiRequest, id: DraftPath, data: DraftChange) -> Response[Draft]:
    """Every save is a version. With `If-Match` (the `ETag` that was read) 412 when somebody has changed it since: then `version`, `row_version`,
    `by` and `at` tell who, and to save on top of theirs keeps both."""
    s = services_of(request)
    if data.content is None and data.name is None:
        raise senseless("a content or a name was expected, found neither", "body")
    _check(data.content, "x" if data.name is None else data.name)
    who = s.identify(request)
    async with desk(s) as drafts:
        try:
            row = await drafts.save(who.tenant, who.actor, id, data.content, data.name, data.comment, expected(request), merged)
        except Changed as e:
            raise _changed(request, e) from None
    if row is None:
        raise _missing(id)
    if s.together is not None:
        s.together.look((who.tenant, id))
    return reply(_view(row), 200, **etag(row))


@delete("/drafts/{id:str}", status_code=200, locks=True, summary="Delete a draft")
async def remove_draft(request: ApiRequest, id: DraftPath) -> Response[DraftRemoved]:
    """With its versions and comments. What was deployed from it stays."""
    s = services_of(request)
    async with desk(s) as drafts:
        try:
            gone = await drafts.remove(s.identify(request).tenant, id, expected(request))
        except Changed as e:
            raise _changed(request, e) from None
    if not gone:
        raise _missing(id)
    return reply({"id": id, "removed": True})


@get("/drafts/{id:str}/versions", summary="Versions of a draft")
async def list_draft_versions(request: ApiRequest, id: DraftPath) -> Response[a.Page[DraftVersionRow]]:
    """Newest first; the last 500 are kept. `GET /v1/drafts/{id}?version=` has the content of one."""
    s = services_of(request)
    async with desk(s) as drafts:
        rows = await drafts.versions(s.identify(request).tenant, id)
    if not rows:
        raise _missing(id)
    return reply({"items": [_view(r) for r in rows], "cursor": None})


@get("/drafts/{id:str}/comments", summary="Comments of a draft")
async def list_draft_comments(request: ApiRequest, id: DraftPath) -> Response[a.Page[DraftComment]]:
    """Oldest first."""
    s = services_of(request)
    async with desk(s) as drafts:
        if await drafts.get(s.identify(request).tenant, id) is None:
            raise _missing(id)
        rows = await drafts.comments(s.identify(request).tenant, id)
    return reply({"items": [_comment(r) for r in rows], "cursor": None})


@post("/drafts/{id:str}/comments", summary="Comment on a draft")
async def comment_draft(request: ApiRequest, id: DraftPath, data: CommentBody) -> Response[a.Page[DraftComment]]:
    """On all of it, or on one of its elements. Answers with all comments."""
    s = services_of(request)
    who = s.identify(request)
    _check(data.text, "x")
    async with desk(s) as drafts:
        if not await drafts.comment(who.tenant, who.actor, id, data.text, data.element):
            raise _missing(id)
        rows = await drafts.comments(who.tenant, id)
    return reply({"items": [_comment(r) for r in rows], "cursor": None}, 201)


def _comment(row: dict[str, Any]) -> dict[str, Any]:
    found = _view(row)
    return {"id": str(found["id"]), "element": found["element"], "text": found["body"], "at": found["at"], "author": found["author"]}


HANDLERS: list[Any] = [
    list_drafts, create_draft, get_draft, save_draft, remove_draft, list_draft_versions, list_draft_comments, comment_draft,
]  # fmt: skip
