"""Evidence for auditors: what was asked for, conflicts of duties, who may do what; as a table, JSON, CSV or a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flowledger.infra.cli.options import Json, ServerUrl
from flowledger.infra.cli.output import NO, as_json, console, fail, table
from flowledger.infra.cli.server import Server

app = typer.Typer(help="Evidence: what was asked for in a period, conflicts of duties, who may do what.", no_args_is_help=True)
Since = Annotated[str, typer.Option("--since", metavar="TIME", help="From then on; without it 30 days back")]
Until = Annotated[str, typer.Option("--until", metavar="TIME", help="Before that")]
To = Annotated[Path | None, typer.Option("--to", metavar="FILE", help="A .csv, a .html page to be printed, or JSON")]
Definition = Annotated[str, typer.Option("--definition", metavar="ID", help="One process")]


def _show(what: str, query: dict[str, str], to: Path | None, server: str, json: bool, key: str, columns: list[str]) -> None:
    given = {k: v for k, v in query.items() if v}
    if to is not None:
        given["format"] = {".csv": "csv", ".html": "html"}.get(to.suffix, "json")
        found = Server(server).text(f"/v1/evidence/{what}", **given)
        try:
            to.write_text(found, "utf-8", newline="")
        except OSError as e:
            fail(f"{to}: {e.strerror}", NO)
        console().print(f"[green]✓[/] {to}")
        return
    rows: Any = Server(server).get(f"/v1/evidence/{what}", **given)
    as_json(rows) if json else table(rows[key], columns, empty="nothing")


@app.command()
def report(
    since: Since = "",
    until: Until = "",
    actor: Annotated[str, typer.Option("--actor", metavar="NAME", help="One person or program")] = "",
    definition: Definition = "",
    to: To = None,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Who asked for what: each change, refusal and reading of protected values."""
    query = {"since": since, "until": until, "actor": actor, "definition": definition}
    _show("report", query, to, server, json, "items", ["time", "actor", "operation", "subject", "outcome", "reason", "address"])


@app.command()
def duties(
    since: Since = "",
    until: Until = "",
    definition: Definition = "",
    pair: Annotated[
        str, typer.Option("--pair", metavar="A,B", help="Two elements of the definition, beside those that models keep apart")
    ] = "",
    to: To = None,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Who did both of two tasks that are not for one; accounts with rights that better belong to two."""
    query = {"since": since, "until": until, "definition": definition, "pair": pair}
    _show("duties", query, to, server, json, "did", ["definition", "first", "second", "instance", "actor", "second_at"])


@app.command()
def access(to: To = None, server: ServerUrl = "", json: Json = False) -> None:
    """Who may do what, and when they last did."""
    _show("access", {}, to, server, json, "items", ["account", "kind", "roles", "tenants", "used_at", "last_operation", "remarks"])
