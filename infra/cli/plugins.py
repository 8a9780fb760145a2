"""Plug-ins: which are installed, and whether they keep to what is asked of them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer

from flowledger.infra.cli.output import NO, Failed, as_json, console, fail, table

app = typer.Typer(
    help="Plug-ins of this installation: connectors, triggers, steps, strategies, secrets, functions, stores of files.",
    no_args_is_help=True,
)
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings file (TOML, YAML or JSON)")]
Json = Annotated[bool, typer.Option("--json", help="JSON for programs")]


@functools.cache
def plugged() -> None:
    """What a server of these settings would have. Those that can't be taken are told on stderr."""
    from flowledger import plugins

    if plugins.installed():
        from flowledger.infra.settings import load

        plugins.load(load().plugins)
        for text in plugins.told():
            typer.echo(f"warning: {text}", err=True)


@app.command("list")
def list_(config: Config = None, json: Json = False) -> None:
    """Plug-ins that are installed and wanted (setting plugins), and what they provide. Exit 1 when one can't be taken."""
    from flowledger import plugins
    from flowledger.infra.settings import load

    found = plugins.load(load(config).plugins)
    rows = [
        {"group": f.group, "name": f.name, "distribution": f.distribution, "version": f.version, "provides": f.provides, "error": f.error}
        for f in found
    ]
    if json:
        as_json(rows)
    elif rows:
        table(
            [{**r, "provides": ", ".join(r["provides"])} for r in rows], ["group", "name", "distribution", "version", "provides", "error"]
        )
    else:
        console().print("no plug-ins")
    if any(r["error"] for r in rows):
        raise Failed("", NO)


@app.command()
def check(config: Config = None, json: Json = False) -> None:
    """Try each part of each plug-in against what it is held to (docs/plugins.md). Exit 1 when something is wrong."""
    from flowledger import plugins
    from flowledger.infra.settings import load
    from flowledger.plugins import kit

    rows: list[dict[str, str]] = []
    for found in plugins.load(load(config).plugins):
        about = {"group": found.group, "plugin": found.name}
        rows += [{**about, "part": "", "problem": found.error}] if found.error else []
        for part, name in zip(found.parts, found.provides, strict=True):
            rows += [{**about, "part": name, "problem": problem} for problem in kit.problems(part)]
    if json:
        as_json(rows)
    elif rows:
        table(rows, ["group", "plugin", "part", "problem"])
    else:
        console().print("[green]✓[/] nothing to object to")
    if rows:
        fail("", NO)
