"""Tenants: list, show, make, change, suspend, resume, remove."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flowledger.infra.cli.lists import listed
from flowledger.infra.cli.options import Json, Limit, Reason, ServerUrl, Yes
from flowledger.infra.cli.output import USAGE, agree, as_json, console, facts, fail

app = typer.Typer(help="Tenants: list, show, make, change, suspend, resume, remove.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="TENANT")]
Title = Annotated[str | None, typer.Option("--title", help="For people")]
Concurrency = Annotated[int | None, typer.Option("--concurrency", min=1, help="How many of its jobs are out at once")]
Rate = Annotated[
    str | None, typer.Option("--rate", metavar="N[/MS]", help="How many of its jobs go out a second, or in so many milliseconds")
]


@app.command("list")
def list_tenants(
    status: Annotated[str, typer.Option("--status", help="active, suspended or removed")] = "",
    limit: Limit = 100,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Tenants that were made, and `default`, by name."""
    columns = ["name", "status", "title", "reason", "created_at", "updated_at"]
    listed(server, "/v1/tenants", limit, json, columns, "no tenants", **({"status": status} if status else {}))


@app.command()
def show(name: Name, server: ServerUrl = "", json: Json = False) -> None:
    """A tenant, its limits, and what it has that may go on."""
    from flowledger.infra.cli.server import Server

    row = Server(server).get(f"/v1/tenants/{name}")
    if json:
        as_json(row)
    else:
        facts({k: v for k, v in row.items() if k not in ("position", "tenant") and v not in (None, "", {}, [])})


Instances = Annotated[int | None, typer.Option("--instances", min=1, help="How many of its instances run at once")]
Starts = Annotated[
    str | None, typer.Option("--starts", metavar="N[/MS]", help="How many of them begin a second, or in so many milliseconds")
]
Waiting = Annotated[int | None, typer.Option("--waiting", min=1, help="How many may wait for that, in each partition")]

Share = Annotated[
    int | None, typer.Option("--share", min=1, max=100, help="Shares of what partitions can do, where several tenants want more")
]

Storage = Annotated[int | None, typer.Option("--storage", min=1, metavar="BYTES", help="What its files and rows may take")]


def _rate(name: str, given: str) -> dict[str, int]:
    most, _, per_ms = given.partition("/")
    if not most.isdecimal() or not (per_ms or "1000").isdecimal():
        fail(f"expected --{name} N or N/MS, found {given}", USAGE)
    return {"max": int(most), "per_ms": int(per_ms or 1000)}


def _limits(
    concurrency: int | None,
    rate: str | None,
    instances: int | None,
    starts: str | None,
    waiting: int | None,
    share: int | None,
    storage: int | None,
) -> dict[str, Any]:
    jobs: dict[str, Any] = {} if concurrency is None else {"concurrency": concurrency}
    jobs |= {} if rate is None else {"rate": _rate("rate", rate)}
    quotas: dict[str, Any] = {
        k: v for k, v in (("instances", instances), ("waiting", waiting), ("share", share), ("storage", storage)) if v is not None
    }
    quotas |= {} if starts is None else {"starts": _rate("starts", starts)}
    return ({"jobs": jobs} if jobs else {}) | ({"quotas": quotas} if quotas else {})


def _done(server: str, method: str, path: str, body: dict[str, Any] | None, said: str, json: bool, **query: Any) -> None:
    from flowledger.infra.cli.server import Server

    s = Server(server)
    answer = s.call(method, path, body, query, s.new_id())
    if json:
        as_json(answer)
    else:
        console().print(f"[green]✓[/] {said}")


@app.command()
def make(
    name: Name,
    title: Title = None,
    concurrency: Concurrency = None,
    rate: Rate = None,
    instances: Instances = None,
    starts: Starts = None,
    waiting: Waiting = None,
    share: Share = None,
    storage: Storage = None,
    reason: Reason = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Make a tenant."""
    body = {
        "name": name,
        "reason": reason,
        **({"title": title} if title else {}),
        **_limits(concurrency, rate, instances, starts, waiting, share, storage),
    }
    _done(server, "POST", "/v1/tenants", body, f"tenant {name} is made", json)


@app.command()
def change(
    name: Name,
    title: Title = None,
    concurrency: Concurrency = None,
    rate: Rate = None,
    instances: Instances = None,
    starts: Starts = None,
    waiting: Waiting = None,
    share: Share = None,
    storage: Storage = None,
    no_limit: Annotated[bool, typer.Option("--no-limit", help="Neither jobs nor instances have a limit any more")] = False,
    unknown: Annotated[str | None, typer.Option("--unknown", help="Of default: accept or refuse tenants that nobody has made")] = None,
    reason: Reason = "",
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Change a tenant. What isn't said stays; limits of jobs and of instances are each said as a whole."""
    body: dict[str, Any] = {"reason": reason, **_limits(concurrency, rate, instances, starts, waiting, share, storage)}
    body |= {"title": title} if title is not None else {}
    body |= {"unknown": unknown} if unknown is not None else {}
    body |= {"jobs": {}, "quotas": {}} if no_limit else {}
    _done(server, "PATCH", f"/v1/tenants/{name}", body, f"tenant {name} is changed", json)


@app.command()
def suspend(name: Name, reason: Reason = "", server: ServerUrl = "", json: Json = False) -> None:
    """Suspend a tenant: nothing of it moves, nothing is lost."""
    if not reason:
        fail("expected --reason: it is shown to whoever is refused meanwhile", USAGE)
    _done(server, "POST", f"/v1/tenants/{name}/suspend", {"reason": reason}, f"tenant {name} is suspended", json)


@app.command()
def resume(name: Name, reason: Reason = "", server: ServerUrl = "", json: Json = False) -> None:
    """What stood still goes on."""
    _done(server, "POST", f"/v1/tenants/{name}/resume", {"reason": reason}, f"tenant {name} goes on", json)


@app.command()
def rm(
    name: Name,
    leave: Annotated[bool, typer.Option("--leave", help="Although it has what may go on: that stands still then")] = False,
    reason: Reason = "",
    yes: Yes = False,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Remove a tenant that is suspended and has nothing that may go on. Its history stays."""
    if not yes:
        agree(f"Remove tenant {name}?", "nothing was removed")
    query = {"reason": reason, **({"leave": "true"} if leave else {})}
    _done(server, "DELETE", f"/v1/tenants/{name}", None, f"tenant {name} is removed", json, **query)
