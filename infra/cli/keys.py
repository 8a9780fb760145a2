"""API keys that `flowledger login` keeps: one for each server, in a file that only its owner can read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from flowledger.infra.cli.output import NO, fail


def kept() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "flowledger" / "keys.json"


def keys() -> dict[str, str]:
    """Server -> API key. Raises: Failed: the file can't be read."""
    try:
        return msgspec.json.decode(kept().read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as e:
        fail(f"{kept()} can't be read: {e}", NO, "remove it, and sign in again")


def keep(url: str, key: str) -> None:
    """None left: the file goes."""
    path, found = kept(), keys()
    found.pop(url, None)
    if key:
        found[url] = key
    write(path, found)


def write(path: Path, found: Any) -> None:
    """None left: the file goes."""
    if not found:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(found))
    beside.replace(path)
