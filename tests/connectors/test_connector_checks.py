"""What is said of connectors before anything runs: findings at deployment, templates, commands, settings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import jsonschema_rs
import pytest
from pydantic import Field

from flowledger.connectors.catalogue import CONFIGS, connectors, name_of
from flowledger.connectors.check import findings
from flowledger.connectors.frame import Config
from flowledger.connectors.inputs import fields_of, literal
from flowledger.connectors.templates import template
from flowledger.connectors.uses import uses
from flowledger.infra.settings import Settings, SettingsError
from flowledger.kernel.model import read
from flowledger.kernel.model.connectors import ALIASES
from flowledger.system import System

SCHEMA = json.loads((Path(__file__).parent / "element-templates-schema.json").read_text())
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="x">
  <process id="p" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="t"/><serviceTask id="t"><extensionElements>
  <zeebe:taskDefinition type="{type}"/><zeebe:ioMapping>{inputs}</zeebe:ioMapping><zeebe:taskHeaders>{headers}</zeebe:taskHeaders></extensionElements>
  </serviceTask><sequenceFlow id="f2" sourceRef="t" targetRef="e"/><endEvent id="e"/></process></definitions>"""


def said(inputs: dict[str, str], headers: dict[str, str] | None = None, type: str = "flowledger:http") -> list[tuple[str, str, str]]:
    ins = "".join(f"<zeebe:input source='{v}' target='{k}'/>" for k, v in inputs.items())
    heads = "".join(f"<zeebe:header key='{k}' value='{v}'/>" for k, v in (headers or {}).items())
    graph, found = read(MODEL.format(type=type, inputs=ins, headers=heads).encode(), "m.bpmn")
    assert not [f for f in found if f.severity == "error"], found
    rows = findings(graph, "m.bpmn")
    assert all(f.element == "t" and f.line and f.hint for f in rows)
    return [(f.code, f.severity, f.message) for f in rows]


def test_uses_have_the_names_of_secrets_whatever_the_model_is_written_as():
    inputs = "<zeebe:input source='{{secrets.A}} and {{ secrets.B }}' target='url'/><zeebe:input source='=secrets.C + \"secrets.D\"' target='body'/>"
    heads = "<zeebe:header key='queryTemplate' value='{{secrets.A}}'/>"
    for type in ("flowledger:http", "io.camunda:http-json:1"):
        (use,) = uses(MODEL.format(type=type, inputs=inputs, headers=heads).encode(), "m.bpmn", "http")
        assert use == {"element": "t", "name": "t", "job_type": type, "process": "p", "secrets": ["A", "B", "C"]}
    assert uses(MODEL.format(type="flowledger:http", inputs=inputs, headers=heads).encode(), "m.bpmn", "sql") == []
    assert uses(MODEL.format(type="work", inputs="", headers="").encode(), "m.bpmn", "http") == []
    assert uses(b"<definitions", "m.bpmn", "http") == [] and uses(b"", "m.yaml", "http") == []


BEARER = {"authentication.type": "bearer", "authentication.token": "{{secrets.T}}"}


@pytest.mark.parametrize(
    "inputs,headers,words",
    [
        ({"url": "http://x", **BEARER}, {"resultExpression": "= {a: response.body}"}, ""),
        ({"url": "= address", "method": "= m", "authentication.type": "= kind", "authentication.token": "= t"}, {}, ""),
        ({"url": "http://x", "authentication": "= auth", "headers": "= h"}, {}, ""),
        ({"url": "http://x", "headers.x-a": "= 1", "timeoutInSeconds": "30"}, {}, ""),
        ({"url": "http://x", "other": "= 1"}, {}, ""),
        ({}, {"url": "http://x"}, ""),
        ({}, {}, "url"),
        ({"url": ""}, {}, "url"),
        ({"url": "http://x", "method": "YELL"}, {}, "method"),
        ({"url": "http://x", "authentication.type": "bearer"}, {}, "authentication.bearer.token"),
        ({"url": "http://x", "authentication.type": "magic"}, {}, "authentication"),
        ({"url": "= u", "authentication.type": "basic", "authentication.username": "= u"}, {}, "authentication.basic.password"),
        ({"url": "http://x", "timeoutInSeconds": "soon"}, {}, "timeoutInSeconds"),
        ({"url": "http://x", "body": "text"}, {}, "GET takes none"),
        ({"url": "http://x"}, {"resultExpression": "= {"}, "resultExpression"),
        ({"url": "http://x"}, {"errorExpression": "= if"}, "errorExpression"),
        ({"url": "http://x"}, {"retryBackoff": "soon"}, "retryBackoff"),
        ({"url": "http://x"}, {"resultVariable": "a b"}, "resultVariable"),
    ],
)  # fmt: skip
def test_findings(inputs, headers, words: str):
    found = said(inputs, headers)
    assert bool(found) == bool(words), found
    assert not words or (words in found[0][2] and found[0][1] == "error")


def test_findings_never_have_what_was_found():
    assert "hush" not in str(said({"url": "http://x", "method": "hush", "authentication.type": "bearer", "authentication.token": ""}))


def test_a_job_type_that_nobody_serves():
    assert [f[:2] for f in said({}, {}, "flowledger:nothing")] == [("CONNECTOR_UNKNOWN", "warning")]
    assert said({}, {}, "pay") == []


def test_the_catalogue_is_one():
    made = {c.name: c for c in connectors()}
    assert {n: c.config for n, c in made.items()} == CONFIGS
    for name, connector in made.items():
        assert connector.job_type == f"flowledger:{name}" and name_of(connector.job_type) == name
        assert set(connector.aliases) == {k for k, v in ALIASES.items() if v == connector.job_type}


@pytest.mark.parametrize("name", CONFIGS)
def test_templates_hold_to_their_schema_and_name_each_field(name: str):
    made = template(name)
    jsonschema_rs.validator_for(SCHEMA).validate(made)
    targets = {p["binding"]["name"].split(".")[0] for p in made["properties"] if p["binding"]["type"] == "zeebe:input"}
    heads = {p["binding"]["key"] for p in made["properties"] if p["binding"]["type"] == "zeebe:taskHeader"} & set(fields_of(CONFIGS[name]))
    left_out = {f.alias for f in CONFIGS[name].model_fields.values() if (f.json_schema_extra or {}).get("template") is False}
    assert targets | heads | left_out == set(fields_of(CONFIGS[name]))
    assert heads == literal(CONFIGS[name]) - left_out and not targets & literal(CONFIGS[name])
    ids = [p["id"] for p in made["properties"] if "id" in p]
    assert len(ids) == len(set(ids))


def test_a_context_within_has_its_fields_and_one_that_may_be_left_out_is_one(monkeypatch):
    class Place(Config):
        host: Annotated[str, Field(min_length=1)]
        port: int = 1

    class Nested(Config):
        """Goes somewhere."""

        place: Place
        other: Place | None = None
        either: Place | Config | None = None

    monkeypatch.setitem(CONFIGS, "nested", Nested)
    made = template("nested")
    jsonschema_rs.validator_for(SCHEMA).validate(made)
    rows = {p["id"]: p for p in made["properties"] if p.get("binding", {}).get("type") == "zeebe:input"}
    assert list(rows) == ["place.host", "place.port", "other", "either"]
    assert rows["place.host"]["constraints"] == {"notEmpty": True} and rows["other"]["optional"] and rows["other"]["feel"] == "required"


def test_what_a_template_fills_in_is_a_good_configuration():
    values = {
        p["binding"]["name"]: p["value"]
        for p in template("http")["properties"]
        if p["binding"]["type"] == "zeebe:input" and "value" in p and "condition" not in p
    }
    assert said({"url": "http://x", **{k: str(v).lower() if isinstance(v, bool) else v for k, v in values.items()}}) == []


def test_commands(tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "flowledger", *arguments], capture_output=True, text=True, timeout=120)

    assert json.loads(run("connectors", "list", "--json").stdout)[0]["job_type"] == "flowledger:http"
    assert run("connectors", "templates", "-o", str(tmp_path / "t")).returncode == 0
    assert json.loads((tmp_path / "t" / "flowledger-http.json").read_text()) == template("http")
    (tmp_path / "m.bpmn").write_text(MODEL.format(type="flowledger:http", inputs="", headers=""))
    checked = run("validate", "--json", str(tmp_path / "m.bpmn"))
    assert checked.returncode == 1 and "CONNECTOR_CONFIGURATION" in checked.stdout


@pytest.mark.parametrize("wrong", [{"secrets": ("nope",)}, {"egress_allow": ("a b",)}, {"egress_proxy": "ftp://x"}])
async def test_wrong_settings_stop_the_start(tmp_path, wrong):
    with pytest.raises(SettingsError):
        await System(Settings(data=tmp_path, port=0, roles=("owner", "connectors"), **wrong)).__aenter__()
