"""What can be deployed, as resources of the API: files, texts, bytes, flows, and pairs of a name and one of these."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any

_DECLARED = re.compile(r"""^(<\?xml[^>]*?)\s+encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def resource_of(item: Any) -> dict[str, str]:
    """`{name, content}`.

    Raises: TypeError (nothing that can be deployed), OSError (a file that can't be read), UnicodeDecodeError.
    """
    if isinstance(item, tuple):
        if len(item) != 2 or not isinstance(item[0], str):
            raise TypeError(f"a pair of a file name and a content was expected, found {item!r}")
        name, content = item
        return {"name": name, "content": _text(content)}
    if isinstance(item, Path) or (isinstance(item, str) and not item.lstrip().startswith(("<", "{"))):
        path = Path(item)
        return {"name": path.name, "content": text_of(path.read_bytes())}
    content = _text(item)
    id = getattr(item, "id", "") or "model"
    return {"name": f"{id}{_suffix(content)}", "content": content}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, Path):
        return text_of(content.read_bytes())
    if isinstance(content, bytes | bytearray | memoryview):
        return text_of(bytes(content))
    if callable(xml := getattr(content, "xml", None)):
        return text_of(xml())
    raise TypeError(f"a path, bytes, a text, a Flow or a pair (name, content) was expected, found {type(content).__name__}")


def text_of(data: bytes) -> str:
    """A file's text, by its byte order mark or its XML declaration; else it is UTF-8. The declaration then says UTF-8."""
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            text = data.decode(encoding)
            break
    else:
        declared = _DECLARED.match(data[:200].decode("latin-1"))
        text = data.decode(declared[2] if declared else "utf-8")
    return _DECLARED.sub(r'\1 encoding="UTF-8"', text, count=1)


def _suffix(content: str) -> str:
    head = content[:4000]
    if not head.lstrip().startswith("<"):
        return ".json" if head.lstrip().startswith("{") else ".yaml"
    return ".dmn" if "/DMN/" in head else ".bpmn"
