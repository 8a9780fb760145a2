"""Answers: definitions, deployments, decisions."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.api.answers.common import Done, Finding, Json, Key, Time


class Definition(msgspec.Struct, kw_only=True):
    """A version of a process, a decision, a requirements graph or a form. `id` (the same as `key`) is what `/definitions/{id}` takes;
    `definition_id` is its id in the model, which all versions share; `process` is the same where it is a process."""

    id: Key
    key: Key
    definition_id: str
    kind: str
    version: int
    process: str | None = None
    name: str | None = None
    status: str | None = None
    version_tag: str | None = None
    resource: str | None = None
    format: str | None = None
    deployment: str | None = None


class Version(msgspec.Struct, kw_only=True):
    id: Key
    key: Key
    version: int
    status: str
    version_tag: str | None = None
    created_at: str | None = None


class ImportedModel(msgspec.Struct, kw_only=True):
    """A requirements graph that a decision model was bound to when it was deployed."""

    namespace: str
    id: Key
    key: Key
    definition_id: str
    version: int


class DefinitionDetail(Definition, kw_only=True):
    """With all its versions, the newest first."""

    description: str | None = None
    content_hash: str | None = None
    #: of what the process does, whatever it is written in; null: no process, or deployed by a release that did not make it
    graph_hash: str | None = None
    notation: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    created_by: str | None = None
    deleted_at: str | None = None
    validation_result: Any = None
    #: of a decision or a requirements graph: what its file imports
    imports: list[ImportedModel] = []
    metadata: Any = None
    #: that of its metadata, else how many ways lead through the process; null: no process, or deployed by a release that did not count them
    complexity_score: float | None = None
    versions: list[Version] = []
    position: str | None = None


class Waiting(msgspec.Struct, kw_only=True):
    """`element` null: they wait for a message, a signal or a condition, or are about to go on."""

    element: str | None
    instances: int


class Drain(msgspec.Struct, kw_only=True):
    """`status`: in_service (it gets new starts by id), draining (none of them, and `open` instances still run), drained. `oldest`: when the oldest of those
    began; `waiting`: where the oldest 1,000 wait."""

    status: str
    open: int
    oldest: str | None = None
    waiting: list[Waiting] = []


class Share(msgspec.Struct, kw_only=True):
    """`share`: percent."""

    version: int
    share: float


class InService(Version, kw_only=True):
    """A version: `share` percent of new root starts by id go to it; `stopped`: it gets no new starts at all. `instances`: how many in each status."""

    content_hash: str
    resource: str
    default: bool
    share: float
    stopped: bool
    instances: dict[str, int] = {}
    incidents: int = 0
    #: null where it was not asked for
    drain: Drain | None = None


class Versions(msgspec.Struct, kw_only=True):
    """`default`: the version that is meant where none is named, null: none is open. `pinned`: the one that was chosen as the default, null: the newest open
    one is. `ramp`: who gets a share. The rollout's last change stands beside."""

    definition_id: str
    kind: str
    default: int | None = None
    pinned: int | None = None
    ramp: Share | None = None
    changed_at: str | None = None
    changed_by: str | None = None
    reason: str | None = None
    items: list[InService] = []
    position: str | None = None


class RolledOut(Done, kw_only=True):
    """How it is now, and was `before`. `changed`: false where it was so already. `epoch` and `waiting` are as in `Deployment`."""

    definition_id: str
    kind: str
    changed: bool
    default: int | None = None
    pinned: int | None = None
    ramp: Share | None = None
    stopped: list[int] = []
    before: Json
    warnings: list[str] = []
    epoch: int = 0
    waiting: list[int] = []


class Deployed(Definition, kw_only=True):
    """`duplicate`: the same content was there already, nothing is new."""

    duplicate: bool = False


class WithModels(msgspec.Struct, kw_only=True):
    name: str
    version: int


class Deployment(msgspec.Struct, kw_only=True):
    deployment: str | None = None
    definitions: list[Deployed] = []
    #: warnings and hints of the models
    findings: list[Finding] = []
    #: API profiles that went with the models, with their versions
    profiles: list[WithModels] = []
    position: str | None = None
    #: of definitions: all partitions know of this change and all before, but for those that wait
    epoch: int = 0
    #: partitions that have not heard of it yet, and will when they are back
    waiting: list[int] = []


class Moved(Done, kw_only=True):
    """A definition after a move. `epoch` and `waiting` are as in `Deployment`."""

    findings: list[Finding] = []
    epoch: int = 0
    waiting: list[int] = []


class Diff(msgspec.Struct, kw_only=True):
    """`from` and `to` are keys; `text` is a unified difference."""

    from_: str = msgspec.field(name="from")
    to: str
    added: list[Json]
    removed: list[Json]
    changed: list[Json]
    changes: list[Any]
    text: str


class MappingRow(msgspec.Struct, kw_only=True):
    """`by`: id, name or place (empty: nothing was found). `note`: what doesn't fit."""

    from_: str = msgspec.field(name="from")
    to: str
    kind: str
    name: str = ""
    by: str = ""
    note: str = ""


class MigrationPlan(msgspec.Struct, kw_only=True):
    """`mapping`: what a migration takes. `rows`: each element, and each flow into a join, with how it was found."""

    from_: Key = msgspec.field(name="from")
    to: Key
    mapping: dict[str, str]
    rows: list[MappingRow] = []


class Decision(msgspec.Struct, kw_only=True):
    """`trace`: which rules fired (of deployed decisions)."""

    output: Any = None
    decision: str | None = None
    trace: Any = None
    position: str | None = None


class RuleCoverage(msgspec.Struct, kw_only=True):
    """`index`: from 1, as in the table; `share`: of the table's evaluations. `inputs`, `outputs`: what it says, as written."""

    index: int
    id: str
    fired: int
    share: float
    last_at: Time | None = None
    inputs: list[str]
    outputs: list[str]
    annotations: list[str]


class TableCoverage(msgspec.Struct, kw_only=True):
    """`decision`: the id of the decision or knowledge model whose table it is; `without`: evaluations in which no rule fired."""

    decision: str
    name: str
    id: str
    hit_policy: str
    evaluated: int
    without: int
    rules: list[RuleCoverage]


class Coverage(msgspec.Struct, kw_only=True):
    """`evaluations`: those looked through, of all decisions of the file, from `oldest_at` to `newest_at`; `complete`: there are no older ones in the time.
    `rules`: how many the file has; `never`: how many of them never fired. `version`: whose rules these are; `versions`: whose evaluations are counted."""

    decision: str
    key: Key
    version: int
    versions: list[int]
    name: str
    evaluations: int
    oldest_at: Time | None = None
    newest_at: Time | None = None
    complete: bool
    rules: int
    never: int
    tables: list[TableCoverage]
    position: str | None = None


class Conditions(msgspec.Struct, kw_only=True):
    """`instances`: keys of those that were started."""

    instances: list[Key]
    position: str | None = None
