"""Views: filters of lists that people keep and share: list, save, delete."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flowledger.infra.cli.options import Json, ServerUrl
from flowledger.infra.cli.output import as_json, console, table

app = typer.Typer(help="Views: filters of lists that people keep and share: list, save, delete.", no_args_is_help=True)
Page = Annotated[str, typer.Option("--page", help="instances, tasks or incidents")]


@app.command("list")
def list_views(page: Page = "", server: ServerUrl = "", json: Json = False) -> None:
    """One's own views, and those that are shared with one."""
    from flowledger.infra.cli.server import Server

    rows = Server(server).get("/v1/saved-views", **({"page": page} if page else {}))["items"]
    if json:
        as_json(rows)
    else:
        shown = [{**r, "query": "&".join(f"{k}={v}" for k, v in r["query"].items())} for r in rows]
        table(shown, ["id", "page", "name", "owner", "shared", "query"], empty="no views")


@app.command()
def save(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    filter: Annotated[
        list[str], typer.Option("--filter", metavar="NAME=VALUE", help="As in the list's address; several are joined by AND")
    ],
    page: Page = "instances",
    group: Annotated[list[str] | None, typer.Option("--group", help="Share it with this group; several")] = None,
    everybody: Annotated[bool, typer.Option("--everybody", help="Share it with all of the tenant")] = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Save a view."""
    from flowledger.infra.cli.server import Server

    query = dict(f.partition("=")[::2] for f in filter)
    body: dict[str, Any] = {
        "name": name,
        "page": page,
        "query": query,
        "shared": "all" if everybody else "groups" if group else "no",
        "groups": group or [],
    }
    s = Server(server)
    answer = s.post("/v1/saved-views", body, **s.new_id())
    if json:
        as_json(answer)
    else:
        console().print(f"[green]✓[/] view {answer['name']} is saved as {answer['id']}")


@app.command()
def delete(id: Annotated[str, typer.Argument(metavar="VIEW")], server: ServerUrl = "", json: Json = False) -> None:
    """Remove a view."""
    from flowledger.infra.cli.server import Server

    answer = Server(server).call("DELETE", f"/v1/saved-views/{id}")
    if json:
        as_json(answer)
    else:
        console().print("[green]✓[/] the view is removed")
