"""What incidents have in common: their cause, which is their text without what differs from one to the next. Pure.

Two incidents are of one group when process, element, code and cause are the same, whatever version they happened in, and whenever.
"""

from __future__ import annotations

import re
from hashlib import blake2b

#: characters of a message that are looked at, and of the cause
LOOKED_AT_MAX, CAUSE_MAX = 2_000, 300
_QUOTED = re.compile(r"(?<!\w)'[^'\n]*'(?!\w)|\"[^\"\n]*\"|`[^`\n]*`|«[^»\n]*»|“[^”\n]*”")
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
#: ids of machines: long, of letters and digits
_ID = re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])\w{16,}\b|\b(?:0x)?(?=[0-9a-f]*\d)[0-9a-f]{8,}\b", re.IGNORECASE)
#: also times, dates, amounts and addresses: numbers with marks between them
_NUMBER = re.compile(r"[+-]?\d+(?:[.,:/T-]+\d+)*Z?")
_BLANKS = re.compile(r"\s+")


def cause_of(message: str) -> str:
    """The text with `…` for what is quoted and `#` for numbers and ids."""
    text = message[:LOOKED_AT_MAX]
    text = _QUOTED.sub("'…'", text)
    for pattern in (_UUID, _ID, _NUMBER):
        text = pattern.sub("#", text)
    return _BLANKS.sub(" ", text).strip()[:CAUSE_MAX]


def group_of(process: str, element: str, code: str, cause: str) -> str:
    """The id of a group: the same on any machine."""
    h = blake2b(digest_size=12)
    for part in (process, element, code, cause):
        raw = part.encode("utf-8", "replace")
        h.update(len(raw).to_bytes(4, "big") + raw)
    return h.hexdigest()
