"""Optimistic locking over HTTP: `ETag` on what is read, `If-Match` on what is changed (RFC 9110, 8.8.3 and 13.1.1)."""

from __future__ import annotations

import re
from typing import Any

from flowledger.api.problems import Problem, malformed
from flowledger.events.base import RejectionCode

#: the tag, or the number in it
_TAG = re.compile(r'(?:W/)?"([0-9]{1,18})"|([0-9]{1,18})')


def etag(row: dict[str, Any]) -> dict[str, str]:
    """Headers for a reply with this row: its `row_version` as a strong tag; none when it has none."""
    version = row.get("row_version")
    return {"ETag": f'"{version}"'} if isinstance(version, int) else {}


def expected(connection: Any, body: int | None = None) -> int | None:
    """The `row_version` that the caller saw: `If-Match`, or the body's. None: whatever it is (`*`, or nothing said).

    Raises: Problem (400) when the header is no tag of ours, (422) when it says something else than the body.
    """
    given = connection.headers.get("if-match", "*").strip()
    if given == "*":
        return body
    match = _TAG.fullmatch(given)
    if match is None:
        raise malformed(f'expected one tag as an ETag gives it, like "3", or *, found {given[:100]!r}', "header If-Match")
    version = int(match[1] or match[2])
    if body is not None and body != version:
        raise Problem(
            RejectionCode.INVALID_ARGUMENT, f"If-Match says {version}, row_version {body}: expected the same", where="header If-Match"
        )
    return version


def demanded(connection: Any) -> bool:
    """The caller's header, and not only its body, names a version."""
    return bool(connection.headers.get("if-match", "*").strip() != "*")
