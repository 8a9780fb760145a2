"""Requests made up from the OpenAPI document: whatever comes, no error of ours, and each refusal is a problem with a code."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from flowledger.api.app import create_app
from flowledger.api.services import Services
from flowledger.infra.settings import Settings

_spec = spec_from_file_location("api_conftest_contract", Path(__file__).with_name("conftest.py"))
_conf = module_from_spec(_spec)  # type: ignore[arg-type]
_spec.loader.exec_module(_conf)  # type: ignore[union-attr]


def answering() -> object:
    client = _conf.ScriptedClient()
    client.answers["StartInstance"] = {"key": 9, "status": "running", "position": "0-1"}
    client.answers["Deploy"] = {"deployment": 1, "definitions": [], "position": "0-1"}
    return client


reads = _conf.RowsInMemory()
reads.rows["instances"].append(_conf.instance_row(7))
app = create_app(Services(answering(), reads, Settings(hosts=("testserver", "localhost", "127.0.0.1"), wait_ms_max=10)))  # type: ignore[arg-type]
schema = schemathesis.openapi.from_asgi("/v1/openapi.json", app).exclude(path="/v1/events").exclude(path="/metrics")


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
def test_whatever_comes_is_answered_clearly(case):
    response = case.call()
    assert response.status_code < 500 or (case.path == "/health/ready" or response.status_code in (503, 504)), response.text
    if response.status_code >= 400 and case.path.startswith("/v1"):
        problem = response.json()
        assert response.headers["content-type"][0].startswith("application/problem+json")
        assert problem["code"] and problem["status"] == response.status_code and problem.get("detail"), problem
