"""Records of `commands` that nobody could decide, and what became of them: table `dead_letters`."""

from __future__ import annotations

import base64
from typing import Any

from flowledger.events import ledger as le
from flowledger.events.commands import key_of_letter
from flowledger.projections.fold import Fold, View
from flowledger.projections.tables import Table

VERSION = 1
TABLE = Table(
    "dead_letters",
    {
        "tenant_id": "varchar(255)", "id": "bigint", "partition": "integer", "source": "varchar(40)", "message": "text", "command": "text",
        "encoding": "varchar(20)", "size": "integer", "kept": "integer", "sender": "integer", "workflow_instance_id": "bigint",
        "token_id": "bigint", "status": "varchar(20)", "created_at": "timestamptz", "closed_at": "timestamptz", "closed_by": "varchar(255)",
        "reason": "text", "replayed_as": "text", "replayed_to": "integer",
    },
    key=("id",),  # whoever closes it may be of another tenant: the operator, or the one whose letter is one too many
    keep=("created_at",),
)  # fmt: skip
NAME = TABLE.name


def readable(kept: bytes, size: int) -> tuple[str, str]:
    """(`command`, `encoding`): a text, and what is none in base64. The last character of a cut text may be incomplete, and is left out."""
    try:
        text = kept.decode()
    except UnicodeDecodeError as e:
        if size <= len(kept) or e.end < len(kept) or e.start < len(kept) - 3:
            return base64.b64encode(kept).decode(), "base64"
        text = kept[: e.start].decode()
    return (base64.b64encode(kept).decode(), "base64") if "\0" in text else (text, "text")


def lettered(f: Fold, e: le.DeadLettered) -> None:
    """Of one that was replayed in vain: open again, with what was tried."""
    key, (command, encoding) = key_of_letter(f.partition, e.source), readable(e.command, e.size)
    row: dict[str, Any] = {
        "tenant_id": f.tenant, "id": key, "partition": f.partition, "source": f"{f.partition}-{e.source}", "message": e.reason, "command": command,
        "encoding": encoding, "size": e.size if e.size >= 0 else None, "kept": len(e.command), "sender": e.sender if e.sender >= 0 else None,
        "workflow_instance_id": e.instance or None, "token_id": e.token or None, "status": "incident" if e.instance else "open",
        "created_at": f.now, "closed_at": None, "closed_by": "", "reason": "", "replayed_as": None, "replayed_to": None,
    }  # fmt: skip
    f.changes.upsert(NAME, key, row)


def _close(f: Fold, source: int, status: str, reason: str, **more: Any) -> None:
    key = key_of_letter(f.partition, source)
    f.changes.update(NAME, key, (key,), {"status": status, "closed_at": f.now, "closed_by": f.env.actor, "reason": reason, **more})


def replayed(f: Fold, e: le.DeadLetterReplayed) -> None:
    _close(f, e.source, "replayed", e.reason, replayed_as=readable(e.command, len(e.command))[0] or None, replayed_to=e.to)


def discarded(f: Fold, e: le.DeadLetterDiscarded) -> None:
    _close(f, e.source, "discarded", e.reason)


VIEW = View(
    "dead_letters",
    VERSION,
    "085_dead_letters.sql",
    (TABLE,),
    {le.DeadLettered: lettered, le.DeadLetterReplayed: replayed, le.DeadLetterDiscarded: discarded},
)
