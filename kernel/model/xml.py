"""Reading XML safely: no DOCTYPE, no entities, no network, a cap on size; and helpers for BPMN's namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree

from flowledger.kernel import limits

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


class BadXml(Exception):
    """Not a document that may be read. `code`, `line` and `column` say why and where."""

    def __init__(self, code: str, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.code, self.message, self.line, self.column = code, message, line, column


def parse(data: bytes, size_max: int = limits.MODEL_BYTES_MAX) -> Any:
    """The root element. Raises: BadXml (too large, not well-formed, has a DOCTYPE)."""
    if len(data) > size_max:
        raise BadXml("MODEL_TOO_LARGE", f"expected at most {size_max} bytes, found {len(data)}")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as e:
        line, column = e.position if e.position else (0, 0)
        raise BadXml("XML_NOT_WELL_FORMED", f"not well-formed XML: {e.msg}", line or 0, column or 0) from None
    except ValueError as e:
        raise BadXml("XML_NOT_WELL_FORMED", f"not well-formed XML: {e}") from None
    if root.getroottree().docinfo.doctype:
        raise BadXml("XML_DOCTYPE", "a DOCTYPE is not allowed: BPMN and DMN never need one", 1, 1)
    return root


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
    return x.find(B + name)


def text_of(x: Any) -> str:
    """All text below, stripped."""
    return "".join(x.itertext()).strip() if x is not None else ""


def ext(x: Any, name: str) -> Any:
    """The first `zeebe:name` among the extension elements, or None."""
    holder = x.find(B + "extensionElements")
    return holder.find(Z + name) if holder is not None else None


def ext_all(x: Any, *path: str) -> list[Any]:
    """All `zeebe:a/zeebe:b` among the extension elements."""
    holder = x.find(B + "extensionElements")
    if holder is None or holder.find(Z + path[0]) is None:
        return []
    return list(holder.findall("/".join(Z + p for p in path)))


def classic_attr(x: Any, name: str) -> str:
    """An attribute of Camunda 7's dialect or its relatives, `""` when none."""
    for ns in CLASSIC:
        value = x.get(ns + name)
        if value is not None:
            return str(value)
    return ""


def classic_ext(x: Any, *path: str) -> list[Any]:
    """Extension elements of Camunda 7's dialect or its relatives."""
    holder = x.find(B + "extensionElements")
    if holder is None:
        return []
    if not any(isinstance(kid.tag, str) and kid.tag.startswith(CLASSIC) for kid in holder):
        return []
    return [found for ns in CLASSIC for found in holder.findall("/".join(ns + p for p in path))]
