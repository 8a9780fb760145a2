"""API profiles on the command line: deployed beside models, listed, looked at by version, removed."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.req("D-CON-005")
PROFILE = """name: cli-carrier
title: The carrier
base_url: https://api.carrier.example/v2
authentication: {type: bearer, token: "{{secrets.CARRIER}}"}
limits: {concurrency: %d}
"""
MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="t">
<process id="cli-profiles" isExecutable="true"><startEvent id="s"/><serviceTask id="call"><extensionElements><zeebe:taskDefinition type="flowledger:http"/>
<zeebe:ioMapping><zeebe:input source="/quotes" target="url"/></zeebe:ioMapping><zeebe:taskHeaders><zeebe:header key="profile" value="cli-carrier"/></zeebe:taskHeaders>
</extensionElements></serviceTask><endEvent id="e"/><sequenceFlow id="a" sourceRef="s" targetRef="call"/><sequenceFlow id="b" sourceRef="call"
 targetRef="e"/></process></definitions>"""


def test_a_profile_is_deployed_beside_models_and_kept_by_version(done, tmp_path):
    file, model = tmp_path / "carrier.profile.yaml", tmp_path / "p.bpmn"
    file.write_text(PROFILE % 2)
    model.write_text(MODEL)
    assert "PROFILE_UNKNOWN" in done("deploy", model)
    both = done("deploy", model, file)
    assert "API profile cli-carrier version 1" in both and "PROFILE_UNKNOWN" not in both
    assert json.loads(done("deploy", file, "--json"))["profiles"] == [{"name": "cli-carrier", "version": 1}], (
        "what changes nothing makes no version"
    )
    broken = tmp_path / "broken.bpmn"
    broken.write_text("<definitions")
    file.write_text(PROFILE % 9)
    done("deploy", broken, file, expect=1)
    assert json.loads(done("profiles", "show", "cli-carrier", "--json"))["version"] == 1, (
        "a model that is refused takes its profile with it"
    )
    again = tmp_path / "again.profile.yaml"
    again.write_text(PROFILE % 9)
    assert "stands in another file, too" in done("deploy", model, file, again, expect=1)
    file.write_text(PROFILE % 3)
    assert "cli-carrier version 2" in done("profiles", "put", file)
    listed = json.loads(done("profiles", "list", "--json"))
    assert {"cli-carrier", "cli-carrier@1", "cli-carrier@2"} <= {p["name"] for p in listed}
    shown = done("profiles", "show", "cli-carrier")
    assert "{{secrets.CARRIER}}" in shown and "concurrency 3" in shown
    assert json.loads(done("profiles", "show", "cli-carrier@1", "--json"))["limits"] == {"concurrency": 2}
    file.write_text(PROFILE.replace("{{secrets.CARRIER}}", "clear text") % 3)
    refused = done("deploy", file, expect=1)
    assert "authentication.token: expected a reference to a secret" in refused and "clear text" not in refused
    file.write_text("title: no name")
    assert "expected an object with a name" in done("profiles", "put", file, expect=1)
    assert "is removed" in done("profiles", "rm", "cli-carrier")
    for gone in ("cli-carrier", "cli-carrier@2"):
        assert "NOT_FOUND" in done("profiles", "show", gone, expect=1)


def test_a_name_of_several_words_is_that_name(done, tmp_path):
    """KPIs, alerts and reports are called as people call them, and asked for by that."""
    kpi, report, alert = (tmp_path / f"x.{kind}.yaml" for kind in ("kpi", "report", "alert"))
    kpi.write_text("name: Hours & minutes of orders, 100% größer\nkind: time\nprocess: orders")
    report.write_text("name: Orders per week\nkpi: Hours & minutes of orders, 100% größer")
    alert.write_text("name: Far too slow\nmeasure: cycle_time\nprocess: orders\nabove: PT1H")
    done("deploy", kpi, report, alert)
    for noun, name in (("kpis", "Hours & minutes of orders, 100% größer"), ("reports", "Orders per week"), ("alerts", "Far too slow")):
        assert name in [row["name"] for row in json.loads(done(noun, "list", "--json"))], noun
    assert json.loads(done("reports", "run", "Orders per week", "--json"))["columns"] == ["mean"]
    assert "is deleted" in done("reports", "delete", "Orders per week")
    assert "is deleted" in done("kpis", "delete", "Hours & minutes of orders, 100% größer")
    assert "is deleted" in done("alerts", "delete", "Far too slow")
