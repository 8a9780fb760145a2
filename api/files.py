"""Files of tasks and instances: the bytes go to the store (`infra/blobs`), the ledger gets what was attached, by whom and with which hash (docs/files.md).

A file is had through what it is attached to, and by nobody who may not see that: a hash alone opens nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

import msgspec
from litestar import Response, delete, get, put
from litestar.params import Parameter
from litestar.response import Stream

from flowledger.api import answers as a
from flowledger.api.edge import TEXT_MAX, ApiRequest, KeyPath, key_of, reply, time_text
from flowledger.api.lists import WaitFor
from flowledger.api.problems import Problem, malformed
from flowledger.api.services import Services, services_of
from flowledger.api.tasks import worked_on
from flowledger.api.view import answer_view
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events.base import RejectionCode
from flowledger.events.files import hash_in, uri_of
from flowledger.infra.blobs import Blobs, Damaged, Full, TooLarge
from flowledger.logs import log

#: a piece of a file must come within this (seconds)
PIECE_S = 60.0
#: how often what nobody needs is looked for, and how long is waited for the rows to be as new as the log (seconds)
SWEEP_S, ROWS_S = 3_600.0, 60.0
PLAIN = "application/octet-stream"
GIVES = (PLAIN, "application/problem+json")
_KIND = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}")
FileName = Annotated[
    str,
    Parameter(schema_extra={"minLength": 1, "maxLength": TEXT_MAX, "pattern": r"^[^\x00-\x1f\x7f/\\]+$"}, description="The file's name"),
]
log_ = log("files")


class FileRow(msgspec.Struct, kw_only=True):
    """`kept`: it is had here; else `uri` says where it is."""

    name: str
    uri: str
    kept: bool
    media_type: str | None = None
    size: int | None = None
    sha256: str | None = None
    by: str | None = None
    at: str | None = None


class FileKept(msgspec.Struct, kw_only=True):
    """It is attached from `position` on."""

    name: str
    media_type: str
    size: int
    sha256: str
    position: str | None = None


class Holder(NamedTuple):
    """What files are attached to, as who asks may see it."""

    s: Services
    key: int
    tenant: str


async def _holder(request: ApiRequest, noun: str, id: str, wait_for: str | None = None) -> Holder:
    """`noun`: tasks or instances. Raises: Problem (404)."""
    s = services_of(request)
    found = Holder(s, key_of(id, noun.removesuffix("s")), s.identify(request).tenant)
    await s.find(noun, found.key, found.tenant, wait_for)
    return found


def _blobs(s: Services) -> Blobs:
    if s.blobs is None:
        raise Problem(RejectionCode.UNAVAILABLE, "this process keeps no files")
    return s.blobs


def _name(name: str) -> str:
    if not 1 <= len(name) <= TEXT_MAX or "/" in name or "\\" in name or name in (".", ".."):
        raise malformed(f"a name of 1 to {TEXT_MAX} characters without slashes was expected, found {name[:100]!r}", "path name")
    return name


@contextlib.contextmanager
def _told() -> Any:
    """What the store says, in the words of the edge."""
    try:
        yield
    except TooLarge as e:
        raise Problem("BODY_TOO_LARGE", str(e), status=413) from None
    except Full as e:
        raise Problem(RejectionCode.RESOURCE_EXHAUSTED, str(e)) from None
    except FileNotFoundError:
        raise Problem("GONE", "the file is not kept any more", status=410) from None
    except Damaged as e:
        log_.error("a file is damaged", why=str(e))
        raise Problem("DAMAGED", str(e), status=500) from None
    except OSError as e:
        log_.error("files can't be had", exc_info=e)
        raise Problem(RejectionCode.UNAVAILABLE, "files can't be had now: their store is away", retry_after_ms=2000) from None


async def _pieces(request: ApiRequest) -> AsyncIterator[bytes]:
    coming = request.stream().__aiter__()
    with services_of(request).closing.interrupts():
        while True:
            try:
                async with asyncio.timeout(PIECE_S):
                    piece = await anext(coming, None)
            except TimeoutError:
                raise Problem("TIMEOUT", f"the next piece of the file was expected within {PIECE_S:g} s, found none", status=408) from None
            if piece is None:
                return
            if piece:
                yield piece


async def _taken(request: ApiRequest, to: Holder, name: str) -> dict[str, Any]:
    """The body, kept: what is known of it."""
    name, blobs = _name(name), _blobs(to.s)
    if coding := request.headers.get("content-encoding", ""):
        raise Problem("UNSUPPORTED_MEDIA_TYPE", f"a file without Content-Encoding was expected, found {coding!r}", status=415)
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdecimal() and int(announced) > blobs.bytes_max:
        raise Problem("BODY_TOO_LARGE", f"a file has at most {blobs.bytes_max} bytes", status=413)
    with _told():
        kept = await blobs.put(to.tenant, _pieces(request), to.s.storage.room(to.tenant))
    to.s.storage.took(to.tenant, kept.size)
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    media_type = kind.lower() if _KIND.fullmatch(kind) else PLAIN
    return {"name": name, "uri": uri_of(kept.sha256), "media_type": media_type, "size": kept.size, "sha256": kept.sha256}


async def _attached(request: ApiRequest, to: Holder, file: dict[str, Any], command: c.AnyCommand) -> Response[FileKept]:
    answer = await to.s.call(command, request)
    return reply({k: v for k, v in file.items() if k != "uri"} | {"position": answer.get("position")}, 201)


async def _listed(of: Holder) -> Response[a.Page[FileRow]]:
    page = await of.s.reads.files(of.key, of.tenant)
    return reply({"items": [_row(x) for x in page["items"]], "cursor": None, "position": page["position"]})


def _row(x: dict[str, Any]) -> dict[str, Any]:
    row = {k: x.get(k) for k in ("name", "uri", "media_type", "size", "sha256", "by")}
    return row | {"kept": bool(hash_in(x.get("uri"))), "at": time_text(x.get("at_us") or 0)}


async def _given(of: Holder, name: str) -> Response[Any]:
    found = next((x for x in (await of.s.reads.files(of.key, of.tenant))["items"] if x.get("name") == name), None)
    if found is None:
        raise Problem(RejectionCode.NOT_FOUND, f"no file is attached as {name!r}")
    if not (sha256 := hash_in(found.get("uri"))):
        raise Problem(RejectionCode.NOT_FOUND, f"{name!r} is not kept here: it is at {found.get('uri')}")
    pieces = _blobs(of.s).read(of.tenant, sha256)
    with _told():
        first = await anext(pieces, b"")  # what is wrong with a small one is said before anything is sent

    async def all_of_it() -> AsyncIterator[bytes]:
        try:
            yield first
            async for piece in pieces:
                yield piece
        except (Damaged, OSError) as e:  # the answer ends before its length: whoever reads it knows that it isn't whole
            log_.error("a file broke off", name=name, why=str(e))
            raise
        finally:
            await pieces.aclose()  # type: ignore[attr-defined]

    kind = str(found.get("media_type") or "")
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    headers = {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
        "ETag": f'"{sha256}"',
    }  # fmt: skip
    if isinstance(size := found.get("size"), int):
        headers["Content-Length"] = str(size)
    return Stream(all_of_it, media_type=kind if _KIND.fullmatch(kind) else PLAIN, headers=headers)


# --- of tasks ------------------------------------------------------------------------------------------------------------


@get("/tasks/{id:str}/files", summary="Files of a task")
async def list_task_files(request: ApiRequest, id: KeyPath, wait_for: WaitFor = None) -> Response[a.Page[FileRow]]:
    return await _listed(await _holder(request, "tasks", id, wait_for))


@get("/tasks/{id:str}/files/{name:str}", summary="A file of a task", gives=GIVES)
async def get_task_file(request: ApiRequest, id: KeyPath, name: FileName, wait_for: WaitFor = None) -> Response[Any]:
    """As it was sent; its hash is looked at on the way out."""
    return await _given(await _holder(request, "tasks", id, wait_for), name)


@put("/tasks/{id:str}/files/{name:str}", status_code=201, request_max_body_size=None, summary="Attach a file to a task")
async def put_task_file(request: ApiRequest, id: KeyPath, name: FileName) -> Response[FileKept]:
    """The body is the file, its Content-Type what it is. One of that name is replaced."""
    await worked_on(request, id)
    to = await _holder(request, "tasks", id)
    file = await _taken(request, to, name)
    return await _attached(request, to, file, c.MoveTask(task=to.key, move="attach", details=file))


@delete("/tasks/{id:str}/files/{name:str}", status_code=200, summary="Detach a file from a task")
async def remove_task_file(request: ApiRequest, id: KeyPath, name: FileName) -> Response[a.TaskMoved]:
    command = c.MoveTask(task=await worked_on(request, id), move="attach", details={"remove": _name(name)})
    return reply(answer_view(await services_of(request).call(command, request)))


# --- of instances --------------------------------------------------------------------------------------------------------


@get("/instances/{id:str}/files", summary="Files of an instance")
async def list_instance_files(request: ApiRequest, id: KeyPath, wait_for: WaitFor = None) -> Response[a.Page[FileRow]]:
    """Its own; those of its tasks stand at the tasks."""
    return await _listed(await _holder(request, "instances", id, wait_for))


@get("/instances/{id:str}/files/{name:str}", summary="A file of an instance", gives=GIVES)
async def get_instance_file(request: ApiRequest, id: KeyPath, name: FileName, wait_for: WaitFor = None) -> Response[Any]:
    """As it was sent; its hash is looked at on the way out."""
    return await _given(await _holder(request, "instances", id, wait_for), name)


@put("/instances/{id:str}/files/{name:str}", status_code=201, request_max_body_size=None, summary="Attach a file to an instance")
async def put_instance_file(request: ApiRequest, id: KeyPath, name: FileName) -> Response[FileKept]:
    """The body is the file, its Content-Type what it is. One of that name is replaced. 404 when the instance has ended."""
    to = await _holder(request, "instances", id)
    file = await _taken(request, to, name)
    return await _attached(request, to, file, co.ChangeFiles(key=to.key, file=file))


@delete("/instances/{id:str}/files/{name:str}", status_code=200, summary="Detach a file from an instance")
async def remove_instance_file(request: ApiRequest, id: KeyPath, name: FileName) -> Response[a.Done]:
    command = co.ChangeFiles(key=key_of(id, "instance"), remove=_name(name))
    return reply(answer_view(await services_of(request).call(command, request)))


# --- what nobody needs ----------------------------------------------------------------------------------------------------


async def sweep(s: Services) -> int:
    """Files that nothing refers to go, `blob_hours` after they were put last. Nothing goes while the rows are behind the log: they say what is needed."""
    if len(s.client.health().get("partitions") or {}) < s.client.partitions:
        return 0
    if (ends := s.ends()) and not await s.reads.wait_for(ends, ROWS_S):
        log_.warning("files that nobody needs stay: the projections are behind")
        return 0
    return await _blobs(s).sweep(s.reads.needed, time.time() - s.settings.blob_hours * 3_600)


async def sweeping(s: Services) -> None:
    """For ever."""
    while True:
        await asyncio.sleep(min(SWEEP_S, s.settings.blob_hours * 3_600))
        try:
            if gone := await sweep(s):
                log_.info("files that nothing referred to were deleted", count=gone)
        except (Problem, OSError) as e:
            log_.warning("files that nobody needs can't be looked for", why=str(e))


TASKS: list[Any] = [list_task_files, get_task_file, put_task_file, remove_task_file]
INSTANCES: list[Any] = [list_instance_files, get_instance_file, put_instance_file, remove_instance_file]
