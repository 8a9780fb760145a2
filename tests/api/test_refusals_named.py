"""What a door refuses stands in the log of operations under the name and the kind by which what was granted stands there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowledger.api.refusals import named
from flowledger.kernel.operations import OPERATIONS, SERVICES, kind_of

pytestmark = pytest.mark.req("D-CMP-002", "WOS-SEC-002")
DOCUMENT = json.loads((Path(__file__).parents[2] / "schemas" / "openapi.json").read_text())
#: things that only a door has
OF_DOORS = {
    "account",
    "decision",
    "kpi",
    "saved_report",
    "report_schedule",
    "report",
    "prediction",
    "predictions",
    "simulation",
    "draft",
    "advice",
    "legal_hold",
    "consent",
    "subject",
    "model",
    "models",
    "migration",
    "entry",
    "task_definition",
    "limit",
    "capability",
    "profile",
    "retention",
    "approval",
    "saved_view",
    "password",
    "in",
    "out",
    "link",
    "user",
    "key",
    "",
}


def changing() -> list[tuple[str, str]]:
    return [
        (path, o["operationId"])
        for path, methods in DOCUMENT["paths"].items()
        for method, o in methods.items()
        if method in ("post", "put", "patch", "delete") and path.startswith("/v1")
    ]


def known_kinds() -> set[str]:
    return {kind_of(command) for command in OPERATIONS | SERVICES}


@pytest.mark.parametrize(("path", "operation"), changing(), ids=[o for _, o in changing()])
def test_each_operation_of_the_api_is_about_something_that_the_ledger_knows(path: str, operation: str) -> None:
    name, kind = named(operation)
    assert name and kind in known_kinds() | OF_DOORS, (path, name, kind)
    if path.startswith("/v1/instances/{id}"):
        assert kind == "instance", "the filter by instance finds it"
