"""What decisions (DMN) have beside what `flat.py` knows: cells belong to a column, whatever is put before or behind it; a cell is one element with its text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Fields = dict[str, dict[str, Any]]
#: DMN 1.2 to 1.6 differ in what they are called, not in what is drawn of them; which one it is stands at the root
VERSIONS = ("20191111", "20180521", "20211108", "20230324", "20240513")
MODEL = [f"https://www.omg.org/spec/DMN/{v}/MODEL/" for v in VERSIONS] + ["http://www.omg.org/spec/DMN/20180521/MODEL/"]
DI = [f"https://www.omg.org/spec/DMN/{v}/DMNDI/" for v in VERSIONS] + ["http://www.omg.org/spec/DMN/20180521/DMNDI/"]
#: cell -> column
CELLS = {"dmn:inputEntry": "dmn:input", "dmn:outputEntry": "dmn:output", "dmn:annotationEntry": "dmn:annotation"}
#: without an id these are told by their place, which others may change: they get one
_GETS_ID = {"dmn:rule", "dmn:input", "dmn:output", "dmn:inputEntry", "dmn:outputEntry"}
_NO_ID = re.compile(r"[^A-Za-z0-9_.-]")
#: elements that make no sense without one of these below them
_ONE_OF = {
    "dmn:informationRequirement": ("dmn:requiredDecision", "dmn:requiredInput"),
    "dmn:knowledgeRequirement": ("dmn:requiredKnowledge",),
    "dmn:authorityRequirement": ("dmn:requiredAuthority", "dmn:requiredDecision", "dmn:requiredInput"),
}  # fmt: skip
_ALL_OF = {"dmn:association": ("dmn:sourceRef", "dmn:targetRef")}


def id_for(tag: str, parent: Mapping[str, Any], place: int, taken: set[str]) -> str | None:
    """An id for what has none: the same wherever the same text is read."""
    if tag not in _GETS_ID:
        return None
    base = f"{_NO_ID.sub('_', str(parent.get('@id', 'table')))}_{tag.removeprefix('dmn:')}_{place}"
    id, n = base, 1
    while id in taken:
        n += 1
        id = f"{base}_{n}"
    taken.add(id)
    return id


def columns(all: Fields, table: str, listed: Mapping[str, list[str]]) -> None:
    """Each cell of the table says which column it is of (`&`)."""
    below = listed.get(table, [])
    for rule in (k for k in below if all[k]["<"] == "dmn:rule"):
        for cell, column in CELLS.items():
            of = [k for k in below if all[k]["<"] == column]
            cells = [k for k in listed.get(rule, []) if all[k]["<"] == cell]
            for key, at in zip(cells, of, strict=False):
                all[key]["&"] = at


def aligned(all: Fields, children: dict[str, list[str]], alive: set[str]) -> Fields:
    """Each rule with one cell for each column, in their order: a column that is gone takes its cells with it, a new one has empty cells in the rules that
    don't know it yet."""
    made = dict(all)
    for table in [k for k in alive if all[k]["<"] == "dmn:decisionTable"]:
        below = [k for k in children.get(table, []) if k in alive]
        for rule in (k for k in below if all[k]["<"] == "dmn:rule"):
            cells: list[str] = []
            inside = [k for k in children.get(rule, []) if k in alive]
            for cell, column in CELLS.items():
                by: dict[Any, str] = {}
                for k in inside:
                    if all[k]["<"] == cell:
                        by.setdefault(all[k].get("&"), k)
                for at in (k for k in below if all[k]["<"] == column):
                    key = by.get(at)
                    if key is None:
                        id = f"{_NO_ID.sub('_', rule)}_{_NO_ID.sub('_', at)}"
                        key = id if cell != "dmn:annotationEntry" else f"{rule}/{cell}~{id}"
                        if key in all:  # somebody else's, elsewhere
                            key = id = f"{key}_cell"
                        made[key] = {"<": cell, "^": rule, "#": 0, "&": at, "$": ""}
                        if cell != "dmn:annotationEntry":
                            made[key]["@id"] = id
                        alive.add(key)
                    cells.append(key)
            children[rule] = [k for k in inside if all[k]["<"] not in CELLS] + cells
    return made


def lost(all: Fields, key: str, ids: Mapping[str, str], children: Mapping[str, list[str]], alive: set[str]) -> bool:
    """It speaks of something that isn't there any more."""
    of = all[key]
    tag = of["<"]
    href = of.get("@href", "")
    if href.startswith("#") and href[1:] not in ids:
        return True
    if tag not in _ONE_OF and tag not in _ALL_OF:
        return False
    below = {all[k]["<"] for k in children.get(key, ()) if k in alive}
    return not below.intersection(_ONE_OF[tag]) if tag in _ONE_OF else not below.issuperset(_ALL_OF[tag])
