"""Files of tasks and instances: list, attach, get, detach."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import mimetypes
import os
import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from flowledger.infra.cli.options import Json, ServerUrl
from flowledger.infra.cli.output import USAGE, as_json, console, fail, table

app = typer.Typer(help="Files of tasks and instances: list, attach, get, detach.", no_args_is_help=True)
OfTask = Annotated[str, typer.Option("--task", metavar="KEY", help="Of this task")]
OfInstance = Annotated[str, typer.Option("--instance", metavar="KEY", help="Of this instance")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="As it is attached")]
PIECE = 256 * 1024


def _of(task: str, instance: str) -> str:
    if bool(task) == bool(instance):
        fail("expected --task or --instance, one of them", USAGE)
    return f"/v1/tasks/{task}/files" if task else f"/v1/instances/{instance}/files"


def _at(place: str, name: str) -> str:
    if not name or "/" in name:
        fail(f"expected the name of a file without slashes, found {name!r}", USAGE)
    return f"{place}/{name}"


@app.command("list")
def list_files(task: OfTask = "", instance: OfInstance = "", server: ServerUrl = "", json: Json = False) -> None:
    """List the files of a task or an instance."""
    from flowledger.infra.cli.server import Server

    page = Server(server).get(_of(task, instance))
    if json:
        as_json(page["items"])
    else:
        table(page["items"], ["name", "size", "media_type", "by", "at", "sha256"], empty="no files")


@app.command()
def attach(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True)],
    task: OfTask = "",
    instance: OfInstance = "",
    name: Annotated[str, typer.Option("--name", help="Attach it under another name than its own")] = "",
    media_type: Annotated[str, typer.Option("--type", help="What it is, where its name doesn't tell")] = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Attach a file; one of that name is replaced."""
    import msgspec

    from flowledger.infra.cli.server import Server

    name = name or file.name
    place = _at(_of(task, instance), name)
    kind = media_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    with file.open("rb") as body:
        headers = {"Content_Type": kind, "Content_Length": str(os.fstat(body.fileno()).st_size)}
        answer = msgspec.json.decode(Server(server).stream("PUT", place, body, headers).read())
    if json:
        as_json(answer)
    else:
        console().print(f"[green]✓[/] {name} is attached: {answer['size']} bytes, sha256 {answer['sha256']}")


@app.command()
def get(
    name: Name,
    task: OfTask = "",
    instance: OfInstance = "",
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Where it goes; -: standard output; none: its own name, here")
    ] = None,
    server: ServerUrl = "",
) -> None:
    """Get a file; nothing is overwritten that is there."""
    from flowledger.infra.cli.server import Server

    response = Server(server).stream("GET", _at(_of(task, instance), name))
    where = to or Path(name)
    if str(where) == "-":
        _copy(response, sys.stdout.buffer)
        return
    try:
        with where.open("xb") as out:
            try:
                _copy(response, out)
            except BaseException:
                with contextlib.suppress(OSError):
                    where.unlink()
                raise
    except FileExistsError:
        fail(f"{where} is there already: expected another name (--to FILE)", USAGE)
    console().print(f"[green]✓[/] {where}")


def _copy(response: http.client.HTTPResponse, out: BinaryIO) -> None:
    """Whole, or it fails: by its length, and by its hash, which is its tag."""
    digest = hashlib.sha256()
    try:
        while piece := response.read(PIECE):
            digest.update(piece)
            out.write(piece)
        whole = digest.hexdigest() == response.headers.get("ETag", "").strip('"')
    except (OSError, http.client.HTTPException):
        whole = False
    if not whole:
        fail("the file came broken: the server's log says why")


@app.command()
def detach(name: Name, task: OfTask = "", instance: OfInstance = "", server: ServerUrl = "", json: Json = False) -> None:
    """Detach a file. What nothing refers to is deleted after a while."""
    from flowledger.infra.cli.server import Server

    answer = Server(server).call("DELETE", _at(_of(task, instance), name))
    if json:
        as_json(answer)
    else:
        console().print(f"[green]✓[/] {name} is detached")
