"""What an attempt took of the machine, by the operating system's own counters (psutil); D-MON-002, TES-TSK-005.

The counters are those of the worker's process (network: of its machine or container), so jobs in work at the same time share them. They are read
at most every `FRESH_S`, however many jobs begin: an attempt goes from the last reading before it to one at its end.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Any

import psutil

from flowledger.sdk.job import Job
from flowledger.sdk.metrics import TypeMetrics

#: attempts that take less are not measured, unless a worker asks for it: counters of a process say nothing about a millisecond
FROM_S = 0.1
#: a reading is good for so long
FRESH_S = 0.05
#: variables of the environment that say where a worker runs, the first that is there
_IMAGE = ("FLOWLEDGER_IMAGE", "CONTAINER_IMAGE")
_REGION = ("FLOWLEDGER_REGION", "AWS_REGION", "CLOUD_REGION")


def _said(names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


class _Reading:
    __slots__ = ("at", "cpu_s", "disk", "network")

    def __init__(self, process: psutil.Process) -> None:
        self.at = time.perf_counter()
        with process.oneshot():
            cpu = process.cpu_times()
            self.cpu_s = cpu.user + cpu.system
            # not counted on macOS, nor where a container may not look
            try:
                io = process.io_counters() if hasattr(process, "io_counters") else None
            except psutil.Error:
                io = None
        self.disk = None if io is None else io.read_bytes + io.write_bytes
        try:
            net = psutil.net_io_counters()
        except (psutil.Error, OSError):
            net = None
        self.network = None if net is None else net.bytes_sent + net.bytes_recv


def _kb(now: int | None, before: int | None) -> float | None:
    return None if now is None or before is None else round(max(now - before, 0) / 1000, 3)


class Meter:
    """Of one worker."""

    def __init__(self, from_s: float = FROM_S) -> None:
        self.from_s = from_s
        self._process = psutil.Process()
        self._last: _Reading | None = None
        self._began = time.perf_counter()
        where = {"node": socket.gethostname(), "image": _said(_IMAGE), "region": _said(_REGION)}
        self.environment = {name: value for name, value in where.items() if value}

    def begin(self) -> _Reading:
        last = self._last
        if last is None or time.perf_counter() - last.at > FRESH_S:
            last = self._last = _Reading(self._process)
        return last

    def end(self, before: _Reading, job: Job, m: TypeMetrics, seconds: float) -> dict[str, Any] | None:
        """Figures of an attempt that took so many seconds; None: too short to say anything."""
        if seconds < self.from_s:
            return None
        now = self._last = _Reading(self._process)
        passed, done = max(now.at - before.at, 1e-6), m.completed + m.failed + m.errors
        found = {
            "latency_ms": round(seconds * 1000, 3),
            "cpu_percent": round((now.cpu_s - before.cpu_s) / passed * 100, 1),
            "memory_mb": round(self._process.memory_info().rss / 1e6, 3),
            "disk_kb": _kb(now.disk, before.disk), "network_kb": _kb(now.network, before.network),
            "api_calls": job.calls,
            "error_rate": round((m.failed + m.errors) / done, 4) if done else None,
            "throughput": round(done / max(now.at - self._began, 1e-6), 3),
            "environment": self.environment,
        }  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}


def joined(details: dict[str, Any] | None, figures: dict[str, Any]) -> dict[str, Any]:
    """A result or the details of a failure with figures; what the handler itself says under the same name counts."""
    said = (details or {}).get("metrics")
    if said is not None and not isinstance(said, dict):
        return details or {}
    return {**(details or {}), "metrics": {**figures, **(said or {})}}
