"""A server as what a bundle is compared with, and exported from."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from flowledger.infra.cli.bundles.content import Bundle, Defined, Name, Resource, Setting, Wrong, checked, defined_in
from flowledger.infra.cli.server import Server


class There(msgspec.Struct):
    """A version on a server."""

    key: str
    version: int
    status: str
    hash: str
    resource: str
    tag: str = ""
    stopped: bool = False

    @property
    def open(self) -> bool:
        return self.status == "published" and not self.stopped


class Serving(msgspec.Struct):
    """A definition on a server: versions, newest first; `default`, `pinned` and `ramp` by their numbers."""

    name: str
    versions: list[There]
    default: int | None = None
    pinned: int | None = None
    ramp: tuple[int, float] | None = None
    #: of a trigger: it begins nothing
    paused: bool = False

    def version(self, number: int | None) -> There | None:
        return next((v for v in self.versions if v.version == number), None)

    @property
    def meant(self) -> There | None:
        """The one that is being brought into service, else the one in force, else the newest that was published."""
        ramp = self.version(self.ramp[0]) if self.ramp else None
        if ramp is not None and ramp.open:
            return ramp
        return self.version(self.default) or next((v for v in self.versions if v.status == "published"), None)


class Environment:
    def __init__(self, url: str) -> None:
        self.server = Server(url)
        self._texts: dict[str, str] = {}
        self._stopped: set[str] | None = None

    def definitions(self, wanted: Callable[[Name], bool] = lambda _: True) -> dict[Name, Serving]:
        """All that have a published version, by kind and id; requirements graphs go with their decisions."""
        found: dict[Name, Serving] = {}
        self._stopped = None
        for row in self.server.pages("/v1/definitions", 0, latest="true", wait_for=self._now()):
            key = row["kind"], row["definition_id"]
            if row["kind"] == "drg" or not wanted(key):
                continue
            told = self.server.get(f"/v1/definitions/{row['key']}/versions", counts="false")
            versions = [
                There(v["key"], v["version"], v["status"], v["content_hash"], v["resource"], v.get("version_tag") or "", v["stopped"])
                for v in told["items"]
            ]
            if any(v.status == "published" for v in versions):
                paused = row["kind"] == "trigger" and row["definition_id"] in self._paused()
                ramp = (told["ramp"]["version"], told["ramp"]["share"]) if told["ramp"] else None
                found[key] = Serving(row.get("name") or "", versions, told["default"], told["pinned"], ramp, paused)
        return dict(sorted(found.items()))

    def _paused(self) -> set[str]:
        """Names of triggers."""
        if self._stopped is None:
            self._stopped = {r["name"] for r in self.server.pages("/v1/triggers", 0, wait_for=self._now()) if r["status"] == "paused"}
        return self._stopped

    def _now(self) -> str:
        """Where the log stands on which definitions are decided, as far as this server tells it: rows are to be as new as that."""
        _, health = self.server.ask("GET", "/health/ready")
        first = (health.get("partitions") or {}).get("0", {}) if isinstance(health, dict) else {}
        return f"0-{first['position'] - 1}" if first.get("position") else ""

    def text(self, version: There) -> str:
        """Raises: Wrong: it isn't what the server said that it has."""
        if version.hash not in self._texts:
            made = Resource(version.resource, self.server.text(f"/v1/definitions/{version.key}/source"), ())
            if made.hash != version.hash:
                raise Wrong(f"{self.server.url}: the source of definition {version.key} isn't what its hash says")
            self._texts[version.hash] = made.content
        return self._texts[version.hash]

    def export(self, ids: Iterable[str] = ()) -> Bundle:
        """What is in service: of each definition the version that `Serving.meant` says, with its resource and what was said of it. Raises: Wrong."""
        wanted = set(ids)
        there = self.definitions()
        if missing := sorted(wanted - {id for _, id in there}):
            raise Wrong(f"{self.server.url}: expected published definitions, found none with id {', '.join(missing)}")
        hashes = {s.meant.hash for (_, id), s in there.items() if s.meant is not None and (not wanted or id in wanted)}
        files: dict[str, list[tuple[Name, Serving, There]]] = {}
        for key, serving in there.items():
            if (meant := serving.meant) is not None and meant.hash in hashes:
                files.setdefault(meant.hash, []).append((key, serving, meant))
        resources, settings, names = [], [], set[str]()
        for hash, those in sorted(files.items()):
            content, name = self.text(those[0][2]), those[0][2].resource
            defined = self._defined(name, content, hash, there)
            if name in names:  # two deployments used one name for different files
                name = f"{those[0][0][1]}/{name}"
            names.add(name)
            resources.append(Resource(name, content, defined))
            for (kind, id), serving, meant in those:
                share = serving.ramp[1] if serving.ramp and serving.ramp[0] == meant.version and meant.open else None
                if kind == "process" and (share is not None or meant.stopped):
                    settings.append(Setting(kind, id, share, meant.stopped))
        return checked(resources, settings, self.server.url)

    def _defined(self, name: str, content: str, hash: str, there: dict[Name, Serving]) -> tuple[Defined, ...]:
        """All that the file defines goes along, so all of it must be in service by this file. Raises: Wrong."""
        found = []
        for d in defined_in(name, content)[0] or ():
            meant = there[d.key].meant if d.key in there else None
            if d.kind != "drg" and (meant is None or meant.hash != hash):
                raise Wrong(
                    f"{self.server.url}: '{name}' defines {d.kind} '{d.id}' beside, of which another version is in service: they can't be exported as one file"
                )
            found.append(msgspec.structs.replace(d, version=meant.version if meant else 0))
        return tuple(found)
