"""OpenTelemetry for workers: the caller's trace goes on in the handler, and from there to whatever the handler calls.

Without the OpenTelemetry packages the trace context is still carried: `Job.trace`, and the `traceparent` of the SDK's own client.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from flowledger.sdk.job import current

if TYPE_CHECKING:
    from flowledger.sdk.job import Job


def traceparent() -> str:
    """Of the OpenTelemetry span that is active, or of the job in hand; `""` when there is none."""
    try:
        from opentelemetry import trace
    except ImportError:
        pass
    else:
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
    job = current.get()
    return job.trace if job is not None else ""


def spans() -> Callable[[Job], AbstractContextManager[Any]]:
    """A maker of one span per job, child of the caller's. Raises: ImportError."""
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    tracer, propagator = trace.get_tracer("flowledger.sdk"), TraceContextTextMapPropagator()

    def span(job: Job) -> AbstractContextManager[Any]:
        context = propagator.extract({"traceparent": job.trace}) if job.trace else None
        attributes: dict[str, Any] = {
            "messaging.system": "flowledger",
            "flowledger.job.type": job.type,
            "flowledger.job.key": job.key,
            "flowledger.instance": job.instance,
            "flowledger.element": job.element,
            "flowledger.attempt": job.attempt,
        }
        return tracer.start_as_current_span(f"job {job.type}", context=context, kind=trace.SpanKind.CONSUMER, attributes=attributes)

    return span
