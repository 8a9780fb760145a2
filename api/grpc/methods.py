"""Which call of the service is answered by which function.

`METHODS` is made from the service's descriptor, and a test holds that none is missing.
"""

from __future__ import annotations

from flowledger.api.grpc import health
from flowledger.api.grpc.calls import UNARY, pb
from flowledger.api.grpc.decisions import evaluate_decision
from flowledger.api.grpc.gateway import Method
from flowledger.api.grpc.jobs import STREAMS

SERVICE = pb.DESCRIPTOR.services_by_name["Gateway"]


def _methods() -> dict[str, Method]:
    unary = {**UNARY, "EvaluateDecision": evaluate_decision}
    methods = [
        Method(
            SERVICE.full_name,
            m.name,
            getattr(pb, m.input_type.name),
            getattr(pb, m.output_type.name),
            unary.get(m.name),
            STREAMS.get(m.name),
        )
        for m in SERVICE.methods
    ]
    service, request, response = "grpc.health.v1.Health", health.HealthCheckRequest, health.HealthCheckResponse
    methods += [
        Method(service, "Check", request, response, health.check, None),
        Method(service, "Watch", request, response, None, health.watch),
    ]
    return {m.path: m for m in methods}


METHODS: dict[str, Method] = _methods()
