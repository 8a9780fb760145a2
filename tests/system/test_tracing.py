"""One trace from the caller's `traceparent` through request, group and projection to the worker; a span per request or batch."""

from __future__ import annotations

import gzip
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pyzeebe.proto import gateway_pb2 as pb
from pyzeebe.proto.gateway_pb2_grpc import GatewayStub

from flowledger.infra.telemetry import LINKS_MAX, Tracer

MODEL = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" id="d"
 targetNamespace="t"><process id="traced" isExecutable="true"><startEvent id="s"/><sequenceFlow id="f1" sourceRef="s" targetRef="a"/>
 <serviceTask id="a"><extensionElements><zeebe:taskDefinition type="traced.work"/></extensionElements></serviceTask>
 <sequenceFlow id="f2" sourceRef="a" targetRef="e"/><endEvent id="e"/></process></definitions>"""


class Collector:
    """Takes what OpenTelemetry exporters send (OTLP over HTTP, protobuf), as a collector does."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        spans = self.spans

        class Takes(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                sent = ExportTraceServiceRequest.FromString(body)
                spans.extend(x for r in sent.resource_spans for scope in r.scope_spans for x in scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Takes)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> list[Any]:
        self._server.shutdown()
        self._server.server_close()
        return self.spans


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.req("D-MON-004", "APG-MON-003")
async def test_one_trace_from_the_request_to_worker_and_projection(place, database, tmp_path):
    """The doors and the owners are two processes: both tell a collector, and what it has is one trace."""
    collector = Collector()
    roles = ("api", "owner", "projector", "grpc")
    async with place.system(data=tmp_path, postgres=database, roles=roles, otlp_endpoint=collector.url) as (system, http):
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
            await GatewayStub(channel).CreateProcessInstance(created, metadata=[("traceparent", unsampled)])
        [of_grpc] = (await http.post("/v1/jobs/activate", json=asked)).json()["jobs"]
        figures = (await http.get("/metrics")).text
    found = collector.close()
    by_id = {x.span_id: x for x in found}

    def attribute(span, name):
        return next((a.value.string_value or a.value.int_value for a in span.attributes if a.key == name), None)

    request = next(x for x in found if attribute(x, "http.route") == "/v1/instances" and x.parent_span_id)
    assert request.name == "POST /v1/instances" and request.trace_id.hex() == TRACE and request.parent_span_id.hex() == "b7ad6b7169203331"

    def linked(name, to):
        return [x for x in found if x.name == name and to.span_id in {link.span_id for link in x.links}]

    [group] = linked("append group", request)
    assert group.trace_id == request.trace_id and by_id[group.parent_span_id] is request
    assert attribute(group, "events") >= 3
    assert group.start_time_unix_nano >= request.start_time_unix_nano and group.end_time_unix_nano <= request.end_time_unix_nano
    assert linked("project", request), "among the transactions is one that it is linked to"
    [call] = [x for x in found if x.name == "gateway_protocol.Gateway/CreateProcessInstance"]  # the other caller said not to sample
    assert call.trace_id.hex() == other and linked("append group", call)
    assert of_grpc["trace"] == f"00-{other}-{call.span_id.hex()}-01"
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
