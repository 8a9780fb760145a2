"""Replay against another model: recorded histories run in memory, in a process of its own, and what would have become of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from litestar import Response, post
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api.access.door import IDENTITY, forbidden
from flowledger.api.batches import Filter
from flowledger.api.drafts import draft_text
from flowledger.api.edge import ApiRequest, Body, KeyRef, Name, Text, encode, key_of, reply
from flowledger.api.histories import Histories, Models, TooLong, needs
from flowledger.api.lists import WaitFor, text_of
from flowledger.api.problems import Problem, senseless
from flowledger.api.services import Services, definition_key, services_of
from flowledger.events.base import RejectionCode
from flowledger.kernel.limits import MODEL_BYTES_MAX

#: instances of one replay, seconds, examples of each outcome, tests
INSTANCES_MAX, SECONDS_MAX, EXAMPLES_MAX, TESTS_MAX, OVERRIDES_MAX = 1_000, 45, 100, 200, 20
#: outcomes that are somewhere; elements that are told
_AT = ("other_way", "waits", "failed", "other_values")
_ELEMENTS_MAX = 1_000
#: beyond the time that was asked for, until the process is ended; and for its start
_SPARE_S, _START_S = 15.0, 60.0
_LINE_MAX = 64 * 1024 * 1024
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_MODULE = "flowledger.plugins.replaying"


class ModelGiven(Body):
    """One of: a text (`content`, with the file's `name`), a draft's id, or a definition's key (`version`)."""

    content: Annotated[str, Meta(max_length=MODEL_BYTES_MAX)] | None = None
    name: Name = "model.bpmn"
    draft: Text | None = None
    version: KeyRef | None = None


class ReplayBody(Body):
    """`model`: without it the definition's own, for other decisions. `decision_overrides`: decision models in the place of those that were deployed.
    `filter`: as the list of instances takes it (this definition's, newest first); or `ids`. At most `limit` are run, within `seconds`.
    `examples` of each outcome are told; `tests`: so many of the runs are written down as tests."""

    model: ModelGiven | None = None
    decision_overrides: Annotated[list[ModelGiven], Meta(max_length=OVERRIDES_MAX)] = []
    filter: Filter | None = None
    ids: Annotated[list[KeyRef], Meta(max_length=INSTANCES_MAX)] | None = None
    limit: Annotated[int, Meta(ge=1, le=INSTANCES_MAX)] = 200
    seconds: Annotated[int, Meta(ge=1, le=SECONDS_MAX)] = 20
    examples: Annotated[int, Meta(ge=0, le=EXAMPLES_MAX)] = 3
    tests: Annotated[int, Meta(ge=0, le=TESTS_MAX)] = 0


@post("/definitions/{id:str}/replay", status_code=200, summary="Run histories against another model")
async def replay_definition(request: ApiRequest, id: Name, data: ReplayBody, wait_for: WaitFor = None) -> Response[a.ReplayOutcomes]:
    """Of each instance what came from outside (its start, results of work, messages, signals, timers, what operators did) is given to the other model,
    in order and at its time, in memory. Nothing outside is touched, nothing is kept. What was never recorded is never made up: there it waits."""
    s = services_of(request)
    identity: Any = request.scope.get(IDENTITY)
    if identity is not None and "instances:read" not in identity.rights:
        raise forbidden("instances:read", identity)
    if data.filter is not None and data.ids is not None:
        raise senseless("filter or ids was expected, found both", "body")
    await s.wait_for(wait_for)
    tenant = s.identify(request).tenant
    row = await s.find("definitions", await definition_key(s, request, id, "definition"), tenant)
    if row.get("kind", "process") != "process":
        raise Problem(RejectionCode.INVALID_ARGUMENT, f"a process was expected, found a {row['kind']}")
    if data.model is None and not data.decision_overrides:
        raise senseless("model or decision_overrides was expected, found neither", "body")
    given = data.model or ModelGiven(version=str(row["key"]))
    models = [await _text(s, tenant, given, "body model")]
    models += [await _text(s, tenant, m, f"body decision_overrides[{n}]") for n, m in enumerate(data.decision_overrides)]
    rows, more = await _rows(s, tenant, data, id)
    caller = s.identify(request)
    async with s.replays.place((caller.tenant, caller.actor)):
        found = await _run(s, tenant, str(row.get("definition_id") or row["id"]), models, rows, data)
    if more:
        found["complete"], found["why"] = False, found["why"] or f"more instances fit the filter: the newest {len(rows)} were run"
    return reply(found)


async def _text(s: Services, tenant: str, given: ModelGiven, where: str) -> dict[str, Any]:
    """Raises: Problem."""
    if sum(x is not None for x in (given.content, given.draft, given.version)) != 1:
        raise senseless("content, draft or version was expected, one of them", where)
    if given.content is not None:
        return {"name": given.name, "content": given.content}
    if given.draft is not None:
        name, content = await draft_text(s, tenant, given.draft)
        return {"name": name, "content": content}
    assert given.version is not None
    key = key_of(given.version, f"{where}.version")
    found = await s.reads.source(str(key), tenant)
    if found is None:
        raise Problem(RejectionCode.NOT_FOUND, f"definition {key} has no source", where=f"{where}.version")
    return {"name": found["name"], "content": found["content"]}


async def _rows(s: Services, tenant: str, data: ReplayBody, id: str) -> tuple[list[dict[str, Any]], bool]:
    """(id and business key of each, whether there are more)."""
    if data.ids is not None:
        keys = list(dict.fromkeys(key_of(k, "body ids") for k in data.ids))
        return [{"id": str(k)} for k in keys[: data.limit]], len(keys) > data.limit
    wanted = {"definition": id, **{k: text_of(v) for k, v in (data.filter or {}).items()}}
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        try:
            page = await s.reads.list("instances", wanted, min(1_000, data.limit - len(rows)), cursor, tenant)
        except Problem as p:
            for error in p.extra.get("errors", ()):
                error["where"] = error["where"].replace("query", "body filter", 1)
            raise
        rows += page["items"]
        cursor = page["cursor"] or ""
        if not cursor or len(rows) >= data.limit:
            return rows, bool(cursor)


async def _called(models: Models, given: list[dict[str, Any]]) -> None:
    """What they call and don't define, in its newest version; and what that calls."""
    seen: set[tuple[str, str]] = set()
    ahead = given
    while ahead:
        wanted, defined = await asyncio.to_thread(needs, ahead)
        seen |= defined
        ahead = []
        for kind, id in sorted(wanted - seen):
            seen.add((kind, id))
            if content := await models.newest(kind, id):
                ahead.append({"name": f"{id}.model", "content": content})


class _Process:
    """Answers line by line; it is ended with whoever asks."""

    def __init__(self, process: asyncio.subprocess.Process, end: float) -> None:
        self.process, self.end = process, end

    async def ask(self, line: Any) -> dict[str, Any] | None:
        """None: its time is up, or it is gone."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            async with asyncio.timeout(max(0.01, self.end - time.monotonic())):
                self.process.stdin.write(encode(line) + b"\n")
                await self.process.stdin.drain()
                answer = await self.process.stdout.readline()
        except (TimeoutError, OSError, ValueError):
            return None
        found: dict[str, Any] | None = _decode(answer) if answer.endswith(b"\n") else None
        return found


@contextlib.asynccontextmanager
async def _process(seconds: float, plugins: tuple[str, ...]) -> AsyncIterator[_Process]:
    """It gets nothing of ours but where Python finds its modules: no setting, no secret."""
    env = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LANG", "LC_ALL")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", _MODULE, *plugins, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=env, limit=_LINE_MAX,
    )  # fmt: skip
    try:
        yield _Process(process, time.monotonic() + seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _run(
    s: Services, tenant: str, id: str, given: list[dict[str, Any]], rows: list[dict[str, Any]], data: ReplayBody
) -> dict[str, Any]:
    models = Models(s.reads, tenant)
    histories = Histories(s.reads, tenant, models)
    await _called(models, given)
    order = {"process": id, "tenant": tenant, "seconds": data.seconds, "save": data.tests, "model": given, "sources": models.told()}
    tally = _Tally(data)
    async with _process(_START_S + data.seconds + _SPARE_S, s.settings.plugins) as process:
        begun = await process.ask(order)
        if begun is None or "broken" in begun:
            raise Problem(
                RejectionCode.UNAVAILABLE, f"the replay did not begin: {(begun or {}).get('broken', 'no answer')}", retry_after_ms=1000
            )
        if "findings" in begun:
            findings = begun["findings"]
            errors = sum(1 for f in findings if f.get("severity", "error") == "error")
            text = findings[0]["message"] if len(findings) == 1 else f"{errors} error{'s' if errors != 1 else ''}: see findings"
            raise Problem(RejectionCode.MODEL_INVALID, text, findings=findings)
        end = time.monotonic() + data.seconds
        process.end = end + _SPARE_S
        why = ""
        for n, row in enumerate(rows):
            if time.monotonic() > end:
                why = f"{n} of {len(rows)} were run in {data.seconds} s"
                break
            try:
                answer = await process.ask(await histories.of(int(row["id"])))
            except TooLong as e:
                answer = {"outcome": "not_run", "message": str(e)}
            if answer is None:
                why = f"{n} of {len(rows)} were run in {data.seconds} s"
                break
            tally.add(row, answer)
    return {
        "process": begun["process"], "ran": tally.ran, "complete": not why, "why": why, "outcomes": dict(tally.outcomes), "elements": tally.elements(),
        "examples": tally.examples, "tests": tally.tests, "unsaved": tally.unsaved, "files": begun["files"] if tally.tests else {},
    }  # fmt: skip


class _Tally:
    def __init__(self, data: ReplayBody) -> None:
        self.most, self.ran = data.examples, 0
        self.outcomes: Counter[str] = Counter()
        self.at: dict[tuple[str, str], Counter[str]] = {}
        self.examples: list[dict[str, Any]] = []
        self.tests: list[dict[str, Any]] = []
        self.unsaved: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any], answer: dict[str, Any]) -> None:
        self.ran += 1
        if "broken" in answer:
            answer = {"outcome": "not_run", "message": answer["broken"]}
        outcome = answer["outcome"]
        self.outcomes[outcome] += 1
        if answer.get("element"):
            self.at.setdefault((answer.get("process", ""), answer["element"]), Counter())[outcome] += 1
        if outcome != "same" and self.outcomes[outcome] <= self.most:
            told = {k: v for k, v in answer.items() if k not in ("id", "test", "unsaved")}
            self.examples.append({"id": row["id"], "business_key": row.get("business_key"), **told})
        if test := answer.get("test"):
            self.tests.append({"id": row["id"], "test": test})
        elif why := answer.get("unsaved"):
            self.unsaved.append({"id": row["id"], "why": why})

    def elements(self) -> list[dict[str, Any]]:
        found = [{"process": process, "element": element, **{o: counts[o] for o in _AT}} for (process, element), counts in self.at.items()]
        return sorted(found, key=lambda x: -sum(v for v in x.values() if isinstance(v, int)))[:_ELEMENTS_MAX]


HANDLERS: list[Any] = [replay_definition]
