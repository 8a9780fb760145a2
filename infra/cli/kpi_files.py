"""Files of KPIs, as `flowledger kpis put` and `flowledger deploy` take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from flowledger.infra.cli.output import console
from flowledger.infra.cli.record_files import read

#: how they end
ENDS = (".kpi.yaml", ".kpi.yml", ".kpi.json")


def store(server: Any, files: list[Path]) -> list[dict[str, Any]]:
    """`{name}` of each."""
    found = [read(file) for file in files]
    for name, record in found:
        server.call("PUT", f"/v1/kpis/{quote(name, safe='')}", record)
    return [{"name": name} for name, _ in found]


def show(stored: list[dict[str, Any]]) -> None:
    for each in stored:
        console().print(f"[green]✓[/] KPI {each['name']} counts from now on")
