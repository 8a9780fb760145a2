"""Triggers: list, show, try, pause, resume, delete; what they have parked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flowledger.infra.cli.given import file_text
from flowledger.infra.cli.lists import listed, move
from flowledger.infra.cli.options import Json, Limit, Reason, ServerUrl
from flowledger.infra.cli.output import as_json, facts, table

app = typer.Typer(help="Triggers: list, show, try, pause, resume, delete; what they have parked.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="TRIGGER")]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Of parked items")]


@app.command("list")
def list_triggers(limit: Limit = 50, server: ServerUrl = "", json: Json = False) -> None:
    """List triggers, newest first."""
    listed(
        server,
        "/v1/triggers",
        limit,
        json,
        ["name", "source", "status", "ran", "parked", "rate", "next_at", "last_at", "error"],
        "no triggers",
    )


@app.command()
def show(name: Name, server: ServerUrl = "", json: Json = False) -> None:
    """A trigger: how far it is, and what it did."""
    from flowledger.infra.cli.server import Server

    row = Server(server).get(f"/v1/triggers/{name}")
    if json:
        as_json(row)
    else:
        facts({k: v for k, v in row.items() if k != "position" and v not in (None, "", 0, {})})


@app.command()
def runs(name: Name, limit: Limit = 50, server: ServerUrl = "", json: Json = False) -> None:
    """What a trigger did, newest first."""
    listed(server, f"/v1/triggers/{name}/runs", limit, json, ["created_at", "action", "subject", "instance", "item"], "it did nothing yet")


@app.command()
def parked(
    name: Name,
    every: Annotated[bool, typer.Option("--all", help="Those that are replayed or discarded too")] = False,
    limit: Limit = 50,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """What a trigger could not use, newest first."""
    columns = ["id", "status", "item", "code", "message", "created_at"]
    listed(server, f"/v1/triggers/{name}/dead-letters", limit, json, columns, "nothing is parked", status="" if every else "open")


@app.command()
def test(
    name: Name,
    context: Annotated[str, typer.Option("--context", metavar="JSON", help="What expressions see")] = "",
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="Of a schedule: as if it were due then")] = "",
    file: Annotated[Path | None, typer.Option("--file", help="Try this resource instead of the one in force")] = None,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """What it would do; nothing is done."""
    from flowledger.infra.cli.daily import variables
    from flowledger.infra.cli.server import Server

    body: dict[str, Any] = {"at": at}
    if context:
        body["context"] = variables(context, "--context")
    if file is not None:
        body["content"] = file_text(file)
    answer = Server(server).post(f"/v1/triggers/{name}/test", body)
    if json:
        as_json(answer)
    else:
        facts({k: v for k, v in answer.items() if v not in (None, "", [])})


@app.command()
def delete(name: Name, reason: Reason = "", server: ServerUrl = "", json: Json = False) -> None:
    """Delete all versions of a trigger, and what it remembers."""
    from flowledger.infra.cli.output import console
    from flowledger.infra.cli.server import Server

    s = Server(server)
    answer = s.call("DELETE", f"/v1/triggers/{name}", query={"reason": reason})
    if json:
        as_json(answer)
    else:
        console().print(f"[green]✓[/] trigger {name} is deleted")


def _settle(move: str, done: str, help: str) -> None:
    def settle(name: Name, ids: Ids, reason: Reason = "", server: ServerUrl = "", json: Json = False) -> None:
        from flowledger.infra.cli.server import Server

        s = Server(server)
        answer = s.post(f"/v1/triggers/{name}/dead-letters/{move}", {"ids": ids, "reason": reason}, **s.new_id())
        if json:
            as_json(answer)
        else:
            table([{"id": k, **v} for k, v in answer["outcomes"].items()], ["id", "outcome", "key", "reason"], empty=done)

    app.command(move, help=help)(settle)


move(app, "triggers/{}", Name, "pause", "trigger {} is paused", "Take nothing, and keep its place.")
move(app, "triggers/{}", Name, "resume", "trigger {} goes on", "Go on where it was.")
_settle("replay", "nothing", "Decide parked items anew, by the version in force.")
_settle("discard", "nothing", "Forget parked items.")
