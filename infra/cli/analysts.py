"""Analysts: who reads the views of insight by SQL; made, listed, removed at the database (docs/sql.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from flowledger.infra.cli.options import Json
from flowledger.infra.cli.output import NO, as_json, console, fail, table

app = typer.Typer(help="Analysts: who reads documented views by SQL: add, list, remove.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="ANALYST", help="Small letters, digits and _: the name of its role in the database")]
Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Folder of the embedded database [default: .flowledger]")]
Postgres = Annotated[str | None, typer.Option("--postgres", metavar="URL", help="PostgreSQL, as who owns the tables and may make roles")]
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings file (TOML, YAML or JSON)")]


def _at_the_database(work: Callable[[Any, str], Awaitable[Any]], config: Path | None, **given: Any) -> Any:
    import psycopg

    from flowledger.infra.cli.ops import dsn_of, settings_of
    from flowledger.projections.analysts import Refused
    from flowledger.projections.schema import SCHEMA

    dsn = dsn_of(settings_of(config, **given))

    async def run() -> Any:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
            return await work(conn, SCHEMA)

    try:
        return asyncio.run(run())
    except (Refused, psycopg.Error) as e:
        fail(str(e), NO)


@app.command()
def add(
    name: Name,
    tenant: Annotated[
        list[str] | None, typer.Option("--tenant", help="Whose rows it sees; several [default: those without tenant]")
    ] = None,
    timeout: Annotated[int, typer.Option("--timeout", metavar="SECONDS", help="After which a query is stopped")] = 60,
    postgres: Postgres = None,
    data: Data = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Make an analyst, or give it other tenants and another password; the password is told once."""
    from flowledger.projections import analysts

    password = _at_the_database(
        lambda conn, schema: analysts.add(conn, schema, name, tenant or [""], timeout), config, postgres=postgres, data=data
    )
    if json:
        as_json({"name": name, "password": password, "tenants": tenant or [""]})
    else:
        console().print(f"[green]✓[/] {name} reads the views of schema flowledger_insight; its password, told once:")
        print(password)


@app.command("list")
def list_analysts(postgres: Postgres = None, data: Data = None, config: Config = None, json: Json = False) -> None:
    """Analysts, and whose rows each sees."""
    from flowledger.projections import analysts

    rows = _at_the_database(analysts.analysts, config, postgres=postgres, data=data)
    if json:
        as_json(rows)
    else:
        table([{**r, "tenants": ", ".join(t or "(none)" for t in r["tenants"])} for r in rows], ["name", "tenants"], empty="no analysts")


@app.command()
def remove(name: Name, postgres: Postgres = None, data: Data = None, config: Config = None, json: Json = False) -> None:
    """Remove an analyst; what it has open is ended."""
    from flowledger.projections import analysts

    _at_the_database(lambda conn, schema: analysts.remove(conn, schema, name), config, postgres=postgres, data=data)
    if json:
        as_json({"name": name})
    else:
        console().print(f"[green]✓[/] {name} is removed")
