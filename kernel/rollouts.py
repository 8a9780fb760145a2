"""Which version of a definition is meant where none is named: the newest that is published, unless a rollout says otherwise. Pure.

A rollout (`RolloutChanged`) pins a default, gives a share of new root starts by id to another version, and stops new starts of versions. Rules:

- A version is open when it is published and its starts aren't stopped.
- The version in force is the newest open one; with a pinned default the newest open one that is not newer than it. So what follows from a stopped or
  deprecated default is older, never something that nobody has chosen. Only when the pinned one is deleted and nothing older is left it pins nothing.
- It is meant by whoever binds to the latest: start by id, start events, call activities, decisions, forms.
- The share is for new root starts by id alone, and goes by a hash of the business key, else of the caller's id, else of the instance's key: the same
  key is always on the same side, and when the share grows those that were on the new version stay there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from typing import Any

from flowledger.events import commands as c
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel.state import Definition, Partition, Rollout

#: of a share: hundredths of a percent
ALL = 10_000


def of(p: Partition, tenant: str, kind: str, id: str) -> Rollout | None:
    return p.rollouts.get((tenant, kind, id))


def is_open(p: Partition, r: Rollout, key: int) -> bool:
    d = p.definitions.get(key)
    return d is not None and d.status == "published" and not d.deleted and key not in r.stopped


def in_force(p: Partition, r: Rollout, versions: Mapping[int, int], but: int = 0) -> Definition | None:
    """`versions`: version -> key of all that there are. `but`: a key that doesn't count."""
    pinned = p.definitions.get(r.default)
    if pinned is not None and r.default != but and is_open(p, r, r.default):  # nearly always
        return pinned
    found = newest_allowed(
        {v for v, key in versions.items() if key != but and is_open(p, r, key)},
        pinned.version if pinned is not None else None, gone=pinned is not None and pinned.deleted,
    )  # fmt: skip
    return p.definitions[versions[found]] if found is not None else None


def newest_allowed(opened: Set[int], pinned: int | None, gone: bool) -> int | None:
    """Of open versions, by number. `gone`: the pinned one is deleted."""
    if pinned is not None and ((allowed := [v for v in opened if v <= pinned]) or not gone):
        return max(allowed, default=None)
    return max(opened, default=None)


def bucket(id: str, version: int, who: str) -> int:
    """0 to 9,999, evenly; a key is on the new version when this is below the share. Source: SHA-256 of `id`, version and key, its first 8 bytes."""
    digest = hashlib.sha256(f"{id}\0{version}\0{who}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % ALL


def chosen(p: Partition, r: Rollout, versions: Mapping[int, int], who: str) -> Definition | None:
    """For a new root start by id."""
    if r.ramp and is_open(p, r, r.ramp):
        ramp = p.definitions[r.ramp]
        if bucket(r.id, ramp.version, who) < r.share:
            return ramp
    return in_force(p, r, versions)


def at_start(p: Partition, s: c.StartInstance, found: Definition, who: str) -> Definition | Rejected:
    """`found`: as if there were no rollout. What a caller has begun already (a called instance) isn't stopped."""
    r = of(p, found.tenant, found.kind, found.id)
    if r is None:
        return found
    if s.definition or s.version or s.version_tag:
        return found if s.parent or found.key not in r.stopped else stopped(found)
    meant = chosen(p, r, p.process_versions[found.tenant, found.kind, found.id], who)
    return meant if meant is not None else none_open(p, r)


def is_stopped(p: Partition, d: Definition) -> bool:
    r = of(p, d.tenant, d.kind, d.id) if p.rollouts else None
    return r is not None and d.key in r.stopped


def stopped(found: Definition) -> Rejected:
    return Rejected(RejectionCode.INVALID_STATE, f"new starts of '{found.id}' version {found.version} are stopped by its rollout")


def none_open(p: Partition, r: Rollout) -> Rejected:
    return Rejected(RejectionCode.INVALID_STATE, f"new starts of '{r.id}' are stopped by its rollout: {why_none(p, r)}")


def why_none(p: Partition, r: Rollout) -> str:
    pinned = p.definitions.get(r.default)
    if pinned is not None and pinned.key not in r.stopped and pinned.status != "published":
        return f"the default is version {pinned.version}, which is {pinned.status}, and no older one is open"
    return "no version is open"


def view(p: Partition, r: Rollout) -> dict[str, Any]:
    """As answers tell it, by numbers of versions: `default` is in force (None: nothing), `pinned` the one that was chosen (None: the newest is meant)."""

    def version(key: int) -> int | None:
        d = p.definitions.get(key)
        return d.version if d is not None and not d.deleted else None

    now = in_force(p, r, p.process_versions.get(r.name) or {})
    ramp = version(r.ramp)
    return {
        "default": now.version if now is not None else None, "pinned": version(r.default),
        "ramp": {"version": ramp, "share": r.share / 100} if ramp is not None else None,
        "stopped": sorted(v for key in r.stopped if (v := version(key)) is not None),
    }  # fmt: skip
