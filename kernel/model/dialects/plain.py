"""Expressions of plain BPMN files that are not FEEL as such: XPath's access to data objects, and DMN boxed literals as text.

Source: BPMN 2.0.2, chapter 10.4.3 (`getDataObject`); DMN 1.x `literalExpression`, as some modelers write into transformations.
"""

from __future__ import annotations

import re

from flowledger.kernel.markup import BadXml
from flowledger.kernel.model import xml as x

_DATA = re.compile(r"(?:[\w-]+:)?get(?:DataObject|DataInput|DataOutput|ProcessProperty|ActivityProperty)\(\s*'(\w+)'\s*\)")
_QUOTED = re.compile(r"'([^'\"]*)'")


def to_feel(text: str) -> str:
    """The FEEL of such a text; other texts as they are."""
    if text.startswith("<") and "literalExpression" in text:
        try:
            root = x.parse(text.encode())
        except BadXml:
            return text
        found = next((e for e in root.iter() if x.local(e) == "text"), None)
        return x.text_of(found) if found is not None else text
    if "getData" in text or "Property(" in text:
        translated, count = _DATA.subn(r"\1", text)
        if count:
            return _QUOTED.sub(r'"\1"', translated)
    return text
