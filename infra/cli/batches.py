"""Batches: see what would be done, begin, watch, pause, resume, abort."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flowledger.infra.cli.carry import carry_out, finish, follow
from flowledger.infra.cli.given import file_text, text
from flowledger.infra.cli.lists import listed, move
from flowledger.infra.cli.options import DryRun, Json, Limit, Reason, ServerUrl, Yes
from flowledger.infra.cli.output import USAGE, as_json, facts, fail

app = typer.Typer(help="One action for many things: preview, begin, watch, pause, resume, abort.", no_args_is_help=True)
Batch = Annotated[str, typer.Argument(metavar="BATCH")]
Detach = Annotated[bool, typer.Option("--detach", help="Don't wait for its end")]
Rate = Annotated[int, typer.Option("--rate", min=0, help="Items a second; 0: as fast as it goes")]
_COLUMNS = [
    "id",
    "action",
    "list",
    "status",
    "total",
    "succeeded",
    "failed",
    "skipped",
    "rate",
    "created_by",
    "created_at",
    "ended_at",
    "reason",
]


@app.command()
def start(
    action: Annotated[
        str,
        typer.Argument(
            metavar="ACTION",
            help="cancel, terminate, suspend, resume, set_variables, modify, migrate, roll_back, delete, retry, resolve, ...",
        ),
    ],
    filter: Annotated[
        list[str] | None, typer.Option("--filter", metavar="NAME=VALUE", help="As the list takes it; may be repeated")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that the action can be done to, without a filter")] = False,
    id: Annotated[list[str] | None, typer.Option("--id", metavar="KEY", help="One item; may be repeated")] = None,
    ids: Annotated[str, typer.Option("--ids", metavar="FILE", help="Keys, one a line; - for stdin")] = "",
    of: Annotated[str, typer.Option("--of", metavar="LIST", help="instances, jobs, tasks, incidents, dead_letters")] = "",
    param: Annotated[list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="JSON, or a text; may be repeated")] = None,
    rate: Rate = 0,
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    detach: Detach = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Do an action to all that a filter finds, or to a list of keys."""
    body: dict[str, Any] = {"action": action, "params": {n: _value(v) for n, v in _pairs(param, "--param")}, "rate": rate, "reason": reason}
    if of:
        body["of"] = of
    keys = [*(id or ()), *_read(ids)]
    if bool(keys or ids) == bool(filter or every):
        fail("expected --filter (or --all), or --id (or --ids): one of them", USAGE)
    if keys or ids:
        body["ids"] = keys
    else:
        found: dict[str, Any] = {}
        for name, value in _pairs(filter, "--filter"):
            found[name] = f"{found[name]},{value}" if name in found else value
        body["filter"] = found
    carry_out(server, "/v1/batches", body, dry_run, yes, detach, json)


def _pairs(given: list[str] | None, option: str) -> list[tuple[str, str]]:
    found = []
    for each in given or ():
        name, equals, value = each.partition("=")
        if not equals or not name:
            fail(f"{option} must be NAME=VALUE, found {each!r}", USAGE)
        found.append((name, value))
    return found


def _value(text: str) -> Any:
    """JSON, or a text where it is none."""
    from decimal import Decimal

    import msgspec

    try:
        return msgspec.json.Decoder(float_hook=Decimal).decode(text)
    except msgspec.DecodeError:
        return text


def _read(ids: str) -> list[str]:
    if not ids:
        return []
    return (text(ids, "--ids") if ids == "-" else file_text(ids, f"--ids {ids}")).split()


@app.command("list")
def list_batches(
    status: Annotated[list[str] | None, typer.Option("--status", help="running, paused, partial ...; may be repeated")] = None,
    action: Annotated[str, typer.Option("--action")] = "",
    limit: Limit = 50,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """List batches, newest first."""
    listed(server, "/v1/batches", limit, json, _COLUMNS, "no batches", status=status, action=action)


@app.command()
def show(
    batch: Batch,
    watch: Annotated[bool, typer.Option("--watch", help="Until its end, with a bar")] = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """A batch: how far it is, what was asked, by whom."""
    from flowledger.infra.cli.server import Server

    s = Server(server)
    if watch:
        finish(follow(s, batch, quiet=json), json)
        return
    row = s.get(f"/v1/batches/{batch}")
    if json:
        as_json(row)
    else:
        facts({k: v for k, v in row.items() if k != "position" and v not in (None, "", 0)})


@app.command()
def items(
    batch: Batch,
    status: Annotated[
        list[str] | None, typer.Option("--status", help="pending, succeeded, failed, skipped, aborted; may be repeated")
    ] = None,
    limit: Limit = 50,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """What came of each item, and why."""
    columns = ["number", "id", "status", "code", "message", "done_at"]
    listed(server, f"/v1/batches/{batch}/items", limit, json, columns, "no items", status=status)


move(app, "batches/{}", Batch, "pause", "batch {} is paused", "Finish what is in hand, and begin nothing else.")
move(app, "batches/{}", Batch, "resume", "batch {} goes on", "Let a paused batch go on.")
move(app, "batches/{}", Batch, "abort", "batch {} is aborted", "Finish what is in hand, and leave the rest undone.")
