"""Reading XML safely: no DOCTYPE, no entities, no network, a cap on size; and helpers for BPMN's namespaces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from flowledger.kernel import limits
from flowledger.kernel.markup import root_of

BPMN_NS = "http://www.omg.org/spec/BPMN/20100524/MODEL"
ZEEBE_NS = "http://camunda.org/schema/zeebe/1.0"
CAMUNDA_NS = "http://camunda.org/schema/1.0/bpmn"
FLOWABLE_NS = "http://flowable.org/bpmn"
ACTIVITI_NS = "http://activiti.org/bpmn"
OWN_NS = "urn:flowledger:bpmn:1"
XSI_NS = "http://www.w3.org/2001/XMLSchema-instance"

B = f"{{{BPMN_NS}}}"
Z = f"{{{ZEEBE_NS}}}"
#: Camunda 7's dialect and its relatives: read alike
CLASSIC = (f"{{{CAMUNDA_NS}}}", f"{{{FLOWABLE_NS}}}", f"{{{ACTIVITI_NS}}}")
OWN = f"{{{OWN_NS}}}"
_EXTENSIONS = B + "extensionElements"
_BPMNDI = "{http://www.omg.org/spec/BPMN/20100524/DI}"
_BOOLEANS = {"1": "true", "0": "false"}
_WHOLE = re.compile(r"[ \t\r\n]*([+-]?0*[0-9]{1,18})[ \t\r\n]*\Z").match


def parse(data: bytes, size_max: int = limits.MODEL_BYTES_MAX) -> Any:
    """The root element. Raises: BadXml (too large, not well-formed, has a DOCTYPE)."""
    return root_of(data, size_max)


def whole(text: str) -> int | None:
    """A whole number as XML Schema writes one (`2`, `+2`, `002`, with white space around); None for anything else, and for what no field can hold."""
    found = _WHOLE(text)
    return int(found[1]) if found else None


def canonical(root: Any, collapsed: frozenset[str], booleans: frozenset[str]) -> None:
    """Attributes as XML Schema's types mean them (part 2, 3.3.2 and 4.3.6): white space around them is none of their value, 1 is true and 0 is false."""
    for element in root.iter(B + "*", _BPMNDI + "*"):
        for name, value in element.items():
            if name in collapsed and (value[:1].isspace() or value[-1:].isspace()):
                value = value.strip(" \t\r\n")
                element.set(name, value)
            if name in booleans and value in _BOOLEANS:
                element.set(name, _BOOLEANS[value])


def local(x: Any) -> str:
    """The tag without its namespace."""
    tag = x.tag
    return tag.rsplit("}", 1)[-1] if isinstance(tag, str) else ""


def bpmn_children(x: Any) -> Iterator[Any]:
    for kid in x:
        if isinstance(kid.tag, str) and kid.tag.startswith(B):
            yield kid


def child(x: Any, name: str) -> Any:
    """The first BPMN child of that name, or None."""
    return next(x.iterchildren(B + name), None)


def text_of(x: Any) -> str:
    """All text below, stripped."""
    return "".join(x.itertext()).strip() if x is not None else ""


def _extensions(x: Any) -> Any:
    # `iterchildren` throughout: a path of `find` costs several times as much, and each element is asked for a dozen extensions
    return next(x.iterchildren(_EXTENSIONS), None) if len(x) else None


def ext(x: Any, name: str) -> Any:
    """The first `zeebe:name` among the extension elements, or None."""
    holder = _extensions(x)
    return next(holder.iterchildren(Z + name), None) if holder is not None else None


def ext_all(x: Any, *path: str) -> list[Any]:
    """All `zeebe:a/zeebe:b` among the extension elements."""
    holder = _extensions(x)
    if holder is None:
        return []
    found = [holder]
    for step in path:
        found = [kid for one in found for kid in one.iterchildren(Z + step)]
    return found


def classic_attr(x: Any, name: str) -> str:
    """An attribute of Camunda 7's dialect or its relatives, `""` when none."""
    for ns in CLASSIC:
        value = x.get(ns + name)
        if value is not None:
            return str(value)
    return ""


def classic_ext(x: Any, *path: str) -> list[Any]:
    """Extension elements of Camunda 7's dialect or its relatives."""
    holder = _extensions(x)
    if holder is None:
        return []
    found = [holder]
    for step in path:
        tags = [ns + step for ns in CLASSIC]
        found = [kid for one in found for kid in one.iterchildren(*tags)]
    return found


def names_in(text: str) -> list[str]:
    """Of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]
