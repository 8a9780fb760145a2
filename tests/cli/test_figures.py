"""Figures by process and element, of pending instances, of the pool and of the processes: as Prometheus reads them from a whole system."""

from __future__ import annotations

import time

import httpx2 as httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from flowledger.infra.observer import Endings
from flowledger.infra.telemetry import Metrics

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d" targetNamespace="t">
<process id="measured" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f" sourceRef="s" targetRef="work"/>
<serviceTask id="work"><extensionElements><zeebe:taskDefinition type="work" retries="3"/></extensionElements></serviceTask>
<sequenceFlow id="g" sourceRef="work" targetRef="e"/><endEvent id="e"/></process></definitions>"""


def figures(http: httpx.Client) -> dict[tuple, float]:
    text = http.get("/metrics").text
    return {(s.name, *sorted(s.labels.items())): s.value for f in text_string_to_metric_families(text) for s in f.samples}


@pytest.mark.req("WOS-MON-001", "WOS-MON-002", "WOS-MON-003", "WOS-MON-004", "WOS-MON-005", "APG-PER-018")
@pytest.mark.parametrize("own_server", [{"instances_max": 1}], indirect=True, ids=["one at a time"])
def test_times_outcomes_and_queues_by_process_and_element(own_server):
    with httpx.Client(base_url=own_server.url, timeout=90) as http:
        assert http.post("/v1/deployments", json={"resources": [{"name": "m.bpmn", "content": MODEL}]}).status_code == 201
        for _ in range(6):  # two partitions, one running in each: the rest waits
            assert http.post("/v1/instances", json={"definition": "measured"}).status_code == 201
        found = figures(http)
        assert sum(v for (name, *_), v in found.items() if name == "flowledger_pending_instances") == 4
        (job,) = http.post("/v1/jobs/activate", json={"type": "work", "worker": "w", "max": 1, "timeout_ms": 60_000}).json()["jobs"]
        failing = http.post(f"/v1/jobs/{job['key']}/fail", json={"fence": job["fence"], "retries": 2, "message": "no"})
        assert failing.status_code < 300, failing.text
        done = 0
        while done < 6:
            for job in http.post("/v1/jobs/activate", json={"type": "work", "worker": "w", "max": 9, "timeout_ms": 60_000}).json()["jobs"]:
                answer = http.post(f"/v1/jobs/{job['key']}/complete", json={"fence": job["fence"]})
                assert answer.status_code < 300, answer.text
                done += 1
        end = time.monotonic() + 30
        place = (("element", "work"), ("process", "measured"))
        while (found := figures(http)).get(("flowledger_instance_seconds_count", ("process", "measured"))) != 6:
            assert time.monotonic() < end, found
            time.sleep(0.1)
        assert found["flowledger_element_seconds_count", *place] == 7 and found["flowledger_element_seconds_sum", *place] > 0
        outcomes = {o: found["flowledger_element_outcomes_total", place[0], ("outcome", o), place[1]] for o in ("completed", "failed")}
        assert outcomes == {"completed": 6, "failed": 1}
        assert found["flowledger_instance_outcomes_total", ("outcome", "completed"), ("process", "measured")] == 6
        assert sum(v for (name, *_), v in found.items() if name == "flowledger_pending_instances") == 0
        used = [found["flowledger_database_connections", ("state", s)] for s in ("idle", "used")]
        assert 1 <= sum(used) <= found["flowledger_database_connections_max",] and found["flowledger_database_waiting",] == 0
        processes = {dict(labels)["process"] for name, *labels in found if name == "flowledger_process_resident_bytes"}
        assert "main" in processes and len(processes) == 2, "the owners' own process, too"


def test_names_without_end_become_one():
    metrics = Metrics()
    endings = Endings(metrics, most=3)
    for n in range(10):
        endings([("p", f"e{n}", "completed", 0.5), (f"p{n}", "", "failed", None)])
    count = metrics.element_outcomes.labels
    assert count("p", "e0", "completed")._value.get() == 1 and count("other", "other", "completed")._value.get() == 8
    assert isinstance(metrics.registry, CollectorRegistry) and metrics.instance_outcomes.labels("other", "failed")._value.get() == 9
