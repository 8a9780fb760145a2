"""Whom a process speaks with, as the system's own table of connections has it."""

from __future__ import annotations

import os
from pathlib import Path


def connected(pid: int) -> set[int]:
    """Ports at the other end of the TCP connections that a process has open, those of its own doors aside."""
    inodes = {link[8:-1] for f in Path(f"/proc/{pid}/fd").iterdir() if (link := _link(f)).startswith("socket:[")}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    mine = {row[1] for row in rows if row[3] == "0A"}
    open_ = [row for row in rows if row[3] == "01" and row[9] in inodes and not any(row[1].endswith(at[-5:]) for at in mine)]
    return {int(row[2].rpartition(":")[2], 16) for row in open_}


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:  # it was closed meanwhile
        return ""
