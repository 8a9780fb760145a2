"""The encrypted file of secrets: set, list, rm, key. No command shows a value."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from flowledger.infra.cli.output import NO, USAGE, as_json, console, fail, table

app = typer.Typer(help="Secrets that connectors use: the encrypted file, and which names there are.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="A letter, then letters, digits, _ and -")]
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings file (TOML, YAML or JSON)")]
Json = Annotated[bool, typer.Option("--json", help="JSON for programs")]


def _file(config: Path | None) -> Any:
    from flowledger.infra.secrets import secrets_of
    from flowledger.infra.secrets.encrypted import EncryptedFile
    from flowledger.infra.settings import load

    for provider in secrets_of(load(config)).providers:
        if isinstance(provider, EncryptedFile):
            return provider
    fail("no encrypted file is set", USAGE, "FLOWLEDGER_SECRETS=env,file:secrets.json FLOWLEDGER_SECRETS_KEY=file:secrets.key")


def _named(name: str) -> None:
    from flowledger.infra.secrets import NAME

    if not NAME.fullmatch(name):
        fail(f"expected a name of a letter, then letters, digits, _ and -, at most 128, found '{name}'", USAGE)


@app.command("set")
def set_(name: Name, config: Config = None) -> None:
    """Keep a secret in the encrypted file. The value is asked for, or read from stdin; it is never an argument, which others could see."""
    from flowledger.infra.secret_text import SECRET_BYTES_MAX
    from flowledger.infra.secrets import CHARS_MIN

    _named(name)
    file = _file(config)
    value = typer.prompt(f"value of {name}", hide_input=True) if sys.stdin.isatty() else sys.stdin.read(SECRET_BYTES_MAX + 2)
    value = value.rstrip("\r\n")
    if len(value) < CHARS_MIN or len(value.encode()) > SECRET_BYTES_MAX:
        fail(f"expected a value of {CHARS_MIN} characters to {SECRET_BYTES_MAX} bytes, found {len(value)} characters", USAGE)
    try:
        file.put(name, value)
    except (OSError, ValueError) as e:
        fail(f"{file.path}: {e}", NO)
    console().print(f"[green]✓[/] {name} is in {file.path}")


@app.command("list")
def list_(config: Config = None, json: Json = False) -> None:
    """Names in the encrypted file."""
    file = _file(config)
    try:
        rows = [{"name": name} for name in file.names()]
    except (OSError, ValueError) as e:
        fail(f"{file.path}: {e}", NO)
    as_json(rows) if json else table(rows, ["name"], empty=f"no secrets in {file.path}")


@app.command("rm")
def rm(name: Name, config: Config = None) -> None:
    """Take a secret out of the encrypted file."""
    file = _file(config)
    try:
        found = file.remove(name)
    except (OSError, ValueError) as e:
        fail(f"{file.path}: {e}", NO)
    if not found:
        fail(f"there is no secret {name} in {file.path}", NO)
    console().print(f"[green]✓[/] {name} is gone from {file.path}")


@app.command("key")
def key(file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to keep it; must not be there yet")]) -> None:
    """Make a key for an encrypted file."""
    import os

    from flowledger.infra.secrets.encrypted import new_key

    try:
        out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as e:
        fail(f"{file}: {e.strerror}", NO)
    with open(out, "w", encoding="ascii") as handle:
        handle.write(new_key() + "\n")
    console().print(f"[green]✓[/] a key is in {file}: FLOWLEDGER_SECRETS_KEY=file:{file}")
