"""What a bundle is: resources, what each defines, and settings of rollouts. Pure; from where it comes stands in `archive`, `folder` and `environment`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from flowledger.kernel.limits import MODEL_BYTES_MAX

#: resources, bytes of one, bytes of all: no more is read, whatever a file says of itself
RESOURCES_MAX, RESOURCE_BYTES_MAX, BYTES_MAX = 1_000, MODEL_BYTES_MAX, 128 * 1024 * 1024
#: kind and id of a definition
Name = tuple[str, str]


class Wrong(Exception):
    """A bundle, a folder or a server that can't be used: what was expected, and what was found where."""


class Defined(msgspec.Struct, frozen=True, omit_defaults=True):
    """`version`: where it was exported from; 0: not from a server."""

    kind: str
    id: str
    name: str = ""
    version: int = 0
    version_tag: str = ""

    @property
    def key(self) -> Name:
        return self.kind, self.id


class Resource(msgspec.Struct, frozen=True):
    """`content`: the text as a server has it; `hash` is of its bytes, exactly."""

    name: str
    content: str
    definitions: tuple[Defined, ...]

    @property
    def data(self) -> bytes:
        from flowledger.kernel.model.encodings import utf8

        return utf8(self.content)

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


class Setting(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is said of the bundle's version of a definition: `share` percent of new starts (none: it is the default); its new starts are `stopped`."""

    kind: str
    id: str
    share: float | None = None
    stopped: bool = False

    @property
    def key(self) -> Name:
        return self.kind, self.id


class Bundle(msgspec.Struct):
    resources: list[Resource]
    settings: dict[Name, Setting]

    @property
    def definitions(self) -> dict[Name, tuple[Defined, Resource]]:
        """In their order; requirements graphs go with their decisions."""
        return {d.key: (d, r) for r in self.resources for d in r.definitions if d.kind != "drg"}


def checked(resources: Iterable[Resource], settings: Iterable[Setting], where: str) -> Bundle:
    """Raises: Wrong."""
    found = Bundle(sorted(resources, key=lambda r: r.name), {})
    if len(found.resources) > RESOURCES_MAX:
        raise Wrong(f"{where}: expected at most {RESOURCES_MAX} resources, found {len(found.resources)}")
    if (size := sum(len(r.data) for r in found.resources)) > BYTES_MAX:
        raise Wrong(f"{where}: expected at most {BYTES_MAX} bytes of resources, found {size}")
    seen: dict[Name, str] = {}
    names: set[str] = set()
    for r in found.resources:
        if r.name in names:
            raise Wrong(f"{where}: the resource '{r.name}' stands there twice")
        names.add(r.name)
        for d in r.definitions:
            if d.key in seen:
                raise Wrong(f"{where}: {d.kind} '{d.id}' stands in '{seen[d.key]}' and in '{r.name}'")
            seen[d.key] = r.name
    for s in settings:
        if s.key not in seen:
            raise Wrong(f"{where}: settings of {s.kind} '{s.id}', which isn't among the definitions")
        if s.key in found.settings:
            raise Wrong(f"{where}: settings of {s.kind} '{s.id}' stand there twice")
        if s.kind != "process":
            raise Wrong(f"{where}: expected settings of processes, found those of {s.kind} '{s.id}'")
        if s.share is not None and not 0 <= s.share <= 100:
            raise Wrong(f"{where}: expected a share of 0 to 100 percent of '{s.id}', found {s.share}")
        found.settings[s.key] = s
    return found


def defined_in(name: str, content: str) -> tuple[tuple[Defined, ...] | None, list[Any]]:
    """What a text defines, as a deployment would; None: it is none of what can be deployed. With what a check finds."""
    from flowledger.kernel.model import read
    from flowledger.kernel.model.encodings import utf8
    from flowledger.kernel.model.graph import contents

    graph, findings = read(utf8(content), name)
    if graph is None:
        return None, findings
    return tuple(Defined(kind, id, title, version_tag=tag) for kind, id, title, tag in contents(graph)), findings
