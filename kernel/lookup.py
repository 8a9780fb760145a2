"""Finding definitions by id, version, tag or binding."""

from __future__ import annotations

from typing import Any

from flowledger.kernel import rollouts
from flowledger.kernel.state import Definition, Instance, Partition


def holder(p: Partition, key: int) -> Instance | None:
    """An instance by its own key, or by that of one of its tokens; the latter looks through all of them."""
    found = p.instances.get(key)
    return found if found is not None else next((i for i in p.instances.values() if key in i.tokens), None)


def latest(p: Partition, tenant: str, kind: str, id: str) -> Definition | None:
    """The version that is in force: the newest published one, unless a rollout says otherwise."""
    if p.rollouts and (r := rollouts.of(p, tenant, kind, id)) is not None:
        return rollouts.in_force(p, r, p.process_versions.get(r.name) or {})
    return newest(p, tenant, kind, id)


def newest(p: Partition, tenant: str, kind: str, id: str) -> Definition | None:
    """The newest published version."""
    versions = p.process_versions.get((tenant, kind, id))
    if not versions:
        return None
    d = p.definitions[versions[max(versions)]]
    if d.status == "published" and not d.deleted:
        return d
    for version in sorted(versions, reverse=True):
        d = p.definitions[versions[version]]
        if d.status == "published" and not d.deleted:
            return d
    return None


def of_version(p: Partition, tenant: str, kind: str, id: str, version: int) -> Definition | None:
    versions = p.process_versions.get((tenant, kind, id)) or {}
    key = versions.get(version)
    return p.definitions.get(key) if key is not None else None


def of_tag(p: Partition, tenant: str, kind: str, id: str, tag: str) -> Definition | None:
    """The newest with this version tag."""
    versions = p.process_versions.get((tenant, kind, id)) or {}
    for version in sorted(versions, reverse=True):
        d = p.definitions[versions[version]]
        if d.version_tag == tag and not d.deleted:
            return d
    return None


def bound(p: Partition, i: Instance, kind: str, id: str, binding: str, tag: str) -> Definition | None:
    """What a call activity or business rule task means: latest, of the same deployment, or of a version tag."""
    if binding == "deployment":
        own = p.definitions.get(i.definition)
        if own is not None:
            for key in (p.process_versions.get((i.tenant, kind, id)) or {}).values():
                if p.definitions[key].deployment == own.deployment:
                    return p.definitions[key]
        return None
    if binding == "versionTag":
        return of_tag(p, i.tenant, kind, id, tag)
    return latest(p, i.tenant, kind, id)


def fields(d: Definition) -> dict[str, Any]:
    """A definition as an answer: JSON keys of `DefinitionCreated` without content."""
    return {
        name: getattr(d, name)
        for name in ("key", "id", "kind", "version", "hash", "name", "version_tag", "resource", "format", "deployment", "status")
    }
