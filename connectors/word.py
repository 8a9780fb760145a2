"""Word documents (.docx) from a template of the model: `{{ FEEL }}` in texts, tables, headers and footers. Nothing of a template is code: values go in as text.

A paragraph or a row of a table that begins with `{{ for NAME in FEEL }}` stands once for each element of the list.
"""

from __future__ import annotations

import base64
import binascii
import copy
import io
import re
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from flowledger.connectors import results
from flowledger.connectors.frame import Failed
from flowledger.connectors.reach import lacking
from flowledger.connectors.templated import shown

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
#: characters of a template as base64; parts of its archive, and bytes of them all, unpacked; places that are filled in all
BASE64_CHARS_MAX, PARTS_MAX, BYTES_MAX, PLACES_MAX = 1_400_000, 500, 16 * 1024 * 1024, 100_000
#: bytes of all that is repeated, with its looks, each time it stands there, unpacked
REPEATED_MAX = 4 * BYTES_MAX
#: templates that are kept
KEPT_MAX = 20
_SPOT = re.compile(r"\{\{(.+?)\}\}", re.DOTALL)
_EACH = re.compile(r"^\s*\{\{\s*for\s+([A-Za-z_]\w*)\s+in\s+((?:(?!\}\}|\breturn\b).)+)\}\}", re.DOTALL)
#: of the same moment always: the same data make the same bytes, so that a second delivery is the same file
_MOMENT = (1980, 1, 1, 0, 0, 0)


@lru_cache(maxsize=KEPT_MAX)
def template(text: str) -> bytes:
    """A template as base64, looked at: what it is, and whether its expressions are FEEL. Raises: ValueError."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("expected base64 of a .docx file") from None
    _looked(data)
    try:
        document = _open(data)
    except Failed:
        return data  # told at the call: what is needed to read it isn't here
    places = 0
    for block in _blocks(document):
        for spot in _SPOT.findall(_text(block)):
            places += 1
            each = _EACH.match(f"{{{{{spot}}}}}")
            try:
                results.compiled((each[2] if each else spot).strip(), f"{{{{{spot.strip()[:60]}}}}}")
            except Failed as e:
                raise ValueError(e.message) from None
    if places > PLACES_MAX:
        raise ValueError(f"expected at most {PLACES_MAX} places to fill, found {places}")
    return data


def _looked(data: bytes) -> None:
    """Before anything is unpacked. Raises: ValueError."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise ValueError("expected a .docx file, found something else") from None
    if len(parts) > PARTS_MAX or sum(part.file_size for part in parts) > BYTES_MAX:
        raise ValueError(f"expected a document of at most {PARTS_MAX} parts and {BYTES_MAX} bytes, unpacked")
    if any(part.filename.lower().endswith("vbaproject.bin") for part in parts):
        raise ValueError("expected a document without macros")


def _open(data: bytes) -> Any:
    """Raises: ValueError, Failed."""
    try:
        import docx
    except ImportError:
        raise lacking("python-docx") from None
    try:
        return docx.Document(io.BytesIO(data))
    except Exception as e:  # noqa: BLE001 - what is broken in a document comes out of the library in many ways
        raise ValueError(f"expected a .docx file that can be read: {type(e).__name__}") from None


def filled(text: str, data: dict[str, Any], most: int) -> bytes:
    """Of at most `most` bytes. Raises: Failed."""
    try:
        document = _open(template(text))
    except ValueError as e:
        raise Failed("CONFIGURATION", f"docx: {e}") from None
    room = _Room(most)
    for root in _roots(document):
        _repeated(root, data, room)
    out = io.BytesIO()
    document.save(out)
    made = _still(out.getvalue())
    if len(made) > most:
        raise room.full()
    return made


class _Room:
    """How much may still be written: a list in the data can't make a document of any size."""

    def __init__(self, most: int) -> None:
        self._most, self._left, self._places, self._repeated = most, most, PLACES_MAX, REPEATED_MAX

    def repeat(self, size: int) -> None:
        """`size`: of the whole element: its looks may be much more than its text, and hardly any when packed."""
        self._repeated -= size
        if self._repeated < 0:
            raise Failed("DOCUMENT_TOO_LARGE", f"expected at most {REPEATED_MAX} bytes of repeated paragraphs and rows, unpacked")

    def take(self, size: int) -> None:
        self._left -= size
        self._places -= 1
        if self._left < 0:
            raise self.full()
        if self._places < 0:
            raise Failed("DOCUMENT_TOO_LARGE", f"expected at most {PLACES_MAX} places to fill, the repeated ones included")

    def full(self) -> Failed:
        return Failed("DOCUMENT_TOO_LARGE", f"expected a document of at most {self._most} bytes, found more")


def _roots(document: Any) -> list[Any]:
    """Elements that have paragraphs and tables: the body, headers, footers."""
    found = [document.element.body]
    for section in document.sections:
        for part in (
            section.header, section.footer, section.first_page_header, section.first_page_footer, section.even_page_header, section.even_page_footer,
        ):  # fmt: skip
            if not part.is_linked_to_previous:
                found.append(part._element)
    return found


def _blocks(document: Any) -> Iterator[Any]:
    for root in _roots(document):
        yield from root.iter(_name("p"))


def _name(tag: str) -> str:
    from docx.oxml.ns import qn

    return str(qn(f"w:{tag}"))


def _texts(element: Any) -> Iterator[Any]:
    """The pieces of text of an element; what stands in a box of text is the box's own."""
    for child in element:
        if child.tag == _name("t"):
            yield child
        elif child.tag != _name("txbxContent"):
            yield from _texts(child)


def _xml(element: Any) -> bytes:
    from lxml import etree

    found: bytes = etree.tostring(element)
    return found


def _text(element: Any) -> str:
    return "".join(t.text or "" for t in _texts(element))


def _repeated(root: Any, data: dict[str, Any], room: _Room) -> None:
    """Fills all below an element, in the order of the document; what is repeated sees its element beside the data."""
    paragraph, row = _name("p"), _name("tr")
    for child in list(root):
        if child.tag in (paragraph, row) and (each := _EACH.match(_text(child))) is not None:
            found = results.evaluated(each[2].strip(), each[0][:80], data)
            if not isinstance(found, list):
                raise Failed("RESULT", f"{each[0].strip()[:80]}: expected a list")
            _cut(child, 0, each.end(), "")
            size = len(_xml(child))
            for value in found:
                room.repeat(size)
                made = copy.deepcopy(child)
                child.addprevious(made)
                room.take(len(_text(made)))
                _each(made, {**data, each[1]: value}, room)
            root.remove(child)
        else:
            _each(child, data, room)


def _each(element: Any, data: dict[str, Any], room: _Room) -> None:
    if element.tag != _name("p"):
        _repeated(element, data, room)
        return
    # from the last to the first: places before it stay where they are
    for spot in reversed(list(_SPOT.finditer(_text(element)))):
        value = shown(results.evaluated(spot[1].strip(), spot[0][:80], data))
        room.take(len(value))
        _cut(element, spot.start(), spot.end(), value)
    for inner in list(element.iter(_name("txbxContent"))):  # boxes of text stand within a paragraph
        _repeated(inner, data, room)


def _cut(element: Any, start: int, end: int, value: str) -> None:
    """Puts a value in the place of some letters, which may stand in several runs: it looks as the first of them does."""
    at = 0
    put = False
    for text in list(_texts(element)):
        old = text.text or ""
        low, high = max(start - at, 0), min(end - at, len(old))
        at += len(old)
        if low >= high:
            continue
        _write(text, old[:low], "" if put else value, old[high:])
        put = True


def _write(text: Any, before: str, value: str, after: str) -> None:
    """Lines of a value as breaks, its tabs as tabs."""
    pieces = re.split(r"(\n|\t)", before + _plain(value) + after)
    _set(text, pieces[0])
    last = text
    for piece in pieces[1:]:
        if piece == "":
            continue
        made = text.makeelement(_name({"\n": "br", "\t": "tab"}.get(piece, "t")))
        if piece not in ("\n", "\t"):
            _set(made, piece)
        last.addnext(made)
        last = made


def _set(text: Any, value: str) -> None:
    text.text = value
    text.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")


def _plain(value: str) -> str:
    """As XML 1.0 can have it."""
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        ch if ch in "\n\t" or (ch >= " " and ch not in "\ufffe\uffff" and not "\ud800" <= ch <= "\udfff") else "\ufffd" for ch in value
    )


def _still(data: bytes) -> bytes:
    """The same archive with one moment in all its parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(zipfile.ZipInfo(part.filename, _MOMENT), old.read(part), zipfile.ZIP_DEFLATED)
    return out.getvalue()
