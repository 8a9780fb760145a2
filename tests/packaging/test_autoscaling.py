"""Manifests for autoscalers: what they follow is told by `/metrics`, what they scale is there in the chart, and each object is what its controller takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from kubernetes_validate import ValidationError, validate

from flowledger.infra.telemetry import Telemetry

DEPLOY = Path(__file__).parents[2] / "infra" / "deploy"
FILES = sorted((DEPLOY / "autoscaling").glob("*.yaml"))
ROLES = ("owner", "api", "projector", "connectors")
#: what KEDA's ScaledObject knows of what we use
SPEC = {"scaleTargetRef", "minReplicaCount", "maxReplicaCount", "pollingInterval", "cooldownPeriod", "triggers"}


def of(kind: str) -> list[dict]:
    return [o for o in (yaml.safe_load(f.read_text()) for f in FILES) if o["kind"] == kind]


@pytest.mark.req("APG-PER-012", "APG-AI-008")
def test_what_is_followed_is_told_by_the_server():
    told = {family.name for family in Telemetry().metrics.registry.collect()}
    objects = of("ScaledObject")
    assert len(objects) == 3 and len(of("HorizontalPodAutoscaler")) == 1
    for one in objects:
        assert one["apiVersion"] == "keda.sh/v1alpha1" and one["spec"].keys() == SPEC
        for trigger in one["spec"]["triggers"]:
            assert trigger["type"] == "prometheus" and trigger["metadata"].keys() == {"serverAddress", "query", "threshold"}
            assert float(trigger["metadata"]["threshold"]) > 0
            names = re.findall(r"flowledger_[a-z_]+", trigger["metadata"]["query"])
            assert names and set(names) <= told, names
            # owners tell of their own partitions, one scrape each: the whole is a sum
            assert trigger["metadata"]["query"].startswith("sum(")


@pytest.mark.req("APG-PER-012")
def test_an_api_s_autoscaler_is_what_kubernetes_takes():
    (hpa,) = of("HorizontalPodAutoscaler")
    for version in ("1.29", "1.37"):
        validate(hpa, version, strict=True)
    with pytest.raises(ValidationError):  # the check can fail
        validate({**hpa, "spec": {**hpa["spec"], "replicas": 3}}, "1.37", strict=True)


def test_what_is_scaled_is_in_the_chart_and_starts_with_no_less():
    values = yaml.safe_load((DEPLOY / "helm" / "flowledger" / "values.yaml").read_text())
    scaled = {o["spec"]["scaleTargetRef"]["name"]: o["spec"] for o in (yaml.safe_load(f.read_text()) for f in FILES)}
    ours = {name: spec for name, spec in scaled.items() if name.startswith("flows-")}
    assert {name.removeprefix("flows-") for name in ours} == {"owner", "api", "connectors"} < set(ROLES)
    for name, spec in ours.items():
        least, most = (spec.get(k) or spec.get(o) for k, o in (("minReplicas", "minReplicaCount"), ("maxReplicas", "maxReplicaCount")))
        assert least == values[name.removeprefix("flows-")]["replicas"] <= most
    assert ours["flows-owner"]["maxReplicaCount"] <= values["partitions"]
