"""What stands in the log of operations: which commands are operations, what they are about, and the events that tell of them.

An operation is whatever somebody asks for that changes something. What services ask for all day (`SERVICES`) has events of its own that name
the caller: it is told here only when its request says from where it came (`Request.origin`), which doors set for what people do.
Source: docs/decisions/0009. Pure.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

import msgspec

from flowledger.events import alerts as al
from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events import operations as op
from flowledger.events import routes
from flowledger.events import triggers as tr
from flowledger.events import webhooks as wh
from flowledger.events.avro import encode_json
from flowledger.events.base import Event, Rejected, RejectionCode
from flowledger.events.wire import NAMES
from flowledger.kernel import advice, causes, values
from flowledger.kernel.access.subjects import SUBJECTS
from flowledger.kernel.ledger.facts import Facts
from flowledger.kernel.ledger.recording import Recording
from flowledger.kernel.lookup import holder
from flowledger.kernel.packs.judge import Refused
from flowledger.kernel.state import Partition
from flowledger.kernel.tasks import privacy

#: what changes nothing
READS = frozenset({c.PeekTasks, c.ListRecords, c.EvaluateDecision, co.ListFindings, co.AskPeers, tr.ListTriggers, wh.ListWebhooks})
#: what workers and services ask for all day
SERVICES = frozenset({
    c.StartInstance, c.ActivateTasks, c.CompleteTask, c.FailTask, c.ExtendLease, c.ReturnTasks, c.PublishMessage, c.CreateTask, tr.ClaimTrigger,
    tr.TakeItems, wh.ClaimWebhook, wh.ReportWebhook, al.ClaimAlerts, al.ReportAlert,
})  # fmt: skip
#: is part of an operation, or tells of one, and is none
_TELLS = READS | {c.NoteRefusal, co.NoteReading, co.NoteRetention, c.ActivateTasks, c.ReturnTasks, co.AddBatchItems, co.PrepareBatchItems}
#: all others that callers give, whoever they are
OPERATIONS: frozenset[type[c.AnyCommand]] = frozenset(SUBJECTS) - _TELLS - SERVICES
#: what is no refusal of what was asked: it may be asked again as it is
PASSING = frozenset(
    {RejectionCode.UNAVAILABLE, RejectionCode.DEADLINE_EXCEEDED, RejectionCode.RESOURCE_EXHAUSTED, RejectionCode.STEP_UP_NEEDED}
)
#: characters of each part of a proof
PROOF_MAX = 2_000
#: bytes of `details`, as JSON
DETAILS_BYTES_MAX = 4_096
#: names, and characters of a name and of a text for people
NAMES_MAX, TEXT_MAX, REASON_MAX = 200, 255, 2_000
#: instances, and keys, that one certificate of retention names
RETAINED_MAX = 1_000

#: command -> what it is about, where its name doesn't say it
_KINDS: dict[type[c.AnyCommand], str] = {
    c.SetVariables: "instance", c.AdHocActivate: "instance", c.Deploy: "definition", c.ThrowTaskError: "task", c.ExtendLease: "task",
    c.UpdateRetries: "task", c.ReplayDeadLetter: "dead_letter", c.DiscardDeadLetter: "dead_letter", c.EvaluateConditions: "condition",
    co.ChangeRollout: "definition", co.RemoveFromViews: "instance", co.RerunElement: "instance",
    co.ChangeFiles: "instance",
}  # fmt: skip
#: registry -> what a record of it is
_RECORDS = {"identity": "account", "directory": "directory", "task_definition": "task_definition", "limit": "limit"}
#: fields that aren't details: the subject, what has a field of its own, and contents
_ELSEWHERE = frozenset(("reason", "text", "row_version", "variables", "resources", "content", "command", "relayed", "value"))
#: in details: variables by their names
_VALUES = frozenset(("variables", "draft"))
_WORD = re.compile(r"(?<!^)(?=[A-Z])")


def _plain(kind: type) -> str:
    return _WORD.sub("_", kind.__name__).lower()


def kind_of(cls: type[Any]) -> str:
    """What such commands are about."""
    return _KINDS.get(cls) or _plain(cls).rpartition("_")[2]


def name_of(command: Any) -> tuple[str, str]:
    """(`operation`, `kind`), as the API names them: a command with a `move` is named by that."""
    cls = type(command)
    name = _plain(cls)
    if cls is c.StoreRecord:
        kind = _RECORDS.get(command.registry, command.registry)
        return f"{'store' if command.value is not None else 'remove'}_{kind}", kind
    kind = kind_of(cls)
    move = getattr(command, "move", "")
    return f"{move}_{kind}" if move else name, kind


def _subject(command: Any, answer: dict[str, Any]) -> str:
    if type(command) is c.StoreRecord:
        return str(command.name)
    if (field := routes.BY_KEY.get(type(command))) is not None:
        return str(getattr(command, field))
    made = answer.get("key") or answer.get("task")
    deployed: list[dict[str, Any]] = answer.get("definitions") or []
    if made is None and type(command) is c.Deploy and len(deployed) == 1:
        made = deployed[0]["key"]
    named = made or getattr(command, "name", "") or getattr(command, "id", "") or getattr(command, "key", "")
    return str(named) if named else ""


def _names(command: Any) -> list[str]:
    if resources := getattr(command, "resources", None):
        return [str(r.name)[:TEXT_MAX] for r in list(resources)[:NAMES_MAX]]
    given = getattr(command, "variables", None)
    return [str(name)[:TEXT_MAX] for name in list(given)[:NAMES_MAX]] if isinstance(given, dict) else []


def _details(command: Any) -> dict[str, Any] | None:
    subject = routes.BY_KEY.get(type(command))
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(type(command)):
        value = getattr(command, field.name)
        if field.name == subject or field.name in _ELSEWHERE or value is None or value == field.default or value in ("", [], {}):
            continue
        found[field.name] = _without_values(msgspec.to_builtins(value))
    if type(command) is c.StoreRecord and isinstance(command.value, dict) and command.registry == "identity":
        found |= command.value  # an account's facts are few, and hold no secret
    if type(command) is c.StoreRecord and isinstance(command.value, dict) and command.registry == advice.REGISTRY:
        found |= advice.told(command.value)
    if not found:
        return None
    try:
        size = len(encode_json(found))
    except Exception:  # noqa: BLE001 - what can't be written isn't told
        size = DETAILS_BYTES_MAX + 1
    return found if size <= DETAILS_BYTES_MAX else {"cut": sorted(found)}


def _without_values(value: Any) -> Any:
    """Of variables and drafts, at any depth, the names alone: values are in the history."""
    if isinstance(value, dict):
        return {k: sorted(map(str, v)) if k in _VALUES and isinstance(v, dict) else _without_values(v) for k, v in value.items()}
    return [_without_values(v) for v in value] if isinstance(value, list) else value


def _from(request: c.Request | None) -> dict[str, Any]:
    """From where, and as whom."""
    origin = (request.origin if request is not None else None) or c.Origin()
    return {
        "door": _text(origin.door), "address": _text(origin.address), "agent": _text(origin.agent), "credential": _text(origin.credential),
        "roles": [_text(r) for r in origin.roles[:NAMES_MAX]],
    }  # fmt: skip


def _text(given: str, most: int = TEXT_MAX) -> str:
    return values.clean(given[:most])


def _reason(command: Any) -> str:
    """Of a record, as it says itself."""
    value = getattr(command, "value", None)
    return str(getattr(command, "reason", "") or (value.get("reason") if isinstance(value, dict) else "") or "")


def _proof(proof: c.Proof) -> dict[str, Any]:
    return {name: _text(value, PROOF_MAX) if isinstance(value, str) else value for name, value in msgspec.to_builtins(proof).items()}


def _common(request: c.Request, answer: dict[str, Any]) -> dict[str, Any]:
    command: Any = request.command
    operation, kind = name_of(command)
    details = _details(command)
    if request.origin is not None and (proof := request.origin.proof) is not None:
        details = {**(details or {}), "proof": _proof(proof)}
    return {
        "operation": _text(operation), "kind": _text(kind), "subject": _text(_subject(command, answer)),
        "names": [_text(n) for n in _names(command)], "details": details,
        "reason": _text(_reason(command), REASON_MAX), **_from(request),
    }  # fmt: skip


def asked(d: Recording, request: c.Request, began: int = 0) -> None:
    """The last event of what was granted (its events are those from number `began` on), before the answer to a caller's id.

    What another partition asks, or follows from what is under way, was told where it was asked.
    """
    kind = type(request.command)
    if request.sender >= 0 or request.instance or kind in _TELLS or request.dry_run:
        return
    if kind is c.MoveTask and request.command.move == "progress" and request.origin is None:  # type: ignore[union-attr]
        return  # a worker says how far it is
    common = _common(request, d.answer)
    instance = next((e.key for e in islice(d.events, began, None) if e.key and _of_instance(e)), 0)
    d.for_request()
    d.record(op.OperationAsked(**common, instance=instance, events=len(d.events) - began))


def _of_instance(e: Event) -> bool:
    return not NAMES[type(e)].startswith("definition.")


def worth_telling(request: c.Request, rejected: Rejected) -> bool:
    """Whether a refusal stands in the log: of operations; of what services ask only where it wasn't allowed."""
    kind = type(request.command)
    if request.sender >= 0 or request.instance or request.dry_run or rejected.code in PASSING or kind in _TELLS or kind not in SUBJECTS:
        return False
    return request.origin is not None or kind in OPERATIONS or rejected.code == RejectionCode.FORBIDDEN


def refused(state: Partition, request: c.Request, facts: Facts, rejected: Rejected, skipped: int = 0) -> Recording | None:
    """A group of its own that tells of a refusal. None: the request has texts that can't be written down."""
    state.undo = []
    try:
        d = Recording(state, facts, causes.envelope_of(state, request, facts.now_us, request.tenant), request)
        common = _common(request, {})
        common["instance"] = _concerned(state, request, common["kind"])
        for verdict in rejected.verdicts if isinstance(rejected, Refused) else ():
            d.record(verdict)
        d.for_request()
        d.record(op.OperationRefused(**common, code=rejected.code, message=_text(rejected.message, REASON_MAX), skipped=skipped))
        return d
    except Exception:  # noqa: BLE001 - what a stranger wrote into it; that it was refused is answered all the same
        return None
    finally:
        state.undo = None


def _concerned(state: Partition, request: c.Request, about: str) -> int:
    """The instance: as it was named, else that of a thing of the caller's own tenant."""
    command: Any = request.command
    kind = type(command)
    field, rule = routes.BY_KEY.get(kind), SUBJECTS[kind]
    if field is None:
        return 0
    key: int = getattr(command, field)
    if rule is not None and rule(state, command) == request.tenant:
        thing = state.tasks.get(key) or state.incidents.get(key)
        if thing is not None:
            return thing.instance
        if about == "instance" and key not in state.instances and (i := holder(state, key)) is not None:
            return i.key
    return key if about == "instance" else 0


def note(d: Recording, e: c.NoteRefusal) -> None:
    """A door's own refusal."""
    d.for_request()
    instance = int(e.subject) if e.kind == "instance" and e.subject.isdecimal() and len(e.subject) < 19 else 0
    d.record(op.OperationRefused(
        operation=_text(e.operation), kind=_text(e.kind), subject=_text(e.subject), instance=instance, details=e.details, code=_text(e.code),
        message=_text(e.message, REASON_MAX), skipped=e.skipped, **_from(d.request),
    ))  # fmt: skip


def note_retention(d: Recording, e: co.NoteRetention) -> Rejected | None:
    """Something is taken away since its time is over. A legal hold that came meanwhile goes before it."""
    if not e.done and (why := privacy.holds_on(d.state, d.envelope.tenant, e.subjects)):
        return Rejected(RejectionCode.INVALID_STATE, why)
    d.for_request()
    details = {
        "before_us": e.before_us, "instances": [str(i) for i in e.instances[:RETAINED_MAX]],
        "keys": e.keys[:RETAINED_MAX],
    }  # fmt: skip
    d.record(op.OperationAsked(
        operation="apply_retention" if e.done else "ask_retention", kind="retention", subject=_text(e.rule), details=details, reason=_text(e.reason, REASON_MAX),
        **_from(d.request),
    ))  # fmt: skip
    return None


def note_reading(d: Recording, e: co.NoteReading) -> None:
    """Somebody sees protected values in clear text: who, what, from where and why."""
    d.for_request()
    d.record(op.OperationAsked(
        operation=_text(e.operation), kind=_text(e.kind), subject=_text(e.subject), instance=e.instances[0] if len(e.instances) == 1 else 0,
        names=[_text(n) for n in e.names[:NAMES_MAX]],
        details={"classes": e.classes[:NAMES_MAX], "instances": [str(i) for i in e.instances[:NAMES_MAX]]}, reason=_text(e.reason, REASON_MAX),
        **_from(d.request),
    ))  # fmt: skip
