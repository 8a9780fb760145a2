"""Rule packs: which are in force, and what they say of what is there already (docs/rules.md). They are deployed as models are."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, post
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api import rule_check as rc
from flowledger.api.edge import TEXT_MAX, ApiRequest, Body, NamePath, reply
from flowledger.api.lists import WaitFor, listing
from flowledger.api.problems import Problem, senseless
from flowledger.api.services import Services, request_id, services_of
from flowledger.api.view import answer_view
from flowledger.events import commands as c
from flowledger.events.base import RejectionCode
from flowledger.kernel import model
from flowledger.kernel.model.encodings import utf8
from flowledger.kernel.model.rules_resource import Pack
from flowledger.kernel.packs import contexts
from flowledger.kernel.packs.gate import PACKS_MAX
from flowledger.kernel.packs.judge import InForce
from flowledger.kernel.tasks.privacy import RETENTION, RULES_MAX

#: models or instances that one request looks at, and bytes of a pack that is tried
LOOK_MAX, CONTENT_MAX = 500, 1_000_000
On = Literal["model", "instance", "task"]


class RuleView(msgspec.Struct, kw_only=True):
    """`applies`: what it is about, of the pack and of the rule; `reads`: what its expressions look at."""

    id: str
    title: str
    on: str
    at: list[str]
    severity: str
    applies: list[dict[str, list[str]]]
    when: str | None
    holds: str
    message: str
    on_error: str
    reads: list[str]


class RulePack(msgspec.Struct, kw_only=True):
    """The version that is in force. `tell`: violations, or all verdicts."""

    name: str
    key: str
    version: int
    title: str
    description: str
    version_tag: str
    tell: str
    rules: list[RuleView]


class CheckBody(Body):
    """`packs`: names of those to ask; none: all in force. `content`: a pack that is only tried, instead. `on`: what to look at; none: all. `definition`: of
    one process alone. `ended`: also instances that have ended. `limit`: models or instances of one request."""

    packs: Annotated[list[Annotated[str, Meta(max_length=TEXT_MAX)]], Meta(max_length=PACKS_MAX)] = []
    content: Annotated[str, Meta(max_length=CONTENT_MAX)] | None = None
    on: list[On] = []
    definition: Annotated[str, Meta(max_length=TEXT_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    ended: bool = False
    limit: Annotated[int, Meta(ge=1, le=LOOK_MAX)] = 200
    cursor: Annotated[str, Meta(pattern=r"^(models:[0-9]{1,19}|instances:[0-9]{1,18})?$")] = ""


class RuleFinding(msgspec.Struct, kw_only=True):
    """`on`: model, instance or task; `at`: the moment whose rules these are. `who`: who did it, has it, or started it. `why`: of a rule that is broken."""

    pack: str
    version: int
    rule: str
    title: str
    severity: str
    outcome: str
    on: str
    at: str
    definition: str
    definition_version: int
    instance: str | None
    task: str | None
    element: str
    who: str
    message: str
    why: str


class RuleLooked(msgspec.Struct, kw_only=True):
    """`hidden`: rules that were left out at an instance, since they read variables and some of its are protected."""

    models: int
    instances: int
    tasks: int
    hidden: int


class RuleCheck(msgspec.Struct, kw_only=True):
    """`cursor`: to be given back for the rest; null: all was looked at."""

    items: list[RuleFinding]
    looked: RuleLooked
    packs: list[str]
    cursor: str | None


def _parsed(content: str) -> Pack:
    """Raises: Problem (422) with findings."""
    graph, findings = model.read(utf8(content), "pack.rules.yaml")
    pack: Pack | None = getattr(graph, "rules", None)
    if pack is None or any(f.severity == "error" for f in findings):
        shown = msgspec.to_builtins(findings)
        other = "found another kind of file (format: flowledger/rules@1)"
        text = f"a rule pack was expected, {'found errors' if shown and pack is not None else other}"
        raise Problem(RejectionCode.MODEL_INVALID, text, findings=shown)
    return pack


async def _in_force(request: ApiRequest, name: str = "", wait_for: str | None = None) -> list[InForce]:
    """By name; of each the version that decisions ask."""
    s = services_of(request)
    tenant = s.identify(request).tenant
    filters = {"kind": "rules", "latest": True, **({"definition_id": name} if name else {})}
    page = await listing(request, "definitions", filters, min(s.settings.page_max, 2 * PACKS_MAX), None, wait_for)
    found = []
    for row in page["items"]:
        versions = await s.reads.get("version_list", str(row["key"]), tenant)
        now = next((v for v in (versions or {}).get("items", ()) if v["default"]), None)
        source = await s.reads.source(now["key"], tenant) if now is not None else None
        if now is None or source is None:
            continue
        pack = await asyncio.to_thread(_parsed, source["content"])
        found.append(InForce(pack, now["version"], int(now["key"])))
    return sorted(found, key=lambda one: one.pack.name)


def _view(one: InForce) -> dict[str, Any]:
    pack = one.pack
    rules = [
        {
            "id": r.id, "title": r.title, "on": r.on, "at": list(r.at), "severity": r.severity, "applies": [x for x in (r.within.told(), r.applies.told()) if x],
            "when": r.when.text if r.when is not None else None, "holds": r.holds.text if r.holds is not None else "", "message": r.message,
            "on_error": r.on_error, "reads": sorted(r.reads),
        }
        for r in pack.rules
    ]  # fmt: skip
    return {
        "name": pack.name, "key": str(one.definition), "version": one.version, "title": pack.title, "description": pack.description,
        "version_tag": pack.version_tag, "tell": "all" if pack.tell_all else "violations", "rules": rules,
    }  # fmt: skip


@get("/rules", summary="List the rule packs in force")
async def list_rule_packs(request: ApiRequest, wait_for: WaitFor = None) -> Response[a.Page[RulePack]]:
    """By name, each with its rules; all there are (a tenant has 20 at most)."""
    return reply({"items": [_view(one) for one in await _in_force(request, "", wait_for)], "cursor": None})


@get("/rules/{name:str}", summary="Get a rule pack")
async def get_rule_pack(request: ApiRequest, name: NamePath, wait_for: WaitFor = None) -> Response[RulePack]:
    """The version in force. All versions: `GET /definitions?kind=rules&definition_id=NAME`."""
    found = await _in_force(request, name, wait_for)
    if not found:
        raise Problem(RejectionCode.NOT_FOUND, f"no rule pack {name} is in force")
    return reply(_view(found[0]))


@delete("/rules/{name:str}", status_code=200, summary="Delete a rule pack")
async def delete_rule_pack(request: ApiRequest, name: NamePath, reason: str = "") -> Response[a.Done]:
    """All of its versions. What it said stays on the ledger."""
    s = services_of(request)
    page = await listing(request, "definitions", {"kind": "rules", "definition_id": name}, s.settings.page_max, None, None)
    if not page["items"]:
        raise Problem(RejectionCode.NOT_FOUND, f"no rule pack {name}")
    answer: dict[str, Any] = {}
    for row in sorted(page["items"], key=lambda r: r["version"]):  # the newest last, so that none of before comes into force
        answer = await s.call(c.ChangeDefinition(key=int(row["key"]), move="delete", reason=reason), request, keyed=False)
    return reply(answer_view(answer))


@post("/rules/check", status_code=200, summary="What rule packs say of what is there")
async def check_rules(request: ApiRequest, data: CheckBody) -> Response[RuleCheck]:
    """Published models, instances (by the values that they have now) and the work of people (by who did or has it), a page at a time. Nothing is changed."""
    s = services_of(request)
    request_id(request)  # refused where it is none, though nothing is remembered by it
    if data.content is not None:
        if data.packs:
            raise senseless("either packs or content was expected, found both", "body content")
        packs = [InForce(await asyncio.to_thread(_parsed, data.content))]
    else:
        packs = await _in_force(request)
        names = {one.pack.name for one in packs}
        if missing := [name for name in data.packs if name not in names]:
            raise Problem(RejectionCode.NOT_FOUND, f"no rule pack {missing[0]} is in force")
        packs = [one for one in packs if not data.packs or one.pack.name in data.packs]
    looks = frozenset(data.on or ("model", "instance", "task"))
    counts = rc.Counts()
    items, cursor = await _page(request, s, packs, data, looks, counts) if packs else ([], None)
    looked = {"models": counts.models, "instances": counts.instances, "tasks": counts.tasks, "hidden": counts.hidden}
    return reply({"items": items, "looked": looked, "packs": [one.pack.name for one in packs], "cursor": cursor})


async def _page(
    request: ApiRequest, s: Services, packs: list[InForce], data: CheckBody, looks: frozenset[str], counts: rc.Counts
) -> tuple[list[dict[str, Any]], str | None]:
    what, _, at = data.cursor.partition(":")
    of_instances = not looks.isdisjoint(("instance", "task"))
    if what != "instances" and "model" in looks:
        return await _models(request, s, packs, data, at, of_instances, counts)
    return await _instances(s, s.identify(request).tenant, packs, data, int(at or 0), looks, counts) if of_instances else ([], None)


async def _models(
    request: ApiRequest, s: Services, packs: list[InForce], data: CheckBody, at: str, more: bool, counts: rc.Counts
) -> tuple[list[dict[str, Any]], str | None]:
    tenant = s.identify(request).tenant
    rules = await s.call(c.ListRecords(registry=RETENTION, limit=RULES_MAX), request, partition=0)
    kept = contexts.retention({r["name"]: r["value"] for r in rules.get("records") or ()}, "")
    filters = {"kind": "process", "status": ["published"], **({"definition_id": data.definition} if data.definition else {})}
    page = await listing(request, "definitions", filters, min(data.limit, s.settings.page_max), at or None, None)
    items: list[dict[str, Any]] = []
    for row in page["items"]:
        found = await _known(s, row, tenant)
        items += await asyncio.to_thread(lambda found=found: list(rc.of_model(packs, found, kept, counts)))  # type: ignore[misc]
    if page["cursor"]:
        return items, f"models:{page['cursor']}"
    return items, "instances:0" if more else None


async def _known(s: Services, row: dict[str, Any], tenant: str) -> rc.Known:
    source = await s.reads.source(str(row["key"]), tenant)
    return await asyncio.to_thread(rc.known, row, source["content"] if source else "")


async def _instances(
    s: Services, tenant: str, packs: list[InForce], data: CheckBody, after: int, looks: frozenset[str], counts: rc.Counts
) -> tuple[list[dict[str, Any]], str | None]:
    rows = await s.reads.evidence("subjects", tenant, after=after, limit=data.limit, definition=data.definition, ended=data.ended)
    definitions: dict[int, rc.Known | None] = {}
    for key in {row["definition"] for row in rows}:
        row = await s.reads.get("definitions", str(key), tenant)
        definitions[key] = await _known(s, row, tenant) if row is not None else None

    def judged() -> list[dict[str, Any]]:
        return [
            item for row in rows if (found := definitions[row["definition"]]) is not None
            for item in rc.of_instance(packs, found, row, looks, counts)
        ]  # fmt: skip

    items = await asyncio.to_thread(judged)
    return items, f"instances:{rows[-1]['id']}" if len(rows) == data.limit else None


HANDLERS: list[Any] = [list_rule_packs, get_rule_pack, delete_rule_pack, check_rules]
