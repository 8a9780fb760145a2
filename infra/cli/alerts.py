"""Alerts: put, list, show, try on the past, silence, delete; when they fired."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flowledger.infra.cli.lists import deleted, listed
from flowledger.infra.cli.options import Json, Limit, Reason, ServerUrl
from flowledger.infra.cli.output import NO, as_json, console, facts, fail, table
from flowledger.infra.cli.record_files import ALERTS, read

app = typer.Typer(help="Alerts: put, list, show, try on the past, silence, delete; when they fired.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="ALERT")]


def _path(name: str) -> str:
    return f"/v1/alerts/{name}"


ALERTS.put(app, "rule", "Make alerts, or change them; `deploy` takes the same files.")


@app.command("list")
def list_alerts(
    firing: Annotated[bool, typer.Option("--firing", help="Only those that fire by now")] = False,
    limit: Limit = 50,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """List alerts, newest first."""
    columns = ["name", "status", "severity", "firing", "fired", "silenced_until", "last_at", "error"]
    listed(server, "/v1/alerts", limit, json, columns, "no alerts", **({"firing": "true"} if firing else {}))


@app.command()
def show(name: Name, server: ServerUrl = "", json: Json = False) -> None:
    """An alert: its rule, and whether it fires."""
    from flowledger.infra.cli.server import Server

    row = Server(server).get(_path(name))
    if json:
        as_json(row)
    else:
        facts({k: v for k, v in row.items() if k not in ("position", "rule") and v not in (None, "", 0, {}, [])})
        facts(row["rule"], "rule")


@app.command()
def firings(name: Name, limit: Limit = 50, server: ServerUrl = "", json: Json = False) -> None:
    """When it fired, newest first; times of figures in milliseconds, lag in seconds."""
    columns = ["created_at", "status", "severity", "group", "value", "cases", "resolved_at", "resolved_value", "why"]
    listed(server, f"{_path(name)}/firings", limit, json, columns, "it hasn't fired yet")


@app.command()
def test(
    what: Annotated[str, typer.Argument(metavar="ALERT|FILE", help="One that is stored, or a file that isn't yet")],
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="So many of the past")] = 7,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """When it would have fired in the past; nothing is changed and nobody is told."""
    from flowledger.infra.cli.server import Server

    body: dict[str, Any] = {"days": days}
    name, file = what, Path(what)
    if file.suffix in (".yaml", ".yml", ".json"):
        if not file.exists():
            fail(f"{what}: no such file", NO)
        name, body["rule"] = read(file)
    found = Server(server).post(f"{_path(name)}/test", body)
    if json:
        as_json(found)
        return
    rows = [
        {**i, "group": ", ".join(f"{k} {v}" for k, v in i["group"].items()), "resolved_at": i["resolved_at"] or ""} for i in found["items"]
    ]
    table(rows, ["fired_at", "resolved_at", "group", "value", "cases"], empty="it would not have fired")
    quiet = f", {found['silent']} kept quiet by times of maintenance" if found["silent"] else ""
    console(stderr=True).print(f"[dim]{found['from']} to {found['to']}: {found['fired']} times{quiet}[/]")


@app.command()
def silence(
    name: Name,
    minutes: Annotated[int, typer.Option("--minutes", min=1, help="For so long")] = 60,
    reason: Reason = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Let nothing fire anew for a while."""
    from flowledger.infra.cli.server import Server

    answer = Server(server).post(f"{_path(name)}/silence", {"minutes": minutes, "reason": reason})
    if json:
        as_json(answer)
    else:
        console().print(f"[green]✓[/] alert {name} is silent for {minutes} minutes")


@app.command()
def unsilence(name: Name, reason: Reason = "", server: ServerUrl = "", json: Json = False) -> None:
    """Let a silenced alert fire again."""
    from flowledger.infra.cli.server import Server

    answer = Server(server).post(f"{_path(name)}/unsilence", {"reason": reason})
    if json:
        as_json(answer)
    else:
        console().print(f"[green]✓[/] alert {name} may fire again")


@app.command()
def delete(name: Name, reason: Reason = "", server: ServerUrl = "", json: Json = False) -> None:
    """Delete an alert; what fires for it is over."""
    deleted(server, _path(name), json, f"alert {name} is deleted", reason=reason)
