"""Rules of retention: put, list, show what would go, remove, apply now."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flowledger.infra.cli.options import Json, ServerUrl, Yes
from flowledger.infra.cli.output import agree, as_json, console, facts, table
from flowledger.infra.cli.server import Server

app = typer.Typer(help="For how long what has ended is kept: rules, what would go by now, a step at once.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="RULE", help="Small letters, digits and ._-")]
After = Annotated[str, typer.Option("--after", metavar="DURATION", help="From the end of an instance on: P90D, P10Y")]
Definition = Annotated[str, typer.Option("--definition", metavar="ID", help="A process; else all that have no rule of their own")]
Class = Annotated[str, typer.Option("--class", metavar="CLASS", help="Protected values of that class alone; else whole instances")]


@app.command()
def put(
    name: Name,
    after: After,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is written down")],
    definition: Definition = "",
    cls: Class = "",
    yes: Yes = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Make a rule, or change it. It is asked first what would go."""
    body = {"after": after, "reason": reason, "definition": definition, "class": cls}
    to = Server(server)
    if not yes:
        would = to.post(f"/v1/retention/{name}/preview", body)
        agree(f"{would['instances']} instances and the keys of {would['keys']} subjects would go by now; put it?", "nothing was put")
    row: Any = to.call("PUT", f"/v1/retention/{name}", body)
    as_json(row) if json else facts({k: v for k, v in row.items() if v not in (None, "")})


@app.command("list")
def rules(server: ServerUrl = "", json: Json = False) -> None:
    """The rules."""
    rows = list(Server(server).pages("/v1/retention", 0))
    as_json(rows) if json else table(rows, ["name", "definition", "class", "after", "reason", "by", "since"], empty="no rules: all is kept")


@app.command()
def preview(name: Name, server: ServerUrl = "", json: Json = False) -> None:
    """What would go by a rule now."""
    row = Server(server).post(f"/v1/retention/{name}/preview", None)
    if json:
        as_json(row)
        return
    facts({k: v for k, v in row.items() if k != "items"})
    if row["items"]:
        table(row["items"], ["id", "definition", "ended_at"], empty="")


@app.command()
def remove(name: Name, server: ServerUrl = "") -> None:
    """Remove a rule: what it would have taken is kept."""
    Server(server).call("DELETE", f"/v1/retention/{name}")
    console().print("[green]✓[/] it is removed")


@app.command()
def apply(server: ServerUrl = "", json: Json = False) -> None:
    """One step now, as the server does by itself."""
    row = Server(server).post("/v1/retention-steps", None)
    told = [{"rule": m["rule"], "instances": len(m["instances"]), "keys": len(m["keys"])} for m in row["certificates"]]
    as_json(row) if json else table(told, ["rule", "instances", "keys"], empty="nothing is due")
