"""Where the references of a JSON Schema lead: `$ref` and `$dynamicRef`, by `$id`, `$anchor`, `$dynamicAnchor` and JSON pointers (JSON Schema
2020-12, core 8.2 and 9.2). All within the one document: what it doesn't hold is not fetched.

A *resource* is the document, or a schema in it that has an `$id` of its own; here it is known by its schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urljoin

#: words whose value is a schema, a list of schemas, or an object of schemas
SCHEMAS = frozenset(
    "not if then else additionalProperties propertyNames items contains unevaluatedItems unevaluatedProperties contentSchema".split()
)
LISTS = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
MAPS = frozenset(("properties", "patternProperties", "dependentSchemas", "$defs", "definitions"))
#: The resources that were entered on the way to a schema, the innermost first.
Scope = tuple[Any, "Scope | None"]


def inner(schema: Any) -> Iterator[Any]:
    """The schemas right below one."""
    for word, value in schema.items():
        if word in SCHEMAS:
            yield value
        elif word in LISTS and isinstance(value, list):
            yield from value
        elif word in MAPS and isinstance(value, dict):
            yield from value.values()


def _joined(base: str, uri: Any) -> str:
    try:
        return urljoin(base, uri).removesuffix("#") if isinstance(uri, str) else base
    except ValueError:  # it is none
        return base


class _Index:
    """Of a document: which URI names which resource, and the anchors of each."""

    def __init__(self, root: Any) -> None:
        self.uris: dict[int, str] = {}
        self.resources: dict[str, Any] = {}
        self.anchors: dict[tuple[int, str], Any] = {}
        self.dynamic: dict[tuple[int, str], Any] = {}
        #: schema -> its resource
        self.homes: dict[int, Any] = {}
        ahead: list[tuple[Any, Any, str]] = [(root, root, "")]
        while ahead:
            here, home, base = ahead.pop()
            if not isinstance(here, dict):
                continue
            if here is root or "$id" in here:
                home, base = here, _joined(base, here.get("$id", ""))
                self.resources.setdefault(base, here)
                self.uris[id(here)] = base
            self.homes[id(here)] = home
            for word, known in (("$anchor", (self.anchors,)), ("$dynamicAnchor", (self.anchors, self.dynamic))):
                if isinstance(name := here.get(word), str):
                    for anchors in known:
                        anchors.setdefault((id(home), name), here)
            ahead += ((each, home, base) for each in inner(here))


class References:
    def __init__(self, root: Any) -> None:
        self.root = root

    @cached_property
    def index(self) -> _Index:
        """Made when it is needed: a pointer needs none."""
        return _Index(self.root)

    def names(self, schema: Any) -> bool:
        """Whether a schema with an `$id` is a resource: it stands where schemas stand."""
        return id(schema) in self.index.uris

    def resolve(self, home: Any, ref: Any) -> tuple[Any, Any]:
        """(resource, schema) that a reference from within `home` names. Raises: ValueError."""
        if not isinstance(ref, str):
            raise ValueError("expected a text")
        uri, _, fragment = ref.partition("#")
        if uri:
            home = self.index.resources.get(_joined(self.index.uris[id(home)], uri))
            if home is None:
                raise ValueError(f"'{ref}' leads out of the schema")
        fragment = unquote(fragment)
        if fragment and fragment[0] != "/":
            found = self.index.anchors.get((id(home), fragment))
        else:
            home, found = self._pointed(home, fragment)
        if not isinstance(found, dict | bool):
            raise ValueError(f"'{ref}' leads nowhere" if found is None else f"'{ref}' leads to what is no schema")
        return home, found

    def _pointed(self, home: Any, pointer: str) -> tuple[Any, Any]:
        here = home
        for part in pointer.split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            try:
                here = here[int(part)] if isinstance(here, list) else here[part]
            except (KeyError, IndexError, ValueError, TypeError):
                return home, None
            if isinstance(here, dict) and "$id" in here and id(here) in self.index.uris:
                home = here
        return home, here

    def dynamic(self, scope: Scope, ref: str) -> tuple[Any, Any]:
        """The same for a `$dynamicRef`: what names a `$dynamicAnchor` leads to that of the outermost resource of `scope` that has one. Raises: ValueError."""
        home, found = self.resolve(scope[0], ref)
        name = unquote(ref.partition("#")[2])
        outer: Scope | None = scope if self.index.dynamic.get((id(home), name)) is found else None
        while outer is not None:
            if (id(outer[0]), name) in self.index.dynamic:
                home, found = outer[0], self.index.dynamic[id(outer[0]), name]
            outer = outer[1]
        return home, found
