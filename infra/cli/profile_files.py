"""Files of API profiles, as `flowledger profiles put` and `flowledger deploy` take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowledger.infra.cli.output import NO, USAGE, fail

#: how they end
ENDS = (".profile.yaml", ".profile.yml", ".profile.json")


def read(file: Path) -> tuple[str, dict[str, Any]]:
    """Name and record of a file."""
    import yaml

    try:
        found = yaml.safe_load(file.read_text())
    except OSError as e:
        fail(f"{file}: {e.strerror}", USAGE)
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        fail(f"{file}: {e}", NO)
    if not isinstance(found, dict) or not isinstance(name := found.pop("name", None), str):
        fail(f"{file}: expected an object with a name", NO)
    return name, found


def store(server: Any, files: list[Path]) -> list[dict[str, Any]]:
    """`{name, version}` of each."""
    found = [read(file) for file in files]
    return [{"name": name, "version": server.call("PUT", f"/v1/profiles/{name}", record)["version"]} for name, record in found]
