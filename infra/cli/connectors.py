"""Connectors: which there are, and their element templates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flowledger.infra.cli.output import NO, as_json, console, fail, table
from flowledger.infra.cli.plugins import plugged

app = typer.Typer(help="Connectors: which there are, and their templates for modelers.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="JSON for programs")]


@app.command("list")
def list_(json: Json = False) -> None:
    """Connectors with their job types."""
    plugged()
    from flowledger.connectors.catalogue import CONFIGS
    from flowledger.kernel.model.connectors import ALIASES, PREFIX

    rows = [
        {"name": name, "job_type": PREFIX + name, "aliases": ", ".join(k for k, v in ALIASES.items() if v == PREFIX + name), "what": (config.__doc__ or "").strip()}
        for name, config in CONFIGS.items()
    ]  # fmt: skip
    as_json(rows) if json else table(rows, ["name", "job_type", "aliases", "what"])


@app.command()
def templates(
    folder: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Write one file for each; none: all to stdout")
    ] = None,
) -> None:
    """Element templates (JSON), as Camunda's modelers read them."""
    import json

    plugged()
    from flowledger.connectors.catalogue import CONFIGS
    from flowledger.connectors.templates import template

    found = {name: template(name) for name in CONFIGS}
    if folder is None:
        as_json(list(found.values()))
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, made in found.items():
            (folder / f"flowledger-{name}.json").write_text(json.dumps(made, indent=2) + "\n")
    except OSError as e:
        fail(f"{folder}: {e.strerror}", NO)
    console().print(f"[green]✓[/] {len(found)} in {folder}")
