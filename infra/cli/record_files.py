"""Files that have one record each, with its name: capabilities, API profiles, alerts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowledger.infra.cli.given import file_text
from flowledger.infra.cli.output import NO, fail


def read(file: Path) -> tuple[str, dict[str, Any]]:
    """Name and record of a file."""
    import yaml

    try:
        found = yaml.safe_load(file_text(file))
    except (yaml.YAMLError, RecursionError) as e:
        fail(f"{file}: {e}", NO)
    if not isinstance(found, dict) or not isinstance(name := found.pop("name", None), str):
        fail(f"{file}: expected an object with a name", NO)
    return name, found
