"""The chart and the compose file: `helm lint`, each rendered object against Kubernetes' own JSON schemas, the compose file against that of the
Compose specification, and what the image and the pods need to start.

`helm` is a Go program: `go install helm.sh/helm/v3/cmd/helm@v3.19.0` (`.ci/run` does it where Go is)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from kubernetes_validate import ValidationError, validate

from flowledger.infra.settings import ROLES, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "infra" / "deploy"
CHART = DEPLOY / "helm" / "flowledger"
#: the oldest and the newest Kubernetes whose schemas the library carries that are looked at
KUBERNETES = ("1.29", "1.37")
VALUES = {
    "plain": (),
    "tls": ("grpc.tls.secret=gateway",),
    "mutual": ("grpc.tls.secret=gateway", "grpc.tls.mutual=true", "service.type=LoadBalancer"),
    "large": ("owner.replicas=12", "api.hosts={a.example.org,b.example.org}", "partitions=96"),
    "one of each": ("owner.replicas=1", "api.replicas=1", "connectors.replicas=0"),
    "secured": (
        "settings.kafka_security=SASL_SSL", "settings.kafka_mechanism=SCRAM-SHA-512", "settings.kafka_password=env:KAFKA_PASSWORD",
        "settings.kafka_ca_file=/etc/kafka/ca.crt", "settings.tls_cert_file=/etc/kafka/tls.crt", "settings.auth=oidc", "settings.row_security=required",
        "env[0].name=KAFKA_PASSWORD", "env[0].valueFrom.secretKeyRef.name=kafka", "env[0].valueFrom.secretKeyRef.key=password",
        "volumes[0].name=kafka", "volumes[0].secret.secretName=kafka", "volumeMounts[0].name=kafka", "volumeMounts[0].mountPath=/etc/kafka",
    ),
    "placed": (
        "nodeSelector.disk=fast", "tolerations[0].key=flows", "tolerations[0].operator=Exists", "imagePullSecrets={registry}",
        "podAnnotations.sidecar=no", "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight=1",
        "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].key=zone",
        "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference.matchExpressions[0].operator=Exists",
    ),
    "watched": ("monitoring.scrape=true", "monitoring.rules=true", "monitoring.dashboards=true", "monitoring.keySecret=figures"),
}  # fmt: skip


@pytest.fixture(scope="module")
def helm() -> str:
    found = shutil.which("helm") or shutil.which(str(Path.home() / "go" / "bin" / "helm"))
    if found is None:
        where = "no helm" if shutil.which("go") else "not asked for: helm, where there is no Go to build it"
        pytest.skip(f"{where}: go install helm.sh/helm/v3/cmd/helm@v3.19.0")
    return found


def run(helm: str, *words: str, fails: bool = False) -> str:
    done = subprocess.run([helm, *words], capture_output=True, text=True, timeout=60)
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return done.stdout + done.stderr if fails else done.stdout


def given(values: tuple[str, ...]) -> list[str]:
    return [word for value in values for word in ("--set", value)]


@pytest.mark.req("APG-HA-014", "APG-POS-025", "APG-POS-017")
@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_the_chart_is_clean_and_each_object_is_what_kubernetes_takes(helm, values):
    said = run(helm, "lint", "--strict", str(CHART), *given(values))
    assert "1 chart(s) linted, 0 chart(s) failed" in said and "[WARNING]" not in said
    objects = [o for o in yaml.safe_load_all(run(helm, "template", "flows", str(CHART), *given(values))) if o]
    roles = {role: int(o["spec"]["replicas"]) for o in objects if o["kind"] == "Deployment" for role in roles_of(o)}
    assert roles.keys() == set(ROLES) - ({"connectors"} if "connectors.replicas=0" in values else set()), (
        "nothing is left that nobody works on"
    )
    several = {o["metadata"]["name"] for o in objects if o["kind"] == "Deployment" and o["spec"]["replicas"] > 1}
    assert {o["metadata"]["name"] for o in objects if o["kind"] == "PodDisruptionBudget"} == several, "the last one is never held fast"
    watching = {"PodMonitor", "PrometheusRule", "ConfigMap"} & {o["kind"] for o in objects}
    assert len(watching) == (3 if "monitoring.rules=true" in values else 0)
    assert {o["kind"] for o in objects} <= {"Deployment", "PodDisruptionBudget", "Service"} | watching
    for one in objects:
        if one["kind"] == "ConfigMap":
            files = {f"flowledger-{f.name}": json.loads(f.read_text()) for f in (CHART / "monitoring").glob("*.json")}
            assert files and {name: json.loads(text) for name, text in one["data"].items()} == files
        if one["apiVersion"] == "monitoring.coreos.com/v1":  # the operator's own kinds
            watches(one)
            continue
        for version in KUBERNETES:
            validate(one, version, strict=True)
        if one["kind"] == "Deployment":
            starts(one)
    with pytest.raises(ValidationError):  # the check can fail
        validate({**objects[0], "specs": {}}, KUBERNETES[-1], strict=True)


def watches(one: dict) -> None:
    if one["kind"] == "PrometheusRule":
        assert one["spec"] == yaml.safe_load((CHART / "monitoring" / "rules.yaml").read_text()), "nothing in it is a template's to fill in"
    else:
        (endpoint,) = one["spec"]["podMetricsEndpoints"]
        assert endpoint["authorization"] == {"credentials": {"name": "figures", "key": "key"}} and endpoint["port"] == "http"
        assert one["spec"]["selector"]["matchLabels"] == {"app.kubernetes.io/name": "flowledger", "app.kubernetes.io/instance": "flows"}


def roles_of(deployment: dict) -> list[str]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return next(e["value"] for e in container["env"] if e["name"] == "FLOWLEDGER_ROLES").split(",")


def starts(deployment: dict) -> None:
    """The container may write where the process has its sockets, and each file that a setting names is mounted."""
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    writable = [m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")]
    mounted = [m["mountPath"] for m in container["volumeMounts"]]
    ours = [e for e in container["env"] if e["name"].startswith("FLOWLEDGER_")]
    env = {e["name"].removeprefix("FLOWLEDGER_").lower(): e.get("value", "") for e in ours}
    assert len(env) == len(ours), "none is said twice"
    assert pod["enableServiceLinks"] is False, "a service named flowledger would say FLOWLEDGER_PORT"
    assert pod["securityContext"]["runAsNonRoot"] and container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert deployment["spec"]["selector"]["matchLabels"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert not env.keys() - Settings.model_fields.keys()
    assert container["securityContext"]["readOnlyRootFilesystem"] and any(env["data"].startswith(f"{w}/") for w in writable)
    for name, value in env.items():
        if name.endswith("_file"):
            assert any(value.startswith(f"{m}/") for m in mounted), f"{name} is {value}, mounted are {mounted}"
    assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}
    ports = {p["name"] for p in container["ports"]}
    scheme = "HTTPS" if "tls_cert_file" in env else "HTTP"
    for probe, path in (("startupProbe", "/health/live"), ("livenessProbe", "/health/live"), ("readinessProbe", "/health/ready")):
        assert container[probe]["httpGet"] == {"path": path, "port": "http", "scheme": scheme} and container[probe]["timeoutSeconds"] == 5
    assert ports == ({"http", "grpc"} if "grpc" in env["roles"] else {"http"})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("partitions=many", "partitions"),
        ("kafka=", "kafka"),
        ("owner.replica=2", "owner"),
        ("service.type=Loadbalancer", "service"),
        ("grpc.tls.mutual=perhaps", "mutual"),
        ("settings.roles=owner", "roles"),
        ("settings.Kafka-User=x", "Kafka-User"),
        ("settings.page_max=5", "page_max"),
        ("env[0].value=5", "name"),
        ("disruption=maybe", "disruption"),
    ],
)
def test_a_wrong_value_is_told_before_anything_is_installed(helm, value, said):
    assert said in run(helm, "template", "flows", str(CHART), "--set", value, fails=True)


def test_the_values_of_the_chart_pass_its_own_schema_without_helm():
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema_rs.validator_for(schema).validate(yaml.safe_load((CHART / "values.yaml").read_text()))


@pytest.mark.req("APG-POS-017")
def test_the_compose_file_is_what_the_specification_takes():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    check = jsonschema_rs.Draft201909Validator(json.loads((Path(__file__).parent / "compose-spec.json").read_text()))
    check.validate(compose)
    assert not check.is_valid({**compose, "services": {"x": {"imagee": "y"}}})
    for name, service in compose["services"].items():
        assert set(service.get("depends_on", ())) <= compose["services"].keys()
        assert service["healthcheck"]["test"], f"{name} says when it is ready"
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (source.startswith("./") and (DEPLOY / source).is_dir())
        assert {c["source"] for c in service.get("configs", ())} <= compose["configs"].keys()
    assert all((DEPLOY / config["file"]).is_file() for config in compose["configs"].values())
    service = compose["services"]["flowledger"]
    assert service["cap_drop"] == ["ALL"] and service["restart"] == "unless-stopped"
    said = service["environment"]
    assert "PASSWORD" not in said["FLOWLEDGER_POSTGRES"] and said["PGPASSWORD"] == "${POSTGRES_PASSWORD}", (
        "a password may have any character"
    )
    assert set(said["FLOWLEDGER_ROLES"].split(",")) == set(ROLES)
    ours = {k.removeprefix("FLOWLEDGER_").lower() for k in said if k.startswith("FLOWLEDGER_")}
    assert not ours - Settings.model_fields.keys()
    assert all(p.startswith("127.0.0.1:") for s in compose["services"].values() for p in s.get("ports", ())), "open to this machine only"


def test_the_image_runs_as_a_user_who_may_write_its_data():
    image = (DEPLOY / "Dockerfile").read_text()
    user, data = re.search(r"^USER (\d+)", image, re.M), re.search(r"FLOWLEDGER_DATA=(\S+)", image)
    assert user and data and f"--uid {user[1]} --create-home" in image and data[1].startswith("/home/flowledger/")
    assert not {n.lower() for n in re.findall(r"FLOWLEDGER_(\w+)=", image)} - Settings.model_fields.keys()
