"""Files that are attached to an instance or a task, by reference (docs/files.md). The bytes are no business of the ledger's: it has name, size and hash."""

from __future__ import annotations

from typing import Any

from flowledger.events import control as co
from flowledger.events import workflow as wf
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.decision import Decision
from flowledger.kernel.handlers.instances import not_found
from flowledger.kernel.values import shown

#: that one thing may have
FILES_MAX = 100
#: what is known of one
FIELDS = ("name", "uri", "media_type", "size", "sha256")


def changed(d: Decision, have: list[Any], file: dict[str, Any], remove: str | None, what: str) -> list[Any] | Rejected:
    """`have` with `file`, in the place of one of its name, or without the one named `remove`."""
    if remove:
        kept = [a for a in have if a.get("name") != remove]
        return kept if len(kept) < len(have) else not_found("an attachment", f"'{remove}'")
    for field in ("name", "uri"):
        if not isinstance(value := file.get(field), str) or not value:
            return Rejected(RejectionCode.INVALID_ARGUMENT, f"expected `{field}` as a text, found {shown(value)}")
    others = [a for a in have if a.get("name") != file["name"]]
    if len(others) >= FILES_MAX:
        return Rejected(RejectionCode.RESOURCE_EXHAUSTED, f"{what} has {len(others)} attachments, which is the most")
    return [*others, {**file, "by": d.envelope.actor, "at_us": d.facts.now_us}]


def change(d: Decision, e: co.ChangeFiles) -> Rejected | None:
    i = d.state.instances.get(e.key)
    if i is None:
        return not_found("a running instance with key", e.key)
    file = {k: v for k, v in (e.file or {}).items() if k in FIELDS}
    files = changed(d, list(i.files or ()), file, e.remove, f"instance {i.key}")
    if isinstance(files, Rejected):
        return files
    d.record(wf.WorkflowFilesChanged(key=i.key, name=e.remove or file["name"], files=files, reason=e.reason))
    d.answer = {"key": i.key, "files": len(files)}
    return None
