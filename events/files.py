"""Files that are kept beside the ledger: the log has their name, size and hash alone (docs/files.md)."""

from __future__ import annotations

import hashlib
import re

#: how a file that this server keeps is named where any `uri` may stand
SCHEME = "stored:sha256/"
_HASH = re.compile(r"[0-9a-f]{64}")


def uri_of(sha256: str) -> str:
    return SCHEME + sha256


def hash_in(uri: object) -> str:
    """Of a file that is kept here; empty: it is kept elsewhere."""
    found = uri.removeprefix(SCHEME) if isinstance(uri, str) and uri.startswith(SCHEME) else ""
    return found if _HASH.fullmatch(found) else ""


def area(tenant: str) -> str:
    """Where a tenant's files stand: no two have one, and whatever it is called, it is the name of a folder."""
    return f"t-{hashlib.sha256(tenant.encode()).hexdigest()[:32]}" if tenant else "none"
