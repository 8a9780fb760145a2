"""A BPML document while it is read: its elements, what is declared in which context, findings with their places."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from flowledger.kernel.findings import Finding
from flowledger.kernel.model import xml as x
from flowledger.kernel.model.formats import bpml_grammar as g
from flowledger.kernel.model.formats import build
from flowledger.kernel.model.formats.shared import _ISO_DURATION

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[-+]\d\d:\d\d)?)?")


def local(element: Any) -> str:
    return x.local(element)


def kids(element: Any, *names: str) -> Iterator[Any]:
    """Children in BPML's namespace, of these names when any are given."""
    for kid in element:
        if isinstance(kid.tag, str) and kid.tag.startswith(g.P) and (not names or local(kid) in names):
            yield kid


def kid(element: Any, name: str) -> Any:
    return element.find(g.P + name)


def activities(element: Any) -> list[Any]:
    return list(kids(element, *g.ACTIVITIES, "transaction"))


class Scope:
    """A context: what is declared in it. `kind` of symbol -> name -> element."""

    def __init__(self, parent: Scope | None, element: Any) -> None:
        self.parent, self.element = parent, element
        self.symbols: dict[str, dict[str, Any]] = {}

    def declare(self, r: Reader, kind: str, element: Any) -> None:
        name = element.get("name", "")
        known = self.symbols.setdefault(kind, {})
        if name in known:
            r.find("022", f'{kind} "{name}" is defined twice (first at line {known[name].sourceline})', element)
        known.setdefault(name, element)

    def look(self, kind: str, name: str) -> Any:
        scope: Scope | None = self
        while scope is not None:
            if (found := scope.symbols.get(kind, {}).get(name)) is not None:
                return found
            scope = scope.parent
        return None

    def visible(self, kind: str) -> list[str]:
        names: list[str] = []
        scope: Scope | None = self
        while scope is not None:
            names += scope.symbols.get(kind, {})
            scope = scope.parent
        return names


class Reader:
    """One document: findings, places, scopes by element."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.findings: list[Finding] = []
        self.places: dict[Any, build.Place] = {}
        self.target = ""
        self.scopes: dict[Any, Scope] = {}
        self.draft = build.Draft("bpml")

    def find(self, code: str, message: str, at: Any = None, *, hint: str = "", severity: str = "error") -> None:
        place = self.place(at)
        element = None
        walk = at
        while walk is not None and hasattr(walk, "get") and element is None:
            element, walk = walk.get("name"), walk.getparent()
        found = Finding(f"BPML{code}", message, severity, element, place.line, place.column, hint, self.file)
        if found not in self.findings:  # a name may be looked at twice
            self.findings.append(found)

    def place(self, at: Any) -> build.Place:
        if at is None:
            return build.NOWHERE
        return self.places.get(at) or build.Place(getattr(at, "sourceline", 0) or getattr(at, "line", 0), getattr(at, "column", 0))

    @property
    def failed(self) -> bool:
        return any(f.severity == "error" for f in self.findings)

    def scope_of(self, element: Any) -> Scope:
        while element not in self.scopes:
            element = element.getparent()
        return self.scopes[element]

    def name_of(self, text: str, at: Any) -> tuple[str, str]:
        """(namespace, local name) of a QName; without prefix it is in the target namespace."""
        prefix, _, name = text.rpartition(":")
        if not prefix:
            return self.target, name
        namespace = at.nsmap.get(prefix)
        if namespace is None:
            self.find("020", f'prefix "{prefix}" is not declared', at, hint=f'add xmlns:{prefix}="..."')
            return "", name
        return namespace, name

    def resolve(self, kind: str, text: str, at: Any) -> Any:
        """The element that a QName names; a finding when none is visible. None for other namespaces (imports) too."""
        namespace, name = self.name_of(text, at)
        if namespace and namespace != self.target:
            if namespace not in (g.INST_NS, g.EXT_NS) and not (kind == "process" and namespace == g.DEPLOYED_NS):
                self.find("021", f'no {kind} named "{text}" is visible here: the package "{namespace}" is not at hand', at,
                          hint="put what it defines into this file")  # fmt: skip
            return None
        scope = self.scope_of(at)
        found = scope.look(kind, name)
        if found is None and namespace:
            close = difflib.get_close_matches(name, scope.visible(kind), 1)
            self.find("021", f'no {kind} named "{text}" is visible here' + (f"; did you mean {close[0]}?" if close else ""), at)
        return found


def form_of(action: Any) -> str:
    """none, in, out, out-in, in-out; `mixed` is wrong. A set stands only between inputs and outputs."""
    order = ["S" if local(k) in g.SET else local(k)[0] for k in kids(action) if local(k) != "documentation"]
    text = re.sub(r"(.)\1+", r"\1", "".join(order))
    invoke = action.get(
        f"{g.EXT}invoke"
    )  # what the order of children can't say: an answer though nothing is sent, a message that carries nothing
    if invoke in ("true", "send") and text in ("", "i"):
        return "out-in" if text else "out" if invoke == "send" else "none"
    return {"": "none", "i": "in", "o": "out", "oi": "out-in", "io": "in-out", "iSo": "in-out"}.get(text, "mixed")


def iso_duration(text: str) -> bool:
    return _ISO_DURATION.fullmatch(text.strip()) is not None


def iso_instant(text: str) -> bool:
    return _INSTANT.fullmatch(text.strip()) is not None
