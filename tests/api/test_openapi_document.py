"""The OpenAPI document: the copy in `schemas/` is the served one, names are stable and say something, every answer has a type."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
pytestmark = pytest.mark.req("D-API-037", "D-API-038", "D-API-031")


@pytest.fixture(scope="module")
def document():
    from schemas import openapi  # tools/schemas.py

    text = openapi()
    assert (ROOT / "schemas" / "openapi.json").read_text() == text, "make schemas"
    return json.loads(text)


def operations(document):
    return [(path, method, o) for path, methods in document["paths"].items() for method, o in methods.items()]


@pytest.mark.req("D-API-037", "D-API-038")
def test_every_operation_has_a_name_of_its_own(document):
    names = [o["operationId"] for _, _, o in operations(document)]
    assert len(names) == len(set(names)) and all(re.fullmatch(r"[a-z]+(_[a-z]+)*", n) for n in names)
    assert {"start_instance", "list_instances", "deploy", "activate_jobs", "get_instance_events", "publish_message"} <= set(names)
    assert all(o["summary"] and o["tags"] for _, _, o in operations(document))


def test_every_answer_has_a_type_and_every_refusal_is_a_problem(document):
    schemas = document["components"]["schemas"]
    for path, method, o in operations(document):
        for status, response in o["responses"].items():
            for kind, content in response.get("content", {}).items():
                if status.startswith("2") and kind == "application/json":
                    name = content["schema"]["$ref"].rpartition("/")[2]
                    assert schemas[name]["properties"], (path, method, name)
                elif not status.startswith("2") and path.startswith("/v1"):
                    assert kind == "application/problem+json" and content["schema"]["$ref"].endswith("/Problem")
        assert "default" in o["responses"] or not path.startswith("/v1")


def test_every_list_has_one_shape(document):
    pages = {n: s for n, s in document["components"]["schemas"].items() if n.endswith("Page")}
    assert len(pages) >= 8
    for name, schema in pages.items():
        assert set(schema["properties"]) == {"items", "cursor", "position"} and schema["required"] == ["items"], name
    text = json.dumps(document)
    assert '"next"' not in text and '"next_cursor"' not in text


@pytest.mark.req("APG-DAT-001", "APG-DAT-004")
def test_bodies_are_strict_and_have_examples(document):
    schemas = document["components"]["schemas"]
    assert all(s["additionalProperties"] is False for n, s in schemas.items() if n.endswith("Body"))
    start = next(o for _, _, o in operations(document) if o["operationId"] == "start_instance")
    assert start["requestBody"]["content"]["application/json"]["example"]["definition"]
    refs = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert refs <= set(schemas), refs - set(schemas)
