"""The standard health service (`grpc.health.v1.Health`), as its clients and probes ask for it.

Its two messages have one field each, so they are read and written by hand: generated modules of two packages for the same protocol file
can't live in one process. Source: grpc.io, "GRPC Health Checking Protocol".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from flowledger.api.grpc.gateway import Call, Gateway
from flowledger.api.grpc.status import INVALID_ARGUMENT, NOT_FOUND, Refused

SERVICES = ("", "gateway_protocol.Gateway", "grpc.health.v1.Health")
SERVING, NOT_SERVING = 1, 2
#: seconds between two looks of `Watch`
WATCH_S = 1.0


class HealthCheckRequest:
    """`string service = 1`."""

    def __init__(self, service: str = "") -> None:
        self.service = service

    def SerializeToString(self) -> bytes:
        raw = self.service.encode()
        return b"\x0a" + bytes((len(raw),)) + raw if raw else b""

    @classmethod
    def FromString(cls, data: bytes) -> HealthCheckRequest:
        """Raises: Refused(INVALID_ARGUMENT)."""
        if not data:
            return cls()
        if len(data) < 2 or data[0] != 0x0A or data[1] > 0x7F or len(data) != 2 + data[1]:
            raise Refused(INVALID_ARGUMENT, "expected a HealthCheckRequest with one short service name")
        return cls(data[2:].decode(errors="replace"))


class HealthCheckResponse:
    """`ServingStatus status = 1`."""

    def __init__(self, status: int = 0) -> None:
        self.status = status

    def SerializeToString(self) -> bytes:
        return bytes((0x08, self.status))

    @classmethod
    def FromString(cls, data: bytes) -> HealthCheckResponse:
        return cls(data[1] if len(data) == 2 else 0)


def _status(g: Gateway) -> HealthCheckResponse:
    return HealthCheckResponse(SERVING if g.healthy() else NOT_SERVING)


async def check(g: Gateway, r: Any, call: Call) -> HealthCheckResponse:
    if r.service not in SERVICES:
        raise Refused(NOT_FOUND, f"unknown service '{r.service}'")
    return _status(g)


async def watch(g: Gateway, r: Any, call: Call, send: Callable[[Any], Awaitable[None]]) -> None:
    """Each change of the status, until the client leaves."""
    last = 0
    while True:
        now = _status(g)
        if now.status != last:
            last = now.status
            await send([now])
        await asyncio.sleep(WATCH_S)
