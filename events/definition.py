"""Definitions and resources: `definition.*`. Immutable by content hash."""

from __future__ import annotations

from flowledger.events.base import Event, Json


class DefinitionCreated(Event, frozen=True):
    """A version of a definition exists.

    `key` is its key; `id` the process, decision or form id; `kind` `process`, `decision`, `drg` or `form`; `hash` the SHA-256 of the resource;
    `resource` its file name; `deployment` the deployment's key; `content` the resource (only on partition 0, for the first
    definition of a resource); `status` draft or published.

    Of a process: `graph_hash` is what it does, whatever it is written in; `outline` tells readers of its activities (`kernel/elements/outline.py`).
    Of a requirements graph `outline` has `{"": {namespace}}`, and of it and its decisions what they import: `{"": {imports: {namespace: {key, id, version}}}}`.
    `validation`: what its check found (only on partition 0): `{valid, errors, warnings, infos, findings}`.
    """

    id: str
    kind: str
    version: int
    hash: str
    name: str = ""
    version_tag: str = ""
    resource: str = ""
    format: str = "bpmn"
    deployment: int = 0
    status: str = "published"
    content: str = ""
    metadata: Json = None
    graph_hash: str = ""
    outline: Json = None
    validation: Json = None


class DefinitionStatusChanged(Event, frozen=True):
    """validated, published, deprecated, archived, draft, deleting: a move of the life cycle. Base of nothing; the wire name is `definition.status_changed`."""

    status: str
    reason: str = ""


class DefinitionUpdated(Event, frozen=True):
    """A draft was edited. `graph_hash`, `outline` and `validation` are those of `DefinitionCreated`, of the new content."""

    hash: str
    name: str = ""
    content: str = ""
    metadata: Json = None
    graph_hash: str = ""
    outline: Json = None
    validation: Json = None
    reason: str = ""


class RolloutChanged(Event, frozen=True):
    """Which version of `id` new work is for, from now: the whole of it, versions by their keys.

    `default_key`: pinned as the default (0: the newest is meant); `ramp_key`: gets `share` hundredths of a percent of new root starts by id;
    `stopped_keys`: versions whose new starts are stopped. `key`: the version that it was about. Partition 0 decides, the others hear of it.
    """

    kind: str
    id: str
    default_key: int = 0
    ramp_key: int = 0
    share: int = 0
    stopped_keys: list[int] = []
    reason: str = ""


class EpochReached(Event, frozen=True):
    """All changes of definitions up to `epoch` are known on this partition. Partition 0, where they are changed, counts; the others hear of it."""

    epoch: int


class DefinitionDeleted(Event, frozen=True):
    """Hidden; its events stay."""

    reason: str = ""
