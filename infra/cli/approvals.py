"""Operations that wait for a second person: list, show, approve, refuse."""

from __future__ import annotations

from typing import Annotated

import typer

from flowledger.infra.cli.options import Json, ServerUrl
from flowledger.infra.cli.output import as_json, facts, table
from flowledger.infra.cli.server import Server

app = typer.Typer(help="Operations that wait for a second person: list, show, approve, refuse.", no_args_is_help=True)
Id = Annotated[str, typer.Argument(metavar="APPROVAL")]
Why = Annotated[str, typer.Option("--reason", help="Why; it is written down")]


@app.command("list")
def waiting(server: ServerUrl = "", json: Json = False) -> None:
    """What waits, and what was decided."""
    rows = list(Server(server).pages("/v1/approvals", 0))
    as_json(rows) if json else table(
        rows, ["id", "operation", "path", "by", "status", "decided_by", "expires_at"], empty="nothing waits for a second person"
    )


@app.command()
def show(id: Id, server: ServerUrl = "", json: Json = False) -> None:
    """What is asked for, by whom."""
    row = Server(server).get(f"/v1/approvals/{id}")
    as_json(row) if json else facts({k: v for k, v in row.items() if v not in (None, "")})


@app.command()
def approve(id: Id, reason: Why = "", server: ServerUrl = "") -> None:
    """Approve it: who asked may do it, once."""
    facts({k: v for k, v in Server(server).post(f"/v1/approvals/{id}/approve", {"reason": reason}).items() if v not in (None, "")})


@app.command()
def refuse(id: Id, reason: Why = "", server: ServerUrl = "") -> None:
    """Refuse it."""
    facts({k: v for k, v in Server(server).post(f"/v1/approvals/{id}/refuse", {"reason": reason}).items() if v not in (None, "")})
