"""Holds: see what one would be over, place it, list what is held. The release is `repair.release`."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

import typer

from flowledger.infra.cli.lists import listed
from flowledger.infra.cli.options import CONTROL, Json, Limit, ServerUrl, Yes
from flowledger.infra.cli.output import USAGE, agree, as_json, console, fail, table

Scope = Literal["instance", "definition", "version", "element", "job_type", "target", "tenant"]
#: seconds between looks at a release that goes on
LOOK_S = 0.5
_COLUMNS: list[str | tuple[str, str]] = [
    "id", "scope", ("key", "over"), "mode", "status", "starts", "reason", "rate", ("created_by", "by"), "created_at", "until",
]  # fmt: skip


def hold(
    scope: Annotated[Scope, typer.Argument(metavar="SCOPE", help="instance, definition, version, element, job_type, target or tenant")],
    key: Annotated[
        str,
        typer.Argument(metavar="KEY", help="A key, a process id, PROCESS/ELEMENT, a job type, a target of limits, a tenant (* for all)"),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is shown with whatever is held")] = "",
    mode: Annotated[
        Literal["pause", "suspend"], typer.Option("--mode", help="pause: no new work is handed out; suspend: nothing moves")
    ] = "suspend",
    starts: Annotated[
        Literal["hold", "refuse"], typer.Option("--starts", help="New instances are pending until the release, or refused")
    ] = "hold",
    children: Annotated[bool, typer.Option("--children/--no-children", help="Called instances follow")] = True,
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="It ends by itself then, such as 2026-12-01T06:00:00Z")] = "",
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would be over")] = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Keep from going on: an instance, a definition, a version, an element, a job type, a target system or a tenant."""
    from flowledger.infra.cli.server import Server

    s = Server(server)
    found = s.get("/v1/holds/preview", scope=scope, key=key) if key else {"instances": None, "tasks": None}
    if dry_run:
        as_json({"scope": scope, "key": key, **found}) if json else _preview(scope, key, mode, found)
        return
    if not reason:
        fail("expected --reason: it is shown with whatever is held", USAGE)
    if not yes:
        if not json:
            _preview(scope, key, mode, found)
        agree(f"{'Pause' if mode == 'pause' else 'Suspend'} it?", "nothing was held")
    body: dict[str, Any] = {"scope": scope, "key": key, "reason": reason, "mode": mode, "starts": starts, "children": children}
    if until:
        body["until"] = until
    made = s.post("/v1/holds", body, **s.new_id())
    if json:
        as_json(made)
    else:
        console().print(f"[green]✓[/] hold {made['id']}: {mode} of {scope} {key or '(without tenant)'}")


def _preview(scope: str, key: str, mode: str, found: dict[str, Any]) -> None:
    row = {
        "scope": scope,
        "over": key or "(without tenant)",
        "mode": mode,
        "open instances": found["instances"],
        "open tasks": found["tasks"],
    }
    table([row], list(row))


def until_released(s: Any, hold: str, position: str) -> str:
    """Looks until all that it held goes on."""
    while True:
        found = s.get(f"/v1/holds/{hold}", wait_for=position)
        if found["status"] == "released":
            return "released"
        time.sleep(LOOK_S)


def holds(
    every: Annotated[bool, typer.Option("--all", help="Those that are released too")] = False,
    scope: Annotated[list[str] | None, typer.Option("--scope", help="May be repeated")] = None,
    instance: Annotated[str, typer.Option("--instance", help="Placed on this one")] = "",
    limit: Limit = 50,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """List what is held, newest first."""
    query = {"status": [] if every else ["held", "resuming"], "scope": scope or [], "instance": instance}
    listed(server, "/v1/holds", limit, json, _COLUMNS, "nothing is held", **query)


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=CONTROL)(hold)
    app.command(rich_help_panel=CONTROL)(holds)
