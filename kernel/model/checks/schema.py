"""What BPMN20.xsd says of every element: its place, and the attributes and children that it must or may have.

What another check has said in its own words isn't said again. The order of children is left alone: tools write it as they like, and it changes nothing.
"""

from __future__ import annotations

import re
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

_B = len(x.B)
_DI = "{http://www.omg.org/spec/BPMN/20100524/DI}"
_WORDS = {
    "tChoreographyLoopType": ("None", "Standard", "MultiInstanceSequential", "MultiInstanceParallel"),
    "tRelationshipDirection": ("None", "Forward", "Backward", "Both"),
}
_INT = re.compile(r"[+-]?[0-9]+\Z").match
_REF = re.compile(r"[^\W\d][\w.\-]*(:[^\W\d][\w.\-]*)?\Z").match


def check(r: Any) -> None:
    said = {(f.element, f.line) for f in r.findings if f.code in FORBIDDEN}
    todo = [(r.definitions, "definitions")]
    while todo:
        element, tag = todo.pop()
        kids = [(kid, kid.tag[_B:]) for kid in element if isinstance(kid.tag, str) and kid.tag.startswith(x.B)] if len(element) else []
        shape = grammar.of(tag)
        if shape is None:
            if not grammar.is_open(tag):
                for kid, own in kids:
                    say(r, "SCHEMA_PLACE", kid, f"<{own}> has no place in <{tag}>, which holds a text")
            continue
        before = len(r.findings)
        if len(kids) < len(element) and "Expression" not in shape.name:
            _foreign(r, element, tag)
        _attributes(r, element, tag, shape)
        if kids or shape.wanted:
            _children(r, element, tag, kids, shape)
        if len(r.findings) > before and (r._id_around(element), element.sourceline) in said:
            r.findings[before:] = [f for f in r.findings[before:] if f.code == "SCHEMA_PLACE"]
        kids.reverse()
        todo += kids


def _foreign(r: Any, element: Any, tag: str) -> None:
    """Elements of other namespaces stand in extensionElements, and in what holds a text of any language."""
    for kid in element:
        if isinstance(kid.tag, str) and not kid.tag.startswith((x.B, _DI)):
            name = f"{kid.prefix}:{x.local(kid)}" if kid.prefix else x.local(kid)
            say(r, "SCHEMA_PLACE", kid, f"<{name}> has no place in <{tag}>: what is not of BPMN stands in extensionElements")


def _attributes(r: Any, element: Any, tag: str, shape: grammar.Shape) -> None:
    for name in shape.needed:
        if element.get(name) is None:
            say(r, "SCHEMA_ATTRIBUTE_MISSING", element, f"<{tag}> has no {name}")
    for name, value in element.items():
        if name == "id" or name == "name" or name[0] == "{":
            continue
        known = shape.attributes.get(name)
        if known is None:
            if not ("Expression" in shape.name and name in ("language", "evaluatesToTypeRef")):
                say(r, "SCHEMA_ATTRIBUTE_UNKNOWN", element, f"<{tag}> has no attribute {name}")
            continue
        holds = known[1]
        if holds == "int" and not _INT(value.strip()):
            say(r, "SCHEMA_VALUE", element, f"{name} of <{tag}>: expected a whole number, found '{value}'")
        elif holds == "ref" and not _REF(value.strip()):
            say(r, "SCHEMA_VALUE", element, f"{name} of <{tag}>: expected the name of an element, found '{value}'")
        elif holds in _WORDS and value not in _WORDS[holds]:
            say(r, "SCHEMA_VALUE", element, f"{name} of <{tag}>: expected one of {', '.join(_WORDS[holds])}, found '{value}'")


def _children(r: Any, element: Any, tag: str, kids: list[tuple[Any, str]], shape: grammar.Shape) -> None:
    counts: dict[str, int] = {}
    for kid, own in kids:
        place = shape.place(own)
        if place is None:
            say(r, "SCHEMA_PLACE", kid, f"<{own}> has no place in <{tag}>")
        else:
            counts[place] = counts.get(place, 0) + 1
    for name in shape.wanted:
        least, found = shape.children[name][0], counts.get(name, 0)
        if found < least:
            say(r, "SCHEMA_CHILD_MISSING", element, f"<{tag}> needs {'a' if least == 1 else least} <{name}>, found {found or 'none'}")
    for name, found in counts.items():
        most = shape.children[name][1]
        if most is not None and found > most:
            say(r, "SCHEMA_CHILD_TWICE", element, f"<{tag}> may have {most} <{name}>, found {found}")
