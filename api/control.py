"""Operators steer instances: tokens moved by hand, another version (docs/control.md). Each can be asked first, by `dry_run`, and applied by its `plan`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, post
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.edge import ApiRequest, Body, DefinitionRef, KeyPath, KeyRef, Name, Variables, Words, key_of
from flowledger.api.instances import changed
from flowledger.api.locking import expected
from flowledger.api.previews import PLAN_PATTERN
from flowledger.api.problems import malformed
from flowledger.api.services import definition_key, services_of
from flowledger.events import commands as c

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


class MigrateBody(OperationBody, kw_only=True):
    """`elements` maps ids of elements at which tokens stand to ids in the new definition; equal ids may be left out."""

    definition: DefinitionRef
    elements: dict[str, str] = {}


@post("/instances/{id:str}/modify", status_code=200, locks=True, previews=True, summary="Move tokens by hand")
async def modify(request: ApiRequest, id: KeyPath, data: ModifyBody) -> Response[a.Done]:
    """Refused as a whole where an instruction can't be followed, or where what is left would never go on."""
    if not data.activate and not data.terminate and not data.instructions:
        raise malformed("instructions (or activate, terminate) were expected, found none", "body")
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
    definition = await definition_key(services_of(request), request, data.definition, "body definition")
    command = c.MigrateInstance(
        key=key_of(id, "instance"),
        definition=definition,
        elements=data.elements,
        reason=data.reason,
        same_ids=True,
        row_version=expected(request),
    )
    return await changed(request, command, data.asked)


HANDLERS: list[Any] = [modify, migrate]
