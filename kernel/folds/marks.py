"""Which variables are protected in a tenant: an index of what its definitions say."""

from __future__ import annotations

from typing import Any

from flowledger.events import definition as de
from flowledger.kernel.expressions import feel_expression
from flowledger.kernel.marks import Names
from flowledger.kernel.state import Partition
from flowledger.kernel.undo import put


def whole(e: de.DefinitionCreated | de.DefinitionUpdated) -> dict[str, Any]:
    """What the outline says of the definition itself."""
    found = e.outline.get("") if isinstance(e.outline, dict) else None
    return found if isinstance(found, dict) else {}


def told(e: de.DefinitionCreated | de.DefinitionUpdated) -> dict[str, Any] | None:
    """A definition without an outline protects nothing."""
    return whole(e).get("protect")


def bound(e: de.DefinitionCreated | de.DefinitionUpdated) -> dict[str, int] | None:
    """Keys of the decision models that it imports, by namespace."""
    imports = whole(e).get("imports")
    return {namespace: one["key"] for namespace, one in imports.items()} if isinstance(imports, dict) else None


def defined(p: Partition, tenant: str) -> None:
    """The definitions of a tenant have changed. A name stays protected when its model is deleted: its values are still there."""
    names = Names()
    for d in sorted(p.definitions.values(), key=lambda d: d.key):
        if d.tenant == tenant and d.protect:
            for name, cls in (d.protect.get("names") or {}).items():
                names.add(name, cls)
            if (text := d.protect.get("subject")) and not d.deleted:
                names.subjects.append((d.id, feel_expression(text)))
    names.subjects.reverse()  # the newest version of a process first
    put(p, p.protection, tenant, names)


def rebuild(p: Partition) -> None:
    for tenant in sorted({d.tenant for d in p.definitions.values() if d.protect}):
        defined(p, tenant)
