"""What a replay needs of the projections: histories of instances with all that they called, and the models that they ran by."""

from __future__ import annotations

from typing import Any

from flowledger.api.instance_views import PAGE
from flowledger.api.reads import Reads

Row = dict[str, Any]
#: events of one instance with all that it called; instances that it called; models that others call
EVENTS_MAX, CALLED_MAX, SOURCES_MAX = 20_000, 200, 200
#: of a row of the history
_FIELDS = ("type", "time", "data", "instance", "position", "causation_id")


class TooLong(Exception):
    """A history that isn't run."""


class Models:
    """Sources of definitions, each read once. `new`: those that nobody was told of yet."""

    def __init__(self, reads: Reads, tenant: str) -> None:
        self.reads, self.tenant = reads, tenant
        self.new: list[Row] = []
        self._known: set[str] = set()
        #: decision and version -> its key and those of the models that it is bound to
        self._versions: dict[tuple[str, int], list[int]] = {}

    async def of(self, key: str, id: str, kind: str) -> str:
        """Its text; empty: there is none (any more)."""
        if key in self._known or len(self._known) >= SOURCES_MAX:
            return ""
        self._known.add(key)
        found = await self.reads.source(key, self.tenant)
        if found is None:
            return ""
        self.new.append({"name": found["name"], "content": found["content"], "key": int(key), "id": id, "kind": kind})
        return str(found["content"])

    async def newest(self, kind: str, id: str) -> str:
        row = await self.reads.get("definitions", id, self.tenant)
        if row is None or row.get("kind", kind) != kind:
            return ""
        text = await self.of(str(row["key"]), id, kind)
        await self._imported(row)
        return text

    async def version(self, kind: str, id: str, version: int) -> list[int]:
        """Its key, and those of the models that it is bound to; none: it isn't there."""
        if (id, version) not in self._versions:
            given = {"definition_id": id, "kind": kind, "version": str(version)}
            rows = (await self.reads.list("definitions", given, 1, "", self.tenant))["items"]
            self._versions[id, version] = []
            if rows:
                await self.of(str(rows[0]["key"]), id, kind)
                self._versions[id, version] = [int(rows[0]["key"]), *await self._imported(rows[0])]
        return self._versions[id, version]

    async def _imported(self, row: Row) -> list[int]:
        """Keys of the requirements graphs behind a decision, each read."""
        found: dict[int, None] = {}
        ahead = [row]
        while ahead and len(found) < SOURCES_MAX:
            for one in (ahead.pop().get("imports") or {}).values():
                if one["key"] not in found:
                    found[one["key"]] = None
                    await self.of(str(one["key"]), one["id"], "drg")
                    if (next_ := await self.reads.get("definitions", str(one["key"]), self.tenant)) is not None:
                        ahead.append(next_)
        return [*found]

    def told(self) -> list[Row]:
        found, self.new = self.new, []
        return found


class Histories:
    """Of one replay."""

    def __init__(self, reads: Reads, tenant: str, models: Models) -> None:
        self.reads, self.tenant, self.models = reads, tenant, models

    async def of(self, root: int) -> Row:
        """`{id, histories, used, sources}` as `flowledger.sdk.testing.replay.worker` takes them. Raises: TooLong, Problem."""
        found: dict[str, list[Row]] = {}
        used: set[int] = set()
        ahead, events = [root], 0
        while ahead:
            key = ahead.pop()
            if str(key) in found:
                continue
            if len(found) > CALLED_MAX:
                raise TooLong(f"it has called more than {CALLED_MAX} instances")
            rows = found[str(key)] = await self._rows(key, EVENTS_MAX - events)
            events += len(rows)
            for row in rows:
                data = row.get("data") or {}
                if row["type"] == "workflow.started":
                    await self.models.of(str(data["definition"]), str(data["process"]), "process")
                elif row["type"] == "element.noted" and isinstance(data.get("data"), dict) and (child := data["data"].get("child")):
                    ahead.append(int(child))
                elif row["type"] == "decision.evaluated" and data.get("version"):
                    used.update(await self.models.version("decision", str(data["decision"]), int(data["version"])))
        # a called instance whose history is gone is missing, not empty
        histories = {key: rows for key, rows in found.items() if rows or key == str(root)}
        return {"id": root, "histories": histories, "used": sorted(used), "sources": self.models.told()}

    async def _rows(self, key: int, most: int) -> list[Row]:
        rows: list[Row] = []
        after = ""
        while True:
            page = await self.reads.events("instances", key, {}, after, PAGE, self.tenant)
            rows += [{f: row.get(f) for f in _FIELDS} for row in page["items"]]
            if len(rows) > most:
                raise TooLong(f"it has more than {EVENTS_MAX} events")
            if not (after := page["cursor"]):
                return rows


def needs(models: list[Row]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """(kind, id) of what these models call by name, and of what they define."""
    from flowledger.kernel.elements.calls import calls_of
    from flowledger.kernel.model import read
    from flowledger.kernel.model.encodings import utf8
    from flowledger.kernel.model.graph import contents

    called: set[tuple[str, str]] = set()
    defined: set[tuple[str, str]] = set()
    for m in models:
        graph, _ = read(utf8(m["content"]), m["name"])
        if graph is not None:
            defined |= {(kind, id) for kind, id, _, _ in contents(graph)}
            called |= {(call.kind, call.id) for call in calls_of(graph)}
    return called, defined
