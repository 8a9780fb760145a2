"""A variable with all that is known of it, and who sees its value: what a model restricts is masked for roles without the right."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import httpx2
import pytest

from flowledger.sdk import Flow

from .conftest import first_admin, local_server

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
PROTECT = '<flowledger:protect xmlns:flowledger="urn:flowledger:bpmn:1" names="iban" class="confidential"/>'


def restricted() -> str:
    text = Flow("pay").start().user("look", assignee="eve").end().xml().decode()
    opening = text.index(">", text.index("<bpmn:process ")) + 1
    return f"{text[:opening]}<bpmn:extensionElements>{PROTECT}</bpmn:extensionElements>{text[opening:]}"


@pytest.mark.req("D-VAR-004")
def test_a_restricted_variable_is_masked_for_a_role_without_the_right(empty_database, tmp_path):
    with local_server(empty_database, tmp_path) as server, closing(first_admin(server.url, server.system.said)) as admin:
        keys = {}
        for role in ("viewer", "operator", "administrator"):
            made = admin.post("/v1/api-keys", json={"name": role, "roles": [role]})
            assert made.status_code == 201, made.text
            keys[role] = made.json()["key"]
        deployed = admin.post("/v1/deployments", json={"resources": [{"name": "pay.bpmn", "content": restricted()}]})
        assert deployed.status_code == 201, deployed.text
        said = {"definition": "pay", "variables": {"iban": "DE89", "sum": 12}}
        key = admin.post("/v1/instances", json=said).json()["id"]
        changed = admin.patch(f"/v1/instances/{key}/variables", json={"variables": {"sum": 13}})
        path = f"/v1/instances/{key}/variables"

        def of(role: str, **headers: str) -> Any:
            asked = {"wait_for": changed.json()["position"]}
            return httpx2.get(f"{server.url}{path}", params=asked, headers={"Authorization": f"Bearer {keys[role]}", **headers}, timeout=60)

        for role in keys:
            items = {item["name"]: item for item in of(role).json()["items"]}
            assert items["iban"]["value"] == "[protected]" and items["sum"]["value"] == 13
            about = [(i["name"], i["type"], i["scope"], i["scope_key"]) for i in items.values()]
            assert about == [("iban", about[0][1], "workflow", key), ("sum", "number", "workflow", key)]
            assert items["sum"]["created_at"] < items["sum"]["updated_at"] and items["iban"]["created_at"] == items["iban"]["updated_at"]
        why = {"X-Clear-Text": "asked by the customer"}
        for role in ("viewer", "operator"):
            refused = of(role, **why)
            assert refused.status_code == 403 and "DE89" not in refused.text, "nor for a reason"
        shown = of("administrator", **why)
        assert {i["name"]: i["value"] for i in shown.json()["items"]} == {"iban": "DE89", "sum": 13}
        deadline = time.monotonic() + 30
        while not (told := admin.get("/v1/operations", params={"operation": "read_protected"}).json()["items"]):
            assert time.monotonic() < deadline, "who saw it is written down"
            time.sleep(0.1)
        assert [row["reason"] for row in told] == ["asked by the customer"]
