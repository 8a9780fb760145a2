"""Files of alerts, as `flowledger alerts put` and `flowledger deploy` take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from flowledger.infra.cli.output import console
from flowledger.infra.cli.record_files import read

#: how they end
ENDS = (".alert.yaml", ".alert.yml", ".alert.json")


def store(server: Any, files: list[Path]) -> list[dict[str, Any]]:
    """`{name, created, changed}` of each."""
    found = [read(file) for file in files]
    answers = [server.call("PUT", f"/v1/alerts/{quote(name, safe='')}", rule) for name, rule in found]
    return [{k: answer[k] for k in ("name", "created", "changed")} for answer in answers]


def show(stored: list[dict[str, Any]]) -> None:
    for each in stored:
        console().print(
            f"[green]✓[/] alert {each['name']} is {'made' if each['created'] else 'changed' if each['changed'] else 'as it was'}"
        )
