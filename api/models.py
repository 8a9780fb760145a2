"""Models on the desk: check, convert, compare with what runs, and try. Nothing of it is kept, nothing happens outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from litestar import Response, post
from msgspec import Meta

from flowledger.api import answers as a
from flowledger.api import checking, trying
from flowledger.api.edge import ApiRequest, Body, Name, Text, reply
from flowledger.api.problems import Problem, senseless
from flowledger.api.services import Services, services_of
from flowledger.events.base import RejectionCode
from flowledger.kernel import limits
from flowledger.kernel.model import formats
from flowledger.kernel.model.diff import compare
from flowledger.kernel.model.encodings import decode, utf8

T = TypeVar("T")
MODELS_MAX = 20
#: files beside one that is checked
BESIDE_MAX = limits.DMN_MODELS_MAX


class ModelBody(Body):
    """`name` is the file's name; `content` its text, in any format that can be deployed."""

    name: Name
    content: Annotated[str, Meta(max_length=16 * 1024 * 1024)]


class CheckBody(ModelBody):
    """`beside`: files that would be deployed with it; decision models find one another among them."""

    beside: Annotated[list[ModelBody], Meta(max_length=BESIDE_MAX)] = []


class ConvertBody(ModelBody):
    """`to`: BPMN with a diagram, the simplified JSON of processes, steps, or BPML."""

    to: Literal["bpmn", "process-json", "steps", "bpml"] = "bpmn"


class TryBody(Body):
    """`steps`, `mocks` and `now` as in tests as data (docs/testing.md); an instance is named by its process and number, such as `order#1`."""

    models: Annotated[list[ModelBody], Meta(min_length=1, max_length=MODELS_MAX)]
    steps: Annotated[list[dict[str, Any]], Meta(max_length=500)] = []
    mocks: dict[str, Any] | None = None
    now: Text = ""


class ModelDefinition(msgspec.Struct, kw_only=True):
    """What a model defines. `kind`: process, decision, drg or form."""

    kind: str
    id: str
    name: str


class Checked(msgspec.Struct, kw_only=True):
    """`format`: one of those that can be deployed, or `unknown`."""

    format: str
    definitions: list[ModelDefinition]
    findings: list[a.Finding]


class Converted(msgspec.Struct, kw_only=True):
    """`content` null: it can't be; `findings` say why, or what could not be kept. `same`: what was written, read again, does the same, by the hash of its
    graph; null: not compared (BPMN)."""

    name: str
    content: str | None
    findings: list[a.Finding]
    same: bool | None = None


class Running(msgspec.Struct, kw_only=True):
    """A definition of a model beside the newest that is deployed. `key` null: there is none yet. `changes` as in `Diff`."""

    kind: str
    id: str
    key: a.Key | None
    version: int | None
    changes: list[dict[str, Any]]
    text: str


class Compared(msgspec.Struct, kw_only=True):
    items: list[Running]
    findings: list[a.Finding]


class Tried(msgspec.Struct, kw_only=True):
    """What is there after the last of `done` steps. `test`: the run as a file of tests."""

    now: str
    done: int
    failed: dict[str, Any] | None
    instances: list[dict[str, Any]]
    waiting: list[dict[str, Any]]
    published: list[dict[str, Any]]
    signalled: list[dict[str, Any]]
    coverage: list[dict[str, Any]]
    test: dict[str, Any]


async def _work(s: Services, request: ApiRequest, work: Callable[..., T], *values: Any) -> T:
    caller = s.identify(request)
    return await s.room.work((caller.tenant, caller.actor), work, *values)


def _finding(f: Any) -> dict[str, Any]:
    return msgspec.structs.asdict(f)


def _view(s: Services, name: str, content: str, looked: checking.Looked, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    from flowledger.kernel.model.graph import contents

    found = [*checking.told(looked, rows), *s.findings_of(looked.graph, name)]
    defined = [{"kind": kind, "id": id, "name": called or ""} for kind, id, called, _ in contents(looked.graph) if kind != "drg"]
    return {"format": formats.detect(utf8(content), name), "definitions": defined, "findings": [_finding(f) for f in found]}


async def _checked(s: Services, request: ApiRequest, data: ModelBody, beside: Sequence[ModelBody] = ()) -> dict[str, Any]:
    if not data.content.strip():
        return {"format": formats.detect(utf8(data.content), data.name), "definitions": [], "findings": []}
    looked = await _work(s, request, checking.look, data.name, data.content, [(one.name, one.content) for one in beside])
    rows = await checking.deployed(s, s.identify(request).tenant, looked.wanted)
    return await _work(s, request, _view, s, data.name, data.content, looked, rows)


@post("/models/check", status_code=200, summary="Check a model")
async def check_model(request: ApiRequest, data: CheckBody) -> Response[Checked]:
    """All findings of a text, whatever it is: what `flowledger validate` says, those of connectors as well. What a decision model imports is looked
    for as when it is deployed: among the files `beside` it, then among what is published."""
    return reply(await _checked(services_of(request), request, data, data.beside))


@post("/models/convert", status_code=200, summary="Write a model in another format")
async def convert_model(request: ApiRequest, data: ConvertBody) -> Response[Converted]:
    """To BPMN in our dialect with a diagram, from any format, to the simplified JSON, to steps, or to BPML: what `flowledger convert` writes."""
    s = services_of(request)
    if not data.content.strip():
        raise senseless("a model was expected, found nothing", "body content")
    return reply(await _work(s, request, _converted, data.name, data.content, data.to))


def _converted(name: str, content: str, to: str = "bpmn") -> dict[str, Any]:
    from flowledger.kernel.model.drawn import as_bpmn, as_text

    file = name.rpartition(".")[0] or name
    if to != "bpmn":
        written, findings, same = as_text(utf8(content), name, to)
        return {
            "name": file + {"steps": ".steps.json", "bpml": ".bpml"}.get(to, ".json"),
            "content": written,
            "findings": [_finding(f) for f in findings],
            "same": same,
        }
    found, findings = as_bpmn(utf8(content), name)
    text = None if found is None else decode(found)
    return {"name": f"{file}.bpmn", "content": text, "findings": [_finding(f) for f in findings], "same": None}


@post("/models/compare", status_code=200, summary="Compare a model with what is deployed")
async def compare_model(request: ApiRequest, data: ModelBody) -> Response[Compared]:
    """For each process, decision and form that it defines: elements added, changed and gone since the newest version that is deployed."""
    s = services_of(request)
    found = await _checked(s, request, data)
    tenant = s.identify(request).tenant
    items: list[dict[str, Any]] = []
    sources: dict[str, dict[str, Any]] = {}
    for kind, id in ((d["kind"], d["id"]) for d in found["definitions"]):
        row = await s.reads.get("definitions", id, tenant)
        if row is None or row.get("kind", kind) != kind:
            items.append({"kind": kind, "id": id, "key": None, "version": None, "changes": [], "text": ""})
            continue
        key = str(row["key"])
        source = await s.reads.source(key, tenant)
        item = {"kind": kind, "id": id, "key": key, "version": row["version"], "changes": [], "text": ""}
        if source is not None:
            if source["content"] not in sources:
                sources[source["content"]] = await _work(s, request, compare, source["content"], source["name"], data.content, data.name)
            item |= {k: sources[source["content"]][k] for k in ("changes", "text")}
        items.append(item)
    return reply({"items": items, "findings": found["findings"]})


@post("/models/try", status_code=200, summary="Try models")
async def try_models(request: ApiRequest, data: TryBody) -> Response[Tried]:
    """Runs them by steps on the real engine, in memory: no log, no jobs for workers, no connector, a clock of its own. Nothing is kept: each request does
    all steps again. What the models call by name or import and don't bring is there as it is deployed. 422 with `findings` when a model has errors, 429 when
    too much is tried at once. A step that fails is told in `failed`."""
    from flowledger.sdk.testing import data as words
    from flowledger.sdk.testing import trial
    from flowledger.sdk.testing.errors import ModelInvalid, Refused

    s = services_of(request)
    models = {m.name: m.content for m in data.models}
    if len(models) < len(data.models):
        raise senseless("each model with a name of its own was expected", "body models")
    try:
        known, files = await trying.needed(s, s.identify(request).tenant, models, partial(_work, s, request))
        run = partial(trial.run_trial, {**files, **models}, data.steps, now=data.now, mocks=data.mocks, known=known)
        found = await _work(s, request, run)
    except words.BadTest as e:
        raise senseless(str(e), "body") from None
    except ModelInvalid as e:
        errors = sum(1 for f in e.findings if f.get("severity", "error") == "error")
        raise Problem(
            RejectionCode.MODEL_INVALID, f"{errors} error{'s' if errors != 1 else ''}: see findings", findings=e.findings
        ) from None
    except (trial.TooMuch, Refused, ValueError, TypeError, AssertionError) as e:
        raise Problem(RejectionCode.INVALID_ARGUMENT, str(e)) from None
    return reply(found)


HANDLERS: list[Any] = [check_model, convert_model, compare_model, try_models]
