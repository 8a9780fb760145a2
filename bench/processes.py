"""What processes use, read from /proc (Linux): CPU time, memory, the machine's other work, and flame graphs by py-spy where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def _table() -> dict[int, tuple[int, float]]:
    """Process -> its parent, and its CPU seconds with those of the children that it has waited for."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:  # it has ended
                continue
            found[int(entry)] = (int(fields[1]), sum(map(int, fields[11:15])) / TICKS)
    return found


def tree(pid: int, without: Iterable[int] = ()) -> set[int]:
    """The process and all below it, but for the trees of `without`."""
    return _tree(pid, set(without), _table())


def _tree(pid: int, without: set[int], table: Mapping[int, tuple[int, float]]) -> set[int]:
    found, new = set(), {pid}
    while new:
        found |= new
        new = {child for child, (parent, _) in table.items() if parent in new and child not in without}
    return found


class Parts:
    """Named parts of a system, each a process with what is below it; a process that has a name of its own counts there alone."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self.pids = dict(pids)

    def cpu_s(self) -> dict[str, float]:
        table = _table()
        others = set(self.pids.values())
        return {name: sum(table[p][1] for p in _tree(pid, others - {pid}, table) if p in table) for name, pid in self.pids.items()}

    def memory_mib(self) -> dict[str, float]:
        """Proportional set size: a page that processes share counts once."""
        others = set(self.pids.values())
        return {name: round(sum(map(pss_mib, tree(pid, others - {pid}))), 1) for name, pid in self.pids.items()}


def pss_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended, or is another user's
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def busy_s() -> float:
    """CPU seconds of the whole machine since its start, but for idle and waiting."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return sum(int(fields[n]) for n in (1, 2, 3, 6, 7)) / TICKS


def disk_mib(folder: Path) -> float:
    """What stands on the disk below a folder."""
    return sum(f.stat().st_blocks for f in folder.rglob("*") if f.is_file()) / 2048


def flames(parts: Mapping[str, int], folder: Path, seconds: int) -> list[subprocess.Popen[bytes]]:
    """Flame graphs `flame-<name>.svg` of Python processes are begun; none without py-spy. Who asks waits for them."""
    beside = Path(sys.executable).parent / "py-spy"
    program = str(beside) if beside.exists() else shutil.which("py-spy")
    if program is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    return [
        subprocess.Popen(
            [program, "record", "-d", str(seconds), "-r", "200", "-p", str(pid), "-o", str(folder / f"flame-{name}.svg")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for name, pid in parts.items()
    ]
