"""XML that somebody gave: no DOCTYPE, no entities, nothing fetched, within a size."""

from __future__ import annotations

from typing import Any

from lxml import etree

#: what a parser that goes on after errors says, and what is none: the name of a namespace need not be a URI to be well-formed, and what says that it is of
#: another version 1.x is read as 1.0 (XML 1.0, 2.8)
_HARMLESS = ("WAR_NS_URI", "WAR_UNKNOWN_VERSION")


class BadXml(Exception):
    """`code`: MODEL_TOO_LARGE, XML_NOT_WELL_FORMED or XML_DOCTYPE. `line`, `column`: where, 0: nowhere."""

    def __init__(self, code: str, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.code, self.message, self.line, self.column = code, message, line, column


def root_of(data: bytes, size_max: int) -> Any:
    """The root element, without comments and processing instructions. Raises: BadXml."""
    if len(data) > size_max:
        raise BadXml("MODEL_TOO_LARGE", f"expected at most {size_max} bytes, found {len(data)}")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, remove_comments=True, remove_pis=True,
        recover=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as e:
        line, column = e.position if e.position else (0, 0)
        raise BadXml("XML_NOT_WELL_FORMED", f"not well-formed XML: {e.msg}", line or 0, column or 0) from None
    except ValueError as e:
        raise BadXml("XML_NOT_WELL_FORMED", f"not well-formed XML: {e}") from None
    for wrong in parser.error_log:
        if wrong.type_name not in _HARMLESS:
            raise BadXml("XML_NOT_WELL_FORMED", f"not well-formed XML: {wrong.message}", wrong.line, wrong.column)
    if root is None:
        raise BadXml("XML_NOT_WELL_FORMED", "not well-formed XML: no element", 1, 1)
    if root.getroottree().docinfo.doctype:
        raise BadXml("XML_DOCTYPE", "a DOCTYPE is not allowed: BPMN and DMN never need one", 1, 1)
    return root
