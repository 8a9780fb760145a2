"""The shared document of a draft: a Yjs map of entries (`flat.py`), and what comes into it from outside."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc, Map

from flowledger.api.together import flat
from flowledger.kernel.markup import BadXml

#: name of the shared table
TABLE = "bpmn"


def document(state: bytes | None = None) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    doc.get(TABLE, type=Map)
    if state:
        doc.apply_update(state)
    return doc


def table(doc: Doc[Any]) -> Map[Any]:
    found: Map[Any] = doc.get(TABLE, type=Map)
    return found


def values(doc: Doc[Any]) -> dict[str, Any]:
    return dict(table(doc).to_py() or {})


def put(doc: Doc[Any], changes: dict[str, Any]) -> None:
    """None deletes."""
    of = table(doc)
    with doc.transaction():
        for entry, value in changes.items():
            if value is not None:
                of[entry] = value
            elif entry in of:
                del of[entry]


def seeded(content: str, kind: str) -> bytes:
    """The shared document of a text. Raises: NotDrawn, BadXml."""
    doc, fields = document(), flat.read(content)
    if flat.kind(fields) != kind:
        raise flat.NotDrawn(f"a {kind} was expected, a {flat.kind(fields)} was found")
    put(doc, flat.entries(fields))
    return doc.get_update()


def merged(state: bytes, before: str, now: str) -> bytes | None:
    """A text that was saved as a whole, brought into the document: what differs from the text that it was made of. None: it is no drawing any more."""
    try:
        old, new = flat.read(before), flat.read(now)
    except (flat.NotDrawn, BadXml):
        return None
    doc = document(state)
    put(doc, flat.changes(old, new, flat.fields(values(doc))))
    return doc.get_update()
