"""`flowledger dev --watch DIR`: models are deployed as they are saved, and what is wrong with them is said at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from flowledger.infra.cli.models import finding_view, show_findings
from flowledger.infra.cli.output import console, say
from flowledger.infra.cli.record_files import KINDS
from flowledger.infra.cli.server import Server

SUFFIXES = frozenset({".bpmn", ".dmn", ".bpml", ".form", ".xml", ".json", ".yaml", ".yml"})
#: tests and settings that lie beside models
OTHERS = (".flowtest.", ".trigger.", ".connector.", ".capability.", *(f".{kind.word}." for kind in KINDS))
#: a file that was written within this time may still be written to (milliseconds)
QUIET_MS = 250


def is_model(path: Path) -> bool:
    name = path.name
    return path.suffix.lower() in SUFFIXES and not name.startswith((".", "~", "#")) and not any(o in name for o in OTHERS)


def models_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and is_model(p) and not any(part.startswith(".") for part in p.parts))


class Deployer:
    """Deploys files that have changed, each for itself: one that is broken holds up no other."""

    def __init__(self, url: str) -> None:
        self.server = Server(url)
        self._known: dict[Path, bytes] = {}

    def saved(self, paths: Iterable[Path]) -> None:
        for path in paths:
            try:
                data = path.read_bytes()
            except OSError:
                self._known.pop(path, None)  # gone again: what is deployed stays
                continue
            if self._known.get(path) != data:
                self._deploy(path, data)

    def _deploy(self, path: Path, data: bytes) -> None:
        from rich.markup import escape

        from flowledger.kernel.model import read
        from flowledger.sdk.resources import text_of

        if not _whole(path, data):
            say(f"[dim]{escape(path.name)} isn't whole yet: left alone[/]")
            return
        self._known[path] = data
        graph, findings = read(data, path.name)
        if graph is None and not findings:
            return  # JSON or YAML of something else
        shown = [finding_view(f, str(path)) for f in findings]
        show_findings(shown)
        if any(f["severity"] == "error" for f in shown):
            say(f"[red]✗[/] {escape(path.name)} isn't deployed")
            return
        try:
            content = text_of(data)
        except UnicodeDecodeError as e:
            say(f"[red]✗[/] {escape(path.name)}: text in UTF-8 was expected, byte {e.start} isn't")
            return
        body = {"resources": [{"name": path.name, "content": content}]}
        status, answer = self.server.ask("POST", "/v1/deployments", body)
        if status >= 400:
            show_findings(answer.get("findings") or [] if isinstance(answer, dict) else [])
            say(f"[red]✗[/] {escape(path.name)}: {escape(str(answer.get('detail', status) if isinstance(answer, dict) else answer))}")
            return
        for d in answer["definitions"]:
            if not d["duplicate"]:
                console().print(f"[green]✓[/] {escape(path.name)}: {d['kind']} {escape(d['definition_id'])} version {d['version']}")


def _whole(path: Path, data: bytes) -> bool:
    """Whether an editor is done with it: XML that ends, JSON that can be read."""
    if not data.strip():
        return False
    if path.suffix.lower() in (".json", ".form"):
        try:
            msgspec.json.decode(data)
        except msgspec.DecodeError:
            return False
        return True
    from flowledger.kernel.model import encodings, xml

    data = encodings.bytewise(data)
    if data.lstrip()[:1] == b"<" or b"<?xml" in data[:100]:
        try:
            xml.parse(data)
        except xml.BadXml as e:  # in the last line: the rest is still to come; before it, it is a finding
            return e.code != "XML_NOT_WELL_FORMED" or e.line < data.rstrip().count(b"\n") + 1
    return True


async def watch(url: str, folder: Path) -> None:
    """Deploy what is there, then what is saved. Runs until cancelled."""
    from watchfiles import awatch

    deployer = Deployer(url)
    await asyncio.to_thread(deployer.saved, models_in(folder))
    say(f"[dim]watching {folder}: models are deployed as they are saved[/]")
    async for changes in awatch(folder, debounce=1_000, step=QUIET_MS, watch_filter=lambda _, path: is_model(Path(path))):
        await asyncio.to_thread(deployer.saved, sorted({Path(p) for _, p in changes}))


def started(system: Any, folder: Path) -> Any:
    return watch(system.url, folder)
