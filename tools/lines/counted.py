"""Which lines of our packages a process runs: begun by `sitecustomize.py`, written into the folder COUNTED_LINES at the end, read by `run_tests.py`.

`slipcover` puts a mark before each line and takes it out again once it was met, so that what runs often costs nothing more; a tracer costs the kernel's tests
2.7 times the processor on Python 3.11. A process that is killed writes nothing.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import uuid
from collections.abc import Iterable
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from typing import Any

#: what decides, records and shows
PACKAGES = ("events", "kernel", "analytics", "processors", "projections")
SUFFIX = ".lines.json"
_NAMES = tuple(f"flowledger.{name}" for name in PACKAGES)


class _Finder:
    """Modules of `PACKAGES`, whose code is marked when they are loaded."""

    def __init__(self, counter: Any, loader: Any) -> None:
        self._counter, self._loader = counter, loader

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if not name.startswith(_NAMES):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = self._loader(self._counter, spec.loader, spec.origin)
        return spec


class _Finders(list[Any]):
    """pytest puts its own finder first, which rewrites our modules as well (one of them is a plug-in of it): it comes second here."""

    def insert(self, index: Any, finder: Any) -> None:
        super().insert(index or 1, finder)


def begin() -> None:
    try:
        import slipcover
        from slipcover.importer import SlipcoverLoader
    except ImportError:  # an environment of a test's own, without the tools of tests
        return
    counter = slipcover.Slipcover(exclude_lines=[])
    sys.meta_path = _Finders([_Finder(counter, SlipcoverLoader), *sys.meta_path])
    atexit.register(_write, counter, Path(os.environ["COUNTED_LINES"]))


def _write(counter: Any, folder: Path) -> None:
    if not folder.is_dir():  # it outlived the run
        return
    files = counter.get_coverage()["files"].items()
    lines = {str(Path(name).resolve()): found["executed_lines"] for name, found in files}
    whole = folder / f"{os.getpid()}-{uuid.uuid4().hex}"
    whole.write_text(json.dumps(lines))
    whole.rename(whole.with_suffix(SUFFIX))


def met(folders: Iterable[Path]) -> dict[str, set[int]]:
    """File -> the lines of it that any of the processes ran."""
    found: dict[str, set[int]] = {}
    for folder in folders:
        for each in folder.glob(f"*{SUFFIX}"):
            for name, lines in json.loads(each.read_text()).items():
                found.setdefault(name, set()).update(lines)
    return found
