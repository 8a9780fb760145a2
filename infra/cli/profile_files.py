"""Files of API profiles, as `flowledger profiles put` and `flowledger deploy` take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowledger.infra.cli.record_files import read

#: how they end
ENDS = (".profile.yaml", ".profile.yml", ".profile.json")


def store(server: Any, files: list[Path]) -> list[dict[str, Any]]:
    """`{name, version}` of each."""
    found = [read(file) for file in files]
    return [{"name": name, "version": server.call("PUT", f"/v1/profiles/{name}", record)["version"]} for name, record in found]
