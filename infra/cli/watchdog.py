"""What the watchdog has found, and repairs: each is asked first, shown, and done as it was shown."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flowledger.infra.cli.control import operate
from flowledger.infra.cli.options import CONTROL, DryRun, Json, Reason, ServerUrl, Yes
from flowledger.infra.cli.output import as_json, console, fail, table

app = typer.Typer(invoke_without_command=True, help="What should hold of all that runs, and doesn't: list it, repair it.")
_COLUMNS: list[str | tuple[str, str]] = ["id", "kind", "process", "instance", "element", "since", "repairs"]
Kinds = Annotated[list[str] | None, typer.Option("--kind", help="May be repeated")]
Instance = Annotated[str, typer.Option("--instance", help="About this one")]


@app.callback()
def watchdog(context: typer.Context, server: ServerUrl = "", json: Json = False) -> None:
    if context.invoked_subcommand is None:
        _list({}, server, json)


@app.command("list")
def list_findings(kind: Kinds = None, instance: Instance = "", server: ServerUrl = "", json: Json = False) -> None:
    """List what doesn't hold, the oldest first."""
    _list({"kind": kind or [], "instance": instance}, server, json)


def _list(query: dict[str, Any], server: str, json: bool) -> None:
    from flowledger.infra.cli.server import Server

    found = Server(server).get("/v1/watchdog", **query)
    if json:
        as_json(found)
        return
    rows = [{**r, "repairs": ", ".join(x["repair"] for x in r["repairs"])} for r in found["items"]]
    table(rows, _COLUMNS, empty="everything holds")
    for row in found["items"]:
        console().print(f"[bold]{row['id']}[/]: {row['says']}\n  {row['explanation']}")
    for p in found["partitions"]:
        if p["silent"]:
            console().print(f"[yellow]![/] partition {p['partition']} doesn't answer: {p['why']}")
        elif not p["rounds"]:
            console().print(f"[yellow]![/] partition {p['partition']} has not been looked at whole yet, since its owner took over")


@app.command("repair")
def repair(
    id: Annotated[str, typer.Argument(metavar="FINDING", help="The id of a finding")],
    how: Annotated[str, typer.Option("--repair", help="One of those that the list names; the first where none is given")] = "",
    reason: Reason = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Repair what doesn't hold. Refused when it holds again."""
    if not id.replace("-", "").replace("_", "").isalnum():
        fail(f"expected the id of a finding, found {id!r}")
    body = {"repair": how, "reason": reason}
    operate(server, f"/v1/watchdog/{id}/repair", body, f"{id} is repaired", dry_run=dry_run, yes=yes, json=json)


def register(to: typer.Typer) -> None:
    to.add_typer(app, name="watchdog", rich_help_panel=CONTROL)
