"""Dead letters: look, mend, replay, discard."""

from __future__ import annotations

from typing import Annotated

import typer

from flowledger.infra.cli.given import text
from flowledger.infra.cli.lists import listed
from flowledger.infra.cli.options import Json, Limit, Reason, ServerUrl
from flowledger.infra.cli.output import as_json

app = typer.Typer(help="Commands that nobody could decide: list, show, replay, discard.", no_args_is_help=True)
Letter = Annotated[str, typer.Argument(metavar="LETTER")]


@app.command("list")
def list_letters(
    every: Annotated[bool, typer.Option("--all", help="Those that are replayed, discarded or told to their sender too")] = False,
    partition: Annotated[int, typer.Option("--partition", help="Of `commands`; -1: all")] = -1,
    limit: Limit = 50,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """List dead letters, newest first."""
    query = {"status": "" if every else "open", "partition": "" if partition < 0 else str(partition)}
    columns = ["id", "source", "status", "message", "size", "instance", "created_at"]
    listed(server, "/v1/dead-letters", limit, json, columns, "no dead letters", **query)


@app.command()
def show(letter: Letter, server: ServerUrl = "", json: Json = False) -> None:
    """A dead letter, with its record: to be mended and given to `replay`."""
    from flowledger.infra.cli.output import facts
    from flowledger.infra.cli.server import Server

    found = Server(server).get(f"/v1/dead-letters/{letter}")
    if json:
        as_json(found)
        return
    facts({k: v for k, v in found.items() if k != "command" and v not in (None, "")})
    print(f"\n{found['command']}")


@app.command()
def replay(
    letter: Letter,
    command: Annotated[str, typer.Option("--command", metavar="JSON", help="Decide this in its place: JSON, @FILE, or - for stdin")] = "",
    reason: Reason = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Decide a dead letter anew, as it was kept or as it was mended."""
    from flowledger.infra.cli.daily import verb

    given = text(command, "--command")
    verb(server, f"dead-letters/{letter}/replay", {"command": given or None, "reason": reason}, f"dead letter {letter} is replayed", json)


@app.command()
def discard(letter: Letter, reason: Reason = "", server: ServerUrl = "", json: Json = False) -> None:
    """Give a dead letter up; its record stays on the log."""
    from flowledger.infra.cli.daily import verb

    verb(server, f"dead-letters/{letter}/discard", {"reason": reason}, f"dead letter {letter} is discarded", json)
