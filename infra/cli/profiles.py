"""API profiles: how an API is called, said once and used by tasks of connectors by name."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flowledger.infra.cli.lists import listed
from flowledger.infra.cli.options import Json, Limit, ServerUrl
from flowledger.infra.cli.output import as_json, console, table
from flowledger.infra.cli.record_files import PROFILES

app = typer.Typer(help="API profiles: list, show, put, rm.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="PROFILE", help="NAME, or NAME@VERSION to look at")]


@app.command("list")
def list_(limit: Limit = 100, server: ServerUrl = "", json: Json = False) -> None:
    """API profiles, and their versions."""
    listed(server, "/v1/profiles", limit, json, ["name", "title", "base_url", "version"], "no API profiles")


@app.command()
def show(name: Name, server: ServerUrl = "", json: Json = False) -> None:
    """A profile: its address, who we are there, its limits. Secrets are shown as the references that they are."""
    from flowledger.infra.cli.server import Server

    found = Server(server).call("GET", f"/v1/profiles/{name}")
    if json:
        as_json(found)
        return
    console().print(f"[bold]{found['name']}[/] {found.get('title', '')}  version {found['version']}")
    table([{"field": k, "value": _shown(v)} for k, v in found.items() if k not in ("name", "title", "version")], ["field", "value"])


def _shown(value: Any) -> str:
    return ", ".join(f"{k} {_shown(v)}" for k, v in value.items()) if isinstance(value, dict) else str(value)


PROFILES.put(app, "record", "Store profiles; `deploy` takes the same files. What changes makes a new version.")


@app.command()
def rm(name: Name, server: ServerUrl = "") -> None:
    """Remove a profile with its versions."""
    from flowledger.infra.cli.server import Server

    Server(server).call("DELETE", f"/v1/profiles/{name}")
    console().print(f"[green]✓[/] {name} is removed")
