"""Operators steer instances: tokens moved by hand, another version (docs/control.md). Each can be asked first, by `dry_run`, and applied by its `plan`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, post
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api import history
from flowledger.api.definitions import source_of
from flowledger.api.edge import ApiRequest, Body, DefinitionRef, KeyPath, KeyRef, Name, Text, Variables, Words, key_of, position_text, reply
from flowledger.api.instances import changed, find
from flowledger.api.lists import WaitFor
from flowledger.api.locking import expected
from flowledger.api.previews import PLAN_PATTERN
from flowledger.api.problems import Problem, malformed, senseless
from flowledger.api.services import definition_key, services_of
from flowledger.api.view import definition_view
from flowledger.events import commands as c
from flowledger.events.base import RejectionCode
from flowledger.events.commands import partition_of_key

Plan = Annotated[str, Meta(pattern=PLAN_PATTERN)]
#: an element, or a key of a token
Place = DefinitionRef


class OperationBody(Body):
    """`dry_run`: nothing happens, the answer is the plan of what would. `plan`: that of a dry run; refused (409, STALE) when something else would happen
    by now."""

    dry_run: bool = False
    plan: Plan | None = None
    reason: Words = ""

    @property
    def asked(self) -> str:
        return c.DRY_RUN if self.dry_run else self.plan or ""


class ActivateBody(Body):
    element: Name
    variables: Variables | None = None
    #: token of the scope to activate in, where several are open
    scope: KeyRef | None = None


class MoveBody(Body):
    """`from`: a token's key, or an element: all tokens that stand there. `to`: an element."""

    from_: Place = msgspec.field(name="from")
    to: Name


class InstructionBody(Body):
    """One of `activate`, `cancel` (a token's key, or an element: all tokens there), `move`.

    `scope`: token of the scope (or the instance) to activate in; of a multi-instance body: a further run of it. `variables`: of the element itself;
    `scopes`: by the id of a sub-process around it, `""` the instance.
    """

    activate: Name | None = None
    cancel: Place | None = None
    move: MoveBody | None = None
    scope: KeyRef | None = None
    variables: Variables | None = None
    scopes: dict[str, Variables] | None = None


class ModifyBody(OperationBody):
    """Tokens put, moved and withdrawn, all in one step: by `instructions`, in their order, or by `activate` and `terminate`. `force`: though it leaves
    what would never go on."""

    instructions: list[InstructionBody] = []
    activate: list[ActivateBody] = []
    terminate: list[KeyRef] = []
    force: bool = False


class MigrateBody(OperationBody):
    """`to`: the other version, a key or an id (`definition` is its old name). `mapping` (`elements`): ids of elements at which tokens stand -> ids there;
    equal ids may be left out, null or an empty text withdraws what stands there. `timers`: keep their moments, restart by the other
    version, or recount by it from when they have begun.
    `tasks`: keep, or renew by the other version; then tasks and waiting events may become another kind. `force`: though it leaves what would never go on."""

    to: DefinitionRef | None = None
    mapping: dict[Name, Text | None] = {}
    definition: DefinitionRef | None = None
    elements: dict[str, str | None] = {}
    timers: Literal["keep", "restart", "recount"] = "keep"
    tasks: Literal["keep", "renew"] = "keep"
    force: bool = False


class PlanBody(Body):
    """Two versions: keys, or ids in the model (the newest version)."""

    from_: DefinitionRef = msgspec.field(name="from")
    to: DefinitionRef


@post("/instances/{id:str}/modify", status_code=200, locks=True, previews=True, summary="Move tokens by hand")
async def modify(request: ApiRequest, id: KeyPath, data: ModifyBody) -> Response[a.Done]:
    """Refused as a whole where an instruction can't be followed, or where what is left would never go on."""
    if not data.activate and not data.terminate and not data.instructions:
        raise malformed("instructions, or activate or terminate, were expected, found none", "body")
    activate = []
    for each in data.activate:
        wish: dict[str, Any] = {"element": each.element}
        if each.variables:
            wish["variables"] = {each.element: each.variables}
        if each.scope is not None:
            wish["ancestor"] = key_of(each.scope, "body activate scope")
        activate.append(wish)
    terminate = [key_of(t, "body terminate") for t in data.terminate]
    command = c.ModifyInstance(
        key=key_of(id, "instance"), activate=activate or None, terminate=terminate or None, reason=data.reason, row_version=expected(request),
        instructions=[_instruction(each) for each in data.instructions] or None, force=data.force,
    )  # fmt: skip
    return await changed(request, command, data.asked)


def _instruction(body: InstructionBody) -> dict[str, Any]:
    found = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not None}
    if body.move is not None:
        found["move"] = {"from": body.move.from_, "to": body.move.to}
    return found


@post("/instances/{id:str}/migrate", status_code=200, locks=True, previews=True, summary="Go on under another version")
async def migrate(request: ApiRequest, id: KeyPath, data: MigrateBody) -> Response[a.Done]:
    """Tokens keep their keys; jobs in hand are completed as before. Refused as a whole where a token has no place there."""
    other = data.to if data.to is not None else data.definition
    if other is None:
        raise senseless("`to` was expected: the key or the id of a definition", "body to")
    definition = await definition_key(services_of(request), request, other, "body to")
    command = c.MigrateInstance(
        key=key_of(id, "instance"),
        definition=definition,
        elements={old: new or "" for old, new in {**data.elements, **data.mapping}.items()},
        reason=data.reason,
        same_ids=True,
        row_version=expected(request),
        timers=data.timers,
        tasks=data.tasks,
        force=data.force,
    )
    return await changed(request, command, data.asked)


@post("/migrations/plan", status_code=200, summary="Propose a mapping between two versions")
async def plan_migration(request: ApiRequest, data: PlanBody) -> Response[a.MigrationPlan]:
    """By id, kind, name and place; to be edited, and given as `mapping`. What really runs is checked by a dry run of the migration itself."""
    s = services_of(request)
    old, new = [await definition_key(s, request, each, f"body {name}") for each, name in ((data.from_, "from"), (data.to, "to"))]
    sources = []
    for key in (old, new):
        row = await s.find("definitions", key, s.identify(request).tenant)
        sources.append((await source_of(s, request, str(key)), str(definition_view(row)["definition_id"])))
    rows = await asyncio.to_thread(_proposed, sources)
    return reply({"from": str(old), "to": str(new), "mapping": {r["from"]: r["to"] for r in rows if r["to"]}, "rows": rows})


def _proposed(sources: list[tuple[tuple[str, str], str]]) -> list[dict[str, Any]]:
    from flowledger.kernel.model import read
    from flowledger.kernel.model.encodings import utf8
    from flowledger.kernel.model.mapping import propose

    found = []
    for (text, name), id in sources:
        graph = read(utf8(text), name)[0]
        process = graph.processes.get(id) if graph is not None else None
        if process is None:
            raise Problem(RejectionCode.NOT_FOUND, f"'{id or name}' is no process that can be run", where="body")
        found.append(process)
    return propose(found[0], found[1])


class RollbackBody(OperationBody):
    """One of `steps` (so many decisions in which tokens went on), `to` (an element that was left, or a position of the history), `undo` (of the last change by
    hand, while nothing has moved since). `compensate`: the handlers of what has completed since run first."""

    steps: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    to: Name | None = None
    undo: bool = False
    compensate: bool = False
    force: bool = False


@post("/instances/{id:str}/rollback", status_code=200, locks=True, previews=True, summary="Roll an instance back")
async def roll_back(request: ApiRequest, id: KeyPath, data: RollbackBody, wait_for: WaitFor = None) -> Response[a.Done]:
    """As it was at a moment of its history: tokens, variables, tasks, timers, subscriptions. The history stays; what was done outside since is told."""
    if (data.steps is not None) + (data.to is not None) + data.undo != 1:
        raise senseless("one of steps, to and undo was expected", "body")
    s = services_of(request)
    row = await find(s, request, id, wait_for)
    key = int(row["id"])
    home = partition_of_key(key)
    if (end := s.ends().get(home)) is not None:  # the history is to be whole
        await s.wait_for(position_text({home: end}))
        row = await find(s, request, id)
    if (seen := expected(request)) is not None and seen != row[
        "row_version"
    ]:  # before anything is said of a history that the caller doesn't know
        raise Problem(RejectionCode.STALE, f"it has changed since: expected row_version {row['row_version']}, found {seen}", status=412)
    then = await history.then_of(s, key, s.identify(request).tenant, data.steps or 0, data.to or "", data.undo)
    command = c.RollBackInstance(
        key=key, image=then.image, position=then.position, reason=data.reason, compensate=data.compensate, outside=then.outside or None,
        seen=then.seen if data.undo else "", force=data.force, row_version=seen,
    )  # fmt: skip
    return await changed(request, command, data.asked)


class RerunBody(OperationBody, kw_only=True):
    """`scope`: token of the scope in which `element` is to run again, where several are open."""

    element: Name
    scope: KeyRef | None = None
    variables: Variables | None = None
    force: bool = False


@post("/instances/{id:str}/rerun", status_code=200, locks=True, previews=True, summary="Run a step again")
async def rerun(request: ApiRequest, id: KeyPath, data: RerunBody) -> Response[a.Done]:
    """With what depends on it: tokens behind it are withdrawn; what its siblings have brought to joins stays."""
    command = c.RerunElement(
        key=key_of(id, "instance"), element=data.element, scope=key_of(data.scope, "body scope") if data.scope is not None else 0,
        variables=data.variables, reason=data.reason, force=data.force, row_version=expected(request),
    )  # fmt: skip
    return await changed(request, command, data.asked)


HANDLERS: list[Any] = [modify, migrate, roll_back, rerun]
MIGRATIONS: list[Any] = [plan_migration]
