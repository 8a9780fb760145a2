"""What is seen from outside: metrics (Prometheus) and traces (OpenTelemetry); logs are `flowledger.logs`.

Traces are off, and their library isn't even imported, unless a collector is set. A span is per request or batch, never per event
(a span costs about 27 us, an event less than that).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.samples import Sample

from flowledger import logs
from flowledger.infra.secret_text import hidden
from flowledger.infra.settings import Settings, SettingsError

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
#: links of a span of a batch; OpenTelemetry's own default limit is 128
LINKS_MAX = 32
#: of what people and other systems take part in
LONG = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 43_200, 86_400, 604_800)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384)


class Metrics:
    """All figures of a process, in a registry of their own (so that tests may have several).

    Names end in their unit; `_total` is a counter. What changes slowly (leases, timers, lag) is read when it is asked for: see `on_scrape`.
    """

    def __init__(self) -> None:
        r = self.registry = CollectorRegistry()
        self.commands = Counter("flowledger_commands", "Commands answered", ["command", "outcome"], registry=r)
        self.events = Counter("flowledger_events", "Events appended and acknowledged", ["type"], registry=r)
        self.appends = Counter("flowledger_appends", "Groups appended", ["partition", "outcome"], registry=r)
        self.append_seconds = Histogram("flowledger_append_seconds", "Append to acknowledgement", buckets=SECONDS, registry=r)
        self.batch_commands = Histogram("flowledger_batch_commands", "Commands in a group", buckets=SIZES, registry=r)
        self.batch_events = Histogram("flowledger_batch_events", "Events in a group", buckets=SIZES, registry=r)
        self.batch_bytes = Counter("flowledger_batch_bytes", "Bytes of all groups", registry=r)
        self.takeovers = Counter("flowledger_takeovers", "Partitions taken over", ["partition"], registry=r)
        self.takeover_seconds = Histogram("flowledger_takeover_seconds", "Load, fold and claim of a partition", buckets=SECONDS, registry=r)
        self.fencings = Counter("flowledger_fencings", "Times that an owner found itself fenced", ["partition"], registry=r)
        self.dead_letters = Counter("flowledger_dead_letters", "Commands given up", ["reason"], registry=r)
        self.heads = Counter("flowledger_heads", "Attempts to keep a signed head at an anchor", ["place", "outcome"], registry=r)
        self.epoch = Gauge("flowledger_epoch", "Epoch of an owned partition", ["partition"], registry=r)
        self.position = Gauge("flowledger_position", "Next offset of an owned partition's events", ["partition"], registry=r)
        self.instances = Gauge("flowledger_instances", "Open instances", ["partition"], registry=r)
        self.leases = Gauge("flowledger_leases", "Jobs that workers hold", ["partition"], registry=r)
        self.timers = Gauge("flowledger_timers", "Timers scheduled", ["partition"], registry=r)
        self.ready_jobs = Gauge("flowledger_ready_jobs", "Jobs that wait for a worker", ["type"], registry=r)
        self.breakers = Gauge("flowledger_open_breakers", "Circuit breakers that are not closed", ["partition"], registry=r)
        self.incidents = Gauge("flowledger_incidents", "Open incidents", ["partition"], registry=r)
        self.findings = Gauge("flowledger_watchdog_findings", "Things that should hold and don't", ["kind"], registry=r)
        self.watchdog_round = Gauge("flowledger_watchdog_round_seconds", "The last round of the watchdog", ["partition"], registry=r)
        self.projection_lag = Gauge("flowledger_projection_lag_events", "Events not projected yet", ["projection", "partition"], registry=r)
        self.projection_lag_s = Gauge("flowledger_projection_lag_seconds", "Age of the oldest event left", ["partition"], registry=r)
        self.projected = Counter("flowledger_projected_events", "Events projected", ["projection"], registry=r)
        self.projection_writes = Counter("flowledger_projection_writes", "Transactions of the projector", registry=r)
        self.instance_seconds = Histogram(
            "flowledger_instance_seconds", "Start to end of an instance", ["process"], buckets=LONG, registry=r
        )
        self.element_seconds = Histogram(
            "flowledger_element_seconds", "Work of an element, by attempt", ["process", "element"], buckets=LONG, registry=r
        )
        self.instance_outcomes = Counter("flowledger_instance_outcomes", "Instances that ended", ["process", "outcome"], registry=r)
        self.element_outcomes = Counter(
            "flowledger_element_outcomes", "Work that ended, failed or met an incident", ["process", "element", "outcome"], registry=r
        )
        self.pending = Gauge("flowledger_pending_instances", "Instances that wait to be started", ["partition"], registry=r)
        self.connections = Gauge("flowledger_database_connections", "Connections of the pool", ["state"], registry=r)
        self.connection_waits = Gauge("flowledger_database_waiting", "Reads that wait for a connection", registry=r)
        self.connections_max = Gauge("flowledger_database_connections_max", "Most connections of the pool", registry=r)
        self.cpu = Gauge("flowledger_process_cpu_seconds", "CPU time used", ["process"], registry=r)
        self.memory = Gauge("flowledger_process_resident_bytes", "Memory in use", ["process"], registry=r)
        self.files = Gauge("flowledger_process_open_files", "Open file descriptors", ["process"], registry=r)
        self.inbox = Gauge("flowledger_inbox_commands", "Commands that wait for the owner", ["partition"], registry=r)
        self.http = Counter("flowledger_http_requests", "HTTP requests", ["method", "route", "status"], registry=r)
        self.rate_limited = Counter(
            "flowledger_rate_limited",
            "Requests and connections that were more than one address or caller may have",
            ["by", "door"],
            registry=r,
        )
        self.http_seconds = Histogram("flowledger_http_seconds", "Time of HTTP requests", ["method", "route"], buckets=SECONDS, registry=r)
        self.http_commands = Counter("flowledger_http_commands", "Commands sent by the HTTP API", ["command", "outcome"], registry=r)
        self.subscribers = Gauge("flowledger_subscribers", "Open event subscriptions", ["kind"], registry=r)
        self.loop_lag = Histogram(
            "flowledger_loop_lag_seconds", "How late the event loop is", ["role", "process"], buckets=SECONDS, registry=r
        )
        self.connector_calls = Counter("flowledger_connector_calls", "Calls of connectors", ["connector", "target", "outcome"], registry=r)
        self.connector_seconds = Histogram(
            "flowledger_connector_seconds",
            "A job of a connector from its inputs to its outcome",
            ["connector"],
            buckets=SECONDS,
            registry=r,
        )
        self.capability_up = Gauge(
            "flowledger_capability_up", "Whether a registered capability says that it is well", ["tenant", "capability"], registry=r
        )
        self._on_scrape: list[Callable[[Metrics], None]] = []
        #: figures of other processes of this node (`shipped`), shown with its own
        self.others: list[list[Any]] = []

    def anchored(self, place: str, ok: bool) -> None:
        """From any thread."""
        self.heads.labels(place, "ok" if ok else "failed").inc()

    def on_scrape(self, read: Callable[[Metrics], None]) -> None:
        """`read` sets gauges just before each scrape."""
        self._on_scrape.append(read)

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """The scrape's body and its media type."""
        for read in self._on_scrape:
            read(self)
        shown: Any = Together(self.registry, self.others) if self.others else self.registry
        if "application/openmetrics-text" in accept:
            return openmetrics(shown), "application/openmetrics-text; version=1.0.0; charset=utf-8"
        return generate_latest(shown), "text/plain; version=0.0.4; charset=utf-8"

    def shipped(self) -> list[Any]:
        """All figures with a value, as JSON can say them: `[[family, [[sample, labels, value], ...]], ...]`."""
        for read in self._on_scrape:
            read(self)
        found = []
        for family in self.registry.collect():
            samples = [[s.name, s.labels, s.value] for s in family.samples if not s.name.endswith("_created")]
            if samples:
                found.append([family.name, samples])
        return found


class Together:
    """A registry and the shipped figures of other processes, family by family; what has the same labels is added up."""

    def __init__(self, registry: CollectorRegistry, others: list[list[Any]]) -> None:
        self._registry, self._others = registry, others

    def collect(self) -> Iterator[Any]:
        more: dict[str, list[Any]] = {}
        for shipped in self._others:
            for name, samples in shipped:
                more.setdefault(name, []).extend(samples)
        for family in self._registry.collect():
            if extra := more.get(family.name):
                found = {(s.name, tuple(sorted(s.labels.items()))): s for s in family.samples}
                for name, labels, value in extra:
                    key = (name, tuple(sorted(labels.items())))
                    was = found.get(key)
                    found[key] = Sample(name, labels, float(value) + (was.value if was is not None else 0.0))
                family.samples = _ordered(found.values())
            yield family


def _ordered(samples: Iterable[Any]) -> list[Any]:
    """The samples of one set of labels side by side, buckets by their bound: the text format wants it so."""

    def rank(s: Any) -> Any:
        rest = tuple(sorted((k, v) for k, v in s.labels.items() if k != "le"))
        return rest, s.name.rsplit("_", 1)[-1] != "bucket", float(s.labels.get("le", "0")), s.name

    return sorted(samples, key=rank)


class Tracer:
    """Spans, or nothing at next to no cost when no collector is set."""

    def __init__(self, endpoint: str = "", node: str = "", sample: float = 1.0, processor: Any = None) -> None:
        """`processor`: a span processor instead of the one that sends to `endpoint` (tests)."""
        self._tracer: Any = None
        self._provider: Any = None
        if not endpoint and processor is None:
            return
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

        if processor is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            url = endpoint if endpoint.endswith("/v1/traces") else endpoint.rstrip("/") + "/v1/traces"
            processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=url))
        resource = Resource.create({"service.name": "flowledger", "service.instance.id": node})
        self._provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(sample)))
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("flowledger")

    @property
    def on(self) -> bool:
        return self._tracer is not None

    @contextmanager
    def span(self, name: str, traceparent: str = "", **attributes: Any) -> Iterator[Span]:
        """A span below `traceparent`. Yields the `Span` to give on."""
        if self._tracer is None:
            yield Span(traceparent)
            return
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract({"traceparent": traceparent}) if traceparent else None
        with self._tracer.start_as_current_span(name, context=context, attributes=attributes) as span:
            c = span.get_span_context()
            yield Span(f"00-{c.trace_id:032x}-{c.span_id:016x}-{int(c.trace_flags):02x}", span)

    def done(self, name: str, seconds: float, traces: Iterable[str] = (), **attributes: Any) -> None:
        """A span for what has just ended and took `seconds` and served many: a group, a projector's transaction.

        It is the child of the first sampled one of `traces` (W3C `traceparent`), so that it is sampled as that one is and shows in its tree,
        and is linked to each (the first `LINKS_MAX` of them). Where none of them is sampled, neither is it.
        """
        if self._tracer is None:
            return
        from opentelemetry import trace

        found = []
        for text in dict.fromkeys(traces):
            if (context := _span_context(text)) is not None:
                found.append(context)
                if len(found) == LINKS_MAX:
                    break
        parent = next((c for c in found if c.trace_flags.sampled), found[0] if found else None)
        end = time.time_ns()
        self._tracer.start_span(
            name, trace.set_span_in_context(trace.NonRecordingSpan(parent)) if parent is not None else None,
            links=[trace.Link(c) for c in found], start_time=end - int(seconds * 1e9), attributes=attributes,
        ).end(end)  # fmt: skip

    def close(self) -> None:
        if self._provider is not None:
            self._provider.shutdown()


def _span_context(traceparent: str) -> Any:
    """The remote span that a W3C `traceparent` names; None when it names none."""
    from opentelemetry.trace import SpanContext, TraceFlags

    try:
        _, trace_id, span_id, flags = traceparent.split("-")[:4]
        context = SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16)))
    except ValueError:
        return None
    return context if context.is_valid else None


class Span:
    """`traceparent` is what goes to whoever is called from within."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, traceparent: str, span: Any = None) -> None:
        self.traceparent, self._span = traceparent, span

    def named(self, name: str) -> None:
        if self._span is not None:
            self._span.update_name(name)

    def set(self, **attributes: Any) -> None:
        if self._span is not None:
            self._span.set_attributes(attributes)


class Telemetry:
    """Logs, metrics and traces of one process."""

    def __init__(self, metrics: Metrics | None = None, tracer: Tracer | None = None, access: logs.Access | None = None) -> None:
        self.metrics = metrics or Metrics()
        self.tracer = tracer or Tracer()
        self.access = access or logs.Access()
        self.started = time.monotonic()
        #: asks other processes of this node for their figures, before a scrape
        self.others: Callable[[], Awaitable[None]] | None = None

    async def figures(self, accept: str = "") -> tuple[bytes, str]:
        """The scrape's body and its media type, with the figures of the other processes of this node."""
        if self.others is not None:
            await self.others()
        return self.metrics.text(accept)

    async def shipped(self) -> list[Any]:
        """The figures of all processes of this node, one after the other (`Metrics.shipped`)."""
        if self.others is not None:
            await self.others()
        return [*self.metrics.shipped(), *(family for shipped in self.metrics.others for family in shipped)]

    @classmethod
    def of(cls, settings: Settings) -> Telemetry:
        try:
            logs.configure(settings.log_level, settings.log_format, settings.node, settings.log_file)
        except OSError as e:
            raise SettingsError(
                f"setting log_file: expected a file that can be written to, found {settings.log_file}: {e.strerror}"
            ) from None
        tracer = Tracer(settings.otlp_endpoint, settings.node, settings.trace_sample)
        return cls(tracer=tracer, access=logs.Access(settings.access_log))

    #: a text without the passwords in it
    hidden = staticmethod(hidden)

    def close(self) -> None:
        self.tracer.close()
        logs.end()
