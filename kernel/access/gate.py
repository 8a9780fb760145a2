"""One gate for every command, whatever door it came through: command -> whose thing it is -> may this caller?

A foreign tenant's thing does not exist for the caller: NOT_FOUND, in the words of a thing that isn't there. What may be done to one's own
tenant's things is said by roles and policies, which plug in here (`POLICIES`); that of a task's holder is in `holders`.
Source: requirements D-SEC, findings D1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flowledger.events import commands as c
from flowledger.events import control as co
from flowledger.events.base import Rejected, RejectionCode
from flowledger.kernel import limits, protection, tenants
from flowledger.kernel.access.rights import ANY_TENANT, may
from flowledger.kernel.access.subjects import BATCHES, INTERNAL, MISSING, SUBJECTS, USES, of_definition, of_record
from flowledger.kernel.access.widths import QUICK, too_wide
from flowledger.kernel.state import Partition
from flowledger.kernel.watchdog.kinds import no_finding

#: (state, request, tenant) -> why not, or None: asked in order once the tenant is right
Policy = Callable[[Partition, c.Request, str], Rejected | None]
POLICIES: list[Policy] = []


def admit(p: Partition, request: c.Request) -> str | Rejected:
    """The tenant for which the request acts (it goes to the envelope of its events), or why it may not.

    What is missing altogether is let through: the handler says in its own words that it isn't there.
    """
    command = request.command
    kind = type(command)
    tenant = request.tenant
    way = _WAYS.get(kind)
    if way is None:
        internal = INTERNAL.get(kind)
        if internal is None:
            return Rejected(RejectionCode.FORBIDDEN, f"nobody may {kind.__name__}: the gate has no rule for it")
        found = internal(p, command)
        return tenant if found is MISSING else found
    if request.sender >= 0:  # another partition speaks for the tenant that it names
        return tenant
    # what a batch sets was sealed when it began
    if p.protection and not (request.origin is not None and request.origin.door == "batch") and protection.refused(command):
        return Rejected(RejectionCode.INVALID_ARGUMENT, f"a text in it begins with {protection.PREFIX!r}, as protected values do")
    rule, uses, several, texts, lists = way
    # all texts together are hardly ever as long as one may be
    if len("".join(texts(command))) > limits.NAME_MAX or (lists is not None and any(lists(command))):
        wide = too_wide(command)
        if wide is not None:
            return wide
    if rule is not None:
        found = rule(p, command)
        if several is not None and not may(request, ANY_TENANT):
            field, of_one = several
            foreign = [t for key in getattr(command, field) if (t := of_one(p, key)) is not MISSING and t != tenant]
            found = foreign[0] if foreign else found
        if found is MISSING:
            return tenant
        if found != tenant:
            if kind is c.StoreRecord and not tenant:
                return tenant  # registries are the operator's, who has no tenant
            if not may(request, ANY_TENANT):
                return _stranger(command, tenant, found)
            tenant = found
    if uses and (key := getattr(command, uses)):
        used = of_definition(p, key)
        if used and used is not MISSING and used != tenant:
            if not may(request, ANY_TENANT) or rule is not None:
                return _not_found("a decision" if kind is c.EvaluateDecision else "a process definition with key", key)
            tenant = used
    if (known := p.registry.get(tenants.REGISTRY)) is not None and (refused := tenants.refused(known, kind, tenant)) is not None:
        return refused
    for policy in POLICIES:
        if (refused := policy(p, request, tenant)) is not None:
            return refused
    return tenant


#: command -> its rule, the field of a definition that it uses beside, and of several subjects; what gets its texts and its lists
_WAYS = {kind: (rule, USES.get(kind, ""), BATCHES.get(kind), *QUICK[kind]) for kind, rule in SUBJECTS.items()}


def tenants_of(request: c.Request, wanted: Sequence[str] | None) -> Sequence[str]:
    """Whose jobs a caller gets: its own tenant's; with the right to more, those that it names."""
    if wanted is None:
        return (request.tenant,)
    if may(request, ANY_TENANT):
        return tuple(dict.fromkeys(wanted))
    return tuple(dict.fromkeys(t for t in wanted if t == request.tenant))


#: how handlers name what isn't there, so that a stranger's thing can't be told from none
_WORDS: dict[type, tuple[str, str]] = {
    c.CancelInstance: ("a running instance with key", "key"), c.ControlInstance: ("a running instance with key", "key"),
    c.ReleaseInstance: ("a running instance with key", "key"),
    c.ModifyInstance: ("a running instance with key", "key"), c.MigrateInstance: ("a running instance with key", "key"),
    c.RollBackInstance: ("a running instance with key", "key"), c.RerunElement: ("a running instance with key", "key"),
    c.SetVariables: ("a running instance or token with key", "key"), c.AdHocActivate: ("an ad-hoc sub-process with key", "token"),
    c.ResolveIncident: ("an open incident with key", "key"), c.ChangeDefinition: ("a definition with key", "key"),
    c.ReplayDeadLetter: ("an open dead letter with key", "letter"), c.DiscardDeadLetter: ("an open dead letter with key", "letter"),
    c.ReleaseHold: ("a hold with key", "key"),
    co.ChangeRollout: ("a definition with key", "key"), co.RemoveFromViews: ("an ended instance with key", "key"),
    co.CommentInstance: ("an instance with key", "key"),
    co.ChangeFiles: ("a running instance with key", "key"),
    co.AddBatchItems: ("a batch that has not ended with key", "batch"), co.ControlBatch: ("a batch that has not ended with key", "batch"),
    co.PrepareBatchItems: ("a batch that has not ended with key", "batch"),
}  # fmt: skip


def _stranger(command: c.AnyCommand, tenant: str, found: str) -> Rejected:
    if isinstance(command, c.StoreRecord):
        if not found:
            return Rejected(
                RejectionCode.FORBIDDEN, f"{command.registry} '{command.name}' is for all tenants: it is the operator's to change"
            )
        return _not_found(f"a record of {command.registry} named", f"'{command.name}'")
    if isinstance(command, co.ControlTenant):
        if command.name != tenant and command.move != "create":
            return _not_found("a tenant named", f"'{command.name}'")
        return Rejected(RejectionCode.FORBIDDEN, "tenants are made and changed by the operator, who has no tenant")
    if isinstance(command, co.RepairFinding):
        return no_finding(command.id)
    if isinstance(command, c.PlaceHold):
        what = {"instance": "a running instance with key", "version": "a version of a process with key"}.get(command.scope, "a tenant")
        return _not_found(what, command.subject)
    what, field = _WORDS.get(type(command), ("an open task with key", "task"))
    if field_of_many := BATCHES.get(type(command)):
        return _not_found("open tasks with keys", ", ".join(map(str, getattr(command, field_of_many[0]))))
    return _not_found(what, getattr(command, field))


def _not_found(what: str, key: object) -> Rejected:
    return Rejected(RejectionCode.NOT_FOUND, f"expected {what} {key}, found none")


__all__ = ["POLICIES", "Policy", "admit", "of_record", "tenants_of"]
