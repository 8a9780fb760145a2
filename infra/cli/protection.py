"""Keys of protected variables: check, rotate. No command shows one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flowledger.infra.cli.output import NO, USAGE, as_json, console, fail

app = typer.Typer(help="The key that wraps the keys of protected variables.", no_args_is_help=True)
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings file (TOML, YAML or JSON)")]
Json = Annotated[bool, typer.Option("--json", help="JSON for programs")]


@app.command("rotate")
def rotate(config: Config = None, json: Json = False) -> None:
    """Wrap anew, by the first key of protect_key, what another has wrapped; servers go on meanwhile. After it the old key may go."""
    from flowledger.infra.settings import load
    from flowledger.kernel.protection import KeysAway
    from flowledger.stores import vault_of

    vault = vault_of(load(config))
    if vault is None:
        fail("this installation has no key of protected variables", USAGE, "FLOWLEDGER_PROTECT_KEY=file:protect.keys")
    try:
        done = vault.rotate()
    except KeysAway as e:
        fail(str(e), NO)
    if json:
        as_json({"wrapped": done})
    else:
        console().print(f"[green]✓[/] {done} keys are wrapped by the first key of protect_key")


@app.command("check")
def check(config: Config = None, json: Json = False) -> None:
    """Try each place that protect_key names: a key that nobody uses is wrapped and unwrapped there. No server is asked."""
    from rich.markup import escape

    from flowledger.infra.protection.wrapping import wrapper_of
    from flowledger.infra.settings import load

    wrapper = wrapper_of(load(config))
    if wrapper is None:
        fail("this installation has no key of protected variables", USAGE, "FLOWLEDGER_PROTECT_KEY=file:protect.keys")
    found = wrapper.checked()
    if json:
        as_json({"items": [{"kind": kind, "key": by, "wrong": wrong} for kind, by, wrong in found]})
    else:
        for kind, by, wrong in found:
            console().print(f"[red]✗[/] {kind}: {escape(wrong)}" if wrong else f"[green]✓[/] {kind}: {escape(by)}", soft_wrap=True)
    if any(wrong for _, _, wrong in found):
        raise typer.Exit(NO)
