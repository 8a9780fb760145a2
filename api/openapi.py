"""What the framework can't know of the handlers: problem details, multipart deployments, headers, examples, names of operations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from flowledger.api import answers
from flowledger.api.edge import KEY_MAX
from flowledger.api.previews import PLAN_PATTERN
from flowledger.api.problems import MEDIA_TYPE
from flowledger.infra.settings import Settings

if TYPE_CHECKING:
    from litestar import Litestar

#: kinds of text and files that `GET /v1/exports` gives
EXPORTED = (
    "application/xml", "application/json", "text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/vnd.apache.parquet",
    "application/problem+json",
)  # fmt: skip
#: the largest whole number that JavaScript holds
INT_MAX = (1 << 53) - 1
#: what can be refused, by method; `default` is all the rest
ERRORS = {
    "get": ("400", "401", "403", "404", "406", "503"),
    "delete": ("400", "401", "403", "404", "409", "503"),
    "post": ("400", "401", "403", "404", "409", "413", "415", "422", "429", "503", "504"),
}
ERRORS["put"] = ERRORS["patch"] = ERRORS["post"]
TEXTS = {
    "400": "Can't be understood", "401": "Who asks is not known", "403": "Not allowed",
    "404": "Not found", "406": "Not in this form", "409": "Not in this state", "412": "Changed since it was read", "413": "Too large",
    "415": "Not JSON", "422": "Refused", "429": "Too much at once", "503": "Not available now", "504": "No answer in time",
    "default": "Refused",
}  # fmt: skip
IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 200},
    "description": "A repeated request with this key gets the first answer; one for each wish, up to 200 characters",
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": r'^(\*|(W/)?"[0-9]{1,18}"|[0-9]{1,18})$'},
    "description": "The `ETag` of what was read: 412 when it has changed since",
}
DRY_RUN = {
    "name": "dry_run",
    "in": "query",
    "required": False,
    "schema": {"type": "boolean"},
    "description": "Nothing happens: the answer is the `Plan` of what would",
}
SEEN_PLAN = {
    "name": "plan",
    "in": "query",
    "required": False,
    "schema": {"type": "string", "pattern": PLAN_PATTERN},
    "description": "The `plan` that a dry run answered: 409 (STALE) when something else would happen by now",
}
#: paths whose answer isn't remembered: nothing happens twice there
WITHOUT_KEY = ("/v1/jobs/activate", "/v1/decisions/evaluate", "/v1/definitions/{id}/replay")
#: what changes accounts or drafts, or only looks at models, is no command
ACCOUNTS = (
    "/v1/session",
    "/v1/me",
    "/v1/users",
    "/v1/api-keys",
    "/v1/step-ups",
    "/v1/drafts",
    "/v1/models",
    "/v1/predictions",
    "/v1/simulations",
)
#: each change there makes several commands, one with the time in it, or none: no id of a request stands for its answer
BY_ITSELF = ("/v1/subjects", "/v1/legal-holds", "/v1/retention", "/v1/retention-steps", "/v1/rules", "/v1/tenants")
#: the framework's name of a page's schema
_PAGE = re.compile(rb"Page_flowledger\.api\.answers\.\w+\.(\w+)_")
MODEL = (
    '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="t"><process id="hello" isExecutable="true">'
    '<startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="e"/><endEvent id="e"/></process></definitions>'
)
#: operation -> a body
EXAMPLES: dict[str, Any] = {
    "deploy": {"resources": [{"name": "hello.bpmn", "content": MODEL}]},
    "create_definition": {"name": "hello.bpmn", "content": MODEL},
    "start_instance": {"definition": "hello", "variables": {"amount": 120}, "business_key": "A-17"},
    "activate_jobs": {"type": "charge-card", "worker": "worker-1", "max": 10, "timeout_ms": 60000},
    "publish_message": {"name": "paid", "correlation_key": "A-17", "variables": {"amount": 120}},
    "broadcast_signal": {"name": "closing-time"},
    "evaluate_decision": {"decision": "approval-level", "inputs": {"amount": 120}},
    "set_variables": {"variables": {"amount": 130}},
}
#: handlers whose own name says too little beside those of other nouns
_NOUN = {
    "holds": "hold",
    "instances": "instance",
    "tasks": "task",
    "jobs": "job",
    "definitions": "definition",
    "incidents": "incident",
    "dead-letters": "dead_letter",
    "batches": "batch",
    "directory": "entry",
}
_RENAMED = {
    ("jobs", "activate"): "activate_jobs", ("messages", "publish"): "publish_message", ("signals", "broadcast"): "broadcast_signal",
    ("signals", "evaluate_conditions"): "evaluate_conditions", ("decisions", "evaluate"): "evaluate_decision",
    ("events", "stream"): "stream_events", ("deployments", "deploy"): "deploy", ("tasks", "change"): "move_task",
    ("definitions", "change"): "move_definition", ("instances", "variables"): "get_variables", ("instances", "set_variables"): "set_variables",
    ("health", "live"): "get_live", ("health", "ready"): "get_ready", ("health", "metrics"): "get_metrics",
}  # fmt: skip
#: handlers that only read a part of what their noun names
_PARTS = frozenset({"events", "state", "status", "metrics", "tree", "source", "diagram", "diff"})


def operation_id(handler: Any, method: Any, path_components: Any) -> str:
    """`start_instance`, `list_tasks`, `get_instance_events`: a verb and what it is about; stable, since generated clients name methods by it."""
    tag = min(handler.resolve_tags() or [""])
    name = handler.fn.__name__
    noun = _NOUN.get(tag, "")
    if (tag, name) in _RENAMED:
        return _RENAMED[(tag, name)]
    if name in _PARTS and noun:
        return f"get_{noun}_{name}"
    return name if not noun or noun in name or tag == "directory" else f"{name}_{noun}"


#: of a text in a path or query: the guard refuses control characters
_PLAIN = r"^[^\x00-\x1f\x7f]*$"


def below(path: str, roots: tuple[str, ...]) -> bool:
    return f"{path}/".startswith(tuple(f"{root}/" for root in roots))


def remembered(path: str) -> bool:
    """Whether the `Idempotency-Key` of a change at this path (as a template) stands for its answer."""
    return path not in WITHOUT_KEY and not below(path, (*ACCOUNTS, *BY_ITSELF))


def document(app: Litestar) -> dict[str, Any]:
    """The whole document of an application."""
    schema = completed(app.openapi_schema.to_schema())
    _bodies(schema, app, app.state["services"].settings)
    _locks(schema, app)
    _previews(schema, app)
    return schema


def completed(schema: dict[str, Any]) -> dict[str, Any]:
    """With all that handlers share."""
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    _, more = msgspec.json.schema_components([answers.Problem, answers.Plan, answers.ObjectLog], ref_template="#/components/schemas/{name}")
    schemas |= {name: {k: v for k, v in s.items()} for name, s in more.items()}
    problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            if method not in ERRORS:
                continue
            responses = operation.setdefault("responses", {})
            for status in [s for s in responses if s.startswith(("4", "5"))]:
                del responses[status]
            for status, response in responses.items():
                if status.startswith("2"):
                    response["description"] = operation.get("summary", response.get("description", ""))
            for status in (*ERRORS[method], "default"):
                responses[status] = {"description": TEXTS[status], "content": problem}
            if path == "/health/ready":
                responses["503"] = {"description": "Not ready", "content": dict(responses["200"]["content"])}
            if method in ("post", "put", "patch", "delete") and path not in WITHOUT_KEY and not below(path, ACCOUNTS):
                operation.setdefault("parameters", []).append(IDEMPOTENCY)
            if (example := EXAMPLES.get(operation["operationId"])) is not None:
                operation["requestBody"]["content"]["application/json"]["example"] = example
            for parameter in operation.get("parameters", ()):
                if parameter["in"] != "header":
                    _plain(parameter["schema"])
    _texts(schema["paths"])
    named: dict[str, Any] = msgspec.json.decode(_PAGE.sub(rb"\1Page", msgspec.json.encode(schema)))
    return named


def _locks(schema: dict[str, Any], app: Litestar) -> None:
    """Who changes what has a version may say which one was seen."""
    for route in app.routes:
        for method, (handler, _) in getattr(route, "route_handler_map", {}).items():
            if handler.opt.get("locks") and route.path_format in schema["paths"]:
                operation = schema["paths"][route.path_format][method.lower()]
                operation.setdefault("parameters", []).append(IF_MATCH)
                operation["responses"]["412"] = {"description": TEXTS["412"], "content": operation["responses"]["409"]["content"]}


def _previews(schema: dict[str, Any], app: Litestar) -> None:
    """A change that can be asked about before it is made."""
    plan = {"application/json": {"schema": {"$ref": "#/components/schemas/Plan"}}}
    for route in app.routes:
        for method, (handler, _) in getattr(route, "route_handler_map", {}).items():
            if handler.opt.get("previews"):
                operation = schema["paths"][route.path_format][method.lower()]
                operation.setdefault("parameters", []).extend((DRY_RUN, SEEN_PLAN))
                if "200" not in operation["responses"]:
                    operation["responses"]["200"] = {"description": "What would happen (dry_run)", "content": plan}


def _plain(schema: dict[str, Any]) -> None:
    for each in (schema, *schema.get("oneOf", ()), *schema.get("anyOf", ())):
        if each.get("type") == "string" and not {"pattern", "enum", "format", "const"} & each.keys() | ({"pattern"} & schema.keys()):
            each["pattern"] = _PLAIN
        elif each.get("type") == "array":
            _plain(each["items"])


def _bodies(schema: dict[str, Any], app: Litestar, settings: Settings) -> None:
    """Bodies as the decoder takes them: the framework leaves out that they are strict, and the bounds inside of lists and unions.

    Waits are bounded by a setting, whole numbers by what JavaScript holds, and a change of tokens changes at least one.
    """
    schemas = schema["components"]["schemas"]
    for route in app.routes:
        for method, (handler, _) in getattr(route, "route_handler_map", {}).items():
            operation = schema["paths"].get(getattr(route, "path_format", ""), {}).get(method.lower())
            field = getattr(handler, "parsed_data_field", None)
            content = (operation or {}).get("requestBody", {}).get("content", {}).get("application/json")
            if field is None or content is None:
                continue
            if type(None) in get_args(field.annotation):  # may be left out; a body of `null` is none
                operation["requestBody"]["required"] = False
                content["schema"] = next((x for x in content["schema"].get("oneOf", ()) if x.get("type") != "null"), content["schema"])
            types = [t for t in (field.annotation, *get_args(field.annotation)) if isinstance(t, type) and issubclass(t, msgspec.Struct)]
            if not types:
                continue
            noun = types[0].__module__.rpartition(".")[2]
            _, found = msgspec.json.schema_components(types[:1], ref_template=f"#/components/schemas/{noun}_{{name}}")
            for name, each in found.items():
                schemas.pop(name, None)
                schemas[f"{noun}_{name}"] = _bounded(each)
            content["schema"] = {"$ref": f"#/components/schemas/{noun}_{types[0].__name__}"}
            properties = schemas[f"{noun}_{types[0].__name__}"]["properties"]
            if "wait_ms" in properties:
                properties["wait_ms"]["maximum"] = settings.wait_ms_max
    some = [{"required": [field], "properties": {field: {"minItems": 1}}} for field in ("instructions", "activate", "terminate")]
    schemas["control_ModifyBody"]["anyOf"] = some


def _bounded(schema: Any) -> Any:
    if isinstance(schema, dict):
        # keys may be larger: they are taken as numbers, too, from those who hold them
        found = {k: v if v == KEY_MAX else min(v, INT_MAX) if k == "maximum" else _bounded(v) for k, v in schema.items()}
        return {**found, "minLength": 20} if schema.get("format") == "date-time" else found
    return [_bounded(v) for v in schema] if isinstance(schema, list) else schema


def _texts(paths: dict[str, Any]) -> None:
    """Answers and bodies that aren't JSON alone."""
    text = {"schema": {"type": "string"}}
    fields = {"event": {"type": "string"}, "id": {"type": "string"}, "data": {"type": "string"}, "retry": {"type": "integer"}}
    one = {"description": "One of the stream's events", "type": "object", "properties": fields}
    paths["/v1/events"]["get"]["responses"]["200"]["content"] = {"text/event-stream": {"schema": one}}
    paths["/v1/definitions/{id}/source"]["get"]["responses"]["200"]["content"] = {"application/xml": {}, "text/plain": text}
    paths["/v1/definitions/{id}/diagram"]["get"]["responses"]["200"]["content"] = {"application/xml": {}}
    for what in ("report", "duties", "rules", "access"):
        paths[f"/v1/evidence/{what}"]["get"]["responses"]["200"]["content"] |= {"text/csv": text, "text/html": text}
    paths["/v1/exports"]["get"]["responses"]["200"]["content"] = {
        **{kind: {} for kind in EXPORTED if kind != MEDIA_TYPE},
        "application/json": {"schema": {"$ref": "#/components/schemas/ObjectLog"}},
        "text/csv": text,
    }
    tables = [kind for kind in EXPORTED if kind.startswith("application/vnd.")]
    paths["/v1/saved-reports/{name}/export"]["get"]["responses"]["200"]["content"] = {"text/csv": text, **{kind: {} for kind in tables}}
    for noun in ("tasks", "instances"):
        path = paths[f"/v1/{noun}/{{id}}/files/{{name}}"]
        path["get"]["responses"]["200"]["content"] = {"application/octet-stream": {}}
        path["put"]["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    paths["/metrics"]["get"]["responses"]["200"]["content"] = {"text/plain": text, "application/openmetrics-text": text}
    paths["/v1/deployments"]["post"]["requestBody"]["content"]["multipart/form-data"] = {
        "schema": {
            "type": "object",
            "required": ["resources"],
            "properties": {
                "resources": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "string", "contentMediaType": "application/octet-stream", "minLength": 1, "pattern": r"\S"},
                    "description": "The files (a file's field may have any other name, too)",
                },
                "status": {"enum": ["published", "draft"]},
                "metadata": {"type": "string", "contentMediaType": "application/json"},
            },
            "additionalProperties": False,
        }
    }
