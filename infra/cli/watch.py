"""`flowledger dev --watch DIR`: models are deployed as they are saved, and what is wrong with them is said at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from flowledger.infra.cli.model_files import is_model, models_in
from flowledger.infra.cli.models import finding_view, show_findings
from flowledger.infra.cli.output import console, say
from flowledger.infra.cli.server import Server
from flowledger.kernel.markup import BadXml

#: a file that was written within this time may still be written to (milliseconds)
QUIET_MS = 250


class Deployer:
    """Deploys files that have changed, each for itself: one that is broken holds up no other. A decision model goes with those of the folder that it
    imports and that import it, which are bound anew by that."""

    def __init__(self, url: str) -> None:
        self.server = Server(url)
        self._known: dict[Path, bytes] = {}
        #: decision models without errors: (namespace, those that it imports, text)
        self._decisions: dict[Path, tuple[str, frozenset[str], str]] = {}

    def saved(self, paths: Iterable[Path]) -> None:
        decisions = []
        for path in paths:
            try:
                data = path.read_bytes()
            except OSError:
                self._known.pop(path, None)  # gone again: what is deployed stays
                self._decisions.pop(path, None)
                continue
            if self._known.get(path) != data and self._deploy(path, data):
                decisions.append(path)
        done: set[Path] = set()
        for path in decisions:
            if path not in done:
                together = self._together(path)
                done |= set(together)
                self._send([(one, self._decisions[one][2]) for one in together], True)

    def _together(self, path: Path) -> list[Path]:
        found, ahead = {path}, [path]
        while ahead:
            namespace, imports, _ = self._decisions[ahead.pop()]
            near = {one for one, (theirs, its, _) in self._decisions.items() if namespace in its or theirs in imports}
            ahead += near - found
            found |= near
        return sorted(found)

    def _deploy(self, path: Path, data: bytes) -> bool:
        """Whether it is a decision model, which is deployed with others."""
        from rich.markup import escape

        from flowledger.kernel.dmn.linking import imports_of
        from flowledger.kernel.model import read
        from flowledger.sdk.resources import text_of

        if not _whole(path, data):
            say(f"[dim]{escape(path.name)} isn't whole yet: left alone[/]")
            return False
        self._known[path] = data
        graph, findings = read(data, path.name)
        self._decisions.pop(path, None)
        if graph is None and not findings:
            return False  # JSON or YAML of something else
        shown = [finding_view(f, str(path)) for f in findings]
        broken = any(f["severity"] == "error" for f in shown)
        decisions = graph is not None and graph.format == "dmn"
        if broken or not decisions:  # what else there is of a decision model is said by the server, which knows what it imports
            show_findings(shown)
        if broken:
            say(f"[red]✗[/] {escape(path.name)} isn't deployed")
            return False
        try:
            content = text_of(data)
        except UnicodeDecodeError as e:
            say(f"[red]✗[/] {escape(path.name)}: text in UTF-8 was expected, byte {e.start} isn't")
            return False
        if decisions:
            definitions = graph.decisions.definitions
            self._decisions[path] = definitions.namespace, frozenset(imports_of(definitions)), content
            return True
        self._send([(path, content)], False)
        return False

    def _send(self, files: list[tuple[Path, str]], told: bool) -> None:
        """`told`: with its findings."""
        from rich.markup import escape

        body = {"resources": [{"name": path.name, "content": content} for path, content in files]}
        status, answer = self.server.ask("POST", "/v1/deployments", body)
        names = ", ".join(path.name for path, _ in files)
        if status >= 400:
            show_findings(answer.get("findings") or [] if isinstance(answer, dict) else [])
            say(f"[red]✗[/] {escape(names)}: {escape(str(answer.get('detail', status) if isinstance(answer, dict) else answer))}")
            return
        if told:
            show_findings(answer.get("findings") or [])
        for d in answer["definitions"]:
            if not d["duplicate"]:
                console().print(f"[green]✓[/] {escape(d['resource'])}: {d['kind']} {escape(d['definition_id'])} version {d['version']}")


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
        except BadXml as e:  # in the last line: the rest is still to come; before it, it is a finding
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
