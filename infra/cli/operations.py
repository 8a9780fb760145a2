"""Who asked for what: the log of operations."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flowledger.infra.cli.options import CONTROL, Json, Limit, ServerUrl
from flowledger.infra.cli.output import as_json, table


def operations(
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who asked")] = "",
    operation: Annotated[str, typer.Option("--operation", metavar="NAME", help="Like cancel_instance; several with commas")] = "",
    kind: Annotated[str, typer.Option("--kind", help="What it was about: instance, task, definition, incident ...")] = "",
    subject: Annotated[str, typer.Option("--subject", help="Key or name of what it was about")] = "",
    instance: Annotated[str, typer.Option("--instance", metavar="ID")] = "",
    variable: Annotated[str, typer.Option("--variable", metavar="NAME", help="Who set it; with --instance all that changed it")] = "",
    outcome: Annotated[str, typer.Option("--outcome", help="granted or refused")] = "",
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="Like 2026-11-21T13:00:00Z")] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME")] = "",
    services: Annotated[bool, typer.Option("--services", help="What services ask for all day too; with --instance or --since")] = False,
    limit: Limit = 50,
    server: ServerUrl = "",
    json: Json = False,
) -> None:
    """Who asked for what, newest first: granted and refused, from where, and why."""
    from flowledger.infra.cli.server import Server

    query = {
        "actor": by, "operation": operation.split(",") if operation else [], "kind": kind, "subject": subject, "instance": instance,
        "variable": variable, "outcome": outcome, "since": since, "until": until, "services": "true" if services else "",
    }  # fmt: skip
    rows = list(Server(server).pages("/v1/operations", limit, **query))
    if json:
        as_json(rows)
        return
    columns: list[str | tuple[str, str]] = ["time", "actor", "operation", "subject", "outcome", "why", ("from_", "from"), "before", "after"]
    table([_shown(r) for r in rows], columns, empty="no operations")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    why = row["reason"] if row["outcome"] == "granted" else ": ".join(t for t in (row["code"], row["message"]) if t)
    subject = f"{row['kind']} {row['subject']}".strip() + (f" ({', '.join(row['names'][:5])})" if row.get("names") else "")
    return {**row, "why": why, "from_": " ".join(t for t in (row["door"], row["address"]) if t), "subject": subject}


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=CONTROL)(operations)
