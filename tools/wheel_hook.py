"""The wheel carries the built console as `flowledger/console`. `FLOWLEDGER_CONSOLE_DIST` names a folder that is built already."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConsoleHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":  # a checkout builds it beside (make)
            return
        given = os.environ.get("FLOWLEDGER_CONSOLE_DIST")
        dist = Path(given) if given else Path(self.root) / "web" / "dist"
        if not given:
            subprocess.run([sys.executable, str(Path(self.root) / "tools" / "build_web.py")], check=True)
        if not (dist / "index.html").is_file():
            raise FileNotFoundError(f"expected the built console in {dist}")
        for path in dist.rglob("*"):
            if path.is_file() and path.name != ".built":
                build_data["force_include"][str(path)] = f"flowledger/console/{path.relative_to(dist).as_posix()}"
