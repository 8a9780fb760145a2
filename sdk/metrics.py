"""What a worker counts. Plain numbers: `Worker.metrics.snapshot()`, or Prometheus text for an endpoint of your own."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

#: upper edges in seconds
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class TypeMetrics:
    """Of one job type. `buckets` counts run times of handlers."""

    __slots__ = ("active", "buckets", "completed", "errors", "failed", "lost", "received", "seconds")

    def __init__(self) -> None:
        self.received = self.completed = self.failed = self.errors = self.lost = self.active = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS) + 1)

    def ran(self, seconds: float) -> None:
        self.seconds += seconds
        self.buckets[bisect_left(BUCKETS, seconds)] += 1


class Metrics:
    def __init__(self) -> None:
        self.types: dict[str, TypeMetrics] = {}
        self.connects = self.heartbeats = self.refused = 0

    def of(self, type: str) -> TypeMetrics:
        found = self.types.get(type)
        if found is None:
            found = self.types[type] = TypeMetrics()
        return found

    def snapshot(self) -> dict[str, Any]:
        return {
            "connects": self.connects,
            "heartbeats": self.heartbeats,
            "refused": self.refused,
            "types": {t: {n: getattr(m, n) for n in TypeMetrics.__slots__ if n != "buckets"} for t, m in self.types.items()},
        }

    def prometheus(self) -> str:
        """Text exposition format 0.0.4."""
        lines = ["# TYPE flowledger_worker_jobs_total counter"]
        for type, m in self.types.items():
            label = type.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            for name in ("received", "completed", "failed", "errors", "lost"):
                lines.append(f'flowledger_worker_jobs_total{{type="{label}",outcome="{name}"}} {getattr(m, name)}')
        lines.append("# TYPE flowledger_worker_jobs_active gauge")
        lines += [f'flowledger_worker_jobs_active{{type="{t}"}} {m.active}' for t, m in self.types.items()]
        lines.append("# TYPE flowledger_worker_job_seconds histogram")
        for type, m in self.types.items():
            total = 0
            for edge, n in zip((*map(str, BUCKETS), "+Inf"), m.buckets, strict=True):
                total += n
                lines.append(f'flowledger_worker_job_seconds_bucket{{type="{type}",le="{edge}"}} {total}')
            lines.append(f'flowledger_worker_job_seconds_sum{{type="{type}"}} {m.seconds:.6f}')
            lines.append(f'flowledger_worker_job_seconds_count{{type="{type}"}} {total}')
        for name in ("connects", "heartbeats", "refused"):
            lines.append(f"# TYPE flowledger_worker_{name}_total counter")
            lines.append(f"flowledger_worker_{name}_total {getattr(self, name)}")
        return "\n".join(lines) + "\n"
