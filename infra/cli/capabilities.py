"""Capabilities of the platform: which are registered, and stub servers of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flowledger.infra.cli.lists import listed
from flowledger.infra.cli.options import Json, Limit, ServerUrl
from flowledger.infra.cli.output import NO, USAGE, as_json, busy, console, fail, table
from flowledger.infra.cli.record_files import read

#: seconds for an answer, its bytes, and capabilities that one may have
DISCOVERY_S, DISCOVERY_BYTES_MAX, DISCOVERED_MAX = 10.0, 16 * 1024 * 1024, 1_000
app = typer.Typer(help="Capabilities of the platform: list, show, put, discover, rm.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="CAPABILITY")]


@app.command("list")
def list_(limit: Limit = 100, server: ServerUrl = "", json: Json = False) -> None:
    """Registered capabilities."""
    listed(server, "/v1/capabilities", limit, json, ["name", "title", "version", "endpoint"], "no capabilities")


@app.command()
def show(name: Name, server: ServerUrl = "", json: Json = False) -> None:
    """A capability with its operations."""
    from flowledger.infra.cli.server import Server

    found = Server(server).call("GET", f"/v1/capabilities/{name}")
    if json:
        as_json(found)
        return
    console().print(f"[bold]{found['name']}[/] {found.get('title', '')}  {found.get('endpoint') or 'no endpoint: its work is for workers'}")
    rows = [
        {
            "operation": name,
            "input": _fields(row.get("input")),
            "output": _fields(row.get("output")),
            "errors": ", ".join(row.get("errors") or ()),
        }
        for name, row in found["operations"].items()
    ]
    table(rows, ["operation", "input", "output", "errors"])


def _fields(schema: Any) -> str:
    if not isinstance(schema, dict):
        return "anything"
    required = schema.get("required") or ()
    return ", ".join(f"{k}{'' if k in required else '?'}" for k in schema.get("properties") or ())


@app.command()
def put(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="*.capability.yaml or .json: `name` and the record")],
    server: ServerUrl = "",
) -> None:
    """Register capabilities, or change them."""
    from flowledger.infra.cli.server import Server

    for file in files:
        name, found = read(file)
        Server(server).call("PUT", f"/v1/capabilities/{name}", found)
        console().print(f"[green]✓[/] {name}")


@app.command()
def discover(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where a platform tells its capabilities: an object of records by their names")],
    server: ServerUrl = "",
) -> None:
    """Register all capabilities that a platform tells of. Those that are gone there stay: remove them."""
    from flowledger.infra.cli.server import Server

    there = Server(server)
    for name, record in sorted(_told(url).items()):
        there.call("PUT", f"/v1/capabilities/{name}", record)
        console().print(f"[green]✓[/] {name}")


def _told(url: str) -> dict[str, dict[str, Any]]:
    from json import loads

    import httpx2

    try:
        with httpx2.stream("GET", url, timeout=DISCOVERY_S) as answer:
            answer.raise_for_status()
            body = b""
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > DISCOVERY_BYTES_MAX:
                    fail(f"{url}: expected at most {DISCOVERY_BYTES_MAX} bytes, found more", NO)
        found = loads(body)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as e:
        fail(f"{url}: {e}", NO)
    if not isinstance(found, dict) or not 0 < len(found) <= DISCOVERED_MAX or not all(isinstance(r, dict) for r in found.values()):
        fail(f"{url}: expected an object of 1 to {DISCOVERED_MAX} records by their names", NO)
    return found


@app.command()
def rm(name: Name, server: ServerUrl = "") -> None:
    """Remove a capability."""
    from flowledger.infra.cli.server import Server

    Server(server).call("DELETE", f"/v1/capabilities/{name}")
    console().print(f"[green]✓[/] {name} is removed")


def stubs(port: int, register: bool, server: str, secret: str) -> None:
    """Serve all of them until Ctrl+C. The token is the value of the secret here as there: FLOWLEDGER_SECRET_NAME."""
    import os
    from contextlib import suppress
    from uuid import uuid4

    import uvicorn

    from flowledger.connectors.stubs.catalogue import records
    from flowledger.connectors.stubs.server import Stubs
    from flowledger.infra.cli.server import Server
    from flowledger.infra.secrets import ENV_PREFIX

    token = os.environ.get(ENV_PREFIX + secret, "") if secret else ""
    if secret and not token:
        fail(f"expected the token in {ENV_PREFIX}{secret}", USAGE)
    url = f"http://127.0.0.1:{port}"
    found = records(url, secret)
    there = Server(server)

    def tell(capability: str, type: str, data: dict[str, Any]) -> None:
        event = {"id": uuid4().hex, "type": type, "data": data, "source": url}
        with suppress(typer.Exit):  # it was said why; the stubs go on
            there.call("POST", f"/v1/capabilities/{capability}/events", event)

    if register:
        with busy("registering"):
            for name, record in found.items():
                there.call("PUT", f"/v1/capabilities/{name}", record)
    table(
        [{"capability": n, "operations": ", ".join(r["operations"]), "endpoint": r["endpoint"]} for n, r in found.items()],
        ["capability", "operations", "endpoint"],
    )
    app = Stubs(token, secret, tell if register else None)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off")
