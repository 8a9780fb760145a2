"""Commands of control: what operators ask of instances that run, and of many things at once; and what partitions tell each other of that
(docs/decisions/0009). They are part of `events/commands.py`, whose words they share."""

from __future__ import annotations

from typing import Any

import msgspec

from flowledger.events.base import Command


class Proof(msgspec.Struct, frozen=True, omit_defaults=True):
    """That a person has just shown their passkey for exactly this request. Whoever has the public key of the credential (in `record.stored` of its owner) can check it.

    Attributes:
        credential: id of the passkey; actor: whose it is; at_us: when the door has checked it.
        request: SHA-256 (hex) of what was asked: tenant, method, path, query, body.
        nonce: hex; the challenge that was signed is SHA-256 of nonce and `request`, both as bytes.
        authenticator, client, signature: `authenticatorData`, `clientDataJSON` and `signature` of the assertion, base64url.
    """

    credential: str
    actor: str
    at_us: int
    request: str
    nonce: str
    authenticator: str = ""
    client: str = ""
    signature: str = ""


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """From where, and as whom, something is asked: see `events/operations.py`. Doors set it for what is an operation. `proof`: by a passkey, where one was shown."""

    door: str = ""
    address: str = ""
    agent: str = ""
    roles: list[str] = []
    credential: str = ""
    proof: Proof | None = None


class NoteRefusal(Command, frozen=True):
    """A door has refused an operation before it became a command (no right to it, or nothing that it could be about). Answer: `{}`.

    `subject` is a text from the request; `skipped` are refusals since the last one noted that were too many."""

    operation: str
    kind: str = ""
    subject: str = ""
    code: str = ""
    message: str = ""
    details: dict[str, Any] | None = None
    skipped: int = 0


class NoteReading(Command, frozen=True):
    """A door is about to show protected values in clear text to whoever asked for it, who has said why: it does once this is on the log. Answer: `{}`.

    `names`: of the variables; `kind`, `subject`: where they were read; `instances`: whose they are, some of them."""

    operation: str
    kind: str = ""
    subject: str = ""
    names: list[str] = []
    instances: list[int] = []
    classes: list[str] = []
    reason: str = ""


class NoteRetention(Command, frozen=True):
    """What a rule of retention is about to take away (`done` false: refused where a legal hold is on one of `subjects`), and has taken away: the certificate.
    `instances`: ended ones, removed from the views; `keys`: destroyed; `subjects`: digests of whom these are of; `before_us`: what had ended by then.
    Answer: `{}`."""

    rule: str
    before_us: int = 0
    instances: list[int] = []
    keys: list[str] = []
    subjects: list[str] = []
    done: bool = False
    reason: str = ""


class ModifyInstance(Command, frozen=True):
    """Tokens moved by hand, all or none. `instructions`, each one of: `{activate: element, scope?, variables?, scopes?}`, `{cancel: token or element}`,
    `{move: {from: token or element, to: element}, scope?, variables?, scopes?}`; `activate` and `terminate` are Zeebe's form. `force`: though it leaves
    what never goes on. Answer: `{key, warnings}`."""

    key: int
    activate: list[dict[str, Any]] | None = None
    terminate: list[int] | None = None
    reason: str = ""
    row_version: int | None = None
    instructions: list[dict[str, Any]] | None = None
    force: bool = False


class MigrateInstance(Command, frozen=True):
    """`elements`: id in the instance's version -> id in the other, `""`: what stands there is withdrawn. `same_ids`: elements that stand in both need not be
    named. `timers`: keep (their moments), restart (by the other version, from now), recount (by it, from when they have
    begun). `tasks`: keep, renew (made anew by the other version; then elements may
    change their kind). `force`: though it leaves what never goes on. Answer: `{key, warnings}`."""

    key: int
    definition: int
    elements: dict[str, str]
    row_version: int | None = None
    reason: str = ""
    same_ids: bool = False
    timers: str = "keep"
    tasks: str = "keep"
    force: bool = False


class RollBackInstance(Command, frozen=True):
    """To `image`, the state at `position` of its history (an `InstanceImage` as JSON), that the caller has folded. `outside`: what was done since and can't be
    taken back, as texts. `compensate`: handlers of what has completed since run first. `seen` (empty: whatever): where its tokens stand, `STALE` when
    elsewhere. `force`: though it leaves what never goes on. Answer: `{key, warnings}`, with `compensate` `{key, status}`."""

    key: int
    image: Any
    position: str = ""
    reason: str = ""
    compensate: bool = False
    outside: list[str] | None = None
    seen: str = ""
    force: bool = False
    row_version: int | None = None


class RerunElement(Command, frozen=True):
    """A step runs again: tokens behind it are withdrawn, and it begins anew in its scope (`scope`, where several run), with `variables` as its own.
    Answer: `{key, warnings}`."""

    key: int
    element: str
    scope: int = 0
    variables: dict[str, Any] | None = None
    reason: str = ""
    force: bool = False
    row_version: int | None = None


class RemoveFromViews(Command, frozen=True):
    """An ended instance of the caller's tenant: its rows go from all views, its events stay. Where nothing is left of it, nothing happens. Answer: `{key}`."""

    key: int
    reason: str = ""


class CommentInstance(Command, frozen=True):
    """Something to be read by whoever looks at it, of an instance that goes on or has ended; `element`: of one of its elements. Answer: `{key}`."""

    key: int
    text: str
    element: str = ""


class ChangeFiles(Command, frozen=True):
    """A file by reference is attached to a running instance: `file` has `name` and `uri`, and what is known of it (`media_type`, `size`, `sha256`); one of
    that name is replaced. Or the one named `remove` is detached. Answer: `{key, files}`, how many there are."""

    key: int
    file: dict[str, Any] | None = None
    remove: str = ""
    reason: str = ""


class PlaceHold(Command, frozen=True):
    """Keep from going on: `subject` is a key of an instance or a version, the id of a process, `PROCESS/ELEMENT` (process id or version key), a job
    type, the target of a limit (`job:`, `tenant:`, `endpoint:`, `assignee:`), or a tenant (`*`: all).

    `mode`: pause (no new work is handed out) or suspend (nothing moves, what arrives is kept). `starts`: new instances are held as pending (hold), or
    refused; of scopes tenant, definition and version. Answer: `{key, scope, subject, mode, state}`.
    """

    scope: str
    subject: str
    mode: str = "suspend"
    starts: str = "hold"
    children: bool = True
    until_us: int = 0
    reason: str = ""


class ReleaseHold(Command, frozen=True):
    """What it held goes on, `rate` instances a second over all partitions (0: as fast as it goes). Answer: `{key, state}`: resuming, or released."""

    key: int
    rate: int = 0
    reason: str = ""


class SetHold(Command, frozen=True):
    """The home of hold `hold` tells all others: of a new one by its fields, of a release by `rate` (-1: none)."""

    hold: int
    scope: str = ""
    subject: str = ""
    mode: str = ""
    starts: str = "hold"
    children: bool = True
    until_us: int = 0
    reason: str = ""
    rate: int = -1


class HoldDone(Command, frozen=True):
    """To the home of `hold`: this partition has released all of its own."""

    hold: int
    partition: int


class ChangeRollout(Command, frozen=True):
    """Which version new work is for. `key`: any version of the process, decision or form; `version`: which one is meant (-1: that of `key`, 0: all).

    `share` (-1: as it is): percent of new root starts by id that go to it, two digits behind the point count; `default`: true: it is the default, alone; false: none is
    pinned, the newest is meant; `stop_starts`: of this version, or of all. Answer: `{key, id, kind, changed, default, pinned, ramp, stopped, before, warnings}`.
    """

    key: int
    version: int = 0
    share: float = -1.0
    default: bool | None = None
    stop_starts: bool | None = None
    reason: str = ""


class ControlTenant(Command, frozen=True):
    """A tenant is to be there, or to be so; of the operator, at partition 0 (`kernel/handlers/tenants.py`). `move`: create, change, suspend, resume, remove.

    What is None stays. `jobs`: of the limit `tenant:NAME` (`{concurrency, rate, ageing_ms}`; empty: none). `quotas`: `{instances, starts: {max, per_ms},
    waiting}`, as a whole. `unknown`, of the tenant `default`: accept or refuse callers who name a tenant that nobody has made. `leave`, of remove: though it
    has work, which then stands still. Answer: its record, with `name`.
    """

    name: str
    move: str
    title: str | None = None
    metadata: dict[str, Any] | None = None
    jobs: dict[str, Any] | None = None
    quotas: dict[str, Any] | None = None
    unknown: str | None = None
    leave: bool = False
    reason: str = ""


class CreateBatch(Command, frozen=True):
    """`action` (a row of `kernel/batches/actions.py`) is to be done to `total` items, which come by `AddBatchItems`; with none it is complete at once.

    `rate`: items a second, 0: as fast as it goes. `of`, `filter`: which list they are from, and by what, as people read it.
    Answer: `{key, status, total}`.
    """

    action: str
    total: int
    params: dict[str, Any] | None = None
    rate: int = 0
    of: str = ""
    filter: dict[str, Any] | None = None
    reason: str = ""


class AddBatchItems(Command, frozen=True):
    """Keys of items, of which `at` came before; it begins when all have come. What is there already is passed over, so it may be sent again.

    They are ordered by the number in the key, then by its partition, so that none comes twice, and all partitions have something to do.
    `missing`: those of `items` that the door knows not to be there, where owners can't tell. Answer: `{key, status, items}`.
    """

    batch: int
    at: int
    items: list[int]
    missing: list[int] = []


class ControlBatch(Command, frozen=True):
    """`move`: pause, resume, abort (what is done stays done). Answer: `{key, status}`."""

    batch: int
    move: str
    reason: str = ""


class PrepareBatchItems(Command, frozen=True):
    """A door brings what items need of which an owner knows nothing (their history), for items from number `at` on; with none it asks. Each is `[key, what it
    needs]`, or `[key, null, code, message]`: why it can't be done. What is under way already is passed over, so it may be sent again.

    The first of them go at once, as many as may be under way. Answer: `{key, status, next, items, params, tenant, wait_ms}`: the keys from number `next` on that are
    to be prepared now, and how long nothing can go.
    """

    batch: int
    at: int = 0
    items: list[Any] = []


class DoBatchItems(Command, frozen=True):
    """To the partition of these items, from the `home` of their batch, which numbers them. `rights`, `groups`: of who asked for it. `prepared`: what each needs."""

    batch: int
    home: int
    action: str
    numbers: list[int]
    items: list[int]
    params: dict[str, Any] | None = None
    reason: str = ""
    rights: list[str] | None = None
    groups: list[str] | None = None
    prepared: list[Any] | None = None


class TellBatchItems(Command, frozen=True):
    """The answer: `[number, outcome, code, message]` of each that was tried, and numbers of those to be sent anew, for which there was no room."""

    batch: int
    done: list[list[Any]]
    again: list[int]


class ListFindings(Command, frozen=True):
    """What the watchdog of a partition has found. Nothing is changed. Answer: `{findings, counts, partition, rounds, round_s, looked_at,
    end}`."""


class AskPeers(Command, frozen=True):
    """Partition `partition` asks another for what only that one knows: each question is `[kind, key, ...]` (`kernel/watchdog/peers.py`). Nothing is
    changed. Answer: `{missing, taken, sent}`: the numbers of those that aren't there, and how far sends of both have come."""

    partition: int
    questions: list[list[str | int]]


class RepairFinding(Command, frozen=True):
    """What the watchdog has found as `id` (`PARTITION-KIND-SUBJECT`) is repaired by `repair`, a word of its kind (`""`: the usual).
    Answer: `{id, repair, did}`."""

    id: str
    repair: str = ""
    reason: str = ""


#: one of them; the union of all commands has these beside its own
AnyControl = (
    CreateBatch | AddBatchItems | ControlBatch | DoBatchItems | TellBatchItems | PlaceHold | ReleaseHold | SetHold | HoldDone
    | ListFindings | AskPeers | RepairFinding | ChangeRollout | RemoveFromViews | CommentInstance | NoteReading | NoteRetention
    | PrepareBatchItems | ControlTenant | ChangeFiles
)  # fmt: skip
