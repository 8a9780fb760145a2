"""What commands of many nouns share: rows of a list as a table or as JSON, and moves such as pause and resume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from flowledger.infra.cli.options import Json, Reason, ServerUrl
from flowledger.infra.cli.output import as_json, console, facts, table

Columns = Sequence[str | tuple[str, str]]


def listed(server: str, path: str, limit: int, json: bool, columns: Columns, empty: str, **query: Any) -> None:
    """All pages of a list, up to `limit` rows (0: all)."""
    from flowledger.infra.cli.server import Server

    rows = list(Server(server).pages(path, limit, **query))
    if json:
        as_json(rows)
    else:
        table(rows, list(columns), empty=empty)


def shown(server: str, path: str, json: bool) -> None:
    """One thing, as it is told."""
    from flowledger.infra.cli.server import Server

    found = Server(server).get(path)
    if json:
        as_json(found)
    else:
        facts(found)


def deleted(server: str, path: str, json: bool, said: str, **query: Any) -> None:
    """DELETE it and say so."""
    from flowledger.infra.cli.server import Server

    answer = Server(server).call("DELETE", path, query=query)
    if json:
        as_json(answer)
    else:
        console().print(f"[green]✓[/] {said}")


def move(app: typer.Typer, path: str, argument: Any, word: str, done: str, help: str) -> None:
    """`word` as a command on one thing, with a reason. `path` and `done` have `{}` for its id; `argument` is how the id is asked for."""

    def command(id: str, reason: Reason = "", server: ServerUrl = "", json: Json = False) -> None:
        from flowledger.infra.cli.daily import verb

        verb(server, f"{path.format(id)}/{word}", {"reason": reason}, done.format(id), json)

    command.__annotations__["id"] = argument
    app.command(word, help=help)(command)
