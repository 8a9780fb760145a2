"""What BPMN20.xsd says of every element: its place, and the attributes and children that it must or may have.

What another check has said in its own words isn't said again. The order of children is left alone: tools write it as they like, and it changes nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from flowledger.kernel.model import xml as x
from flowledger.kernel.model.checks import grammar
from flowledger.kernel.model.checks.common import declare, say
from flowledger.kernel.model.checks.standard import FORBIDDEN

declare(
    {
        "SCHEMA_PLACE": (
            "warning",
            "An element where the schema has no place for it: it is read past",
            "BPMN20.xsd",
            "move it, or remove it",
        ),
        "SCHEMA_CHILD_MISSING": ("warning", "An element lacks a child that it must have", "BPMN20.xsd", "add it"),
        "SCHEMA_CHILD_TWICE": (
            "warning",
            "An element has more children of a kind than it may",
            "BPMN20.xsd",
            "keep as many as are allowed",
        ),
        "SCHEMA_ATTRIBUTE_MISSING": ("warning", "An element lacks an attribute that it must have", "BPMN20.xsd", "add it"),
        "SCHEMA_ATTRIBUTE_UNKNOWN": (
            "warning",
            "An attribute that the element doesn't have; own ones need a namespace of their own",
            "BPMN20.xsd",
            "remove it, or give it a prefix",
        ),
        "SCHEMA_VALUE": ("warning", "An attribute holds what its type doesn't allow", "BPMN20.xsd", "correct the value"),
    }
)

_WORDS = {
    "tChoreographyLoopType": ("None", "Standard", "MultiInstanceSequential", "MultiInstanceParallel"),
    "tRelationshipDirection": ("None", "Forward", "Backward", "Both"),
}
_INT = re.compile(r"[+-]?[0-9]+\Z").match
_REF = re.compile(r"[^\W\d][\w.\-]*(:[^\W\d][\w.\-]*)?\Z").match


def check(r: Any) -> None:
    said = {(f.element, f.line) for f in r.findings if f.code in FORBIDDEN}
    todo = [r.definitions]
    while todo:
        element = todo.pop()
        tag = x.local(element)
        if grammar.is_open(tag):
            continue
        kids = list(x.bpmn_children(element))
        shape = grammar.of(tag)
        if shape is None:
            for kid in kids:
                say(r, "SCHEMA_PLACE", kid, f"<{x.local(kid)}> has no place in <{tag}>, which holds a text")
            continue
        before = len(r.findings)
        _attributes(r, element, shape)
        _children(r, element, kids, shape)
        if (r._id_around(element), element.sourceline) in said:
            r.findings[before:] = [f for f in r.findings[before:] if f.code == "SCHEMA_PLACE"]
        todo += reversed(kids)


def _attributes(r: Any, element: Any, shape: grammar.Shape) -> None:
    tag = x.local(element)
    for name, (needed, holds) in shape.attributes.items():
        value = element.get(name)
        if value is None:
            if needed:
                say(r, "SCHEMA_ATTRIBUTE_MISSING", element, f"<{tag}> has no {name}")
        elif holds == "int" and not _INT(value.strip()):
            say(r, "SCHEMA_VALUE", element, f"{name} of <{tag}>: expected a whole number, found '{value}'")
        elif holds == "ref" and not _REF(value.strip()):
            say(r, "SCHEMA_VALUE", element, f"{name} of <{tag}>: expected the name of an element, found '{value}'")
        elif holds in _WORDS and value not in _WORDS[holds]:
            say(r, "SCHEMA_VALUE", element, f"{name} of <{tag}>: expected one of {', '.join(_WORDS[holds])}, found '{value}'")
    for name in element.attrib:
        if (
            name[0] != "{"
            and name not in shape.attributes
            and not ("Expression" in shape.name and name in ("language", "evaluatesToTypeRef"))
        ):
            say(r, "SCHEMA_ATTRIBUTE_UNKNOWN", element, f"<{tag}> has no attribute {name}")


def _children(r: Any, element: Any, kids: list[Any], shape: grammar.Shape) -> None:
    tag = x.local(element)
    counts: Counter[str] = Counter()
    for kid in kids:
        place = shape.place(x.local(kid))
        if place is None:
            say(r, "SCHEMA_PLACE", kid, f"<{x.local(kid)}> has no place in <{tag}>")
        else:
            counts[place] += 1
    for name, (least, most) in shape.children.items():
        if counts[name] < least:
            say(
                r, "SCHEMA_CHILD_MISSING", element, f"<{tag}> needs {'a' if least == 1 else least} <{name}>, found {counts[name] or 'none'}"
            )
        elif most is not None and counts[name] > most:
            say(r, "SCHEMA_CHILD_TWICE", element, f"<{tag}> may have {most} <{name}>, found {counts[name]}")
