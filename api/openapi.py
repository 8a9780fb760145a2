"""What the generated OpenAPI document doesn't know by itself: problem details, multipart deployments, headers, shapes of answers."""

from __future__ import annotations

from typing import Any

from flowledger.api.problems import MEDIA_TYPE

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `code` is for programs, `detail` for people.",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {"type": "object", "properties": {"where": {"type": "string"}, "message": {"type": "string"}}},
        },
        "findings": {"type": "array", "items": {"$ref": "#/components/schemas/Finding"}},
        "retry_after_ms": {"type": "integer"},
    },
}
FINDING: dict[str, Any] = {
    "type": "object",
    "required": ["code", "message", "severity"],
    "properties": {
        "file": {"type": "string"},
        "line": {"type": "integer"},
        "column": {"type": "integer"},
        "element": {"type": ["string", "null"]},
        "severity": {"enum": ["error", "warning", "info"]},
        "code": {"type": "string"},
        "message": {"type": "string"},
        "hint": {"type": "string"},
    },
}
#: what can be refused, by method
ERRORS = {"get": ("400", "404", "503"), "delete": ("400", "404", "409"), "post": ("400", "404", "409", "415", "422", "429", "503", "504")}
ERRORS["put"] = ERRORS["patch"] = ERRORS["post"]
TEXTS = {
    "400": "Can't be understood", "404": "Not found", "409": "Not in this state", "415": "Not JSON", "422": "Refused",
    "429": "Too much at once",
    "503": "Not available now", "504": "No answer in time",
}  # fmt: skip
OBJECT = {"type": "object", "additionalProperties": True}
PAGED = {
    "type": "object",
    "required": ["items", "next"],
    "properties": {
        "items": {"type": "array", "items": OBJECT},
        "next": {"type": ["string", "null"], "description": "cursor of the next page"},
    },
}
IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 200},
    "description": "A repeated request with this key gets the first answer",
}


def completed(schema: dict[str, Any]) -> dict[str, Any]:
    """The document with all that handlers share."""
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    schemas |= {"Problem": PROBLEM, "Finding": FINDING}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            if method not in ERRORS:
                continue
            responses = operation.setdefault("responses", {})
            for status in [s for s in responses if s.startswith("4") or s.startswith("5")]:
                del responses[status]
            if path.startswith("/v1"):
                for status in ERRORS[method]:
                    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
                    responses[status] = {"description": TEXTS[status], "content": content}
                if method == "post" and not path.endswith("/activate"):
                    operation.setdefault("parameters", []).append(IDEMPOTENCY)
            elif path == "/health/ready":
                responses["503"] = {"description": "Not ready", "content": {"application/json": {"schema": OBJECT}}}
            for status, response in responses.items():
                if status.startswith("2"):
                    response["description"] = operation.get("summary", response.get("description", ""))
                    for kind, content in response.get("content", {}).items():
                        if kind == "application/json":
                            listed = method == "get" and path.count("{") == 0 and path.startswith("/v1") or path.endswith("}/events")
                            content["schema"] = PAGED if listed else OBJECT
                        else:
                            content["schema"] = {"type": "string"}
    deploy = schema["paths"]["/v1/deployments"]["post"]["requestBody"]["content"]
    deploy["multipart/form-data"] = {
        "schema": {
            "type": "object",
            "properties": {
                "resources": {"type": "array", "items": {"type": "string", "contentMediaType": "application/octet-stream"}},
                "status": {"enum": ["published", "draft"]},
                "metadata": {"type": "string", "contentMediaType": "application/json"},
            },
        }
    }
    return schema
