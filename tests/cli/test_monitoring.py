"""Dashboards and alerts: Prometheus' own `promtool` reads the rules and says when they fire, and a real Prometheus that scrapes a real server
answers every query of every panel."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "infra" / "deploy"
MONITORING = DEPLOY / "helm" / "flowledger" / "monitoring"
BOARDS = sorted(MONITORING.glob("*.json"))
RULES = yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"][0]["rules"]
#: alert -> what is scraped (half a minute apart, promtool's notation) until it fires, and what is as near without it
FIRES: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "FlowledgerDown": ({'up{job="flowledger"}': "1x9 0x30"}, {'up{job="flowledger"}': "1x30 0 1x10", 'up{job="another"}': "0x40"}),
    "FlowledgerFenced": ({'flowledger_fencings_total{partition="1"}': "0x10 0+1x30"}, {'flowledger_fencings_total{partition="1"}': "0x20 1x20"}),
    "FlowledgerProjectionBehind": (
        {'flowledger_projection_lag_seconds{partition="1"}': "0x10 40x30"},
        {'flowledger_projection_lag_seconds{partition="1"}': "29x40"},
    ),
    "FlowledgerAppendSlow": (
        {
            'flowledger_append_seconds_bucket{le="1"}': "0x40",
            'flowledger_append_seconds_bucket{le="2.5"}': "0+9x40",
            'flowledger_append_seconds_bucket{le="+Inf"}': "0+9x40",
        },
        {'flowledger_append_seconds_bucket{le="1"}': "0+9x40", 'flowledger_append_seconds_bucket{le="+Inf"}': "0+9x40"},
    ),
    "FlowledgerLoopLate": (
        {
            'flowledger_loop_lag_seconds_bucket{le="0.5",role="api"}': "0x40",
            'flowledger_loop_lag_seconds_bucket{le="1",role="api"}': "0+9x40",
            'flowledger_loop_lag_seconds_bucket{le="+Inf",role="api"}': "0+9x40",
        },
        {'flowledger_loop_lag_seconds_bucket{le="0.5",role="api"}': "0+9x40", 'flowledger_loop_lag_seconds_bucket{le="+Inf",role="api"}': "0+9x40"},
    ),
    "FlowledgerShedding": (
        {'flowledger_commands_total{outcome="decided"}': "0+90x40", 'flowledger_commands_total{outcome="RESOURCE_EXHAUSTED"}': "0+2x40"},
        {'flowledger_commands_total{outcome="decided"}': "0+900x40", 'flowledger_commands_total{outcome="RESOURCE_EXHAUSTED"}': "0+2x40"},
    ),
    "FlowledgerDatabaseFull": ({"flowledger_database_waiting": "3x40"}, {"flowledger_database_waiting": "3x5 0x35"}),
    "FlowledgerDeadLetters": ({'flowledger_dead_letters_total{reason="json"}': "0x10 1x30"}, {'flowledger_dead_letters_total{reason="json"}': "7x40"}),
    "FlowledgerWatchdog": ({'flowledger_watchdog_findings{kind="lost"}': "1x40"}, {'flowledger_watchdog_findings{kind="lost"}': "0x40"}),
    "FlowledgerHeadsNotKept": (
        {'flowledger_heads_total{place="file",outcome="failed"}': "0+1x80"},
        {'flowledger_heads_total{place="file",outcome="failed"}': "0+1x80", 'flowledger_heads_total{place="file",outcome="ok"}': "0+1x80"},
    ),
    "FlowledgerIncidents": ({'flowledger_incidents{partition="0"}': "1x120 5x80"}, {'flowledger_incidents{partition="0"}': "5x200"}),
    "FlowledgerProcessFails": (
        {
            'flowledger_instance_outcomes_total{process="p",outcome="failed"}': "0+1x40",
            'flowledger_instance_outcomes_total{process="p",outcome="completed"}': "0+1x40",
        },
        {
            'flowledger_instance_outcomes_total{process="p",outcome="failed"}': "0x30 5x10",
            'flowledger_instance_outcomes_total{process="p",outcome="completed"}': "0x40",
        },
    ),
    "FlowledgerNobodyWorks": ({'flowledger_ready_jobs{type="work"}': "4x100"}, {'flowledger_ready_jobs{type="work"}': "100-1x90"}),
    "FlowledgerPending": ({'flowledger_pending_instances{partition="0"}': "4x40"}, {'flowledger_pending_instances{partition="0"}': "4x20 0x20"}),
    "FlowledgerBreakerOpen": ({'flowledger_open_breakers{partition="0"}': "1x40"}, {'flowledger_open_breakers{partition="0"}': "1x5 0x35"}),
    "FlowledgerConnectorFails": (
        {
            'flowledger_connector_calls_total{connector="http",target="t",outcome="incident"}': "0+1x60",
            'flowledger_connector_calls_total{connector="http",target="t",outcome="done"}': "0+2x60",
        },
        {
            'flowledger_connector_calls_total{connector="http",target="t",outcome="retried"}': "0+1x60",
            'flowledger_connector_calls_total{connector="http",target="t",outcome="done"}': "0+2x60",
        },
    ),
    "FlowledgerCapabilityDown": (
        {'flowledger_capability_up{tenant="",capability="risk"}': "1x5 0x35"},
        {'flowledger_capability_up{tenant="",capability="risk"}': "0x5 1x35"},
    ),
}  # fmt: skip


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name}: apt-get install prometheus")
    return found


def queries(board: Path) -> list[tuple[str, str]]:
    """(title of the panel, query)"""
    return [(p["title"], t["expr"]) for p in json.loads(board.read_text())["panels"] for t in p.get("targets", ())]


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_boards_are_those_of_their_table():
    said(subprocess.run([sys.executable, ROOT / "tools" / "dashboards.py", "check"], capture_output=True, text=True))
    assert [b.stem for b in BOARDS] == ["doors", "overview", "processes"]
    for board in BOARDS:
        panels = json.loads(board.read_text())["panels"]
        assert len({p["id"] for p in panels}) == len(panels)
        places = [p["gridPos"] for p in panels]
        taken = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
        assert len(taken) == len(set(taken)), "none lies on another"


@pytest.mark.req("D-MON-007", "D-MON-008", "WSM-MON-005")
def test_each_name_is_a_figure_that_is_told():
    told = set(re.findall(r"^\| `(flowledger_[a-z_]+)` \|", (ROOT / "docs" / "operations.md").read_text(), re.M))
    used = {n for b in BOARDS for _, q in queries(b) for n in re.findall(r"flowledger_[a-z_]+", q)}
    used |= {n for rule in RULES for n in re.findall(r"flowledger_[a-z_]+", rule["expr"])}
    assert {n.removesuffix("_bucket") for n in used} <= told
    assert FIRES.keys() == {rule["alert"] for rule in RULES}
    for rule in RULES:
        assert rule["labels"]["severity"] in {"critical", "warning"} and rule["annotations"].keys() == {"summary", "description"}


@pytest.mark.req("D-MON-005", "D-MON-008")
def test_when_each_alert_fires_and_when_it_does_not(tmp_path):
    promtool = tool("promtool")
    assert f"{len(RULES)} rules found" in said(
        subprocess.run([promtool, "check", "rules", MONITORING / "rules.yaml"], capture_output=True, text=True)
    )
    wanted = 'count by (alertname) (ALERTS{{alertstate="firing",alertname="{}"}})'
    tests: list[dict[str, Any]] = []
    for alert, (firing, quiet) in FIRES.items():
        for series, samples in ((firing, [{"labels": f'{{alertname="{alert}"}}', "value": 1}]), (quiet, [])):
            length = max(sum(int(n) + 1 for n in re.findall(r"x(\d+)", values)) for values in series.values())
            tests.append({
                "interval": "30s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [{"expr": wanted.format(alert), "eval_time": f"{(length - 2) * 30}s", "exp_samples": samples}],
            })  # fmt: skip
    rules = {"rule_files": [str(MONITORING / "rules.yaml")], "evaluation_interval": "30s", "tests": tests}
    path = tmp_path / "tests.yaml"
    path.write_text(yaml.safe_dump(rules))
    assert "SUCCESS" in said(subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True))


@pytest.fixture
def prometheus(own_server, tmp_path) -> Iterator[httpx.Client]:
    """A Prometheus as the compose file configures it, but for the address of the server, that scrapes each second."""
    config = yaml.safe_load((DEPLOY / "monitoring" / "prometheus.yaml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["static_configs"] = [{"targets": [own_server.url.removeprefix("http://")]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    text = (MONITORING / "rules.yaml").read_text()
    (tmp_path / "rules.yaml").write_text(re.sub(r"\bfor: \w+", "for: 0s", text))
    said(subprocess.run([tool("promtool"), "check", "config", tmp_path / "prometheus.yml"], capture_output=True, text=True))
    log = tmp_path / "prometheus.log"
    port = free_port()
    with log.open("w") as out:
        process = subprocess.Popen(
            [tool("prometheus"), f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"],
            stdout=out, stderr=out,
        )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            until(lambda: ready(http), lambda: log.read_text()[-2000:])
            yield http
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def ready(http: httpx.Client) -> bool:
    try:
        return http.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def until(look: Any, why: Any, seconds: float = 120.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, why()
        time.sleep(0.3)
    return found


def asked(http: httpx.Client, query: str) -> list[dict[str, Any]]:
    for name, value in (("$job", "flowledger"), ("$instance", ".*"), ("$process", ".*"), ("$__rate_interval", "1m")):
        query = query.replace(name, value)
    answer = http.get("/api/v1/query", params={"query": query})
    assert answer.status_code == 200, f"{query}: {answer.text}"
    return answer.json()["data"]["result"]


#: panels without anything to show in a system of this test
EMPTY = {
    "Refused for their number", "Errors of ours", "Targets that fail", "Findings of the watchdog", "Heads kept at anchors", "Calls a second", "Failed",
    "How long they take", "Open subscriptions",
}  # fmt: skip


@pytest.mark.req("D-MON-003", "D-MON-008", "D-API-026", "APG-MON-004", "APG-MON-008", "WSM-MON-004", "WSM-MON-005")
def test_a_real_prometheus_answers_every_panel_and_an_alert_fires(own_server, prometheus):
    with httpx.Client(base_url=own_server.url, timeout=90) as http:
        assert http.post("/v1/deployments", json={"resources": [{"name": "m.bpmn", "content": MODEL}]}).status_code == 201
        for n in range(6):
            assert http.post("/v1/instances", json={"definition": "watched", "variables": {"n": n}}).status_code == 201
        jobs = http.post("/v1/jobs/activate", json={"type": "watched", "worker": "w", "max": 6, "timeout_ms": 60_000}).json()["jobs"]
        for job in jobs[:3]:
            assert http.post(f"/v1/jobs/{job['key']}/complete", json={"fence": job["fence"]}).status_code < 300
        gone = http.post(f"/v1/jobs/{jobs[3]['key']}/fail", json={"fence": jobs[3]["fence"], "retries": 0, "message": "no"})
        assert gone.status_code < 300, gone.text
        assert http.post("/v1/jobs/1/complete", json={}).status_code >= 400
        unanswered: list[tuple[str, str, str]] = []

        def all_answered() -> bool:
            http.get("/v1/instances")  # a rate needs two scrapes of something that goes on
            http.post("/v1/instances", json={"definition": "watched"})
            (one,) = http.post("/v1/jobs/activate", json={"type": "watched", "worker": "w", "max": 1, "timeout_ms": 60_000}).json()["jobs"]
            http.post(f"/v1/jobs/{one['key']}/complete", json={"fence": one["fence"]})
            unanswered[:] = [
                (b.stem, title, q) for b in BOARDS for title, q in queries(b) if title not in EMPTY and not asked(prometheus, q)
            ]
            return not unanswered

        until(all_answered, lambda: [each[:2] for each in unanswered])
        for board in BOARDS:
            for _, query in queries(board):
                asked(prometheus, query)  # what shows nothing is still a query
        until(lambda: "FlowledgerIncidents" in fires(prometheus), lambda: fires(prometheus))
        # a busy machine may be late, too
        assert fires(prometheus) <= {"FlowledgerIncidents", "FlowledgerLoopLate", "FlowledgerAppendSlow", "FlowledgerProjectionBehind"}


def fires(http: httpx.Client) -> set[str]:
    return {found["metric"]["alertname"] for found in asked(http, 'ALERTS{alertstate="firing"}')}


MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d" targetNamespace="t">
<process id="watched" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="work"/>
<serviceTask id="work"><extensionElements><zeebe:taskDefinition type="watched" retries="3"/></extensionElements></serviceTask>
<sequenceFlow id="g" sourceRef="work" targetRef="e"/><endEvent id="e"/></process></definitions>"""
