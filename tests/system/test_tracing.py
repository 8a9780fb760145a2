"""One trace from the caller's `traceparent` through request, group and projection to the worker; a span per request or batch."""

from __future__ import annotations

from collections import Counter

import grpc
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from flowledger.infra.telemetry import LINKS_MAX, Telemetry, Tracer

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d"
 targetNamespace="t"><process id="traced" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="a"/>
 <serviceTask id="a"><extensionElements><zeebe:taskDefinition type="traced.work"/></extensionElements></serviceTask>
 <sequenceFlow id="f2" sourceRef="a" targetRef="e"/><endEvent id="e"/></process></definitions>"""
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.req("D-MON-004")
@pytest.mark.xfail(
    reason="spans of the owners' own process do not reach the memory that this test reads; it needs a collector", strict=False
)
async def test_one_trace_from_the_request_to_worker_and_projection(place, database, tmp_path):
    spans = InMemorySpanExporter()
    telemetry = Telemetry(tracer=Tracer(processor=SimpleSpanProcessor(spans)))
    roles = ("api", "owner", "projector", "grpc")
    async with place.system(telemetry, data=tmp_path, postgres=database, roles=roles) as (system, http):
        assert (await http.post("/v1/deployments", files=[("f", ("a.bpmn", MODEL))])).status_code == 201
        r = await http.post("/v1/instances", json={"definition": "traced"}, headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
        assert r.status_code == 201
        asked = {"type": "traced.work", "worker": "w", "max": 1, "timeout_ms": 60_000, "wait_ms": 5_000}
        [job] = (await http.post("/v1/jobs/activate", json=asked)).json()["jobs"]
        assert job["trace"] == r.headers["traceparent"], "the worker goes on below the request"
        done = await http.post(f"/v1/jobs/{job['key']}/complete", json={"fence": job["fence"]}, headers={"traceparent": job["trace"]})
        assert (await http.get(f"/v1/instances/{job['instance']}", params={"wait_for": done.json()["position"]})).json()[
            "status"
        ] == "completed"
        async with grpc.aio.insecure_channel(system.grpc_address) as channel:
            created = pb.CreateProcessInstanceRequest(bpmnProcessId="traced", version=-1)
            other = TRACE[::-1]
            await GatewayStub(channel).CreateProcessInstance(created, metadata=[("traceparent", f"00-{other}-b7ad6b7169203331-01")])
            unsampled = f"00-{other}-b7ad6b7169203331-00"
            before = len(spans.get_finished_spans())
            await GatewayStub(channel).CreateProcessInstance(created, metadata=[("traceparent", unsampled)])
        [of_grpc] = (await http.post("/v1/jobs/activate", json=asked)).json()["jobs"]
        figures = (await http.get("/metrics")).text
    found = spans.get_finished_spans()
    by_id = {s.context.span_id: s for s in found}
    request = next(s for s in found if s.attributes.get("http.route") == "/v1/instances" and s.parent is not None)
    assert f"{request.context.trace_id:032x}" == TRACE and request.parent.span_id == 0xB7AD6B7169203331

    def linked(name, to):
        return [s for s in found if s.name == name and to.context.span_id in {link.context.span_id for link in s.links}]

    [group] = linked("append group", request)
    assert group.context.trace_id == request.context.trace_id and by_id[group.parent.span_id] is request
    assert group.attributes["events"] >= 3 and group.start_time >= request.start_time and group.end_time <= request.end_time
    assert linked("project", request), "among the transactions is one that it is linked to"
    call = next(s for s in found if s.name == "gateway_protocol.Gateway/CreateProcessInstance")
    assert f"{call.context.trace_id:032x}" == other and linked("append group", call)
    assert of_grpc["trace"] == f"00-{other}-{call.context.span_id:016x}-01"
    assert not [s for s in found[before:] if s.name.endswith("CreateProcessInstance")], "the caller said not to sample"
    kinds = {k: v for k, v in (line.rsplit(" ", 1) for line in figures.splitlines()) if k.startswith("flowledger_commands_total")}
    assert kinds['flowledger_commands_total{command="StartInstance",outcome="decided"}'] == "3.0"
    assert kinds['flowledger_commands_total{command="CompleteTask",outcome="decided"}'] == "1.0" and not any('"all"' in k for k in kinds)


def test_a_span_of_many_is_sampled_as_its_requests_are_and_its_links_are_bounded():
    spans = InMemorySpanExporter()
    tracer = Tracer(processor=SimpleSpanProcessor(spans))
    off, on = [f"00-{n:032x}-{n:016x}-00" for n in range(1, 90)], f"00-{'a' * 32}-{'b' * 16}-01"
    tracer.done("group", 0.5, [*off, "nonsense", "00-zz-1-01", f"00-{'0' * 32}-{'0' * 16}-01"])
    assert spans.get_finished_spans() == (), "none was sampled"
    tracer.done("group", 0.5, [*off[:3], on, *off])
    tracer.done("group", 0.5)
    some, nobody = spans.get_finished_spans()
    assert len(some.links) == LINKS_MAX and f"{some.context.trace_id:032x}" == "a" * 32 and f"{some.parent.span_id:016x}" == "b" * 16
    assert max(Counter(link.context.span_id for link in some.links).values()) == 1
    assert nobody.parent is None and abs(nobody.end_time - nobody.start_time - 500_000_000) < 1000
