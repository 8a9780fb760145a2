"""A model (BPMN, DMN, a form) as a flat table of values, and back: what several people can change at once without knowing of each other.

Each element is a few entries `KEY|FIELD`: its name (`<`), its parent (`^`), its place among its siblings (`#`), its text (`.`), its bounds or waypoints
(`=`) and its attributes (`@name`); of decisions also the text of a cell (`$`) and its column (`&`, `tables.py`); of forms their properties (`%path`) and
lists (`[`, `forms.py`). A key is the element's id; one without an id is told by its parent, its name and what names it there. The browser has
the same in TypeScript (`web/src/designer/together/flat.ts`): one table of cases holds for both (`tests/designer/together.json`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flowledger.api.together import forms, tables
from flowledger.kernel.model import xml as x

Fields = dict[str, dict[str, Any]]
#: prefix -> namespace, whatever a file calls it
KNOWN = {
    "bpmn": x.BPMN_NS, "bpmndi": "http://www.omg.org/spec/BPMN/20100524/DI", "dc": "http://www.omg.org/spec/DD/20100524/DC",
    "di": "http://www.omg.org/spec/DD/20100524/DI", "xsi": x.XSI_NS, "zeebe": x.ZEEBE_NS, "flowledger": x.OWN_NS,
    "xml": "http://www.w3.org/XML/1998/namespace",
    "dmn": tables.MODEL[0], "dmndi": tables.DI[0], "dmndc": "http://www.omg.org/spec/DMN/20180521/DC/", "dmndd": "http://www.omg.org/spec/DMN/20180521/DI/",
}  # fmt: skip
#: other versions' names of the same
_VERSIONED = {"dmn": tables.MODEL, "dmndi": tables.DI}
_PREFIX = {uri: prefix for prefix, uri in KNOWN.items()} | {uri: prefix for prefix, all in _VERSIONED.items() for uri in all}
#: prefix of a drawing -> those of its bounds and its waypoints
_DRAWN = {"bpmndi": ("dc", "di"), "dmndi": ("dmndc", "dmndd")}
#: root -> kind of draft
_ROOTS = {"bpmn:definitions": "process", "dmn:definitions": "decision", forms.ROOT: "form"}
#: what tells an element without an id from its siblings, beside its name
_NAMING = ("bpmnElement", "dmnElementRef", "target", "key", "name", "eventType")
#: attributes and texts that name another element: without it the whole makes no sense
_NEEDS = {
    "bpmn:sequenceFlow": ("sourceRef", "targetRef"), "bpmn:messageFlow": ("sourceRef", "targetRef"), "bpmn:association": ("sourceRef", "targetRef"),
    "bpmn:boundaryEvent": ("attachedToRef",), "bpmndi:BPMNShape": ("bpmnElement",), "bpmndi:BPMNEdge": ("bpmnElement",), "bpmndi:BPMNPlane": ("bpmnElement",),
    "dmndi:DMNShape": ("dmnElementRef",), "dmndi:DMNEdge": ("dmnElementRef",),
}  # fmt: skip
_BOUNDS = ("x", "y", "width", "height")
_XML_BAD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*(:[A-Za-z_][A-Za-z0-9_.-]*)?\Z")
#: elements within elements; more is no model
DEPTH_MAX = 100


class NotDrawn(ValueError):
    """Not a BPMN document with a drawing, nor decisions, nor a form."""


def read(text: str) -> Fields:
    """Raises: NotDrawn; BadXml."""
    if forms.is_form(text):
        try:
            return forms.read(text)
        except forms.NoForm as e:
            raise NotDrawn(str(e)) from None
    root = x.parse(text.encode())
    decisions = root.tag in (f"{{{uri}}}definitions" for uri in tables.MODEL)
    if not decisions and (root.tag != f"{x.B}definitions" or root.find(f".//{{{KNOWN['bpmndi']}}}BPMNPlane") is None):
        raise NotDrawn("a BPMN document with a drawing, decisions (DMN 1.2 to 1.6) or a form was expected")
    return _Reading(decisions).all(root)


def kind(all: Fields) -> str:
    """What kind of draft it is the document of."""
    return _ROOTS[next(iter(all.values()))["<"]]


class _Reading:
    def __init__(self, decisions: bool) -> None:
        self.found: Fields = {}
        self.own: dict[str, str] = {}
        self.decisions = decisions
        self.taken: set[str] = set()
        self.places: dict[tuple[str, str], int] = {}

    def all(self, root: Any) -> Fields:
        if self.decisions:
            self.taken = {e.get("id") for e in root.iter() if isinstance(e.tag, str) and e.get("id")}
        self._element(root, "", 0, 0)
        top = next(iter(self.found.values()))
        if self.decisions:
            listed = _children(self.found)
            for key in [k for k, of in self.found.items() if of["<"] == "dmn:decisionTable"]:
                tables.columns(self.found, key, listed)
            for e in root.iter():
                uri = e.tag[1:].partition("}")[0] if isinstance(e.tag, str) else ""
                if (prefix := _PREFIX.get(uri)) in _VERSIONED and uri != KNOWN[prefix]:
                    top[f"!{prefix}"] = uri
        for prefix, uri in root.nsmap.items():  # also those that only values use (`xsd:string`)
            if prefix and uri not in _PREFIX and prefix not in KNOWN:
                self.own.setdefault(uri, prefix)
        for uri, prefix in self.own.items():
            top[f"!{prefix}"] = uri
        return self.found

    def _name(self, qualified: str, prefix: str | None) -> str:
        if qualified[0] != "{":
            return qualified
        uri, _, local = qualified[1:].partition("}")
        known = _PREFIX.get(uri) or self.own.get(uri)
        if known is None:
            taken = set(KNOWN) | set(self.own.values())
            known = prefix if prefix and prefix not in taken else f"ns{len(self.own)}"
            self.own[uri] = known
        return f"{known}:{local}"

    def _element(self, e: Any, parent: str, place: int, depth: int) -> None:
        if depth > DEPTH_MAX:
            raise NotDrawn(f"at most {DEPTH_MAX} elements within each other were expected")
        tag = self._name(e.tag, e.prefix)
        fields: dict[str, Any] = {"<": tag, "^": parent, "#": place}
        for name, value in e.attrib.items():
            known = self._name(name, next((p for p, uri in e.nsmap.items() if p and name.startswith(f"{{{uri}}}")), None))
            if known == "xsi:type" and ":" in value:
                prefix, _, local = value.partition(":")
                value = f"{_PREFIX.get(e.nsmap.get(prefix, ''), prefix)}:{local}"
            elif known == "xsi:type" and None in e.nsmap:
                value = f"{_PREFIX.get(e.nsmap[None], 'bpmn')}:{value}"
            fields[f"@{known}"] = value
        children = [c for c in e if isinstance(c.tag, str)]
        if self.decisions and "@id" not in fields and parent in self.found:
            self.places[parent, tag] = n = self.places.get((parent, tag), 0) + 1
            if id := tables.id_for(tag, self.found[parent], n, self.taken):
                fields["@id"] = id
        if tag.startswith("dmn:"):
            told = next((c for c in children if self._name(c.tag, c.prefix) == "dmn:text" and not len(c) and not c.attrib), None)
            if told is not None:
                fields["$"] = told.text or ""
                children.remove(told)
        text = (e.text or "") if not children or (e.text or "").strip() else ""
        if text.strip():
            fields["."] = text
        key = self._key(tag, fields, parent, bool(children))
        self.found[key] = fields
        left = []
        drawn = []
        bounds, points = _DRAWN.get(tag.partition(":")[0], ("", "di"))
        for child in children:
            if bounds and child.tag == f"{{{KNOWN[bounds]}}}Bounds" and "=" not in fields:
                fields["="] = " ".join(child.get(name, "0") for name in _BOUNDS)
            elif child.tag == f"{{{KNOWN[points]}}}waypoint":
                drawn.append(f"{child.get('x', '0')},{child.get('y', '0')}")
            else:
                left.append(child)
        if drawn:
            fields["="] = " ".join(drawn)
        for i, child in enumerate(left):
            self._element(child, key, i, depth + 1)

    def _key(self, tag: str, fields: Mapping[str, Any], parent: str, children: bool) -> str:
        base = fields.get("@id")
        if not base:
            told = next((str(fields[f"@{name}"]) for name in _NAMING if f"@{name}" in fields), "")
            if not told and not children and "." in fields and (tag in ("bpmn:incoming", "bpmn:outgoing") or tag.endswith("Ref")):
                told = fields["."].strip()
            base = f"{parent}/{tag}" + (f"={told[:100]}" if told else "")
        key, n = base, 1
        while key in self.found:
            n += 1
            key = f"{base}~{n}"
        return key


def entries(fields: Fields) -> dict[str, Any]:
    """As the shared table has them."""
    return {f"{key}|{name}": value for key, of in fields.items() for name, value in of.items()}


def fields(table: Mapping[str, Any]) -> Fields:
    """Anybody may have written into the table: what is no entry is left out, and what has no name (any more) is no element."""
    found: Fields = {}
    for entry, value in table.items():
        key, _, name = entry.rpartition("|")
        if not key or not name:
            continue
        if name == "#":
            if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:
                found.setdefault(key, {})[name] = value
        elif isinstance(value, str) and (name[0] == "%" or not _XML_BAD.search(value)):
            if name[0] not in "@!" or _NAME.match(name[1:]):
                found.setdefault(key, {})[name] = value
    return {key: of for key, of in found.items() if _NAME.match(of.get("<", "")) and "^" in of}


def _standing(all: Fields) -> tuple[str, dict[str, list[str]]]:
    """The root, and the children of each element that is reached from it. Elements that were put into each other at once stand in the process."""
    roots = sorted(key for key, of in all.items() if of["^"] == "" and of["<"] in _ROOTS)
    if not roots:
        raise NotDrawn("there is no document")
    root = roots[0]
    parent = {key: of["^"] for key, of in all.items() if key != root}

    def cycle(key: str) -> list[str] | None:
        path: dict[str, None] = {}
        while key in parent and key not in path:
            path[key] = None
            key = parent[key]
        return list(path)[list(path).index(key) :] if key in path else None

    home = min((key for key, of in all.items() if of["<"] == "bpmn:process" and of["^"] == root), default=root)
    settled: set[str] = {root}
    for key in sorted(parent):
        if key not in settled and (found := cycle(key)) is not None:
            parent[min(found)] = home
        settled.add(key)
    children: dict[str, list[str]] = {}
    for key, above in parent.items():
        children.setdefault(above, []).append(key)
    for listed in children.values():
        listed.sort(key=lambda k: (all[k].get("#", 0), k))
    return root, children


def _reached(root: str, children: Mapping[str, list[str]]) -> set[str]:
    found, todo = {root}, [root]
    while todo:
        below = children.get(todo.pop(), [])
        found.update(below)
        todo.extend(below)
    return found


def whole(all: Fields) -> tuple[str, dict[str, list[str]], set[str]]:
    """The root, the children of each, and the keys that make sense: a flow whose end somebody has deleted goes with it, and so on."""
    root, children = _standing(all)
    alive = _reached(root, children)
    while True:
        ids = {all[k]["@id"]: k for k in alive if "@id" in all[k]}
        lost = set()
        for key in alive:
            of = all[key]
            tag = of["<"]
            if any(of.get(f"@{name}", "") not in ids for name in _NEEDS.get(tag, ())) and ":" not in of.get("@dmnElementRef", ""):
                lost.add(key)
            elif tag.startswith("dmn:"):
                if tables.lost(all, key, ids, children, alive):
                    lost.add(key)
            elif tag in ("bpmn:incoming", "bpmn:outgoing"):
                flow = all.get(ids.get(of.get(".", "").strip(), ""), {})
                if flow.get("@targetRef" if tag == "bpmn:incoming" else "@sourceRef") != all[of["^"]].get("@id"):
                    lost.add(key)
            elif tag == "bpmn:flowNodeRef" and of.get(".", "").strip() not in ids:
                lost.add(key)
        if not lost:
            return root, children, alive
        for key in lost:
            alive -= _reached(key, children)


def write(all: Fields) -> str:
    """The document. Raises: NotDrawn."""
    root, children, alive = whole(all)
    if all[root]["<"] == forms.ROOT:
        return forms.write(all, root, children)
    all = tables.aligned(all, children, alive)
    ids = {all[k]["@id"] for k in alive if "@id" in all[k]}
    used: set[str] = {all[root]["<"].partition(":")[0]}
    lines: list[str] = []

    def element(key: str, depth: int) -> None:
        of = all[key]
        tag = of["<"]
        attributes = []
        for name in sorted((n[1:] for n in of if n[0] == "@"), key=lambda n: (n != "id", n != "name", n)):
            value = of[f"@{name}"]
            if name == "default" and tag.startswith("bpmn:") and value not in ids:
                continue
            attributes.append(f' {name}="{_quoted(value)}"')
            for text in (name, value if name == "xsi:type" else ""):
                if ":" in text:
                    used.add(text.partition(":")[0])
        if ":" in tag:
            used.add(tag.partition(":")[0])
        pad = "  " * depth
        inside = [pad + "  " + line for line in _drawing(tag, of.get("=", ""), used)]
        below = [k for k in children.get(key, []) if k in alive] if depth < DEPTH_MAX else []
        text = _escaped(of.get(".", ""))
        cell = [f"{pad}  <dmn:text>{_escaped(of['$'])}</dmn:text>"] if "$" in of else []
        head = f"{pad}<{tag}{'' if depth else chr(0)}{''.join(attributes)}"
        if not inside and not below and not cell:
            lines.append(f"{head}>{text}</{tag}>" if text else f"{head} />")
            return
        lines.append(f"{head}>{text}")
        lines.extend(inside)
        for k in below:
            element(k, depth + 1)
        lines.extend(cell)
        lines.append(f"{pad}</{tag}>")

    element(root, 0)
    own = {name[1:]: uri for name, uri in all[root].items() if name[0] == "!" and name[1:] not in KNOWN}
    version = {prefix: uri for prefix, known in _VERSIONED.items() if (uri := all[root].get(f"!{prefix}")) in known}
    spaces = {prefix: version.get(prefix, KNOWN[prefix]) for prefix in used if prefix in KNOWN and prefix != "xml"}
    spaces |= own | {prefix: f"urn:unknown:{prefix}" for prefix in used if prefix not in KNOWN and prefix not in own}
    lines[0] = lines[0].replace("\0", "".join(f' xmlns:{prefix}="{_quoted(uri)}"' for prefix, uri in sorted(spaces.items())), 1)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + "\n".join(lines) + "\n"


def _drawing(tag: str, value: str, used: set[str]) -> list[str]:
    if not value:
        return []
    bounds, waypoint = _DRAWN.get(tag.partition(":")[0], ("dc", "di"))
    if "," in value:
        used.add(waypoint)
        points = (point.partition(",") for point in value.split(" "))
        return [f'<{waypoint}:waypoint x="{_quoted(a)}" y="{_quoted(b)}" />' for a, _, b in points]
    used.add(bounds)
    parts = (value.split(" ") + ["0"] * 4)[:4]
    return [f"<{bounds}:Bounds" + "".join(f' {name}="{_quoted(part)}"' for name, part in zip(_BOUNDS, parts, strict=True)) + " />"]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', "&quot;").replace("\t", "&#9;").replace("\n", "&#10;")


def filled(all: Fields) -> set[str]:
    """Cells that a document is written with, and the table doesn't have: who writes into one makes it."""
    if not any(of["<"] == "dmn:decisionTable" for of in all.values()):
        return set()
    try:
        _, children, alive = whole(all)
    except NotDrawn:
        return set()
    return tables.aligned(all, children, alive).keys() - all.keys()


def changes(old: Fields, new: Fields, now: Fields) -> dict[str, Any]:
    """What leads from `old` to `new`, as entries to set (None: to delete) on the table that is `now`. Where somebody has deleted an element meanwhile, that stays."""
    found: dict[str, Any] = {}
    unmade = filled(now)
    for key, of in old.items():
        if key not in new:
            found.update(dict.fromkeys(f"{key}|{name}" for name in {*of, *now.get(key, {})} if name in now.get(key, {})))
    for key, of in new.items():
        before = old.get(key)
        if before is not None and key in now:
            for name in {*of, *before} - {"#"}:
                if of.get(name) != before.get(name) and of.get(name) != now[key].get(name):
                    found[f"{key}|{name}"] = of.get(name)
        elif before is None or (key in unmade and {**of, "#": 0} != {**before, "#": 0}):
            for name, value in of.items():
                if name != "#" and now.get(key, {}).get(name) != value:
                    found[f"{key}|{name}"] = value
    _places(old, new, now, found)
    return found


def _children(all: Fields) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {}
    for key, of in all.items():
        listed.setdefault(of["^"], []).append(key)
    for below in listed.values():
        below.sort(key=lambda k: (all[k].get("#", 0), k))
    return listed


def _places(old: Fields, new: Fields, now: Fields, found: dict[str, Any]) -> None:
    """Places of those that are new among their siblings, or moved; all others keep theirs."""
    before = _children(old)
    for parent, listed in _children(new).items():
        if before.get(parent) == listed:
            continue
        had = set(before.get(parent, ()))
        kept = [k for k in listed if k in had]
        moved = kept != [k for k in before.get(parent, ()) if k in set(kept)]
        last: float | None = None
        # two have put something at the same place: what comes between them moves the second
        pushed = False
        for i, key in enumerate(listed):
            place = now.get(key, {}).get("#")
            stays = key in had and place is not None and (last is None or place > last or not (moved or pushed))
            if not stays:
                if key in had and key not in now:
                    continue  # deleted by somebody else
                later = [now[k]["#"] for k in listed[i + 1 :] if k in had and now.get(k, {}).get("#") is not None]
                following = next((p for p in later if last is None or p > last), None)
                pushed = pushed or bool(later and following != later[0])
                if following is not None:
                    place = following - 1 if last is None else (last + following) / 2
                else:
                    place = 0 if last is None else last + 1
                if now.get(key, {}).get("#") != place:
                    found[f"{key}|#"] = place
            last = place if last is None or place is None else max(last, place)
